/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_JSON_GO_H
#define LIB_JSON_GO_H

#include <jansson.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/json_scan.h"

/* JSON values as the original services understand and write them (Go's encoding/json): the same bytes for the same. */

/* Values in one text: a limit, since each takes many times the bytes that it has there. */
#define JSON_GO_VALUES_MAX 65536

/* Room for a number, NUL included. */
#define JSON_GO_NUMBER_SIZE 32

/*
 * The value of a text that was checked. Of two members of one name the later counts; every number is a double, kept as
 * a JSON real. It may hold U+0000, in names too, so it is good only for code that asks for lengths: json_go_dump().
 *   why  on failure: the fault, in Go's words
 * ERR_JSON: a number that no double holds, or more than JSON_GO_VALUES_MAX values
 */
enum err json_go_load(struct json_span text, char why[JSON_SCAN_WHY_SIZE], json_t **out);

/*
 * Write a value: no white space, < > & U+2028 U+2029 and control characters escaped, reals as json_go_number() says.
 * The caller frees it.
 *   order  JSON_GO_SORTED: members by the bytes of their names, which makes it canonical
 *   len    of the text; may be NULL
 */
enum json_go_order { JSON_GO_AS_IS, JSON_GO_SORTED };
char *json_go_dump(const json_t *json, enum json_go_order order, size_t *len);

/* The shortest text that reads back as this finite number, with an exponent below 1e-6 and from 1e21 up. */
size_t json_go_number(double number, char out[JSON_GO_NUMBER_SIZE]);

#endif
