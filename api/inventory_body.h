/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_INVENTORY_BODY_H
#define API_INVENTORY_BODY_H

#include <jansson.h>
#include <stdbool.h>

#include "api/call.h"
#include "api/paging.h"
#include "auth/inventory.h"
#include "lib/err.h"

/* What the body of a search of inventory asks for (contract/clients-and-gateways A.7). */
struct inventory_body {
    json_t *json;
    struct paging paging;
    struct inventory_search search;
    const json_t *attributes; /* [{scope, attribute}]: these are shown and no others; borrowed, NULL for all */
};

/*
 * Read the call's body: {page, per_page, filters: [{scope, attribute, type, value}], sort: [{scope, attribute, order}],
 * attributes: [{scope, attribute}]}, all of which may be absent. ERR_JSON, ERR_BAD_REQUEST with a text that says what
 * is wrong where
 */
enum err inventory_body_parse(struct call *c, struct inventory_body *out);
void inventory_body_release(struct inventory_body *body);

/* Whether the attribute is to be shown. */
bool inventory_body_shows(const json_t *attributes, const char *scope, const char *name);

#endif
