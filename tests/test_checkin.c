/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/checkin.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "auth/device_admit.h"
#include "auth/device_enrol.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/engine.h"
#include "tests/fixture.h"

#define NOW_MS INT64_C(1790000000120)
#define NOW_TEXT "2026-09-21T14:13:20.12Z"
#define DAY_MS INT64_C(86400000)
#define VERIFY "/api/internal/v1/devauth/tokens/verify"
#define DEVICES "/api/management/v2/devauth/devices"

enum { SECOND_MS = 1000, DEVICES_MANY = 40 };

static struct fixture f;

static void begin(int engine)
{
    clock_set(NOW_MS);
    fixture_init(&f, engine);
    ck_ok(checkin_start(&f.fleet, &f.fleet.checkin));
}

static void finish(void)
{
    checkin_stop(&f.fleet.checkin);
    fixture_release(&f);
}

/* A device that was preauthorized and asked for its token: "Bearer <token>"; the caller frees both. */
static char *admit(int number, char **id)
{
    AUTO(mem_free) char *id_data = mem_printf("{\"mac\":\"%d\"}", number);
    struct device_identity identity = {.tenant = "", .id_data = id_data, .pubkey = "key"};
    snprintf(identity.id_hash, sizeof identity.id_hash, "%d", number);
    snprintf(identity.key_hash, sizeof identity.key_hash, "key");
    AUTO(mem_wipe) char *token = NULL;
    AUTO(device_free) struct device *conflict = NULL;
    ck_ok(device_admit_preauthorize(&f.fleet, &identity, false, "r", id, &conflict));
    ck_ok(device_enrol(&f.fleet, &identity, &f.fleet.plan, "r", true, &token));
    return mem_printf("Bearer %s", token);
}

static int64_t seen_in_database(const char *id)
{
    AUTO(device_free) struct device *device = NULL;
    ck_ok(device_get(f.db, "", id, &device));
    return device->seen_ms;
}

START_TEST(a_verified_call_is_a_check_in)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    AUTO(mem_wipe) char *bearer = admit(1, &id);
    AUTO(mem_wipe) char *user = fixture_login(&f);
    AUTO(mem_free) char *path = mem_printf(DEVICES "/%s", id);
    AUTO(fixture_free) struct call *issued = fixture_get(&f, path, user, 200);
    ck_assert_ptr_nonnull(strstr(issued->reply, ",\"check_in_time\":\"" NOW_TEXT "\"}"));
    clock_set(NOW_MS + SECOND_MS);
    fixture_expect(&f, VERIFY, bearer, 200);
    AUTO(fixture_free) struct call *one = fixture_get(&f, path, user, 200);
    AUTO(fixture_free) struct call *all = fixture_get(&f, DEVICES, user, 200);
    ck_assert_ptr_nonnull(strstr(one->reply, ",\"check_in_time\":\"2026-09-21T14:13:21.12Z\"}"));
    ck_assert_ptr_nonnull(strstr(all->reply, ",\"check_in_time\":\"2026-09-21T14:13:21.12Z\"}"));
    finish();
}
END_TEST

START_TEST(a_refused_call_is_none)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    AUTO(mem_wipe) char *bearer = admit(1, &id);
    ck_ok(checkin_write(f.fleet.checkin));
    ck_ok(device_admit_revoke_all(&f.fleet, "", id));
    clock_set(NOW_MS + SECOND_MS);
    fixture_expect(&f, VERIFY, bearer, 401);
    ck_ok(checkin_write(f.fleet.checkin));
    ck_assert_int_eq(seen_in_database(id), NOW_MS);
    finish();
}
END_TEST

START_TEST(verifying_writes_no_row)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    AUTO(mem_wipe) char *bearer = admit(1, &id);
    fixture_expect(&f, VERIFY, bearer, 200); /* from here on it is known to be alive */
    int64_t before = support_metric("mintd_db_statements_total");
    for (int i = 0; i < 50; i++)
        fixture_expect(&f, VERIFY, bearer, 200);
    ck_assert_int_eq(support_metric("mintd_db_statements_total"), before);
    ck_assert_int_eq(seen_in_database(id), 0);
    ck_ok(checkin_write(f.fleet.checkin));
    ck_assert_int_eq(seen_in_database(id), NOW_MS);
    AUTO(device_free) struct device *device = NULL;
    ck_ok(device_get(f.db, "", id, &device));
    ck_assert_int_eq(device->updated_ms, NOW_MS);
    int64_t written = support_metric("mintd_check_ins_written_total");
    ck_ok(checkin_write(f.fleet.checkin));
    ck_assert_int_eq(support_metric("mintd_check_ins_written_total"), written);
    finish();
}
END_TEST

START_TEST(a_stop_writes_what_is_left)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    AUTO(mem_wipe) char *bearer = admit(1, &id);
    checkin_stop(&f.fleet.checkin);
    ck_assert_int_eq(seen_in_database(id), NOW_MS);
    finish();
}
END_TEST

START_TEST(devices_that_are_gone_are_no_fault)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    AUTO(mem_wipe) char *bearer = admit(1, &id);
    ck_ok(device_admit_delete(&f.fleet, "", id));
    checkin_note(f.fleet.checkin, "no-such-device");
    checkin_note(f.fleet.checkin, "an id that is longer than any that was ever made by anybody");
    checkin_note(NULL, id);
    ck_ok(checkin_write(f.fleet.checkin));
    finish();
}
END_TEST

START_TEST(memory_is_bounded_and_loses_nothing_old)
{
    begin(0);
    AUTO(mem_free) char *id = NULL;
    AUTO(mem_wipe) char *bearer = admit(1, &id);
    for (int i = 0; i < support_times(200000, 100000); i++) {
        char other[32];
        snprintf(other, sizeof other, "%d", i);
        checkin_note(f.fleet.checkin, other);
    }
    ck_assert_int_gt(support_metric("mintd_check_ins_dropped_total"), 0);
    checkin_stop(&f.fleet.checkin);
    ck_assert_int_eq(seen_in_database(id), NOW_MS);
    finish();
}
END_TEST

static size_t told(const char *id)
{
    struct outbox_event *list = NULL;
    size_t n = 0;
    size_t count = 0;
    ck_ok(outbox_list(f.db, 10000, &list, &n));
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].device_id, id) == 0 && strcmp(list[i].workflow, "update_device_inventory") == 0)
            count++;
    outbox_list_free(&list, n);
    return count;
}

static void *write_once(void *checkin)
{
    ck_ok(checkin_write(checkin));
    return NULL;
}

/* Two processes that saw the same devices write at the same time. */
static void write_in_both(struct checkin *other, char *const *id)
{
    for (int i = 0; i < DEVICES_MANY; i++) {
        checkin_note(f.fleet.checkin, id[i]);
        checkin_note(other, id[i]);
    }
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_once, other), 0);
    ck_ok(checkin_write(f.fleet.checkin));
    pthread_join(thread, NULL);
}

START_TEST(inventory_is_told_once_a_day_by_one_of_many)
{
    begin(_i);
    char *id[DEVICES_MANY] = {NULL};
    for (int i = 0; i < DEVICES_MANY; i++) {
        AUTO(mem_wipe) char *bearer = admit(i, &id[i]);
    }
    struct engine *engine = engine_new();
    const struct outbox_config config = {.orchestrator_addr = engine_url(engine), .timeout_ms = 1000};
    ck_ok(outbox_start(&config, f.db, &f.fleet.outbox));
    struct checkin *other = NULL;
    ck_ok(checkin_start(&f.fleet, &other));
    static const int64_t after_ms[] = {0, 1000, DAY_MS - 1, DAY_MS, DAY_MS + 1000, 2 * DAY_MS};
    static const size_t want[] = {1, 1, 1, 2, 2, 3};
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        clock_set(NOW_MS + after_ms[k]);
        write_in_both(other, id);
        for (int i = 0; i < DEVICES_MANY; i++)
            ck_assert_uint_eq(told(id[i]), want[k]);
    }
    checkin_stop(&other);
    checkin_stop(&f.fleet.checkin);
    outbox_stop(&f.fleet.outbox);
    engine_free(&engine);
    for (int i = 0; i < DEVICES_MANY; i++)
        mem_free(&id[i]);
    finish();
}
END_TEST

/* Inventory would take it for a new device. */
START_TEST(nobody_is_told_of_a_device_that_is_being_removed)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    AUTO(mem_wipe) char *bearer = admit(1, &id);
    struct engine *engine = engine_new();
    const struct outbox_config config = {.orchestrator_addr = engine_url(engine), .timeout_ms = 1000};
    ck_ok(outbox_start(&config, f.db, &f.fleet.outbox));
    checkin_note(f.fleet.checkin, id);
    ck_err(device_admit_decommission(&f.fleet, "", id, "r"), ERR_WORKFLOW);
    ck_ok(checkin_write(f.fleet.checkin));
    ck_assert_uint_eq(told(id), 0);
    ck_assert_int_eq(seen_in_database(id), NOW_MS);
    checkin_stop(&f.fleet.checkin);
    outbox_stop(&f.fleet.outbox);
    engine_free(&engine);
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("checkin");
    TCase *tc = tcase_create("checkin");
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, a_verified_call_is_a_check_in, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_refused_call_is_none, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, verifying_writes_no_row, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_stop_writes_what_is_left, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, devices_that_are_gone_are_no_fault, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, memory_is_bounded_and_loses_nothing_old);
    tcase_add_loop_test(tc, inventory_is_told_once_a_day_by_one_of_many, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, nobody_is_told_of_a_device_that_is_being_removed, 0, SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
