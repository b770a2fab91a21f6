/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/db.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/auto.h"
#include "lib/batch.h"
#include "lib/clock.h"
#include "lib/db_engine.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/rand.h"
#include "lib/thread.h"

METRICS_COUNTER(statements, "mintd_db_statements_total", "", "Statements given to the database.");
METRICS_COUNTER(commits, "mintd_db_commits_total", "", "Transactions committed; on SQLite several writes share one.");

struct db {
    struct pool *pool;
    bool is_prompt;       /* its statements give ERR_WOULD_BLOCK where they would wait */
    struct db_conn *conn; /* the transaction's; NULL: this is the database */
    enum err failed;      /* of the transaction's first failed statement: no other is run, and it cannot commit */
};

struct pool {
    const struct db_engine *engine;
    struct db prompt;
    char *url;
    size_t max;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t freed; /* a place for a connection */
    pthread_cond_t ended; /* a transaction */
    size_t open;          /* connections, in use or idle */
    struct db_conn *idle;
    size_t in_tx;           /* transactions that run */
    size_t want_alone;      /* transactions that wait until no other runs */
    bool alone;             /* the one that runs wants no other beside it */
    bool down;              /* the last attempt to connect failed, and that is in the log */
    struct batch writes;    /* where one writer is all there is: those who wait for their turn */
    struct db_conn *writer; /* theirs, beside the others: nobody else's commits make its cache stale */
};

static const int max_attempts = 10;

/* From this attempt on a transaction runs alone in this process, so that nobody can collide with it again. */
static const int lonely_attempt = 6;

struct db_limits db_limits = {.wait = 5000, .reply = 15000};

static const struct {
    const char *prefix;
    const struct db_engine *engine;
} engines[] = {
    {"sqlite:", &db_sqlite_engine},
    {"postgresql://", &db_postgres_engine},
    {"postgres://", &db_postgres_engine},
};

static const struct db_engine *find_engine(const char *url)
{
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        if (strncmp(url, engines[i].prefix, strlen(engines[i].prefix)) == 0)
            return engines[i].engine;
    return NULL;
}

static struct pool *pool_new(const struct db_engine *engine, const char *url, size_t max)
{
    struct pool *pool = mem_calloc(1, sizeof *pool);
    pool->engine = engine;
    pool->url = mem_strdup(url);
    pool->max = max > 0 ? max : 1;
    thread_cond_init(&pool->freed);
    thread_cond_init(&pool->ended);
    pthread_mutex_init(&pool->lock, NULL);
    batch_init(&pool->writes);
    return pool;
}

/* Give back a connection, or with NULL the place of one. */
static void pool_put(struct pool *pool, struct db_conn *conn)
{
    if (conn != NULL && conn->lost)
        pool->engine->close(&conn);
    pthread_mutex_lock(&pool->lock);
    if (conn != NULL) {
        conn->next = pool->idle;
        pool->idle = conn;
    } else {
        pool->open--;
    }
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

/* Say it once when the database goes away and once when it is back, not at each request between. */
static void pool_note(struct pool *pool, bool down, const char *why)
{
    pthread_mutex_lock(&pool->lock);
    bool changed = pool->down != down;
    pool->down = down;
    pthread_mutex_unlock(&pool->lock);
    if (changed && down)
        log_error("database unreachable", LOG_STR("engine", pool->engine->name), LOG_STR("error", why));
    else if (changed)
        log_info("database reachable again", LOG_STR("engine", pool->engine->name));
}

static enum err pool_connect(struct pool *pool, struct db_conn **out)
{
    char why[256] = "";
    enum err e = pool->engine->open(pool->url, why, sizeof why, out);
    pool_note(pool, e != ERR_OK, why);
    if (e != ERR_OK)
        pool_put(pool, NULL);
    return e;
}

/* Take an idle connection, or only the place for one (NULL). */
static enum err pool_take(struct pool *pool, struct db_conn **out)
{
    struct timespec limit = thread_limit(db_limits.wait);
    int rc = 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->idle == NULL && pool->open == pool->max && rc == 0)
        rc = pthread_cond_timedwait(&pool->freed, &pool->lock, &limit);
    bool full = pool->idle == NULL && pool->open == pool->max;
    struct db_conn *conn = pool->idle;
    if (conn != NULL)
        pool->idle = conn->next;
    else if (!full)
        pool->open++;
    pthread_mutex_unlock(&pool->lock);
    if (full) {
        log_warn("no database connection became free", LOG_INT("connections", pool->max));
        return ERR_DB_UNREACHABLE;
    }
    *out = conn;
    return ERR_OK;
}

static enum err pool_get(struct pool *pool, struct db_conn **out)
{
    struct db_conn *conn = NULL;
    TRY(pool_take(pool, &conn));
    if (conn != NULL && !pool->engine->is_alive(conn))
        pool->engine->close(&conn);
    if (conn == NULL)
        return pool_connect(pool, out);
    *out = conn;
    return ERR_OK;
}

/* For who may not wait: a connection that lies idle, of an engine that needs nobody else for its answer. */
static enum err pool_get_idle(struct pool *pool, struct db_conn **out)
{
    if (!pool->engine->in_process)
        return ERR_WOULD_BLOCK;
    pthread_mutex_lock(&pool->lock);
    struct db_conn *conn = pool->idle;
    if (conn != NULL)
        pool->idle = conn->next;
    pthread_mutex_unlock(&pool->lock);
    if (conn == NULL)
        return ERR_WOULD_BLOCK;
    *out = conn;
    return ERR_OK;
}

static bool tx_may_run(const struct pool *pool, bool alone)
{
    return alone ? pool->in_tx == 0 : !pool->alone && pool->want_alone == 0;
}

static enum err tx_enter(struct pool *pool, bool alone)
{
    struct timespec limit = thread_limit(db_limits.wait);
    int rc = 0;
    pthread_mutex_lock(&pool->lock);
    pool->want_alone += alone;
    while (!tx_may_run(pool, alone) && rc == 0)
        rc = pthread_cond_timedwait(&pool->ended, &pool->lock, &limit);
    pool->want_alone -= alone;
    bool entered = tx_may_run(pool, alone);
    if (entered) {
        pool->in_tx++;
        pool->alone = alone;
    } else {
        pthread_cond_broadcast(&pool->ended); /* nobody waits for this one any more */
    }
    pthread_mutex_unlock(&pool->lock);
    return entered ? ERR_OK : ERR_DB_RETRY;
}

static void tx_leave(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->in_tx--;
    pool->alone = false;
    pthread_cond_broadcast(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
}

enum err db_open(const char *url, size_t pool_size, char *why, size_t why_size, struct db **out)
{
    const struct db_engine *engine = find_engine(url);
    if (engine == NULL) {
        snprintf(why, why_size, "%s", err_text(ERR_DB_URL));
        return ERR_DB_URL;
    }
    struct db_conn *first = NULL;
    TRY(engine->open(url, why, why_size, &first));
    struct db *db = mem_calloc(1, sizeof *db);
    db->pool = pool_new(engine, url, pool_size);
    db->pool->prompt = (struct db){.pool = db->pool, .is_prompt = true};
    db->pool->open = 1;
    db->pool->idle = first;
    *out = db;
    return ERR_OK;
}

void db_free(struct db **db)
{
    if (*db == NULL)
        return;
    struct pool *pool = (*db)->pool;
    while (pool->idle != NULL) {
        struct db_conn *conn = pool->idle;
        pool->idle = conn->next;
        pool->engine->close(&conn);
    }
    if (pool->writer != NULL)
        pool->engine->close(&pool->writer);
    batch_release(&pool->writes);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->freed);
    pthread_cond_destroy(&pool->ended);
    mem_wipe(&pool->url);
    free(pool);
    free(*db);
    *db = NULL;
}

enum err db_connect(struct db *db, const struct db_engine **engine, struct db_conn **out)
{
    char why[256] = "";
    *engine = db->pool->engine;
    return db->pool->engine->open(db->pool->url, why, sizeof why, out);
}

struct db *db_prompt(struct db *db)
{
    return &db->pool->prompt;
}

const char *db_engine(const struct db *db)
{
    return db->pool->engine->name;
}

/* What is to be run on a connection, once or again. */
struct job {
    const char *sql;
    bool is_script; /* and then nothing of the rest is set */
    const struct db_arg *args;
    struct db_rows *rows;
    int64_t *changed;
};

static enum err run_on(const struct db_engine *engine, struct db_conn *conn, const struct job *job)
{
    metrics_add(&statements, 1);
    if (job->is_script)
        return engine->script(conn, job->sql);
    if (job->rows != NULL)
        db_rows_clear(job->rows);
    return engine->run(conn, job->sql, job->args, job->rows, job->changed);
}

static enum err run(struct db *db, const struct job *job)
{
    if (db->failed != ERR_OK)
        return db->failed;
    if (db->conn != NULL)
        return db->failed = run_on(db->pool->engine, db->conn, job);
    struct db_conn *conn = NULL;
    TRY(db->is_prompt ? pool_get_idle(db->pool, &conn) : pool_get(db->pool, &conn));
    enum err e = run_on(db->pool->engine, conn, job);
    pool_put(db->pool, conn);
    return e;
}

enum err db_query(struct db *db, const char *sql, const struct db_arg *args, struct db_rows **out)
{
    AUTO(db_rows_free) struct db_rows *rows = db_rows_new();
    TRY(run(db, &(struct job){.sql = sql, .args = args, .rows = rows}));
    *out = MOVE(rows);
    return ERR_OK;
}

enum err db_script(struct db *db, const char *sql)
{
    return run(db, &(struct job){.sql = sql, .is_script = true});
}

static enum err commit(struct pool *pool, struct db_conn *conn)
{
    metrics_add(&commits, 1);
    return pool->engine->commit(conn);
}

/* A transaction. A single statement is one by itself: then fn is run_job(). */
struct work {
    enum err (*fn)(struct db *tx, void *arg);
    void *arg;
    bool is_statement;
};

/* Somebody's work among those that commit together. */
struct write {
    struct batch_member member;
    const struct work *work;
    bool is_undone; /* because of somebody else's failure */
    enum err result;
};

/* A failed statement fails the whole, whatever fn makes of it; a collision is told as what it is. */
static enum err do_work(struct db *tx, const struct work *work)
{
    enum err e = work->fn(tx, work->arg);
    return e == ERR_OK || tx->failed == ERR_DB_RETRY ? tx->failed : e;
}

/* From BEGIN to COMMIT. */
static enum err run_tx(struct pool *pool, struct db_conn *conn, const struct work *work)
{
    TRY(pool->engine->begin(conn));
    enum err e = do_work(&(struct db){.pool = pool, .conn = conn}, work);
    if (e == ERR_OK)
        return commit(pool, conn);
    pool->engine->rollback(conn);
    return e;
}

/* Alone, nothing is between it and its commit. */
static enum err write_one(struct pool *pool, struct db_conn *conn, const struct work *work)
{
    if (work->is_statement)
        return work->fn(&(struct db){.pool = pool, .conn = conn}, work->arg);
    return run_tx(pool, conn, work);
}

/* Each in a savepoint, so that it can fail by itself. */
static enum err write_part(struct pool *pool, struct db_conn *conn, const struct work *work)
{
    const struct db_engine *engine = pool->engine;
    TRY(engine->run(conn, "SAVEPOINT part", DB_ARGS(), NULL, NULL));
    enum err e = do_work(&(struct db){.pool = pool, .conn = conn}, work);
    if (e != ERR_OK && engine->is_open(conn))
        (void)!engine->run(conn, "ROLLBACK TO part", DB_ARGS(), NULL, NULL);
    enum err released = engine->is_open(conn) ? engine->run(conn, "RELEASE part", DB_ARGS(), NULL, NULL) : ERR_OK;
    return e == ERR_OK ? released : e;
}

/* What was done for the others is undone: they may try again. */
static void spoil(struct batch_member *const *members, size_t n, enum err e)
{
    for (size_t i = 0; i < n; i++) {
        struct write *write = (struct write *)members[i];
        if (write->result != ERR_OK || e == ERR_OK)
            continue;
        write->result = e;
        write->is_undone = e == ERR_DB_RETRY;
    }
}

static void write_all(struct pool *pool, struct db_conn *conn, struct batch_member *const *members, size_t n)
{
    enum err e = pool->engine->begin(conn);
    spoil(members, n, e);
    for (size_t i = 0; e == ERR_OK && i < n; i++) {
        struct write *write = (struct write *)members[i];
        write->result = write_part(pool, conn, write->work);
        if (!pool->engine->is_open(conn))
            e = ERR_DB_RETRY;
    }
    if (e == ERR_OK)
        e = commit(pool, conn);
    spoil(members, n, e);
}

/* Who serves the writes is alone with their connection. */
static enum err open_writer(struct pool *pool)
{
    char why[256] = "";
    if (pool->writer != NULL && !pool->writer->lost)
        return ERR_OK;
    if (pool->writer != NULL)
        pool->engine->close(&pool->writer);
    enum err e = pool->engine->open(pool->url, why, sizeof why, &pool->writer);
    pool_note(pool, e != ERR_OK, why);
    return e;
}

static void serve_writes(struct batch_member *const *members, size_t n, void *arg)
{
    struct pool *pool = arg;
    enum err e = open_writer(pool);
    spoil(members, n, e);
    if (e != ERR_OK)
        return;
    struct write *only = (struct write *)members[0];
    if (n == 1)
        only->result = write_one(pool, pool->writer, only->work);
    else
        write_all(pool, pool->writer, members, n);
}

/* A transaction on an engine with one writer. */
static enum err write_together(struct pool *pool, const struct work *work)
{
    struct write write = {.work = work};
    bool was_served;
    int left = max_attempts;
    do {
        write.result = ERR_OK;
        write.is_undone = false;
        was_served = batch_run(&pool->writes, &write.member, db_limits.wait, serve_writes, pool);
    } while (was_served && write.is_undone && --left > 0);
    return was_served ? write.result : ERR_DB_RETRY;
}

static enum err run_job(struct db *tx, void *arg)
{
    return run(tx, arg);
}

enum err db_exec(struct db *db, const char *sql, const struct db_arg *args, int64_t *changed)
{
    if (db->is_prompt)
        return ERR_WOULD_BLOCK;
    struct job job = {.sql = sql, .args = args, .changed = changed};
    if (db->conn == NULL && db->pool->engine->one_writer)
        return write_together(db->pool, &(struct work){run_job, &job, .is_statement = true});
    return run(db, &job);
}

/* Where there are several writers: a statement and its commit go out as one. */
static enum err write_beside(struct pool *pool, struct db_conn *conn, const struct work *work)
{
    if (!work->is_statement)
        return run_tx(pool, conn, work);
    const struct job *job = work->arg;
    metrics_add(&statements, 1);
    metrics_add(&commits, 1);
    db_rows_clear(job->rows);
    return pool->engine->write(conn, job->sql, job->args, job->rows, job->changed);
}

static enum err attempt(struct pool *pool, bool alone, const struct work *work)
{
    if (pool->engine->one_writer)
        return write_together(pool, work);
    TRY(tx_enter(pool, alone));
    struct db_conn *conn = NULL;
    enum err e = pool_get(pool, &conn);
    if (e == ERR_OK) {
        e = write_beside(pool, conn, work);
        pool_put(pool, conn);
    }
    tx_leave(pool);
    return e;
}

/* Random, so that two that collided do not meet again; 1 to 2 ms at first, about 0.1 s in the end. */
static void pause_before(int repeat)
{
    uint16_t part;
    rand_bytes(&part, sizeof part);
    int64_t step = 1000000LL << (repeat < 7 ? repeat - 1 : 6);
    nanosleep(&(struct timespec){.tv_nsec = step + step * part / UINT16_MAX}, NULL);
}

static enum err repeat(struct db *db, const struct work *work)
{
    struct pool *pool = db->pool;
    if (db->is_prompt)
        return ERR_WOULD_BLOCK;
    int64_t limit = clock_mono_ns() + (int64_t)db_limits.wait * 1000000;
    enum err e = attempt(pool, false, work);
    for (int i = 1; e == ERR_DB_RETRY && i < max_attempts && clock_mono_ns() < limit; i++) {
        pause_before(i);
        e = attempt(pool, i + 1 >= lonely_attempt, work);
    }
    if (e == ERR_DB_RETRY)
        log_warn("a transaction was given up after repeated collisions", LOG_STR("engine", pool->engine->name));
    return e;
}

enum err db_tx(struct db *db, enum err (*fn)(struct db *tx, void *arg), void *arg)
{
    if (db->conn != NULL) {
        log_error("a transaction was begun inside a transaction", LOG_STR("engine", db_engine(db)));
        return ERR_INTERNAL;
    }
    return repeat(db, &(struct work){fn, arg, .is_statement = false});
}

enum err db_write(struct db *db, const char *sql, const struct db_arg *args, struct db_rows **out)
{
    if (db->conn != NULL)
        return db_query(db, sql, args, out);
    AUTO(db_rows_free) struct db_rows *rows = db_rows_new();
    struct job job = {.sql = sql, .args = args, .rows = rows};
    TRY(repeat(db, &(struct work){run_job, &job, .is_statement = true}));
    *out = MOVE(rows);
    return ERR_OK;
}

enum err db_ping(struct db *db)
{
    return run(db, &(struct job){.sql = "SELECT 1", .args = DB_ARGS()}) == ERR_OK ? ERR_OK : ERR_DB_UNREACHABLE;
}
