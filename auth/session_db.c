/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/session_db.h"

#include "lib/auto.h"

enum err session_db_touch_user(struct db *db, const char *user_id, const char *hash, const char *new_hash,
                               int64_t now_ms)
{
    static const char sql[] = "UPDATE users SET login_ms = $1, password_hash = $2 WHERE id = $3 AND password_hash = $4";
    int64_t changed = 0;
    const char *stored = new_hash != NULL ? new_hash : hash;
    TRY(db_exec(db, sql, DB_ARGS(db_int(now_ms), db_text(stored), db_text(user_id), db_text(hash)), &changed));
    return changed == 0 ? ERR_USER_NOT_FOUND : ERR_OK;
}

enum err session_db_insert(struct db *db, const struct session_row *row)
{
    static const char sql[] = "INSERT INTO tokens (id, tenant_id, user_id, kid, issued_ms, expires_ms) "
                              "VALUES ($1, $2, $3, $4, $5, $6)";
    struct db_arg expires = row->expires_ms == INT64_MAX ? db_null() : db_int(row->expires_ms);
    return db_exec(db, sql,
                   DB_ARGS(db_text(row->id), db_text(row->tenant), db_text(row->user_id), db_int(row->kid),
                           db_int(row->issued_ms), expires),
                   NULL);
}

enum err session_db_trim(struct db *db, const char *user_id, const char *keep, int64_t max, int64_t *deleted)
{
    static const char sql[] = "DELETE FROM tokens WHERE user_id = $1 AND name IS NULL AND id <> $2 AND id NOT IN "
                              "(SELECT id FROM tokens WHERE user_id = $1 AND name IS NULL AND id <> $2 "
                              "ORDER BY issued_ms DESC, id DESC LIMIT $3)";
    return db_exec(db, sql, DB_ARGS(db_text(user_id), db_text(keep), db_int(max - 1)), deleted);
}

enum err session_db_delete(struct db *db, const char *jti, const char *user_id)
{
    static const char sql[] = "DELETE FROM tokens WHERE id = $1 AND user_id = $2";
    return db_exec(db, sql, DB_ARGS(db_text(jti), db_text(user_id)), NULL);
}
