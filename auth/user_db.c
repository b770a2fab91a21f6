/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/user_db.h"

#include "lib/auto.h"
#include "lib/mem.h"

#define COLUMNS "id, tenant_id, email, password_hash, created_ms, updated_ms, login_ms, revision"

static struct user *user_of(const struct db_rows *rows)
{
    struct user *user = mem_calloc(1, sizeof *user);
    *user = (struct user){
        .id = mem_strdup(db_rows_text(rows, 0)),
        .tenant_id = mem_strdup(db_rows_text(rows, 1)),
        .email = mem_strdup(db_rows_text(rows, 2)),
        .password_hash = mem_strdup(db_rows_text(rows, 3)),
        .created_ms = db_rows_int(rows, 4),
        .updated_ms = db_rows_int(rows, 5),
        .login_ms = db_rows_int(rows, 6),
        .revision = db_rows_int(rows, 7),
    };
    return user;
}

static enum err load_one(struct db *db, const char *sql, const char *tenant, const char *value, struct user **out)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(value)), &rows));
    if (!db_rows_next(rows))
        return ERR_USER_NOT_FOUND;
    *out = user_of(rows);
    return ERR_OK;
}

enum err user_db_load(struct db *db, const char *tenant, const char *id, struct user **out)
{
    static const char sql[] = "SELECT " COLUMNS " FROM users WHERE tenant_id = $1 AND id = $2";
    return load_one(db, sql, tenant, id, out);
}

enum err user_db_load_by_email(struct db *db, const char *tenant, const char *email, struct user **out)
{
    static const char sql[] = "SELECT " COLUMNS " FROM users WHERE tenant_id = $1 AND email = $2";
    return load_one(db, sql, tenant, email, out);
}

enum err user_db_list(struct db *db, const char *tenant, struct user ***out, size_t *n)
{
    static const char sql[] = "SELECT " COLUMNS " FROM users WHERE tenant_id = $1 ORDER BY email";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant)), &rows));
    struct user **users = mem_calloc(db_rows_count(rows), sizeof(struct user *));
    size_t count = 0;
    while (db_rows_next(rows))
        users[count++] = user_of(rows);
    *out = users;
    *n = count;
    return ERR_OK;
}

enum err user_db_insert(struct db *db, const struct user *user)
{
    static const char sql[] =
        "INSERT INTO users (id, tenant_id, email, password_hash, revision, created_ms, updated_ms) "
        "VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT DO NOTHING";
    int64_t changed = 0;
    TRY(db_exec(db, sql,
                DB_ARGS(db_text(user->id), db_text(user->tenant_id), db_text(user->email), db_text(user->password_hash),
                        db_int(user->created_ms), db_int(user->updated_ms)),
                &changed));
    return changed == 0 ? ERR_EMAIL_TAKEN : ERR_OK;
}

enum err user_db_set_password(struct db *db, const char *tenant, const char *email, const char *hash, int64_t now_ms,
                              char **id)
{
    static const char sql[] = "UPDATE users SET password_hash = $1, updated_ms = $2, revision = revision + 1 "
                              "WHERE tenant_id = $3 AND email = $4 RETURNING id";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(hash), db_int(now_ms), db_text(tenant), db_text(email)), &rows));
    if (!db_rows_next(rows))
        return ERR_USER_NOT_FOUND;
    *id = mem_strdup(db_rows_text(rows, 0));
    return ERR_OK;
}

/* Why an update met no row. */
static enum err explain_miss(struct db *db, const struct user *user)
{
    AUTO(user_free) struct user *now = NULL;
    TRY(user_db_load(db, user->tenant_id, user->id, &now));
    return now->revision != user->revision ? ERR_USER_CHANGED : ERR_EMAIL_TAKEN;
}

enum err user_db_update(struct db *db, const struct user *user)
{
    static const char sql[] = "UPDATE users SET email = $1, password_hash = $2, updated_ms = $3, "
                              "revision = revision + 1 WHERE tenant_id = $4 AND id = $5 AND revision = $6 "
                              "AND NOT EXISTS (SELECT 1 FROM users other WHERE other.email = $1 AND other.id <> $5)";
    int64_t changed = 0;
    TRY(db_exec(db, sql,
                DB_ARGS(db_text(user->email), db_text(user->password_hash), db_int(user->updated_ms),
                        db_text(user->tenant_id), db_text(user->id), db_int(user->revision)),
                &changed));
    return changed == 0 ? explain_miss(db, user) : ERR_OK;
}

enum err user_db_check_email(struct db *db, const struct user *user)
{
    static const char sql[] = "SELECT id FROM users WHERE email = $1 AND id <> $2";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(user->email), db_text(user->id)), &rows));
    return db_rows_count(rows) > 0 ? ERR_EMAIL_TAKEN : ERR_OK;
}

enum err user_db_delete_tokens(struct db *db, const char *id, const char *keep)
{
    static const char sql[] = "DELETE FROM tokens WHERE user_id = $1 AND id <> $2";
    return db_exec(db, sql, DB_ARGS(db_text(id), db_text(keep)), NULL);
}

enum err user_db_revoke_tenant(struct db *db, const char *tenant)
{
    static const char sql[] = "DELETE FROM tokens WHERE tenant_id = $1";
    return db_exec(db, sql, DB_ARGS(db_text(tenant)), NULL);
}

enum err user_db_revoke(struct db *db, const char *tenant, const char *id)
{
    static const char sql[] = "DELETE FROM tokens WHERE tenant_id = $1 AND user_id = $2";
    return db_exec(db, sql, DB_ARGS(db_text(tenant), db_text(id)), NULL);
}

enum err user_db_delete(struct db *db, const char *tenant, const char *id)
{
    static const char sql[] = "DELETE FROM users WHERE tenant_id = $1 AND id = $2";
    int64_t changed = 0;
    TRY(db_exec(db, sql, DB_ARGS(db_text(tenant), db_text(id)), &changed));
    return changed == 0 ? ERR_USER_NOT_FOUND : ERR_OK;
}
