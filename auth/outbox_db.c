/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/outbox_db.h"

#include "lib/auto.h"
#include "lib/mem.h"

enum err outbox_db_insert(struct db *tx, const char *device_id, const char *workflow, const char *body, int64_t now_ms)
{
    /* by the clock, so that no number comes again soon after the queue of a device was empty */
    static const char sql[] =
        "INSERT INTO device_events (device_id, seq, workflow, body, created_ms, due_ms) "
        "SELECT CAST($1 AS TEXT), CASE WHEN COALESCE(MAX(seq), 0) < CAST($4 AS BIGINT) THEN CAST($4 AS BIGINT) "
        "ELSE MAX(seq) + 1 END, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($4 AS BIGINT) "
        "FROM device_events WHERE device_id = $1 ON CONFLICT DO NOTHING";
    int64_t changed = 0;
    TRY(db_exec(tx, sql, DB_ARGS(db_text(device_id), db_text(workflow), db_text(body), db_int(now_ms)), &changed));
    return changed == 0 ? ERR_DB_RETRY : ERR_OK;
}

enum err outbox_db_last(struct db *db, const char *device_id, int64_t *seq)
{
    static const char sql[] = "SELECT MAX(seq) FROM device_events WHERE device_id = $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(device_id)), &rows));
    *seq = db_rows_next(rows) ? db_rows_int(rows, 0) : 0;
    return ERR_OK;
}

enum err outbox_db_head(struct db *db, const char *device_id, struct outbox_head *out)
{
    static const char sql[] = "SELECT seq, due_ms, held_until_ms FROM device_events WHERE device_id = $1 "
                              "ORDER BY seq LIMIT 1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(device_id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct outbox_head){.seq = db_rows_int(rows, 0),
                                .due_ms = db_rows_int(rows, 1),
                                .held_until_ms = db_rows_int(rows, 2)};
    return ERR_OK;
}

enum err outbox_db_due(struct db *db, int64_t now_ms, int64_t fresh_ms, int64_t limit, char ***out, size_t *n)
{
    static const char sql[] =
        "SELECT e.device_id FROM device_events e WHERE e.due_ms <= $1 AND e.held_until_ms <= $1 "
        "AND (e.attempts > 0 OR e.created_ms <= $2) AND NOT EXISTS "
        "(SELECT 1 FROM device_events o WHERE o.device_id = e.device_id AND o.seq < e.seq) ORDER BY e.due_ms LIMIT $3";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_int(now_ms), db_int(fresh_ms), db_int(limit)), &rows));
    char **list = mem_calloc(db_rows_count(rows), sizeof(char *));
    size_t count = 0;
    while (db_rows_next(rows))
        list[count++] = mem_strdup(db_rows_text(rows, 0));
    *out = list;
    *n = count;
    return ERR_OK;
}

enum err outbox_db_claim(struct db *db, const char *device_id, int64_t seq, int64_t now_ms, int64_t held_until_ms,
                         struct outbox_claim *out)
{
    static const char sql[] = "UPDATE device_events SET held_until_ms = $3, attempts = attempts + 1 "
                              "WHERE device_id = $1 AND seq = $2 AND held_until_ms <= $4 "
                              "RETURNING attempts, workflow, body";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(device_id), db_int(seq), db_int(held_until_ms), db_int(now_ms)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct outbox_claim){.device_id = device_id,
                                 .seq = seq,
                                 .held_until_ms = held_until_ms,
                                 .attempts = db_rows_int(rows, 0),
                                 .workflow = mem_strdup(db_rows_text(rows, 1)),
                                 .body = mem_strdup(db_rows_text(rows, 2))};
    return ERR_OK;
}

void outbox_db_release(struct outbox_claim *claim)
{
    mem_free(&claim->workflow);
    mem_free(&claim->body);
}

enum err outbox_db_delete(struct db *db, const struct outbox_claim *claim)
{
    static const char sql[] = "DELETE FROM device_events WHERE device_id = $1 AND seq = $2 AND held_until_ms = $3";
    return db_exec(db, sql, DB_ARGS(db_text(claim->device_id), db_int(claim->seq), db_int(claim->held_until_ms)), NULL);
}

enum err outbox_db_postpone(struct db *db, const struct outbox_claim *claim, int64_t due_ms, const char *error)
{
    static const char sql[] = "UPDATE device_events SET held_until_ms = 0, due_ms = $4, last_error = $5 "
                              "WHERE device_id = $1 AND seq = $2 AND held_until_ms = $3";
    return db_exec(db, sql,
                   DB_ARGS(db_text(claim->device_id), db_int(claim->seq), db_int(claim->held_until_ms), db_int(due_ms),
                           db_text(error)),
                   NULL);
}

enum err outbox_db_mend(struct db *db, int64_t now_ms, int64_t latest_ms, int64_t *mended)
{
    static const char sql[] = "UPDATE device_events SET due_ms = $1, held_until_ms = 0, "
                              "created_ms = CASE WHEN created_ms > $1 THEN $1 ELSE created_ms END "
                              "WHERE due_ms > $2 OR held_until_ms > $2 OR created_ms > $2";
    return db_exec(db, sql, DB_ARGS(db_int(now_ms), db_int(latest_ms)), mended);
}

enum err outbox_db_count(struct db *db, int64_t *events, int64_t *oldest_ms)
{
    static const char sql[] = "SELECT COUNT(*), MIN(created_ms) FROM device_events";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(), &rows));
    bool has_row = db_rows_next(rows);
    *events = has_row ? db_rows_int(rows, 0) : 0;
    *oldest_ms = has_row ? db_rows_int(rows, 1) : 0;
    return ERR_OK;
}

enum err outbox_db_list(struct db *db, int64_t limit, struct outbox_event **out, size_t *n)
{
    static const char sql[] = "SELECT device_id, workflow, last_error, seq, created_ms, due_ms, attempts "
                              "FROM device_events ORDER BY created_ms, device_id, seq LIMIT $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_int(limit)), &rows));
    struct outbox_event *list = mem_calloc(db_rows_count(rows), sizeof *list);
    size_t count = 0;
    while (db_rows_next(rows))
        list[count++] = (struct outbox_event){.device_id = mem_strdup(db_rows_text(rows, 0)),
                                              .workflow = mem_strdup(db_rows_text(rows, 1)),
                                              .error = mem_strdup(db_rows_text(rows, 2)),
                                              .seq = db_rows_int(rows, 3),
                                              .created_ms = db_rows_int(rows, 4),
                                              .due_ms = db_rows_int(rows, 5),
                                              .attempts = db_rows_int(rows, 6)};
    *out = list;
    *n = count;
    return ERR_OK;
}
