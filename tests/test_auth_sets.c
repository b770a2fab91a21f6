/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"

/* Operators decide about the keys of devices (contract/deviceauth 5.2, 5.3, 5.6; 1.4, rows 8 to 12 and 17 to 19). */

#define NOBODY "00000000-0000-4000-8000-000000000000"
#define LIMIT "/api/internal/v1/devauth/tenant//limits/max_devices"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct fixture f;
static struct board first, second; /* two keys of one device, and another device */
static struct board other;
static char *admin;

static void begin(int engine)
{
    fixture_init(&f, engine);
    board_init(&first, &f, "ED25519", "{\"mac\":\"1\"}");
    board_init(&second, &f, "EC", "{\"mac\":\"1\"}");
    board_init(&other, &f, "ED25519", "{\"mac\":\"2\"}");
    admin = fixture_login(&f);
}

static void finish(void)
{
    mem_free(&admin);
    board_release(&first);
    board_release(&second);
    board_release(&other);
    fixture_release(&f);
}

/* The device that has the identity {"mac": mac}; a new reference. */
static json_t *find(const char *mac)
{
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, "GET", BOARD_DEVICES, NULL);
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    size_t i;
    json_t *device;
    json_array_foreach(list, i, device)
    {
        const json_t *value = json_object_get(json_object_get(device, "identity_data"), "mac");
        if (strcmp(json_string_value(value), mac) == 0)
            return json_incref(device);
    }
    return NULL;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void put(const char *mac, size_t n, const char *status, int want, const char *text)
{
    AUTO(json_release) json_t *device = find(mac);
    AUTO(mem_free) char *path = board_set_path(device, n, "/status");
    AUTO(mem_free) char *body = mem_printf("{\"status\":\"%s\"}", status);
    board_expect(&f, admin, "PUT", path, body, want, text);
}

/* The device of both keys has this status, and its sets these. */
static void expect_state(const char *device_status, const char *set0, const char *set1)
{
    AUTO(json_release) json_t *device = find("1");
    ck_assert_str_eq(text_of(device, "status"), device_status);
    const char *const want[] = {set0, set1};
    for (size_t i = 0; i < COUNT(want); i++) {
        const json_t *set = json_array_get(json_object_get(device, "auth_sets"), i);
        ck_assert_int_eq(set == NULL, want[i] == NULL);
        if (set == NULL)
            continue;
        ck_assert_str_eq(text_of(set, "status"), want[i]);
        AUTO(mem_free) char *path = board_set_path(device, i, "/status");
        AUTO(fixture_free) struct call *c = board_operator(&f, admin, "GET", path, NULL);
        AUTO(mem_free) char *reply = mem_printf("{\"status\":\"%s\"}", want[i]);
        ck_assert_str_eq(c->reply, reply);
    }
}

static void preauthorize(const struct board *b, int status)
{
    AUTO(json_release) json_t *identity = json_loads(b->id_data, 0, NULL);
    AUTO(json_release)
    json_t *json = json_pack("{s:O, s:s, s:b}", "identity_data", identity, "pubkey", b->pem, "force", 1);
    AUTO(mem_free) char *body = json_dumps(json, JSON_COMPACT);
    board_expect(&f, admin, "POST", BOARD_DEVICES, body, status, NULL);
}

START_TEST(every_transition_that_there_is)
{
    begin(_i);
    ck_assert_int_eq(board_ask(&first), 401);
    static const char *const steps[] = {"pending",  "rejected", "rejected", "accepted", "accepted",
                                        "rejected", "pending",  "accepted", "pending"};
    for (size_t i = 0; i < COUNT(steps); i++) {
        put("1", 0, steps[i], 204, "");
        expect_state(steps[i], steps[i], NULL);
        bool is_accepted = strcmp(steps[i], "accepted") == 0;
        ck_assert_int_eq(board_ask(&first), is_accepted ? 200 : 401);
        ck_assert_int_eq(board_verify(&first), is_accepted ? 200 : 401);
    }
    finish();
}
END_TEST

START_TEST(nothing_leaves_preauthorized_by_a_decision)
{
    static const char *const statuses[] = {"accepted", "rejected", "pending"};
    begin(_i);
    preauthorize(&first, 201);
    for (size_t i = 0; i < COUNT(statuses); i++)
        put("1", 0, statuses[i], 400, "dev auth: bad request");
    expect_state("preauthorized", "preauthorized", NULL);
    finish();
}
END_TEST

static const struct {
    const char *body;
    const char *text;
} bad[] = {
    {"", "failed to decode status data: EOF"},
    {"[]", "failed to decode status data: "},
    {"{", "failed to decode status data: "},
    {"{\"status\":1}", "failed to decode status data: "},
    {"{}", "incorrect device status"},
    {"null", "incorrect device status"},
    {"{\"status\":\"preauthorized\"}", "incorrect device status"},
    {"{\"status\":\"noauth\"}", "incorrect device status"},
    {"{\"status\":\"Accepted\"}", "incorrect device status"},
};

/* The body goes first, whatever the path says. */
START_TEST(a_status_that_is_none_is_a_400)
{
    begin(_i);
    for (size_t i = 0; i < COUNT(bad); i++)
        board_expect(&f, admin, "PUT", BOARD_DEVICES "/x/auth/y/status", bad[i].body, 400, bad[i].text);
    finish();
}
END_TEST

START_TEST(a_set_that_is_not_there_or_another_devices)
{
    begin(_i);
    ck_assert_int_eq(board_ask(&first), 401);
    ck_assert_int_eq(board_ask(&other), 401);
    AUTO(json_release) json_t *device = find("1");
    AUTO(json_release) json_t *stranger = find("2");
    AUTO(mem_free) char *unknown = board_path(device, "/auth/" NOBODY "/status");
    AUTO(mem_free)
    char *tail = mem_printf("/auth/%s", text_of(json_array_get(json_object_get(device, "auth_sets"), 0), "id"));
    AUTO(mem_free) char *mixed = board_path(stranger, tail);
    AUTO(mem_free) char *mixed_status = mem_printf("%s/status", mixed);
    AUTO(mem_free) char *unknown_set = board_path(device, "/auth/" NOBODY);
    board_expect(&f, admin, "PUT", unknown, "{\"status\":\"accepted\"}", 404, "authorization set not found");
    board_expect(&f, admin, "GET", unknown, NULL, 404, "authorization set not found");
    board_expect(&f, admin, "DELETE", unknown_set, NULL, 404, "");
    board_expect(&f, admin, "PUT", mixed_status, "{\"status\":\"accepted\"}", 400,
                 "dev auth: dev ID and auth ID mismatch");
    board_expect(&f, admin, "PUT", mixed_status, "{\"status\":\"pending\"}", 400,
                 "dev auth: dev ID and auth ID mismatch");
    board_expect(&f, admin, "GET", mixed_status, NULL, 404, "authorization set not found");
    board_expect(&f, admin, "DELETE", mixed, NULL, 404, "");
    expect_state("pending", "pending", NULL);
    finish();
}
END_TEST

START_TEST(accepting_a_key_rejects_the_accepted_one_only)
{
    begin(_i);
    ck_assert_int_eq(board_ask(&first), 401);
    ck_assert_int_eq(board_ask(&second), 401);
    put("1", 0, "accepted", 204, "");
    expect_state("accepted", "accepted", "pending");
    ck_assert_int_eq(board_ask(&first), 200);
    put("1", 1, "accepted", 204, "");
    expect_state("accepted", "rejected", "accepted");
    ck_assert_int_eq(board_verify(&first), 401);
    put("1", 0, "pending", 204, "");
    put("1", 1, "rejected", 204, "");
    expect_state("pending", "pending", "rejected");
    finish();
}
END_TEST

/* The original answers 500 when there are two preauthorized keys. */
START_TEST(two_preauthorized_keys_are_no_trouble)
{
    begin(_i);
    preauthorize(&first, 201);
    preauthorize(&second, 201);
    expect_state("preauthorized", "preauthorized", "preauthorized");
    ck_assert_int_eq(board_ask(&second), 200);
    expect_state("accepted", "preauthorized", "accepted");
    put("1", 1, "rejected", 204, "");
    expect_state("preauthorized", "preauthorized", "rejected");
    ck_assert_int_eq(board_ask(&first), 200);
    expect_state("accepted", "accepted", "rejected");
    preauthorize(&first, 201);
    expect_state("accepted", "preauthorized", "rejected");
    ck_assert_int_eq(board_verify(&first), 401);
    ck_assert_int_eq(board_ask(&first), 200);
    expect_state("accepted", "accepted", "rejected");
    finish();
}
END_TEST

static void forget(const char *mac, size_t n)
{
    AUTO(json_release) json_t *device = find(mac);
    AUTO(mem_free) char *path = board_set_path(device, n, "");
    board_expect(&f, admin, "DELETE", path, NULL, 204, "");
}

START_TEST(a_forgotten_key_comes_back_as_pending)
{
    begin(_i);
    ck_assert_int_eq(board_ask(&first), 401);
    ck_assert_int_eq(board_ask(&second), 401);
    put("1", 0, "accepted", 204, "");
    ck_assert_int_eq(board_ask(&first), 200);
    forget("1", 0);
    ck_assert_int_eq(board_verify(&first), 401);
    expect_state("pending", "pending", NULL);
    forget("1", 0);
    expect_state("noauth", NULL, NULL);
    ck_assert_int_eq(board_ask(&first), 401);
    expect_state("pending", "pending", NULL);
    finish();
}
END_TEST

START_TEST(a_preauthorized_device_goes_with_its_last_key)
{
    begin(_i);
    preauthorize(&first, 201);
    preauthorize(&second, 201);
    forget("1", 0);
    expect_state("preauthorized", "preauthorized", NULL);
    forget("1", 0);
    ck_assert_ptr_null(find("1"));
    finish();
}
END_TEST

START_TEST(no_more_devices_are_accepted_than_the_limit)
{
    begin(_i);
    ck_assert_int_eq(board_ask(&first), 401);
    ck_assert_int_eq(board_ask(&second), 401);
    ck_assert_int_eq(board_ask(&other), 401);
    board_expect(&f, NULL, "PUT", LIMIT, "{\"limit\":0}", 204, "");
    put("1", 0, "accepted", 422, "maximum number of accepted devices reached");
    board_expect(&f, NULL, "PUT", LIMIT, "{\"limit\":1}", 204, "");
    put("1", 0, "accepted", 204, "");
    put("2", 0, "accepted", 422, "maximum number of accepted devices reached");
    put("1", 0, "accepted", 204, "");
    put("1", 1, "accepted", 204, ""); /* the same device with another key */
    board_expect(&f, NULL, "PUT", LIMIT, "{\"limit\":-5}", 204, "");
    put("2", 0, "accepted", 422, "maximum number of accepted devices reached");
    board_expect(&f, NULL, "DELETE", LIMIT, NULL, 204, "");
    put("2", 0, "accepted", 204, "");
    expect_state("accepted", "rejected", "accepted");
    finish();
}
END_TEST

static void expect_limit(const char *bearer, const char *path, const char *want)
{
    AUTO(fixture_free) struct call *c = board_operator(&f, bearer, "GET", path, NULL);
    ck_assert_int_eq(c->status, 200);
    ck_assert_str_eq(c->reply, want);
}

START_TEST(a_limit_is_shown_set_and_lifted)
{
    static const char own[] = "/api/management/v2/devauth/limits/max_devices";
    begin(_i);
    expect_limit(admin, own, "{\"limit\":0}");
    expect_limit(NULL, LIMIT, "{\"limit\":-1}");
    board_expect(&f, NULL, "PUT", LIMIT, "{\"LIMIT\":9223372036854775807} and more", 204, "");
    expect_limit(admin, own, "{\"limit\":9223372036854775807}");
    board_expect(&f, NULL, "PUT", "/api/internal/v1/devauth/tenant/acme/limits/max_devices", "{\"limit\":3}", 204, "");
    expect_limit(NULL, LIMIT, "{\"limit\":9223372036854775807}");
    board_expect(&f, NULL, "PUT", LIMIT, "{}", 204, "");
    expect_limit(admin, own, "{\"limit\":0}");
    board_expect(&f, NULL, "DELETE", LIMIT, NULL, 204, "");
    board_expect(&f, NULL, "DELETE", LIMIT, NULL, 204, "");
    expect_limit(admin, own, "{\"limit\":0}");
    expect_limit(NULL, LIMIT, "{\"limit\":-1}");
    expect_limit(NULL, "/api/internal/v1/devauth/tenant/acme/limits/max_devices", "{\"limit\":3}");
    finish();
}
END_TEST

static const struct {
    const char *body;
    const char *text;
} bad_limits[] = {
    {"", "EOF"},
    {"{", "unexpected EOF"},
    {"[]", "json: cannot unmarshal array into Go value of type http.LimitValue"},
    {"{\"limit\":\"1\"}", "json: cannot unmarshal string into Go struct field LimitValue.limit of type int64"},
    {"{\"limit\":1.5}", "json: cannot unmarshal number 1.5 into Go struct field LimitValue.limit of type int64"},
    {"{\"limit\":9223372036854775808}", "json: cannot unmarshal number 9223372036854775808 into Go struct field"},
    {"{\"limit\":{}}", "json: cannot unmarshal object into Go struct field LimitValue.limit of type int64"},
};

START_TEST(a_limit_that_is_none_is_a_400)
{
    static const char *const methods[] = {"GET", "PUT", "DELETE"};
    begin(_i);
    for (size_t i = 0; i < COUNT(methods); i++)
        board_expect(&f, NULL, methods[i], "/api/internal/v1/devauth/tenant//limits/devices", NULL, 400,
                     "unsupported limit devices");
    board_expect(&f, admin, "GET", "/api/management/v2/devauth/limits/x%20y", NULL, 400, "unsupported limit x y");
    for (size_t i = 0; i < COUNT(bad_limits); i++) {
        AUTO(mem_free) char *text = mem_printf("failed to decode limit request: %s", bad_limits[i].text);
        board_expect(&f, NULL, "PUT", LIMIT, bad_limits[i].body, 400, text);
    }
    finish();
}
END_TEST

START_TEST(revoking_a_token_twice_is_a_404_without_a_word)
{
    begin(_i);
    ck_assert_int_eq(board_ask(&first), 401);
    put("1", 0, "accepted", 204, "");
    ck_assert_int_eq(board_ask(&first), 200);
    AUTO(json_release) json_t *device = find("1");
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    AUTO(mem_free) char *path = mem_printf("/api/management/v2/devauth/tokens/%s", text_of(set, "id"));
    board_expect(&f, admin, "DELETE", path, NULL, 204, "");
    board_expect(&f, admin, "DELETE", path, NULL, 404, "");
    board_expect(&f, admin, "DELETE", "/api/management/v2/devauth/tokens/no-uuid", NULL, 404, "");
    ck_assert_int_eq(board_verify(&first), 401);
    ck_assert_int_eq(board_ask(&first), 200);
    ck_assert_int_eq(board_verify(&first), 200);
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        every_transition_that_there_is,
        nothing_leaves_preauthorized_by_a_decision,
        a_status_that_is_none_is_a_400,
        a_set_that_is_not_there_or_another_devices,
        accepting_a_key_rejects_the_accepted_one_only,
        two_preauthorized_keys_are_no_trouble,
        a_forgotten_key_comes_back_as_pending,
        a_preauthorized_device_goes_with_its_last_key,
        no_more_devices_are_accepted_than_the_limit,
        a_limit_is_shown_set_and_lifted,
        a_limit_that_is_none_is_a_400,
        revoking_a_token_twice_is_a_404_without_a_word,
    };
    Suite *s = suite_create("auth_sets");
    TCase *tc = tcase_create("auth_sets");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    for (size_t i = 0; i < COUNT(on_both); i++)
        tcase_add_loop_test(tc, on_both[i], 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
