/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_CHECKIN_DB_H
#define AUTH_CHECKIN_DB_H

#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/* The table device_check_ins of migrations/0005_devices.sql. Storage errors pass through. */

/* The device was seen; the latest time counts. told_ms receives when inventory was told. ERR_NOT_FOUND: no device */
enum err checkin_db_save(struct db *tx, const char *device_id, int64_t seen_ms, int64_t *told_ms);

/*
 * Inventory is told; the caller frees *tenant. ERR_NOT_FOUND: it is not to be told, as the device is being removed
 * everywhere
 */
enum err checkin_db_tell(struct db *tx, const char *device_id, int64_t told_ms, char **tenant);

#endif
