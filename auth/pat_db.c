/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/pat_db.h"

#include "lib/auto.h"
#include "lib/mem.h"

static enum err check_row(struct db *db, const char *sql, const struct db_arg *args)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, args, &rows));
    return db_rows_next(rows) ? ERR_OK : ERR_UNAUTHORIZED;
}

enum err pat_db_check_user(struct db *db, const char *tenant, const char *user_id)
{
    static const char sql[] = "SELECT id FROM users WHERE id = $1 AND tenant_id = $2";
    return check_row(db, sql, DB_ARGS(db_text(user_id), db_text(tenant)));
}

enum err pat_db_check_token(struct db *db, const char *tenant, const char *user_id, const char *jti)
{
    static const char sql[] = "SELECT id FROM tokens WHERE id = $1 AND user_id = $2 AND tenant_id = $3";
    return check_row(db, sql, DB_ARGS(db_text(jti), db_text(user_id), db_text(tenant)));
}

enum err pat_db_count(struct db *db, const char *tenant, const char *user_id, const char *name, int64_t *all,
                      int64_t *same)
{
    static const char sql[] = "SELECT COUNT(*), COUNT(CASE WHEN name = $3 THEN 1 END) FROM tokens "
                              "WHERE user_id = $1 AND tenant_id = $2 AND name IS NOT NULL";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(user_id), db_text(tenant), db_text(name)), &rows));
    if (!db_rows_next(rows))
        return ERR_DB;
    *all = db_rows_int(rows, 0);
    *same = db_rows_int(rows, 1);
    return ERR_OK;
}

enum err pat_db_insert(struct db *db, const struct pat_row *row)
{
    static const char sql[] = "INSERT INTO tokens (id, tenant_id, user_id, name, kid, issued_ms, expires_ms) "
                              "VALUES ($1, $2, $3, $4, $5, $6, $7)";
    struct db_arg expires = row->expires_ms == INT64_MAX ? db_null() : db_int(row->expires_ms);
    return db_exec(db, sql,
                   DB_ARGS(db_text(row->id), db_text(row->tenant), db_text(row->user_id), db_text(row->name),
                           db_int(row->kid), db_int(row->issued_ms), expires),
                   NULL);
}

enum err pat_db_list(struct db *db, const char *tenant, const char *user_id, struct pat **out, size_t *n)
{
    static const char sql[] = "SELECT id, name, issued_ms, expires_ms, last_used_ms FROM tokens "
                              "WHERE user_id = $1 AND tenant_id = $2 AND name IS NOT NULL ORDER BY issued_ms, id";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(user_id), db_text(tenant)), &rows));
    struct pat *list = mem_calloc(db_rows_count(rows) + 1, sizeof *list);
    size_t count = 0;
    while (db_rows_next(rows)) {
        list[count++] = (struct pat){
            .id = mem_strdup(db_rows_text(rows, 0)),
            .name = mem_strdup(db_rows_text(rows, 1)),
            .issued_ms = db_rows_int(rows, 2),
            .expires_ms = db_rows_is_null(rows, 3) ? INT64_MAX : db_rows_int(rows, 3),
            .last_used_ms = db_rows_is_null(rows, 4) ? INT64_MIN : db_rows_int(rows, 4),
        };
    }
    *out = list;
    *n = count;
    return ERR_OK;
}

enum err pat_db_delete(struct db *db, const char *user_id, const char *id)
{
    static const char sql[] = "DELETE FROM tokens WHERE id = $1 AND user_id = $2";
    return db_exec(db, sql, DB_ARGS(db_text(id), db_text(user_id)), NULL);
}
