/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/db_engine.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/mem.h"

struct statement {
    const char *sql; /* its address is the key */
    sqlite3_stmt *handle;
    int n_args;
    int slots[DB_ARGS_MAX]; /* SQLite numbers $1, $2 by first appearance: where argument i is bound */
    UT_hash_handle hh;
};

struct sqlite {
    struct db_conn conn;
    sqlite3 *handle;
    struct statement *statements;
    int64_t data_version; /* when is_quiet() was last asked; 0: never */
};

/* Set on each connection and, where a value is given, checked: some settings are silently refused. */
static const struct {
    const char *sql;
    const char *want;
} settings[] = {
    {"PRAGMA journal_mode = WAL", "wal"},
    {"PRAGMA synchronous = FULL", NULL},
    {"PRAGMA synchronous", "2"},
    {"PRAGMA foreign_keys = ON", NULL},
    {"PRAGMA foreign_keys", "1"},
    {"PRAGMA cache_size = -2048", NULL}, /* KiB, of each of dozens of connections; behind it is the system's cache */
    {"PRAGMA wal_autocheckpoint = 4000", NULL},
};

static struct sqlite *sqlite_of(struct db_conn *conn)
{
    return (struct sqlite *)conn;
}

/* The engine's message is in the log; say here only what it means to the caller. */
static enum err fail(struct sqlite *db, int rc, const char *sql)
{
    const char *error = sqlite3_errmsg(db->handle);
    int primary = rc & 0xff;
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_PROTOCOL ||
        rc == SQLITE_CONSTRAINT_FOREIGNKEY) {
        log_debug("database statement lost a race", LOG_STR("error", error), LOG_STR("sql", sql));
        return ERR_DB_RETRY;
    }
    if (rc == SQLITE_ERROR && strncmp(error, "no such table", strlen("no such table")) == 0) {
        log_debug("a database table is missing", LOG_STR("error", error));
        return ERR_SCHEMA_OLD;
    }
    log_error("database statement failed", LOG_STR("engine", "sqlite"), LOG_STR("error", error), LOG_INT("code", rc),
              LOG_STR("sql", sql));
    return ERR_DB;
}

static void statement_free(struct statement **st)
{
    if (*st == NULL)
        return;
    sqlite3_finalize((*st)->handle);
    free(*st);
    *st = NULL;
}

/* $1 ... $n and nothing else, as PostgreSQL wants it. */
static bool find_slots(struct statement *st)
{
    st->n_args = sqlite3_bind_parameter_count(st->handle);
    for (int i = 0; i < st->n_args && i < DB_ARGS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "$%d", i + 1);
        st->slots[i] = sqlite3_bind_parameter_index(st->handle, name);
        if (st->slots[i] == 0)
            return false;
    }
    return st->n_args <= DB_ARGS_MAX;
}

static enum err prepare(struct sqlite *db, const char *sql, struct statement **out)
{
    HASH_FIND_PTR(db->statements, &sql, *out);
    if (*out != NULL)
        return ERR_OK;
    AUTO(statement_free) struct statement *st = mem_calloc(1, sizeof *st);
    st->sql = sql;
    int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->handle, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, sql);
    if (!find_slots(st)) {
        log_error("database statement does not number its parameters from $1", LOG_STR("sql", sql));
        return ERR_DB;
    }
    HASH_ADD_PTR(db->statements, sql, st);
    *out = MOVE(st);
    return ERR_OK;
}

static int bind_one(sqlite3_stmt *handle, int slot, const struct db_arg *arg)
{
    if (arg->type == DB_INT)
        return sqlite3_bind_int64(handle, slot, arg->num);
    if (arg->type == DB_TEXT)
        return sqlite3_bind_text(handle, slot, arg->text, -1, SQLITE_STATIC);
    return sqlite3_bind_null(handle, slot);
}

static enum err bind(struct sqlite *db, const struct statement *st, const struct db_arg *args)
{
    int n = 0;
    for (; args[n].type != DB_END && n < st->n_args; n++) {
        int rc = bind_one(st->handle, st->slots[n], &args[n]);
        if (rc != SQLITE_OK)
            return fail(db, rc, st->sql);
    }
    if (n == st->n_args && args[n].type == DB_END)
        return ERR_OK;
    log_error("database statement called with a wrong number of parameters", LOG_STR("sql", st->sql));
    return ERR_DB;
}

static void put_row(sqlite3_stmt *handle, struct db_rows *rows)
{
    int cols = sqlite3_column_count(handle);
    for (int i = 0; i < cols; i++) {
        bool is_null = sqlite3_column_type(handle, i) == SQLITE_NULL;
        const char *text = (const char *)sqlite3_column_text(handle, i);
        if (text == NULL && !is_null)
            mem_none();
        db_rows_put(rows, (size_t)cols, text, (size_t)sqlite3_column_bytes(handle, i));
    }
}

static enum err step(struct sqlite *db, const struct statement *st, struct db_rows *rows)
{
    int rc;
    while ((rc = sqlite3_step(st->handle)) == SQLITE_ROW)
        if (rows != NULL)
            put_row(st->handle, rows);
    return rc == SQLITE_DONE ? ERR_OK : fail(db, rc, st->sql);
}

static enum err run(struct db_conn *conn, const char *sql, const struct db_arg *args, struct db_rows *rows,
                    int64_t *changed)
{
    struct sqlite *db = sqlite_of(conn);
    struct statement *st = NULL;
    TRY(prepare(db, sql, &st));
    sqlite3_int64 before = sqlite3_total_changes64(db->handle);
    enum err e = bind(db, st, args);
    if (e == ERR_OK)
        e = step(db, st, rows);
    /* sqlite3_changes64() alone would repeat the count of an earlier statement after one that changed nothing */
    if (e == ERR_OK && changed != NULL)
        *changed = sqlite3_total_changes64(db->handle) == before ? 0 : sqlite3_changes64(db->handle);
    sqlite3_reset(st->handle);
    sqlite3_clear_bindings(st->handle);
    return e;
}

static enum err script(struct db_conn *conn, const char *sql)
{
    struct sqlite *db = sqlite_of(conn);
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : fail(db, rc, sql);
}

/* The write lock is taken at once: a transaction that began by reading could not wait for it without a deadlock. */
static enum err begin(struct db_conn *conn)
{
    return run(conn, "BEGIN IMMEDIATE", DB_ARGS(), NULL, NULL);
}

static void rollback(struct db_conn *conn)
{
    /* a full disk or an I/O error may have ended the transaction already */
    if (sqlite3_get_autocommit(sqlite_of(conn)->handle))
        return;
    if (run(conn, "ROLLBACK", DB_ARGS(), NULL, NULL) != ERR_OK)
        conn->lost = true;
}

static enum err commit(struct db_conn *conn)
{
    enum err e = run(conn, "COMMIT", DB_ARGS(), NULL, NULL);
    if (e != ERR_OK)
        rollback(conn);
    return e;
}

static bool is_open(struct db_conn *conn)
{
    return !sqlite3_get_autocommit(sqlite_of(conn)->handle);
}

static bool is_alive(struct db_conn *conn)
{
    return !conn->lost;
}

/* There is nobody who could say anything. */
static enum err listen_to(struct db_conn *conn, const char *channel)
{
    (void)conn, (void)channel;
    return ERR_OK;
}

static enum err wait_for(struct db_conn *conn, int wake_fd, int ms)
{
    (void)conn;
    (void)poll(&(struct pollfd){.fd = wake_fd, .events = POLLIN}, 1, ms);
    return ERR_OK;
}

/* The number changes with every commit of another connection, of this process or of any other. */
static enum err is_quiet(struct db_conn *conn, bool *out)
{
    struct sqlite *db = sqlite_of(conn);
    AUTO(db_rows_free) struct db_rows *rows = db_rows_new();
    TRY(run(conn, "PRAGMA data_version", DB_ARGS(), rows, NULL));
    int64_t version = db_rows_next(rows) ? db_rows_int(rows, 0) : 0;
    *out = version != 0 && version == db->data_version;
    db->data_version = version;
    return ERR_OK;
}

static void close_conn(struct db_conn **conn)
{
    struct sqlite *db = sqlite_of(*conn);
    struct statement *st;
    struct statement *next;
    HASH_ITER(hh, db->statements, st, next)
    {
        HASH_DEL(db->statements, st);
        statement_free(&st);
    }
    sqlite3_close(db->handle);
    free(db);
    *conn = NULL;
}

/* The process-wide counters cost a global lock at each allocation. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/*
 * Make the file if it is missing: SQLite itself would make it readable for everybody, and gives its own files beside it
 * the mode of this one. An existing file is not opened here, as closing it would drop the locks that SQLite holds on it
 * in this process.
 */
static enum err make_file(const char *path, char *why, size_t why_size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) {
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
        return ERR_DB_UNREACHABLE;
    }
    if (fd >= 0)
        close(fd);
    return ERR_OK;
}

/* The first value that a setting's statement gives, "" for none. */
static int setting_run(sqlite3 *handle, const char *sql, char *value, size_t value_size)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(handle, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    snprintf(value, value_size, "%s", rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : "");
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? SQLITE_DONE : rc;
}

/* SQLite does not wait for the lock when two processes turn WAL on at the same time. */
static int setting_apply(sqlite3 *handle, const char *sql, char *value, size_t value_size)
{
    int64_t limit = clock_mono_ns() + (int64_t)db_limits.wait * 1000000;
    int rc;
    while (((rc = setting_run(handle, sql, value, value_size)) & 0xff) == SQLITE_BUSY && clock_mono_ns() < limit)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return rc;
}

static enum err configure_conn(sqlite3 *handle, const char *path, char *why, size_t why_size)
{
    sqlite3_busy_timeout(handle, db_limits.wait);
    /* "x" is a name and never a text, as in PostgreSQL */
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        char value[32];
        int rc = setting_apply(handle, settings[i].sql, value, sizeof value);
        if (rc != SQLITE_DONE) {
            snprintf(why, why_size, "%s: %s", path, sqlite3_errmsg(handle));
            return ERR_DB_UNREACHABLE;
        }
        if (settings[i].want != NULL && strcmp(value, settings[i].want) != 0) {
            snprintf(why, why_size, "%s: %s gives \"%s\"", path, settings[i].sql, value);
            return ERR_DB_UNREACHABLE;
        }
    }
    if (sqlite3_db_readonly(handle, "main") == 0)
        return ERR_OK;
    snprintf(why, why_size, "%s: the file cannot be written", path);
    return ERR_DB_UNREACHABLE;
}

static enum err open_handle(struct sqlite *db, const char *path, char *why, size_t why_size)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (rc == SQLITE_OK)
        return configure_conn(db->handle, path, why, why_size);
    int reason = sqlite3_system_errno(db->handle);
    snprintf(why, why_size, "%s: %s", path, reason != 0 ? strerror(reason) : sqlite3_errmsg(db->handle));
    return ERR_DB_UNREACHABLE;
}

static enum err open_conn(const char *url, char *why, size_t why_size, struct db_conn **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    const char *path = url + strlen("sqlite:");
    if (*path == '\0' || strcmp(path, ":memory:") == 0) {
        snprintf(why, why_size, "the database address sqlite: needs the path of a file");
        return ERR_DB_URL;
    }
    TRY(make_file(path, why, why_size));
    struct sqlite *db = mem_calloc(1, sizeof *db);
    struct db_conn *conn = &db->conn;
    enum err e = open_handle(db, path, why, why_size);
    if (e != ERR_OK) {
        close_conn(&conn);
        return e;
    }
    *out = conn;
    return ERR_OK;
}

const struct db_engine db_sqlite_engine = {
    .name = "sqlite",
    .in_process = true,
    .one_writer = true,
    .open = open_conn,
    .close = close_conn,
    .is_alive = is_alive,
    .run = run,
    .script = script,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .is_open = is_open,
    .listen = listen_to,
    .wait = wait_for,
    .is_quiet = is_quiet,
};
