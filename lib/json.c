/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json_go.h"
#include "lib/mem.h"

/* Bytes that a UTF-8 line or paragraph separator takes; both begin E2 80. */
#define SEPARATOR_BYTES 3

static bool is_separator(const char *p)
{
    return (unsigned char)p[0] == 0xe2 && (unsigned char)p[1] == 0x80 &&
           ((unsigned char)p[2] == 0xa8 || (unsigned char)p[2] == 0xa9);
}

/* Write the \uXXXX form that stands for what begins at p; returns the bytes of p that it replaces, 0 for none. */
static size_t put_escape(const char *p, char *out)
{
    if (*p == '<' || *p == '>' || *p == '&') {
        snprintf(out, 7, "\\u%04x", (unsigned char)*p);
        return 1;
    }
    if (is_separator(p)) {
        snprintf(out, 7, "\\u%s", (unsigned char)p[2] == 0xa8 ? "2028" : "2029");
        return SEPARATOR_BYTES;
    }
    return 0;
}

static const char *type_name(const json_t *json)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_STRING] = "string", [JSON_INTEGER] = "number",
        [JSON_REAL] = "number",   [JSON_TRUE] = "bool",   [JSON_FALSE] = "bool",    [JSON_NULL] = "null",
    };
    return names[json_typeof(json)];
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
            return false;
    return true;
}

/* A member that was left out for want of memory would go unnoticed: jansson's allocations abort as our own do. */
static void *allocate(size_t size)
{
    return mem_resize(NULL, 1, size);
}

__attribute__((constructor)) static void use_our_memory(void)
{
    json_set_alloc_funcs(allocate, free);
}

void json_release(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

enum err json_parse_strict(const char *text, size_t len, json_t **out)
{
    AUTO(json_release) json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json))
        return ERR_JSON;
    *out = MOVE(json);
    return ERR_OK;
}

enum err json_parse_body(const char *text, size_t len, char why[JSON_WHY_SIZE], json_t **out)
{
    if (is_blank(text, len)) {
        snprintf(why, JSON_WHY_SIZE, "EOF");
        return ERR_JSON;
    }
    json_error_t error;
    AUTO(json_release) json_t *json = json_loadb(text, len, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &error);
    if (json == NULL) {
        snprintf(why, JSON_WHY_SIZE, "%.100s (byte %d)", error.text, error.position);
        return ERR_JSON;
    }
    if (json_is_null(json)) {
        *out = json_object();
        return ERR_OK;
    }
    if (!json_is_object(json)) {
        snprintf(why, JSON_WHY_SIZE, "json: cannot unmarshal %s into an object", type_name(json));
        return ERR_JSON;
    }
    *out = MOVE(json);
    return ERR_OK;
}

json_t *json_member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    const char *key;
    json_t *candidate;
    if (value == NULL)
        json_object_foreach((json_t *)object, key, candidate) if (strcasecmp(key, name) == 0) value = candidate;
    return json_is_null(value) ? NULL : value;
}

void json_set_time(json_t *object, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(ms, text);
    json_object_set_new(object, name, json_string(text));
}

bool json_is_utf8(const char *s)
{
    AUTO(json_release) json_t *text = json_string(s);
    return text != NULL;
}

char *json_escape(const char *text)
{
    if (strpbrk(text, "<>&\xe2") == NULL)
        return mem_strdup(text);
    /* these characters stand only inside strings in a JSON text, so the text can be rewritten without parsing it */
    char *out = mem_calloc(strlen(text) * 6 + 1, 1);
    char *end = out;
    while (*text != '\0') {
        size_t taken = put_escape(text, end);
        end += taken > 0 ? 6 : 1;
        if (taken == 0)
            end[-1] = *text;
        text += taken > 0 ? taken : 1;
    }
    *end = '\0';
    return out;
}

char *json_wire(const json_t *json)
{
    return json_go_dump(json, JSON_GO_AS_IS, NULL);
}
