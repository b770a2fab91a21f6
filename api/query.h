/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_QUERY_H
#define API_QUERY_H

#include <stddef.h>

#include "api/call.h"
#include "lib/err.h"

/* Percent-decoding of what comes in the target of a request (RFC 3986 section 2.1). Decoded text never holds a NUL. */

/* The query, decoded: name=value pairs in the order in which they came. */
struct query {
    struct {
        char *name;
        char *value; /* "" when there was no '=' */
    } * pair;
    size_t n;
};

/*
 * Parse the call's query as a form ('+' is a space). ERR_BAD_REQUEST with the contract's text (contract/useradm 1.2,
 * GET users; contract/deviceauth 1.4, row 2)
 */
enum err query_parse(struct call *c, struct query *out);
void query_release(struct query *query);

/* The first value of a name; NULL when it is absent. */
const char *query_value(const struct query *query, const char *name);

/* Decode a path segment, where '+' is itself; NULL when an escape is wrong or gives a NUL. The caller frees it. */
char *query_decode_segment(const char *text, size_t len);

#endif
