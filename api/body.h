/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_BODY_H
#define API_BODY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Request bodies in memory: each bounded, and all together bounded by a budget that threads share. */
struct body_budget {
    _Atomic int64_t used; /* bytes */
    int64_t max;
};

/* All zeros is empty. */
struct body {
    char *data; /* NUL-terminated; NULL when empty */
    size_t len;
    size_t room;     /* bytes taken from the budget */
    bool is_cut;     /* more than max came in: data has the first max bytes */
    bool is_refused; /* the budget was used up: data is gone */
};

/* Whether the budget has room for bytes more just now. */
bool body_fits(struct body_budget *budget, int64_t bytes);

/*
 * Add what came in, up to max bytes in all; what does not fit only sets is_cut or is_refused. Memory grows with the
 * bytes that are really there.
 */
void body_append(struct body *body, struct body_budget *budget, const char *data, size_t len, size_t max);

/* Free the data, give its room back, and make the body empty. */
void body_release(struct body *body, struct body_budget *budget);

#endif
