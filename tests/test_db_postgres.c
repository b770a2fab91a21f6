/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/db.h"
#include "lib/db_engine.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "tests/support.h"

enum { POSTGRES = 1 };

static struct db *open_pool(const char *url, size_t size)
{
    char why[256] = "";
    struct db *db = NULL;
    ck_assert_msg(db_open(url, size, why, sizeof why, &db) == ERR_OK, "%s", why);
    return db;
}

static char *query(struct db *db, const char *sql)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return mem_strdup(db_rows_text(rows, 0));
}

static void check_query(struct db *db, const char *sql, const char *want)
{
    AUTO(mem_free) char *got = query(db, sql);
    ck_assert_pstr_eq(got, want);
}

START_TEST(a_session_is_bounded_and_durable)
{
    AUTO(db_free) struct db *db = open_pool(support_db_url(POSTGRES), 1);
    check_query(db, "SHOW statement_timeout", "10s");
    check_query(db, "SHOW lock_timeout", "5s");
    check_query(db, "SHOW idle_in_transaction_session_timeout", "30s");
    check_query(db, "SHOW synchronous_commit", "on");
    check_query(db, "SHOW client_encoding", "UTF8");
    check_query(db, "SHOW application_name", "mintd");
}
END_TEST

START_TEST(the_address_may_set_other_bounds)
{
    AUTO(mem_free)
    char *url = mem_printf("%s%%20-cstatement_timeout%%3D7s%%20-csynchronous_commit%%3Doff"
                           "&application_name=other",
                           support_db_url(POSTGRES));
    AUTO(db_free) struct db *db = open_pool(url, 1);
    check_query(db, "SHOW statement_timeout", "7s");
    check_query(db, "SHOW application_name", "other");
    check_query(db, "SHOW synchronous_commit", "on");
}
END_TEST

static void check_refused(const char *url, enum err want, const char *text)
{
    char why[256] = "";
    struct db *db = NULL;
    support_log_capture();
    ck_err(db_open(url, 1, why, sizeof why, &db), want);
    ck_assert_ptr_null(db);
    AUTO(mem_free) char *log = support_log();
    ck_assert_msg(strstr(why, text) != NULL, "%s: %s", url, why);
    ck_assert_msg(strstr(why, "S3cret") == NULL, "%s: %s", url, why);
    ck_assert_msg(strstr(log, "S3cret") == NULL, "%s: %s", url, log);
}

START_TEST(a_bad_address_is_refused_without_the_password)
{
    check_refused("postgresql://u:S3cret@h:p0rt/db", ERR_DB_UNREACHABLE, "invalid integer value");
    check_refused("postgresql://u:S3cret%zz@h/db", ERR_DB_URL, "invalid percent-encoded token");
    check_refused("postgresql://u:S3cret@[::1/db", ERR_DB_URL, "end of string");
    check_refused("postgresql://u:S3cret@h/db?sslmodus=S3cret", ERR_DB_URL, "invalid URI query parameter");
    check_refused("postgresql://u:p@S3cret@h/db", ERR_DB_URL, "write @ as %40");
    check_refused("postgresql://u:p/S3cret@h/db", ERR_DB_URL, "write @ as %40");
    check_refused("postgres://u:p?S3cret/@h/db", ERR_DB_URL, "missing key/value separator");
}
END_TEST

START_TEST(an_unreachable_server_is_reported_without_the_password)
{
    const char *dir = support_dir();
    AUTO(mem_free) char *url = mem_printf("postgresql://u:S3cret@/db?host=%s", dir);
    AUTO(mem_free) char *query_url = mem_printf("postgresql:///db?host=%s&password=S3cret&user=u", dir);
    check_refused(url, ERR_DB_UNREACHABLE, "No such file or directory");
    check_refused(query_url, ERR_DB_UNREACHABLE, dir);
    check_refused("postgresql://u:S3cret@127.0.0.1:1/db", ERR_DB_UNREACHABLE, "Connection refused");
}
END_TEST

START_TEST(a_role_that_does_not_exist_is_reported)
{
    AUTO(mem_free) char *url = mem_printf("%s&user=nobody_here&password=S3cret", support_db_url(POSTGRES));
    check_refused(url, ERR_DB_UNREACHABLE, "nobody_here");
}
END_TEST

/* A server that accepts connections and says nothing. */
START_TEST(a_silent_server_is_given_up)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    AUTO(mem_free)
    char *url = mem_printf("postgresql://u:S3cret@127.0.0.1:%d/db?connect_timeout=2", ntohs(address.sin_port));
    int64_t start = clock_mono_ms();
    check_refused(url, ERR_DB_UNREACHABLE, "timeout expired");
    ck_assert_int_lt(clock_mono_ms() - start, 10000);
    close(fd);
}
END_TEST

START_TEST(a_long_statement_is_ended_by_the_server)
{
    AUTO(mem_free) char *url = mem_printf("%s%%20-cstatement_timeout%%3D100", support_db_url(POSTGRES));
    AUTO(db_free) struct db *db = open_pool(url, 1);
    support_log_capture();
    ck_err(db_exec(db, "SELECT pg_sleep(30)", DB_ARGS(), NULL), ERR_DB);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "statement timeout"));
    ck_ok(db_ping(db));
}
END_TEST

START_TEST(a_server_that_does_not_answer_is_given_up)
{
    AUTO(db_free) struct db *db = open_pool(support_db_url(POSTGRES), 1);
    support_log_capture();
    db_limits.reply = 200;
    int64_t start = clock_mono_ms();
    ck_err(db_exec(db, "SELECT pg_sleep(5)", DB_ARGS(), NULL), ERR_DB_UNREACHABLE);
    ck_assert_int_lt(clock_mono_ms() - start, 3000);
    ck_ok(db_ping(db));
}
END_TEST

static enum err sleep_in_script(struct db *tx, void *arg)
{
    (void)arg;
    return db_script(tx, "CREATE TABLE slow (id TEXT); SELECT pg_sleep(0.4)");
}

START_TEST(a_migration_may_take_longer)
{
    AUTO(mem_free) char *url = mem_printf("%s%%20-cstatement_timeout%%3D100", support_db_url(POSTGRES));
    AUTO(db_free) struct db *db = open_pool(url, 1);
    db_limits.reply = 200;
    ck_ok(db_tx(db, sleep_in_script, NULL));
}
END_TEST

/* End the sessions of an application, and wait until the server has forgotten them. */
static void kill_sessions(struct db *admin, const char *application)
{
    AUTO(db_rows_free) struct db_rows *killed = NULL;
    int64_t limit = clock_mono_ms() + 10000;
    int64_t left = 1;
    ck_ok(db_query(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
                   DB_ARGS(db_text(application)), &killed));
    ck_assert_uint_ge(db_rows_count(killed), 1);
    while (left > 0) {
        AUTO(db_rows_free) struct db_rows *rows = NULL;
        ck_assert_int_lt(clock_mono_ms(), limit);
        ck_ok(db_query(admin, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1",
                       DB_ARGS(db_text(application)), &rows));
        ck_assert(db_rows_next(rows));
        left = db_rows_int(rows, 0);
    }
}

struct pair {
    struct db *db;
    struct db *admin;
    char application[32];
    int runs;
};

static void pair_open(struct pair *pair)
{
    const char *url = support_db_url(POSTGRES);
    snprintf(pair->application, sizeof pair->application, "victim_%ld", (long)getpid());
    AUTO(mem_free) char *victim = mem_printf("%s&application_name=%s", url, pair->application);
    pair->db = open_pool(victim, 3);
    pair->admin = open_pool(url, 1);
    pair->runs = 0;
    ck_ok(db_script(pair->admin, "CREATE TABLE t (id TEXT)"));
}

static void pair_close(struct pair *pair)
{
    db_free(&pair->db);
    db_free(&pair->admin);
}

static enum err nothing(struct db *tx, void *arg)
{
    (void)tx;
    return db_ping(((struct pair *)arg)->db);
}

/* The kernel hears of the end of a session a moment after the server's catalogue has forgotten it. */
static void check_recovers(struct pair *pair)
{
    int failures = 0;
    while (db_ping(pair->db) != ERR_OK)
        ck_assert_int_lt(++failures, 4);
    ck_ok(db_ping(pair->db));
    ck_ok(db_exec(pair->db, "INSERT INTO t (id) VALUES ('x')", DB_ARGS(), NULL));
}

START_TEST(idle_connections_that_died_are_replaced)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    support_log_capture();
    ck_ok(db_tx(pair.db, nothing, &pair));
    kill_sessions(pair.admin, pair.application);
    check_recovers(&pair);
}
END_TEST

static enum err die_inside(struct db *tx, void *arg)
{
    struct pair *pair = arg;
    pair->runs++;
    TRY(db_exec(tx, "INSERT INTO t (id) VALUES ('lost')", DB_ARGS(), NULL));
    kill_sessions(pair->admin, pair->application);
    return db_exec(tx, "INSERT INTO t (id) VALUES ('lost too')", DB_ARGS(), NULL);
}

START_TEST(a_connection_that_dies_in_a_transaction_fails_it)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    support_log_capture();
    ck_err(db_tx(pair.db, die_inside, &pair), ERR_DB_UNREACHABLE);
    ck_assert_int_eq(pair.runs, 1);
    check_query(pair.admin, "SELECT count(*) FROM t", "0");
    check_recovers(&pair);
}
END_TEST

static enum err die_before_commit(struct db *tx, void *arg)
{
    struct pair *pair = arg;
    TRY(db_exec(tx, "INSERT INTO t (id) VALUES ('lost')", DB_ARGS(), NULL));
    kill_sessions(pair->admin, pair->application);
    return ERR_OK;
}

START_TEST(a_commit_without_connection_fails)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    support_log_capture();
    ck_err(db_tx(pair.db, die_before_commit, &pair), ERR_DB_UNREACHABLE);
    check_query(pair.admin, "SELECT count(*) FROM t", "0");
    check_recovers(&pair);
}
END_TEST

static enum err put_bad_text(struct db *tx, void *arg)
{
    return db_exec(tx, "INSERT INTO t (id) VALUES ($1)", DB_ARGS(db_text(arg)), NULL);
}

START_TEST(text_that_is_not_utf8_is_an_error)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    support_log_capture();
    char bad[] = "\xff\xfe\xc3(";
    ck_err(put_bad_text(pair.db, bad), ERR_DB);
    ck_err(db_tx(pair.db, put_bad_text, bad), ERR_DB);
    char good[] = "\xc3\xa9";
    ck_ok(db_tx(pair.db, put_bad_text, good));
    check_query(pair.admin, "SELECT id FROM t", good);
}
END_TEST

START_TEST(a_type_that_cannot_be_inferred_is_an_error_each_time)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    support_log_capture();
    static const char sql[] = "SELECT id FROM t WHERE $1 IS NULL";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    for (int i = 0; i < 2; i++) {
        ck_err(db_query(pair.db, sql, DB_ARGS(db_null()), &rows), ERR_DB);
        ck_ok(db_query(pair.db, sql, DB_ARGS(db_text("x")), &rows));
        db_rows_free(&rows);
    }
}
END_TEST

START_TEST(notices_are_for_debugging)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    support_log_capture();
    ck_ok(db_exec(pair.db, "CREATE TABLE IF NOT EXISTS t (id TEXT)", DB_ARGS(), NULL));
    AUTO(mem_free) char *quiet = support_log();
    ck_assert_str_eq(quiet, "");
    log_setup(LOG_DEBUG, LOG_TEXT);
    ck_ok(db_exec(pair.db, "CREATE TABLE IF NOT EXISTS t (id TEXT)", DB_ARGS(), NULL));
    AUTO(mem_free) char *loud = support_log();
    ck_assert_ptr_nonnull(strstr(loud, "already exists, skipping"));
}
END_TEST

START_TEST(values_of_rows_stay_out_of_the_log)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    ck_ok(db_script(pair.db, "CREATE UNIQUE INDEX t_id ON t (id)"));
    support_log_capture();
    char id[] = "private@example.com";
    ck_ok(put_bad_text(pair.db, id));
    ck_err(put_bad_text(pair.db, id), ERR_DB);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "duplicate key"));
    ck_assert_ptr_null(strstr(log, "private@"));
}
END_TEST

START_TEST(the_log_says_once_that_the_database_is_gone)
{
    AUTO(pair_close) struct pair pair;
    pair_open(&pair);
    support_log_capture();
    AUTO(mem_free) char *role = query(pair.admin, "SELECT current_schema()");
    AUTO(mem_free) char *create = mem_printf("CREATE ROLE %s LOGIN", role);
    ck_ok(db_script(pair.admin, create));
    AUTO(mem_free) char *url = mem_printf("%s&user=%s", support_db_url(POSTGRES), role);
    AUTO(db_free) struct db *db = open_pool(url, 1);
    AUTO(mem_free) char *lock = mem_printf("ALTER ROLE %s NOLOGIN", role);
    AUTO(mem_free) char *drop = mem_printf("DROP ROLE %s", role);
    AUTO(mem_free) char *unlock = mem_printf("ALTER ROLE %s LOGIN", role);
    ck_ok(db_script(pair.admin, lock));
    ck_ok(db_exec(pair.admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_schema()",
                  DB_ARGS(), NULL));
    for (int i = 0; i < 5; i++)
        ck_err(db_ping(db), ERR_DB_UNREACHABLE);
    ck_ok(db_script(pair.admin, unlock));
    ck_ok(db_ping(db));
    AUTO(mem_free) char *log = support_log();
    const char *gone = strstr(log, "database unreachable");
    ck_assert_ptr_nonnull(gone);
    ck_assert_ptr_null(strstr(gone + 1, "database unreachable"));
    ck_assert_ptr_nonnull(strstr(gone, "database reachable again"));
    db_free(&db);
    ck_ok(db_script(pair.admin, drop));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("db_postgres");
    TCase *tc = tcase_create("db_postgres");
    tcase_add_test(tc, a_session_is_bounded_and_durable);
    tcase_add_test(tc, the_address_may_set_other_bounds);
    tcase_add_test(tc, a_bad_address_is_refused_without_the_password);
    tcase_add_test(tc, an_unreachable_server_is_reported_without_the_password);
    tcase_add_test(tc, a_role_that_does_not_exist_is_reported);
    tcase_add_test(tc, a_silent_server_is_given_up);
    tcase_add_test(tc, a_long_statement_is_ended_by_the_server);
    tcase_add_test(tc, a_server_that_does_not_answer_is_given_up);
    tcase_add_test(tc, a_migration_may_take_longer);
    tcase_add_test(tc, idle_connections_that_died_are_replaced);
    tcase_add_test(tc, a_connection_that_dies_in_a_transaction_fails_it);
    tcase_add_test(tc, a_commit_without_connection_fails);
    tcase_add_test(tc, text_that_is_not_utf8_is_an_error);
    tcase_add_test(tc, a_type_that_cannot_be_inferred_is_an_error_each_time);
    tcase_add_test(tc, notices_are_for_debugging);
    tcase_add_test(tc, values_of_rows_stay_out_of_the_log);
    tcase_add_test(tc, the_log_says_once_that_the_database_is_gone);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
