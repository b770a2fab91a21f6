/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_MATCH_H
#define LIB_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/*
 * An operator's regular expression (PCRE2), bounded: match, depth and heap limits make a pattern such as (a+)+$ fail
 * instead of running on. Read-only after compiling; any number of threads may use one at the same time.
 */
struct match;

/*
 * Compile pattern, which must have a first capture group.
 *   whole  the pattern must match the whole subject; otherwise any part of it
 *   why    receives, on ERR_PATTERN, PCRE2's message with the position
 * ERR_PATTERN, ERR_PATTERN_GROUP
 */
enum err match_new(const char *pattern, bool whole, char *why, size_t why_size, struct match **out);
void match_free(struct match **m);

/*
 * Match subject and point *group and *len at what the first group captured (borrowed from subject; len 0 when the
 * group took no part). ERR_NOT_FOUND: no match. ERR_PATTERN_LIMIT: it took too much work.
 */
enum err match_first_group(const struct match *m, const char *subject, const char **group, size_t *len);

#endif
