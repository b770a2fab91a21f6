/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_DB_H
#define LIB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * One database behind one SQL text, on SQLite or PostgreSQL. Columns are TEXT or BIGINT; parameters are $1, $2 ...
 *
 * A struct db stands for either the database (a pool of connections: each statement runs on its own, any thread may
 * call) or, inside db_tx(), for the transaction. Functions that take one work in both.
 */
struct db;

/* One parameter. */
struct db_arg {
    enum { DB_END, DB_TEXT, DB_INT, DB_NULL } type;
    const char *text;
    int64_t num;
};

/* A text parameter, borrowed for the call; NULL is SQL's NULL. */
static inline struct db_arg db_text(const char *text)
{
    return (struct db_arg){.type = text != NULL ? DB_TEXT : DB_NULL, .text = text};
}

static inline struct db_arg db_int(int64_t num)
{
    return (struct db_arg){.type = DB_INT, .num = num};
}

static inline struct db_arg db_null(void)
{
    return (struct db_arg){.type = DB_NULL};
}

/* The parameters of a statement: DB_ARGS(db_text(id), db_int(now)). */
#define DB_ARGS(...) ((const struct db_arg[]){__VA_ARGS__ __VA_OPT__(, ){.type = DB_END}})

/*
 * Open a database.
 *   url        "sqlite:PATH" (made when missing, mode 0600; WAL, synchronous=FULL) or "postgresql://..." (libpq's URI)
 *   pool_size  connections at most; a statement waits for a free one, 5 s at most (ERR_DB_UNREACHABLE)
 *   why        receives one line for the operator on failure, without the password of the URL
 * ERR_DB_URL, ERR_DB_UNREACHABLE
 */
enum err db_open(const char *url, size_t pool_size, char *why, size_t why_size, struct db **out);
void db_free(struct db **db);

/* "sqlite" or "postgresql". */
const char *db_engine(const struct db *db);

/* A statement's result, all of it in memory. Values are borrowed from it. */
struct db_rows;
void db_rows_free(struct db_rows **rows);

/* Step to the next row, at first to row one; false behind the last. */
bool db_rows_next(struct db_rows *rows);

/* Column col of the current row; NULL for SQL's NULL. */
const char *db_rows_text(const struct db_rows *rows, size_t col);

/* Column col as an integer; 0 for SQL's NULL. */
int64_t db_rows_int(const struct db_rows *rows, size_t col);
bool db_rows_is_null(const struct db_rows *rows, size_t col);

/* Rows in the result. */
size_t db_rows_count(const struct db_rows *rows);

/*
 * Run a statement and keep its rows. sql must outlive the database (a literal): statements are prepared once per
 * connection and found again by its address.
 * ERR_DB_UNREACHABLE: no connection (it is made again at the next call). ERR_DB_RETRY: busy, deadlock, serialization
 * failure or a foreign key that a racing transaction broke. ERR_SCHEMA_OLD: a table that it names is missing. ERR_DB:
 * anything else, logged with the engine's message.
 */
enum err db_query(struct db *db, const char *sql, const struct db_arg *args, struct db_rows **out);

/* Run a statement without result rows; changed (may be NULL) receives how many rows it wrote. Errors as db_query(). */
enum err db_exec(struct db *db, const char *sql, const struct db_arg *args, int64_t *changed);

/*
 * Run a statement that writes as a transaction of its own, repeated as db_tx() when it loses a race, and keep the rows
 * that it returns: one round trip, where db_tx() needs one for each step. Inside a transaction it is part of that.
 */
enum err db_write(struct db *db, const char *sql, const struct db_arg *args, struct db_rows **out);

/* Run a script of several statements without parameters; it may take any time, as a migration. Errors as db_query(). */
enum err db_script(struct db *db, const char *sql);

/*
 * Run fn in a transaction: commit when it returns ERR_OK, else roll back and return its error. Transactions are
 * serializable: what fn read is still true when it commits. After a statement that failed nothing more is run, and
 * nothing is committed even if fn returns ERR_OK.
 * A transaction that lost a race (ERR_DB_RETRY from fn, a statement or
 * the commit) is repeated from the start, up to 10 times and 5 s with a growing, random pause, so fn may run more than
 * once. Everything that fn writes is durable when this returns ERR_OK. Transactions do not nest (ERR_INTERNAL). A
 * statement on db itself, inside fn, stands outside of the transaction and needs a connection of its own.
 */
enum err db_tx(struct db *db, enum err (*fn)(struct db *tx, void *arg), void *arg);

/*
 * The same database, for threads that must not wait: what would wait gives ERR_WOULD_BLOCK and has done nothing. That
 * is all that writes, everything where the database is another process, and elsewhere what finds no connection idle. A
 * query that SQLite answers by a key takes some microseconds, less than waking another thread to ask it.
 * Owned by the database.
 */
struct db *db_prompt(struct db *db);

/* One round trip to the database, for health checks. ERR_DB_UNREACHABLE */
enum err db_ping(struct db *db);

#endif
