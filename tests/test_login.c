/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/password.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/fixture.h"

/* Logins through the router: what a guesser sees, and what becomes of old hashes. */

#define LOGIN "/api/management/v1/useradm/auth/login"
#define BOB "bob@example.com"
#define OLD "old@example.com"
#define NOBODY "eve@example.com"
#define NOW_MS INT64_C(1770000000000)

static struct fixture f;

/* The fixture, with other rules for logins and another cost. */
static void begin(int engine, const struct guard_config *guard, int cost)
{
    fixture_init(&f, engine);
    struct issuer_config config = *issuer_config(f.issuer);
    AUTO(mem_free) char *iss = mem_strdup(config.iss);
    config.iss = iss;
    config.guard = *guard;
    config.sessions_max = 0;
    issuer_free(&f.issuer);
    f.issuer = issuer_new(&config, f.db, f.ring);
    f.service.users = f.issuer;
    f.service.password_cost = cost;
}

static void add_user(const char *email, int cost)
{
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *id = NULL;
    ck_ok(user_create(f.db, &(struct user_new){.email = email, .password = FIXTURE_PASSWORD, .cost = cost}, why, &id));
}

static struct call *prepared(const char *email, const char *password, const char *peer, char **header)
{
    AUTO(mem_free) char *plain = mem_printf("%s:%s", email, password);
    char text[1024] = "";
    base64_encode(BASE64_STD, plain, strlen(plain), text);
    *header = mem_printf("Basic %s", text);
    struct call *c = fixture_call(&f, "POST", LOGIN);
    c->header[CALL_AUTHORIZATION] = *header;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    return c;
}

static int login_from(const char *peer, const char *email, const char *password)
{
    AUTO(mem_free) char *header = NULL;
    AUTO(fixture_free) struct call *c = prepared(email, password, peer, &header);
    return fixture_run(c);
}

static int login(const char *email, const char *password)
{
    return login_from("127.0.0.1", email, password);
}

static void miss(const char *peer, const char *email, int times)
{
    for (int i = 0; i < times; i++)
        ck_assert_int_eq(login_from(peer, email, "wrong horse"), 401);
}

static char *text_of(const char *sql)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(f.db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return mem_strdup(db_rows_text(rows, 0));
}

START_TEST(five_mistakes_cost_an_honest_user_nothing)
{
    begin(_i, &fixture_guard, 4);
    for (int i = 0; i < 3; i++) {
        miss("127.0.0.1", FIXTURE_EMAIL, 5);
        ck_assert_int_eq(login(FIXTURE_EMAIL, FIXTURE_PASSWORD), 200);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(guesses_end_in_a_lock_for_their_network_only)
{
    begin(_i, &fixture_guard, 4);
    clock_set(NOW_MS);
    AUTO(mem_free) char *session = fixture_login(&f);
    int64_t now = NOW_MS;
    for (int i = 0; i < 20; i++) {
        miss("192.0.2.1", FIXTURE_EMAIL, 1);
        clock_set(now += 60000);
    }
    ck_assert_int_eq(login_from("192.0.2.200", FIXTURE_EMAIL, FIXTURE_PASSWORD), 401);
    ck_assert_int_eq(login_from("192.0.3.1", FIXTURE_EMAIL, FIXTURE_PASSWORD), 200);
    fixture_expect(&f, "/api/management/v1/useradm/users/me", session, 200);
    clock_set(now + 900000);
    ck_assert_int_eq(login_from("192.0.2.200", FIXTURE_EMAIL, FIXTURE_PASSWORD), 200);
    fixture_release(&f);
}
END_TEST

START_TEST(a_forged_header_moves_nobody_out_of_a_lock)
{
    static const struct guard_config locks_at_3 = {.lock_after = 3, .lock_s = 60};
    begin(_i, &locks_at_3, 4);
    struct net proxy;
    ck_assert(net_parse("10.0.0.0/8", &proxy));
    f.service.trusted_proxies = &proxy;
    f.service.trusted_proxies_n = 1;
    const char *const peers[] = {"203.0.113.1", "10.0.0.1"};
    for (size_t p = 0; p < 2; p++)
        for (int i = 0; i <= 3; i++) {
            AUTO(mem_free) char *header = NULL;
            AUTO(mem_free) char *forged = mem_printf("198.51.%d.1%s", i, p == 1 ? ", 203.0.114.1" : "");
            AUTO(fixture_free)
            struct call *c = prepared(FIXTURE_EMAIL, i < 3 ? "wrong horse" : FIXTURE_PASSWORD, peers[p], &header);
            c->header[CALL_FORWARDED_FOR] = forged;
            ck_assert_int_eq(fixture_run(c), 401);
        }
    ck_assert_int_eq(login_from("10.0.0.1", FIXTURE_EMAIL, FIXTURE_PASSWORD), 200);
    fixture_release(&f);
}
END_TEST

/* The ways to be refused. Bob is locked out; the cost of old's hash is lower than the configured one. */
enum way { WAY_WRONG, WAY_UNKNOWN, WAY_LOCKED, WAY_LOCKED_RIGHT, WAY_OLD_HASH, WAYS };

static const struct {
    const char *name, *email, *password;
} ways[WAYS] = {
    [WAY_WRONG] = {"wrong password", FIXTURE_EMAIL, "wrong horse"},
    [WAY_UNKNOWN] = {"unknown user", NOBODY, "wrong horse"},
    [WAY_LOCKED] = {"locked account", BOB, "wrong horse"},
    [WAY_LOCKED_RIGHT] = {"locked account, right password", BOB, FIXTURE_PASSWORD},
    [WAY_OLD_HASH] = {"hash of a lower cost", OLD, "wrong horse"},
};

/* Limits that only bob meets. */
static void begin_ways(int engine, int cost)
{
    static const struct guard_config guard = {.delay_after = 1000, .lock_after = 1000, .lock_s = 86400};
    begin(engine, &guard, cost);
    AUTO(mem_wipe) char *hash = NULL;
    ck_ok(password_hash(FIXTURE_PASSWORD, cost, &hash));
    ck_ok(db_exec(f.db, "UPDATE users SET password_hash = $1", DB_ARGS(db_text(hash)), NULL));
    add_user(BOB, cost);
    add_user(OLD, cost > 4 ? cost - 2 : cost);
    miss("127.0.0.1", BOB, 1);
    int64_t until = clock_ms() + 86400000;
    ck_ok(db_exec(f.db, "UPDATE login_failures SET until_ms = $1, forget_ms = $1, failures = 1000",
                  DB_ARGS(db_int(until)), NULL));
    ck_assert_int_eq(login(BOB, FIXTURE_PASSWORD), 401);
}

START_TEST(refusals_look_the_same)
{
    begin_ways(_i, 4);
    AUTO(mem_free) char *first = NULL;
    for (enum way way = 0; way < WAYS; way++) {
        AUTO(mem_free) char *header = NULL;
        AUTO(fixture_free) struct call *c = prepared(ways[way].email, ways[way].password, "127.0.0.1", &header);
        c->header[CALL_REQUEST_ID] = "id";
        ck_assert_int_eq(fixture_run(c), 401);
        AUTO(mem_free) char *seen = mem_printf("%s %s %zu", c->type, c->reply, c->reply_headers);
        if (first == NULL)
            first = mem_strdup(seen);
        ck_assert_str_eq(seen, first);
        ck_assert_str_eq(c->reply, "{\"error\":\"unauthorized\",\"request_id\":\"id\"}");
    }
    fixture_release(&f);
}
END_TEST

static int64_t statements(void)
{
    return support_metric("mintd_db_statements_total");
}

START_TEST(refusals_ask_the_database_the_same_number_of_times)
{
    begin_ways(_i, 4);
    /* select the user; in a transaction select the failures, write two rows */
    for (int i = 0; i < 2; i++)
        for (enum way way = 0; way < WAYS; way++) {
            int64_t before = statements();
            ck_assert_int_eq(login(ways[way].email, ways[way].password), 401);
            ck_assert_msg(statements() - before == 4, "%s: %d statements", ways[way].name,
                          (int)(statements() - before));
        }
    fixture_release(&f);
}
END_TEST

#define ROUNDS_MAX 200

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_size);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/* Wall-clock time of the whole call, as a client would measure it. */
static double timed(enum way way)
{
    AUTO(mem_free) char *header = NULL;
    AUTO(fixture_free) struct call *c = prepared(ways[way].email, ways[way].password, "127.0.0.1", &header);
    int64_t start = clock_mono_ns();
    ck_assert_int_eq(fixture_run(c), 401);
    return (double)(clock_mono_ns() - start);
}

/* The medians, over so many rounds, of each way's time as a part of the first one's in the same round. */
static void measure(const enum way *compared, int n, int rounds, double *ratios)
{
    static double ns[WAYS][ROUNDS_MAX], part[ROUNDS_MAX];
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < n; i++)
            ns[(round + i) % n][round] = timed(compared[(round + i) % n]);
    for (int i = 0; i < n; i++) {
        for (int round = 0; round < rounds; round++)
            part[round] = ns[i][round] / ns[0][round];
        ratios[i] = median(part, rounds);
    }
}

/*
 * Check that these ways take the same time, within tolerance. What else the machine does meets all ways of a round
 * alike, and each round begins with another way; on a machine whose load changes all the time even such medians can be
 * off by some percent, so a measurement may be repeated four times. What really differs, differs in all five. Under
 * valgrind times say nothing.
 */
static void compare(const enum way *compared, int n, int rounds, double tolerance)
{
    double ratios[WAYS] = {0};
    int worst = 0;
    int affordable = support_times(rounds, 2);
    if (affordable < rounds) {
        measure(compared, n, affordable, ratios);
        return;
    }
    for (int i = 0; i < 5 && (i == 0 || fabs(ratios[worst] - 1) > tolerance); i++) {
        measure(compared, n, rounds, ratios);
        for (int k = worst = 0; k < n; k++)
            if (fabs(ratios[k] - 1) > fabs(ratios[worst] - 1))
                worst = k;
    }
    ck_assert_msg(fabs(ratios[worst] - 1) <= tolerance, "%s: %.3f of the time of a %s", ways[compared[worst]].name,
                  ratios[worst], ways[compared[0]].name);
}

START_TEST(refusals_take_the_same_time)
{
    static const enum way compared[] = {WAY_WRONG, WAY_UNKNOWN, WAY_LOCKED, WAY_LOCKED_RIGHT};
    begin_ways(_i, 6);
    compare(compared, 4, 200, 0.05);
    fixture_release(&f);
}
END_TEST

/* The fixed part of the three checks that make up for a lower cost shows here; at usual costs it is below a percent. */
START_TEST(a_hash_of_a_lower_cost_takes_the_time_of_the_configured_one)
{
    static const enum way compared[] = {WAY_WRONG, WAY_OLD_HASH};
    begin_ways(0, 7);
    compare(compared, 2, 100, 0.1);
    fixture_release(&f);
}
END_TEST

/* Old hashes */

static void set_hash(const char *hash)
{
    ck_ok(db_exec(f.db, "UPDATE users SET password_hash = $1, updated_ms = 7", DB_ARGS(db_text(hash)), NULL));
}

static char *hash_now(void)
{
    return text_of("SELECT password_hash FROM users");
}

static const struct {
    const char *password, *hash, *becomes;
} hashes[] = {
    {"allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", NULL},
    {"allmine", "$2b$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", "$2a$05$"},
    {"allmine", "$2x$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", "$2a$05$"},
    {"allmine", "$2y$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", "$2a$05$"},
};

START_TEST(hashes_of_another_prefix_are_replaced)
{
    begin(_i, &fixture_guard, 5);
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        set_hash(hashes[i].hash);
        ck_assert_int_eq(login(FIXTURE_EMAIL, "allmina"), 401);
        AUTO(mem_free) char *kept = hash_now();
        ck_assert_str_eq(kept, hashes[i].hash);
        ck_assert_int_eq(login(FIXTURE_EMAIL, "allmine"), 200);
        AUTO(mem_free) char *now = hash_now();
        const char *want = hashes[i].becomes != NULL ? hashes[i].becomes : hashes[i].hash;
        ck_assert_msg(strncmp(now, want, strlen(want)) == 0, "%s became %s", hashes[i].hash, now);
        ck_assert_int_eq(login(FIXTURE_EMAIL, "allmine"), 200);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_hash_of_a_lower_cost_is_replaced_once_and_silently)
{
    begin(_i, &fixture_guard, 5);
    AUTO(mem_free) char *old = hash_now();
    ck_assert_int_eq(strncmp(old, "$2a$04$", 7), 0);
    set_hash(old);
    AUTO(mem_free) char *revision = text_of("SELECT revision FROM users");
    AUTO(mem_free) char *bearer = fixture_login(&f);
    fixture_expect(&f, "/api/management/v1/useradm/users/me", bearer, 200);
    AUTO(mem_free) char *better = hash_now();
    ck_assert_int_eq(strncmp(better, "$2a$05$", 7), 0);
    ck_ok(password_check(FIXTURE_PASSWORD, better));
    AUTO(mem_free) char *updated = text_of("SELECT updated_ms FROM users");
    AUTO(mem_free) char *after = text_of("SELECT revision FROM users");
    ck_assert_str_eq(updated, "7");
    ck_assert_str_eq(after, revision);
    ck_assert_int_eq(login(FIXTURE_EMAIL, FIXTURE_PASSWORD), 200);
    AUTO(mem_free) char *same = hash_now();
    ck_assert_str_eq(same, better);
    fixture_release(&f);
}
END_TEST

START_TEST(a_locked_account_keeps_its_hash)
{
    static const struct guard_config locks_at_2 = {.lock_after = 2, .lock_s = 60};
    begin(_i, &locks_at_2, 5);
    AUTO(mem_free) char *old = hash_now();
    miss("127.0.0.1", FIXTURE_EMAIL, 2);
    ck_assert_int_eq(login(FIXTURE_EMAIL, FIXTURE_PASSWORD), 401);
    AUTO(mem_free) char *now = hash_now();
    ck_assert_str_eq(now, old);
    fixture_release(&f);
}
END_TEST

/* bcrypt looks at 72 bytes: other software made hashes of longer passwords, which cannot be set here. */
START_TEST(a_password_too_long_for_a_new_hash_logs_in_with_the_old_one)
{
    begin(_i, &fixture_guard, 5);
    char password[101] = "";
    memset(password, 'p', 100);
    AUTO(mem_free) char *start = mem_strndup(password, 72);
    AUTO(mem_free) char *hash = NULL;
    ck_ok(password_hash(start, 4, &hash));
    set_hash(hash);
    ck_assert_int_eq(login(FIXTURE_EMAIL, password), 200);
    AUTO(mem_free) char *now = hash_now();
    ck_assert_str_eq(now, hash);
    fixture_release(&f);
}
END_TEST

#define STORM 8

static void *log_in(void *arg)
{
    *(int *)arg = login(FIXTURE_EMAIL, FIXTURE_PASSWORD);
    return NULL;
}

START_TEST(parallel_logins_all_succeed_while_the_hash_is_replaced)
{
    begin(_i, &fixture_guard, 5);
    pthread_t threads[STORM];
    int status[STORM];
    for (int i = 0; i < STORM; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_in, &status[i]), 0);
    for (int i = 0; i < STORM; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < STORM; i++)
        ck_assert_int_eq(status[i], 200);
    AUTO(mem_free) char *now = hash_now();
    ck_assert_int_eq(strncmp(now, "$2a$05$", 7), 0);
    AUTO(mem_free) char *sessions = text_of("SELECT COUNT(*) FROM tokens");
    ck_assert_str_eq(sessions, "8");
    fixture_release(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("login");
    TCase *tc = tcase_create("login");
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, five_mistakes_cost_an_honest_user_nothing, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, guesses_end_in_a_lock_for_their_network_only, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_forged_header_moves_nobody_out_of_a_lock, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refusals_look_the_same, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refusals_ask_the_database_the_same_number_of_times, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refusals_take_the_same_time, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, a_hash_of_a_lower_cost_takes_the_time_of_the_configured_one);
    tcase_add_loop_test(tc, hashes_of_another_prefix_are_replaced, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_hash_of_a_lower_cost_is_replaced_once_and_silently, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_locked_account_keeps_its_hash, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_password_too_long_for_a_new_hash_logs_in_with_the_old_one, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, parallel_logins_all_succeed_while_the_hash_is_replaced, 0, SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
