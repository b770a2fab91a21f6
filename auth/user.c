/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/user.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/claims.h"
#include "auth/guard.h"
#include "auth/password.h"
#include "auth/user_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rand.h"

/* Bytes of the longest e-mail and the longest password (contract/useradm 5). */
#define BYTES_MAX 256
#define PASSWORD_BYTES_MIN 8

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ATOM LETTERS DIGITS "!#$%&'*+-/=?^_`{|}~"

static bool is_ascii(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s > 0x7f)
            return false;
    }
    return true;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Bytes of the quoted string at the start of s, its quotes included; 0 when there is none. */
static size_t quoted_len(const char *s)
{
    if (*s != '"')
        return 0;
    for (size_t i = 1; s[i] >= ' ' && s[i] <= '~'; i++) {
        if (s[i] == '"')
            return i + 1;
        if (s[i] == '\\' && (s[i + 1] < ' ' || s[i + 1] > '~'))
            return 0;
        i += s[i] == '\\';
    }
    return 0;
}

/* Bytes of the atoms with single dots between them at the start of s; 0 when there are none. */
static size_t atoms_len(const char *s)
{
    size_t len = strspn(s, ATOM);
    while (len > 0 && s[len] == '.') {
        size_t atom = strspn(s + len + 1, ATOM);
        if (atom == 0)
            return 0;
        len += 1 + atom;
    }
    return len;
}

/* Whether len bytes at s are all of set, the first and the last of them of edge. */
static bool is_label(const char *s, size_t len, const char *set, const char *edge)
{
    return len > 0 && is_one_of(s[0], edge) && is_one_of(s[len - 1], edge) && strspn(s, set) >= len;
}

/* Labels, in which dots may stand together, then a last one that starts and ends with a letter. */
static bool is_domain(const char *s)
{
    size_t len = strlen(s);
    if (len > 0 && s[len - 1] == '.')
        len--;
    size_t dot = len;
    while (dot > 0 && s[dot - 1] != '.')
        dot--;
    return dot > 1 && is_label(s, dot - 1, LETTERS DIGITS "-._~", LETTERS DIGITS) &&
           is_label(s + dot, len - dot, LETTERS DIGITS "-_~", LETTERS);
}

static bool is_email(const char *s)
{
    size_t local = *s == '"' ? quoted_len(s) : atoms_len(s);
    return local > 0 && s[local] == '@' && is_domain(s + local + 1);
}

/* What is wrong with a field by the rules that come before all others, or NULL. */
static const char *find_fault(const char *value)
{
    if (*value == '\0')
        return "cannot be blank";
    if (strlen(value) > BYTES_MAX)
        return "the length must be no more than 256";
    return is_ascii(value) ? NULL : "must contain ASCII characters only";
}

static const char *find_email_fault(const char *email)
{
    const char *fault = find_fault(email);
    return fault == NULL && !is_email(email) ? "must be a valid email address" : fault;
}

static enum err fail(enum err e, char why[USER_WHY_SIZE])
{
    snprintf(why, USER_WHY_SIZE, "%s", err_text(e));
    return e;
}

static char *lower(const char *s)
{
    char *copy = mem_strdup(s);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    }
    return copy;
}

/* The password, in lower case, is a part of the e-mail (contract/useradm 5). */
static bool is_similar(const char *password, const char *email)
{
    AUTO(mem_wipe) char *small = lower(password);
    AUTO(mem_free) char *address = lower(email);
    return strstr(address, small) != NULL;
}

/* Ids become claims, which have room for so many bytes. */
static enum err check_id(const char *field, const char *id, char why[USER_WHY_SIZE])
{
    const char *fault = NULL;
    if (strlen(id) >= CLAIMS_TEXT_SIZE)
        fault = "the length must be no more than 127";
    else if (!json_is_utf8(id))
        fault = "must be valid UTF-8";
    if (fault == NULL)
        return ERR_OK;
    snprintf(why, USER_WHY_SIZE, "%s: %s.", field, fault);
    return ERR_INVALID;
}

void user_free(struct user **user)
{
    if (*user == NULL)
        return;
    mem_free(&(*user)->id);
    mem_free(&(*user)->tenant_id);
    mem_free(&(*user)->email);
    mem_wipe(&(*user)->password_hash);
    free(*user);
    *user = NULL;
}

/* 0: it never happened. */
static void put_time(json_t *object, const char *name, int64_t ms)
{
    if (ms != 0)
        json_set_time(object, name, ms);
}

json_t *user_json(const struct user *user)
{
    json_t *object = json_object();
    json_object_set_new(object, "id", json_string(user->id));
    json_object_set_new(object, "email", json_string(user->email));
    put_time(object, "created_ts", user->created_ms);
    put_time(object, "updated_ts", user->updated_ms);
    put_time(object, "login_ts", user->login_ms);
    return object;
}

enum err user_check(const char *email, const char *password, char why[USER_WHY_SIZE])
{
    const char *email_fault = email != NULL ? find_email_fault(email) : NULL;
    const char *password_fault = password != NULL ? find_fault(password) : NULL;
    if (email_fault != NULL && password_fault != NULL)
        snprintf(why, USER_WHY_SIZE, "email: %s; password: %s.", email_fault, password_fault);
    else if (email_fault != NULL)
        snprintf(why, USER_WHY_SIZE, "email: %s.", email_fault);
    else if (password_fault != NULL)
        snprintf(why, USER_WHY_SIZE, "password: %s.", password_fault);
    if (email_fault != NULL || password_fault != NULL)
        return ERR_INVALID;
    if (password != NULL && strlen(password) < PASSWORD_BYTES_MIN)
        return fail(ERR_PASSWORD_SHORT, why);
    if (password != NULL && strlen(password) > PASSWORD_BYTES_MAX)
        return fail(ERR_PASSWORD_LONG, why);
    return ERR_OK;
}

enum err user_create(struct db *db, const struct user_new *new_user, char why[USER_WHY_SIZE], char **id)
{
    char uuid[RAND_UUID_SIZE];
    rand_uuid(uuid);
    const char *chosen = new_user->id != NULL && new_user->id[0] != '\0' ? new_user->id : uuid;
    const char *tenant = new_user->tenant != NULL ? new_user->tenant : "";
    TRY(user_check(new_user->email, new_user->password, why));
    if (new_user->refuses_similar && is_similar(new_user->password, new_user->email))
        return fail(ERR_PASSWORD_SIMILAR, why);
    TRY(check_id("id", chosen, why));
    TRY(check_id("tenant_id", tenant, why));

    int64_t now = clock_ms();
    AUTO(user_free) struct user *user = mem_calloc(1, sizeof *user);
    user->id = mem_strdup(chosen);
    user->tenant_id = mem_strdup(tenant);
    user->email = lower(new_user->email);
    user->created_ms = user->updated_ms = now;
    user->password_hash = mem_strdup(new_user->password_hash);
    if (user->password_hash == NULL)
        TRY(password_hash(new_user->password, new_user->cost, &user->password_hash));
    TRY(user_db_insert(db, user));
    *id = MOVE(user->id);
    return ERR_OK;
}

enum err user_get(struct db *db, const char *tenant, const char *id, struct user **out)
{
    /* nobody has such an id, and PostgreSQL does not take it as text */
    if (!json_is_utf8(id) || !json_is_utf8(tenant))
        return ERR_USER_NOT_FOUND;
    return user_db_load(db, tenant, id, out);
}

enum err user_get_by_email(struct db *db, const char *tenant, const char *email, struct user **out)
{
    if (!is_ascii(email) || !json_is_utf8(tenant))
        return ERR_USER_NOT_FOUND;
    AUTO(mem_free) char *address = lower(email);
    return user_db_load_by_email(db, tenant, address, out);
}

enum err user_list(struct db *db, const char *tenant, struct user ***out, size_t *n)
{
    if (json_is_utf8(tenant))
        return user_db_list(db, tenant, out, n);
    *out = NULL;
    *n = 0;
    return ERR_OK;
}

void user_list_free(struct user ***users, size_t n)
{
    if (*users == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        user_free(&(*users)[i]);
    free(*users);
    *users = NULL;
}

struct new_password {
    const char *tenant;
    const char *email;
    const char *hash;
};

static enum err write_password(struct db *tx, void *arg)
{
    const struct new_password *new_password = arg;
    AUTO(mem_free) char *id = NULL;
    TRY(user_db_set_password(tx, new_password->tenant, new_password->email, new_password->hash, clock_ms(), &id));
    TRY(guard_forget(tx, new_password->email));
    return user_db_delete_tokens(tx, id, "");
}

enum err user_set_password(struct db *db, const char *tenant, const char *email, const char *password, int cost,
                           char why[USER_WHY_SIZE])
{
    TRY(user_check(NULL, password, why));
    if (!is_ascii(email) || !json_is_utf8(tenant))
        return ERR_USER_NOT_FOUND;
    if (is_similar(password, email))
        return fail(ERR_PASSWORD_SIMILAR, why);
    AUTO(mem_wipe) char *hash = NULL;
    TRY(password_hash(password, cost, &hash));
    AUTO(mem_free) char *address = lower(email);
    return db_tx(db, write_password, &(struct new_password){.tenant = tenant, .email = address, .hash = hash});
}

/* Nobody changes another's password; one's own password and e-mail change only for who knows the password. */
static enum err check_caller(const struct user_change *change, const struct user *user)
{
    if (strcmp(change->caller, user->id) != 0)
        return change->password != NULL ? ERR_PASSWORD_FIXED : ERR_OK;
    if (change->password == NULL && (change->email == NULL || strcasecmp(change->email, user->email) == 0))
        return ERR_OK;
    enum err e = password_check(change->current_password, user->password_hash);
    return e == ERR_UNAUTHORIZED ? ERR_PASSWORD_CURRENT : e;
}

static bool is_similar_change(const struct user_change *change, const struct user *user)
{
    const char *email = change->email != NULL ? change->email : user->email;
    if (change->password != NULL)
        return is_similar(change->password, email) || is_similar(change->password, user->email);
    return change->email != NULL && change->current_password[0] != '\0' && is_similar(change->current_password, email);
}

/* Turn the user that was read into the one to be written. */
static enum err apply(const struct user_change *change, struct user *user)
{
    if (change->email != NULL) {
        mem_free(&user->email);
        user->email = lower(change->email);
    }
    user->updated_ms = clock_ms();
    if (change->password == NULL)
        return ERR_OK;
    mem_wipe(&user->password_hash);
    return password_hash(change->password, change->cost, &user->password_hash);
}

struct update {
    const struct user *user;
    const char *keep;
};

static enum err write_update(struct db *tx, void *arg)
{
    const struct update *update = arg;
    TRY(user_db_update(tx, update->user));
    return user_db_delete_tokens(tx, update->user->id, update->keep);
}

enum err user_update(struct db *db, const struct user_change *change, char why[USER_WHY_SIZE])
{
    TRY(user_check(change->email, change->password, why));
    AUTO(user_free) struct user *user = NULL;
    TRY(user_get(db, change->tenant, change->id, &user));
    TRY(check_caller(change, user));
    if (is_similar_change(change, user))
        return fail(ERR_PASSWORD_SIMILAR, why);
    TRY(apply(change, user));
    enum err e = db_tx(db, write_update, &(struct update){.user = user, .keep = change->keep});
    /* in PostgreSQL a user inserted meanwhile is met by the index of e-mails only: a constraint error */
    if (e == ERR_DB)
        TRY(user_db_check_email(db, user));
    return e;
}

enum err user_delete(struct db *db, const char *tenant, const char *id)
{
    if (!json_is_utf8(id) || !json_is_utf8(tenant))
        return ERR_USER_NOT_FOUND;
    return user_db_delete(db, tenant, id);
}

enum err user_revoke(struct db *db, const char *tenant, const char *id)
{
    if (!json_is_utf8(tenant) || (id != NULL && !json_is_utf8(id)))
        return ERR_OK;
    return id != NULL ? user_db_revoke(db, tenant, id) : user_db_revoke_tenant(db, tenant);
}
