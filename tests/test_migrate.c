/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdint.h>

#include "lib/auto.h"
#include "lib/db.h"
#include "lib/migrate.h"
#include "tests/support.h"

static const struct migration two_steps[] = {
    {"0001_a", "-- a\nCREATE TABLE a (id TEXT);\nINSERT INTO a (id) VALUES ('it''s; one');\n", NULL},
    {"0002_b", "CREATE TABLE b (id TEXT); CREATE INDEX b_id ON b (id);", NULL},
    {0},
};

static const struct migration one_step[] = {
    {"0001_a", "CREATE TABLE a (id TEXT)", NULL},
    {0},
};

static const struct migration broken[] = {
    {"0001_a", "CREATE TABLE a (id TEXT)", NULL},
    {"0002_b", "CREATE TABLE b (id TEXT); SELEC 1", NULL},
    {0},
};

static struct db *open_url(const char *url)
{
    char why[256] = "";
    struct db *db = NULL;
    ck_assert_msg(db_open(url, 2, why, sizeof why, &db) == ERR_OK, "%s", why);
    return db;
}

static int64_t query_int(struct db *db, const char *sql)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

START_TEST(an_empty_database_is_old)
{
    AUTO(db_free) struct db *db = open_url(support_db_url(_i));
    ck_err(migrate_check(db, two_steps), ERR_SCHEMA_OLD);
    ck_err(migrate_check(db, two_steps), ERR_SCHEMA_OLD);
}
END_TEST

START_TEST(each_step_is_applied_once)
{
    AUTO(db_free) struct db *db = open_url(support_db_url(_i));
    int applied = -1;
    ck_ok(migrate_run(db, two_steps, &applied));
    ck_assert_int_eq(applied, 2);
    ck_ok(migrate_check(db, two_steps));
    ck_ok(migrate_run(db, two_steps, &applied));
    ck_assert_int_eq(applied, 0);
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM a"), 1);
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM schema_migrations WHERE applied_ms > 0"), 2);
}
END_TEST

START_TEST(an_older_schema_catches_up)
{
    AUTO(db_free) struct db *db = open_url(support_db_url(_i));
    int applied = -1;
    ck_ok(migrate_run(db, one_step, NULL));
    ck_err(migrate_check(db, two_steps), ERR_SCHEMA_OLD);
    ck_ok(migrate_run(db, two_steps, &applied));
    ck_assert_int_eq(applied, 1);
    ck_ok(migrate_check(db, two_steps));
}
END_TEST

START_TEST(a_newer_schema_is_refused_and_left_alone)
{
    AUTO(db_free) struct db *db = open_url(support_db_url(_i));
    static const struct migration other[] = {{"0003_c", "CREATE TABLE c (id TEXT)", NULL}, {0}};
    ck_ok(migrate_run(db, other, NULL));
    ck_err(migrate_run(db, two_steps, NULL), ERR_SCHEMA_NEWER);
    ck_err(migrate_check(db, two_steps), ERR_SCHEMA_NEWER);
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM schema_migrations"), 1);
    ck_err(db_exec(db, "SELECT id FROM a", DB_ARGS(), NULL), ERR_SCHEMA_OLD);
}
END_TEST

START_TEST(a_broken_step_leaves_nothing_of_itself)
{
    AUTO(db_free) struct db *db = open_url(support_db_url(_i));
    ck_err(migrate_run(db, broken, NULL), ERR_DB);
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM schema_migrations"), 1);
    ck_err(db_exec(db, "SELECT id FROM b", DB_ARGS(), NULL), ERR_SCHEMA_OLD);
    ck_ok(migrate_run(db, two_steps, NULL));
}
END_TEST

struct runner {
    const char *url;
    pthread_barrier_t *start;
    int applied;
};

static void *run_in_thread(void *arg)
{
    struct runner *runner = arg;
    AUTO(db_free) struct db *db = open_url(runner->url);
    pthread_barrier_wait(runner->start);
    ck_ok(migrate_run(db, two_steps, &runner->applied));
    ck_ok(migrate_check(db, two_steps));
    return NULL;
}

START_TEST(two_programs_may_migrate_at_once)
{
    for (int round = 0; round < 5; round++) {
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, 2);
        const char *url = support_db_url(_i);
        struct runner one = {.url = url, .start = &start};
        struct runner two = {.url = url, .start = &start};
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, run_in_thread, &one), 0);
        run_in_thread(&two);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&start);
        ck_assert_int_eq(one.applied + two.applied, 2);
    }
}
END_TEST

static enum err insert_user(struct db *db, const char *id, const char *email)
{
    return db_exec(db,
                   "INSERT INTO users (id, tenant_id, email, password_hash, created_ms, updated_ms) "
                   "VALUES ($1, '', $2, 'x', 1, 1)",
                   DB_ARGS(db_text(id), db_text(email)), NULL);
}

static enum err insert_token(struct db *db, const char *id, const char *user, const char *name)
{
    return db_exec(db,
                   "INSERT INTO tokens (id, tenant_id, user_id, name, kid, issued_ms) VALUES ($1, '', $2, $3, 0, 1)",
                   DB_ARGS(db_text(id), db_text(user), db_text(name)), NULL);
}

START_TEST(the_schema_holds_its_rules)
{
    AUTO(db_free) struct db *db = support_db(_i);
    ck_ok(migrate_check(db, migrate_list));
    ck_ok(insert_user(db, "u1", "a@b.c"));
    ck_ok(insert_token(db, "t1", "u1", NULL));
    ck_ok(insert_token(db, "t2", "u1", NULL));
    ck_ok(insert_token(db, "t3", "u1", "ci"));
    ck_err(insert_user(db, "u2", "a@b.c"), ERR_DB);
    ck_err(insert_user(db, NULL, "b@b.c"), ERR_DB);
    ck_err(insert_token(db, "t5", "nobody", NULL), ERR_DB_RETRY);
    ck_assert_int_eq(query_int(db, "SELECT revision FROM users"), 0);
    ck_ok(db_exec(db, "DELETE FROM users WHERE id = 'u1'", DB_ARGS(), NULL));
    ck_assert_int_eq(query_int(db, "SELECT COUNT(*) FROM tokens"), 0);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        an_empty_database_is_old,
        each_step_is_applied_once,
        an_older_schema_catches_up,
        a_newer_schema_is_refused_and_left_alone,
        a_broken_step_leaves_nothing_of_itself,
        two_programs_may_migrate_at_once,
        the_schema_holds_its_rules,
    };
    Suite *s = suite_create("migrate");
    TCase *tc = tcase_create("migrate");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    for (size_t i = 0; i < sizeof on_both / sizeof *on_both; i++)
        tcase_add_loop_test(tc, on_both[i], 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
