/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Seconds after which a client that met a full queue or an absent database may come again. */
#define RETRY_AFTER "1"

static const char error_type[] = "application/json; charset=utf-8";
static const char limited_type[] = "application/json";

static void drop_reply(struct call *c)
{
    mem_free(&c->reply);
    c->reply_len = 0;
    c->type = NULL;
}

/* A 500 keeps its cause to the log. */
static const char *public_text(const struct call *c, enum err e)
{
    if (err_status(e) == 500)
        return err_text(ERR_INTERNAL);
    return c->why != NULL ? c->why : err_text(e);
}

void call_keep(struct call *c, void *kept, void (*free_kept)(void *kept))
{
    if (c->kept != NULL)
        c->free_kept(c->kept);
    c->kept = kept;
    c->free_kept = free_kept;
}

void call_release(struct call *c)
{
    drop_reply(c);
    call_keep(c, NULL, NULL);
    mem_free(&c->why);
    for (size_t i = 0; i < CALL_PARAMS_MAX; i++)
        mem_free(&c->param[i]);
    for (size_t i = 0; i < c->reply_headers; i++)
        mem_free(&c->reply_header[i].owned);
    c->reply_headers = 0;
}

const char *call_request_id(struct call *c)
{
    const char *given = c->header[CALL_REQUEST_ID];
    if (given != NULL && *given != '\0')
        return given;
    if (c->request_id[0] == '\0')
        rand_uuid(c->request_id);
    return c->request_id;
}

enum err call_empty(struct call *c, int status)
{
    drop_reply(c);
    c->status = status;
    return ERR_OK;
}

enum err call_json(struct call *c, int status, const json_t *json)
{
    char *text = json_wire(json);
    return call_json_text(c, status, &text);
}

enum err call_json_text(struct call *c, int status, char **text)
{
    return call_text(c, status, error_type, text);
}

enum err call_text(struct call *c, int status, const char *type, char **text)
{
    drop_reply(c);
    c->status = status;
    c->type = type;
    c->reply = MOVE(*text);
    c->reply_len = strlen(c->reply);
    return ERR_OK;
}

static void add_header(struct call *c, const char *name, const char *value, char *owned)
{
    c->reply_header[c->reply_headers].name = name;
    c->reply_header[c->reply_headers].value = value;
    c->reply_header[c->reply_headers].owned = owned;
    c->reply_headers++;
}

void call_header(struct call *c, const char *name, const char *value)
{
    if (c->reply_headers == CALL_REPLY_HEADERS_MAX)
        return;
    char *copy = mem_strdup(value);
    add_header(c, name, copy, copy);
}

void call_header_as_is(struct call *c, const char *name, const char *value)
{
    if (c->reply_headers < CALL_REPLY_HEADERS_MAX)
        add_header(c, name, value, NULL);
}

enum err call_fail(struct call *c, enum err e, const char *format, ...)
{
    mem_free(&c->why);
    va_list args;
    va_start(args, format);
    if (vasprintf(&c->why, format, args) < 0)
        abort();
    va_end(args);
    return e;
}

void call_error(struct call *c, enum err e)
{
    if (*err_text(e) == '\0') {
        (void)!call_empty(c, err_status(e));
        return;
    }
    AUTO(json_release) json_t *json = json_object();
    json_t *text = json_string(public_text(c, e));
    json_object_set_new(json, "error", text != NULL ? text : json_string(err_text(e)));
    json_t *id = json_string(call_request_id(c));
    if (id != NULL)
        json_object_set_new(json, "request_id", id);
    char *body = json_wire(json);
    (void)!call_text(c, err_status(e), e == ERR_RATE_LIMIT ? limited_type : error_type, &body);
    if (err_status(e) == 503)
        call_header_as_is(c, "Retry-After", RETRY_AFTER);
}

enum err call_body(struct call *c, const char *prefix, json_t **out)
{
    char why[JSON_WHY_SIZE];
    const char *head = prefix != NULL ? prefix : "";
    const char *colon = prefix != NULL ? ": " : "";
    if (c->is_body_cut)
        return call_fail(c, ERR_JSON, "%s%s%s", head, colon, err_text(ERR_TOO_LARGE));
    if (json_parse_body(c->body, c->body_len, why, out) != ERR_OK)
        return call_fail(c, ERR_JSON, "%s%s%s", head, colon, why);
    return ERR_OK;
}

enum err call_object(struct call *c, const char *prefix, const char *type, struct json_span *out)
{
    char why[JSON_SCAN_WHY_SIZE];
    struct json_span span;
    if (c->is_body_cut)
        return call_fail(c, ERR_JSON, "%s: %s", prefix, err_text(ERR_TOO_LARGE));
    if (json_scan_first(c->body, c->body_len, why, &span) != ERR_OK)
        return call_fail(c, ERR_JSON, "%s: %s", prefix, why);
    enum json_scan_kind kind = json_scan_kind(span);
    if (kind != JSON_SCAN_OBJECT && kind != JSON_SCAN_NULL)
        return call_fail(c, ERR_JSON, "%s: json: cannot unmarshal %s into Go value of type %s", prefix,
                         json_scan_word(span), type);
    *out = kind == JSON_SCAN_OBJECT ? span : (struct json_span){"{}", 2};
    return ERR_OK;
}

enum err call_string(struct call *c, const char *prefix, const json_t *body, const char *name, const char **out)
{
    const json_t *value = json_member(body, name);
    if (value != NULL && !json_is_string(value))
        return call_fail(c, ERR_JSON, "%s%sjson: field \"%s\" must be a string", prefix != NULL ? prefix : "",
                         prefix != NULL ? ": " : "", name);
    *out = value != NULL ? json_string_value(value) : "";
    return ERR_OK;
}
