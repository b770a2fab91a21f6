/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_INVENTORY_DB_H
#define AUTH_INVENTORY_DB_H

#include "auth/device.h"
#include "lib/db.h"
#include "lib/err.h"

/* Rows of a tenant's devices in the orders of the indexes, a part at a time. Storage errors pass through. */

enum inventory_db_kind {
    INVENTORY_DB_ID,           /* the device called key[0] */
    INVENTORY_DB_VALUE,        /* whose attribute key[0] is key[1]; by id */
    INVENTORY_DB_STATUS,       /* whose status is key[0]; by id */
    INVENTORY_DB_NAME,         /* which have the attribute key[0]; by its value */
    INVENTORY_DB_NAME_DOWN,    /* from the last value down */
    INVENTORY_DB_CREATED,      /* by time of creation */
    INVENTORY_DB_CREATED_DOWN, /* the latest first */
    INVENTORY_DB_UPDATED,      /* by time of the last change */
    INVENTORY_DB_UPDATED_DOWN,
};

/* Where to read; keys are borrowed. */
struct inventory_db_source {
    enum inventory_db_kind kind;
    const char *key[2];
};

/*
 * Read devices, without their sets, as an array of *n pointers that the caller frees with device_list_free(): at most
 * limit of them, after skip.
 */
enum err inventory_db_read(struct db *db, const char *tenant, const struct inventory_db_source *source, int64_t skip,
                           int64_t limit, struct device ***out, size_t *n);

/* The first attribute behind this name in the database's order; the caller frees it. ERR_NOT_FOUND: there is none */
enum err inventory_db_next_name(struct db *db, const char *tenant, const char *name, char **next);

/* How many devices have the attribute; counting ends at limit. */
enum err inventory_db_count_name(struct db *db, const char *tenant, const char *name, int64_t limit, int64_t *count);

#endif
