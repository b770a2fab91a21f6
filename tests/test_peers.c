/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/peers.h"

#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/engine.h"
#include "tests/fixture.h"

/* The health of those that the device service works with (contract/deviceauth 1.4, row 14; 2.8; 6). */

#define HEALTH "/api/internal/v1/devauth/health"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct engine *engine;

static void begin(enum engine_mood mood)
{
    engine = engine_new();
    engine_be(engine, mood);
    engine_listen(engine);
}

static void finish(void)
{
    engine_free(&engine);
}

START_TEST(nobody_to_ask_is_well)
{
    char why[PEERS_WHY_SIZE] = "";
    ck_ok(peers_check(&(struct peers){0}, why));
    ck_ok(peers_check(&(struct peers){.inventory_addr = "", .orchestrator_addr = "", .tenantadm_addr = ""}, why));
}
END_TEST

START_TEST(each_is_asked_where_its_health_is)
{
    static const char *const lines[] = {"GET /api/internal/v1/inventory/health ", "GET /api/v1/health ",
                                        "GET /api/internal/v1/tenantadm/health "};
    char why[PEERS_WHY_SIZE] = "";
    begin(ENGINE_EMPTY);
    const char *url = engine_url(engine);
    const struct peers peers = {.inventory_addr = url, .orchestrator_addr = url, .tenantadm_addr = url};
    ck_ok(peers_check(&peers, why));
    ck_assert_uint_eq(engine_count(engine), COUNT(lines));
    for (size_t i = 0; i < COUNT(lines); i++)
        ck_assert_int_eq(strncmp(engine_request(engine, i), lines[i], strlen(lines[i])), 0);
    finish();
}
END_TEST

START_TEST(who_is_not_well_is_named)
{
    char why[PEERS_WHY_SIZE] = "";
    begin(ENGINE_FAILS);
    const char *url = engine_url(engine);
    ck_err(peers_check(&(struct peers){.inventory_addr = url}, why), ERR_UNAVAILABLE);
    ck_assert_str_eq(why, "Inventory service unhealthy: it answers 500");
    ck_err(peers_check(&(struct peers){.orchestrator_addr = url}, why), ERR_UNAVAILABLE);
    ck_assert_str_eq(why, "Workflows service unhealthy: it answers 500");
    engine_be(engine, ENGINE_CLOSES);
    ck_err(peers_check(&(struct peers){.tenantadm_addr = url}, why), ERR_UNAVAILABLE);
    ck_assert_int_eq(strncmp(why, "Tenantadm service unhealthy: ", 29), 0);
    finish();
}
END_TEST

START_TEST(health_says_so_for_devices_only)
{
    struct fixture f;
    fixture_init(&f, 0);
    begin(ENGINE_FAILS);
    const struct peers peers = {.inventory_addr = engine_url(engine)};
    f.service.peers = &peers;
    AUTO(fixture_free) struct call *c = fixture_get(&f, HEALTH, NULL, 503);
    ck_assert_ptr_nonnull(strstr(c->reply, "\"error\":\"Inventory service unhealthy: it answers 500\""));
    fixture_expect(&f, "/api/internal/v1/useradm/health", NULL, 204);
    engine_be(engine, ENGINE_WELL);
    fixture_expect(&f, HEALTH, NULL, 204);
    finish();
    fixture_release(&f);
}
END_TEST

START_TEST(an_address_may_lack_its_scheme_and_end_in_slashes)
{
    static const char *const cases[][2] = {
        {"http://host:8080/", "http://host:8080/x"},
        {"host:8080", "http://host:8080/x"},
        {"https://host/a//", "https://host/a/x"},
        {"/", "http:///x"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(mem_free) char *url = peers_url(cases[i][0], "/x");
        ck_assert_str_eq(url, cases[i][1]);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("peers");
    TCase *tc = tcase_create("peers");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    tcase_add_test(tc, nobody_to_ask_is_well);
    tcase_add_test(tc, each_is_asked_where_its_health_is);
    tcase_add_test(tc, who_is_not_well_is_named);
    tcase_add_test(tc, health_says_so_for_devices_only);
    tcase_add_test(tc, an_address_may_lack_its_scheme_and_end_in_slashes);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
