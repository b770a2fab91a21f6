/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/import_useradm.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claims.h"
#include "auth/import_field.h"
#include "auth/import_useradm_db.h"
#include "auth/password.h"
#include "auth/settings.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/extjson.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rand.h"

enum { EMAIL_BYTES_MAX = 256, NAME_BYTES_MAX = 4096, UUID_MAX = 45, KID_MAX = 0x7fffffff };

static const struct import_field user_fields[] = {
    {"_id", IMPORT_FIELD_ID, true, offsetof(struct import_user, id), "_id is missing or no id"},
    {"tenant_id", IMPORT_FIELD_TEXT, false, offsetof(struct import_user, tenant), "tenant_id is no text"},
    {"email", IMPORT_FIELD_TEXT, true, offsetof(struct import_user, email), "email is missing or no text"},
    {"password", IMPORT_FIELD_TEXT, true, offsetof(struct import_user, hash), "password is missing or no text"},
    {"created_ts", IMPORT_FIELD_TIME, false, offsetof(struct import_user, created_ms), "created_ts is no date"},
    {"updated_ts", IMPORT_FIELD_TIME, false, offsetof(struct import_user, updated_ms), "updated_ts is no date"},
    {"login_ts", IMPORT_FIELD_TIME, false, offsetof(struct import_user, login_ms), "login_ts is no date"},
    {0},
};

static const struct import_field token_fields[] = {
    {"_id", IMPORT_FIELD_TOKEN_ID, true, offsetof(struct import_token, id), "_id is missing or no id"},
    {"tenant_id", IMPORT_FIELD_TEXT, false, offsetof(struct import_token, tenant), "tenant_id is no text"},
    {"sub", IMPORT_FIELD_TOKEN_ID, true, offsetof(struct import_token, user_id), "sub is missing or no id"},
    {"name", IMPORT_FIELD_TEXT, false, offsetof(struct import_token, name), "name is no text"},
    {"key_id", IMPORT_FIELD_INT, false, offsetof(struct import_token, kid), "key_id is no whole number"},
    {"iat.time", IMPORT_FIELD_TIME, true, offsetof(struct import_token, issued_ms), "iat is missing or no date"},
    {"exp.time", IMPORT_FIELD_TIME, false, offsetof(struct import_token, expires_ms), "exp is no date"},
    {"last_used", IMPORT_FIELD_TIME, false, offsetof(struct import_token, last_used_ms), "last_used is no date"},
    {0},
};

static const struct import_field settings_fields[] = {
    {"tenant_id", IMPORT_FIELD_TEXT, false, offsetof(struct import_settings, tenant), "tenant_id is no text"},
    {"etag", IMPORT_FIELD_TEXT, false, offsetof(struct import_settings, etag), "etag is no text"},
    {0},
};

static const struct import_field user_settings_fields[] = {
    {"tenant_id", IMPORT_FIELD_TEXT, false, offsetof(struct import_settings, tenant), "tenant_id is no text"},
    {"etag", IMPORT_FIELD_TEXT, false, offsetof(struct import_settings, etag), "etag is no text"},
    {"user_id", IMPORT_FIELD_ID, true, offsetof(struct import_settings, user_id), "user_id is missing or no id"},
    {0},
};

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct import_verdict skipped(const char *why)
{
    return (struct import_verdict){IMPORT_SKIPPED, why};
}

static void set_default(char **text)
{
    if (*text == NULL)
        *text = mem_strdup("");
}

/* Who could not log in here under this address is not taken; that it has a form that is none is no reason. */
static bool is_email(const char *email)
{
    for (const char *p = email; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~')
            return false;
    return *email != '\0' && strlen(email) <= EMAIL_BYTES_MAX;
}

static const char *find_user_fault(const struct import_user *user)
{
    if (!import_field_is_id(user->id))
        return "_id is empty or longer than 127 bytes";
    if (strlen(user->tenant) >= CLAIMS_TEXT_SIZE)
        return "tenant_id is longer than 127 bytes";
    if (!is_email(user->email))
        return "email is empty, longer than 256 bytes, or not printable ASCII";
    return password_is_hash(user->hash) ? NULL : "password is no bcrypt hash ($2a$, $2b$ or $2y$, cost 4 to 16)";
}

static void user_free(void **row)
{
    if (*row != NULL)
        import_useradm_db_release_user(*row);
    free(*row);
    *row = NULL;
}

static void *user_decode(const json_t *document, struct import_verdict *verdict)
{
    AUTO(user_free) void *row = mem_calloc(1, sizeof(struct import_user));
    struct import_user *user = row;
    const char *fault = import_field_read(user_fields, document, user);
    set_default(&user->tenant);
    if (fault == NULL)
        fault = find_user_fault(user);
    if (fault != NULL) {
        *verdict = skipped(fault);
        return NULL;
    }
    for (char *p = user->email; *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    return MOVE(row);
}

static enum err user_write(struct db *tx, const void *row, struct import_verdict *verdict)
{
    const struct import_user *user = row;
    bool done = false;
    TRY(import_useradm_db_insert_user(tx, user, &done));
    *verdict = (struct import_verdict){.fate = IMPORT_TAKEN};
    if (done)
        return ERR_OK;
    AUTO(import_useradm_db_release_user) struct import_user stored = {0};
    enum err e = import_useradm_db_load_user(tx, user->id, &stored);
    if (e == ERR_NOT_FOUND) {
        *verdict = skipped("another user has this e-mail address");
        return ERR_OK;
    }
    TRY(e);
    bool is_there = is_same(stored.tenant, user->tenant) && is_same(stored.email, user->email) &&
                    is_same(stored.hash, user->hash) && stored.created_ms == user->created_ms;
    *verdict = is_there ? (struct import_verdict){.fate = IMPORT_THERE}
                        : skipped("a user with this id is here with other content (changed since?)");
    return ERR_OK;
}

static enum err user_copy(struct db *from, struct db *to, const void *row)
{
    return import_useradm_db_copy_users(from, to, row);
}

static const char *find_token_fault(const struct import_token *token)
{
    if (!rand_is_uuid(token->id))
        return "_id is no UUID";
    if (!import_field_is_id(token->user_id))
        return "sub is empty or longer than 127 bytes";
    if (strlen(token->tenant) >= CLAIMS_TEXT_SIZE)
        return "tenant_id is longer than 127 bytes";
    if (token->name != NULL && (*token->name == '\0' || strlen(token->name) > NAME_BYTES_MAX))
        return "name is empty or longer than 4096 bytes";
    return token->kid < 0 || token->kid > KID_MAX ? "key_id is out of range" : NULL;
}

static void token_free(void **row)
{
    if (*row != NULL)
        import_useradm_db_release_token(*row);
    free(*row);
    *row = NULL;
}

static void *token_decode(const json_t *document, struct import_verdict *verdict)
{
    AUTO(token_free) void *row = mem_calloc(1, sizeof(struct import_token));
    struct import_token *token = row;
    const char *fault = import_field_read(token_fields, document, token);
    set_default(&token->tenant);
    if (fault == NULL)
        fault = find_token_fault(token);
    *verdict = skipped(fault);
    if (fault != NULL)
        return NULL;
    bool expires = json_is_object(json_object_get(document, "exp"));
    verdict->fate = IMPORT_EXPIRED;
    return expires && token->expires_ms <= clock_ms() ? NULL : MOVE(row);
}

/* Why a token met something in its way. */
static enum err explain_token(struct db *tx, const struct import_token *token, struct import_verdict *verdict)
{
    AUTO(import_useradm_db_release_token) struct import_token stored = {0};
    enum err e = import_useradm_db_load_token(tx, token->id, &stored);
    if (e == ERR_OK) {
        bool is_there = is_same(stored.tenant, token->tenant) && is_same(stored.user_id, token->user_id) &&
                        is_same(stored.name, token->name) && stored.kid == token->kid &&
                        stored.issued_ms == token->issued_ms && stored.expires_ms == token->expires_ms;
        *verdict = is_there ? (struct import_verdict){.fate = IMPORT_THERE}
                            : skipped("a token with this id is here with other content");
        return ERR_OK;
    }
    if (e != ERR_NOT_FOUND)
        return e;
    AUTO(import_useradm_db_release_user) struct import_user user = {0};
    e = import_useradm_db_load_user(tx, token->user_id, &user);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_NOT_FOUND || !is_same(user.tenant, token->tenant))
        *verdict = skipped("the token's user is not here");
    else
        *verdict = skipped("the user has another token of this name");
    return ERR_OK;
}

static enum err token_write(struct db *tx, const void *row, struct import_verdict *verdict)
{
    bool done = false;
    TRY(import_useradm_db_insert_token(tx, row, &done));
    if (!done)
        return explain_token(tx, row, verdict);
    *verdict = (struct import_verdict){.fate = IMPORT_TAKEN};
    return ERR_OK;
}

static enum err token_copy(struct db *from, struct db *to, const void *row)
{
    return import_useradm_db_copy_tokens(from, to, row);
}

/* The text to be stored: what is not ours of the document, as plain JSON. */
static const char *write_body(const json_t *document, char **body)
{
    AUTO(json_release) json_t *plain = NULL;
    if (extjson_plain(document, &plain) != ERR_OK)
        return "it holds a value that plain JSON cannot";
    AUTO(mem_free) char *text = json_dumps(plain, JSON_COMPACT);
    char why[SETTINGS_WHY_SIZE];
    if (text == NULL || settings_parse(text, strlen(text), why, body) != ERR_OK)
        return "it has more than 1024 members, a name over 128 bytes or a text over 4096";
    return NULL;
}

static void settings_free(void **row)
{
    if (*row != NULL)
        import_useradm_db_release_settings(*row);
    free(*row);
    *row = NULL;
}

static void *decode_settings(const struct import_field *fields, const json_t *document, struct import_verdict *verdict)
{
    AUTO(settings_free) void *row = mem_calloc(1, sizeof(struct import_settings));
    struct import_settings *settings = row;
    const char *fault = import_field_read(fields, document, settings);
    set_default(&settings->tenant);
    if (fault == NULL && strlen(settings->tenant) >= CLAIMS_TEXT_SIZE)
        fault = "tenant_id is longer than 127 bytes";
    if (fault == NULL && settings->user_id != NULL && !import_field_is_id(settings->user_id))
        fault = "user_id is empty or longer than 127 bytes";
    if (fault == NULL)
        fault = write_body(document, &settings->body);
    set_default(&settings->user_id);
    *verdict = skipped(fault);
    return fault == NULL ? MOVE(row) : NULL;
}

static void *settings_decode(const json_t *document, struct import_verdict *verdict)
{
    return decode_settings(settings_fields, document, verdict);
}

static void *user_settings_decode(const json_t *document, struct import_verdict *verdict)
{
    return decode_settings(user_settings_fields, document, verdict);
}

/* Old releases kept no etag; every save here has one. */
static enum err settings_write(struct db *tx, const void *row, struct import_verdict *verdict)
{
    const struct import_settings *settings = row;
    char fresh[RAND_UUID_SIZE];
    bool has_etag = settings->etag != NULL && rand_is_uuid(settings->etag);
    rand_uuid(fresh);
    struct import_settings complete = *settings;
    complete.etag = has_etag ? settings->etag : fresh;
    bool done = false;
    TRY(import_useradm_db_insert_settings(tx, &complete, &done));
    *verdict = (struct import_verdict){.fate = IMPORT_TAKEN};
    if (done)
        return ERR_OK;
    AUTO(import_useradm_db_release_settings) struct import_settings stored = {0};
    TRY(import_useradm_db_load_settings(tx, settings->tenant, settings->user_id, &stored));
    bool is_there = is_same(stored.body, settings->body) && (!has_etag || is_same(stored.etag, settings->etag));
    *verdict = is_there ? (struct import_verdict){.fate = IMPORT_THERE} : skipped("other settings are here already");
    return ERR_OK;
}

static enum err settings_copy(struct db *from, struct db *to, const void *row)
{
    const struct import_settings *settings = row;
    AUTO(import_useradm_db_release_settings) struct import_settings stored = {0};
    enum err e = import_useradm_db_load_settings(from, settings->tenant, settings->user_id, &stored);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    bool done;
    return import_useradm_db_insert_settings(to, &stored, &done);
}

const struct import_collection import_useradm[] = {
    {"users", user_decode, user_free, user_write, user_copy},
    {"tokens", token_decode, token_free, token_write, token_copy},
    {"settings", settings_decode, settings_free, settings_write, settings_copy},
    {"user_settings", user_settings_decode, settings_free, settings_write, settings_copy},
    {0},
};
