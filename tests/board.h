/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BOARD_H
#define TESTS_BOARD_H

#include <openssl/types.h>

#include "tests/fixture.h"

/*
 * A device in front of a fixture: it has an identity and a key, signs its requests, and keeps the token that it got.
 * And the operator who lets it in.
 */
#define BOARD_ASK "/api/devices/v1/authentication/auth_requests"
#define BOARD_DEVICES "/api/management/v2/devauth/devices"
#define BOARD_VERIFY "/api/internal/v1/devauth/tokens/verify"
#define BOARD_TENANTS "/api/internal/v1/devauth/tenants"

struct board {
    struct fixture *fixture;
    EVP_PKEY *pkey;
    char *pem;     /* of the public key */
    char *id_data; /* JSON */
    char *bearer;  /* "Bearer <token>"; NULL: it has none */
};

/* A board with a new key ("RSA", "EC" for P-256, "ED25519"); free it with board_release(). */
void board_init(struct board *board, struct fixture *f, const char *type, const char *id_data);
void board_release(struct board *board);

/* A request as clients make it; the caller frees it. */
char *board_body(const struct board *board);

/* The base64 signature of a body; the caller frees it. */
char *board_sign(const struct board *board, const char *body);

/* Sign and send this body; the reply. */
struct call *board_send(const struct board *board, const char *body);

/* Ask for a token, keep it when there is one, and give the status. */
int board_ask(struct board *board);

/* The status of a gateway's question about the board's token. */
int board_verify(const struct board *board);

/* The operator's call: management routes with this token, internal ones without; body may be NULL. */
struct call *board_operator(struct fixture *f, const char *bearer, const char *method, const char *path,
                            const char *body);

/* The same, checking the status and, unless NULL, the beginning of the reply's error text ("": no body). */
void board_expect(struct fixture *f, const char *bearer, const char *method, const char *path, const char *body,
                  int status, const char *text);

/* What the tenant's only device, or the first one of its list, is; a new reference. */
json_t *board_device(struct fixture *f, const char *tenant);

/* The path of a device, or of its set number n, as the operator names it; suffix goes behind. The caller frees it. */
char *board_path(const json_t *device, const char *suffix);
char *board_set_path(const json_t *device, size_t n, const char *suffix);

#endif
