/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/password.h"
#include "auth/session.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/support.h"

#define EMAIL "jane@example.com"
#define PASSWORD "correct horse"
#define COST 4
#define NOW_MS INT64_C(1770000000000)
#define NOW_S (NOW_MS / 1000)

static struct keyring *ring;
static struct db *db;
static struct issuer *issuer;
static char *user_id;
static const char *dir;

static void make_user(const char *email, char **id)
{
    char why[USER_WHY_SIZE];
    ck_ok(user_create(db, &(struct user_new){.email = email, .password = PASSWORD, .cost = COST}, why, id));
}

/* A user, a key, and an issuer that grants so many sessions. */
static void begin(int engine, int64_t sessions_max)
{
    dir = support_dir();
    AUTO(mem_wipe) char *pem = NULL;
    AUTO(mem_free) char *path = support_path(dir, "private.id.5.pem");
    ck_ok(key_generate("ed25519", &pem));
    support_write(path, pem, strlen(pem), 0600);
    struct keyring_config keys = {
        .name = "test", .dir = dir, .pattern = "private\\.id\\.([0-9]*)\\.pem", .rsa_alg = KEY_RS256, .keys_max = 10};
    ck_ok(keyring_open(&keys, &ring));
    db = support_db(engine);
    struct issuer_config config = {.iss = "mender.useradm",
                                   .lifetime_s = 3600,
                                   .sessions_max = sessions_max,
                                   .last_used_every_s = 300,
                                   .cache_entries = 100};
    issuer = issuer_new(&config, db, ring);
    make_user(EMAIL, &user_id);
}

static void finish(void)
{
    issuer_free(&issuer);
    keyring_free(&ring);
    db_free(&db);
    mem_free(&user_id);
}

static int64_t number(const char *sql)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_is_null(rows, 0) ? -1 : db_rows_int(rows, 0);
}

static int64_t rows_of_tokens(void)
{
    return number("SELECT COUNT(*) FROM tokens");
}

static enum err login(const char *email, const char *password, int cost, bool no_expiry, char **token)
{
    const struct session_request request = {
        .email = email, .password = password, .client = "192.0.2.1", .cost = cost, .no_expiry = no_expiry};
    return session_login(issuer, &request, token);
}

static char *logged_in(bool no_expiry)
{
    char *token = NULL;
    ck_ok(login(EMAIL, PASSWORD, COST, no_expiry, &token));
    return token;
}

static enum err verify(const char *token, struct issuer_token *out)
{
    TRY(issuer_check(issuer, token, strlen(token), out));
    return issuer_alive(issuer, out, true);
}

static bool is_alive(const char *token)
{
    struct issuer_token checked;
    enum err e = verify(token, &checked);
    ck_assert(e == ERR_OK || e == ERR_UNAUTHORIZED);
    return e == ERR_OK;
}

START_TEST(a_login_gives_a_token_that_is_alive)
{
    begin(_i, 10);
    clock_set(NOW_MS + 7);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(login("Jane@EXAMPLE.com", PASSWORD, COST, false, &token));
    struct issuer_token checked;
    ck_ok(verify(token, &checked));
    ck_assert_str_eq(checked.claims.sub, user_id);
    ck_assert_str_eq(checked.claims.tenant, "");
    ck_assert_str_eq(checked.claims.scp, "mender.*");
    ck_assert_int_eq(checked.claims.exp, NOW_S + 3600);
    ck_assert(checked.claims.is_user);

    ck_assert_int_eq(number("SELECT login_ms FROM users"), NOW_MS + 7);
    ck_assert_int_eq(number("SELECT updated_ms - created_ms FROM users"), 0);
    ck_assert_int_eq(number("SELECT issued_ms FROM tokens"), NOW_MS + 7);
    ck_assert_int_eq(number("SELECT expires_ms FROM tokens"), (NOW_S + 3600) * 1000);
    ck_assert_int_eq(number("SELECT kid FROM tokens"), 5);
    ck_assert_int_eq(number("SELECT COUNT(*) FROM tokens WHERE name IS NULL AND last_used_ms IS NULL"), 1);
}
END_TEST

START_TEST(a_login_can_last_for_ever)
{
    begin(_i, 10);
    clock_set(NOW_MS);
    AUTO(mem_wipe) char *token = logged_in(true);
    ck_assert_int_eq(number("SELECT expires_ms FROM tokens"), -1);
    clock_set(NOW_MS + INT64_C(1000) * 86400 * 36500);
    ck_assert(is_alive(token));
}
END_TEST

static const struct {
    const char *email;
    const char *password;
} refused[] = {
    {EMAIL, "correct horsf"},
    {EMAIL, "CORRECT HORSE"},
    {EMAIL, "correct horse "},
    {EMAIL, ""},
    {"", PASSWORD},
    {"", ""},
    {"john@example.com", PASSWORD},
    {" jane@example.com", PASSWORD},
    {"' OR '1'='1", PASSWORD},
    {EMAIL, "' OR '1'='1"},
    {"jane@example.com' --", PASSWORD},
    {"%", PASSWORD},
    {"jane@example.com\xff", PASSWORD},
    {"j\xc3\xa4ne@example.com", PASSWORD},
    {EMAIL, "\xff\xfe\xc0\x80"},
};

START_TEST(refuses_with_one_answer)
{
    begin(_i, 10);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char *token = NULL;
        ck_err(login(refused[i].email, refused[i].password, COST, false, &token), ERR_UNAUTHORIZED);
        ck_assert_ptr_null(token);
    }
    ck_assert_int_eq(rows_of_tokens(), 0);
    ck_assert_int_eq(number("SELECT login_ms FROM users"), -1);
}
END_TEST

START_TEST(refuses_a_password_that_is_too_long_or_a_hash_that_is_none)
{
    begin(_i, 10);
    char password[300] = "";
    memset(password, 'p', sizeof password - 1);
    char *token = NULL;
    ck_err(login(EMAIL, password, COST, false, &token), ERR_UNAUTHORIZED);
    ck_ok(db_exec(db, "UPDATE users SET password_hash = 'x'", DB_ARGS(), NULL));
    ck_err(login(EMAIL, PASSWORD, COST, false, &token), ERR_UNAUTHORIZED);
    ck_err(login(EMAIL, "x", COST, false, &token), ERR_UNAUTHORIZED);
    ck_assert_int_eq(rows_of_tokens(), 0);
}
END_TEST

START_TEST(users_of_a_tenant_do_not_log_in)
{
    begin(_i, 10);
    ck_ok(db_exec(db, "UPDATE users SET tenant_id = 't'", DB_ARGS(), NULL));
    char *token = NULL;
    ck_err(login(EMAIL, PASSWORD, COST, false, &token), ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(logs_in_with_an_imported_hash)
{
    begin(_i, 10);
    ck_ok(db_exec(db, "UPDATE users SET password_hash = $1",
                  DB_ARGS(db_text("$2y$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga")), NULL));
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(login(EMAIL, "allmine", COST, false, &token));
}
END_TEST

START_TEST(a_logout_ends_that_session_at_once)
{
    begin(_i, 10);
    AUTO(mem_wipe) char *one = logged_in(false);
    AUTO(mem_wipe) char *two = logged_in(false);
    struct issuer_token checked;
    ck_ok(verify(one, &checked));
    ck_ok(verify(two, &checked));
    ck_ok(verify(one, &checked));
    ck_ok(session_logout(issuer, &checked.claims));
    ck_err(verify(one, &checked), ERR_UNAUTHORIZED);
    ck_assert(is_alive(two));
    /* again */
    ck_ok(session_logout(issuer, &checked.claims));
    ck_assert_int_eq(rows_of_tokens(), 1);
}
END_TEST

START_TEST(a_logout_needs_the_right_subject)
{
    begin(_i, 10);
    AUTO(mem_wipe) char *token = logged_in(false);
    struct issuer_token checked;
    ck_ok(verify(token, &checked));
    snprintf(checked.claims.sub, sizeof checked.claims.sub, "somebody");
    ck_ok(session_logout(issuer, &checked.claims));
    ck_assert(is_alive(token));
}
END_TEST

START_TEST(the_oldest_sessions_go_over_the_limit)
{
    begin(_i, 3);
    char *tokens[5];
    for (int i = 0; i < 5; i++) {
        clock_set(NOW_MS + i);
        tokens[i] = logged_in(i == 1);
        ck_assert(is_alive(tokens[i]));
    }
    ck_assert_int_eq(rows_of_tokens(), 3);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(is_alive(tokens[i]), i >= 2);
        mem_wipe(&tokens[i]);
    }
}
END_TEST

START_TEST(a_new_session_stays_even_if_the_clock_went_back)
{
    begin(_i, 1);
    clock_set(NOW_MS);
    AUTO(mem_wipe) char *before = logged_in(false);
    clock_set(NOW_MS - 60000);
    AUTO(mem_wipe) char *after = logged_in(false);
    ck_assert(is_alive(after));
    clock_set(NOW_MS);
    ck_assert(!is_alive(before));
    ck_assert_int_eq(rows_of_tokens(), 1);
}
END_TEST

START_TEST(zero_means_any_number_of_sessions)
{
    begin(_i, 0);
    for (int i = 0; i < 12; i++) {
        AUTO(mem_wipe) char *token = logged_in(false);
        ck_assert(is_alive(token));
    }
    ck_assert_int_eq(rows_of_tokens(), 12);
}
END_TEST

START_TEST(named_tokens_and_other_users_are_not_touched_by_the_limit)
{
    begin(_i, 1);
    AUTO(mem_free) char *other = NULL;
    make_user("other@example.com", &other);
    ck_ok(db_exec(db,
                  "INSERT INTO tokens (id, tenant_id, user_id, name, kid, issued_ms) VALUES "
                  "('pat1', '', $1, 'ci', 5, 1), ('pat2', '', $1, 'laptop', 5, 2), ('theirs', '', $2, NULL, 5, 1)",
                  DB_ARGS(db_text(user_id), db_text(other)), NULL));
    AUTO(mem_wipe) char *one = logged_in(false);
    AUTO(mem_wipe) char *two = logged_in(false);
    ck_assert(!is_alive(one));
    ck_assert(is_alive(two));
    ck_assert_int_eq(rows_of_tokens(), 4);
    ck_assert_int_eq(number("SELECT COUNT(*) FROM tokens WHERE name IS NOT NULL"), 2);
}
END_TEST

START_TEST(a_changed_password_ends_sessions)
{
    begin(_i, 10);
    AUTO(mem_wipe) char *token = logged_in(false);
    char why[USER_WHY_SIZE];
    ck_assert(is_alive(token));
    ck_ok(user_set_password(db, "", EMAIL, "another horse", COST, why));
    issuer_revoked(issuer);
    ck_assert(!is_alive(token));
    char *none = NULL;
    ck_err(login(EMAIL, PASSWORD, COST, false, &none), ERR_UNAUTHORIZED);
}
END_TEST

#define STORM 16

struct attempt {
    enum err err;
    char *token;
};

static void *log_in(void *arg)
{
    struct attempt *attempt = arg;
    attempt->err = login(EMAIL, PASSWORD, COST, false, &attempt->token);
    return NULL;
}

START_TEST(a_storm_of_logins_leaves_as_many_as_allowed)
{
    begin(_i, 3);
    pthread_t threads[STORM];
    struct attempt attempts[STORM] = {0};
    for (int i = 0; i < STORM; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_in, &attempts[i]), 0);
    for (int i = 0; i < STORM; i++)
        pthread_join(threads[i], NULL);
    int alive = 0;
    for (int i = 0; i < STORM; i++) {
        ck_err(attempts[i].err, ERR_OK);
        alive += is_alive(attempts[i].token);
        mem_wipe(&attempts[i].token);
    }
    ck_assert_int_eq(alive, 3);
    ck_assert_int_eq(rows_of_tokens(), 3);
}
END_TEST

#define RACERS 4
#define ROUNDS 12

/* Let logins run into change() at another moment each round; whoever was first, no session may be left. */
static void race(void (*change)(int round))
{
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[RACERS];
        struct attempt attempts[RACERS] = {0};
        for (int i = 0; i < RACERS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, log_in, &attempts[i]), 0);
        for (int i = 0; i < round; i++)
            password_check_nobody("x", 4);
        change(round);
        issuer_revoked(issuer);
        for (int i = 0; i < RACERS; i++) {
            pthread_join(threads[i], NULL);
            ck_assert(attempts[i].err == ERR_OK || attempts[i].err == ERR_UNAUTHORIZED);
            if (attempts[i].err == ERR_OK)
                ck_assert(!is_alive(attempts[i].token));
            mem_wipe(&attempts[i].token);
        }
        ck_assert_int_eq(rows_of_tokens(), 0);
        ck_ok(db_exec(db, "DELETE FROM users", DB_ARGS(), NULL));
        mem_free(&user_id);
        make_user(EMAIL, &user_id);
    }
}

static void delete_user(int round)
{
    (void)round;
    ck_ok(user_delete(db, "", user_id));
}

static void change_password(int round)
{
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *password = mem_printf("another horse %d", round);
    ck_ok(user_set_password(db, "", EMAIL, password, COST, why));
}

START_TEST(a_user_deleted_while_logging_in_gets_no_session)
{
    begin(_i, 10);
    race(delete_user);
}
END_TEST

START_TEST(a_password_changed_while_logging_in_leaves_no_session)
{
    begin(_i, 10);
    race(change_password);
}
END_TEST

START_TEST(a_login_that_cannot_be_stored_gives_no_token)
{
    begin(_i, 10);
    ck_ok(db_exec(db, "ALTER TABLE tokens RENAME COLUMN kid TO gone", DB_ARGS(), NULL));
    char *token = NULL;
    ck_err(login(EMAIL, PASSWORD, COST, false, &token), ERR_DB);
    ck_assert_ptr_null(token);
    ck_assert_int_eq(number("SELECT login_ms FROM users"), -1);
}
END_TEST

static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define SAMPLES 60

static double cost_of_login(const char *email, const char *password)
{
    double start = cpu_ms();
    char *token = NULL;
    ck_err(login(email, password, 6, false, &token), ERR_UNAUTHORIZED);
    return cpu_ms() - start;
}

/* Processor time, not the clock's: other programs on the machine do not disturb it. */
START_TEST(an_unknown_user_costs_what_a_wrong_password_does)
{
    begin(0, 10);
    AUTO(mem_free) char *hash = NULL;
    ck_ok(password_hash(PASSWORD, 6, &hash));
    ck_ok(db_exec(db, "UPDATE users SET password_hash = $1", DB_ARGS(db_text(hash)), NULL));
    double known[SAMPLES], unknown[SAMPLES], empty[SAMPLES];
    int samples = support_times(SAMPLES, 3);
    for (int i = 0; i < samples; i++) {
        known[i] = cost_of_login(EMAIL, "correct horsf");
        unknown[i] = cost_of_login("john@example.com", "correct horsf");
        empty[i] = cost_of_login(EMAIL, "");
    }
    qsort(known, (size_t)samples, sizeof *known, by_size);
    qsort(unknown, (size_t)samples, sizeof *unknown, by_size);
    qsort(empty, (size_t)samples, sizeof *empty, by_size);
    double base = known[samples / 2];
    ck_assert_double_ge(unknown[samples / 2] / base, 0.75);
    ck_assert_double_le(unknown[samples / 2] / base, 1.25);
    ck_assert_double_ge(empty[samples / 2] / base, 0.75);
    ck_assert_double_le(empty[samples / 2] / base, 1.25);
}
END_TEST

START_TEST(logs_show_neither_passwords_nor_tokens)
{
    begin(_i, 10);
    support_log_capture();
    AUTO(mem_wipe) char *token = logged_in(false);
    char *none = NULL;
    ck_err(login(EMAIL, "a wrong secret", COST, false, &none), ERR_UNAUTHORIZED);
    ck_ok(db_exec(db, "UPDATE users SET password_hash = 'unusable secret'", DB_ARGS(), NULL));
    ck_err(login(EMAIL, PASSWORD, COST, false, &none), ERR_UNAUTHORIZED);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "unusable"));
    ck_assert_ptr_null(strstr(log, "secret"));
    ck_assert_ptr_null(strstr(log, PASSWORD));
    ck_assert_ptr_null(strstr(log, strrchr(token, '.')));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("session");
    TCase *tc = tcase_create("session");
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(tc, NULL, finish);
    tcase_add_loop_test(tc, a_login_gives_a_token_that_is_alive, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_login_can_last_for_ever, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_with_one_answer, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_a_password_that_is_too_long_or_a_hash_that_is_none, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, users_of_a_tenant_do_not_log_in, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, logs_in_with_an_imported_hash, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_logout_ends_that_session_at_once, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_logout_needs_the_right_subject, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_oldest_sessions_go_over_the_limit, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_new_session_stays_even_if_the_clock_went_back, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, zero_means_any_number_of_sessions, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, named_tokens_and_other_users_are_not_touched_by_the_limit, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_changed_password_ends_sessions, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_storm_of_logins_leaves_as_many_as_allowed, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_user_deleted_while_logging_in_gets_no_session, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_password_changed_while_logging_in_leaves_no_session, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_login_that_cannot_be_stored_gives_no_token, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, an_unknown_user_costs_what_a_wrong_password_does);
    tcase_add_loop_test(tc, logs_show_neither_passwords_nor_tokens, 0, SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
