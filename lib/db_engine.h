/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_DB_ENGINE_H
#define LIB_DB_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/* What lib/db.c and its drivers agree on. Included by lib/db*.c and by tests, by nobody else. */

/* Parameters of a statement at most. */
#define DB_ARGS_MAX 32

/* One connection, used by one thread at a time. A driver's own struct begins with it. */
struct db_conn {
    struct db_conn *next; /* the pool's */
    bool lost;            /* set by the driver: of no use any more, to be closed */
};

struct db_engine {
    const char *name;
    bool in_process; /* an answer needs no other process */
    bool one_writer; /* writes of this process wait in line for each other, and commit together */

    /* As db_open(), for one connection. */
    enum err (*open)(const char *url, char *why, size_t why_size, struct db_conn **out);
    void (*close)(struct db_conn **conn);

    /* Whether an idle connection is still good, as far as can be told without waiting. */
    bool (*is_alive)(struct db_conn *conn);

    /* Run one statement, as db_query(). rows and changed may be NULL. */
    enum err (*run)(struct db_conn *conn, const char *sql, const struct db_arg *args, struct db_rows *rows,
                    int64_t *changed);

    /* As run(), in a transaction of its own that is as those of begin(). Only of engines with several writers. */
    enum err (*write)(struct db_conn *conn, const char *sql, const struct db_arg *args, struct db_rows *rows,
                      int64_t *changed);

    /* As db_script(). */
    enum err (*script)(struct db_conn *conn, const char *sql);

    /* A transaction that sees and leaves a state as if no other ran at the same time. commit() ends it in any case. */
    enum err (*begin)(struct db_conn *conn);
    enum err (*commit)(struct db_conn *conn);
    void (*rollback)(struct db_conn *conn);

    /* Whether the transaction is still there: some errors end it. Only of engines with one writer. */
    bool (*is_open)(struct db_conn *conn);

    /* For lib/feed.h. is_quiet() is about what was committed since it was last called, by others than conn. */
    enum err (*listen)(struct db_conn *conn, const char *channel);
    enum err (*wait)(struct db_conn *conn, int wake_fd, int ms);
    enum err (*is_quiet)(struct db_conn *conn, bool *out);
};

extern const struct db_engine db_sqlite_engine;
extern const struct db_engine db_postgres_engine;

/* Bounds on waiting, in milliseconds. Constant, but for tests that shorten them before db_open(). */
extern struct db_limits {
    int wait;  /* for a free connection, for a lock; also how long a transaction is repeated */
    int reply; /* for the answer to one statement */
} db_limits;

/* Make a connection to db's database that is not the pool's; the caller closes it. ERR_DB_UNREACHABLE, not logged */
enum err db_connect(struct db *db, const struct db_engine **engine, struct db_conn **out);

/* An empty result. */
struct db_rows *db_rows_new(void);
void db_rows_clear(struct db_rows *rows);

/* Append one value of a row of cols columns: len bytes of text, or SQL's NULL when text is NULL. */
void db_rows_put(struct db_rows *rows, size_t cols, const char *text, size_t len);

#endif
