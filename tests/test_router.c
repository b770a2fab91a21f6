/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/fixture.h"

#define LOGIN "/api/management/v1/useradm/auth/login"
#define ALIVE "/api/internal/v1/useradm/alive"

static struct fixture f;

static int request(const char *method, const char *path, struct call **out)
{
    *out = fixture_call(&f, method, path);
    return fixture_run(*out);
}

START_TEST(an_unknown_path_is_a_json_404_without_asking_who_calls)
{
    static const char *const paths[] = {"/",
                                        "/x",
                                        "/api/management/v1/useradm",
                                        "/api/management/v1/useradm/2faqr",
                                        "/api/management/v2/useradm/roles",
                                        "/api/management/v1/useradm/AUTH/login",
                                        "/api/management/v1/useradm/auth%2flogin",
                                        "//api/management/v1/useradm/auth/login",
                                        "/api/management/v1/x/../useradm/auth/login"};
    fixture_init(&f, 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        AUTO(fixture_free) struct call *c = NULL;
        ck_assert_int_eq(request("GET", paths[i], &c), 404);
        AUTO(mem_free) char *want = mem_printf("{\"error\":\"not found\",\"request_id\":\"%s\"}", c->request_id);
        ck_assert_str_eq(c->reply, want);
    }
    fixture_release(&f);
}
END_TEST

#define M "/api/management/v1/useradm"
#define M2 "/api/management/v2/useradm"

/*
 * What the user interface asks of an enterprise service (contract/useradm 1.3, clients-and-gateways A.4, A.6, A.7): any
 * 401 would log the user out, so nobody's token is looked at, and 404 means that there is no such thing.
 */
static const struct {
    const char *method, *path, *query;
} probes[] = {
    {"GET", M2 "/roles", "per_page=500"},
    {"GET", M2 "/permission_sets", "per_page=500"},
    {"GET", M "/roles", ""},
    {"GET", M "/2faqr", ""},
    {"PUT", M "/2faverify", ""},
    {"POST", M "/users/me/2fa/enable", ""},
    {"POST", M "/users/me/2fa/disable", ""},
    {"GET", M "/users/me/email-change/pending", ""},
    {"POST", M "/users/me/email-change/start", ""},
    {"POST", M "/users/me/email-change/complete", ""},
    {"POST", M "/auth/password-reset/start", ""},
    {"POST", M "/auth/password-reset/complete", ""},
    {"POST", M "/auth/verify-email/start", ""},
    {"POST", M "/auth/verify-email/complete", ""},
    {"GET", M "/auth/sso/sp/metadata", ""},
    {"GET", M "/oauth2/google", ""},
    {"GET", M "/sso/idp/metadata", ""},
    {"GET", M "/tenants", ""},
    {"GET", M2 "/users", ""},
    {"GET", "/api/management/v1/tenantadm/user/tenant", "tiers=true"},
    {"GET", "/api/management/v2/tenantadm/user/tenant", ""},
    {"GET", "/api/management/v1/auditlogs/logs", "per_page=20"},
    {"POST", "/api/management/v2/inventory/filters/search", ""},
    {"GET", "/api/management/v1/iot-manager/integrations", ""},
};

START_TEST(enterprise_routes_are_a_json_404_whoever_asks)
{
    fixture_init(&f, 0);
    AUTO(mem_free) char *good = fixture_login(&f);
    const char *const credentials[] = {good, NULL, "", "Bearer a.b.c", "Bearer", "Basic eDp5"};
    for (size_t i = 0; i < 2 * sizeof credentials / sizeof *credentials; i++) {
        f.service.trust_gateway = i % 2 == 1;
        f.service.inventory_view = false;
        AUTO(fixture_free) struct call *c = fixture_call(&f, probes[_i].method, probes[_i].path);
        c->query = probes[_i].query;
        c->header[CALL_AUTHORIZATION] = credentials[i / 2];
        ck_assert_msg(fixture_run(c) == 404, "%s %s: %d", c->method, c->path, c->status);
        AUTO(mem_free) char *want = mem_printf("{\"error\":\"not found\",\"request_id\":\"%s\"}", c->request_id);
        ck_assert_str_eq(c->reply, want);
        ck_assert_str_eq(c->type, "application/json; charset=utf-8");
        ck_assert_ptr_null(fixture_header(c, "WWW-Authenticate"));
    }
    fixture_release(&f);
}
END_TEST

/* It has the form of a user's path, here as in the original, so that it is a user who is not found. */
START_TEST(users_exists_is_a_404_too)
{
    fixture_init(&f, 0);
    AUTO(mem_free) char *good = fixture_login(&f);
    AUTO(fixture_free) struct call *c = fixture_get(&f, M "/users/exists", good, 404);
    ck_assert_ptr_nonnull(strstr(c->reply, "{\"error\":\"user not found\","));
    fixture_release(&f);
}
END_TEST

START_TEST(a_database_that_is_away_is_a_503_and_says_no_more)
{
    static const enum err errors[] = {ERR_DB_UNREACHABLE, ERR_DB_RETRY, ERR_UNAVAILABLE, ERR_BUSY};
    fixture_init(&f, 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGIN);
        call_error(c, errors[i]);
        ck_assert_int_eq(c->status, 503);
        ck_assert_str_eq(fixture_header(c, "Retry-After"), "1");
        ck_assert_ptr_nonnull(strstr(c->reply, "{\"error\":\"service unavailable\","));
    }
    fixture_release(&f);
}
END_TEST

START_TEST(another_method_is_a_405_that_names_the_right_ones)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *login = NULL;
    ck_assert_int_eq(request("GET", LOGIN, &login), 405);
    ck_assert_str_eq(fixture_header(login, "Allow"), "POST");
    ck_assert_ptr_nonnull(strstr(login->reply, "{\"error\":\"method not allowed\",\"request_id\":\""));
    AUTO(fixture_free) struct call *verify = NULL;
    ck_assert_int_eq(request("PUT", "/api/internal/v1/useradm/auth/verify", &verify), 405);
    ck_assert_str_eq(fixture_header(verify, "Allow"), "GET, POST");
    AUTO(fixture_free) struct call *head = NULL;
    ck_assert_int_eq(request("HEAD", "/.well-known/jwks.json", &head), 405);
    AUTO(fixture_free) struct call *lower = NULL;
    ck_assert_int_eq(request("post", LOGIN, &lower), 405);
    fixture_release(&f);
}
END_TEST

START_TEST(options_is_answered_for_management_paths_only)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *login = NULL;
    ck_assert_int_eq(request("OPTIONS", LOGIN, &login), 200);
    ck_assert_str_eq(fixture_header(login, "Allow"), "POST");
    ck_assert_uint_eq(login->reply_len, 0);
    AUTO(fixture_free) struct call *alive = NULL;
    ck_assert_int_eq(request("OPTIONS", ALIVE, &alive), 405);
    fixture_release(&f);
}
END_TEST

START_TEST(a_trailing_slash_is_redirected)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *get = fixture_call(&f, "GET", "/api/management/v1/useradm/users/me/");
    get->query = "a=b";
    ck_assert_int_eq(fixture_run(get), 301);
    ck_assert_str_eq(fixture_header(get, "Location"), "/api/management/v1/useradm/users/me?a=b");
    ck_assert_ptr_null(fixture_header(get, "X-Men-Requestid"));
    AUTO(fixture_free) struct call *post = NULL;
    ck_assert_int_eq(request("POST", LOGIN "/", &post), 307);
    AUTO(fixture_free) struct call *twice = NULL;
    ck_assert_int_eq(request("POST", LOGIN "//", &twice), 404);
    fixture_release(&f);
}
END_TEST

START_TEST(the_request_id_comes_back_verbatim)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", "/nowhere");
    c->header[CALL_REQUEST_ID] = "any \"text\" <1>";
    ck_assert_int_eq(fixture_run(c), 404);
    ck_assert_str_eq(fixture_header(c, "X-Men-Requestid"), "any \"text\" <1>");
    ck_assert_str_eq(c->reply, "{\"error\":\"not found\",\"request_id\":\"any \\\"text\\\" \\u003c1\\u003e\"}");
    AUTO(fixture_free) struct call *none = fixture_call(&f, "GET", "/nowhere");
    none->header[CALL_REQUEST_ID] = "";
    fixture_run(none);
    ck_assert_uint_eq(strlen(fixture_header(none, "X-Men-Requestid")), 36);
    fixture_release(&f);
}
END_TEST

START_TEST(a_body_over_the_limit_is_refused_before_anything_else)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", "/nowhere");
    c->content_length = 1048577;
    ck_assert_int_eq(fixture_run(c), 413);
    ck_assert(c->close);
    ck_assert_ptr_nonnull(strstr(c->reply, "{\"error\":\"http: request body too large\","));
    AUTO(fixture_free) struct call *fits = fixture_call(&f, "POST", "/nowhere");
    fits->content_length = 1048576;
    ck_assert_int_eq(fixture_run(fits), 404);
    AUTO(fixture_free) struct call *chunked = fixture_call(&f, "POST", LOGIN);
    chunked->header[CALL_AUTHORIZATION] = FIXTURE_BASIC;
    chunked->body = "{";
    chunked->body_len = 1;
    chunked->is_body_cut = true;
    ck_assert_int_eq(fixture_run(chunked), 400);
    fixture_release(&f);
}
END_TEST

START_TEST(internal_routes_need_the_internal_listener_or_a_gateway)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *internal = NULL;
    ck_assert_int_eq(request("GET", ALIVE, &internal), 204);
    AUTO(fixture_free) struct call *outside = fixture_call(&f, "GET", ALIVE);
    outside->is_internal = false;
    ck_assert_int_eq(fixture_run(outside), 404);
    AUTO(fixture_free) struct call *management = fixture_call(&f, "POST", LOGIN);
    management->is_internal = true;
    ck_assert_int_eq(fixture_run(management), 404);
    f.service.trust_gateway = true;
    AUTO(fixture_free) struct call *trusted = fixture_call(&f, "GET", ALIVE);
    trusted->is_internal = false;
    ck_assert_int_eq(fixture_run(trusted), 204);
    fixture_release(&f);
}
END_TEST

START_TEST(a_full_lane_says_when_to_come_again)
{
    fixture_init(&f, 0);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGIN);
    router_refuse(c);
    ck_assert_int_eq(c->status, 503);
    ck_assert_str_eq(fixture_header(c, "Retry-After"), "1");
    ck_assert_ptr_nonnull(strstr(c->reply, "{\"error\":\"service unavailable\","));
    fixture_release(&f);
}
END_TEST

/* Every row: a path in exactly one form, methods in capitals, no row that an earlier one hides. */
START_TEST(the_table_is_sound)
{
    for (const struct route *r = routes; r->method != NULL; r++) {
        ck_assert_int_eq(r->path[0], '/');
        ck_assert_int_ne(r->path[strlen(r->path) - 1], '/');
        ck_assert_uint_eq(strspn(r->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), strlen(r->method));
        ck_assert(r->handler != NULL);
        for (const struct route *other = routes; other != r; other++)
            ck_assert_msg(strcmp(other->method, r->method) != 0 || strcmp(other->path, r->path) != 0, "%s %s twice",
                          r->method, r->path);
        bool is_internal = strstr(r->path, "/internal/") != NULL || strcmp(r->path, "/metrics") == 0;
        ck_assert_msg(is_internal == (r->surface == INTERNAL), "%s stands on the wrong listener", r->path);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("router");
    TCase *tc = tcase_create("router");
    tcase_add_test(tc, an_unknown_path_is_a_json_404_without_asking_who_calls);
    tcase_add_loop_test(tc, enterprise_routes_are_a_json_404_whoever_asks, 0, (int)(sizeof probes / sizeof *probes));
    tcase_add_test(tc, users_exists_is_a_404_too);
    tcase_add_test(tc, a_database_that_is_away_is_a_503_and_says_no_more);
    tcase_add_test(tc, another_method_is_a_405_that_names_the_right_ones);
    tcase_add_test(tc, options_is_answered_for_management_paths_only);
    tcase_add_test(tc, a_trailing_slash_is_redirected);
    tcase_add_test(tc, the_request_id_comes_back_verbatim);
    tcase_add_test(tc, a_body_over_the_limit_is_refused_before_anything_else);
    tcase_add_test(tc, internal_routes_need_the_internal_listener_or_a_gateway);
    tcase_add_test(tc, a_full_lane_says_when_to_come_again);
    tcase_add_test(tc, the_table_is_sound);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
