/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_event.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"
#include "tests/engine.h"

/* What the workflow engine is told, and when (contract/deviceauth 5.5): each call of it as it goes over the wire. */

#define NOW_MS INT64_C(1790000000120)
#define NOW "2026-09-21T14:13:20.12Z"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct fixture f;
static struct engine *engine;
static struct board board;
static char *admin;
static size_t seen;      /* calls that were looked at */
static char *request_id; /* of the HTTP request before */

static void begin_as(int index, const char *id_data)
{
    clock_set(NOW_MS);
    fixture_init(&f, index);
    admin = fixture_login(&f);
    engine = engine_new();
    engine_listen(engine);
    const struct outbox_config config = {.orchestrator_addr = engine_url(engine), .timeout_ms = 10000};
    ck_ok(outbox_start(&config, f.db, &f.fleet.outbox));
    board_init(&board, &f, "ED25519", id_data);
    seen = 0;
}

static void begin(int index)
{
    begin_as(index, "{\"mac\":\"1\"}");
}

static void finish(void)
{
    ck_assert_uint_eq(engine_count(engine), seen);
    mem_free(&request_id);
    mem_free(&admin);
    board_release(&board);
    outbox_stop(&f.fleet.outbox);
    engine_free(&engine);
    fixture_release(&f);
}

static void expect_status(const struct call *c, int status)
{
    ck_assert_msg(c->status == status, "%s gave %d %s, not %d", c->path, c->status, c->reply, status);
    mem_free(&request_id);
    request_id = mem_strdup(fixture_header(c, "X-Men-Requestid"));
}

static void ask(int status)
{
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(fixture_free) struct call *c = board_send(&board, body);
    expect_status(c, status);
}

static void operate(const char *method, const char *path, const char *body, int status)
{
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, method, path, body);
    expect_status(c, status);
}

static void put(const char *status, int want)
{
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_set_path(device, 0, "/status");
    AUTO(mem_free) char *body = mem_printf("{\"status\":\"%s\"}", status);
    operate("PUT", path, body, want);
}

static void preauthorize(bool force)
{
    AUTO(json_release) json_t *identity = json_loads(board.id_data, 0, NULL);
    AUTO(json_release)
    json_t *json = json_pack("{s:O, s:s, s:b}", "identity_data", identity, "pubkey", board.pem, "force", (int)force);
    AUTO(mem_free) char *body = json_dumps(json, JSON_COMPACT);
    operate("POST", BOARD_DEVICES, body, 201);
}

static char *id_of(void)
{
    AUTO(json_release) json_t *device = board_device(&f, "");
    return mem_strdup(json_string_value(json_object_get(device, "id")));
}

/* The next call is of this workflow and has this body, which it takes, and the id of the request. */
static void expect_call(const char *workflow, json_t *want)
{
    AUTO(json_release) json_t *held = want;
    AUTO(mem_free) char *line = mem_printf("POST /api/v1/workflow/%s HTTP/1.1", workflow);
    ck_assert_uint_gt(engine_count(engine), seen);
    const char *request = engine_request(engine, seen);
    ck_assert_msg(strncmp(request, line, strlen(line)) == 0, "%s, not %s", request, workflow);
    AUTO(json_release) json_t *body = json_loads(engine_body(engine, seen), 0, NULL);
    json_object_set_new(held, "request_id", json_string(request_id));
    AUTO(mem_free) char *wanted = json_dumps(held, JSON_COMPACT);
    ck_assert_msg(json_equal(body, held), "%s, not %s", engine_body(engine, seen), wanted);
    seen++;
}

/* What is told of the device with its only set: it has this status and revision, the set that one. */
static json_t *event(const char *status, int revision, const char *set_status)
{
    AUTO(json_release) json_t *device = board_device(&f, "");
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    return json_pack("{s:O, s:s, s:i, s:s, s:[{s:O, s:O, s:O, s:s, s:s, s:s}]}", "id", json_object_get(device, "id"),
                     "status", status, "revision", revision, "created_ts", NOW, "auth_sets", "id",
                     json_object_get(set, "id"), "device_id", json_object_get(device, "id"), "identity_data",
                     json_object_get(device, "identity_data"), "pubkey", board.pem, "status", set_status, "ts", NOW);
}

static void expect_identity(const char *attributes)
{
    AUTO(mem_free) char *id = id_of();
    expect_call("update_device_inventory", json_pack("{s:s, s:s, s:s, s:s}", "tenant_id", "", "device_id", id, "scope",
                                                     "identity", "attributes", attributes));
}

static void expect_device_status(const char *status, int revision)
{
    expect_call("update_device_status", json_pack("{s:s, s:s, s:[o]}", "tenant_id", "", "device_status", status,
                                                  "devices", event(status, revision, status)));
}

static void expect_provision(int revision)
{
    AUTO(mem_free) char *id = id_of();
    expect_call("provision_device", json_pack("{s:s, s:s, s:s, s:o}", "device_id", id, "tenant_id", "", "status",
                                              "accepted", "device", event("accepted", revision, "accepted")));
}

#define MAC_ATTRIBUTES "[{\"name\":\"mac\",\"value\":\"1\",\"scope\":\"identity\"}]"

START_TEST(a_new_device_tells_who_it_is_and_that_it_waits)
{
    begin(_i);
    ask(401);
    expect_identity(MAC_ATTRIBUTES);
    expect_device_status("pending", 2);
    ask(401); /* nothing is new */
    finish();
}
END_TEST

/* Different on purpose: the original leaves an empty element in place of "status". */
START_TEST(an_attribute_called_status_is_not_told)
{
    begin_as(_i, "{\"status\":\"accepted\",\"mac\":[\"1\",\"<\"],\"n\":1.50}");
    ask(401);
    expect_identity("[{\"name\":\"mac\",\"value\":[\"1\",\"\\u003c\"],\"scope\":\"identity\"},"
                    "{\"name\":\"n\",\"value\":1.5,\"scope\":\"identity\"}]");
    expect_device_status("pending", 2);
    finish();
}
END_TEST

START_TEST(a_device_is_provisioned_once_and_updated_from_then_on)
{
    begin(_i);
    ask(401);
    seen = 2;
    put("accepted", 204);
    expect_provision(3);
    ask(200);
    put("accepted", 204); /* as it was */
    AUTO(mem_free) char *id = id_of();
    AUTO(mem_free) char *callback = mem_printf(BOARD_TENANTS "//devices/%s", id);
    operate("PATCH", callback, "{\"provisioned\":true}", 204);
    put("rejected", 204);
    expect_device_status("rejected", 5);
    put("pending", 204);
    expect_device_status("pending", 6);
    put("accepted", 204);
    expect_device_status("accepted", 7);
    put("rejected", 204);
    expect_device_status("rejected", 8);
    f.fleet.legacy_provision = true;
    put("accepted", 204);
    expect_device_status("accepted", 9);
    expect_call("legacy_provision_iot_manager",
                json_pack("{s:s, s:o}", "tenant_id", "", "device", event("accepted", 9, "accepted")));
    finish();
}
END_TEST

START_TEST(a_preauthorized_device_is_told_of_and_provisioned_when_it_comes)
{
    begin(_i);
    preauthorize(false);
    expect_identity(MAC_ATTRIBUTES);
    expect_device_status("preauthorized", 1);
    preauthorize(true); /* nothing is new */
    ask(200);
    expect_provision(2);
    finish();
}
END_TEST

START_TEST(a_device_without_keys_is_told_of_with_the_one_that_went)
{
    begin(_i);
    ask(401);
    seen = 2;
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_set_path(device, 0, "");
    json_t *told = event("noauth", 3, "pending");
    operate("DELETE", path, NULL, 204);
    expect_call("update_device_status",
                json_pack("{s:s, s:s, s:[o]}", "tenant_id", "", "device_status", "noauth", "devices", told));
    finish();
}
END_TEST

START_TEST(a_preauthorized_device_that_goes_with_its_key_is_decommissioned)
{
    begin(_i);
    preauthorize(false);
    seen = 2;
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_set_path(device, 0, "");
    operate("DELETE", path, NULL, 204);
    expect_call("update_device_status",
                json_pack("{s:s, s:s, s:[{s:O, s:i}]}", "tenant_id", "", "device_status", "decommissioned", "devices",
                          "id", json_object_get(device, "id"), "revision", 0));
    finish();
}
END_TEST

START_TEST(each_decommissioning_is_a_call)
{
    begin(_i);
    ask(401);
    seen = 2;
    AUTO(mem_free) char *id = id_of();
    AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/%s", id);
    for (int i = 0; i < 2; i++) {
        operate("DELETE", path, NULL, 204);
        expect_call("decommission_device", json_pack("{s:s, s:s}", "device_id", id, "tenant_id", ""));
    }
    finish();
}
END_TEST

/* Keys that do not make a difference to the device's status. */
START_TEST(nobody_is_told_of_what_changes_no_status)
{
    begin(_i);
    ask(401);
    put("accepted", 204);
    seen = 3;
    struct board again;
    board_init(&again, &f, "EC", board.id_data);
    ck_assert_int_eq(board_ask(&again), 401);
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *status = board_set_path(device, 1, "/status");
    AUTO(mem_free) char *set = board_set_path(device, 1, "");
    operate("PUT", status, "{\"status\":\"rejected\"}", 204);
    operate("DELETE", set, NULL, 204);
    board_release(&again);
    finish();
}
END_TEST

/* The change stays, and so does the call (test_outbox). */
START_TEST(an_engine_that_fails_is_a_500_after_the_change)
{
    begin(_i);
    ask(401);
    engine_be(engine, ENGINE_FAILS);
    put("accepted", 500);
    AUTO(json_release) json_t *device = board_device(&f, "");
    ck_assert_str_eq(json_string_value(json_object_get(device, "status")), "accepted");
    struct board other;
    board_init(&other, &f, "ED25519", "{\"mac\":\"2\"}");
    ck_assert_int_eq(board_ask(&other), 500);
    ck_assert_int_eq(board_ask(&other), 401);
    board_release(&other);
    outbox_stop(&f.fleet.outbox);
    seen = engine_count(engine);
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        a_new_device_tells_who_it_is_and_that_it_waits,
        an_attribute_called_status_is_not_told,
        a_device_is_provisioned_once_and_updated_from_then_on,
        a_preauthorized_device_is_told_of_and_provisioned_when_it_comes,
        a_device_without_keys_is_told_of_with_the_one_that_went,
        a_preauthorized_device_that_goes_with_its_key_is_decommissioned,
        each_decommissioning_is_a_call,
        nobody_is_told_of_what_changes_no_status,
        an_engine_that_fails_is_a_500_after_the_change,
    };
    Suite *s = suite_create("device_event");
    TCase *tc = tcase_create("device_event");
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
