/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "auth/device_admit.h"
#include "auth/device_enrol.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"

/*
 * What holds for every route of devices, asked of every row of the table: what belongs to a tenant is nobody else's
 * (contract/deviceauth 1.2, 7), and what is wrong with storage is nobody's business (1.1).
 */

#define MAC "{\"mac\":\"02:00:00:00:00:01\"}"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct fixture f;
static struct board board; /* of acme, which accepted it; acme's limit is 7 */
static char *device_id, *set_id;

/* A tenant's operator, as the gateway lets through. */
static char *operator_of(const char *tenant)
{
    AUTO(mem_free)
    char *payload = mem_printf("{\"sub\":\"operator\",\"mender.tenant\":\"%s\",\"mender.user\":true}", tenant);
    AUTO(mem_free) char *encoded = mem_calloc(BASE64_ENCODED(strlen(payload)) + 1, 1);
    base64_encode(BASE64_URL, payload, strlen(payload), encoded);
    return mem_printf("Bearer bogus_header.%s.bogus_sign", encoded);
}

static char *preauthorization(void)
{
    AUTO(json_release) json_t *identity = json_loads(MAC, 0, NULL);
    AUTO(json_release)
    json_t *json = json_pack("{s:O, s:s, s:b}", "identity_data", identity, "pubkey", board.pem, "force", 1);
    return json_dumps(json, JSON_COMPACT);
}

/* The board asks in a tenant; auth requests over HTTP are all of the default tenant. */
static enum err ask_in(const char *tenant)
{
    char why[JSON_SCAN_WHY_SIZE], key_why[PUBKEY_WHY_SIZE];
    AUTO(iddata_release) struct iddata id = {0};
    AUTO(pubkey_free) struct pubkey *key = NULL;
    struct device_identity identity;
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(iddata_parse(MAC, strlen(MAC), why, &id));
    ck_ok(pubkey_parse(board.pem, strlen(board.pem), PUBKEY_RSA_BITS_MIN, key_why, &key));
    device_identity_set(&identity, tenant, &id, key);
    TRY(device_enrol(&f.fleet, &identity, &f.fleet.plan, "r", true, &token));
    mem_free(&board.bearer);
    board.bearer = mem_printf("Bearer %s", token);
    return ERR_OK;
}

static void begin(int engine)
{
    fixture_init(&f, engine);
    f.service.trust_gateway = true;
    board_init(&board, &f, "ED25519", MAC);
    AUTO(mem_free) char *acme = operator_of("acme");
    AUTO(mem_free) char *body = preauthorization();
    board_expect(&f, acme, "POST", BOARD_DEVICES, body, 201, "");
    board_expect(&f, NULL, "PUT", "/api/internal/v1/devauth/tenant/acme/limits/max_devices", "{\"limit\":7}", 204, "");
    ck_ok(ask_in("acme"));
    AUTO(json_release) json_t *device = board_device(&f, "acme");
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    device_id = mem_strdup(json_string_value(json_object_get(device, "id")));
    set_id = mem_strdup(json_string_value(json_object_get(set, "id")));
}

static void finish(void)
{
    mem_free(&device_id);
    mem_free(&set_id);
    board_release(&board);
    fixture_release(&f);
}

/* Everything of acme: its devices with their sets, the limit, whether a device is provisioned and its token good. */
static char *everything(void)
{
    AUTO(fixture_free) struct call *list = board_operator(&f, NULL, "GET", BOARD_TENANTS "/acme/devices", NULL);
    AUTO(fixture_free)
    struct call *limit =
        board_operator(&f, NULL, "GET", "/api/internal/v1/devauth/tenant/acme/limits/max_devices", NULL);
    AUTO(device_free) struct device *device = NULL;
    enum err e = device_get(f.db, "acme", device_id, &device);
    return mem_printf("%s %s %d %d", list->reply, limit->reply, e == ERR_OK ? device->is_provisioned : -1,
                      board_verify(&board));
}

/* The row's path, with acme's ids and this tenant. */
static char *path_of(const struct route *row, const char *tenant)
{
    const struct {
        const char *name;
        const char *value;
    } params[] = {{"{id}", device_id}, {"{did}", device_id},      {"{aid}", set_id},
                  {"{jti}", set_id},   {"{name}", "max_devices"}, {"{tid}", tenant}};
    char *path = mem_strdup(row->path);
    for (size_t i = 0; i < COUNT(params); i++) {
        const char *at = strstr(path, params[i].name);
        if (at == NULL)
            continue;
        char *filled = mem_printf("%.*s%s%s", (int)(at - path), path, params[i].value, at + strlen(params[i].name));
        mem_free(&path);
        path = filled;
    }
    ck_assert_msg(strchr(path, '{') == NULL, "%s has a parameter that is new here", row->path);
    return path;
}

static void check_reply(const struct call *c, const char *tenant)
{
    static const char *const of_acme[] = {"02:00:00", "\"mac\"", "\"limit\":7", "\"count\":1", "\"standard\":1"};
    bool is_refusal = c->status == 404 || c->status == 400;
    const char *reply = c->reply != NULL ? c->reply : "";
    ck_assert_msg(is_refusal || c->status / 100 == 2, "%s %s gave \"%s\" %d %s", c->method, c->path, tenant, c->status,
                  reply);
    if (is_refusal)
        return;
    ck_assert_msg(strstr(reply, device_id) == NULL && strstr(reply, set_id) == NULL, "%s %s", c->path, reply);
    for (size_t i = 0; i < COUNT(of_acme); i++)
        ck_assert_msg(strstr(reply, of_acme[i]) == NULL, "%s %s told \"%s\" %s", c->method, c->path, tenant, reply);
}

static char *body_of(const struct route *row)
{
    if (strstr(row->path, "/search") != NULL)
        return mem_strdup("{}");
    AUTO(mem_free) char *body = preauthorization();
    body[strlen(body) - 1] = '\0';
    return mem_printf("%s,\"status\":\"rejected\",\"provisioned\":true,\"limit\":0}", body);
}

/* Do to acme's device what the row does, as somebody of this tenant. */
static struct call *run(const struct route *row, const char *tenant)
{
    AUTO(mem_free) char *path = path_of(row, tenant);
    AUTO(mem_free) char *bearer = operator_of(tenant);
    AUTO(mem_free) char *body = body_of(row);
    AUTO(mem_free) char *query = mem_printf("tenant_id=%s&device_id=%s", tenant, device_id);
    struct call *c = fixture_call(&f, row->method, path);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->query = strstr(path, "/devauth/tokens") != NULL ? query : "";
    if (row->method[0] == 'P') {
        c->header[CALL_CONTENT_TYPE] = "application/json";
        fixture_body(c, body);
    }
    fixture_run(c);
    c->path = row->path;
    return c;
}

static bool is_of_tenants(const struct route *row)
{
    bool asks_of_nobody =
        row->access == ANYONE && strchr(row->path, '{') == NULL && strstr(row->path, "/tokens") == NULL;
    return (row->family == DEVICES || row->family == VIEW) && row->access != DEVICE && !asks_of_nobody;
}

START_TEST(no_route_shows_or_changes_what_is_anothers)
{
    static const char *const strangers[] = {"rival", "", "acm", "acme2"};
    const char *stranger = strangers[_i / SUPPORT_ENGINES];
    begin(_i % SUPPORT_ENGINES);
    AUTO(mem_free) char *before = everything();
    ck_assert_ptr_nonnull(strstr(before, " {\"limit\":7} 0 200"));
    size_t tried = 0;
    for (const struct route *row = routes; row->method != NULL; row++) {
        if (!is_of_tenants(row))
            continue;
        AUTO(fixture_free) struct call *c = run(row, stranger);
        check_reply(c, stranger);
        ck_ok(db_exec(f.db, "DELETE FROM devices WHERE tenant_id = $1", DB_ARGS(db_text(stranger)), NULL));
        AUTO(mem_free) char *after = everything();
        ck_assert_msg(strcmp(before, after) == 0, "%s %s made %s of %s", row->method, row->path, after, before);
        tried++;
    }
    ck_assert_uint_ge(tried, 27);
    finish();
}
END_TEST

/* So that the test above says something: acme itself gets on with the same calls. */
START_TEST(every_route_works_for_who_it_belongs_to)
{
    static const char *const paths[] = {BOARD_DEVICES, "/api/management/v1/inventory/devices",
                                        BOARD_TENANTS "/acme/devices"};
    begin(_i);
    AUTO(mem_free) char *acme = operator_of("acme");
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO(fixture_free) struct call *c = board_operator(&f, acme, "GET", paths[i], NULL);
        ck_assert_int_eq(c->status, 200);
        ck_assert_ptr_nonnull(strstr(c->reply, device_id));
    }
    AUTO(json_release) json_t *device = board_device(&f, "acme");
    AUTO(mem_free) char *token = mem_printf("/api/management/v2/devauth/tokens/%s", set_id);
    AUTO(mem_free) char *status = board_set_path(device, 0, "/status");
    AUTO(mem_free) char *internal = mem_printf(BOARD_TENANTS "/acme/devices/%s", device_id);
    AUTO(mem_free)
    char *tokens = mem_printf("/api/internal/v1/devauth/tokens?tenant_id=acme&device_id=%s", device_id);
    board_expect(&f, acme, "DELETE", token, NULL, 204, "");
    ck_assert_int_eq(board_verify(&board), 401);
    ck_ok(ask_in("acme"));
    board_expect(&f, NULL, "DELETE", tokens, NULL, 204, "");
    ck_assert_int_eq(board_verify(&board), 401);
    ck_ok(ask_in("acme"));
    board_expect(&f, NULL, "DELETE", "/api/internal/v1/devauth/tokens?tenant_id=acme", NULL, 204, "");
    ck_assert_int_eq(board_verify(&board), 401);
    board_expect(&f, acme, "PUT", status, "{\"status\":\"rejected\"}", 204, "");
    board_expect(&f, NULL, "PATCH", internal, "{\"provisioned\":true}", 204, "");
    board_expect(&f, NULL, "DELETE", internal, NULL, 204, "");
    finish();
}
END_TEST

START_TEST(one_identity_is_another_device_in_each_tenant)
{
    begin(_i);
    AUTO(mem_free) char *before = everything();
    ck_assert_int_eq(board_ask(&board), 401); /* over HTTP: of the default tenant, where nobody accepted it */
    AUTO(json_release) json_t *own = board_device(&f, "");
    ck_assert_str_ne(json_string_value(json_object_get(own, "id")), device_id);
    AUTO(mem_free) char *operator= operator_of("");
    AUTO(mem_free) char *path = board_path(own, "");
    board_expect(&f, operator, "DELETE", path, NULL, 204, "");
    AUTO(mem_free) char *after = everything();
    ck_assert_str_eq(before, after);
    finish();
}
END_TEST

START_TEST(a_limit_counts_the_devices_of_its_tenant)
{
    begin(_i);
    AUTO(mem_free) char *rival = operator_of("rival");
    AUTO(mem_free) char *body = preauthorization();
    board_expect(&f, NULL, "PUT", "/api/internal/v1/devauth/tenant/rival/limits/max_devices", "{\"limit\":1}", 204, "");
    board_expect(&f, rival, "POST", BOARD_DEVICES, body, 201, "");
    ck_ok(ask_in("rival"));
    board_expect(&f, NULL, "PUT", "/api/internal/v1/devauth/tenant/acme/limits/max_devices", "{\"limit\":0}", 204, "");
    ck_ok(ask_in("rival"));
    ck_ok(ask_in("acme"));
    finish();
}
END_TEST

/* There are no groups and no saved filters, wherever they would be stored. */
static bool needs_storage(const struct route *row)
{
    return strstr(row->path, "/groups") == NULL && strcmp(row->path, "/api/management/v2/inventory/filters") != 0;
}

START_TEST(a_broken_database_is_a_500_that_tells_nothing)
{
    static const char *const breaks[] = {"ALTER TABLE devices RENAME TO lost_devices",
                                         "ALTER TABLE auth_sets RENAME TO lost_auth_sets",
                                         "ALTER TABLE device_tokens RENAME TO lost_device_tokens",
                                         "ALTER TABLE device_attributes RENAME TO lost_device_attributes",
                                         "ALTER TABLE limits RENAME TO lost_limits"};
    static const char text[] = "{\"error\":\"internal error\",\"request_id\":\"";
    begin(_i);
    for (size_t i = 0; i < COUNT(breaks); i++)
        ck_ok(db_exec(f.db, breaks[i], DB_ARGS(), NULL));
    for (const struct route *row = routes; row->method != NULL; row++) {
        if (!is_of_tenants(row))
            continue;
        AUTO(fixture_free) struct call *c = run(row, "acme");
        bool is_right =
            needs_storage(row) ? c->status == 500 && strncmp(c->reply, text, strlen(text)) == 0 : c->status == 200;
        ck_assert_msg(is_right, "%s %s gave %d %s", row->method, row->path, c->status, c->reply);
    }
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("device_routes");
    TCase *tc = tcase_create("device_routes");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    tcase_add_loop_test(tc, no_route_shows_or_changes_what_is_anothers, 0, 4 * SUPPORT_ENGINES);
    tcase_add_loop_test(tc, every_route_works_for_who_it_belongs_to, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, one_identity_is_another_device_in_each_tenant, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_limit_counts_the_devices_of_its_tenant, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_broken_database_is_a_500_that_tells_nothing, 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
