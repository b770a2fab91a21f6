/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/settings_db.h"

#include <stdio.h>

#include "lib/auto.h"
#include "lib/mem.h"

/* Run a statement that writes one row or, when the etag is another, none. */
static enum err write_one(struct db *db, const char *sql, const struct db_arg *args)
{
    int64_t changed = 0;
    TRY(db_exec(db, sql, args, &changed));
    return changed == 0 ? ERR_ETAG : ERR_OK;
}

enum err settings_db_load(struct db *db, const char *tenant, const char *user_id, struct settings *out)
{
    static const char sql[] = "SELECT etag, body FROM settings WHERE tenant_id = $1 AND user_id = $2";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(user_id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    snprintf(out->etag, sizeof out->etag, "%s", db_rows_text(rows, 0));
    out->body = mem_strdup(db_rows_text(rows, 1));
    return ERR_OK;
}

enum err settings_db_update(struct db *db, const struct settings_row *row, const char *etag)
{
    static const char sql[] = "UPDATE settings SET etag = $1, body = $2 "
                              "WHERE tenant_id = $3 AND user_id = $4 AND etag = $5";
    return write_one(db, sql,
                     DB_ARGS(db_text(row->etag), db_text(row->body), db_text(row->tenant), db_text(row->user_id),
                             db_text(etag)));
}

enum err settings_db_insert(struct db *db, const struct settings_row *row)
{
    static const char sql[] = "INSERT INTO settings (tenant_id, user_id, etag, body) VALUES ($1, $2, $3, $4) "
                              "ON CONFLICT (tenant_id, user_id) DO NOTHING";
    return write_one(db, sql,
                     DB_ARGS(db_text(row->tenant), db_text(row->user_id), db_text(row->etag), db_text(row->body)));
}

enum err settings_db_upsert(struct db *db, const struct settings_row *row)
{
    static const char sql[] = "INSERT INTO settings (tenant_id, user_id, etag, body) VALUES ($1, $2, $3, $4) "
                              "ON CONFLICT (tenant_id, user_id) DO UPDATE SET etag = excluded.etag, "
                              "body = excluded.body";
    return db_exec(db, sql,
                   DB_ARGS(db_text(row->tenant), db_text(row->user_id), db_text(row->etag), db_text(row->body)), NULL);
}
