/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/issuer_db.h"

#include <stdio.h>
#include <string.h>

#include "lib/auto.h"

enum err issuer_db_load(struct db *db, const char *jti, const char *tenant, const char *user_id, struct issuer_row *out)
{
    static const char sql[] = "SELECT t.name, t.last_used_ms, t.expires_ms "
                              "FROM tokens t JOIN users u ON u.id = t.user_id AND u.tenant_id = t.tenant_id "
                              "WHERE t.id = $1 AND t.tenant_id = $2 AND t.user_id = $3";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(jti), db_text(tenant), db_text(user_id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct issuer_row){
        .is_named = !db_rows_is_null(rows, 0),
        .last_used_ms = db_rows_is_null(rows, 1) ? INT64_MIN : db_rows_int(rows, 1),
        .expires_ms = db_rows_is_null(rows, 2) ? INT64_MAX : db_rows_int(rows, 2),
        .since_ms = INT64_MIN,
    };
    return ERR_OK;
}

enum err issuer_db_load_device(struct db *db, const char *jti, const char *tenant, const char *device_id,
                               struct issuer_row *out)
{
    static const char sql[] = "SELECT t.expires_ms, t.issued_ms FROM device_tokens t "
                              "JOIN auth_sets a ON a.id = t.id AND a.tenant_id = t.tenant_id "
                              "JOIN devices d ON d.id = a.device_id "
                              "WHERE t.id = $1 AND t.tenant_id = $2 AND a.device_id = $3 "
                              "AND a.status = 'accepted' AND d.decommissioning = 0";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(jti), db_text(tenant), db_text(device_id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct issuer_row){.last_used_ms = INT64_MIN,
                               .expires_ms = db_rows_int(rows, 0),
                               .since_ms = db_rows_int(rows, 1)};
    return ERR_OK;
}

enum err issuer_db_touch(struct db *db, const char *jti, int64_t now_ms, int64_t since_ms)
{
    static const char sql[] = "UPDATE tokens SET last_used_ms = $1 "
                              "WHERE id = $2 AND (last_used_ms IS NULL OR last_used_ms <= $3)";
    return db_exec(db, sql, DB_ARGS(db_int(now_ms), db_text(jti), db_int(since_ms)), NULL);
}

enum err issuer_db_delete_expired(struct db *db, int64_t before_ms, int64_t batch, int64_t *deleted)
{
    static const char sql[] = "DELETE FROM tokens WHERE id IN "
                              "(SELECT id FROM tokens WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2)";
    return db_exec(db, sql, DB_ARGS(db_int(before_ms), db_int(batch)), deleted);
}

/* The last of the next rows behind this id. ERR_NOT_FOUND: there are none */
static enum err find_end(struct db *db, const char *behind, int64_t rows_max, char *end, size_t end_size)
{
    static const char sql[] = "SELECT MAX(id) FROM (SELECT id FROM device_tokens WHERE id > $1 ORDER BY id LIMIT $2) t";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(behind), db_int(rows_max)), &rows));
    if (!db_rows_next(rows) || db_rows_is_null(rows, 0))
        return ERR_NOT_FOUND;
    snprintf(end, end_size, "%s", db_rows_text(rows, 0));
    return ERR_OK;
}

enum err issuer_db_delete_expired_device(struct db *db, int64_t before_ms, int64_t batch, char at[CLAIMS_TEXT_SIZE],
                                         int64_t *deleted)
{
    static const char sql[] = "DELETE FROM device_tokens WHERE id > $1 AND id <= $2 AND expires_ms <= $3";
    char end[CLAIMS_TEXT_SIZE] = "";
    int64_t n = 0;
    enum err e = find_end(db, at, batch, end, sizeof end);
    if (e == ERR_OK)
        e = db_exec(db, sql, DB_ARGS(db_text(at), db_text(end), db_int(before_ms)), &n);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    memcpy(at, end, sizeof end);
    *deleted = n;
    return ERR_OK;
}
