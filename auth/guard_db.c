/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/guard_db.h"

#include <stdio.h>

#include "lib/auto.h"
#include "lib/mem.h"

enum err guard_db_load(struct db *db, const char *account, const char *network, struct guard_row *here,
                       struct guard_row *everywhere)
{
    static const char sql[] = "SELECT network, failures, refused, forget_ms, until_ms, trusted_ms FROM login_failures "
                              "WHERE account = $1 AND network IN ('', $2)";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(account), db_text(network)), &rows));
    *here = *everywhere = (struct guard_row){0};
    while (db_rows_next(rows)) {
        struct guard_row *row = *db_rows_text(rows, 0) == '\0' ? everywhere : here;
        *row = (struct guard_row){
            .failures = db_rows_int(rows, 1),
            .refused = db_rows_int(rows, 2),
            .forget_ms = db_rows_int(rows, 3),
            .until_ms = db_rows_int(rows, 4),
            .trusted_ms = db_rows_int(rows, 5),
        };
    }
    return ERR_OK;
}

enum err guard_db_save(struct db *db, const char *account, const char *network, const struct guard_row *row,
                       int64_t expires_ms)
{
    static const char sql[] =
        "INSERT INTO login_failures (account, network, failures, refused, forget_ms, until_ms, trusted_ms, expires_ms) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account, network) DO UPDATE SET "
        "failures = $3, refused = $4, forget_ms = $5, until_ms = $6, trusted_ms = $7, expires_ms = $8";
    return db_exec(db, sql,
                   DB_ARGS(db_text(account), db_text(network), db_int(row->failures), db_int(row->refused),
                           db_int(row->forget_ms), db_int(row->until_ms), db_int(row->trusted_ms), db_int(expires_ms)),
                   NULL);
}

enum err guard_db_list(struct db *db, const char *account, int64_t now_ms, struct guard_record **out, size_t *n)
{
    static const char sql[] = "SELECT network, failures, refused, until_ms FROM login_failures "
                              "WHERE account = $1 AND (forget_ms > $2 OR until_ms > $2) ORDER BY network";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(account), db_int(now_ms)), &rows));
    struct guard_record *records = mem_calloc(db_rows_count(rows), sizeof *records);
    size_t count = 0;
    while (db_rows_next(rows)) {
        struct guard_record *record = &records[count++];
        snprintf(record->network, sizeof record->network, "%s", db_rows_text(rows, 0));
        record->failures = db_rows_int(rows, 1);
        record->refused = db_rows_int(rows, 2);
        record->until_ms = db_rows_int(rows, 3);
    }
    *out = records;
    *n = count;
    return ERR_OK;
}

enum err guard_db_clear(struct db *db, const char *account)
{
    static const char sql[] = "UPDATE login_failures SET failures = 0, refused = 0, forget_ms = 0, until_ms = 0, "
                              "expires_ms = trusted_ms WHERE account = $1";
    return db_exec(db, sql, DB_ARGS(db_text(account)), NULL);
}

enum err guard_db_delete_expired(struct db *db, int64_t before_ms, int64_t batch, int64_t *deleted)
{
    /* asked twice, as PostgreSQL looks again only at the outer condition when a row changed meanwhile */
    static const char sql[] = "DELETE FROM login_failures WHERE expires_ms <= $1 AND (account, network) IN "
                              "(SELECT account, network FROM login_failures WHERE expires_ms <= $1 "
                              "ORDER BY expires_ms LIMIT $2)";
    return db_exec(db, sql, DB_ARGS(db_int(before_ms), db_int(batch)), deleted);
}
