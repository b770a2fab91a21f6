/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_JSON_SCAN_H
#define LIB_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/*
 * Reading JSON exactly as the original services do (Go's encoding/json; contract/deviceauth 1.1), where bytes decide:
 * identities of devices, and requests that are signed. jansson refuses much of what counts there: U+0000 in names,
 * lone surrogates and bytes that are not UTF-8 (they become U+FFFD), and integers over 64 bits.
 */

/* How deep arrays and objects may be nested: enough for anything real, far from the end of the stack. Go: 10,000. */
#define JSON_SCAN_DEPTH 500

/* Room for the text of a fault, and for where it is. */
#define JSON_SCAN_WHY_SIZE 160

/* Characters of a JSON text that was checked, borrowed. */
struct json_span {
    const char *at;
    size_t len;
};

enum json_scan_kind {
    JSON_SCAN_NULL,
    JSON_SCAN_BOOL,
    JSON_SCAN_NUMBER,
    JSON_SCAN_STRING,
    JSON_SCAN_ARRAY,
    JSON_SCAN_OBJECT,
};

/*
 * Check that text is exactly one JSON value with nothing but white space around it, which is cut off *out.
 *   why  on failure: the fault in Go's words
 * ERR_JSON
 */
enum err json_scan_check(const char *text, size_t len, char why[JSON_SCAN_WHY_SIZE], struct json_span *out);

/*
 * The same for a body of which only the first value counts: bytes behind it are not looked at (contract/deviceauth
 * 1.1). "EOF" for an empty one.
 */
enum err json_scan_first(const char *text, size_t len, char why[JSON_SCAN_WHY_SIZE], struct json_span *out);

/* What a value is, and Go's word for that ("bool"). */
enum json_scan_kind json_scan_kind(struct json_span value);
const char *json_scan_word(struct json_span value);

/*
 * Cut the next token off a checked text, at any depth: a string, number or word, or one of {}[],: alone. Empty at the
 * end. A value is walked in one pass with this.
 */
struct json_span json_scan_token(struct json_span *rest);

/* Cut the next member off *rest, which at first is a whole object; the name has its quotes. False when all are read. */
bool json_scan_member(struct json_span *rest, struct json_span *name, struct json_span *value);

/*
 * What a string says, in UTF-8; it may hold U+0000, and a NUL stands behind it. What is not UTF-8 and surrogates that
 * are alone become U+FFFD. The caller frees it.
 */
char *json_scan_string(struct json_span string, size_t *len);

/* Whether a member's name means the field that is called field (in lower case): Go ignores the case. */
bool json_scan_is_field(struct json_span name, const char *field);

#endif
