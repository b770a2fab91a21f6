/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_ROW_H
#define AUTH_DEVICE_ROW_H

#include "auth/device.h"
#include "lib/db.h"

/* A device as a row of a query, in which devices are called d and check-ins c. */

/* What the query selects, and how many columns that is: its own begin there. */
#define DEVICE_ROW_COLUMNS                                                                                             \
    "d.id, d.tenant_id, d.id_data, d.status, d.decommissioning, d.provisioned, d.revision, d.created_ms, "             \
    "d.updated_ms, c.seen_ms"
#define DEVICE_ROW_WIDTH 10

/* Behind the devices: the check-in of each, if there was one. */
#define DEVICE_ROW_SEEN "LEFT JOIN device_check_ins c ON c.device_id = d.id "

/* The device of the current row, without its sets; the caller frees it. */
struct device *device_row_read(const struct db_rows *rows);

/* The status that a column names; one that no release of this program wrote counts as the weakest. */
enum device_status device_row_status(const struct db_rows *rows, size_t column);

#endif
