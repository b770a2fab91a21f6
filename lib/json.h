/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* What this adds to jansson: strict parsing for tokens, and the original services' parsing and writing of bodies. */

/* Release a reference and set *json to NULL: the AUTO handler. */
void json_release(json_t **json);

/*
 * Parse text as exactly one JSON object: no duplicate member (escaped spellings included), nothing behind it, no
 * U+0000 (RFC 7515 section 4, RFC 7519 section 4). ERR_JSON
 */
enum err json_parse_strict(const char *text, size_t len, json_t **out);

/* Room for a message of json_parse_body(). */
#define JSON_WHY_SIZE 160

/*
 * Parse a request body: the first JSON value counts, bytes behind it are ignored; it must be an object, or null, which
 * gives an empty object (contract/useradm 1.1). why says what is wrong, "EOF" for an empty body. ERR_JSON
 */
enum err json_parse_body(const char *text, size_t len, char why[JSON_WHY_SIZE], json_t **out);

/* The member called name in any letter case, borrowed; NULL when it is absent or null. An exact match goes first. */
json_t *json_member(const json_t *object, const char *name);

/* Add a time, in milliseconds since the epoch, in the wire's RFC 3339 form (contract/useradm 1.1). */
void json_set_time(json_t *object, const char *name, int64_t ms);

/* Whether s is UTF-8, without surrogates: what a JSON string can say, and all that PostgreSQL takes as text. */
bool json_is_utf8(const char *s);

/* A JSON text with < > & U+2028 U+2029 as \uXXXX and everything else as it is. The caller frees it. */
char *json_escape(const char *text);

/*
 * The wire form: compact, members in insertion order, and escaped as by json_escape() (contract/useradm 1.1);
 * see json_go_dump().
 * The caller frees it.
 */
char *json_wire(const json_t *json);

#endif
