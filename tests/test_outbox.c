/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/outbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/outbox_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/migrate.h"
#include "tests/engine.h"
#include "tests/support.h"

enum { TIMEOUT_MS = 10000, ROUND_MS = 50, PATIENCE_MS = 30000 };

static struct db *db;
static struct engine *engine;
static struct outbox *outbox;

static void start(struct db *where, int64_t timeout_ms, struct outbox **out)
{
    const struct outbox_config config = {.orchestrator_addr = engine_url(engine),
                                         .timeout_ms = timeout_ms,
                                         .round_ms = ROUND_MS};
    ck_ok(outbox_start(&config, where, out));
}

/* An engine in this mood, and an outbox that knows it. */
static void begin_slow(int engine_index, enum engine_mood mood, int64_t timeout_ms)
{
    db = support_db(engine_index);
    engine = engine_new();
    engine_be(engine, mood);
    engine_listen(engine);
    start(db, timeout_ms, &outbox);
}

static void begin(int engine_index, enum engine_mood mood)
{
    begin_slow(engine_index, mood, TIMEOUT_MS);
}

static void finish(void)
{
    outbox_stop(&outbox);
    engine_free(&engine);
    db_free(&db);
}

struct addition {
    const char *device, *workflow, *body;
};

static enum err add_one(struct db *tx, void *arg)
{
    const struct addition *a = arg;
    return outbox_add(tx, a->device, a->workflow, a->body);
}

static enum err add_and_fail(struct db *tx, void *arg)
{
    TRY(add_one(tx, arg));
    return ERR_NOT_FOUND;
}

static void add_to(struct db *where, const char *device, const char *body)
{
    struct addition a = {device, "update_device_status", body};
    ck_ok(db_tx(where, add_one, &a));
}

static void add(const char *device, const char *body)
{
    add_to(db, device, body);
}

static int64_t pending(void)
{
    int64_t calls = -1;
    int64_t age_ms = -1;
    ck_ok(outbox_pending(db, &calls, &age_ms));
    return calls;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void wait_until_empty(void)
{
    int64_t limit_ns = clock_mono_ns() + (int64_t)PATIENCE_MS * 1000000;
    while (pending() > 0 && clock_mono_ns() < limit_ns)
        pause_briefly();
    ck_assert_int_eq(pending(), 0);
}

START_TEST(calls_as_the_contract_says)
{
    begin(_i, ENGINE_WELL);
    struct addition a = {"d1", "provision_device", "{\"request_id\":\"r-1\",\"device_id\":\"d1\"}"};
    ck_ok(db_tx(db, add_one, &a));
    ck_ok(outbox_flush(outbox, "d1"));
    ck_assert_uint_eq(engine_count(engine), 1);
    const char *request = engine_request(engine, 0);
    static const char line[] = "POST /api/v1/workflow/provision_device HTTP/1.1\r\n";
    ck_assert_msg(strncmp(request, line, strlen(line)) == 0, "%s", request);
    ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nAccept: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nX-MEN-RequestID: r-1\r\n"));
    ck_assert_str_eq(engine_body(engine, 0), a.body);
    ck_assert_int_eq(pending(), 0);
    finish();
}
END_TEST

START_TEST(an_empty_answer_is_good)
{
    begin(_i, ENGINE_EMPTY);
    add("d1", "{\"request_id\":\"r\\nHost: x\"}");
    ck_ok(outbox_flush(outbox, "d1"));
    ck_assert_ptr_null(strstr(engine_request(engine, 0), "X-MEN-RequestID"));
    ck_assert_int_eq(pending(), 0);
    finish();
}
END_TEST

START_TEST(what_an_aborted_transaction_queued_is_not_sent)
{
    begin(_i, ENGINE_WELL);
    struct addition a = {"d1", "provision_device", "{}"};
    ck_err(db_tx(db, add_and_fail, &a), ERR_NOT_FOUND);
    ck_ok(outbox_flush(outbox, "d1"));
    ck_assert_uint_eq(engine_count(engine), 0);
    finish();
}
END_TEST

/* Each way of failing: the caller learns of it, the call stays, and is made as soon as the engine is well. */
static const enum engine_mood bad_moods[] = {ENGINE_FAILS, ENGINE_REFUSES, ENGINE_CHATS, ENGINE_CLOSES};
#define BAD_MOODS ((int)(sizeof bad_moods / sizeof *bad_moods))

START_TEST(a_failure_is_said_and_nothing_is_lost)
{
    begin(_i % SUPPORT_ENGINES, bad_moods[_i / SUPPORT_ENGINES]);
    add("d1", "{\"n\":1}");
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW);
    ck_assert_int_eq(pending(), 1);
    engine_be(engine, ENGINE_WELL);
    wait_until_empty();
    ck_assert_str_eq(engine_body(engine, engine_count(engine) - 1), "{\"n\":1}");
    finish();
}
END_TEST

START_TEST(a_slow_engine_holds_one_caller_at_most)
{
    const int64_t timeout_ms = 1500;
    begin_slow(_i, ENGINE_SILENT, timeout_ms);
    add("d1", "{\"n\":1}");
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW);
    ck_assert_int_eq(pending(), 1);
    engine_wait(engine, 2); /* the next try, which waits now */
    int64_t from_ns = clock_mono_ns();
    add("d2", "{\"n\":2}");
    ck_err(outbox_flush(outbox, "d2"), ERR_WORKFLOW);
    add("d1", "{\"n\":3}");
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW); /* nor for what another thread is sending */
    ck_assert_int_lt((clock_mono_ns() - from_ns) / 1000000, timeout_ms / 2);
    engine_be(engine, ENGINE_WELL);
    wait_until_empty();
    finish();
}
END_TEST

START_TEST(an_engine_that_is_not_there_is_found_when_it_comes)
{
    db = support_db(_i);
    engine = engine_new();
    support_log_capture();
    start(db, TIMEOUT_MS, &outbox);
    for (int i = 0; i < 5; i++) {
        AUTO(mem_free) char *device = mem_printf("d%d", i);
        add(device, "{}");
        ck_err(outbox_flush(outbox, device), ERR_WORKFLOW);
    }
    engine_listen(engine);
    wait_until_empty();
    ck_assert_uint_eq(engine_count(engine), 5);
    outbox_stop(&outbox);
    AUTO(mem_free) char *log = support_log();
    const char *down = strstr(log, "takes no calls");
    const char *up = strstr(log, "takes calls again");
    ck_assert_ptr_nonnull(down);
    ck_assert_ptr_null(strstr(down + 1, "takes no calls"));
    ck_assert_ptr_nonnull(up);
    ck_assert_ptr_null(strstr(up + 1, "takes calls again"));
    engine_free(&engine);
    db_free(&db);
}
END_TEST

START_TEST(the_order_of_a_device_is_kept)
{
    begin(_i, ENGINE_FAILS);
    add("d1", "{\"n\":1}");
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW);
    add("d1", "{\"n\":2}");
    add("d1", "{\"n\":3}");
    engine_be(engine, ENGINE_WELL);
    ck_ok(outbox_flush(outbox, "d1"));
    size_t n = engine_count(engine);
    ck_assert_uint_ge(n, 4);
    ck_assert_str_eq(engine_body(engine, n - 3), "{\"n\":1}");
    ck_assert_str_eq(engine_body(engine, n - 2), "{\"n\":2}");
    ck_assert_str_eq(engine_body(engine, n - 1), "{\"n\":3}");
    ck_assert_int_eq(pending(), 0);
    finish();
}
END_TEST

START_TEST(one_device_does_not_hold_up_another)
{
    begin(_i, ENGINE_REFUSES);
    add("d1", "{\"n\":1}");
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW);
    engine_be(engine, ENGINE_WELL);
    add("d2", "{\"n\":2}");
    ck_ok(outbox_flush(outbox, "d2"));
    wait_until_empty();
    finish();
}
END_TEST

START_TEST(what_waits_can_be_listed)
{
    begin(_i, ENGINE_REFUSES);
    add("d1", "{\"n\":1}");
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW);
    add("d1", "{\"n\":2}");
    struct outbox_event *list = NULL;
    size_t n = 0;
    ck_ok(outbox_list(db, 10, &list, &n));
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(list[0].device_id, "d1");
    ck_assert_str_eq(list[0].workflow, "update_device_status");
    ck_assert_str_eq(list[0].error, "the answer is 404");
    ck_assert_int_ge(list[0].attempts, 1);
    ck_assert_str_eq(list[1].error, "");
    ck_assert_int_lt(list[0].seq, list[1].seq);
    outbox_list_free(&list, n);
    ck_ok(outbox_list(db, 1, &list, &n));
    ck_assert_uint_eq(n, 1);
    outbox_list_free(&list, n);
    finish();
}
END_TEST

START_TEST(a_lease_that_ran_out_is_taken_over)
{
    db = support_db(_i);
    engine = engine_new();
    add("d1", "{\"n\":1}");
    struct outbox_head head;
    ck_ok(outbox_db_head(db, "d1", &head));
    int64_t now_ms = clock_ms();
    AUTO(outbox_db_release) struct outbox_claim dead = {0};
    AUTO(outbox_db_release) struct outbox_claim other = {0};
    ck_ok(outbox_db_claim(db, "d1", head.seq, now_ms, now_ms + 500, &dead));
    ck_err(outbox_db_claim(db, "d1", head.seq, now_ms, now_ms + 500, &other), ERR_NOT_FOUND);
    engine_listen(engine);
    start(db, TIMEOUT_MS, &outbox);
    wait_until_empty();
    ck_assert_uint_eq(engine_count(engine), 1);
    ck_assert_int_ge(clock_ms(), now_ms + 500);
    add("d1", "{\"n\":2}");
    ck_ok(outbox_db_delete(db, &dead)); /* comes back too late, and deletes nothing */
    ck_assert_int_eq(pending(), 1);
    finish();
}
END_TEST

static void *flush_in_vain(void *arg)
{
    (void)arg;
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW);
    return NULL;
}

START_TEST(a_stop_does_not_wait_for_what_another_process_sends)
{
    begin(_i, ENGINE_WELL);
    add("d1", "{}");
    struct outbox_head head;
    ck_ok(outbox_db_head(db, "d1", &head));
    AUTO(outbox_db_release) struct outbox_claim other = {0};
    ck_ok(outbox_db_claim(db, "d1", head.seq, clock_ms(), clock_ms() + 4 * TIMEOUT_MS, &other));
    int64_t from_ms = clock_mono_ms();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, flush_in_vain, NULL), 0);
    outbox_hurry(outbox, 0);
    pthread_join(thread, NULL);
    ck_assert_int_lt(clock_mono_ms() - from_ms, TIMEOUT_MS / 2);
    ck_assert_uint_eq(engine_count(engine), 0);
    finish();
}
END_TEST

/* What is given up before it begins is no try. */
START_TEST(nothing_is_tried_once_it_is_given_up)
{
    db = support_db(_i);
    engine = engine_new();
    engine_listen(engine);
    start(db, TIMEOUT_MS, &outbox);
    outbox_hurry(outbox, 0);
    add("d1", "{}");
    ck_err(outbox_flush(outbox, "d1"), ERR_WORKFLOW);
    outbox_stop(&outbox);
    struct outbox_event *list = NULL;
    size_t n = 0;
    ck_ok(outbox_list(db, 10, &list, &n));
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(list[0].attempts, 0);
    outbox_list_free(&list, n);
    finish();
}
END_TEST

/* 0: it was queued by then; 1: somebody was sending it, who died */
START_TEST(a_clock_that_is_set_back_holds_nothing_up)
{
    const int64_t year_ms = INT64_C(365) * 86400 * 1000;
    int64_t later_ms = clock_ms() + year_ms;
    db = support_db(_i % SUPPORT_ENGINES);
    engine = engine_new();
    engine_listen(engine);
    clock_set(later_ms);
    add("d1", "{\"n\":1}");
    struct outbox_head head;
    ck_ok(outbox_db_head(db, "d1", &head));
    AUTO(outbox_db_release) struct outbox_claim dead = {0};
    if (_i / SUPPORT_ENGINES == 1)
        ck_ok(outbox_db_claim(db, "d1", head.seq, later_ms, later_ms + TIMEOUT_MS, &dead));
    clock_set(-1);
    add("d1", "{\"n\":2}");
    start(db, TIMEOUT_MS, &outbox);
    wait_until_empty();
    ck_assert_uint_eq(engine_count(engine), 2);
    ck_assert_str_eq(engine_body(engine, 0), "{\"n\":1}");
    ck_assert_str_eq(engine_body(engine, 1), "{\"n\":2}");
    finish();
}
END_TEST

struct storm {
    struct db *db;
    struct outbox *outbox;
    int number;
};

enum { STORM_THREADS = 4, STORM_DEVICES = 3, STORM_EVENTS = 10 };

static void *make_events(void *arg)
{
    const struct storm *storm = arg;
    for (int i = 0; i < STORM_EVENTS; i++) {
        AUTO(mem_free) char *device = mem_printf("d%d", i % STORM_DEVICES);
        AUTO(mem_free) char *body = mem_printf("{\"by\":%d,\"n\":%d}", storm->number, i);
        add_to(storm->db, device, body);
        if (i % 2 == 0)
            ck_ok(outbox_flush(storm->outbox, device));
    }
    return NULL;
}

/* Each event is there once, and those of one thread for one device in its order. */
static void check_storm(void)
{
    ck_assert_uint_eq(engine_count(engine), STORM_THREADS * STORM_EVENTS);
    for (int by = 0; by < STORM_THREADS; by++) {
        int last[STORM_DEVICES] = {-1, -1, -1};
        int seen = 0;
        for (size_t i = 0; i < STORM_THREADS * STORM_EVENTS; i++) {
            int who = -1;
            int n = -1;
            ck_assert_int_eq(sscanf(engine_body(engine, i), "{\"by\":%d,\"n\":%d}", &who, &n), 2);
            if (who != by)
                continue;
            ck_assert_int_gt(n, last[n % STORM_DEVICES]);
            last[n % STORM_DEVICES] = n;
            seen++;
        }
        ck_assert_int_eq(seen, STORM_EVENTS);
    }
}

START_TEST(two_processes_never_send_one_event_twice)
{
    const char *url = support_db_url(_i);
    char why[256];
    struct db *second = NULL;
    ck_ok(db_open(url, 8, why, sizeof why, &db));
    ck_ok(migrate_run(db, migrate_list, NULL));
    ck_ok(db_open(url, 8, why, sizeof why, &second));
    engine = engine_new();
    engine_listen(engine);
    struct outbox *other = NULL;
    start(db, TIMEOUT_MS, &outbox);
    start(second, TIMEOUT_MS, &other);
    pthread_t thread[STORM_THREADS];
    struct storm storm[STORM_THREADS];
    for (int i = 0; i < STORM_THREADS; i++) {
        storm[i] = (struct storm){.db = i % 2 ? db : second, .outbox = i % 2 ? outbox : other, .number = i};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, make_events, &storm[i]), 0);
    }
    for (int i = 0; i < STORM_THREADS; i++)
        pthread_join(thread[i], NULL);
    wait_until_empty();
    outbox_stop(&other);
    check_storm();
    db_free(&second);
    finish();
}
END_TEST

START_TEST(stops_soon_though_the_engine_is_silent)
{
    begin(_i, ENGINE_SILENT);
    add("d1", "{}");
    engine_wait(engine, 1);
    int64_t from_ns = clock_mono_ns();
    outbox_stop(&outbox);
    ck_assert_int_lt((clock_mono_ns() - from_ns) / 1000000, TIMEOUT_MS / 2);
    ck_assert_int_eq(pending(), 1);
    finish();
}
END_TEST

static bool is_measured(const char *series, int64_t value)
{
    int64_t limit_ms = clock_mono_ms() + PATIENCE_MS;
    while (support_metric(series) != value && clock_mono_ms() < limit_ms)
        pause_briefly();
    return support_metric(series) == value;
}

START_TEST(queue_and_calls_are_measured)
{
    static const char delivered[] =
        "mintd_workflow_calls_total{workflow=\"update_device_status\",result=\"delivered\"}";
    int64_t before = support_metric(delivered);
    begin(_i, ENGINE_WELL);
    add("d1", "{}");
    ck_ok(outbox_flush(outbox, "d1"));
    ck_assert_int_eq(support_metric(delivered), before + 1);
    ck_assert(is_measured("mintd_workflow_queue_length", 0));
    ck_assert(is_measured("mintd_workflow_oldest_age_seconds", 0));
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("outbox");
    TCase *tc = tcase_create("outbox");
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, calls_as_the_contract_says, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_empty_answer_is_good, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, what_an_aborted_transaction_queued_is_not_sent, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_failure_is_said_and_nothing_is_lost, 0, SUPPORT_ENGINES * BAD_MOODS);
    tcase_add_loop_test(tc, a_slow_engine_holds_one_caller_at_most, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_engine_that_is_not_there_is_found_when_it_comes, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_order_of_a_device_is_kept, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, one_device_does_not_hold_up_another, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, what_waits_can_be_listed, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_lease_that_ran_out_is_taken_over, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_stop_does_not_wait_for_what_another_process_sends, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, nothing_is_tried_once_it_is_given_up, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_clock_that_is_set_back_holds_nothing_up, 0, SUPPORT_ENGINES * 2);
    tcase_add_loop_test(tc, two_processes_never_send_one_event_twice, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, stops_soon_though_the_engine_is_silent, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, queue_and_calls_are_measured, 0, SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
