/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_ISSUER_H
#define AUTH_ISSUER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/claims.h"
#include "auth/guard.h"
#include "auth/liveness.h"
#include "keystore/jws.h"
#include "keystore/keyring.h"
#include "lib/db.h"
#include "lib/err.h"

/*
 * What mints, verifies and revokes tokens of people, or of devices: a key ring, a database and the rules between them.
 *
 * Verification has two halves. issuer_check() is about the token alone: signature, times, claims. issuer_alive() asks
 * whether it still counts: user and token row there, or for a device its accepted authentication set. Both remember
 * what they found. A token's signature is verified once per key load; the database is asked about its liveness once for
 * as long as nothing is heard of it (auth/liveness.h). So a revocation is visible at once here and within a second in
 * every other process on the same database.
 */
struct issuer;

/* How long a token found alive is believed to be, even if nothing is heard of it. */
#define ISSUER_ALIVE_MS 600000

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
    size_t cache_bytes;          /* memory that they take at most; 0: any */
    struct liveness *liveness;   /* borrowed; NULL: one of its own, which hears of this process's revocations only */
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
    struct liveness_found found;     /* that it is alive */
};

/* Signature, times and claims of a token; no storage is asked, it never blocks. ERR_TOKEN_INVALID */
enum err issuer_check(struct issuer *issuer, const char *token, size_t len, struct issuer_token *out);

/*
 * Whether a token that issuer_check() passed still counts: its user exists in its tenant, its row is there. Notes the
 * use of a personal access token, at most every last_used_every_s.
 *   may_block  false: from memory, or from a database that makes nobody wait (db_prompt()), or ERR_WOULD_BLOCK
 * ERR_UNAUTHORIZED; ERR_WOULD_BLOCK; storage errors
 */
enum err issuer_alive(struct issuer *issuer, const struct issuer_token *token, bool may_block);

/* Whether signing takes milliseconds, as it does with RSA; with other keys it takes less than a tenth of one. */
bool issuer_signs_slowly(struct issuer *issuer);

/* Tell the issuer of a revocation that this process has committed: from now on it counts here. */
void issuer_revoked(struct issuer *issuer);

/* Give back memory of tokens that have expired or whose key is gone. They are refused without that. */
void issuer_tidy(struct issuer *issuer);

/*
 * Delete rows of tokens that expired, leeway included, about batch of them; fewer: there are no more for now. For one
 * thread at a time.
 */
enum err issuer_sweep(struct issuer *issuer, int64_t batch, int64_t *deleted);

#endif
