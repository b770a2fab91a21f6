/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_USER_DB_H
#define AUTH_USER_DB_H

#include <stddef.h>
#include <stdint.h>

#include "auth/user.h"
#include "lib/db.h"
#include "lib/err.h"

/* The users table (migrations/0001_users.sql). E-mails are in lower case here; storage errors pass through. */

/* ERR_USER_NOT_FOUND */
enum err user_db_load(struct db *db, const char *tenant, const char *id, struct user **out);
enum err user_db_load_by_email(struct db *db, const char *tenant, const char *email, struct user **out);

/* All users of tenant by e-mail; the caller frees them with user_list_free(). */
enum err user_db_list(struct db *db, const char *tenant, struct user ***out, size_t *n);

/* Insert a user that never logged in. ERR_EMAIL_TAKEN (a duplicate id too) */
enum err user_db_insert(struct db *db, const struct user *user);

/* Replace the password hash; the caller frees *id. ERR_USER_NOT_FOUND */
enum err user_db_set_password(struct db *db, const char *tenant, const char *email, const char *hash, int64_t now_ms,
                              char **id);

/*
 * Write e-mail, password hash and update time of a user who was read before: only if its revision is the same still.
 * ERR_USER_NOT_FOUND, ERR_USER_CHANGED, ERR_EMAIL_TAKEN
 */
enum err user_db_update(struct db *db, const struct user *user);

/* ERR_EMAIL_TAKEN when another user, of any tenant, has this user's e-mail. */
enum err user_db_check_email(struct db *db, const struct user *user);

/* Delete all tokens of the user but the one called keep; "": all. */
enum err user_db_delete_tokens(struct db *db, const char *id, const char *keep);

/* Delete all tokens of the tenant, and those of a user in it. */
enum err user_db_revoke_tenant(struct db *db, const char *tenant);
enum err user_db_revoke(struct db *db, const char *tenant, const char *id);

/* Delete the user, and by the foreign key its tokens. ERR_USER_NOT_FOUND */
enum err user_db_delete(struct db *db, const char *tenant, const char *id);

#endif
