/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/db_engine.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/mem.h"

/* Type numbers of the server's catalogue. 0 lets it infer the type. */
enum { OID_INFERRED = 0, OID_BOOL = 16, OID_INT8 = 20, OID_TEXT = 25 };

/*
 * A statement is prepared once for each combination of argument types that it is called with. So a NULL, whose type the
 * server must infer, gives the same result whether it comes first or after an integer.
 */
struct statement_key {
    const char *sql; /* the address counts */
    uint64_t types;  /* two bits an argument */
};

struct statement {
    struct statement_key key;
    char name[24];
    UT_hash_handle hh;
};

struct postgres {
    struct db_conn conn;
    PGconn *handle;
    uint64_t n_prepared;
    struct statement *statements;
};

/* The arguments of a call as libpq takes them. */
struct params {
    int n;
    uint64_t types;
    Oid oids[DB_ARGS_MAX];
    const char *values[DB_ARGS_MAX];
    char digits[DB_ARGS_MAX][24];
};

static const struct {
    const char *state; /* SQLSTATE, or the first two characters of a class */
    enum err e;
} states[] = {
    {"40001", ERR_DB_RETRY},       /* serialization failure */
    {"40P01", ERR_DB_RETRY},       /* deadlock */
    {"55P03", ERR_DB_RETRY},       /* lock not available */
    {"23503", ERR_DB_RETRY},       /* foreign key */
    {"42P01", ERR_SCHEMA_OLD},     /* no such table */
    {"08P01", ERR_DB},             /* protocol violation: a wrong number of parameters */
    {"08", ERR_DB_UNREACHABLE},    /* connection */
    {"57P01", ERR_DB_UNREACHABLE}, /* shutdown, or an administrator ended the session */
    {"57P02", ERR_DB_UNREACHABLE},
    {"57P03", ERR_DB_UNREACHABLE}, /* starting up */
};

/* Bounds and durability, where neither the address nor the server's configuration has set something as strong. */
static const char session_settings[] =
    "SELECT set_config(name, strong, false)"
    "  FROM (VALUES ('statement_timeout', '0', '10s'), ('lock_timeout', '0', '5s'),"
    "               ('idle_in_transaction_session_timeout', '0', '30s'), ('synchronous_commit', 'off', 'on'))"
    "       AS want (setting, weak, strong)"
    "  JOIN pg_catalog.pg_settings ON name = want.setting AND pg_settings.setting = weak";

static struct postgres *postgres_of(struct db_conn *conn)
{
    return (struct postgres *)conn;
}

/* libpq's messages have several lines. */
static void one_line(char *out, size_t size, const char *text)
{
    size_t len = 0;
    for (; *text != '\0' && len + 1 < size; text++)
        out[len++] = *text == '\n' || *text == '\t' ? ' ' : *text;
    while (len > 0 && out[len - 1] == ' ')
        len--;
    out[len] = '\0';
}

static enum err lost(struct postgres *db, const char *error)
{
    char line[256];
    one_line(line, sizeof line, error);
    log_warn("database connection lost", LOG_STR("engine", "postgresql"), LOG_STR("error", line));
    db->conn.lost = true;
    return ERR_DB_UNREACHABLE;
}

/* IF NOT EXISTS does not see what an uncommitted transaction makes: the second comer then meets one of these errors. */
static bool is_creation_race(const PGresult *result, const char *state, const char *sql)
{
    const char *schema = log_str(PQresultErrorField(result, PG_DIAG_SCHEMA_NAME));
    bool is_catalogue = strcmp(state, "23505") == 0 && strcmp(schema, "pg_catalog") == 0;
    bool is_there = strcmp(state, "42P07") == 0 || strcmp(state, "42710") == 0; /* as a table, as its row type */
    return (is_catalogue || is_there) && strstr(sql, "IF NOT EXISTS") != NULL;
}

static enum err state_err(const PGresult *result, const char *state, const char *sql)
{
    if (is_creation_race(result, state, sql))
        return ERR_DB_RETRY;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
            return states[i].e;
    return ERR_DB;
}

/*
 * What a failed result means. Only the first part of its message is logged: the detail has the row's values. Without a
 * state it is libpq that failed, for want of memory as a rule: what the server did nobody knows, nor what it says next.
 */
static enum err fail(struct postgres *db, const PGresult *result, const char *sql)
{
    const char *state = log_str(PQresultErrorField(result, PG_DIAG_SQLSTATE));
    const char *error = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (error == NULL)
        error = PQresultErrorMessage(result);
    enum err e = state_err(result, state, sql);
    if (*state == '\0' || e == ERR_DB_UNREACHABLE || PQstatus(db->handle) == CONNECTION_BAD)
        return lost(db, error);
    if (e == ERR_DB_RETRY)
        log_debug("database statement lost a race", LOG_STR("error", error), LOG_STR("sql", sql));
    else if (e == ERR_SCHEMA_OLD)
        log_debug("a database table is missing", LOG_STR("error", error));
    else
        log_error("database statement failed", LOG_STR("engine", "postgresql"), LOG_STR("error", error),
                  LOG_STR("code", state), LOG_STR("sql", sql));
    return e;
}

/* Send what waits to be sent and read what there is, until libpq has a result or the limit (< 0: none) is reached. */
static enum err pump(struct postgres *db, int64_t limit_ns)
{
    for (;;) {
        int unsent = PQflush(db->handle);
        if (unsent < 0 || PQconsumeInput(db->handle) == 0)
            return lost(db, PQerrorMessage(db->handle));
        if (unsent == 0 && !PQisBusy(db->handle))
            return ERR_OK;
        struct pollfd fd = {.fd = PQsocket(db->handle), .events = (short)(unsent ? POLLIN | POLLOUT : POLLIN)};
        int64_t left = limit_ns < 0 ? -1 : (limit_ns - clock_mono_ns()) / 1000000;
        if (limit_ns >= 0 && left <= 0)
            return lost(db, "no answer in time");
        (void)poll(&fd, 1, (int)left);
    }
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY ||
           status == PGRES_PIPELINE_ABORTED; /* the step before it failed, and says why */
}

static void result_free(PGresult **result)
{
    PQclear(*result);
    *result = NULL;
}

/* Wait for all results of what was sent. The first bad one decides; out (may be NULL) receives the last one. */
static enum err collect(struct postgres *db, const char *sql, int limit_ms, PGresult **out)
{
    int64_t limit_ns = limit_ms < 0 ? -1 : clock_mono_ns() + (int64_t)limit_ms * 1000000;
    AUTO(result_free) PGresult *last = NULL;
    enum err e = ERR_OK;
    for (;;) {
        TRY(pump(db, limit_ns));
        PGresult *result = PQgetResult(db->handle);
        if (result == NULL)
            break;
        result_free(&last);
        last = result;
        if (!is_good(result) && e == ERR_OK)
            e = fail(db, result, sql);
    }
    if (e == ERR_OK && out != NULL)
        *out = MOVE(last);
    return e;
}

/* Run text that has no parameters. */
static enum err command(struct postgres *db, const char *sql, int limit_ms, PGresult **out)
{
    if (PQsendQuery(db->handle, sql) == 0)
        return lost(db, PQerrorMessage(db->handle));
    return collect(db, sql, limit_ms, out);
}

static void params_add(struct params *params, const struct db_arg *arg)
{
    static const Oid oids[] = {[DB_TEXT] = OID_TEXT, [DB_INT] = OID_INT8, [DB_NULL] = OID_INFERRED};
    int i = params->n++;
    params->oids[i] = oids[arg->type];
    params->types |= (uint64_t)arg->type << (2 * i);
    params->values[i] = arg->type == DB_TEXT ? arg->text : NULL;
    if (arg->type != DB_INT)
        return;
    snprintf(params->digits[i], sizeof params->digits[i], "%" PRId64, arg->num);
    params->values[i] = params->digits[i];
}

static enum err params_set(struct params *params, const char *sql, const struct db_arg *args)
{
    params->n = 0;
    params->types = 0;
    for (; args->type != DB_END; args++) {
        if (params->n == DB_ARGS_MAX) {
            log_error("database statement called with too many parameters", LOG_STR("sql", sql));
            return ERR_DB;
        }
        params_add(params, args);
    }
    return ERR_OK;
}

static enum err prepare(struct postgres *db, const char *sql, const struct params *params, const char **name)
{
    struct statement_key key;
    memset(&key, 0, sizeof key);
    key.sql = sql;
    key.types = params->types;
    struct statement *st = NULL;
    HASH_FIND(hh, db->statements, &key, sizeof key, st);
    if (st == NULL) {
        char fresh[sizeof st->name];
        snprintf(fresh, sizeof fresh, "s%" PRIu64, ++db->n_prepared);
        if (PQsendPrepare(db->handle, fresh, sql, params->n, params->oids) == 0)
            return lost(db, PQerrorMessage(db->handle));
        TRY(collect(db, sql, db_limits.reply, NULL));
        st = mem_calloc(1, sizeof *st);
        st->key = key;
        memcpy(st->name, fresh, sizeof fresh);
        HASH_ADD(hh, db->statements, key, sizeof key, st);
    }
    *name = st->name;
    return ERR_OK;
}

/* A boolean becomes 0 or 1, as it is in SQLite. */
static void put_value(const PGresult *result, int row, int col, struct db_rows *rows)
{
    const char *text = PQgetisnull(result, row, col) ? NULL : PQgetvalue(result, row, col);
    size_t len = (size_t)PQgetlength(result, row, col);
    if (text != NULL && PQftype(result, col) == OID_BOOL)
        text = *text == 't' ? "1" : "0";
    db_rows_put(rows, (size_t)PQnfields(result), text, len);
}

static void put_rows(const PGresult *result, struct db_rows *rows)
{
    int cols = PQnfields(result);
    int n = PQntuples(result);
    for (int row = 0; row < n; row++)
        for (int col = 0; col < cols; col++)
            put_value(result, row, col, rows);
}

/* A SELECT's tag counts the rows that it read, which are none that it wrote. */
static int64_t changes(PGresult *result)
{
    if (strncmp(PQcmdStatus(result), "SELECT", strlen("SELECT")) == 0)
        return 0;
    return strtoll(PQcmdTuples(result), NULL, 10);
}

static void report(PGresult *result, struct db_rows *rows, int64_t *changed)
{
    if (rows != NULL)
        put_rows(result, rows);
    if (changed != NULL)
        *changed = changes(result);
}

static enum err run(struct db_conn *conn, const char *sql, const struct db_arg *args, struct db_rows *rows,
                    int64_t *changed)
{
    struct postgres *db = postgres_of(conn);
    struct params params;
    const char *name = NULL;
    TRY(params_set(&params, sql, args));
    TRY(prepare(db, sql, &params, &name));
    if (PQsendQueryPrepared(db->handle, name, params.n, params.values, NULL, NULL, 0) == 0)
        return lost(db, PQerrorMessage(db->handle));
    AUTO(result_free) PGresult *result = NULL;
    TRY(collect(db, sql, db_limits.reply, &result));
    report(result, rows, changed);
    return ERR_OK;
}

/* A migration may take as long as it needs. Outside a transaction the first command does nothing but warn. */
static enum err script(struct db_conn *conn, const char *sql)
{
    TRY(command(postgres_of(conn), "SET LOCAL statement_timeout = 0", db_limits.reply, NULL));
    return command(postgres_of(conn), sql, -1, NULL);
}

/* The same guarantee that SQLite's single writer gives. */
static const char begin_sql[] = "BEGIN ISOLATION LEVEL SERIALIZABLE";
static const char commit_sql[] = "COMMIT";

static enum err begin(struct db_conn *conn)
{
    return command(postgres_of(conn), begin_sql, db_limits.reply, NULL);
}

static void rollback(struct db_conn *conn)
{
    if (!conn->lost && command(postgres_of(conn), "ROLLBACK", db_limits.reply, NULL) != ERR_OK)
        conn->lost = true;
}

static enum err commit(struct db_conn *conn)
{
    AUTO(result_free) PGresult *result = NULL;
    enum err e = command(postgres_of(conn), commit_sql, db_limits.reply, &result);
    /* the server answers the COMMIT of a failed transaction with a cheerful ROLLBACK */
    if (e == ERR_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        log_error("the database rolled back what should be committed", LOG_STR("engine", "postgresql"));
        return ERR_DB;
    }
    return e;
}

/* One step of those that are sent together. */
struct step {
    const char *sql;
    const char *name;
    const struct params *params;
};

static bool send_steps(struct postgres *db, const struct step *steps, size_t n)
{
    bool sent = PQenterPipelineMode(db->handle) != 0;
    for (size_t i = 0; sent && i < n; i++)
        sent = PQsendQueryPrepared(db->handle, steps[i].name, steps[i].params->n, steps[i].params->values, NULL, NULL,
                                   0) != 0;
    return sent && PQpipelineSync(db->handle) != 0;
}

/* The results in turn, and the mark behind them; behind a bad one none of the others counts. */
static enum err collect_steps(struct postgres *db, const struct step *steps, size_t n, PGresult **results)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < n && !db->conn.lost; i++) {
        enum err of_step = collect(db, steps[i].sql, db_limits.reply, &results[i]);
        e = e == ERR_OK ? of_step : e;
    }
    if (db->conn.lost)
        return e;
    TRY(pump(db, clock_mono_ns() + (int64_t)db_limits.reply * 1000000));
    AUTO(result_free) PGresult *mark = PQgetResult(db->handle);
    if (PQresultStatus(mark) != PGRES_PIPELINE_SYNC || PQexitPipelineMode(db->handle) == 0)
        return lost(db, PQerrorMessage(db->handle));
    return e;
}

static enum err write_steps(struct postgres *db, const struct step *steps, PGresult **results)
{
    if (!send_steps(db, steps, 3))
        return lost(db, PQerrorMessage(db->handle));
    enum err e = collect_steps(db, steps, 3, results);
    if (e != ERR_OK)
        rollback(&db->conn);
    return e;
}

static enum err run_write(struct db_conn *conn, const char *sql, const struct db_arg *args, struct db_rows *rows,
                          int64_t *changed)
{
    struct postgres *db = postgres_of(conn);
    struct params params;
    struct params none = {0};
    struct step steps[] = {{begin_sql, NULL, &none}, {sql, NULL, &params}, {commit_sql, NULL, &none}};
    PGresult *results[3] = {NULL};
    TRY(params_set(&params, sql, args));
    for (size_t i = 0; i < 3; i++)
        TRY(prepare(db, steps[i].sql, steps[i].params, &steps[i].name));
    enum err e = write_steps(db, steps, results);
    if (e == ERR_OK)
        report(results[1], rows, changed);
    for (size_t i = 0; i < 3; i++)
        result_free(&results[i]);
    return e;
}

/* A server that went away has closed the connection, and the kernel knows. */
static bool is_alive(struct db_conn *conn)
{
    struct postgres *db = postgres_of(conn);
    struct pollfd fd = {.fd = PQsocket(db->handle), .events = POLLIN | POLLRDHUP};
    if (conn->lost || poll(&fd, 1, 0) < 0 || (fd.revents & ~POLLIN) != 0)
        return false;
    return fd.revents == 0 || (PQconsumeInput(db->handle) != 0 && PQstatus(db->handle) == CONNECTION_OK);
}

static enum err listen_to(struct db_conn *conn, const char *channel)
{
    AUTO(mem_free) char *sql = mem_printf("LISTEN %s", channel);
    return command(postgres_of(conn), sql, db_limits.reply, NULL);
}

static bool has_notice(struct postgres *db)
{
    PGnotify *notice = PQnotifies(db->handle);
    bool is_one = notice != NULL;
    for (; notice != NULL; notice = PQnotifies(db->handle))
        PQfreemem(notice);
    return is_one;
}

/* A notice may have come in with the answer to a statement. */
static enum err wait_for(struct db_conn *conn, int wake_fd, int ms)
{
    struct postgres *db = postgres_of(conn);
    if (has_notice(db))
        return ERR_OK;
    struct pollfd fds[] = {{.fd = PQsocket(db->handle), .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    (void)poll(fds, sizeof fds / sizeof *fds, ms);
    if (PQconsumeInput(db->handle) == 0)
        return lost(db, PQerrorMessage(db->handle));
    (void)has_notice(db);
    return ERR_OK;
}

/* The server would have to be asked, which is what the caller is about to do. */
static enum err is_quiet(struct db_conn *conn, bool *out)
{
    (void)conn;
    *out = false;
    return ERR_OK;
}

static void close_conn(struct db_conn **conn)
{
    struct postgres *db = postgres_of(*conn);
    struct statement *st;
    struct statement *next;
    HASH_ITER(hh, db->statements, st, next)
    {
        HASH_DEL(db->statements, st);
        free(st);
    }
    PQfinish(db->handle);
    free(db);
    *conn = NULL;
}

static void on_notice(void *arg, const PGresult *result)
{
    (void)arg;
    log_debug("database notice", LOG_STR("text", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
}

/*
 * libpq quotes what it cannot parse, and that may be a piece of the password: its message is cut before the quote. An
 * unescaped '@' or '/' in a password would make it parse, with the rest of the password as the host name that later
 * messages show.
 */
static enum err check_url(const char *url, char *why, size_t why_size)
{
    const char *authority = strstr(url, "://") + 3;
    size_t len = strcspn(authority, "/?");
    const char *at = memchr(authority, '@', len);
    const char *rest = at != NULL ? at + 1 : authority + len;
    const char *query = strchr(rest, '?');
    size_t rest_len = query != NULL ? (size_t)(query - rest) : strlen(rest);
    if (memchr(rest, '@', rest_len) != NULL) {
        snprintf(why, why_size,
                 "the database address has a stray @: write @ as %%40, / as %%2F, ? as %%3F in a password");
        return ERR_DB_URL;
    }
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &error);
    if (options == NULL) {
        char line[200];
        one_line(line, sizeof line, log_str(error));
        line[strcspn(line, ":\"")] = '\0';
        snprintf(why, why_size, "the database address cannot be parsed: %s", line);
    }
    enum err e = options == NULL ? ERR_DB_URL : ERR_OK;
    PQconninfoFree(options);
    PQfreemem(error);
    return e;
}

/* What stands before dbname can be overridden in the address, what stands behind it cannot. */
static PGconn *connect_handle(const char *url)
{
    const char *const keys[] = {"connect_timeout", "tcp_user_timeout", "fallback_application_name",
                                "dbname",          "client_encoding",  NULL};
    const char *const values[] = {"5", "15000", "mintd", url, "UTF8", NULL};
    return PQconnectdbParams(keys, values, 1);
}

static enum err setup(struct postgres *db, char *why, size_t why_size)
{
    if (PQstatus(db->handle) != CONNECTION_OK || PQsetnonblocking(db->handle, 1) != 0) {
        one_line(why, why_size, PQerrorMessage(db->handle));
        return ERR_DB_UNREACHABLE;
    }
    PQsetNoticeReceiver(db->handle, on_notice, NULL);
    if (command(db, session_settings, db_limits.reply, NULL) == ERR_OK)
        return ERR_OK;
    snprintf(why, why_size, "the database refuses the session's settings");
    return ERR_DB_UNREACHABLE;
}

static enum err open_conn(const char *url, char *why, size_t why_size, struct db_conn **out)
{
    TRY(check_url(url, why, why_size));
    struct postgres *db = mem_calloc(1, sizeof *db);
    struct db_conn *conn = &db->conn;
    db->handle = connect_handle(url);
    enum err e = setup(db, why, why_size);
    if (e != ERR_OK) {
        close_conn(&conn);
        return e;
    }
    *out = conn;
    return ERR_OK;
}

const struct db_engine db_postgres_engine = {
    .name = "postgresql",
    .open = open_conn,
    .close = close_conn,
    .is_alive = is_alive,
    .run = run,
    .script = script,
    .write = run_write,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .listen = listen_to,
    .wait = wait_for,
    .is_quiet = is_quiet,
};
