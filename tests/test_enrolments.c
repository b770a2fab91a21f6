/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "auth/device_admit.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"

/* Devices ask for tokens, and gateways ask about them (contract/deviceauth 2 and 3). */

#define MAC "{\"mac\":\"02:00:00:00:00:01\"}"
#define NOW_MS INT64_C(1790000000000)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct fixture f;
static struct board board;
static char *admin;

static void begin_with(int engine, const char *type)
{
    clock_set(NOW_MS);
    fixture_init(&f, engine);
    board_init(&board, &f, type, MAC);
    admin = fixture_login(&f);
}

static void begin(int engine)
{
    begin_with(engine, "ED25519");
}

static void finish(void)
{
    mem_free(&admin);
    board_release(&board);
    fixture_release(&f);
}

static void set_status(size_t n, const char *status)
{
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_set_path(device, n, "/status");
    AUTO(mem_free) char *body = mem_printf("{\"status\":\"%s\"}", status);
    board_expect(&f, admin, "PUT", path, body, 204, "");
}

/* The board asks, is accepted, asks again. */
static void admit(void)
{
    ck_assert_int_eq(board_ask(&board), 401);
    set_status(0, "accepted");
    ck_assert_int_eq(board_ask(&board), 200);
}

/* Preauthorize the identity with this board's key. */
static void preauthorize(const struct board *b, bool force)
{
    AUTO(json_release) json_t *identity = json_loads(b->id_data, 0, NULL);
    AUTO(json_release)
    json_t *json = json_pack("{s:O, s:s, s:b}", "identity_data", identity, "pubkey", b->pem, "force", (int)force);
    AUTO(mem_free) char *body = json_dumps(json, JSON_COMPACT);
    board_expect(&f, admin, "POST", BOARD_DEVICES, body, 201, "");
}

static void expect_error(struct call *c, int status, const char *text)
{
    AUTO(json_release) json_t *json = json_loads(c->reply != NULL ? c->reply : "", 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    ck_assert_msg(c->status == status && error != NULL && strncmp(error, text, strlen(text)) == 0, "%d %s, not %d %s",
                  c->status, c->reply, status, text);
}

static void expect_refused(const char *text)
{
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(fixture_free) struct call *c = board_send(&board, body);
    expect_error(c, 401, text);
    ck_assert_ptr_null(fixture_header(c, "WWW-Authenticate"));
}

static void expect_verify(int status)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", BOARD_VERIFY);
    c->header[CALL_AUTHORIZATION] = board.bearer;
    ck_assert_int_eq(fixture_run(c), status);
    ck_assert_uint_eq(c->reply_len, 0);
    ck_assert_ptr_null(c->type);
}

START_TEST(who_asks_for_the_first_time_is_pending)
{
    begin(_i);
    expect_refused("dev auth: unauthorized");
    expect_refused("dev auth: unauthorized");
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *key = json_dumps(json_object_get(device, "identity_data"), JSON_COMPACT);
    ck_assert_str_eq(key, MAC);
    ck_assert_str_eq(json_string_value(json_object_get(device, "status")), "pending");
    const json_t *sets = json_object_get(device, "auth_sets");
    ck_assert_uint_eq(json_array_size(sets), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(sets, 0), "pubkey")), board.pem);
    finish();
}
END_TEST

static json_t *part(const char *from)
{
    uint8_t text[4096];
    size_t bad = 0;
    ptrdiff_t n = base64_decode(BASE64_URL, from, strcspn(from, "."), text, &bad);
    ck_assert_int_gt(n, 0);
    return json_loadb((const char *)text, (size_t)n, 0, NULL);
}

static void expect_claims(void)
{
    const char *token = board.bearer + strlen("Bearer ");
    AUTO(json_release) json_t *header = part(token);
    AUTO(json_release) json_t *claims = part(strchr(token, '.') + 1);
    AUTO(json_release) json_t *device = board_device(&f, "");
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(header, "kid")), 1);
    AUTO(json_release)
    json_t *want =
        json_pack("{s:O, s:O, s:s, s:I, s:I, s:I, s:b, s:s, s:b, s:O}", "jti", json_object_get(set, "id"), "sub",
                  json_object_get(device, "id"), "iss", "Mender", "iat", (json_int_t)(NOW_MS / 1000), "nbf",
                  (json_int_t)(NOW_MS / 1000), "exp", (json_int_t)(NOW_MS / 1000 + 604800), "mender.device", 1,
                  "mender.plan", "enterprise", "mender.trial", 0, "mender.addons", f.addons);
    AUTO(mem_free) char *text = json_dumps(claims, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_msg(json_equal(claims, want), "%s", text);
}

START_TEST(an_accepted_device_gets_a_token_whatever_its_key)
{
    static const char *const types[] = {"ED25519", "EC", "RSA"};
    begin_with(_i / (int)COUNT(types), types[_i % (int)COUNT(types)]);
    ck_assert_int_eq(board_ask(&board), 401);
    set_status(0, "accepted");
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(fixture_free) struct call *c = board_send(&board, body);
    ck_assert_int_eq(c->status, 200);
    ck_assert_str_eq(c->type, "application/jwt");
    ck_assert_ptr_null(strpbrk(c->reply, "\r\n "));
    board.bearer = mem_printf("Bearer %s", c->reply);
    expect_claims();
    expect_verify(200);
    finish();
}
END_TEST

START_TEST(a_new_token_has_the_old_id_and_both_are_good)
{
    begin(_i);
    admit();
    AUTO(mem_free) char *first = MOVE(board.bearer);
    clock_set(NOW_MS + 5000);
    ck_assert_int_eq(board_ask(&board), 200);
    ck_assert_str_ne(board.bearer, first);
    expect_verify(200);
    AUTO(json_release) json_t *old = part(strchr(first, '.') + 1);
    AUTO(json_release) json_t *new = part(strchr(board.bearer, '.') + 1);
    ck_assert(json_equal(json_object_get(old, "jti"), json_object_get(new, "jti")));
    fixture_expect(&f, BOARD_VERIFY, first, 200);
    finish();
}
END_TEST

static const struct {
    const char *body; /* @ stands for a key */
    const char *text;
} malformed[] = {
    {"", "failed to decode auth request: unexpected end of JSON input"},
    {"x", "failed to decode auth request: invalid character 'x' looking for beginning of value"},
    {"{} x", "failed to decode auth request: invalid character 'x' after top-level value"},
    {"{\"id_data\":1}", "failed to decode auth request: json: cannot unmarshal number into Go struct field "
                        "AuthReq.id_data of type string"},
    {"{}", "invalid auth request: id_data must be provided"},
    {"{\"pubkey\":\"@\"}", "invalid auth request: id_data must be provided"},
    {"{\"id_data\":\"{}\"}", "invalid auth request: pubkey must be provided"},
    {"{\"id_data\":\"[]\",\"pubkey\":\"x\"}", "invalid auth request: cannot decode public key"},
    {"{\"id_data\":\"[]\",\"pubkey\":\"@\"}",
     "invalid auth request: json: cannot unmarshal array into Go value of type map[string]interface {}"},
    {"{\"id_data\":\"{\",\"pubkey\":\"@\"}", "invalid auth request: unexpected end of JSON input"},
    {"{\"id_data\":\"{}\",\"pubkey\":\"-----BEGIN RSA PUBLIC KEY-----\\nMAA=\\n-----END RSA PUBLIC KEY-----\\n\"}",
     "invalid auth request: cannot decode public key"},
    {"{\"id_data\":\"{}\",\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMAA=\\n-----END PUBLIC KEY-----\\n\"}",
     "invalid auth request: cannot decode public key: "},
    {"{\"id_data\":\"{}\",\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VuAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAk=\\n-----END PUBLIC KEY-----\\n\"}",
     "invalid auth request: unrecognized public key type"}, /* X25519 */
    {"{\"id_data\":\"{}\",\"pubkey\":\"@\"}", "missing request signature header"},
};

/* Whether the I/O thread has the reply to this body; whoever has, its status is to be want. */
static bool is_answered_at_once(const char *body, const char *signature, bool is_pressed, int want)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_ASK);
    enum lane_id lane = LANE_IO;
    c->header[CALL_CONTENT_TYPE] = "application/json";
    c->header[CALL_SIGNATURE] = signature;
    c->is_pressed = is_pressed;
    fixture_body(c, body);
    bool at_once = router_start(c, &lane);
    if (!at_once) {
        ck_assert_int_eq(lane, LANE_DB);
        router_finish(c);
    }
    ck_assert_int_eq(c->status, want);
    return at_once;
}

START_TEST(who_was_let_in_before_is_answered_at_once_where_that_makes_nobody_wait)
{
    begin(_i);
    bool has_own_database = strcmp(db_engine(f.db), "sqlite") == 0;
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(mem_free) char *signature = board_sign(&board, body);
    ck_assert(!is_answered_at_once(body, signature, false, 401));
    set_status(0, "accepted");
    ck_assert(!is_answered_at_once(body, signature, false, 200));
    ck_assert_int_eq(is_answered_at_once(body, signature, false, 200), has_own_database);
    ck_assert(!is_answered_at_once(body, signature, true, 200));
    ck_assert(is_answered_at_once(body, "bm8=", false, 401));
    set_status(0, "rejected");
    ck_assert(!is_answered_at_once(body, signature, false, 401));
    finish();
}
END_TEST

START_TEST(what_takes_long_to_read_is_not_read_where_others_wait)
{
    begin(_i);
    admit();
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(mem_free) char *wide = mem_printf("%s%5000s", body, "");
    AUTO(mem_free) char *signature = board_sign(&board, wide);
    ck_assert(!is_answered_at_once(wide, signature, false, 200));
    ck_assert(!is_answered_at_once(wide, "bm8=", false, 401));
    finish();
}
END_TEST

/* The key is right, the signature is not asked for: what is wrong first is said (contract/deviceauth 2.2). */
START_TEST(a_malformed_request_is_a_400_that_says_what_is_wrong_first)
{
    begin(_i);
    AUTO(json_release) json_t *pem = json_string(board.pem);
    AUTO(mem_free) char *key = json_dumps(pem, JSON_ENCODE_ANY);
    for (size_t i = 0; i < COUNT(malformed); i++) {
        const char *at = strchr(malformed[i].body, '@');
        AUTO(mem_free)
        char *body = at == NULL
                         ? mem_strdup(malformed[i].body)
                         : mem_printf("%.*s%s%s", (int)(at - 1 - malformed[i].body), malformed[i].body, key, at + 2);
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_ASK);
        c->header[CALL_CONTENT_TYPE] = "application/json";
        fixture_body(c, body);
        fixture_run(c);
        expect_error(c, 400, malformed[i].text);
    }
    finish();
}
END_TEST

START_TEST(a_wrong_signature_is_a_401_and_leaves_nothing_behind)
{
    static const char *const wrong[] = {
        "AA==", "no base64", "A", "AAAA\nAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="};
    begin(_i);
    AUTO(mem_free) char *body = board_body(&board);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_ASK);
        c->header[CALL_CONTENT_TYPE] = "application/json";
        c->header[CALL_SIGNATURE] = wrong[i];
        fixture_body(c, body);
        fixture_run(c);
        expect_error(c, 401, "signature verification failed");
    }
    AUTO(fixture_free) struct call *c = board_operator(&f, NULL, "GET", BOARD_TENANTS "//devices", NULL);
    ck_assert_str_eq(c->reply, "[]");
    finish();
}
END_TEST

START_TEST(the_signature_is_of_the_body_to_the_byte)
{
    begin(_i);
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(mem_free) char *longer = mem_printf("%s\n", body);
    AUTO(mem_free) char *signature = board_sign(&board, longer);
    const char *const bodies[] = {body, longer};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_ASK);
        c->header[CALL_CONTENT_TYPE] = "application/json";
        c->header[CALL_SIGNATURE] = signature;
        fixture_body(c, bodies[i]);
        fixture_run(c);
        expect_error(c, 401, i == 0 ? "signature verification failed" : "dev auth: unauthorized");
    }
    finish();
}
END_TEST

START_TEST(tier_tenant_token_and_authorization_do_not_count)
{
    begin(_i);
    admit();
    AUTO(json_release)
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s}", "id_data", MAC, "pubkey", board.pem, "tenant_token", "t", "tier", "micro");
    AUTO(mem_free) char *body = json_dumps(json, 0);
    AUTO(mem_free) char *signature = board_sign(&board, body);
    static const char *const headers[] = {"API_KEY", "Bearer ", "Bearer x", "Basic eDp5"};
    for (size_t i = 0; i < COUNT(headers); i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_ASK);
        c->header[CALL_CONTENT_TYPE] = "application/json";
        c->header[CALL_SIGNATURE] = signature;
        c->header[CALL_AUTHORIZATION] = headers[i];
        fixture_body(c, body);
        ck_assert_int_eq(fixture_run(c), 200);
    }
    finish();
}
END_TEST

START_TEST(a_chunked_body_over_the_limit_is_a_400)
{
    begin(_i);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_ASK);
    c->is_body_cut = true;
    fixture_run(c);
    expect_error(c, 400, "failed to decode auth request: http: request body too large");
    finish();
}
END_TEST

START_TEST(a_rejected_device_stays_out_until_it_has_a_new_key)
{
    begin(_i);
    admit();
    set_status(0, "rejected");
    expect_verify(401);
    ck_ok(db_exec(f.db, "DELETE FROM device_tokens", DB_ARGS(), NULL)); /* as decommissioning does */
    expect_refused("dev auth: unauthorized");
    struct board again;
    board_init(&again, &f, "EC", " { \"mac\" : \"02:00:00:00:00:01\" } ");
    ck_assert_int_eq(board_ask(&again), 401);
    AUTO(json_release) json_t *device = board_device(&f, "");
    ck_assert_str_eq(json_string_value(json_object_get(device, "status")), "pending");
    ck_assert_uint_eq(json_array_size(json_object_get(device, "auth_sets")), 2);
    board_release(&again);
    finish();
}
END_TEST

/* Different on purpose: the original lets the old token live. */
START_TEST(accepting_a_new_key_kills_the_tokens_of_the_old_one)
{
    begin(_i);
    admit();
    struct board again;
    board_init(&again, &f, "EC", MAC);
    ck_assert_int_eq(board_ask(&again), 401);
    expect_verify(200);
    set_status(1, "accepted");
    expect_verify(401);
    expect_refused("dev auth: unauthorized");
    ck_assert_int_eq(board_ask(&again), 200);
    ck_assert_int_eq(board_verify(&again), 200);
    board_release(&again);
    finish();
}
END_TEST

START_TEST(a_preauthorized_device_is_let_in_at_once)
{
    begin(_i);
    preauthorize(&board, false);
    ck_assert_int_eq(board_ask(&board), 200);
    expect_verify(200);
    struct board again;
    board_init(&again, &f, "RSA", MAC);
    preauthorize(&again, true);
    expect_verify(200);
    ck_assert_int_eq(board_ask(&again), 200);
    expect_verify(401);
    expect_refused("dev auth: unauthorized");
    AUTO(json_release) json_t *device = board_device(&f, "");
    const json_t *sets = json_object_get(device, "auth_sets");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(sets, 0), "status")), "rejected");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(sets, 1), "status")), "accepted");
    board_release(&again);
    finish();
}
END_TEST

START_TEST(the_limit_keeps_a_preauthorized_device_out_without_saying_so)
{
    begin(_i);
    preauthorize(&board, false);
    board_expect(&f, NULL, "PUT", "/api/internal/v1/devauth/tenant//limits/max_devices", "{\"limit\":0}", 204, "");
    expect_refused("unauthorized");
    AUTO(json_release) json_t *device = board_device(&f, "");
    ck_assert_str_eq(json_string_value(json_object_get(device, "status")), "preauthorized");
    board_expect(&f, NULL, "DELETE", "/api/internal/v1/devauth/tenant//limits/max_devices", NULL, 204, "");
    ck_assert_int_eq(board_ask(&board), 200);
    finish();
}
END_TEST

START_TEST(a_device_on_its_way_out_gets_nothing)
{
    begin(_i);
    admit();
    ck_ok(db_exec(f.db, "UPDATE devices SET decommissioning = 1", DB_ARGS(), NULL));
    issuer_revoked(f.fleet.tokens);
    expect_verify(401);
    ck_ok(db_exec(f.db, "DELETE FROM device_tokens", DB_ARGS(), NULL)); /* as decommissioning does */
    expect_refused("dev auth: unauthorized");
    struct board again;
    board_init(&again, &f, "EC", MAC);
    ck_assert_int_eq(board_ask(&again), 401);
    board_release(&again);
    finish();
}
END_TEST

START_TEST(a_broken_database_is_a_500)
{
    begin(_i);
    ck_ok(db_exec(f.db, "ALTER TABLE devices RENAME TO lost_devices", DB_ARGS(), NULL));
    AUTO(mem_free) char *body = board_body(&board);
    AUTO(fixture_free) struct call *c = board_send(&board, body);
    expect_error(c, 500, "internal error");
    finish();
}
END_TEST

START_TEST(a_token_is_asked_about_by_get_and_post_and_in_a_cookie)
{
    begin(_i);
    admit();
    AUTO(mem_free) char *cookie = mem_printf("a=b; JWT=%s", board.bearer + strlen("Bearer "));
    AUTO(mem_free) char *lower = mem_printf("bearer %s", board.bearer + strlen("Bearer "));
    for (int i = 0; i < 3; i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", BOARD_VERIFY);
        c->header[CALL_AUTHORIZATION] = i == 0 ? board.bearer : i == 1 ? lower : NULL;
        c->header[CALL_COOKIE] = cookie;
        c->header[CALL_CONTENT_TYPE] = "text/plain";
        fixture_body(c, "no JSON");
        ck_assert_int_eq(fixture_run(c), 200);
        ck_assert_uint_eq(c->reply_len, 0);
    }
    finish();
}
END_TEST

START_TEST(an_expired_or_foreign_token_is_a_401_without_a_word)
{
    begin(_i);
    admit();
    clock_set(NOW_MS + INT64_C(604800000));
    expect_verify(401);
    clock_set(NOW_MS);
    expect_verify(200);
    AUTO(mem_free) char *good = board.bearer;
    board.bearer = mem_strdup(good);
    board.bearer[strlen(good) - 20] ^= 1;
    expect_verify(401);
    mem_free(&board.bearer);
    board.bearer = mem_strdup(admin);
    expect_verify(401);
    finish();
}
END_TEST

/* Deleted: the token, the set, the device by the admin, all its tokens, the device by the engine. */
static const char ends[] = {'J', 'S', 'D', 'T', 'I'};

static char *end_path(const json_t *device, char what)
{
    const char *id = json_string_value(json_object_get(device, "id"));
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    if (what == 'J')
        return mem_printf("/api/management/v2/devauth/tokens/%s", json_string_value(json_object_get(set, "id")));
    if (what == 'S')
        return board_set_path(device, 0, "");
    if (what == 'D')
        return board_path(device, "");
    return mem_printf(BOARD_TENANTS "//devices/%s", id);
}

START_TEST(what_ends_a_token_ends_it_at_once)
{
    begin(_i % SUPPORT_ENGINES);
    char what = ends[_i / SUPPORT_ENGINES];
    admit();
    expect_verify(200);
    AUTO(json_release) json_t *device = board_device(&f, "");
    if (what == 'T')
        ck_ok(device_admit_revoke_all(&f.fleet, "", json_string_value(json_object_get(device, "id"))));
    else {
        AUTO(mem_free) char *path = end_path(device, what);
        board_expect(&f, admin, "DELETE", path, NULL, 204, "");
    }
    expect_verify(401);
    bool comes_back = what == 'J' || what == 'T';
    ck_assert_int_eq(board_ask(&board), comes_back ? 200 : 401);
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        who_asks_for_the_first_time_is_pending,
        a_new_token_has_the_old_id_and_both_are_good,
        who_was_let_in_before_is_answered_at_once_where_that_makes_nobody_wait,
        what_takes_long_to_read_is_not_read_where_others_wait,
        a_malformed_request_is_a_400_that_says_what_is_wrong_first,
        a_wrong_signature_is_a_401_and_leaves_nothing_behind,
        the_signature_is_of_the_body_to_the_byte,
        tier_tenant_token_and_authorization_do_not_count,
        a_chunked_body_over_the_limit_is_a_400,
        a_rejected_device_stays_out_until_it_has_a_new_key,
        accepting_a_new_key_kills_the_tokens_of_the_old_one,
        a_preauthorized_device_is_let_in_at_once,
        the_limit_keeps_a_preauthorized_device_out_without_saying_so,
        a_device_on_its_way_out_gets_nothing,
        a_broken_database_is_a_500,
        a_token_is_asked_about_by_get_and_post_and_in_a_cookie,
        an_expired_or_foreign_token_is_a_401_without_a_word,
    };
    Suite *s = suite_create("enrolments");
    TCase *tc = tcase_create("enrolments");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    for (size_t i = 0; i < COUNT(on_both); i++)
        tcase_add_loop_test(tc, on_both[i], 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_accepted_device_gets_a_token_whatever_its_key, 0, 3 * SUPPORT_ENGINES);
    tcase_add_loop_test(tc, what_ends_a_token_ends_it_at_once, 0, (int)COUNT(ends) * SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
