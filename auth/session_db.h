/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_SESSION_DB_H
#define AUTH_SESSION_DB_H

#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/* Sessions: the unnamed rows of the tokens table (migrations/0001_users.sql). Storage errors pass through. */
struct session_row {
    const char *id; /* jti */
    const char *tenant;
    const char *user_id;
    int64_t kid;
    int64_t issued_ms;
    int64_t expires_ms; /* INT64_MAX: never */
};

/*
 * Note a login of the user, if the password hash is still this one, and store another hash of the same password in its
 * place (NULL: it stays); the user's row is held until the transaction ends. ERR_USER_NOT_FOUND
 */
enum err session_db_touch_user(struct db *db, const char *user_id, const char *hash, const char *new_hash,
                               int64_t now_ms);

enum err session_db_insert(struct db *db, const struct session_row *row);

/*
 * Delete the sessions of a user but the one called keep and the max - 1 newest others; named rows stay and do not
 * count.
 */
enum err session_db_trim(struct db *db, const char *user_id, const char *keep, int64_t max, int64_t *deleted);

/* Delete a token of the user, named or not. */
enum err session_db_delete(struct db *db, const char *jti, const char *user_id);

#endif
