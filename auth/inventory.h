/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_INVENTORY_H
#define AUTH_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/device.h"
#include "lib/db.h"
#include "lib/err.h"

/*
 * Devices as the UI looks for them: the part of an inventory that can be told from what is stored here anyway, so that
 * its device page works without an inventory service (contract/clients-and-gateways A.7).
 *
 * A device has the attributes of its identity, the identity's "status" and "id", and the system's "created_ts",
 * "updated_ts" and, once it was seen, "check_in_time". Values are compared as texts, all else it has not.
 */
enum inventory_scope { INVENTORY_IDENTITY, INVENTORY_SYSTEM, INVENTORY_ELSEWHERE };

/* IN: it has the attribute, with one of the values. NOT_IN: it has not, or with another value. */
enum inventory_test { INVENTORY_IN, INVENTORY_NOT_IN, INVENTORY_EXISTS, INVENTORY_ABSENT };

struct inventory_filter {
    enum inventory_scope scope;
    enum inventory_test test;
    char *name;   /* a key: attribute_key() */
    char **value; /* keys: attribute_value() */
    size_t values;
};

struct inventory_sort {
    enum inventory_scope scope;
    bool is_descending;
    char *name; /* a key */
};

#define INVENTORY_FILTERS_MAX 32
#define INVENTORY_VALUES_MAX 500
#define INVENTORY_SORTS_MAX 4

/* All filters must hold. Without a sort it goes by status and id. */
struct inventory_search {
    struct inventory_filter filter[INVENTORY_FILTERS_MAX];
    size_t filters;
    struct inventory_sort sort[INVENTORY_SORTS_MAX];
    size_t sorts;
    int64_t skip;
    int64_t limit;
};

void inventory_search_release(struct inventory_search *search);

/*
 * So many devices a search looks at one by one, when no index gives what is asked for: the fewest that it can, by id,
 * by value or by status. When there are more of these, then the count is of those that match among the first so many,
 * pages end there, and of several sorts the first one alone counts. Searches by status alone, in the order of status,
 * have no such bound; nor have their counts in any order.
 */
#define INVENTORY_SCAN_MAX 20000

/* The found devices of a page, without their sets. */
struct inventory_page {
    struct device **device;
    size_t n;
    int64_t total; /* devices that match, on this page or not */
};

void inventory_page_release(struct inventory_page *page);

enum err inventory_find(struct db *db, const char *tenant, const struct inventory_search *search,
                        struct inventory_page *out);

/* An attribute that some identities of a tenant have. */
struct inventory_name {
    char *name;    /* a key */
    int64_t count; /* of devices; no further than INVENTORY_COUNT_MAX */
};
#define INVENTORY_COUNT_MAX 5000
#define INVENTORY_NAMES_MAX 500

/* The attributes of identities, by name, INVENTORY_NAMES_MAX at most; freed with inventory_names_free(). */
enum err inventory_names(struct db *db, const char *tenant, struct inventory_name **out, size_t *n);
void inventory_names_free(struct inventory_name **names, size_t n);

#endif
