/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/device_propagate.h"

#include <string.h>

#include "auth/device.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/engine.h"
#include "tests/support.h"

#define NOW_MS INT64_C(1790000000120)

static struct db *db;
static struct engine *inventory;
static struct device_propagate run;

static void begin(int engine)
{
    clock_set(NOW_MS);
    db = support_db(engine);
    inventory = engine_new();
    engine_listen(inventory);
    engine_be(inventory, ENGINE_WELL);
    run = (struct device_propagate){.db = db, .inventory_addr = engine_url(inventory), .timeout_ms = 20000};
}

static void finish(void)
{
    engine_free(&inventory);
    db_free(&db);
    clock_set(-1);
}

static void add(struct db *tx, const char *tenant, const char *id, enum device_status status, const char *id_data)
{
    struct device device = {.id = (char *)id,
                            .tenant_id = (char *)tenant,
                            .id_data = (char *)id_data,
                            .status = status,
                            .revision = 7,
                            .created_ms = NOW_MS,
                            .updated_ms = NOW_MS};
    bool inserted = false;
    ck_ok(device_restore(tx, &device, id, &inserted));
    ck_assert(inserted);
}

static enum err add_many(struct db *tx, void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        AUTO(mem_free) char *id = mem_printf("d%05d", i);
        add(tx, "", id, DEVICE_ACCEPTED, "{}");
    }
    return ERR_OK;
}

static void asked(size_t i, const char *line, const char *body)
{
    ck_assert_uint_gt(engine_count(inventory), i);
    const char *request = engine_request(inventory, i);
    ck_assert_msg(strncmp(request, line, strlen(line)) == 0, "%s", request);
    ck_assert_str_eq(engine_body(inventory, i), body);
}

START_TEST(statuses_by_tenant_and_status)
{
    begin(_i);
    add(db, "", "a", DEVICE_REJECTED, "{}");
    add(db, "", "b", DEVICE_ACCEPTED, "{}");
    add(db, "", "c", DEVICE_ACCEPTED, "{}");
    add(db, "a/b", "d", DEVICE_NOAUTH, "{}");
    ck_ok(device_propagate_statuses(&run));
    ck_assert_uint_eq(engine_count(inventory), 3);
    asked(0, "POST /api/internal/v1/inventory/tenants//devices/status/accepted HTTP",
          "[{\"id\":\"b\",\"revision\":7},{\"id\":\"c\",\"revision\":7}]");
    asked(1, "POST /api/internal/v1/inventory/tenants//devices/status/rejected HTTP",
          "[{\"id\":\"a\",\"revision\":7}]");
    asked(2, "POST /api/internal/v1/inventory/tenants/a%2Fb/devices/status/noauth HTTP",
          "[{\"id\":\"d\",\"revision\":7}]");
    ck_assert_ptr_nonnull(strcasestr(engine_request(inventory, 0), "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strcasestr(engine_request(inventory, 0), "\r\nX-MEN-RequestID: "));
    ck_assert_ptr_null(strcasestr(engine_request(inventory, 0), "If-Unmodified-Since"));
    ck_assert_int_eq(run.told, 4);
    ck_assert_int_eq(run.refused, 0);
    finish();
}
END_TEST

START_TEST(statuses_in_batches_of_512)
{
    begin(_i);
    int n = support_times(1025, 513);
    AUTO(mem_free) char *last = mem_printf("[{\"id\":\"d%05d\",\"revision\":7}]", n - 1);
    ck_ok(db_tx(db, add_many, &n));
    ck_ok(device_propagate_statuses(&run));
    ck_assert_uint_eq(engine_count(inventory), (size_t)n / 512 + 1);
    asked((size_t)n / 512, "POST ", last);
    ck_assert_int_eq(run.told, n);
    finish();
}
END_TEST

START_TEST(identities_of_one_tenant)
{
    begin(_i);
    add(db, "", "a", DEVICE_ACCEPTED, "{\"mac\":\"02:00\",\"n\":[1],\"status\":\"mine\"}");
    add(db, "t", "b", DEVICE_PENDING, "{}");
    run.tenant = "";
    run.unless_since_s = NOW_MS / 1000 - 1;
    ck_ok(device_propagate_identities(&run));
    ck_assert_uint_eq(engine_count(inventory), 1);
    asked(0, "PATCH /api/internal/v1/inventory/tenants//device/a/attributes HTTP",
          "[{\"name\":\"mac\",\"value\":\"02:00\",\"scope\":\"identity\"},"
          "{\"name\":\"n\",\"value\":[1],\"scope\":\"identity\"}]");
    ck_assert_ptr_nonnull(
        strcasestr(engine_request(inventory, 0), "\r\nIf-Unmodified-Since: Mon, 21 Sep 2026 14:13:19 GMT\r\n"));
    finish();
}
END_TEST

START_TEST(what_is_newer_there_stays_and_what_is_refused_is_counted)
{
    begin(_i);
    add(db, "", "a", DEVICE_ACCEPTED, "{}");
    add(db, "", "b", DEVICE_ACCEPTED, "{}");
    engine_be(inventory, ENGINE_CUSTOM);
    engine_answer(inventory, "HTTP/1.1 412 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    run.unless_since_s = 1;
    ck_ok(device_propagate_identities(&run));
    ck_assert_int_eq(run.kept, 2);
    run.unless_since_s = 0;
    ck_ok(device_propagate_identities(&run));
    ck_assert_int_eq(run.refused, 2);
    ck_assert_ptr_nonnull(strstr(run.why, "/device/b/attributes answers 412"));
    ck_assert_int_eq(run.told, 0);
    finish();
}
END_TEST

START_TEST(a_dry_run_calls_nobody)
{
    begin(_i);
    add(db, "", "a", DEVICE_ACCEPTED, "{}");
    run.is_dry = true;
    ck_ok(device_propagate_statuses(&run));
    ck_ok(device_propagate_identities(&run));
    ck_assert_int_eq(run.told, 2);
    ck_assert_uint_eq(engine_count(inventory), 0);
    finish();
}
END_TEST

START_TEST(an_inventory_that_is_away_ends_it)
{
    begin(_i);
    add(db, "", "a", DEVICE_ACCEPTED, "{}");
    run.inventory_addr = "127.0.0.1:1"; /* http:// is added */
    ck_err(device_propagate_statuses(&run), ERR_HTTP_UNREACHABLE);
    ck_assert(*run.why != '\0');
    finish();
}
END_TEST

START_TEST(it_ends_when_its_time_is_up)
{
    begin(_i);
    add(db, "", "a", DEVICE_ACCEPTED, "{}");
    atomic_store(&run.give_up_ms, clock_mono_ms());
    ck_err(device_propagate_statuses(&run), ERR_HTTP_TIMEOUT);
    ck_assert_str_eq(run.why, "the time is up");
    ck_assert_uint_eq(engine_count(inventory), 0);
    finish();
}
END_TEST

START_TEST(calls_keep_a_distance)
{
    begin(_i);
    int n = 6;
    ck_ok(db_tx(db, add_many, &n));
    clock_set(-1);
    run.calls_per_s = 100;
    int64_t start = clock_mono_ms();
    ck_ok(device_propagate_identities(&run));
    ck_assert_int_ge(clock_mono_ms() - start, 49);
    ck_assert_int_eq(run.told, 6);
    finish();
}
END_TEST

START_TEST(devices_on_their_way_out)
{
    begin(_i);
    char id[] = "x";
    char tenant[] = "t";
    char id_data[] = "{}";
    struct device leaving = {.id = id, .tenant_id = tenant, .id_data = id_data, .is_decommissioning = true};
    bool inserted = false;
    ck_ok(device_restore(db, &leaving, "x", &inserted));
    add(db, "t", "y", DEVICE_ACCEPTED, "{}");
    struct device **list = NULL;
    size_t n = 0;
    ck_ok(device_list_leaving(db, "t", &list, &n));
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(list[0]->id, "x");
    device_list_free(&list, n);
    ck_ok(device_list_leaving(db, "\xff", &list, &n));
    ck_assert_uint_eq(n, 0);
    ck_ok(device_restore(db, &leaving, "other", &inserted));
    ck_assert(!inserted);
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("device_propagate");
    TCase *tc = tcase_create("device_propagate");
    tcase_add_loop_test(tc, statuses_by_tenant_and_status, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, statuses_in_batches_of_512, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, identities_of_one_tenant, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, what_is_newer_there_stays_and_what_is_refused_is_counted, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_dry_run_calls_nobody, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_inventory_that_is_away_ends_it, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, it_ends_when_its_time_is_up, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, calls_keep_a_distance, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, devices_on_their_way_out, 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
