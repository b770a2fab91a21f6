/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "auth/settings_db.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

#define BLANK " \t\r\n"

enum { MEMBERS_MAX = 1024, NAME_BYTES_MAX = 128, TEXT_BYTES_MAX = 4096 };

static const char *const reserved[] = {"_id", "etag", "user_id", "tenant_id"};
enum { RESERVED = sizeof reserved / sizeof *reserved };

static enum err too_long(char why[SETTINGS_WHY_SIZE], int max)
{
    snprintf(why, SETTINGS_WHY_SIZE, "Values: the length must be no more than %d.", max);
    return ERR_INVALID;
}

static enum err check_limits(const json_t *object, char why[SETTINGS_WHY_SIZE])
{
    if (json_object_size(object) > MEMBERS_MAX)
        return too_long(why, MEMBERS_MAX);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (strlen(name) > NAME_BYTES_MAX)
            return too_long(why, NAME_BYTES_MAX);
    }
    json_object_foreach((json_t *)object, name, value)
    {
        if (json_string_length(value) <= TEXT_BYTES_MAX)
            continue;
        snprintf(why, SETTINGS_WHY_SIZE, "Values: (%s: the length must be no more than %d.).", name, TEXT_BYTES_MAX);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static bool has_reserved(const json_t *object)
{
    for (size_t i = 0; i < RESERVED; i++)
        if (json_object_get(object, reserved[i]) != NULL)
            return true;
    return false;
}

/* What follows steps over text that jansson has found to be good. */

/* Behind the string that starts at p. */
static const char *skip_string(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

/* The comma or brace that ends the member at p. */
static const char *skip_member(const char *p)
{
    int depth = 0;
    while (depth > 0 || (*p != ',' && *p != '}')) {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        depth += *p == '{' || *p == '[';
        depth -= *p == '}' || *p == ']';
        p++;
    }
    return p;
}

/* Whether the member at p has a reserved name, which may be written with escapes. */
static bool is_reserved(const char *p)
{
    AUTO(json_release) json_t *name = json_loadb(p, (size_t)(skip_string(p) - p), JSON_DECODE_ANY, NULL);
    for (size_t i = 0; i < RESERVED; i++)
        if (strcmp(json_string_value(name), reserved[i]) == 0)
            return true;
    return false;
}

/* The object without its reserved members, all others as they were written. */
static char *without_reserved(const char *text)
{
    char *out = mem_calloc(strlen(text) + 1, 1);
    char *end = out;
    *end++ = '{';
    const char *p = text + 1 + strspn(text + 1, BLANK);
    while (*p == '"') {
        const char *next = skip_member(p);
        if (!is_reserved(p)) {
            if (end > out + 1)
                *end++ = ',';
            memcpy(end, p, (size_t)(next - p));
            end += next - p;
        }
        p = *next == ',' ? next + 1 + strspn(next + 1, BLANK) : next;
    }
    *end = '}';
    return out;
}

void settings_release(struct settings *settings)
{
    mem_free(&settings->body);
}

enum err settings_parse(const char *body, size_t len, char why[SETTINGS_WHY_SIZE], char **out)
{
    /* the parsed numbers are thrown away: as reals none is too large, and the text is what is kept */
    json_error_t at;
    AUTO(json_release)
    json_t *object =
        json_loadb(body, len, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &at);
    if (json_is_null(object)) {
        *out = mem_strdup("{}");
        return ERR_OK;
    }
    if (!json_is_object(object))
        return ERR_JSON;
    TRY(check_limits(object, why));
    size_t start = strspn(body, BLANK);
    AUTO(mem_free) char *text = mem_strndup(body + start, (size_t)at.position - start);
    *out = has_reserved(object) ? without_reserved(text) : MOVE(text);
    return ERR_OK;
}

enum err settings_load(struct db *db, const char *tenant, const char *user_id, struct settings *out)
{
    enum err e = settings_db_load(db, tenant, user_id, out);
    if (e != ERR_NOT_FOUND)
        return e;
    *out = (struct settings){.body = mem_strdup("{}")};
    return ERR_OK;
}

/* What one transaction writes. */
struct save {
    struct settings_row row;
    const char *etag;
};

static enum err write_save(struct db *tx, void *arg)
{
    const struct save *save = arg;
    if (save->etag == NULL)
        return settings_db_upsert(tx, &save->row);
    enum err e = settings_db_update(tx, &save->row, save->etag);
    return e == ERR_ETAG ? settings_db_insert(tx, &save->row) : e;
}

enum err settings_save(struct db *db, const char *tenant, const char *user_id, const char *etag, const char *text)
{
    char fresh[RAND_UUID_SIZE];
    rand_uuid(fresh);
    /* what is no etag of ours is none that is stored, and PostgreSQL does not take every byte as text */
    struct save save = {.row = {.tenant = tenant, .user_id = user_id, .etag = fresh, .body = text},
                        .etag = etag == NULL || rand_is_uuid(etag) ? etag : ""};
    return db_tx(db, write_save, &save);
}
