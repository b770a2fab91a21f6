/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_PAT_H
#define AUTH_PAT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/claims.h"
#include "auth/issuer.h"
#include "lib/err.h"

/* Personal access tokens (contract/useradm 6): named tokens that a person makes for programs. Times in milliseconds. */
struct pat {
    char *id; /* jti */
    char *name;
    int64_t issued_ms;
    int64_t expires_ms;   /* INT64_MAX: never */
    int64_t last_used_ms; /* INT64_MIN: never */
};

/* The wire form: {"id","name","last_used"?,"expiration_date"?,"created_ts"} (contract/useradm 1.2). */
json_t *pat_json(const struct pat *pat);

/* Room for the joined texts of pat_check(). */
#define PAT_WHY_SIZE 160

/*
 * Check name and lifetime by the contract's rules: "expires_in: ...; name: ...." in why.
 *   lifetime_max_s  from the issuer's configuration
 * ERR_INVALID
 */
enum err pat_check(const char *name, int64_t lifetime_s, int64_t lifetime_max_s, char why[PAT_WHY_SIZE]);

/*
 * Make a token of this name for the caller; rules of pat_check() are the caller's. The limit is counted and the row
 * inserted in one transaction, so the limit holds and names stay unique whoever does the same.
 *   caller       who asks: its user and tenant are the new token's
 *   needs_alive  the caller's own token must still be there when the row is inserted, so that a revocation meanwhile
 *                leaves none behind; otherwise only the user
 *   lifetime_s   0: never expires
 * The caller frees *token (mem_wipe). ERR_TOKEN_LIMIT, before ERR_TOKEN_NAME; ERR_UNAUTHORIZED; ERR_SIGN, ERR_KEY_NONE;
 * storage errors
 */
enum err pat_create(struct issuer *issuer, const struct claims *caller, bool needs_alive, const char *name,
                    int64_t lifetime_s, char **token);

/* The tokens of the claims' user, the oldest first, as an array of *n that the caller frees with pat_list_free(). */
enum err pat_list(struct issuer *issuer, const struct claims *caller, struct pat **out, size_t *n);
void pat_list_free(struct pat **list, size_t n);

/* Delete a token of the claims' user, a session's too. ERR_OK also when there is none. */
enum err pat_delete(struct issuer *issuer, const struct claims *caller, const char *id);

#endif
