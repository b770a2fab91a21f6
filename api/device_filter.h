/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DEVICE_FILTER_H
#define API_DEVICE_FILTER_H

#include <jansson.h>

#include "api/call.h"
#include "api/query.h"
#include "auth/device.h"
#include "lib/err.h"

/* Which devices a request asks for. The filter borrows from the query or body that it was read from. */

/*
 * "status" and "id" of the query, both repeatable (contract/deviceauth 1.4, row 2). ERR_BAD_REQUEST with the contract's
 * text
 */
enum err device_filter_parse(struct call *c, const struct query *query, struct device_filter *out);

/*
 * "status" and "id" of a search, each a string or an array of them; an unknown status matches nothing, no
 * status or id is no condition (row 3).
 * ERR_BAD_REQUEST with the contract's text
 */
enum err device_filter_parse_body(struct call *c, const json_t *body, struct device_filter *out);

/* "status" of a count, absent for all (row 4). ERR_BAD_REQUEST with the contract's text */
enum err device_filter_parse_count(struct call *c, const struct query *query, struct device_filter *out);

void device_filter_release(struct device_filter *filter);

#endif
