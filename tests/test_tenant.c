/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/tenant.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/addon.h"
#include "auth/device_admit.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"
#include "tests/engine.h"

/* Devices of many tenants, whom a service knows by their tokens (contract/deviceauth 2.8). */

#define MAC "{\"mac\":\"02:00:00:00:00:02\"}"
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { PATIENCE_MS = 20000, SHORT_MS = 500 };

/* A whole answer with a status line and a body; the lengths are given by the end of the connection. */
#define ANSWER(status, body) "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body
#define ACME                                                                                                           \
    ANSWER("200 OK", "{\"id\":\"acme\",\"name\":\"Acme\",\"status\":\"active\",\"plan\":\"os\",\"trial\":false,"       \
                     "\"addons\":[{\"name\":\"configure\",\"enabled\":true,\"since\":1},"                              \
                     "{\"name\":\"monitor\",\"enabled\":false}],\"api_limits\":{\"devices\":{\"quota\":1}}}")
#define TRIAL ANSWER("200 OK", "{\"id\":\"acme\",\"plan\":\"os\",\"trial\":true,\"addons\":[]}")
#define SUSPENDED ANSWER("401 Unauthorized", "{\"error\":\"account suspended\",\"request_id\":\"x\"}")

static struct fixture f;
static struct board board;
static struct engine *service;

static void begin_with(int engine, const char *default_token, int64_t timeout_ms)
{
    fixture_init(&f, engine);
    board_init(&board, &f, "ED25519", MAC);
    service = engine_new();
    engine_listen(service);
    engine_answer(service, ACME);
    const struct tenant_config config = {.addr = engine_url(service),
                                         .default_token = default_token,
                                         .timeout_ms = timeout_ms};
    f.fleet.tenants = tenant_service_new(&config);
}

static void begin(int engine)
{
    begin_with(engine, "", PATIENCE_MS);
}

static void finish(void)
{
    board_release(&board);
    tenant_service_free(&f.fleet.tenants);
    engine_free(&service);
    fixture_release(&f);
}

static struct call *ask(const char *tenant_token)
{
    AUTO(json_release)
    json_t *json =
        json_pack("{s:s, s:s, s:s}", "id_data", board.id_data, "pubkey", board.pem, "tenant_token", tenant_token);
    AUTO(mem_free) char *body = json_dumps(json, JSON_COMPACT);
    return board_send(&board, body);
}

/* The device asks with this token and is refused; text "": no text. */
static void expect(const char *tenant_token, int status, const char *text)
{
    AUTO(fixture_free) struct call *c = ask(tenant_token);
    AUTO(json_release) json_t *json = json_loads(c->reply != NULL ? c->reply : "", 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    ck_assert_msg(c->status == status && error != NULL && strcmp(error, text) == 0, "%d %s, not %d %s", c->status,
                  c->reply, status, text);
    ck_assert_ptr_null(fixture_header(c, "WWW-Authenticate"));
}

/* An operator of the tenant accepts its only device. */
static void accept(void)
{
    AUTO(json_release) json_t *device = board_device(&f, "acme");
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    ck_ok(device_admit_set_status(&f.fleet, "acme", json_string_value(json_object_get(device, "id")),
                                  json_string_value(json_object_get(set, "id")), DEVICE_ACCEPTED, "r"));
}

static void admit(void)
{
    expect("secret", 401, "dev auth: unauthorized");
    accept();
    AUTO(fixture_free) struct call *c = ask("secret");
    ck_assert_int_eq(c->status, 200);
    mem_free(&board.bearer);
    board.bearer = mem_printf("Bearer %s", c->reply);
}

static json_t *claims(void)
{
    uint8_t text[4096];
    const char *payload = strchr(board.bearer, '.') + 1;
    ptrdiff_t n = base64_decode(BASE64_URL, payload, strcspn(payload, "."), text, NULL);
    ck_assert_int_gt(n, 0);
    return json_loadb((const char *)text, (size_t)n, 0, NULL);
}

static int64_t devices_of(const char *tenant)
{
    const struct device_filter all = {.status = {true, true, true, true, true}};
    int64_t n = -1;
    ck_ok(device_count(f.db, tenant, &all, &n));
    return n;
}

static bool was_sent(size_t i, const char *line)
{
    const char *head = engine_request(service, i);
    return strstr(head, line) != NULL;
}

START_TEST(the_service_says_whose_device_it_is)
{
    begin(_i);
    admit();
    static const char path[] = "POST /api/internal/v1/tenantadm/tenants/verify HTTP/1.1\r\n";
    ck_assert_int_eq(strncmp(engine_request(service, 0), path, strlen(path)), 0);
    ck_assert(was_sent(0, "\r\nAuthorization: Bearer secret\r\n"));
    ck_assert(was_sent(0, "\r\nContent-Length: 0\r\n"));
    ck_assert(was_sent(0, "\r\nX-MEN-RequestID: "));
    ck_assert(!was_sent(0, "\r\nContent-Type:"));
    ck_assert_str_eq(engine_body(service, 0), "");
    ck_assert_int_eq(devices_of("acme"), 1);
    ck_assert_int_eq(devices_of(""), 0);
    AUTO(json_release) json_t *got = claims();
    AUTO(json_release)
    json_t *want =
        json_loads("[{\"name\":\"configure\",\"enabled\":true},{\"name\":\"monitor\",\"enabled\":false}]", 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(got, "mender.tenant")), "acme");
    ck_assert_str_eq(json_string_value(json_object_get(got, "mender.plan")), "os");
    ck_assert(json_is_false(json_object_get(got, "mender.trial")));
    ck_assert(json_equal(json_object_get(got, "mender.addons"), want));
    ck_assert_int_eq(board_verify(&board), 200);
    finish();
}
END_TEST

START_TEST(a_refusal_is_passed_on_in_its_own_words)
{
    begin(_i);
    engine_answer(service, SUSPENDED);
    expect("secret", 401, "account suspended");
    ck_assert_int_eq(devices_of(""), 0);
    finish();
}
END_TEST

START_TEST(a_device_without_a_token_is_told_so)
{
    begin(_i);
    expect("", 401, "tenant token missing");
    ck_assert_int_eq(board_ask(&board), 401);
    ck_assert_uint_eq(engine_count(service), 0);
    finish();
}
END_TEST

START_TEST(the_default_stands_in_for_no_token_and_for_a_refused_one)
{
    begin_with(_i, "house", PATIENCE_MS);
    expect("", 401, "dev auth: unauthorized");
    ck_assert(was_sent(0, "\r\nAuthorization: Bearer house\r\n"));
    ck_assert_int_eq(devices_of("acme"), 1);
    engine_answer(service, SUSPENDED);
    expect("wrong", 401, "account suspended");
    ck_assert_uint_eq(engine_count(service), 3);
    ck_assert(was_sent(1, "\r\nAuthorization: Bearer wrong\r\n"));
    ck_assert(was_sent(2, "\r\nAuthorization: Bearer house\r\n"));
    finish();
}
END_TEST

static const char *const strange[] = {
    ANSWER("500 Oh", "{\"error\":\"x\"}"),
    ANSWER("404 No", "{\"error\":\"x\"}"),
    ANSWER("302 Found\r\nLocation: http://127.0.0.1:1/", "{}"),
    ANSWER("204 No Content", ""),
    ANSWER("401 No", "<p>log in</p>"),
    ANSWER("401 No", "{\"error\":\"\"}"),
    ANSWER("401 No", "{\"error\":7}"),
    ANSWER("200 OK", ""),
    ANSWER("200 OK", "<p>hello</p>"),
    ANSWER("200 OK", "[\"acme\"]"),
    ANSWER("200 OK", "{\"id\":\"acme\"} {}"),
    ANSWER("200 OK", "{\"name\":\"Acme\"}"),
    ANSWER("200 OK", "{\"id\":\"\"}"),
    ANSWER("200 OK", "{\"id\":7}"),
    ANSWER("200 OK", "{\"id\":\"acme\",\"plan\":7}"),
    ANSWER("200 OK", "{\"id\":\"acme\",\"addons\":{}}"),
    ANSWER("200 OK", "{\"id\":\"acme\",\"addons\":[\"configure\"]}"),
    ANSWER("200 OK", "{\"id\":\"acme\",\"addons\":[{\"name\":7}]}"),
    ANSWER("200 OK",
           "{\"id\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
           "8901234567890123456789012345678901234567\"}"),
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":\"acme\"}",
    "",
};

/* A default is no way out: it would make the device another tenant's. */
START_TEST(any_other_answer_is_an_error_and_records_nothing)
{
    begin_with(0, "house", PATIENCE_MS);
    support_log_capture();
    for (int i = 0; i < COUNT(strange); i++) {
        engine_answer(service, strange[i]);
        expect("secret", 500, "internal error");
        ck_assert_uint_eq(engine_count(service), (size_t)i + 1);
    }
    ck_assert_int_eq(devices_of("acme") + devices_of(""), 0);
    engine_answer(service, ACME);
    expect("secret", 401, "dev auth: unauthorized");
    AUTO(mem_free) char *log = support_log();
    const char *down = strstr(log, "the tenant service does not answer as it should");
    ck_assert_ptr_nonnull(down);
    ck_assert_ptr_null(strstr(down + 1, "the tenant service does not answer as it should"));
    ck_assert_ptr_nonnull(strstr(down, "the tenant service answers again"));
    ck_assert_ptr_null(strstr(log, "secret"));
    finish();
}
END_TEST

START_TEST(a_service_that_is_not_there_is_an_error)
{
    begin(0);
    tenant_service_free(&f.fleet.tenants);
    struct engine *nobody = engine_new();
    const struct tenant_config config = {.addr = engine_url(nobody), .default_token = "", .timeout_ms = PATIENCE_MS};
    f.fleet.tenants = tenant_service_new(&config);
    expect("secret", 500, "internal error");
    engine_free(&nobody);
    finish();
}
END_TEST

static void *wait_for_it(void *arg)
{
    (void)arg;
    char why[TENANT_WHY_SIZE];
    struct tenant tenant;
    ck_err(tenant_find(f.fleet.tenants, "secret", "r", why, &tenant), ERR_TENANT_SERVICE);
    return NULL;
}

START_TEST(a_silent_service_holds_one_caller_at_most)
{
    begin_with(0, "", SHORT_MS);
    engine_be(service, ENGINE_SILENT);
    expect("secret", 500, "internal error");
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_it, NULL), 0);
    engine_wait(service, 2);
    expect("secret", 500, "internal error"); /* at once, or it would be a third question */
    ck_assert_uint_eq(engine_count(service), 2);
    pthread_join(thread, NULL);
    engine_answer(service, ACME);
    expect("secret", 401, "dev auth: unauthorized");
    finish();
}
END_TEST

START_TEST(what_is_no_token_is_never_sent)
{
    static const char *const bad[] = {"a\r\nX-Evil: 1", "a\tb", "\x7f", "h\xc3\xa9"};
    begin(0);
    for (int i = 0; i < COUNT(bad); i++)
        expect(bad[i], 400, "invalid auth request: tenant_token is malformed");
    AUTO(mem_free) char *huge = mem_calloc(10001, 1);
    memset(huge, 'x', 10000);
    expect(huge, 400, "invalid auth request: tenant_token is malformed");
    ck_assert_uint_eq(engine_count(service), 0);
    finish();
}
END_TEST

START_TEST(nobody_is_asked_about_a_bad_signature)
{
    begin(0);
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(mem_free) char *other = mem_printf("%s ", body);
    AUTO(mem_free) char *signature = board_sign(&board, other);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_ASK);
    c->header[CALL_CONTENT_TYPE] = "application/json";
    c->header[CALL_SIGNATURE] = signature;
    fixture_body(c, body);
    ck_assert_int_eq(fixture_run(c), 401);
    ck_assert_uint_eq(engine_count(service), 0);
    finish();
}
END_TEST

START_TEST(among_tenants_a_token_without_one_is_refused)
{
    begin(_i);
    struct tenant_service *kept = f.fleet.tenants;
    f.fleet.tenants = NULL;
    ck_assert_int_eq(board_ask(&board), 401);
    AUTO(json_release) json_t *device = board_device(&f, "");
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    ck_ok(device_admit_set_status(&f.fleet, "", json_string_value(json_object_get(device, "id")),
                                  json_string_value(json_object_get(set, "id")), DEVICE_ACCEPTED, "r"));
    ck_assert_int_eq(board_ask(&board), 200);
    ck_assert_int_eq(board_verify(&board), 200);
    f.fleet.tenants = kept;
    ck_assert_int_eq(board_verify(&board), 401);
    finish();
}
END_TEST

static int verify_for(const char *uri, const char *text)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", BOARD_VERIFY);
    c->header[CALL_AUTHORIZATION] = board.bearer;
    c->header[CALL_FORWARDED_URI] = uri;
    int status = fixture_run(c);
    AUTO(json_release) json_t *json = json_loads(c->reply != NULL ? c->reply : "", 0, NULL);
    if (status == 403)
        ck_assert_str_eq(json_string_value(json_object_get(json, "error")), text);
    return status;
}

static const struct {
    const char *uri;
    const char *text; /* NULL: allowed */
} uris[] = {
    {NULL, NULL},
    {"", NULL},
    {"/api/devices/v1/inventory/device/attributes", NULL},
    {"/api/devices/v1/deviceconfig/configuration", NULL},
    {"/api/devices/v9/deviceconfig?x=1", NULL},
    {"/api/devices/v1/deviceconnect/connect", "operation requires addon: troubleshoot"},
    {"/api/devices/v2/deviceconnectx", "operation requires addon: troubleshoot"},
    {"/api/devices/v1/devicemonitor/alert", "operation requires addon: monitor"},
    {"/api/devices/v0/devicemonitor", NULL},
    {"/api/devices/v10/devicemonitor", NULL},
    {"/api/devices/v1", NULL},
    {"/x/api/devices/v1/devicemonitor", NULL},
};

START_TEST(calls_need_the_addons_that_their_paths_belong_to)
{
    begin(_i);
    admit();
    ck_assert_int_eq(verify_for("/api/devices/v1/devicemonitor/alert", ""), 200);
    f.fleet.have_addons = true;
    for (int i = 0; i < COUNT(uris); i++)
        ck_assert_int_eq(verify_for(uris[i].uri, uris[i].text), uris[i].text == NULL ? 200 : 403);
    engine_answer(service, TRIAL);
    AUTO(fixture_free) struct call *c = ask("secret");
    mem_free(&board.bearer);
    board.bearer = mem_printf("Bearer %s", c->reply);
    ck_assert_int_eq(verify_for("/api/devices/v1/devicemonitor/alert", ""), 200);
    finish();
}
END_TEST

START_TEST(a_token_in_another_form_has_no_addons)
{
    static const char *const tokens[] = {
        "", ".", "..", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJtZW5kZXIuYWRkb25zIjoxfQ.c"};
    char why[ADDON_WHY_SIZE];
    for (int i = 0; i < COUNT(tokens); i++) {
        ck_err(addon_check(tokens[i], strlen(tokens[i]), "/api/devices/v1/deviceconfig", why), ERR_ADDON);
        ck_assert_str_eq(why, "operation requires addon: configure");
        ck_ok(addon_check(tokens[i], strlen(tokens[i]), "/api/devices/v1/deployments", why));
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tenant");
    TCase *tc = tcase_create("tenant");
    tcase_add_loop_test(tc, the_service_says_whose_device_it_is, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_refusal_is_passed_on_in_its_own_words, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_device_without_a_token_is_told_so, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_default_stands_in_for_no_token_and_for_a_refused_one, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, any_other_answer_is_an_error_and_records_nothing);
    tcase_add_test(tc, a_service_that_is_not_there_is_an_error);
    tcase_add_test(tc, a_silent_service_holds_one_caller_at_most);
    tcase_add_test(tc, what_is_no_token_is_never_sent);
    tcase_add_test(tc, nobody_is_asked_about_a_bad_signature);
    tcase_add_loop_test(tc, among_tenants_a_token_without_one_is_refused, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, calls_need_the_addons_that_their_paths_belong_to, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, a_token_in_another_form_has_no_addons);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
