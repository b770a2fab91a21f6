/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FORGE_H
#define TESTS_FORGE_H

#include <jansson.h>
#include <stddef.h>

#include "keystore/jws.h"
#include "keystore/key.h"
#include "keystore/keyset.h"

/*
 * Keys and tokens for the tests of JWS: above all tokens that jws_sign() would never make. What cannot do its work
 * fails the test.
 */

/* Number of algorithms: the loop end of tests that run once per enum key_alg. */
#define FORGE_ALGS (KEY_EDDSA + 1)

/* The key in tests/data/jws/FILE.pem. */
struct key *forge_key(const char *file, int64_t kid, enum key_alg rsa_alg);

/* The test key of this algorithm; forge_alg_file() is its file name. */
struct key *forge_alg_key(enum key_alg alg, int64_t kid);
const char *forge_alg_file(enum key_alg alg);

/* A private JWK (RSA, EC or OKP). */
struct key *forge_jwk_key(const json_t *jwk, int64_t kid, enum key_alg rsa_alg);

/* A set that takes over up to three keys and the fallback key; NULL: none. */
struct keyset *forge_set(struct key *a, struct key *b, struct key *c, struct key *fallback);

/* base64url of len bytes, and of a string. */
char *forge_base64(const void *data, size_t len);
char *forge_text(const char *text);

/* input, a dot, and key's genuine signature of input, whatever input is. */
char *forge_signed(const struct key *key, const char *input);

/* A token with any header and payload: genuinely signed by key, or with the signature given. */
char *forge_token(const struct key *key, const char *header, const char *payload);
char *forge_unsigned(const char *header, const char *payload, const void *signature, size_t len);

/* What jws_verify() says of a token; it is freed. */
enum err forge_verdict(const struct keyset *set, char *token);

#endif
