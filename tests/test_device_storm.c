/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"
#include "tests/engine.h"

/* Many calls at once over the router (contract/deviceauth 7, the last paragraph; design 8.7). */

#define LIMIT "/api/internal/v1/devauth/tenant//limits/max_devices"
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { CROWD = 64, CROWD_FEW = 12, RACERS = 8, ALLOWED = 3 };

static struct fixture f;
static struct engine *engine;
static char *admin;

static void begin(int index)
{
    fixture_init(&f, index);
    admin = fixture_login(&f);
    engine = engine_new();
    engine_listen(engine);
    const struct outbox_config config = {.orchestrator_addr = engine_url(engine), .timeout_ms = 10000};
    ck_ok(outbox_start(&config, f.db, &f.fleet.outbox));
}

static void finish(void)
{
    outbox_stop(&f.fleet.outbox);
    engine_free(&engine);
    mem_free(&admin);
    fixture_release(&f);
}

/* Somebody who makes one call at the same time as the others. */
struct racer {
    struct board *board; /* asks; NULL: the operator accepts */
    char *path;          /* of the set to accept */
    int status;
    pthread_barrier_t *start;
    pthread_t thread;
};

static void *run(void *arg)
{
    struct racer *racer = arg;
    AUTO(fixture_free) struct call *c = NULL;
    AUTO(mem_free) char *body = racer->board != NULL ? board_body(racer->board) : NULL;
    pthread_barrier_wait(racer->start);
    c = racer->board != NULL ? board_send(racer->board, body)
                             : board_operator(&f, admin, "PUT", racer->path, "{\"status\":\"accepted\"}");
    racer->status = c->status;
    return NULL;
}

/* Let them run; how many of them got this status. The others got another one. */
static int race(struct racer *racers, int n, int status, int other)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)n);
    for (int i = 0; i < n; i++) {
        racers[i].start = &start;
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
    }
    int count = 0;
    for (int i = 0; i < n; i++)
        pthread_join(racers[i].thread, NULL);
    for (int i = 0; i < n; i++) {
        ck_assert_msg(racers[i].status == status || racers[i].status == other, "%d", racers[i].status);
        count += racers[i].status == status;
    }
    pthread_barrier_destroy(&start);
    return count;
}

/* How often the engine was asked to run this workflow. */
static int calls_of(const char *workflow)
{
    AUTO(mem_free) char *line = mem_printf("POST /api/v1/workflow/%s ", workflow);
    int n = 0;
    for (size_t i = 0; i < engine_count(engine); i++)
        n += strncmp(engine_request(engine, i), line, strlen(line)) == 0;
    return n;
}

static void expect_count(const char *status, int want)
{
    AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/count?status=%s", status);
    AUTO(mem_free) char *reply = mem_printf("{\"count\":%d}", want);
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, "GET", path, NULL);
    ck_assert_str_eq(c->reply, reply);
}

START_TEST(identical_first_requests_make_one_device)
{
    begin(_i);
    struct board board;
    struct racer racers[CROWD] = {0};
    int crowd = support_times(CROWD, CROWD_FEW);
    board_init(&board, &f, "ED25519", "{\"mac\":\"1\"}");
    for (int i = 0; i < crowd; i++)
        racers[i].board = &board;
    ck_assert_int_eq(race(racers, crowd, 401, 401), crowd);
    expect_count("", 1);
    AUTO(json_release) json_t *device = board_device(&f, "");
    ck_assert_uint_eq(json_array_size(json_object_get(device, "auth_sets")), 1);
    ck_assert_int_eq(calls_of("update_device_inventory"), 1);
    ck_assert_int_eq(calls_of("update_device_status"), 1);
    AUTO(mem_free) char *path = board_set_path(device, 0, "/status");
    board_expect(&f, admin, "PUT", path, "{\"status\":\"accepted\"}", 204, "");
    ck_assert_int_eq(race(racers, crowd, 200, 200), crowd);
    ck_assert_int_eq(calls_of("provision_device"), 1);
    board_release(&board);
    finish();
}
END_TEST

START_TEST(many_keys_of_one_device_are_one_device)
{
    begin(_i);
    struct board boards[RACERS];
    struct racer racers[RACERS] = {0};
    for (int i = 0; i < RACERS; i++) {
        board_init(&boards[i], &f, "ED25519", "{\"mac\":\"1\"}");
        racers[i].board = &boards[i];
    }
    ck_assert_int_eq(race(racers, RACERS, 401, 401), RACERS);
    expect_count("", 1);
    AUTO(json_release) json_t *device = board_device(&f, "");
    ck_assert_uint_eq(json_array_size(json_object_get(device, "auth_sets")), RACERS);
    ck_assert_int_eq(calls_of("update_device_inventory"), 1);
    for (int i = 0; i < RACERS; i++)
        board_release(&boards[i]);
    finish();
}
END_TEST

/* Devices of which ALLOWED may be accepted, each with one set. */
static void init_devices(struct board *boards)
{
    for (int i = 0; i < RACERS; i++) {
        AUTO(mem_free) char *id_data = mem_printf("{\"mac\":\"%d\"}", i);
        board_init(&boards[i], &f, "ED25519", id_data);
    }
    AUTO(mem_free) char *body = mem_printf("{\"limit\":%d}", ALLOWED);
    board_expect(&f, NULL, "PUT", LIMIT, body, 204, "");
}

static void release_devices(struct board *boards)
{
    for (int i = 0; i < RACERS; i++)
        board_release(&boards[i]);
}

START_TEST(parallel_accepts_never_exceed_the_limit)
{
    begin(_i);
    struct board boards[RACERS];
    struct racer racers[RACERS] = {0};
    init_devices(boards);
    for (int i = 0; i < RACERS; i++)
        ck_assert_int_eq(board_ask(&boards[i]), 401);
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, "GET", BOARD_DEVICES, NULL);
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    for (size_t i = 0; i < RACERS; i++)
        racers[i].path = board_set_path(json_array_get(list, i), 0, "/status");
    ck_assert_int_eq(race(racers, RACERS, 204, 422), ALLOWED);
    expect_count("accepted", ALLOWED);
    expect_count("pending", RACERS - ALLOWED);
    for (int i = 0; i < RACERS; i++)
        mem_free(&racers[i].path);
    release_devices(boards);
    finish();
}
END_TEST

START_TEST(preauthorized_devices_that_come_at_once_do_not_either)
{
    begin(_i);
    struct board boards[RACERS];
    struct racer racers[RACERS] = {0};
    init_devices(boards);
    for (int i = 0; i < RACERS; i++) {
        AUTO(json_release) json_t *identity = json_loads(boards[i].id_data, 0, NULL);
        AUTO(json_release) json_t *json = json_pack("{s:O, s:s}", "identity_data", identity, "pubkey", boards[i].pem);
        AUTO(mem_free) char *body = json_dumps(json, JSON_COMPACT);
        board_expect(&f, admin, "POST", BOARD_DEVICES, body, 201, "");
        racers[i].board = &boards[i];
    }
    ck_assert_int_eq(race(racers, RACERS, 200, 401), ALLOWED);
    expect_count("accepted", ALLOWED);
    expect_count("preauthorized", RACERS - ALLOWED);
    release_devices(boards);
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        identical_first_requests_make_one_device,
        many_keys_of_one_device_are_one_device,
        parallel_accepts_never_exceed_the_limit,
        preauthorized_devices_that_come_at_once_do_not_either,
    };
    Suite *s = suite_create("device_storm");
    TCase *tc = tcase_create("device_storm");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    for (size_t i = 0; i < COUNT(on_both); i++)
        tcase_add_loop_test(tc, on_both[i], 0, support_times(SUPPORT_ENGINES, 1));
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
