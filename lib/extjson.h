/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_EXTJSON_H
#define LIB_EXTJSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * MongoDB Extended JSON v2, canonical and relaxed, as mongoexport writes it: JSON in which an object such as
 * {"$date": ...} stands for a value that JSON has no form for. Of v1 the forms that old releases of mongoexport write
 * are read too: {"$binary": TEXT, "$type": HEX}, dates as a number or with +0000.
 */

/* Parse a text that is one document: an object, no member twice. Strings may hold \u0000. ERR_JSON */
enum err extjson_parse(const char *text, size_t len, json_t **out);

/*
 * A value as plain JSON: numbers as numbers (a whole double up to 2^53 as an integer), dates as RFC 3339, object ids
 * and UUIDs as text, other binary data as base64. ERR_JSON: a form of a type that plain JSON cannot hold (a regular
 * expression, a decimal, NaN ...), or one with a wrong content
 */
enum err extjson_plain(const json_t *value, json_t **out);

/* A text without NUL bytes, borrowed; NULL when the value is none. */
const char *extjson_text(const json_t *value);

/*
 * An id as text: a text as it is; a UUID ({"$uuid"}, 16 bytes of {"$binary"}) in lower case with dashes; an object id
 * ({"$oid"}) in lower case. NULL when the value is none of these. The caller frees it.
 */
char *extjson_id(const json_t *value);

/*
 * A UUID in lower case with dashes, of the spellings that the original takes for one: 32 hexadecimal digits, or with
 * dashes, and then also behind "urn:uuid:" or in braces (contract/useradm 8). NULL when text is none. The caller frees
 * it.
 */
char *extjson_uuid(const char *text);

/* A whole number in any of its forms. */
bool extjson_int(const json_t *value, int64_t *out);

/* A date, in milliseconds since the epoch. */
bool extjson_time(const json_t *value, int64_t *ms);

#endif
