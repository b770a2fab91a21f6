/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "lib/auto.h"
#include "lib/json.h"

enum { MAX_BYTES = 1 << 20, MAX_DEPTH = 32 };

struct reader {
    yaml_parser_t parser;
    char *why;
    const char *const *path; /* keys that are looked for, NULL: none */
    int followed;            /* how many of them were met */
    size_t line;             /* of the last one met */
};

static enum err refuse(struct reader *r, const yaml_mark_t *at, const char *what)
{
    snprintf(r->why, YAML_WHY_SIZE, "line %zu, column %zu: %s", at->line + 1, at->column + 1, what);
    return ERR_CONFIG;
}

static enum err next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event) == 1)
        return ERR_OK;
    const char *problem = r->parser.problem != NULL ? r->parser.problem : "not YAML";
    if (r->parser.error == YAML_READER_ERROR) {
        snprintf(r->why, YAML_WHY_SIZE, "byte %zu: %s", r->parser.problem_offset, problem);
        return ERR_CONFIG;
    }
    return refuse(r, &r->parser.problem_mark, problem);
}

static enum err read_value(struct reader *r, const yaml_event_t *event, int depth, json_t **out);

/* YAML 1.2 section 10.3.2 */
static bool is_null(const yaml_event_t *event)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static enum err read_scalar(struct reader *r, const yaml_event_t *event, json_t **out)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(text, '\0', len) != NULL)
        return refuse(r, &event->start_mark, "a NUL character");
    if (is_null(event)) {
        *out = json_null();
        return ERR_OK;
    }
    json_t *string = json_stringn(text, len);
    if (string == NULL)
        return refuse(r, &event->start_mark, "text that is not UTF-8");
    *out = string;
    return ERR_OK;
}

static enum err read_list(struct reader *r, int depth, json_t **out)
{
    AUTO(json_release) json_t *list = json_array();
    for (;;) {
        AUTO(yaml_event_delete) yaml_event_t event = {0};
        TRY(next(r, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        json_t *item = NULL;
        TRY(read_value(r, &event, depth, &item));
        json_array_append_new(list, item);
    }
    *out = MOVE(list);
    return ERR_OK;
}

/* The keys of a map at depth n are the path's n-th. */
static void follow(struct reader *r, const yaml_event_t *key, const char *name, int depth)
{
    if (r->path == NULL || depth != r->followed + 1 || r->path[r->followed] == NULL ||
        strcmp(r->path[r->followed], name) != 0)
        return;
    r->followed++;
    r->line = key->start_mark.line + 1;
}

static enum err read_member(struct reader *r, const yaml_event_t *key, int depth, json_t *map)
{
    if (key->type != YAML_SCALAR_EVENT)
        return refuse(r, &key->start_mark, "a key must be plain text");
    const char *name = (const char *)key->data.scalar.value;
    if (strlen(name) != key->data.scalar.length)
        return refuse(r, &key->start_mark, "a NUL character");
    if (json_object_get(map, name) != NULL)
        return refuse(r, &key->start_mark, "a key that is there already");
    follow(r, key, name, depth);
    AUTO(yaml_event_delete) yaml_event_t event = {0};
    TRY(next(r, &event));
    json_t *value = NULL;
    TRY(read_value(r, &event, depth, &value));
    if (json_object_set_new(map, name, value) != 0)
        return refuse(r, &key->start_mark, "text that is not UTF-8");
    return ERR_OK;
}

static enum err read_map(struct reader *r, int depth, json_t **out)
{
    AUTO(json_release) json_t *map = json_object();
    for (;;) {
        AUTO(yaml_event_delete) yaml_event_t key = {0};
        TRY(next(r, &key));
        if (key.type == YAML_MAPPING_END_EVENT)
            break;
        TRY(read_member(r, &key, depth, map));
    }
    *out = MOVE(map);
    return ERR_OK;
}

static enum err read_value(struct reader *r, const yaml_event_t *event, int depth, json_t **out)
{
    if (depth >= MAX_DEPTH)
        return refuse(r, &event->start_mark, "more than 32 levels");
    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(r, event, out);
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return read_list(r, depth + 1, out);
    if (event->type == YAML_MAPPING_START_EVENT)
        return read_map(r, depth + 1, out);
    return refuse(r, &event->start_mark, "aliases are not supported");
}

/* The events of a stream: STREAM-START (DOCUMENT-START value DOCUMENT-END)* STREAM-END. */
static enum err read_stream(struct reader *r, json_t **out)
{
    AUTO(yaml_event_delete) yaml_event_t stream = {0};
    AUTO(yaml_event_delete) yaml_event_t start = {0};
    AUTO(yaml_event_delete) yaml_event_t value = {0};
    AUTO(yaml_event_delete) yaml_event_t end = {0};
    AUTO(yaml_event_delete) yaml_event_t last = {0};
    TRY(next(r, &stream));
    TRY(next(r, &start));
    if (start.type == YAML_STREAM_END_EVENT) {
        *out = json_object();
        return ERR_OK;
    }
    TRY(next(r, &value));
    AUTO(json_release) json_t *root = NULL;
    TRY(read_value(r, &value, 0, &root));
    TRY(next(r, &end));
    TRY(next(r, &last));
    if (last.type != YAML_STREAM_END_EVENT)
        return refuse(r, &last.start_mark, "a second document");
    *out = json_is_null(root) ? json_object() : MOVE(root);
    return ERR_OK;
}

static enum err read_all(struct reader *r, const char *text, size_t len, json_t **out)
{
    if (len > MAX_BYTES) {
        snprintf(r->why, YAML_WHY_SIZE, "larger than 1 MiB");
        return ERR_CONFIG;
    }
    if (yaml_parser_initialize(&r->parser) != 1) {
        snprintf(r->why, YAML_WHY_SIZE, "no memory for the parser");
        return ERR_CONFIG;
    }
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
    enum err e = read_stream(r, out);
    yaml_parser_delete(&r->parser);
    return e;
}

enum err yaml_parse(const char *text, size_t len, char why[YAML_WHY_SIZE], json_t **out)
{
    struct reader r = {.why = why};
    return read_all(&r, text, len, out);
}

size_t yaml_line(const char *text, size_t len, const char *const *path)
{
    char why[YAML_WHY_SIZE];
    struct reader r = {.why = why, .path = path};
    AUTO(json_release) json_t *document = NULL;
    return read_all(&r, text, len, &document) == ERR_OK ? r.line : 0;
}
