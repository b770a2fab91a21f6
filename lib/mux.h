/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_MUX_H
#define LIB_MUX_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Which of an operator's patterns does a request fall under? The patterns are those of Go's http.ServeMux:
 * [METHOD ][HOST]/path, where a segment is literal, {name} (any one segment), at the end {name...} (all the rest) or
 * {$} (nothing: the path ends with this slash), and a trailing slash stands for all below it. GET takes HEAD too.
 * A pattern with a host goes before those without; otherwise the most specific one counts.
 */
struct mux;

#define MUX_WHY_SIZE 192

/* Bytes of a pattern, and its segments, at most. */
#define MUX_PATTERN_MAX 512
#define MUX_SEGMENTS_MAX 32

struct mux *mux_new(void);
void mux_free(struct mux **mux);

/*
 * Add a pattern.
 *   why  receives what is wrong, with its position or the other pattern
 * ERR_PATTERN: it is no pattern, or some request would fit it and another one, neither being the more specific; mux is
 * unchanged
 */
enum err mux_add(struct mux *mux, const char *pattern, char why[MUX_WHY_SIZE]);

/* No pattern fits. */
#define MUX_NONE SIZE_MAX

/*
 * The number of the pattern that counts, 0 for the first one that was added, or MUX_NONE. uri is a path, which may have
 * a query; "//", "." and ".." are resolved, escapes in a segment are decoded. host may have a port, or be NULL.
 */
size_t mux_match(const struct mux *mux, const char *method, const char *host, const char *uri);

#endif
