/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IMPORT_USERADM_DB_H
#define AUTH_IMPORT_USERADM_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/*
 * Rows of users, tokens and settings as an import brings them. insert: *done says whether there was nothing in the way.
 * load: ERR_NOT_FOUND; the caller releases the row. copy: the rows that could be in the way, from one database to
 * another. Storage errors pass through.
 */

/* Times in milliseconds, 0: not known, or never. */
struct import_user {
    char *id;
    char *tenant;
    char *email; /* lower case */
    char *hash;
    int64_t created_ms;
    int64_t updated_ms;
    int64_t login_ms;
};

struct import_token {
    char *id;
    char *tenant;
    char *user_id;
    char *name; /* NULL: a session */
    int64_t kid;
    int64_t issued_ms;
    int64_t expires_ms;   /* 0: never */
    int64_t last_used_ms; /* 0: never */
};

struct import_settings {
    char *tenant;
    char *user_id; /* "": of the tenant */
    char *etag;
    char *body;
};

void import_useradm_db_release_user(struct import_user *user);
void import_useradm_db_release_token(struct import_token *token);
void import_useradm_db_release_settings(struct import_settings *settings);

enum err import_useradm_db_insert_user(struct db *db, const struct import_user *user, bool *done);
enum err import_useradm_db_load_user(struct db *db, const char *id, struct import_user *out);
enum err import_useradm_db_copy_users(struct db *from, struct db *to, const struct import_user *user);

/* Only if the user is there, in this tenant, and has no other token of this name. */
enum err import_useradm_db_insert_token(struct db *db, const struct import_token *token, bool *done);
enum err import_useradm_db_load_token(struct db *db, const char *id, struct import_token *out);
enum err import_useradm_db_copy_tokens(struct db *from, struct db *to, const struct import_token *token);

enum err import_useradm_db_insert_settings(struct db *db, const struct import_settings *settings, bool *done);
enum err import_useradm_db_load_settings(struct db *db, const char *tenant, const char *user_id,
                                         struct import_settings *out);

#endif
