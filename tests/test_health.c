/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/fixture.h"

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

START_TEST(the_key_set_is_public_and_cacheable)
{
    fixture_init(&f, 0);
    fixture_add_key(&f, "rsa2048", 2);
    fixture_add_key(&f, "ed25519", 3);
    AUTO(fixture_free) struct call *c = fixture_get(&f, JWKS, NULL, 200);
    ck_assert_str_eq(c->type, "application/json");
    ck_assert_str_eq(fixture_header(c, "Cache-Control"), "public, max-age=300");
    AUTO(json_release) json_t *json = NULL;
    ck_ok(json_parse_strict(c->reply, c->reply_len, &json));
    const json_t *keys = json_object_get(json, "keys");
    ck_assert_uint_eq(json_array_size(keys), 3);
    static const char *const kids[] = {"1", "2", "3"};
    static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *key = json_array_get(keys, i);
        ck_assert_str_eq(json_string_value(json_object_get(key, "kid")), kids[i]);
        for (size_t m = 0; m < sizeof private_members / sizeof *private_members; m++)
            ck_assert_ptr_null(json_object_get(key, private_members[m]));
    }
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
    fixture_init(&f, 0);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    fixture_expect(&f, "/api/internal/v1/useradm/auth/verify", bearer, 200);
    AUTO(fixture_free) struct call *c = fixture_get(&f, "/metrics", NULL, 200);
    ck_assert_str_eq(c->type, "text/plain; version=0.0.4; charset=utf-8");
    ck_assert_ptr_nonnull(strstr(c->reply, "# TYPE mintd_http_request_seconds histogram\n"));
    ck_assert_ptr_nonnull(strstr(c->reply, "mintd_http_request_seconds_count{method=\"GET\",route="
                                           "\"/api/internal/v1/useradm/auth/verify\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(c->reply, "mintd_http_replies_total{class=\"2xx\"} 2\n"));
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
    tcase_add_test(tc, the_key_set_is_public_and_cacheable);
    tcase_add_test(tc, a_known_key_set_is_not_sent_again);
    tcase_add_test(tc, the_key_set_is_never_empty);
    tcase_add_test(tc, metrics_are_in_text_format);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    support_warm_up(NULL); /* requests are counted here */
    return support_main(suite());
}
