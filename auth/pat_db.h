/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_PAT_DB_H
#define AUTH_PAT_DB_H

#include <stdint.h>

#include "auth/pat.h"
#include "lib/db.h"
#include "lib/err.h"

/* Personal access tokens: the named rows of the tokens table (migrations/). Storage errors pass through. */
struct pat_row {
    const char *id; /* jti */
    const char *tenant;
    const char *user_id;
    const char *name;
    int64_t kid;
    int64_t issued_ms;
    int64_t expires_ms; /* INT64_MAX: never */
};

/* Whether the user is there, in this tenant. ERR_UNAUTHORIZED */
enum err pat_db_check_user(struct db *db, const char *tenant, const char *user_id);

/* Whether this token of the user, named or not, is there. ERR_UNAUTHORIZED */
enum err pat_db_check_token(struct db *db, const char *tenant, const char *user_id, const char *jti);

/* How many the user has, and how many of this name. */
enum err pat_db_count(struct db *db, const char *tenant, const char *user_id, const char *name, int64_t *all,
                      int64_t *same);

enum err pat_db_insert(struct db *db, const struct pat_row *row);

/* All of the user, the oldest first; the caller frees them with pat_list_free(). */
enum err pat_db_list(struct db *db, const char *tenant, const char *user_id, struct pat **out, size_t *n);

/* Delete a token of the user, named or not. */
enum err pat_db_delete(struct db *db, const char *user_id, const char *id);

#endif
