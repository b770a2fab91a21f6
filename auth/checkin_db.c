/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/checkin_db.h"

#include "lib/auto.h"
#include "lib/mem.h"

enum err checkin_db_save(struct db *tx, const char *device_id, int64_t seen_ms, int64_t *told_ms)
{
    static const char sql[] = "INSERT INTO device_check_ins (device_id, seen_ms, told_ms) "
                              "SELECT id, CAST($2 AS BIGINT), 0 FROM devices WHERE id = $1 "
                              "ON CONFLICT (device_id) DO UPDATE SET seen_ms = CASE "
                              "WHEN excluded.seen_ms > device_check_ins.seen_ms THEN excluded.seen_ms "
                              "ELSE device_check_ins.seen_ms END RETURNING told_ms";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(tx, sql, DB_ARGS(db_text(device_id), db_int(seen_ms)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *told_ms = db_rows_int(rows, 0);
    return ERR_OK;
}

enum err checkin_db_tell(struct db *tx, const char *device_id, int64_t told_ms, char **tenant)
{
    static const char find[] = "SELECT tenant_id FROM devices WHERE id = $1 AND decommissioning = 0";
    static const char tell[] = "UPDATE device_check_ins SET told_ms = $2 WHERE device_id = $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(tx, find, DB_ARGS(db_text(device_id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    TRY(db_exec(tx, tell, DB_ARGS(db_text(device_id), db_int(told_ms)), NULL));
    *tenant = mem_strdup(db_rows_text(rows, 0));
    return ERR_OK;
}
