/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/db.h"
#include "lib/db_engine.h"
#include "lib/mem.h"
#include "tests/support.h"

static struct db *open_file(const char *path, size_t size)
{
    AUTO(mem_free) char *url = mem_printf("sqlite:%s", path);
    char why[256] = "";
    struct db *db = NULL;
    ck_assert_msg(db_open(url, size, why, sizeof why, &db) == ERR_OK, "%s", why);
    return db;
}

static struct db *open_table(const char *path)
{
    struct db *db = open_file(path, 2);
    ck_ok(db_script(db, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, s TEXT)"));
    return db;
}

static void check_setting(struct db *db, const char *sql, const char *want)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    ck_assert_str_eq(db_rows_text(rows, 0), want);
}

static void check_settings(struct db *db)
{
    check_setting(db, "PRAGMA journal_mode", "wal");
    check_setting(db, "PRAGMA synchronous", "2");
    check_setting(db, "PRAGMA foreign_keys", "1");
    check_setting(db, "PRAGMA busy_timeout", "5000");
}

struct both {
    struct db *db;
};

static enum err check_second_connection(struct db *tx, void *arg)
{
    check_settings(tx);
    check_settings(((struct both *)arg)->db);
    return ERR_OK;
}

START_TEST(each_connection_is_durable)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    AUTO(db_free) struct db *db = open_table(path);
    ck_ok(db_tx(db, check_second_connection, &(struct both){db}));
}
END_TEST

static void check_private(const char *path, const char *suffix)
{
    AUTO(mem_free) char *name = mem_printf("%s%s", path, suffix);
    struct stat st;
    ck_assert_msg(stat(name, &st) == 0, "%s is not there", name);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
}

START_TEST(the_files_are_private)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    mode_t mask = umask(0);
    AUTO(db_free) struct db *db = open_table(path);
    check_private(path, "");
    check_private(path, "-wal");
    check_private(path, "-shm");
    ck_ok(db_ping(db));
    umask(mask);
}
END_TEST

START_TEST(an_existing_file_keeps_its_mode)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    support_write(path, "", 0, 0640);
    AUTO(db_free) struct db *db = open_table(path);
    ck_ok(db_ping(db));
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0640);
}
END_TEST

START_TEST(data_is_there_after_a_new_start)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    struct db *db = open_table(path);
    ck_ok(db_exec(db, "INSERT INTO t (id) VALUES ('kept')", DB_ARGS(), NULL));
    db_free(&db);
    ck_assert_ptr_null(db);
    AUTO(db_free) struct db *again = open_file(path, 1);
    check_setting(again, "SELECT id FROM t", "kept");
}
END_TEST

static void check_refused(const char *url, enum err want, const char *text)
{
    char why[256] = "";
    struct db *db = NULL;
    ck_err(db_open(url, 1, why, sizeof why, &db), want);
    ck_assert_ptr_null(db);
    ck_assert_msg(strstr(why, text) != NULL, "%s: %s", url, why);
}

START_TEST(says_why_a_file_cannot_be_opened)
{
    const char *dir = support_dir();
    AUTO(mem_free) char *text = support_path(dir, "text");
    support_write(text, "this is no database, but long enough to look like one at first sight, perhaps. Or not.", 87,
                  0600);
    AUTO(mem_free) char *missing = mem_printf("sqlite:%s/no/such/mintd.db", dir);
    AUTO(mem_free) char *directory = mem_printf("sqlite:%s", dir);
    AUTO(mem_free) char *foreign = mem_printf("sqlite:%s", text);
    check_refused(missing, ERR_DB_UNREACHABLE, "/no/such/mintd.db: No such file or directory");
    check_refused(directory, ERR_DB_UNREACHABLE, dir);
    check_refused(foreign, ERR_DB_UNREACHABLE, "file is not a database");
    check_refused("sqlite:", ERR_DB_URL, "needs the path of a file");
    check_refused("sqlite::memory:", ERR_DB_URL, "needs the path of a file");
}
END_TEST

START_TEST(a_file_without_write_permission_is_refused)
{
    if (geteuid() == 0)
        return; /* root may write anything */
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    struct db *db = open_table(path);
    db_free(&db);
    ck_assert_int_eq(chmod(path, 0400), 0);
    AUTO(mem_free) char *url = mem_printf("sqlite:%s", path);
    check_refused(url, ERR_DB_UNREACHABLE, path);
}
END_TEST

static void *open_in_thread(void *path)
{
    AUTO(db_free) struct db *db = open_file(path, 1);
    check_settings(db);
    return NULL;
}

START_TEST(two_programs_may_make_the_file_at_once)
{
    const char *dir = support_dir();
    for (int round = 0; round < 20; round++) {
        AUTO(mem_free) char *path = mem_printf("%s/%d.db", dir, round);
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, open_in_thread, path), 0);
        open_in_thread(path);
        pthread_join(thread, NULL);
    }
}
END_TEST

struct blocked {
    struct db *other;
    enum err statement;
    enum err transaction;
};

static enum err nothing(struct db *tx, void *arg)
{
    (void)tx, (void)arg;
    return ERR_OK;
}

static enum err try_in_other(struct db *tx, void *arg)
{
    struct blocked *blocked = arg;
    (void)tx;
    blocked->statement = db_exec(blocked->other, "INSERT INTO t (id) VALUES ('x')", DB_ARGS(), NULL);
    blocked->transaction = db_tx(blocked->other, nothing, NULL);
    return ERR_OK;
}

START_TEST(waiting_for_another_program_is_bounded)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    support_log_capture();
    db_limits.wait = 50;
    AUTO(db_free) struct db *db = open_table(path);
    AUTO(db_free) struct db *other = open_file(path, 1);
    struct blocked blocked = {.other = other};
    int64_t start = clock_mono_ms();
    ck_ok(db_tx(db, try_in_other, &blocked));
    ck_err(blocked.statement, ERR_DB_RETRY);
    ck_err(blocked.transaction, ERR_DB_RETRY);
    ck_assert_int_lt(clock_mono_ms() - start, 3000);
    ck_ok(db_tx(other, nothing, NULL));
}
END_TEST

static enum err fill(struct db *tx, void *arg)
{
    return db_exec(tx, "INSERT INTO t (id, s) VALUES ('x', $1)", DB_ARGS(db_text(arg)), NULL);
}

START_TEST(a_full_database_is_an_error_and_recovers)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    AUTO(mem_free) char *big = mem_calloc((1 << 20) + 1, 1);
    memset(big, 'x', 1 << 20);
    AUTO(db_free) struct db *db = open_table(path);
    support_log_capture();
    ck_ok(db_exec(db, "PRAGMA max_page_count = 50", DB_ARGS(), NULL));
    ck_err(db_exec(db, "INSERT INTO t (id, s) VALUES ('x', $1)", DB_ARGS(db_text(big)), NULL), ERR_DB);
    ck_err(db_tx(db, fill, big), ERR_DB);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "database or disk is full"));
    char small[] = "fits";
    ck_ok(db_tx(db, fill, small));
    check_setting(db, "SELECT s FROM t", "fits");
}
END_TEST

START_TEST(a_quoted_name_is_never_a_text)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    AUTO(db_free) struct db *db = open_table(path);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    support_log_capture();
    ck_err(db_query(db, "SELECT \"misspelt\" FROM t", DB_ARGS(), &rows), ERR_DB);
}
END_TEST

/* A transaction that stays open until it is let go, so that others wait in line behind it. */
struct gate {
    struct db *db;
    sem_t entered;
    sem_t go;
};

static enum err stay(struct db *tx, void *arg)
{
    struct gate *gate = arg;
    TRY(db_exec(tx, "INSERT INTO t (id) VALUES ('gate')", DB_ARGS(), NULL));
    sem_post(&gate->entered);
    while (sem_wait(&gate->go) != 0)
        continue;
    return ERR_OK;
}

static void *hold(void *arg)
{
    ck_ok(db_tx(((struct gate *)arg)->db, stay, arg));
    return NULL;
}

/* Somebody who waits in line: a row, and what else its transaction does. */
struct writer {
    struct db *db;
    const char *id;
    const char *then; /* NULL: nothing */
    enum err own;     /* what fn returns in the end */
    pthread_t thread;
    _Atomic pid_t tid;
    int runs;
    enum err got;
};

static enum err write_row(struct db *tx, void *arg)
{
    struct writer *writer = arg;
    writer->runs++;
    TRY(db_exec(tx, "INSERT INTO t (id) VALUES ($1)", DB_ARGS(db_text(writer->id)), NULL));
    if (writer->then != NULL)
        TRY(db_exec(tx, writer->then, DB_ARGS(), NULL));
    return writer->own;
}

static void *write_in_line(void *arg)
{
    struct writer *writer = arg;
    writer->tid = gettid();
    writer->got = db_tx(writer->db, write_row, writer);
    return NULL;
}

static bool is_asleep(pid_t tid)
{
    AUTO(mem_free) char *path = mem_printf("/proc/self/task/%d/stat", (int)tid);
    char text[512] = "";
    FILE *file = fopen(path, "re");
    bool is_read = file != NULL && fgets(text, sizeof text, file) != NULL;
    if (file != NULL)
        fclose(file);
    return is_read && strstr(text, ") S ") != NULL;
}

/* Let them all wait behind an open transaction, then go; returns how many commits that took, the gate's among them. */
static int64_t run_in_line(struct db *db, struct writer *writers, size_t n)
{
    struct gate gate = {.db = db};
    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.go, 0, 0);
    int64_t before = support_metric("mintd_db_commits_total");
    pthread_t holder;
    ck_assert_int_eq(pthread_create(&holder, NULL, hold, &gate), 0);
    sem_wait(&gate.entered);
    for (size_t i = 0; i < n; i++) {
        writers[i].db = db;
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_in_line, &writers[i]), 0);
        while (writers[i].tid == 0 || !is_asleep(writers[i].tid))
            sched_yield();
    }
    sem_post(&gate.go);
    pthread_join(holder, NULL);
    for (size_t i = 0; i < n; i++)
        pthread_join(writers[i].thread, NULL);
    sem_destroy(&gate.entered);
    sem_destroy(&gate.go);
    return support_metric("mintd_db_commits_total") - before;
}

static bool has_row(struct db *db, const char *id)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, "SELECT 1 FROM t WHERE id = $1", DB_ARGS(db_text(id)), &rows));
    return db_rows_count(rows) == 1;
}

START_TEST(writes_that_wait_commit_together)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    AUTO(db_free) struct db *db = open_table(path);
    struct writer writers[] = {{.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d"}};
    ck_assert_int_eq(run_in_line(db, writers, 4), 2);
    for (size_t i = 0; i < 4; i++) {
        ck_ok(writers[i].got);
        ck_assert_int_eq(writers[i].runs, 1);
        ck_assert(has_row(db, writers[i].id));
    }
}
END_TEST

START_TEST(a_bad_write_among_others_fails_alone)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    AUTO(db_free) struct db *db = open_table(path);
    support_log_capture();
    struct writer writers[] = {{.id = "a"},
                               {.id = "b", .own = ERR_EMAIL_TAKEN},
                               {.id = "c"},
                               {.id = "d", .then = "DELETE FROM missing"}};
    ck_assert_int_eq(run_in_line(db, writers, 4), 2);
    ck_ok(writers[0].got);
    ck_err(writers[1].got, ERR_EMAIL_TAKEN);
    ck_ok(writers[2].got);
    ck_err(writers[3].got, ERR_SCHEMA_OLD);
    ck_assert(has_row(db, "a") && !has_row(db, "b") && has_row(db, "c") && !has_row(db, "d"));
}
END_TEST

/* Some errors, of a disk for one, end the transaction that all of them are in. */
START_TEST(what_somebody_elses_failure_undid_is_done_again)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "a.db");
    AUTO(db_free) struct db *db = open_table(path);
    support_log_capture();
    struct writer writers[] = {{.id = "a"}, {.id = "b", .then = "ROLLBACK", .own = ERR_DB}, {.id = "c"}};
    run_in_line(db, writers, 3);
    ck_ok(writers[0].got);
    ck_err(writers[1].got, ERR_DB);
    ck_ok(writers[2].got);
    ck_assert_int_eq(writers[0].runs, 2);
    ck_assert(has_row(db, "a") && !has_row(db, "b") && has_row(db, "c"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("db_sqlite");
    TCase *tc = tcase_create("db_sqlite");
    tcase_add_test(tc, each_connection_is_durable);
    tcase_add_test(tc, the_files_are_private);
    tcase_add_test(tc, an_existing_file_keeps_its_mode);
    tcase_add_test(tc, data_is_there_after_a_new_start);
    tcase_add_test(tc, says_why_a_file_cannot_be_opened);
    tcase_add_test(tc, a_file_without_write_permission_is_refused);
    tcase_add_test(tc, two_programs_may_make_the_file_at_once);
    tcase_add_test(tc, waiting_for_another_program_is_bounded);
    tcase_add_test(tc, a_full_database_is_an_error_and_recovers);
    tcase_add_test(tc, a_quoted_name_is_never_a_text);
    tcase_add_test(tc, writes_that_wait_commit_together);
    tcase_add_test(tc, a_bad_write_among_others_fails_alone);
    tcase_add_test(tc, what_somebody_elses_failure_undid_is_done_again);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    support_fork(); /* a test shortens db_limits, which the next one must not find so */
    return support_main(suite());
}
