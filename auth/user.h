/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_USER_H
#define AUTH_USER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/* A person (contract/useradm 6). Times in milliseconds since the epoch. */
struct user {
    char *id;
    char *tenant_id; /* "" in the open-source product */
    char *email;     /* lower case */
    char *password_hash;
    int64_t created_ms;
    int64_t updated_ms;
    int64_t login_ms; /* 0: never */
    int64_t revision; /* counts the changes of the row */
};

void user_free(struct user **user);

/* The wire form: {"id","email","created_ts","updated_ts","login_ts"}, never a password (contract/useradm 1.2). */
json_t *user_json(const struct user *user);

/* What a new user is made of. */
struct user_new {
    const char *id;     /* NULL or "": a random UUID */
    const char *tenant; /* NULL: "" */
    const char *email;
    const char *password;      /* NULL: password_hash instead */
    const char *password_hash; /* stored as it is; NULL: made of password */
    bool refuses_similar;      /* apply the similarity rule too */
    int cost;                  /* of the bcrypt hash */
};

/* Room for the joined texts of user_check(). */
#define USER_WHY_SIZE 256

/*
 * Check e-mail and password by the contract's rules, in its order and with its texts: "email: ...; password: ...." in
 * why (contract/useradm 5). Either may be NULL: it is not looked at then.
 * ERR_INVALID; ERR_PASSWORD_SHORT and ERR_PASSWORD_LONG once the field rules pass (why then is their text)
 */
enum err user_check(const char *email, const char *password, char why[USER_WHY_SIZE]);

/*
 * Insert a user. The rules of user_check() are applied, similarity only on demand (contract/useradm 5).
 *   why  the text for ERR_INVALID, ERR_PASSWORD_*
 *   id   receives the new id; the caller frees it
 * ERR_EMAIL_TAKEN (a duplicate id too); storage errors
 */
enum err user_create(struct db *db, const struct user_new *new_user, char why[USER_WHY_SIZE], char **id);

/* Load by id within tenant, or by e-mail (any case) within tenant. ERR_USER_NOT_FOUND */
enum err user_get(struct db *db, const char *tenant, const char *id, struct user **out);
enum err user_get_by_email(struct db *db, const char *tenant, const char *email, struct user **out);

/* All users of tenant by e-mail, as an array of *n pointers that the caller frees with user_list_free(). */
enum err user_list(struct db *db, const char *tenant, struct user ***out, size_t *n);
void user_list_free(struct user ***users, size_t n);

/*
 * Set a new password, delete all tokens of the user and forget failed logins, in one transaction. Applies the rules of
 * user_check() and the similarity rule.
 *   why  as user_create()
 * ERR_USER_NOT_FOUND, ERR_PASSWORD_SIMILAR
 */
enum err user_set_password(struct db *db, const char *tenant, const char *email, const char *password, int cost,
                           char why[USER_WHY_SIZE]);

/* A change that somebody asks for. */
struct user_change {
    const char *tenant;           /* of both */
    const char *id;               /* whom it changes */
    const char *caller;           /* id of the user who asks */
    const char *keep;             /* jti of the caller's token, which stays valid */
    const char *email;            /* NULL: stays */
    const char *password;         /* NULL: stays */
    const char *current_password; /* "": none was given */
    int cost;                     /* of the bcrypt hash */
};

/*
 * Change e-mail and password, and delete all other tokens of the user, in one transaction (contract/useradm 1.2, PUT
 * users/{id}, from the rules of user_check() on and in its order). Without e-mail and password only the tokens go.
 *   why  as user_create()
 * ERR_USER_NOT_FOUND, ERR_PASSWORD_FIXED, ERR_PASSWORD_CURRENT, ERR_PASSWORD_SIMILAR, ERR_EMAIL_TAKEN; ERR_USER_CHANGED
 * when another change came between reading and writing; on any error nothing has changed
 */
enum err user_update(struct db *db, const struct user_change *change, char why[USER_WHY_SIZE]);

/* Delete the user and all its tokens, in one transaction. ERR_USER_NOT_FOUND */
enum err user_delete(struct db *db, const char *tenant, const char *id);

/* Delete all tokens of a user, or of the whole tenant when id is NULL. ERR_OK also when there were none. */
enum err user_revoke(struct db *db, const char *tenant, const char *id);

#endif
