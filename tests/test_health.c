/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/engine.h"
#include "tests/fixture.h"

#define DEVICES_HEALTH "/api/internal/v1/devauth/health"
#define HEALTH "/api/internal/v1/useradm/health"
#define JWKS "/.well-known/jwks.json"

static struct fixture f;

START_TEST(alive_and_healthy_say_nothing)
{
    fixture_init(&f, _i);
    AUTO(fixture_free) struct call *alive = fixture_get(&f, "/api/internal/v1/useradm/alive", NULL, 204);
    AUTO(fixture_free) struct call *health = fixture_get(&f, HEALTH, NULL, 204);
    ck_assert_uint_eq(alive->reply_len + health->reply_len, 0);
    fixture_release(&f);
}
END_TEST

static struct call *detail(void)
{
    struct call *c = fixture_call(&f, "GET", HEALTH);
    c->query = "detail=1";
    ck_assert_int_eq(fixture_run(c), 200);
    return c;
}

START_TEST(the_detail_names_database_and_keys)
{
    fixture_init(&f, _i);
    AUTO(fixture_free) struct call *c = detail();
    AUTO(mem_free)
    char *want =
        mem_printf("{\"status\":\"ok\",\"version\":\"test\",\"database\":{\"engine\":\"%s\",\"reachable\":true},"
                   "\"keys\":{\"signing_kid\":1,\"files\":[{\"file\":\"private.id.1.pem\",\"kid\":1,\"alg\":\"ES256\"",
                   _i == 0 ? "sqlite" : "postgresql");
    ck_assert_msg(strncmp(c->reply, want, strlen(want)) == 0, "%s", c->reply);
    fixture_release(&f);
}
END_TEST

START_TEST(a_bad_key_file_degrades_but_serves)
{
    fixture_init(&f, 0);
    AUTO(mem_free) char *path = support_path(f.keys, "private.id.9.pem");
    size_t len = 0;
    AUTO(mem_free) char *pem = support_data("keys/rsa2048.encrypted.pkcs8.pem", &len);
    support_write(path, pem, len, 0600);
    ck_ok(keyring_reload(f.ring));
    AUTO(fixture_free) struct call *c = detail();
    ck_assert_ptr_nonnull(strstr(c->reply, "{\"status\":\"degraded\""));
    ck_assert_ptr_nonnull(strstr(c->reply, "\"file\":\"private.id.9.pem\",\"reason\":\"the key is encrypted"));
    fixture_expect(&f, HEALTH, NULL, 204);
    fixture_release(&f);
}
END_TEST

static json_t *key_set(void)
{
    AUTO(fixture_free) struct call *c = fixture_get(&f, JWKS, NULL, 200);
    ck_assert_str_eq(c->type, "application/json");
    ck_assert_str_eq(fixture_header(c, "Cache-Control"), "public, max-age=300");
    AUTO(json_release) json_t *json = NULL;
    ck_ok(json_parse_strict(c->reply, c->reply_len, &json));
    return json_incref(json_object_get(json, "keys"));
}

/* The kids are these, in this order, and nothing private is there. */
static void expect_keys(const char *const *kids, size_t n)
{
    static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"};
    AUTO(json_release) json_t *keys = key_set();
    ck_assert_uint_eq(json_array_size(keys), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *key = json_array_get(keys, i);
        ck_assert_str_eq(json_string_value(json_object_get(key, "kid")), kids[i]);
        for (size_t m = 0; m < sizeof private_members / sizeof *private_members; m++)
            ck_assert_ptr_null(json_object_get(key, private_members[m]));
    }
}

START_TEST(the_key_set_is_public_and_has_people_and_devices)
{
    fixture_init(&f, 0);
    fixture_add_key(&f, "rsa2048", 2);
    fixture_add_key(&f, "ed25519", 3);
    expect_keys((const char *const[]){"1", "2", "3", "1"}, 4);
    AUTO(json_release) json_t *keys = key_set();
    const json_t *people = json_object_get(json_array_get(keys, 0), "x");
    const json_t *devices = json_object_get(json_array_get(keys, 3), "x");
    ck_assert_str_ne(json_string_value(people), json_string_value(devices));
    fixture_release(&f);
}
END_TEST

/* Make the devices' ring have a key of people's, too. */
static void share_key(void)
{
    size_t len = 0;
    AUTO(mem_free) char *from = support_path(f.keys, "private.id.1.pem");
    AUTO(mem_free) char *to = support_path(keyring_dir(f.device_ring), "private.id.1.pem");
    AUTO(mem_wipe) char *pem = support_read(from, &len);
    support_write(to, pem, len, 0600);
    ck_ok(keyring_reload(f.device_ring));
}

START_TEST(a_key_of_both_is_in_the_key_set_once)
{
    fixture_init(&f, 0);
    expect_keys((const char *const[]){"1", "1"}, 2);
    share_key();
    expect_keys((const char *const[]){"1"}, 1);
    fixture_release(&f);
}
END_TEST

START_TEST(only_the_keys_of_what_is_served_are_in_the_key_set)
{
    fixture_init(&f, 0);
    fixture_add_key(&f, "ed25519", 3);
    f.service.devices_only = true;
    expect_keys((const char *const[]){"1"}, 1);
    f.service.devices_only = false;
    f.service.fleet = NULL;
    expect_keys((const char *const[]){"1", "3"}, 2);
    fixture_release(&f);
}
END_TEST

static int ask_again(const char *if_none_match)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", JWKS);
    c->header[CALL_IF_NONE_MATCH] = if_none_match;
    fixture_run(c);
    ck_assert_ptr_nonnull(fixture_header(c, "ETag"));
    if (c->status == 304)
        ck_assert_uint_eq(c->reply_len, 0);
    return c->status;
}

START_TEST(a_known_key_set_is_not_sent_again)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *first = fixture_get(&f, JWKS, NULL, 200);
    const char *etag = fixture_header(first, "ETag");
    ck_assert_int_eq(etag[0], '"');
    AUTO(mem_free) char *list = mem_printf("\"x\", W/%s", etag);
    ck_assert_int_eq(ask_again(etag), 304);
    ck_assert_int_eq(ask_again(list), 304);
    ck_assert_int_eq(ask_again("*"), 304);
    ck_assert_int_eq(ask_again("\"x\""), 200);
    fixture_add_key(&f, "ed25519", 2);
    ck_assert_int_eq(ask_again(etag), 200);
    AUTO(fixture_free) struct call *second = fixture_get(&f, JWKS, NULL, 200);
    share_key(); /* the devices' key is another one now */
    ck_assert_int_eq(ask_again(fixture_header(second, "ETag")), 200);
    fixture_release(&f);
}
END_TEST

START_TEST(the_health_of_devices_is_that_of_their_peers_too)
{
    fixture_init(&f, 0);
    struct engine *engine = engine_new();
    engine_listen(engine);
    const struct peers peers = {.orchestrator_addr = engine_url(engine), .inventory_addr = "", .tenantadm_addr = NULL};
    fixture_expect(&f, DEVICES_HEALTH, NULL, 204);
    f.service.peers = &peers;
    fixture_expect(&f, DEVICES_HEALTH, NULL, 204);
    AUTO(fixture_free) struct call *well = detail();
    ck_assert_ptr_nonnull(strstr(well->reply, "\"peers\":\"ok\""));
    ck_assert_ptr_nonnull(strstr(well->reply, "{\"status\":\"ok\""));
    engine_be(engine, ENGINE_FAILS);
    AUTO(fixture_free) struct call *c = fixture_get(&f, DEVICES_HEALTH, NULL, 503);
    ck_assert_ptr_nonnull(strstr(c->reply, "Workflows service unhealthy: it answers 500"));
    fixture_expect(&f, HEALTH, NULL, 204);
    AUTO(fixture_free) struct call *ill = detail();
    ck_assert_ptr_nonnull(strstr(ill->reply, "{\"status\":\"degraded\""));
    ck_assert_ptr_nonnull(strstr(ill->reply, "\"peers\":\"Workflows service unhealthy: it answers 500\""));
    engine_free(&engine);
    fixture_release(&f);
}
END_TEST

START_TEST(the_key_set_is_never_empty)
{
    fixture_init(&f, 0);
    AUTO(mem_free) char *path = support_path(f.keys, "private.id.1.pem");
    ck_assert_int_eq(remove(path), 0);
    ck_err(keyring_reload(f.ring), ERR_KEY_NONE);
    AUTO(fixture_free) struct call *c = fixture_get(&f, JWKS, NULL, 200);
    ck_assert_ptr_nonnull(strstr(c->reply, "\"kid\":\"1\""));
    fixture_release(&f);
}
END_TEST

START_TEST(metrics_are_in_text_format)
{
    static const char verified[] =
        "mintd_http_request_seconds_count{method=\"GET\",route=\"/api/internal/v1/useradm/auth/verify\"}";
    static const char good[] = "mintd_http_replies_total{class=\"2xx\"}";
    fixture_init(&f, 0);
    int64_t verified_before = support_metric(verified);
    int64_t good_before = support_metric(good);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    fixture_expect(&f, "/api/internal/v1/useradm/auth/verify", bearer, 200);
    AUTO(mem_free) char *verified_line = mem_printf("\n%s %lld\n", verified, (long long)verified_before + 1);
    AUTO(mem_free) char *good_line = mem_printf("\n%s %lld\n", good, (long long)good_before + 2);
    AUTO(fixture_free) struct call *c = fixture_get(&f, "/metrics", NULL, 200);
    ck_assert_str_eq(c->type, "text/plain; version=0.0.4; charset=utf-8");
    ck_assert_ptr_nonnull(strstr(c->reply, "# TYPE mintd_http_request_seconds histogram\n"));
    ck_assert_ptr_nonnull(strstr(c->reply, verified_line));
    ck_assert_ptr_nonnull(strstr(c->reply, good_line));
    ck_assert_ptr_nonnull(strstr(c->reply, "mintd_key_info{"));
    fixture_release(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("health");
    TCase *tc = tcase_create("health");
    tcase_add_loop_test(tc, alive_and_healthy_say_nothing, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_detail_names_database_and_keys, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, a_bad_key_file_degrades_but_serves);
    tcase_add_test(tc, the_key_set_is_public_and_has_people_and_devices);
    tcase_add_test(tc, a_key_of_both_is_in_the_key_set_once);
    tcase_add_test(tc, only_the_keys_of_what_is_served_are_in_the_key_set);
    tcase_add_test(tc, the_health_of_devices_is_that_of_their_peers_too);
    tcase_add_test(tc, a_known_key_set_is_not_sent_again);
    tcase_add_test(tc, the_key_set_is_never_empty);
    tcase_add_test(tc, metrics_are_in_text_format);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
