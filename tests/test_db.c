/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/db.h"
#include "lib/db_engine.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "tests/support.h"

static struct db *open_pool(const char *url, size_t size)
{
    char why[256] = "";
    struct db *db = NULL;
    ck_assert_msg(db_open(url, size, why, sizeof why, &db) == ERR_OK, "%s", why);
    return db;
}

/* A database with an empty table t and its child c. */
static struct db *open_table(int engine, size_t size)
{
    struct db *db = open_pool(support_db_url(engine), size);
    ck_ok(db_script(db, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, s TEXT, n BIGINT);"
                        "CREATE TABLE c (id TEXT NOT NULL PRIMARY KEY, t_id TEXT NOT NULL REFERENCES t (id));"));
    return db;
}

static int64_t query_int(struct db *db, const char *sql)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

static const char insert[] = "INSERT INTO t (id, s, n) VALUES ($1, $2, $3)";
static const char insert_child[] = "INSERT INTO c (id, t_id) VALUES ($1, $2)";
static const char count[] = "SELECT COUNT(*) FROM t";

static enum err put(struct db *db, const char *id, int64_t n)
{
    return db_exec(db, insert, DB_ARGS(db_text(id), db_null(), db_int(n)), NULL);
}

static void check_round_trip(struct db *db, struct db_arg text, struct db_arg num)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_exec(db, "DELETE FROM t", DB_ARGS(), NULL));
    ck_ok(db_exec(db, insert, DB_ARGS(db_text("x"), text, num), NULL));
    ck_ok(db_query(db, "SELECT s, n FROM t WHERE id = $1", DB_ARGS(db_text("x")), &rows));
    ck_assert(db_rows_next(rows));
    ck_assert_pstr_eq(db_rows_text(rows, 0), text.text);
    ck_assert_int_eq(db_rows_int(rows, 1), num.num);
    ck_assert_int_eq(db_rows_is_null(rows, 0), text.type == DB_NULL);
    ck_assert_int_eq(db_rows_is_null(rows, 1), num.type == DB_NULL);
}

START_TEST(values_come_back_as_they_went_in)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    AUTO(mem_free) char *big = mem_calloc((1 << 20) + 1, 1);
    memset(big, 'x', 1 << 20);
    check_round_trip(db, db_null(), db_null());
    check_round_trip(db, db_text(""), db_int(0));
    check_round_trip(db, db_text("it's \"quoted\" \\ $1 ? :a -- ; DROP TABLE t"), db_int(-1));
    check_round_trip(db, db_text("line\nand \t\x01\x7f"), db_int(INT64_MAX));
    check_round_trip(db, db_text("Zoë 日本 \xf0\x9f\x94\x91"), db_int(INT64_MIN));
    check_round_trip(db, db_text(big), db_int(1));
    check_round_trip(db, db_text(NULL), db_int(7));
}
END_TEST

START_TEST(parameters_are_found_by_their_number)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, "SELECT CAST($3 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($1 AS TEXT)",
                   DB_ARGS(db_text("a"), db_text("b"), db_text("c")), &rows));
    ck_assert(db_rows_next(rows));
    ck_assert_str_eq(db_rows_text(rows, 0), "c");
    ck_assert_str_eq(db_rows_text(rows, 1), "a");
    ck_assert_str_eq(db_rows_text(rows, 2), "b");
    ck_assert_str_eq(db_rows_text(rows, 3), "a");
}
END_TEST

START_TEST(a_parameter_may_be_null_in_one_call_and_set_in_the_next)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    static const char sql[] = "INSERT INTO t (id, s, n) VALUES ($1, $2, $3 + 1)";
    ck_ok(db_exec(db, sql, DB_ARGS(db_text("a"), db_null(), db_null()), NULL));
    ck_ok(db_exec(db, sql, DB_ARGS(db_text("b"), db_text("s"), db_int(5000000000)), NULL));
    ck_ok(db_exec(db, sql, DB_ARGS(db_text("c"), db_text("s"), db_null()), NULL));
    ck_ok(db_exec(db, sql, DB_ARGS(db_text("d"), db_null(), db_int(-5000000000)), NULL));
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM t WHERE n IS NULL"), 2);
    ck_assert_int_eq(query_int(db, "SELECT n FROM t WHERE id = 'b'"), 5000000001);
    ck_assert_int_eq(query_int(db, "SELECT n FROM t WHERE id = 'd'"), -4999999999);
}
END_TEST

START_TEST(a_wrong_number_of_parameters_is_an_error)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    support_log_capture();
    struct db_arg many[DB_ARGS_MAX + 2];
    for (size_t i = 0; i <= DB_ARGS_MAX; i++)
        many[i] = db_text("x");
    many[DB_ARGS_MAX + 1] = (struct db_arg){.type = DB_END};
    ck_err(db_exec(db, insert, DB_ARGS(), NULL), ERR_DB);
    ck_err(db_exec(db, insert, DB_ARGS(db_text("a"), db_null()), NULL), ERR_DB);
    /* PostgreSQL overlooks one that is never used */
    if (_i == 0)
        ck_err(db_exec(db, insert, DB_ARGS(db_text("a"), db_null(), db_int(1), db_int(2)), NULL), ERR_DB);
    ck_err(db_exec(db, insert, many, NULL), ERR_DB);
    ck_err(db_exec(db, "INSERT INTO t (id) VALUES ($2)", DB_ARGS(db_text("a")), NULL), ERR_DB);
    ck_ok(put(db, "a", 1));
    ck_assert_int_eq(query_int(db, count), 1);
}
END_TEST

START_TEST(rows_end_where_they_end)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    AUTO(db_rows_free) struct db_rows *none = NULL;
    AUTO(db_rows_free) struct db_rows *two = NULL;
    ck_ok(db_query(db, "SELECT id, n FROM t ORDER BY id", DB_ARGS(), &none));
    ck_assert_uint_eq(db_rows_count(none), 0);
    ck_assert(!db_rows_next(none));
    ck_ok(put(db, "a", 1));
    ck_ok(put(db, "b", 2));
    ck_ok(db_query(db, "SELECT id, n FROM t ORDER BY id", DB_ARGS(), &two));
    ck_assert_uint_eq(db_rows_count(two), 2);
    ck_assert_ptr_null(db_rows_text(two, 0));
    ck_assert(db_rows_next(two));
    ck_assert_str_eq(db_rows_text(two, 0), "a");
    ck_assert_str_eq(db_rows_text(two, 1), "1");
    ck_assert(db_rows_next(two));
    ck_assert_int_eq(db_rows_int(two, 1), 2);
    ck_assert_ptr_null(db_rows_text(two, 2));
    ck_assert(!db_rows_next(two));
    ck_assert(!db_rows_next(two));
}
END_TEST

START_TEST(many_rows_fit)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db,
                   "WITH RECURSIVE k (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < 20000) SELECT n FROM k",
                   DB_ARGS(), &rows));
    ck_assert_uint_eq(db_rows_count(rows), 20000);
    int64_t sum = 0;
    while (db_rows_next(rows))
        sum += db_rows_int(rows, 0);
    ck_assert_int_eq(sum, 20000LL * 20001 / 2);
}
END_TEST

START_TEST(a_comparison_is_0_or_1)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    ck_assert_int_eq(query_int(db, "SELECT 2 > 1"), 1);
    ck_assert_int_eq(query_int(db, "SELECT EXISTS (SELECT 1 FROM t)"), 0);
}
END_TEST

START_TEST(changes_are_counted)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    int64_t n = -1;
    ck_ok(db_exec(db, insert, DB_ARGS(db_text("a"), db_null(), db_int(1)), &n));
    ck_assert_int_eq(n, 1);
    ck_ok(put(db, "b", 1));
    ck_ok(db_exec(db, "UPDATE t SET n = n + $1 WHERE n = $2", DB_ARGS(db_int(1), db_int(1)), &n));
    ck_assert_int_eq(n, 2);
    ck_ok(db_exec(db, "SELECT id FROM t", DB_ARGS(), &n));
    ck_assert_int_eq(n, 0);
    ck_ok(db_exec(db, "UPDATE t SET n = 0 WHERE id = 'nobody'", DB_ARGS(), &n));
    ck_assert_int_eq(n, 0);
    ck_ok(db_exec(db, "DELETE FROM t", DB_ARGS(), &n));
    ck_assert_int_eq(n, 2);
    ck_ok(db_exec(db, "CREATE TABLE u (id TEXT)", DB_ARGS(), &n));
    ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(a_conflict_is_seen_without_an_error)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    int64_t n = -1;
    ck_ok(put(db, "a", 1));
    ck_ok(db_exec(db, "INSERT INTO t (id, n) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
                  DB_ARGS(db_text("a"), db_int(2)), &n));
    ck_assert_int_eq(n, 0);
    ck_ok(db_query(db,
                   "INSERT INTO t (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n "
                   "RETURNING id, n",
                   DB_ARGS(db_text("a"), db_int(41)), &rows));
    ck_assert(db_rows_next(rows));
    ck_assert_str_eq(db_rows_text(rows, 0), "a");
    ck_assert_int_eq(db_rows_int(rows, 1), 42);
}
END_TEST

START_TEST(errors_are_told_apart_and_logged)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(put(db, "a", 1));
    support_log_capture();
    ck_err(put(db, "a", 1), ERR_DB);
    ck_err(db_query(db, "SELEC 1", DB_ARGS(), &rows), ERR_DB);
    ck_err(db_query(db, "SELECT 1 FROM missing", DB_ARGS(), &rows), ERR_SCHEMA_OLD);
    ck_err(db_exec(db, insert_child, DB_ARGS(db_text("c"), db_text("nobody")), NULL), ERR_DB_RETRY);
    ck_err(db_script(db, "INSERT INTO t (id) VALUES ('b'); SELEC 1"), ERR_DB);
    ck_assert_ptr_null(rows);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "SELEC 1"));
    ck_assert_ptr_nonnull(strstr(log, "syntax error"));
    ck_ok(db_ping(db));
}
END_TEST

struct plan {
    struct db *db;
    enum err end;     /* what the function returns */
    int runs;         /* how often it ran */
    int lose;         /* return ERR_DB_RETRY this often first */
    const char *fail; /* a statement that fails and whose error is swallowed */
};

static enum err put_by_plan(struct db *tx, void *arg)
{
    struct plan *plan = arg;
    if (++plan->runs <= plan->lose)
        return ERR_DB_RETRY;
    TRY(put(tx, "tx", plan->runs));
    if (plan->fail != NULL)
        (void)db_exec(tx, plan->fail, DB_ARGS(), NULL);
    return plan->end;
}

START_TEST(a_transaction_commits)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    ck_ok(db_tx(db, put_by_plan, &(struct plan){.end = ERR_OK}));
    ck_assert_int_eq(query_int(db, count), 1);
}
END_TEST

START_TEST(an_error_rolls_back_and_comes_through)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    struct plan plan = {.end = ERR_EMAIL_TAKEN};
    ck_err(db_tx(db, put_by_plan, &plan), ERR_EMAIL_TAKEN);
    ck_assert_int_eq(plan.runs, 1);
    ck_assert_int_eq(query_int(db, count), 0);
}
END_TEST

START_TEST(a_swallowed_statement_error_does_not_commit)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    support_log_capture();
    ck_err(db_tx(db, put_by_plan, &(struct plan){.fail = "SELEC 1"}), ERR_DB);
    ck_err(db_tx(db, put_by_plan, &(struct plan){.fail = "INSERT INTO t (id) VALUES ('tx')"}), ERR_DB);
    ck_assert_int_eq(query_int(db, count), 0);
    ck_ok(db_tx(db, put_by_plan, &(struct plan){.end = ERR_OK}));
    ck_assert_int_eq(query_int(db, count), 1);
}
END_TEST

static enum err fail_then_read(struct db *tx, void *arg)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    enum err *second = arg;
    ck_err(db_exec(tx, "SELEC 1", DB_ARGS(), NULL), ERR_DB);
    *second = db_query(tx, count, DB_ARGS(), &rows);
    return ERR_OK;
}

START_TEST(nothing_runs_after_a_failed_statement)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    support_log_capture();
    enum err second = ERR_OK;
    ck_err(db_tx(db, fail_then_read, &second), ERR_DB);
    ck_err(second, ERR_DB);
}
END_TEST

START_TEST(a_lost_race_is_repeated)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    struct plan plan = {.lose = 2};
    ck_ok(db_tx(db, put_by_plan, &plan));
    ck_assert_int_eq(plan.runs, 3);
    ck_assert_int_eq(query_int(db, "SELECT n FROM t"), 3);
}
END_TEST

START_TEST(a_race_is_given_up_after_ten_attempts)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    struct plan plan = {.fail = "INSERT INTO c (id, t_id) VALUES ('c', 'nobody')"};
    support_log_capture();
    ck_err(db_tx(db, put_by_plan, &plan), ERR_DB_RETRY);
    ck_assert_int_eq(plan.runs, 10);
    ck_assert_int_eq(query_int(db, count), 0);
}
END_TEST

static enum err nest(struct db *tx, void *arg)
{
    return db_tx(tx, put_by_plan, arg);
}

START_TEST(transactions_do_not_nest)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    support_log_capture();
    struct plan plan = {.end = ERR_OK};
    ck_err(db_tx(db, nest, &plan), ERR_INTERNAL);
    ck_assert_int_eq(plan.runs, 0);
}
END_TEST

static enum err run_script(struct db *tx, void *arg)
{
    TRY(db_script(tx, "CREATE TABLE made (id TEXT); INSERT INTO made (id) VALUES ('x');\n-- the end\n"));
    return *(enum err *)arg;
}

START_TEST(a_script_is_part_of_its_transaction)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    support_log_capture();
    enum err end = ERR_CONFIG;
    ck_err(db_tx(db, run_script, &end), ERR_CONFIG);
    ck_err(db_query(db, "SELECT id FROM made", DB_ARGS(), &rows), ERR_SCHEMA_OLD);
    end = ERR_OK;
    ck_ok(db_tx(db, run_script, &end));
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM made"), 1);
}
END_TEST

/* Writes inside the transaction are seen by it and by nobody else. */
static enum err compare_views(struct db *tx, void *arg)
{
    struct plan *plan = arg;
    TRY(put(tx, "tx", 1));
    ck_assert_int_eq(query_int(tx, count), 1);
    ck_assert_int_eq(query_int(plan->db, count), 0);
    return ERR_OK;
}

START_TEST(a_transaction_is_invisible_until_it_commits)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    struct plan plan = {.db = db};
    ck_ok(db_tx(db, compare_views, &plan));
    ck_assert_int_eq(query_int(db, count), 1);
}
END_TEST

static enum err put_beside(struct db *tx, void *arg)
{
    (void)tx;
    return put(((struct plan *)arg)->db, "beside", 1);
}

START_TEST(waiting_for_a_turn_to_write_is_bounded)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    support_log_capture();
    db_limits.wait = 100;
    int64_t start = clock_mono_ms();
    bool has_one_writer = strcmp(db_engine(db), "sqlite") == 0;
    ck_err(db_tx(db, put_beside, &(struct plan){.db = db}), has_one_writer ? ERR_DB_RETRY : ERR_DB_UNREACHABLE);
    ck_assert_int_ge(clock_mono_ms() - start, 100);
    ck_assert_int_lt(clock_mono_ms() - start, 3000);
    ck_ok(db_ping(db));
    ck_assert_int_eq(query_int(db, count), 0);
}
END_TEST

static void *put_in_thread(void *arg)
{
    ck_ok(put(arg, "thread", 1));
    return NULL;
}

struct helper {
    struct db *db;
    pthread_t thread;
};

static enum err start_helper(struct db *tx, void *arg)
{
    struct helper *helper = arg;
    ck_assert_int_eq(pthread_create(&helper->thread, NULL, put_in_thread, helper->db), 0);
    return put(tx, "tx", 1);
}

START_TEST(a_statement_waits_for_a_connection)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    struct helper helper = {.db = db};
    ck_ok(db_tx(db, start_helper, &helper));
    pthread_join(helper.thread, NULL);
    ck_assert_int_eq(query_int(db, count), 2);
}
END_TEST

static enum err query_promptly(struct db *tx, void *arg)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    (void)tx;
    return db_query(arg, count, DB_ARGS(), &rows);
}

START_TEST(who_may_not_wait_is_answered_at_once_or_sent_away)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    bool at_once = strcmp(db_engine(db), "sqlite") == 0;
    ck_ok(put(db, "x", 1));
    ck_err(db_query(db_prompt(db), count, DB_ARGS(), &rows), at_once ? ERR_OK : ERR_WOULD_BLOCK);
    ck_assert(!at_once || (db_rows_next(rows) && db_rows_int(rows, 0) == 1));

    ck_err(put(db_prompt(db), "y", 1), ERR_WOULD_BLOCK);
    ck_err(db_tx(db_prompt(db), query_promptly, db), ERR_WOULD_BLOCK);
    AUTO(db_rows_free) struct db_rows *none = NULL;
    ck_err(db_write(db_prompt(db), "INSERT INTO t (id) VALUES ('z') RETURNING n", DB_ARGS(), &none), ERR_WOULD_BLOCK);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(query_int(db, count), 1);
}
END_TEST

START_TEST(a_second_program_shares_the_database)
{
    const char *url = support_db_url(_i);
    AUTO(db_free) struct db *server = open_pool(url, 2);
    AUTO(db_free) struct db *cli = open_pool(url, 1);
    ck_ok(db_script(server, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, s TEXT, n BIGINT)"));
    ck_ok(put(cli, "a", 1));
    ck_assert_int_eq(query_int(server, count), 1);
    struct helper helper = {.db = cli};
    ck_ok(db_tx(server, start_helper, &helper));
    pthread_join(helper.thread, NULL);
    ck_assert_int_eq(query_int(server, count), 3);
    ck_assert_int_eq(query_int(cli, count), 3);
}
END_TEST

static enum err read_and_add(struct db *tx, void *arg)
{
    (void)arg;
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(tx, "SELECT n FROM t WHERE id = 'counter'", DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_exec(tx, "UPDATE t SET n = $1 WHERE id = 'counter'", DB_ARGS(db_int(db_rows_int(rows, 0) + 1)), NULL);
}

static void *add_200(void *arg)
{
    for (int i = 0; i < 200; i++)
        ck_ok(db_tx(arg, read_and_add, NULL));
    return NULL;
}

static void in_threads(void *(*fn)(void *), void *const args[], size_t n)
{
    pthread_t threads[8];
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fn, args[i]), 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(concurrent_transactions_lose_no_update)
{
    AUTO(db_free) struct db *db = open_table(_i, 4);
    ck_ok(put(db, "counter", 0));
    in_threads(add_200, (void *[]){db, db}, 2);
    ck_assert_int_eq(query_int(db, "SELECT n FROM t"), 400);
}
END_TEST

struct crowd {
    struct db *db;
    atomic_bool inside; /* the other thread is in a transaction */
    atomic_bool done;
    int runs;
};

static enum err go_inside(struct db *tx, void *arg)
{
    struct crowd *crowd = arg;
    crowd->inside = true;
    enum err e = db_ping(tx);
    crowd->inside = false;
    return e;
}

static void *crowd_in(void *arg)
{
    struct crowd *crowd = arg;
    while (!crowd->done)
        ck_ok(db_tx(crowd->db, go_inside, crowd));
    return NULL;
}

static enum err lose_until_alone(struct db *tx, void *arg)
{
    struct crowd *crowd = arg;
    if (++crowd->runs < 6)
        return ERR_DB_RETRY;
    for (int i = 0; i < 300; i++) {
        ck_ok(db_ping(tx));
        ck_assert(!crowd->inside);
    }
    return ERR_OK;
}

START_TEST(a_transaction_that_lost_five_times_runs_alone)
{
    AUTO(db_free) struct db *db = open_table(_i, 4);
    struct crowd crowd = {.db = db};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, crowd_in, &crowd), 0);
    ck_ok(db_tx(db, lose_until_alone, &crowd));
    crowd.done = true;
    pthread_join(thread, NULL);
    ck_assert_int_eq(crowd.runs, 6);
}
END_TEST

static enum err put_if_empty(struct db *tx, void *arg)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(tx, count, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0) == 0 ? put(tx, arg, 1) : ERR_OK;
}

struct racer {
    struct db *db;
    pthread_barrier_t *barrier;
    char id[8];
};

static void *race_for_the_only_row(void *arg)
{
    struct racer *racer = arg;
    for (int round = 0; round < 50; round++) {
        pthread_barrier_wait(racer->barrier);
        ck_ok(db_tx(racer->db, put_if_empty, racer->id));
        if (pthread_barrier_wait(racer->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            ck_assert_int_eq(query_int(racer->db, count), 1);
            ck_ok(db_exec(racer->db, "DELETE FROM t", DB_ARGS(), NULL));
        }
        pthread_barrier_wait(racer->barrier);
    }
    return NULL;
}

START_TEST(what_a_transaction_counted_is_still_true_when_it_commits)
{
    AUTO(db_free) struct db *db = open_table(_i, 4);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    struct racer one = {db, &barrier, "one"};
    struct racer two = {db, &barrier, "two"};
    in_threads(race_for_the_only_row, (void *[]){&one, &two}, 2);
    pthread_barrier_destroy(&barrier);
}
END_TEST

/* The row is made, or its number goes up by one. */
static const char count_up[] = "INSERT INTO t (id, n) VALUES ($1, 1) "
                               "ON CONFLICT (id) DO UPDATE SET n = t.n + 1 RETURNING n";

START_TEST(a_write_returns_its_rows)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    for (int64_t want = 1; want <= 3; want++) {
        AUTO(db_rows_free) struct db_rows *rows = NULL;
        ck_ok(db_write(db, count_up, DB_ARGS(db_text("x")), &rows));
        ck_assert_uint_eq(db_rows_count(rows), 1);
        ck_assert(db_rows_next(rows));
        ck_assert_int_eq(db_rows_int(rows, 0), want);
    }
    ck_assert_int_eq(query_int(db, "SELECT n FROM t"), 3);
}
END_TEST

START_TEST(a_write_that_fails_changes_nothing_and_harms_nobody)
{
    static const char two[] = "INSERT INTO c (id, t_id) VALUES ('a', 'x'), ('b', $1) RETURNING id";
    AUTO(db_free) struct db *db = open_table(_i, 1);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    support_log_capture();
    db_limits.wait = 100;
    ck_ok(put(db, "x", 1));
    ck_err(db_write(db, "INSERT INTO t (id) VALUES ($1)", DB_ARGS(db_text("x")), &rows), ERR_DB);
    ck_assert_int_ne(db_write(db, two, DB_ARGS(db_text("nobody")), &rows), ERR_OK);
    ck_assert_ptr_null(rows);
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM c"), 0);
    ck_ok(db_write(db, two, DB_ARGS(db_text("x")), &rows));
    ck_assert_uint_eq(db_rows_count(rows), 2);
    ck_ok(put(db, "y", 1));
}
END_TEST

static enum err count_up_and_fail(struct db *tx, void *arg)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    (void)arg;
    ck_ok(db_write(tx, count_up, DB_ARGS(db_text("x")), &rows));
    ck_assert_uint_eq(db_rows_count(rows), 1);
    return ERR_BUSY;
}

START_TEST(a_write_is_part_of_its_transaction)
{
    AUTO(db_free) struct db *db = open_table(_i, 2);
    ck_err(db_tx(db, count_up_and_fail, NULL), ERR_BUSY);
    ck_assert_int_eq(query_int(db, count), 0);
}
END_TEST

static void *count_up_often(void *arg)
{
    int64_t before = 0;
    for (int i = 0; i < 50; i++) {
        AUTO(db_rows_free) struct db_rows *rows = NULL;
        ck_ok(db_write(arg, count_up, DB_ARGS(db_text("x")), &rows));
        ck_assert_uint_eq(db_rows_count(rows), 1);
        ck_assert(db_rows_next(rows));
        ck_assert_int_gt(db_rows_int(rows, 0), before);
        before = db_rows_int(rows, 0);
    }
    return NULL;
}

START_TEST(writes_at_the_same_time_are_all_counted)
{
    AUTO(db_free) struct db *db = open_table(_i, 4);
    in_threads(count_up_often, (void *[]){db, db, db}, 3);
    ck_assert_int_eq(query_int(db, "SELECT n FROM t"), 150);
}
END_TEST

START_TEST(a_ping_answers)
{
    AUTO(db_free) struct db *db = open_table(_i, 1);
    ck_ok(db_ping(db));
    ck_assert_str_eq(db_engine(db), _i == 0 ? "sqlite" : "postgresql");
}
END_TEST

START_TEST(other_addresses_are_refused)
{
    static const char *const urls[] = {"", "mongodb://localhost", "sqlite", "postgresql:", "/var/lib/mintd.db"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char why[128] = "";
        struct db *db = NULL;
        ck_err(db_open(urls[i], 1, why, sizeof why, &db), ERR_DB_URL);
        ck_assert_ptr_nonnull(strstr(why, "must start with sqlite: or postgresql://"));
        ck_assert_ptr_null(db);
    }
    struct db *none = NULL;
    db_free(&none);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        values_come_back_as_they_went_in,
        parameters_are_found_by_their_number,
        a_parameter_may_be_null_in_one_call_and_set_in_the_next,
        a_wrong_number_of_parameters_is_an_error,
        rows_end_where_they_end,
        many_rows_fit,
        a_comparison_is_0_or_1,
        changes_are_counted,
        a_conflict_is_seen_without_an_error,
        errors_are_told_apart_and_logged,
        a_transaction_commits,
        an_error_rolls_back_and_comes_through,
        a_swallowed_statement_error_does_not_commit,
        nothing_runs_after_a_failed_statement,
        a_lost_race_is_repeated,
        a_race_is_given_up_after_ten_attempts,
        transactions_do_not_nest,
        a_script_is_part_of_its_transaction,
        a_transaction_is_invisible_until_it_commits,
        waiting_for_a_turn_to_write_is_bounded,
        a_statement_waits_for_a_connection,
        who_may_not_wait_is_answered_at_once_or_sent_away,
        a_second_program_shares_the_database,
        concurrent_transactions_lose_no_update,
        a_transaction_that_lost_five_times_runs_alone,
        what_a_transaction_counted_is_still_true_when_it_commits,
        a_write_returns_its_rows,
        a_write_that_fails_changes_nothing_and_harms_nobody,
        a_write_is_part_of_its_transaction,
        writes_at_the_same_time_are_all_counted,
        a_ping_answers,
    };
    Suite *s = suite_create("db");
    TCase *tc = tcase_create("db");
    for (size_t i = 0; i < sizeof on_both / sizeof *on_both; i++)
        tcase_add_loop_test(tc, on_both[i], 0, SUPPORT_ENGINES);
    tcase_add_test(tc, other_addresses_are_refused);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    support_fork(); /* its threads check for themselves, which ends a process */
    return support_main(suite());
}
