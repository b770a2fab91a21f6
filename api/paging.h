/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_PAGING_H
#define API_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "api/call.h"
#include "api/query.h"
#include "lib/err.h"

#define PAGING_DEFAULT 20
#define PAGING_MAX 500

/* Which part of a list is asked for: page (from 1) and per_page, as both services have it (contract/deviceauth 1.3). */
struct paging {
    int64_t page;     /* default 1 */
    int64_t per_page; /* PAGING_DEFAULT, at most PAGING_MAX */
};

/* ERR_BAD_REQUEST with the contract's text */
enum err paging_parse(struct call *c, const struct query *query, struct paging *out);

/* How many rows come before the page; INT64_MAX when there are too many to tell. */
int64_t paging_offset(const struct paging *paging);

/*
 * Add the Link headers: first, prev and next as there are, each the request's path with all its parameters, sorted
 * (contract/deviceauth 1.3).
 */
void paging_link(struct call *c, const struct query *query, const struct paging *paging, bool has_next);

#endif
