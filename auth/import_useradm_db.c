/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/import_useradm_db.h"

#include "lib/auto.h"
#include "lib/mem.h"

#define USER "id, tenant_id, email, password_hash, created_ms, updated_ms, login_ms"
#define TOKEN "id, tenant_id, user_id, name, kid, issued_ms, expires_ms, last_used_ms"

/* 0 is how rows here say NULL. */
static struct db_arg time_arg(int64_t ms)
{
    return ms != 0 ? db_int(ms) : db_null();
}

static enum err insert(struct db *db, const char *sql, const struct db_arg *args, bool *done)
{
    int64_t changed = 0;
    TRY(db_exec(db, sql, args, &changed));
    *done = changed != 0;
    return ERR_OK;
}

static void read_user(const struct db_rows *rows, struct import_user *out)
{
    *out = (struct import_user){
        .id = mem_strdup(db_rows_text(rows, 0)),
        .tenant = mem_strdup(db_rows_text(rows, 1)),
        .email = mem_strdup(db_rows_text(rows, 2)),
        .hash = mem_strdup(db_rows_text(rows, 3)),
        .created_ms = db_rows_int(rows, 4),
        .updated_ms = db_rows_int(rows, 5),
        .login_ms = db_rows_int(rows, 6),
    };
}

static void read_token(const struct db_rows *rows, struct import_token *out)
{
    *out = (struct import_token){
        .id = mem_strdup(db_rows_text(rows, 0)),
        .tenant = mem_strdup(db_rows_text(rows, 1)),
        .user_id = mem_strdup(db_rows_text(rows, 2)),
        .name = mem_strdup(db_rows_text(rows, 3)),
        .kid = db_rows_int(rows, 4),
        .issued_ms = db_rows_int(rows, 5),
        .expires_ms = db_rows_int(rows, 6),
        .last_used_ms = db_rows_int(rows, 7),
    };
}

/* The rows of a query over users, each inserted into another database. */
static enum err copy_users(struct db *from, struct db *to, const char *sql, const struct db_arg *args)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(from, sql, args, &rows));
    while (db_rows_next(rows)) {
        AUTO(import_useradm_db_release_user) struct import_user user;
        bool done;
        read_user(rows, &user);
        TRY(import_useradm_db_insert_user(to, &user, &done));
    }
    return ERR_OK;
}

static enum err copy_user(struct db *from, struct db *to, const char *id)
{
    static const char sql[] = "SELECT " USER " FROM users WHERE id = $1";
    return copy_users(from, to, sql, DB_ARGS(db_text(id)));
}

void import_useradm_db_release_user(struct import_user *user)
{
    mem_free(&user->id);
    mem_free(&user->tenant);
    mem_free(&user->email);
    mem_wipe(&user->hash);
}

void import_useradm_db_release_token(struct import_token *token)
{
    mem_free(&token->id);
    mem_free(&token->tenant);
    mem_free(&token->user_id);
    mem_free(&token->name);
}

void import_useradm_db_release_settings(struct import_settings *settings)
{
    mem_free(&settings->tenant);
    mem_free(&settings->user_id);
    mem_free(&settings->etag);
    mem_free(&settings->body);
}

enum err import_useradm_db_insert_user(struct db *db, const struct import_user *user, bool *done)
{
    static const char sql[] = "INSERT INTO users (" USER ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    return insert(db, sql,
                  DB_ARGS(db_text(user->id), db_text(user->tenant), db_text(user->email), db_text(user->hash),
                          db_int(user->created_ms), db_int(user->updated_ms), time_arg(user->login_ms)),
                  done);
}

enum err import_useradm_db_load_user(struct db *db, const char *id, struct import_user *out)
{
    static const char sql[] = "SELECT " USER " FROM users WHERE id = $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    read_user(rows, out);
    return ERR_OK;
}

enum err import_useradm_db_copy_users(struct db *from, struct db *to, const struct import_user *user)
{
    static const char sql[] = "SELECT " USER " FROM users WHERE id = $1 OR email = $2";
    return copy_users(from, to, sql, DB_ARGS(db_text(user->id), db_text(user->email)));
}

enum err import_useradm_db_insert_token(struct db *db, const struct import_token *token, bool *done)
{
    /* no row refers to a user that is not there, which would be an error, and names are unique for each user */
    static const char sql[] = "INSERT INTO tokens (" TOKEN ") SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM users "
                              "WHERE id = $3 AND tenant_id = $2 AND NOT EXISTS "
                              "(SELECT 1 FROM tokens WHERE user_id = $3 AND tenant_id = $2 AND name = $4) "
                              "ON CONFLICT DO NOTHING";
    return insert(db, sql,
                  DB_ARGS(db_text(token->id), db_text(token->tenant), db_text(token->user_id), db_text(token->name),
                          db_int(token->kid), db_int(token->issued_ms), time_arg(token->expires_ms),
                          time_arg(token->last_used_ms)),
                  done);
}

enum err import_useradm_db_load_token(struct db *db, const char *id, struct import_token *out)
{
    static const char sql[] = "SELECT " TOKEN " FROM tokens WHERE id = $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    read_token(rows, out);
    return ERR_OK;
}

enum err import_useradm_db_copy_tokens(struct db *from, struct db *to, const struct import_token *token)
{
    static const char sql[] = "SELECT " TOKEN " FROM tokens WHERE id = $1 OR (user_id = $2 AND name = $3)";
    TRY(copy_user(from, to, token->user_id));
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(from, sql, DB_ARGS(db_text(token->id), db_text(token->user_id), db_text(token->name)), &rows));
    while (db_rows_next(rows)) {
        AUTO(import_useradm_db_release_token) struct import_token stored;
        bool done;
        read_token(rows, &stored);
        TRY(copy_user(from, to, stored.user_id));
        TRY(import_useradm_db_insert_token(to, &stored, &done));
    }
    return ERR_OK;
}

enum err import_useradm_db_insert_settings(struct db *db, const struct import_settings *settings, bool *done)
{
    static const char sql[] = "INSERT INTO settings (tenant_id, user_id, etag, body) VALUES ($1, $2, $3, $4) "
                              "ON CONFLICT DO NOTHING";
    return insert(db, sql,
                  DB_ARGS(db_text(settings->tenant), db_text(settings->user_id), db_text(settings->etag),
                          db_text(settings->body)),
                  done);
}

enum err import_useradm_db_load_settings(struct db *db, const char *tenant, const char *user_id,
                                         struct import_settings *out)
{
    static const char sql[] = "SELECT tenant_id, user_id, etag, body FROM settings "
                              "WHERE tenant_id = $1 AND user_id = $2";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(user_id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct import_settings){
        .tenant = mem_strdup(db_rows_text(rows, 0)),
        .user_id = mem_strdup(db_rows_text(rows, 1)),
        .etag = mem_strdup(db_rows_text(rows, 2)),
        .body = mem_strdup(db_rows_text(rows, 3)),
    };
    return ERR_OK;
}
