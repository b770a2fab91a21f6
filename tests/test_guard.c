/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/guard.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/support.h"

#define JANE "jane@example.com"
#define HOME "192.0.2.1"
#define AWAY "198.51.100.7"
#define NOW_MS INT64_C(1770000000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

static const struct guard_config defaults = {.delay_after = 5,
                                             .lock_after = 20,
                                             .lock_s = 900,
                                             .account_lock_after = 100};
static const struct guard_config locks_at_3 = {.lock_after = 3, .lock_s = 60};
static const struct guard_config account_at_4 = {.lock_s = 60, .account_lock_after = 4};

static struct db *db;
static struct guard_config config;
static int64_t now;

static void begin(int engine, const struct guard_config *rules)
{
    db = support_db(engine);
    config = *rules;
    now = NOW_MS;
    clock_set(now);
}

static void finish(void)
{
    db_free(&db);
}

static void pass(int64_t ms)
{
    now += ms;
    clock_set(now);
}

static enum err attempt(const char *email, const char *client, bool is_right)
{
    const struct guard_attempt a = {.email = email,
                                    .client = client,
                                    .user_id = strcmp(email, JANE) == 0 ? "jane's id" : NULL,
                                    .is_right = is_right};
    return guard_judge(db, &config, &a);
}

static bool gets_in(const char *client)
{
    enum err e = attempt(JANE, client, true);
    ck_assert(e == ERR_OK || e == ERR_UNAUTHORIZED);
    return e == ERR_OK;
}

static void miss(const char *client, int times)
{
    for (int i = 0; i < times; i++)
        ck_err(attempt(JANE, client, false), ERR_UNAUTHORIZED);
}

static int64_t number(const char *sql)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

static int64_t rows_there(void)
{
    return number("SELECT COUNT(*) FROM login_failures");
}

START_TEST(five_mistakes_are_not_delayed)
{
    begin(_i, &defaults);
    for (int i = 0; i < 10; i++) {
        miss(HOME, 5);
        ck_assert(gets_in(HOME));
    }
}
END_TEST

START_TEST(delays_grow_from_one_second_to_a_minute)
{
    static const int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    begin(_i, &defaults);
    miss(HOME, 5);
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        miss(HOME, 1);
        pass(seconds[i] * 1000 - 1);
        /* neither prolongs it, nor counts */
        ck_assert(!gets_in(HOME));
        miss(HOME, 3);
        pass(1);
    }
    ck_assert(gets_in(HOME));
    ck_assert_int_eq(number("SELECT failures FROM login_failures WHERE network = ''"), 14);
    ck_assert_int_eq(number("SELECT refused FROM login_failures WHERE network = ''"), 36);
    miss(HOME, 5);
    ck_assert(gets_in(HOME));
}
END_TEST

START_TEST(a_lock_ends_by_itself_and_comes_back_with_the_next_failure)
{
    begin(_i, &locks_at_3);
    miss(HOME, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert(!gets_in(HOME));
        pass(59999);
        ck_assert(!gets_in(HOME));
        pass(1);
        miss(HOME, 1);
    }
    ck_assert(!gets_in(HOME));
    pass(60000);
    ck_assert(gets_in(HOME));
    miss(HOME, 2);
    ck_assert(gets_in(HOME));
}
END_TEST

START_TEST(a_network_is_a_24_or_a_64)
{
    begin(_i, &locks_at_3);
    miss("192.0.2.1", 2);
    miss("192.0.2.254", 1);
    ck_assert(!gets_in("192.0.2.77"));
    ck_assert(!gets_in("::ffff:192.0.2.78"));
    ck_assert(gets_in("192.0.3.1"));
    miss("2001:db8:0:1::1", 2);
    miss("2001:db8:0:1:ffff::", 1);
    ck_assert(!gets_in("2001:db8:0:1:2:3:4:5"));
    ck_assert(gets_in("2001:db8:0:2::1"));
    miss("", 3);
    ck_assert(!gets_in("what is no address"));
}
END_TEST

START_TEST(a_login_forgets_its_network_only)
{
    begin(_i, &locks_at_3);
    miss(HOME, 2);
    miss(AWAY, 2);
    ck_assert(gets_in(HOME));
    miss(AWAY, 1);
    ck_assert(!gets_in(AWAY));
    miss(HOME, 2);
    ck_assert(gets_in(HOME));
    ck_assert_int_eq(number("SELECT failures FROM login_failures WHERE network = ''"), 7);
}
END_TEST

START_TEST(accounts_do_not_hold_each_other_up)
{
    begin(_i, &locks_at_3);
    for (int i = 0; i < 3; i++)
        ck_err(attempt("john@example.com", HOME, false), ERR_UNAUTHORIZED);
    ck_assert(gets_in(HOME));
    ck_err(attempt("JOHN@Example.com", HOME, true), ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(an_attack_from_everywhere_locks_strangers_out)
{
    begin(_i, &account_at_4);
    ck_assert(gets_in(HOME));
    for (int i = 0; i < 4; i++) {
        AUTO(mem_free) char *client = mem_printf("203.0.%d.1", i);
        miss(client, 1);
    }
    ck_assert(!gets_in(AWAY));
    ck_assert(!gets_in("203.0.0.1"));
    ck_assert(gets_in(HOME));
    /* who is known there may err, without an end of the lock being put off */
    pass(30000);
    miss(HOME, 1);
    ck_assert(gets_in(HOME));
    pass(29999);
    ck_assert(!gets_in(AWAY));
    pass(1);
    ck_assert(gets_in(AWAY));
    miss("203.0.9.1", 1);
    ck_assert(!gets_in("203.0.10.1"));
    ck_assert(gets_in(AWAY));
}
END_TEST

START_TEST(a_network_is_known_for_30_days_after_a_login)
{
    begin(_i, &account_at_4);
    ck_assert(gets_in(HOME));
    pass(20 * DAY_MS);
    ck_assert(gets_in(HOME));
    pass(20 * DAY_MS);
    miss(AWAY, 4);
    ck_assert(gets_in(HOME));
    pass(30 * DAY_MS);
    miss(AWAY, 4);
    ck_assert(!gets_in(HOME));
}
END_TEST

START_TEST(a_lock_of_its_own_holds_a_known_network_too)
{
    begin(_i, &locks_at_3);
    ck_assert(gets_in(HOME));
    miss(HOME, 3);
    ck_assert(!gets_in(HOME));
}
END_TEST

START_TEST(few_failures_are_forgotten_after_an_hour_many_after_a_day)
{
    begin(_i, &defaults);
    miss(HOME, 1);
    pass(HOUR_MS - 1);
    miss(HOME, 4);
    pass(1);
    miss(HOME, 5);
    ck_assert(gets_in(HOME));

    miss(HOME, 5);
    pass(1000);
    miss(HOME, 1);
    pass(DAY_MS - 1);
    miss(HOME, 1);
    ck_assert(!gets_in(HOME));
    pass(2000);
    miss(HOME, 5);
    ck_assert(gets_in(HOME));
}
END_TEST

START_TEST(zero_turns_a_limit_off)
{
    static const struct guard_config off = {.lock_s = 900};
    begin(_i, &off);
    miss(HOME, 50);
    ck_assert(gets_in(HOME));
    ck_assert_int_eq(rows_there(), 0);
    config.lock_after = 60;
    miss(HOME, 59);
    ck_assert(gets_in(HOME));
    config = (struct guard_config){.delay_after = 1, .lock_s = 900};
    miss(HOME, 2);
    ck_assert(!gets_in(HOME));
    for (int i = 0; i < 100; i++) {
        pass(60000);
        miss(HOME, 1);
    }
    pass(60000);
    ck_assert(gets_in(HOME));
}
END_TEST

START_TEST(names_are_not_kept_in_clear)
{
    begin(_i, &defaults);
    miss(HOME, 1);
    ck_err(attempt("nobody@example.com", HOME, false), ERR_UNAUTHORIZED);
    ck_assert_int_eq(rows_there(), 4);
    ck_assert_int_eq(number("SELECT COUNT(*) FROM login_failures WHERE account LIKE '%e%x%a%m%p%l%e%'"), 0);
    ck_assert_int_eq(number("SELECT COUNT(*) FROM login_failures WHERE LENGTH(account) = 43"), 4);
    /* what cannot be an e-mail may be a password: not even its digest is */
    ck_err(attempt("my secret password", HOME, false), ERR_UNAUTHORIZED);
    ck_err(attempt("another \xff one", HOME, false), ERR_UNAUTHORIZED);
    ck_assert_int_eq(rows_there(), 6);
    ck_err(attempt("\xff\xfe@'; DROP TABLE login_failures; --", HOME, false), ERR_UNAUTHORIZED);
    ck_assert_int_eq(rows_there(), 8);
}
END_TEST

START_TEST(most_logins_write_nothing)
{
    begin(_i, &defaults);
    ck_assert(gets_in(HOME));
    int64_t trusted = number("SELECT trusted_ms FROM login_failures");
    ck_assert_int_eq(trusted, NOW_MS + GUARD_TRUST_DAYS * DAY_MS);
    pass(HOUR_MS);
    ck_assert(gets_in(HOME));
    ck_assert_int_eq(number("SELECT trusted_ms FROM login_failures"), trusted);
    pass(DAY_MS);
    ck_assert(gets_in(HOME));
    ck_assert_int_gt(number("SELECT trusted_ms FROM login_failures"), trusted);
    ck_assert_int_eq(rows_there(), 1);
}
END_TEST

static size_t unlock(struct guard_record **records)
{
    size_t n = 0;
    ck_ok(guard_unlock(db, "Jane@Example.COM", records, &n));
    return n;
}

START_TEST(unlocking_forgets_failures_and_tells_them)
{
    begin(_i, &locks_at_3);
    config.account_lock_after = 5;
    ck_assert(gets_in(HOME));
    miss(HOME, 5);
    miss(AWAY, 2);
    struct guard_record *records = NULL;
    ck_assert_uint_eq(unlock(&records), 3);
    ck_assert_str_eq(records[0].network, "");
    ck_assert_int_eq(records[0].failures, 5);
    ck_assert_int_eq(records[0].refused, 2);
    ck_assert_int_eq(records[0].until_ms, NOW_MS + 60000);
    ck_assert_str_eq(records[1].network, "192.0.2.0/24");
    ck_assert_int_eq(records[1].failures, 3);
    ck_assert_int_eq(records[1].until_ms, NOW_MS + 60000);
    ck_assert_str_eq(records[2].network, "198.51.100.0/24");
    ck_assert_int_eq(records[2].failures, 2);
    ck_assert_int_eq(records[2].until_ms, 0);
    free(records);

    /* home stays known */
    miss(AWAY, 3);
    config.account_lock_after = 3;
    miss("203.0.113.1", 1);
    ck_assert(gets_in(HOME));

    ck_assert_uint_gt(unlock(&records), 0);
    free(records);
    ck_assert_uint_eq(unlock(&records), 0);
    free(records);
    ck_assert(gets_in("203.0.113.1"));
}
END_TEST

START_TEST(a_new_password_unlocks)
{
    begin(_i, &locks_at_3);
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *id = NULL;
    ck_ok(user_create(db, &(struct user_new){.email = JANE, .password = "correct horse", .cost = 4}, why, &id));
    miss(HOME, 3);
    ck_assert(!gets_in(HOME));
    ck_ok(user_set_password(db, "", "JANE@example.com", "another horse", 4, why));
    ck_assert(gets_in(HOME));
}
END_TEST

START_TEST(the_sweep_takes_what_counts_no_more)
{
    begin(_i, &defaults);
    ck_assert(gets_in("192.0.9.1"));
    for (int i = 0; i < 4; i++) {
        AUTO(mem_free) char *client = mem_printf("203.0.%d.1", i);
        miss(client, 1);
    }
    miss(HOME, 6);
    int64_t deleted = -1;
    ck_ok(guard_sweep(db, 100, &deleted));
    ck_assert_int_eq(deleted, 0);
    ck_assert_int_eq(rows_there(), 7);
    pass(HOUR_MS);
    ck_ok(guard_sweep(db, 3, &deleted));
    ck_assert_int_eq(deleted, 3);
    ck_ok(guard_sweep(db, 3, &deleted));
    ck_assert_int_eq(deleted, 1);
    ck_assert_int_eq(number("SELECT COUNT(*) FROM login_failures WHERE network IN ('', '192.0.2.0/24')"), 2);
    pass(DAY_MS);
    ck_ok(guard_sweep(db, 100, &deleted));
    ck_assert_int_eq(deleted, 2);
    pass(29 * DAY_MS);
    ck_ok(guard_sweep(db, 100, &deleted));
    ck_assert_int_eq(rows_there(), 0);
}
END_TEST

START_TEST(a_swept_account_is_a_new_one)
{
    begin(_i, &locks_at_3);
    miss(HOME, 3);
    pass(2 * DAY_MS);
    int64_t deleted = 0;
    ck_ok(guard_sweep(db, 100, &deleted));
    ck_assert_int_eq(deleted, 2);
    miss(HOME, 2);
    ck_assert(gets_in(HOME));
}
END_TEST

#define STORM 16

static void *miss_once(void *client)
{
    return attempt(JANE, client, false) == ERR_UNAUTHORIZED ? client : NULL;
}

START_TEST(parallel_attempts_are_judged_up_to_the_limit_and_no_further)
{
    static char home[] = HOME;
    begin(_i, &locks_at_3);
    pthread_t threads[STORM];
    for (int i = 0; i < STORM; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, miss_once, home), 0);
    for (int i = 0; i < STORM; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        ck_assert_ptr_nonnull(result);
    }
    ck_assert_int_eq(number("SELECT failures FROM login_failures WHERE network <> ''"), 3);
    ck_assert_int_eq(number("SELECT refused FROM login_failures WHERE network <> ''"), STORM - 3);
    ck_assert_int_eq(number("SELECT failures FROM login_failures WHERE network = ''"), 3);
}
END_TEST

START_TEST(none_of_parallel_failures_is_lost)
{
    begin(_i, &defaults);
    config.delay_after = 0;
    pthread_t threads[STORM];
    char *clients[STORM];
    for (int i = 0; i < STORM; i++) {
        clients[i] = mem_printf("203.0.%d.1", i / 2);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, miss_once, clients[i]), 0);
    }
    for (int i = 0; i < STORM; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        ck_assert_ptr_nonnull(result);
        mem_free(&clients[i]);
    }
    ck_assert_int_eq(number("SELECT failures FROM login_failures WHERE network = ''"), STORM);
    ck_assert_int_eq(number("SELECT COUNT(*) FROM login_failures WHERE network <> '' AND failures = 2"), STORM / 2);
}
END_TEST

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++)
        n++;
    return n;
}

START_TEST(the_beginning_of_a_lock_is_logged_once)
{
    begin(_i, &locks_at_3);
    config.account_lock_after = 7;
    support_log_capture();
    miss(HOME, 2);
    AUTO(mem_free) char *before = support_log();
    ck_assert_str_eq(before, "");
    miss(HOME, 8);
    AUTO(mem_free) char *log = support_log();
    ck_assert_uint_eq(count(log, "\n"), 1);
    ck_assert_ptr_nonnull(strstr(log, "logins are locked for a network"));
    ck_assert_ptr_nonnull(strstr(log, "email=" JANE));
    ck_assert_ptr_nonnull(strstr(log, "network=192.0.2.0/24"));
    ck_assert_ptr_nonnull(strstr(log, "failures=3"));
    miss(AWAY, 2);
    miss("203.0.113.1", 2);
    AUTO(mem_free) char *after = support_log();
    ck_assert_uint_eq(count(after, "\n"), 2);
    ck_assert_ptr_nonnull(strstr(after, "logins are locked for strangers"));
    ck_assert_ptr_nonnull(strstr(after, "failures=7"));
}
END_TEST

START_TEST(what_a_stranger_typed_is_not_logged)
{
    begin(_i, &locks_at_3);
    support_log_capture();
    for (int i = 0; i < 3; i++)
        ck_err(attempt("evil\r\nerror@forged.example", HOME, false), ERR_UNAUTHORIZED);
    AUTO(mem_free) char *log = support_log();
    ck_assert_uint_eq(count(log, "\n"), 1);
    ck_assert_ptr_nonnull(strstr(log, "email=unknown"));
    ck_assert_ptr_null(strstr(log, "evil"));
}
END_TEST

START_TEST(failures_and_locks_are_counted)
{
    static const char *const names[] = {"mintd_login_failures_total{reason=\"credentials\"}",
                                        "mintd_login_failures_total{reason=\"locked\"}",
                                        "mintd_login_locked_total{scope=\"network\"}",
                                        "mintd_login_locked_total{scope=\"account\"}"};
    static const int64_t more[] = {4, 2, 1, 1};
    int64_t before[4];
    begin(_i, &locks_at_3);
    config.account_lock_after = 4;
    for (int i = 0; i < 4; i++)
        before[i] = support_metric(names[i]);
    miss(HOME, 4);
    miss(AWAY, 1);
    ck_assert(!gets_in(AWAY));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(support_metric(names[i]) - before[i], more[i]);
}
END_TEST

START_TEST(what_cannot_be_counted_is_not_judged)
{
    begin(_i, &defaults);
    ck_ok(db_exec(db, "ALTER TABLE login_failures RENAME COLUMN refused TO gone", DB_ARGS(), NULL));
    ck_err(attempt(JANE, HOME, true), ERR_DB);
    ck_err(attempt(JANE, HOME, false), ERR_DB);
    size_t n = 0;
    struct guard_record *records = NULL;
    ck_err(guard_unlock(db, JANE, &records, &n), ERR_DB);
    ck_assert_ptr_null(records);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        five_mistakes_are_not_delayed,
        delays_grow_from_one_second_to_a_minute,
        a_lock_ends_by_itself_and_comes_back_with_the_next_failure,
        a_network_is_a_24_or_a_64,
        a_login_forgets_its_network_only,
        accounts_do_not_hold_each_other_up,
        an_attack_from_everywhere_locks_strangers_out,
        a_network_is_known_for_30_days_after_a_login,
        a_lock_of_its_own_holds_a_known_network_too,
        few_failures_are_forgotten_after_an_hour_many_after_a_day,
        zero_turns_a_limit_off,
        names_are_not_kept_in_clear,
        most_logins_write_nothing,
        unlocking_forgets_failures_and_tells_them,
        a_new_password_unlocks,
        the_sweep_takes_what_counts_no_more,
        a_swept_account_is_a_new_one,
        parallel_attempts_are_judged_up_to_the_limit_and_no_further,
        none_of_parallel_failures_is_lost,
        the_beginning_of_a_lock_is_logged_once,
        what_a_stranger_typed_is_not_logged,
        failures_and_locks_are_counted,
        what_cannot_be_counted_is_not_judged,
    };
    Suite *s = suite_create("guard");
    TCase *tc = tcase_create("guard");
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(tc, NULL, finish);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_loop_test(tc, tests[i], 0, SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
