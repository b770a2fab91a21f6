/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/liveness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/migrate.h"
#include "tests/support.h"

/* Nothing waits that long when all is well. */
#define PATIENCE_MS 10000

/* When a revocation has to be known everywhere. */
#define BOUND_MS 1000

#define FOREVER INT64_C(1000000000000000)

/* Two processes with one database, as far as the database can tell. */
static struct {
    struct db *db;
    struct liveness *liveness;
} here, there;

static struct db *open_url(const char *url)
{
    char why[256] = "";
    struct db *db = NULL;
    ck_assert_msg(db_open(url, 4, why, sizeof why, &db) == ERR_OK, "%s", why);
    return db;
}

static void sql(const char *text)
{
    ck_ok(db_exec(there.db, text, DB_ARGS(), NULL));
}

static void insert_rows(void)
{
    sql("INSERT INTO users (id, tenant_id, email, password_hash, created_ms, updated_ms) VALUES"
        " ('u1', '', 'a@b.c', 'x', 1, 1), ('u2', '', 'b@b.c', 'x', 1, 1)");
    sql("INSERT INTO tokens (id, tenant_id, user_id, kid, issued_ms, expires_ms) VALUES"
        " ('t1', '', 'u1', 1, 1, 9), ('t2', '', 'u1', 1, 1, 9), ('t3', '', 'u2', 1, 1, 9)");
    sql("INSERT INTO devices (id, tenant_id, id_hash, id_data, status, created_ms, updated_ms) VALUES"
        " ('d1', '', 'h1', '{}', 'accepted', 1, 1), ('d2', '', 'h2', '{}', 'accepted', 1, 1)");
    sql("INSERT INTO auth_sets (id, tenant_id, device_id, key_hash, pubkey, status, created_ms) VALUES"
        " ('s1', '', 'd1', 'k1', 'p', 'accepted', 1), ('s2', '', 'd2', 'k1', 'p', 'accepted', 1),"
        " ('s3', '', 'd2', 'k2', 'p', 'pending', 1)");
    sql("INSERT INTO device_tokens (id, tenant_id, device_id, issued_ms, expires_ms) VALUES"
        " ('s1', '', 'd1', 5, 9), ('s2', '', 'd2', 5, 9)");
}

static void begin_idle(int engine)
{
    const char *url = support_db_url(engine);
    here.db = open_url(url);
    there.db = open_url(url);
    ck_ok(migrate_run(here.db, migrate_list, NULL));
    insert_rows();
    here.liveness = liveness_new(here.db);
    there.liveness = liveness_new(there.db);
}

static void finish(void)
{
    clock_set(-1);
    liveness_free(&here.liveness);
    liveness_free(&there.liveness);
    db_free(&here.db);
    db_free(&there.db);
}

static struct liveness_found ask(const char *jti)
{
    struct liveness_found found = liveness_ask(here.liveness, jti);
    found.until_ms = FOREVER;
    return found;
}

static bool is_believed(const char *jti, const struct liveness_found *found)
{
    return liveness_believes(here.liveness, jti, found);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* As an answer that is so old that only a log that is read makes it count. */
static bool is_intact(void)
{
    struct liveness_found found = ask("nobody");
    found.asked_ms -= LIVENESS_BLIND_MS;
    return is_believed("nobody", &found);
}

static void wait_until_intact(bool want)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    while (is_intact() != want && clock_mono_ms() < end)
        pause_briefly();
    ck_assert_int_eq(is_intact(), want);
}

static void begin(int engine)
{
    begin_idle(engine);
    ck_ok(liveness_start(here.liveness));
    ck_ok(liveness_start(there.liveness));
    wait_until_intact(true);
}

/* How long it takes until an answer does not count any more. */
static int64_t wait_until_doubted(const char *jti, const struct liveness_found *found)
{
    int64_t start = clock_mono_ms();
    while (is_believed(jti, found) && clock_mono_ms() - start < PATIENCE_MS)
        pause_briefly();
    return clock_mono_ms() - start;
}

static void wait_line(const char *text)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        AUTO(mem_free) char *log = support_log();
        if (strstr(log, text) != NULL)
            return;
        ck_assert_msg(clock_mono_ms() < end, "no line \"%s\" in:\n%s", text, log);
        pause_briefly();
    }
}

static int64_t query_int(const char *text)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(here.db, text, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

/* What a statement does, and the tokens that it may have killed. */
static const struct {
    const char *sql;
    const char *ids;
} writes[] = {
    {"DELETE FROM tokens WHERE id = 't1'", "t1,"},
    {"DELETE FROM tokens WHERE tenant_id = ''", "t1,t2,t3,"},
    {"DELETE FROM users WHERE id = 'u1'", "t1,t2,"},
    {"UPDATE tokens SET expires_ms = 2 WHERE id = 't3'", "t3,"},
    {"UPDATE tokens SET tenant_id = 'x' WHERE id = 't3'", "t3,"},
    {"UPDATE tokens SET user_id = 'u2' WHERE id = 't1'", "t1,"},
    {"UPDATE users SET tenant_id = 'x' WHERE id = 'u1'", "t1,t2,"},
    {"DELETE FROM device_tokens WHERE id = 's1'", "s1,"},
    {"UPDATE device_tokens SET issued_ms = 6 WHERE id = 's1'", "s1,"},
    {"UPDATE device_tokens SET expires_ms = 8 WHERE id = 's1'", "s1,"},
    {"UPDATE device_tokens SET tenant_id = 'x' WHERE id = 's1'", "s1,"},
    {"UPDATE auth_sets SET status = 'rejected' WHERE id = 's1'", "s1,"},
    {"UPDATE auth_sets SET tenant_id = 'x' WHERE id = 's1'", "s1,"},
    {"DELETE FROM auth_sets WHERE id = 's1'", "s1,"},
    {"UPDATE devices SET decommissioning = 1 WHERE id = 'd2'", "s2,"},
    {"DELETE FROM devices WHERE id = 'd2'", "s2,"},
    {"UPDATE users SET login_ms = 5, password_hash = 'y'", ""},
    {"UPDATE tokens SET last_used_ms = 5", ""},
    {"UPDATE device_tokens SET issued_ms = 4, expires_ms = 10", ""},
    {"UPDATE auth_sets SET status = 'accepted' WHERE id = 's3'", ""},
    {"UPDATE devices SET status = 'rejected', updated_ms = 7", ""},
    {"DELETE FROM tokens WHERE id = 't9'", ""},
};

/* The tokens in the log's rows behind number seq. */
static void read_ids(int64_t seq, char *out, size_t size)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(here.db, "SELECT DISTINCT token_id FROM token_changes WHERE seq > $1 ORDER BY token_id",
                   DB_ARGS(db_int(seq)), &rows));
    size_t len = 0;
    for (*out = '\0'; db_rows_next(rows); len += strlen(out + len))
        snprintf(out + len, size - len, "%s,", db_rows_text(rows, 0));
}

START_TEST(the_log_names_what_dies_and_nothing_else)
{
    begin_idle(_i);
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        char ids[64];
        sql("DELETE FROM users");
        sql("DELETE FROM devices");
        insert_rows();
        int64_t seq = query_int("SELECT MAX(seq) FROM token_changes");
        sql(writes[i].sql);
        read_ids(seq, ids, sizeof ids);
        ck_assert_msg(strcmp(ids, writes[i].ids) == 0, "%s gave \"%s\"", writes[i].sql, ids);
    }
    finish();
}
END_TEST

static enum err delete_and_fail(struct db *tx, void *arg)
{
    (void)arg;
    ck_ok(db_exec(tx, "DELETE FROM users", DB_ARGS(), NULL));
    return ERR_INVALID;
}

START_TEST(what_is_rolled_back_is_not_in_the_log)
{
    begin_idle(_i);
    ck_err(db_tx(there.db, delete_and_fail, NULL), ERR_INVALID);
    ck_assert_int_eq(query_int("SELECT COUNT(*) FROM token_changes"), 1);
    finish();
}
END_TEST

START_TEST(an_answer_counts_as_long_as_the_log_is_read)
{
    begin(_i);
    struct liveness_found found = ask("t1");
    found.asked_ms -= LIVENESS_BLIND_MS;
    for (int64_t end = clock_mono_ms() + LIVENESS_LEASE_MS + 100; clock_mono_ms() < end; pause_briefly())
        ck_assert(is_believed("t1", &found));
    struct liveness_found other = ask("t2");
    sql("UPDATE users SET login_ms = 7");
    sql("DELETE FROM tokens WHERE id = 't2'");
    ck_assert_int_lt(wait_until_doubted("t2", &other), BOUND_MS);
    ck_assert(is_believed("t1", &found));
    finish();
}
END_TEST

START_TEST(nothing_is_believed_unasked_or_after_its_time)
{
    begin(_i);
    struct liveness_found found = {0};
    ck_assert(!is_believed("t1", &found));
    found = ask("t1");
    found.until_ms = clock_mono_ms();
    ck_assert(!is_believed("t1", &found));
    finish();
}
END_TEST

START_TEST(a_revocation_elsewhere_is_heard_of_within_a_second)
{
    begin(_i);
    for (int i = 0; i < 3; i++) {
        static const char *const ids[] = {"t1", "s1", "s2"};
        static const char *const kills[] = {"DELETE FROM tokens WHERE id = 't1'",
                                            "UPDATE auth_sets SET status = 'rejected' WHERE id = 's1'",
                                            "DELETE FROM devices WHERE id = 'd2'"};
        struct liveness_found found = ask(ids[i]);
        struct liveness_found other = ask("t3");
        sql(kills[i]);
        ck_assert_int_lt(wait_until_doubted(ids[i], &found), BOUND_MS);
        ck_assert(is_believed("t3", &other));
    }
    finish();
}
END_TEST

START_TEST(ones_own_revocation_counts_at_once)
{
    begin(_i);
    for (int i = 0; i < 20; i++) {
        struct liveness_found found = ask("t1");
        struct liveness_found other = ask("t3");
        ck_ok(db_exec(here.db, "UPDATE tokens SET expires_ms = expires_ms + 1 WHERE id = 't1'", DB_ARGS(), NULL));
        liveness_revoked(here.liveness);
        ck_assert(!is_believed("t1", &found));
        ck_assert(is_believed("t3", &other));
    }
    finish();
}
END_TEST

START_TEST(without_the_thread_an_answer_counts_for_a_moment)
{
    begin_idle(_i);
    clock_set(1790000000000);
    struct liveness_found found = ask("t1");
    clock_set(1790000000000 + LIVENESS_BLIND_MS - 1);
    ck_assert(is_believed("t1", &found));
    clock_set(1790000000000 + LIVENESS_BLIND_MS);
    ck_assert(!is_believed("t1", &found));
    found = ask("t1");
    ck_assert(is_believed("t1", &found));
    liveness_revoked(here.liveness);
    ck_assert(!is_believed("t1", &found));
    finish();
}
END_TEST

START_TEST(a_log_that_cannot_be_read_is_done_without)
{
    begin(_i);
    sql("ALTER TABLE token_changes RENAME TO lost_changes");
    wait_until_intact(false);
    wait_line("revocations by other processes are not heard of");
    struct liveness_found found = ask("t1");
    ck_assert(is_believed("t1", &found));
    ck_assert_int_lt(wait_until_doubted("t1", &found), BOUND_MS);
    found = ask("t1");
    liveness_revoked(here.liveness);
    ck_assert(!is_believed("t1", &found));
    sql("ALTER TABLE lost_changes RENAME TO token_changes");
    wait_until_intact(true);
    wait_line("revocations by other processes are heard of again");
    finish();
}
END_TEST

START_TEST(a_log_with_a_gap_makes_everything_be_asked_again)
{
    begin(_i);
    struct liveness_found found = ask("t3");
    sql("DELETE FROM token_changes");
    sql("DELETE FROM tokens WHERE id = 't1'");
    ck_assert_int_lt(wait_until_doubted("t3", &found), BOUND_MS);
    found = ask("t3");
    sql("DELETE FROM tokens WHERE id = 't3'");
    ck_assert_int_lt(wait_until_doubted("t3", &found), BOUND_MS);
    finish();
}
END_TEST

START_TEST(more_changes_than_one_cares_to_read_are_one)
{
    begin(_i);
    struct liveness_found found = ask("t3");
    sql("INSERT INTO tokens (id, tenant_id, user_id, kid, issued_ms) "
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
        "SELECT 'many' || CAST(i AS TEXT), '', 'u1', 1, 1 FROM n");
    sql("DELETE FROM users WHERE id = 'u1'");
    ck_assert_int_lt(wait_until_doubted("t3", &found), BOUND_MS);
    found = ask("t3");
    sql("DELETE FROM tokens WHERE id = 't3'");
    ck_assert_int_lt(wait_until_doubted("t3", &found), BOUND_MS);
    finish();
}
END_TEST

START_TEST(old_rows_of_the_log_are_deleted_but_the_newest)
{
    begin(_i);
    clock_set(1790000000000);
    sql("DELETE FROM tokens WHERE id = 't1'");
    liveness_revoked(here.liveness);
    liveness_sweep(here.liveness);
    sql("DELETE FROM tokens WHERE id = 't2'");
    liveness_revoked(here.liveness);
    clock_set(1790000000000 + 599999);
    liveness_sweep(here.liveness);
    ck_assert_int_eq(query_int("SELECT COUNT(*) FROM token_changes"), 3);
    clock_set(1790000000000 + 600000);
    liveness_sweep(here.liveness);
    ck_assert_int_eq(query_int("SELECT COUNT(*) FROM token_changes"), 2);
    clock_set(1790000000000 + 1200000);
    liveness_sweep(here.liveness);
    ck_assert_int_eq(query_int("SELECT COUNT(*) FROM token_changes"), 1);
    clock_set(1790000000000 + 1800000);
    liveness_sweep(here.liveness);
    ck_assert_int_eq(query_int("SELECT COUNT(*) FROM token_changes"), 1);

    struct liveness_found found = ask("t3");
    sql("DELETE FROM tokens WHERE id = 't3'");
    liveness_revoked(here.liveness);
    ck_assert(!is_believed("t3", &found));
    finish();
}
END_TEST

START_TEST(a_cut_connection_is_replaced_and_nothing_is_missed)
{
    begin(1);
    struct liveness_found found = ask("t1");
    ck_assert_int_ge(query_int("SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity "
                               "WHERE pid <> pg_backend_pid() AND query LIKE 'SELECT seq, token_id%'"),
                     1);
    sql("DELETE FROM tokens WHERE id = 't1'");
    ck_assert_int_lt(wait_until_doubted("t1", &found), BOUND_MS);
    wait_line("revocations by other processes are not heard of");
    wait_line("revocations by other processes are heard of again");
    found = ask("t2");
    sql("DELETE FROM tokens WHERE id = 't2'");
    ck_assert_int_lt(wait_until_doubted("t2", &found), BOUND_MS);
    finish();
}
END_TEST

START_TEST(a_notice_is_faster_than_the_next_look)
{
    begin(1);
    int64_t fastest = PATIENCE_MS;
    for (int i = 0; i < 10; i++) {
        struct liveness_found found = ask("t1");
        sql("UPDATE tokens SET expires_ms = expires_ms + 1 WHERE id = 't1'");
        int64_t took = wait_until_doubted("t1", &found);
        fastest = took < fastest ? took : fastest;
    }
    ck_assert_int_lt(fastest, LIVENESS_POLL_MS / 2);
    finish();
}
END_TEST

START_TEST(emptying_a_table_is_noticed)
{
    begin(1);
    struct liveness_found user = ask("t3");
    struct liveness_found device = ask("s1");
    sql("TRUNCATE users CASCADE");
    ck_assert_int_lt(wait_until_doubted("t3", &user), BOUND_MS);
    device = ask("s1");
    sql("TRUNCATE device_tokens");
    ck_assert_int_lt(wait_until_doubted("s1", &device), BOUND_MS);
    finish();
}
END_TEST

/* Many writers, whose transactions take different times, and one reader, who must not miss any of them. */
enum { WRITERS = 4, ROUNDS = 8 };

static enum err touch_slowly(struct db *tx, void *arg)
{
    const char *id = arg;
    TRY(db_exec(tx, "UPDATE tokens SET expires_ms = expires_ms + 1 WHERE id = $1", DB_ARGS(db_text(id)), NULL));
    for (unsigned char i = 0; i < (unsigned char)id[strlen(id) - 1] % 7; i++)
        TRY(db_exec(tx, "UPDATE settings SET etag = 'x' WHERE tenant_id = $1", DB_ARGS(db_text(id)), NULL));
    return ERR_OK;
}

static atomic_int missed;

static void *write_on(void *arg)
{
    struct db *db = open_url(arg);
    for (int i = 0; i < support_times(ROUNDS, 5); i++) {
        char id[] = "n0";
        id[1] = (char)('0' + i % 8);
        struct liveness_found found = ask(id);
        if (db_tx(db, touch_slowly, id) != ERR_OK || wait_until_doubted(id, &found) >= BOUND_MS)
            atomic_fetch_add(&missed, 1);
    }
    db_free(&db);
    return NULL;
}

START_TEST(no_change_is_missed_among_many)
{
    const char *url = support_db_url(_i);
    here.db = open_url(url);
    there.db = open_url(url);
    ck_ok(migrate_run(here.db, migrate_list, NULL));
    insert_rows();
    sql("INSERT INTO tokens (id, tenant_id, user_id, kid, issued_ms, expires_ms) "
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 7) "
        "SELECT 'n' || CAST(i AS TEXT), '', 'u1', 1, 1, 9 FROM n");
    here.liveness = liveness_new(here.db);
    ck_ok(liveness_start(here.liveness));
    wait_until_intact(true);
    pthread_t thread[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, write_on, (void *)(uintptr_t)url), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(thread[i], NULL);
    ck_assert_int_eq(missed, 0);
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        the_log_names_what_dies_and_nothing_else,           what_is_rolled_back_is_not_in_the_log,
        an_answer_counts_as_long_as_the_log_is_read,        nothing_is_believed_unasked_or_after_its_time,
        a_revocation_elsewhere_is_heard_of_within_a_second, ones_own_revocation_counts_at_once,
        without_the_thread_an_answer_counts_for_a_moment,   a_log_that_cannot_be_read_is_done_without,
        a_log_with_a_gap_makes_everything_be_asked_again,   more_changes_than_one_cares_to_read_are_one,
        old_rows_of_the_log_are_deleted_but_the_newest,     no_change_is_missed_among_many,
    };
    Suite *s = suite_create("liveness");
    TCase *tc = tcase_create("liveness");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    for (size_t i = 0; i < sizeof on_both / sizeof *on_both; i++)
        tcase_add_loop_test(tc, on_both[i], 0, SUPPORT_ENGINES);
    tcase_add_test(tc, a_cut_connection_is_replaced_and_nothing_is_missed);
    tcase_add_test(tc, a_notice_is_faster_than_the_next_look);
    tcase_add_test(tc, emptying_a_table_is_noticed);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
