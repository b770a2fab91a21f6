/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/feed.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "tests/support.h"

enum { SQLITE, POSTGRES };

/* Nothing waits that long when all is well. */
#define PATIENCE_MS 10000

static struct db *db;
static struct feed *feed;
static int wake_fd;

static void begin(int engine)
{
    char why[256] = "";
    ck_assert_msg(db_open(support_db_url(engine), 2, why, sizeof why, &db) == ERR_OK, "%s", why);
    ck_ok(db_script(db, "CREATE TABLE things (id TEXT)"));
    ck_ok(feed_open(db, "test_feed", &feed));
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void finish(void)
{
    feed_free(&feed);
    ck_assert_ptr_null(feed);
    feed_free(&feed);
    db_free(&db);
    close(wake_fd);
}

/* How many things there are; -1: nothing was committed since the last question. */
static int64_t count(void)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(feed_query(feed, "SELECT COUNT(*) FROM things WHERE id <> $1", DB_ARGS(db_text("x")), &rows));
    if (rows == NULL)
        return -1;
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

static void insert(void)
{
    ck_ok(db_exec(db, "INSERT INTO things (id) VALUES ('a')", DB_ARGS(), NULL));
}

START_TEST(sees_what_others_commit)
{
    begin(_i);
    ck_assert_int_eq(count(), 0);
    for (int i = 1; i < 5; i++) {
        insert();
        ck_assert_int_eq(count(), i);
    }
    finish();
}
END_TEST

START_TEST(sqlite_is_not_asked_when_nothing_was_committed)
{
    begin(SQLITE);
    ck_assert_int_eq(count(), 0);
    ck_assert_int_eq(count(), -1);
    insert();
    ck_assert_int_eq(count(), 1);
    ck_assert_int_eq(count(), -1);
    finish();
}
END_TEST

START_TEST(sleeps_as_long_as_it_is_told)
{
    begin(_i);
    int64_t start = clock_mono_ms();
    ck_ok(feed_wait(feed, wake_fd, 50));
    ck_assert_int_ge(clock_mono_ms() - start, 49);
    ck_assert_int_lt(clock_mono_ms() - start, PATIENCE_MS);
    finish();
}
END_TEST

START_TEST(is_woken)
{
    begin(_i);
    ck_assert_int_eq(eventfd_write(wake_fd, 1), 0);
    int64_t start = clock_mono_ms();
    ck_ok(feed_wait(feed, wake_fd, PATIENCE_MS * 2));
    ck_assert_int_lt(clock_mono_ms() - start, PATIENCE_MS);
    finish();
}
END_TEST

static void notify(const char *sql)
{
    ck_ok(db_exec(db, sql, DB_ARGS(), NULL));
}

START_TEST(a_notice_wakes_it_also_one_that_came_with_an_answer)
{
    begin(POSTGRES);
    int64_t start = clock_mono_ms();
    notify("SELECT pg_notify('test_feed', '')");
    ck_ok(feed_wait(feed, wake_fd, PATIENCE_MS * 2));
    notify("SELECT pg_notify('test_feed', '')");
    ck_assert_int_eq(count(), 0);
    ck_ok(feed_wait(feed, wake_fd, PATIENCE_MS * 2));
    ck_assert_int_lt(clock_mono_ms() - start, PATIENCE_MS);

    start = clock_mono_ms();
    notify("SELECT pg_notify('another_channel', '')");
    ck_ok(feed_wait(feed, wake_fd, 50));
    ck_assert_int_ge(clock_mono_ms() - start, 49);
    finish();
}
END_TEST

START_TEST(a_lost_connection_is_an_error)
{
    begin(POSTGRES);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(feed_query(feed, "SELECT pg_backend_pid()", DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    ck_ok(db_exec(db, "SELECT pg_terminate_backend($1::int)", DB_ARGS(db_text(db_rows_text(rows, 0))), NULL));
    enum err e = ERR_OK;
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    while (e == ERR_OK && clock_mono_ms() < end)
        e = feed_wait(feed, wake_fd, 100);
    ck_err(e, ERR_DB_UNREACHABLE);
    AUTO(db_rows_free) struct db_rows *none = NULL;
    ck_err(feed_query(feed, "SELECT 1", DB_ARGS(), &none), ERR_DB_UNREACHABLE);
    ck_assert_ptr_null(none);
    feed_free(&feed);
    ck_ok(feed_open(db, "test_feed", &feed));
    ck_assert_int_eq(count(), 0);
    finish();
}
END_TEST

START_TEST(a_database_that_is_gone_is_an_error)
{
    char why[256] = "";
    const char *url = support_db_url(SQLITE);
    ck_ok(db_open(url, 2, why, sizeof why, &db));
    const char *path = url + strlen("sqlite:");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/nowhere/at/all.db", path), 0);
    ck_err(feed_open(db, "test_feed", &feed), ERR_DB_UNREACHABLE);
    ck_assert_ptr_null(feed);
    db_free(&db);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("feed");
    TCase *tc = tcase_create("feed");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    tcase_add_loop_test(tc, sees_what_others_commit, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, sleeps_as_long_as_it_is_told, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, is_woken, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, sqlite_is_not_asked_when_nothing_was_committed);
    tcase_add_test(tc, a_notice_wakes_it_also_one_that_came_with_an_answer);
    tcase_add_test(tc, a_lost_connection_is_an_error);
    tcase_add_test(tc, a_database_that_is_gone_is_an_error);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
