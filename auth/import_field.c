/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/import_field.h"

#include <stdbool.h>
#include <string.h>

#include "auth/claims.h"
#include "lib/auto.h"
#include "lib/extjson.h"
#include "lib/json.h"
#include "lib/mem.h"

/* The member that a field is read from; NULL when it is not there or null. */
static const json_t *find(const json_t *document, const char *name, bool *is_wrong)
{
    const char *dot = strchr(name, '.');
    AUTO(mem_free) char *outer = mem_strndup(name, dot != NULL ? (size_t)(dot - name) : strlen(name));
    const json_t *value = json_object_get(document, outer);
    *is_wrong = false;
    if (dot != NULL && value != NULL && !json_is_null(value)) {
        value = json_object_get(value, dot + 1);
        *is_wrong = value == NULL || json_is_null(value);
    }
    return json_is_null(value) ? NULL : value;
}

/* Ids of tokens and their users are kept as UUIDs or object ids where they look like one (contract/useradm 8). */
static char *token_id(const json_t *value)
{
    char *id = extjson_id(value);
    if (id == NULL)
        return NULL;
    char *uuid = extjson_uuid(id);
    if (uuid != NULL) {
        mem_free(&id);
        return uuid;
    }
    if (strlen(id) == 24 && strspn(id, "0123456789abcdefABCDEF") == 24)
        for (char *p = id; *p != '\0'; p++)
            *p = *p >= 'A' && *p <= 'F' ? (char)(*p - 'A' + 'a') : *p;
    return id;
}

static bool read_time(const json_t *value, int64_t *ms)
{
    if (!extjson_time(value, ms))
        return false;
    *ms = *ms > 0 ? *ms : 0; /* a Go program's zero time lies in year 1 */
    return true;
}

/* Binary data as base64. */
static char *binary(const json_t *value)
{
    AUTO(json_release) json_t *plain = NULL;
    if (!json_is_object(value) || extjson_plain(value, &plain) != ERR_OK)
        return NULL;
    return mem_strdup(json_string_value(plain));
}

static bool read_field(const struct import_field *field, const json_t *value, void *row)
{
    char **text = (char **)((char *)row + field->offset);
    int64_t *number = (int64_t *)((char *)row + field->offset);
    switch (field->form) {
    case IMPORT_FIELD_ID:
        *text = extjson_id(value);
        return *text != NULL;
    case IMPORT_FIELD_TOKEN_ID:
        *text = token_id(value);
        return *text != NULL;
    case IMPORT_FIELD_TEXT:
        *text = mem_strdup(extjson_text(value));
        return *text != NULL;
    case IMPORT_FIELD_TIME:
        return read_time(value, number);
    case IMPORT_FIELD_INT:
        return extjson_int(value, number);
    case IMPORT_FIELD_BOOL:
        *number = json_is_true(value);
        return json_is_boolean(value);
    case IMPORT_FIELD_BINARY:
        *text = binary(value);
        return *text != NULL;
    }
    return false;
}

bool import_field_is_id(const char *id)
{
    return *id != '\0' && strlen(id) < CLAIMS_TEXT_SIZE;
}

const char *import_field_read(const struct import_field *fields, const json_t *document, void *row)
{
    for (const struct import_field *field = fields; field->name != NULL; field++) {
        bool is_wrong;
        const json_t *value = find(document, field->name, &is_wrong);
        if (is_wrong || (value == NULL && field->is_required) || (value != NULL && !read_field(field, value, row)))
            return field->fault;
    }
    return NULL;
}
