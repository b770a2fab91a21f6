/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_row.h"

#include "lib/mem.h"

struct device *device_row_read(const struct db_rows *rows)
{
    struct device *device = mem_calloc(1, sizeof *device);
    *device = (struct device){
        .id = mem_strdup(db_rows_text(rows, 0)),
        .tenant_id = mem_strdup(db_rows_text(rows, 1)),
        .id_data = mem_strdup(db_rows_text(rows, 2)),
        .status = device_row_status(rows, 3),
        .is_decommissioning = db_rows_int(rows, 4) != 0,
        .is_provisioned = db_rows_int(rows, 5) != 0,
        .revision = db_rows_int(rows, 6),
        .created_ms = db_rows_int(rows, 7),
        .updated_ms = db_rows_int(rows, 8),
        .seen_ms = db_rows_int(rows, 9),
    };
    return device;
}

enum device_status device_row_status(const struct db_rows *rows, size_t column)
{
    enum device_status status = DEVICE_NOAUTH;
    (void)device_status_parse(db_rows_text(rows, column), &status);
    return status;
}
