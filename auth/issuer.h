/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_ISSUER_H
#define AUTH_ISSUER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/claims.h"
#include "auth/guard.h"
#include "keystore/jws.h"
#include "keystore/keyring.h"
#include "lib/db.h"
#include "lib/err.h"

/*
 * What mints, verifies and revokes tokens of people, or of devices: a key ring, a database and the rules between them.
 *
 * Verification has two halves. issuer_check() is about the token alone: signature, times, claims. issuer_alive() asks
 * whether it still counts: user and token row there, or for a device its accepted authentication set. Both remember
 * what they found. A token's signature is verified once per key load; its liveness is asked again from the database
 * after ISSUER_ALIVE_MS, and at once after any revocation in this process. So a revocation is visible at once here and
 * within a second in every other process on the same database.
 */
struct issuer;

/* How long a token found alive is believed to be. */
#define ISSUER_ALIVE_MS 500

/* Whose tokens: one issuer never takes a token of the other kind. */
enum issuer_kind { ISSUER_PEOPLE, ISSUER_DEVICES };

struct issuer_config {
    enum issuer_kind kind;
    const char *iss;             /* the iss claim of new tokens; not empty */
    const char *const *accepted; /* iss values that are accepted, NULL-terminated; NULL or empty: any non-empty one */
    int64_t lifetime_s;          /* of a login; > 0 */
    int64_t leeway_s;            /* 0..300 */
    int64_t sessions_max;        /* logins a user can have; 0: any number */
    int64_t pats_max;            /* personal access tokens a user can have; 0: any number */
    int64_t pat_lifetime_max_s;  /* of a personal access token that expires */
    int64_t last_used_every_s;   /* how often last_used of a personal access token is written; 0: never */
    size_t cache_entries;        /* tokens remembered at most; 0: none */
    struct guard_config guard;   /* of logins */
};

/* db and ring are borrowed and must live longer. config is copied. */
struct issuer *issuer_new(const struct issuer_config *config, struct db *db, struct keyring *ring);
void issuer_free(struct issuer **issuer);

const struct issuer_config *issuer_config(const struct issuer *issuer);
struct db *issuer_db(const struct issuer *issuer);
struct keyring *issuer_ring(const struct issuer *issuer);

/*
 * Sign claims for a person with the current key. jti, iss, scp, iat, nbf and exp are set here.
 *   lifetime_s  0: never expires
 *   kid         receives the id of the key that signed
 * The caller frees *token (mem_wipe). ERR_SIGN, ERR_KEY_NONE
 */
enum err issuer_sign(struct issuer *issuer, const char *sub, const char *tenant, int64_t lifetime_s,
                     struct claims *claims, int64_t *kid, char **token);

/* When a token of the configured lifetime that is issued at now_s expires, in seconds since 1970. */
int64_t issuer_expiry(const struct issuer *issuer, int64_t now_s);

/*
 * Sign claims for a device with the current key (contract/deviceauth 3.1; design 8.5): jti is the authentication set,
 * sub the device, now_s the time of issue; the lifetime is the configured one.
 * The caller frees *token (mem_wipe). ERR_SIGN, ERR_KEY_NONE
 */
enum err issuer_sign_device(struct issuer *issuer, const char *set_id, const char *device_id, const char *tenant,
                            const struct claims_plan *plan, int64_t now_s, char **token);

/* A token that issuer_check() passed. */
struct issuer_token {
    struct claims claims;
    uint8_t digest[JWS_DIGEST_SIZE]; /* of its exact bytes: its name in memory */
    int64_t alive_until_ms;          /* clock_mono_ms() until which it was last found alive; 0: not known */
    uint64_t epoch;                  /* revocations seen by then */
};

/* Signature, times and claims of a token; no storage is asked, it never blocks. ERR_TOKEN_INVALID */
enum err issuer_check(struct issuer *issuer, const char *token, size_t len, struct issuer_token *out);

/*
 * Whether a token that issuer_check() passed still counts: its user exists in its tenant, its row is there. Notes the
 * use of a personal access token, at most every last_used_every_s.
 *   may_block  false: answer from memory only, or ERR_WOULD_BLOCK
 * ERR_UNAUTHORIZED; ERR_WOULD_BLOCK; storage errors
 */
enum err issuer_alive(struct issuer *issuer, const struct issuer_token *token, bool may_block);

/*
 * Tell the issuer that token rows or users were deleted in this process: nothing found alive before is believed any
 * more.
 */
void issuer_revoked(struct issuer *issuer);

/* Delete rows of tokens that expired, leeway included, up to batch of them. */
enum err issuer_sweep(struct issuer *issuer, int64_t batch, int64_t *deleted);

#endif
