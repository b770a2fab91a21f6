/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "auth/user.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "tests/fixture.h"

#define LOGIN "/api/management/v1/useradm/auth/login"
#define LOGOUT "/api/management/v1/useradm/auth/logout"
#define ME "/api/management/v1/useradm/users/me"
#define VERIFY "/api/internal/v1/useradm/auth/verify"

static struct fixture f;

static void expect_error(const struct call *c, const char *text)
{
    AUTO(mem_free) char *start = mem_printf("{\"error\":\"%s\",\"request_id\":\"", text);
    ck_assert_msg(c->reply != NULL && strncmp(c->reply, start, strlen(start)) == 0, "%s: not %s", c->reply, text);
    ck_assert_str_eq(c->type, "application/json; charset=utf-8");
}

/* The claims of "Bearer <token>" as text. */
static char *payload_of(const char *bearer)
{
    const char *start = strchr(bearer, '.') + 1;
    size_t len = strcspn(start, ".");
    char *text = mem_calloc(BASE64_DECODED(len) + 1, 1);
    ck_assert_int_gt(base64_decode(BASE64_URL, start, len, (uint8_t *)text, NULL), 0);
    return text;
}

static struct call *login(const char *authorization, const char *body)
{
    struct call *c = fixture_call(&f, "POST", LOGIN);
    c->header[CALL_AUTHORIZATION] = authorization;
    if (body != NULL) {
        fixture_body(c, body);
        c->header[CALL_CONTENT_TYPE] = "application/json";
    }
    fixture_run(c);
    return c;
}

START_TEST(login_answers_with_a_bare_token)
{
    fixture_init(&f, _i);
    AUTO(fixture_free) struct call *c = login(FIXTURE_BASIC, "{\"token2fa\":\"\",\"no_expiry\":false}");
    ck_assert_int_eq(c->status, 200);
    ck_assert_str_eq(c->type, "application/jwt");
    ck_assert_uint_eq(strspn(c->reply, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
                      c->reply_len);
    ck_assert_str_eq(fixture_header(c, "X-Men-Requestid"), c->request_id);
    fixture_release(&f);
}
END_TEST

START_TEST(login_writes_the_claims_in_order)
{
    fixture_init(&f, _i);
    clock_set(1763715905999);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *claims = payload_of(bearer);
    AUTO(mem_free)
    char *want = mem_printf("\"sub\":\"%s\",\"exp\":1764320705,\"iat\":1763715905,\"mender.user\":true,"
                            "\"iss\":\"mender.useradm\",\"scp\":\"mender.*\",\"nbf\":1763715905}",
                            f.user_id);
    ck_assert_int_eq(strncmp(claims, "{\"jti\":\"", 8), 0);
    ck_assert_ptr_nonnull(strstr(claims, want));
    AUTO(mem_free) char *header = mem_strndup(bearer + 7, strcspn(bearer + 7, "."));
    char plain[128] = "";
    ck_assert_int_gt(base64_decode(BASE64_URL, header, strlen(header), (uint8_t *)plain, NULL), 0);
    ck_assert_str_eq(plain, "{\"alg\":\"ES256\",\"kid\":1,\"typ\":\"JWT\"}");
    fixture_release(&f);
}
END_TEST

START_TEST(login_without_expiry_has_no_exp)
{
    fixture_init(&f, _i);
    AUTO(fixture_free) struct call *c = login(FIXTURE_BASIC, "{\"NO_EXPIRY\":true}");
    ck_assert_int_eq(c->status, 200);
    AUTO(mem_free) char *bearer = mem_printf("Bearer %s", c->reply);
    AUTO(mem_free) char *claims = payload_of(bearer);
    ck_assert_ptr_null(strstr(claims, "\"exp\""));
    clock_set(INT64_C(4102444800000));
    fixture_expect(&f, VERIFY, bearer, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(login_refuses_bad_credentials)
{
    static const struct {
        const char *authorization;
        const char *text;
    } cases[] = {
        {NULL, "invalid or missing auth header"},
        {"", "invalid or missing auth header"},
        {"Bearer abc", "invalid or missing auth header"},
        {"Basic", "invalid or missing auth header"},
        {"Basic !!!!", "invalid or missing auth header"},
        {"Basic YWxpY2U", "invalid or missing auth header"}, /* no padding */
        {"Basic bm9jb2xvbg==", "invalid or missing auth header"},
        {"Basic YTpiAGM=", "invalid or missing auth header"}, /* NUL */
        {"Basic OmZvbw==", "unauthorized"},                   /* ":foo" */
        {"Basic YWxpY2VAZXhhbXBsZS5jb206", "unauthorized"},   /* no password */
        {"Basic YWxpY2VAZXhhbXBsZS5jb206d3Jvbmc=", "unauthorized"},
        {"Basic bm9ib2R5QGV4YW1wbGUuY29tOmNvcnJlY3QgaG9yc2U=", "unauthorized"},
        {"Basic YWxpY2VAZXhhbXBsZS5jb20nIE9SICcxJz0nMTpwYXNzd29yZA==", "unauthorized"},
    };
    fixture_init(&f, _i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(fixture_free) struct call *c = login(cases[i].authorization, NULL);
        ck_assert_int_eq(c->status, 401);
        expect_error(c, cases[i].text);
        ck_assert_ptr_null(fixture_header(c, "WWW-Authenticate"));
    }
    fixture_release(&f);
}
END_TEST

START_TEST(login_takes_the_email_in_any_case_and_splits_at_the_first_colon)
{
    fixture_init(&f, _i);
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *id = NULL;
    const struct user_new bob = {.email = "bob@example.com", .password = "pass:word:1", .cost = 4};
    ck_ok(user_create(f.db, &bob, why, &id));
    /* BOB@Example.com:pass:word:1 */
    AUTO(fixture_free) struct call *c = login("basic Qk9CQEV4YW1wbGUuY29tOnBhc3M6d29yZDox", NULL);
    ck_assert_int_eq(c->status, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(login_refuses_a_bad_body)
{
    static const char *const bodies[] = {"dummy", "{\"no_expiry\":\"yes\"}", "[]", "\"x\"", "{", " "};
    fixture_init(&f, _i);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        AUTO(fixture_free) struct call *c = login(FIXTURE_BASIC, bodies[i]);
        ck_assert_int_eq(c->status, 400);
    }
    AUTO(fixture_free) struct call *null_body = login(FIXTURE_BASIC, "null");
    ck_assert_int_eq(null_body->status, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(content_type_counts_only_with_a_body)
{
    static const struct {
        const char *type;
        int status;
        const char *text;
    } cases[] = {
        {"application/json", 200, NULL},
        {"Application/JSON ; charset=utf-8", 200, NULL},
        {"text/plain", 415, "Bad Content-Type, expected 'application/json'"},
        {"application/json-patch+json", 415, "Bad Content-Type, expected 'application/json'"},
        {"", 400, "Invalid value for Content-Type header: mime: no media type"},
        {NULL, 400, "Invalid value for Content-Type header: mime: no media type"},
        {";x", 400, "Invalid value for Content-Type header: mime: no media type"},
    };
    fixture_init(&f, _i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGIN);
        c->header[CALL_AUTHORIZATION] = FIXTURE_BASIC;
        c->header[CALL_CONTENT_TYPE] = cases[i].type;
        fixture_body(c, "{}");
        ck_assert_int_eq(fixture_run(c), cases[i].status);
        if (cases[i].text != NULL)
            expect_error(c, cases[i].text);
    }
    AUTO(fixture_free) struct call *empty = fixture_call(&f, "POST", LOGIN);
    empty->header[CALL_AUTHORIZATION] = FIXTURE_BASIC;
    empty->header[CALL_CONTENT_TYPE] = "text/plain";
    empty->content_length = 0;
    ck_assert_int_eq(fixture_run(empty), 200);
    fixture_release(&f);
}
END_TEST

START_TEST(verify_answers_200_with_nothing)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (int i = 0; i < 2; i++) {
        AUTO(fixture_free) struct call *c = fixture_get(&f, VERIFY, bearer, 200);
        ck_assert_uint_eq(c->reply_len, 0);
        ck_assert_ptr_null(c->type);
        ck_assert_uint_eq(c->reply_headers, 1);
        ck_assert_str_eq(c->reply_header[0].name, "X-Men-Requestid");
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_warm_verify_stays_on_the_io_thread)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    fixture_expect(&f, VERIFY, bearer, 200);
    AUTO(fixture_free) struct call *warm = fixture_call(&f, "POST", VERIFY);
    warm->header[CALL_AUTHORIZATION] = bearer;
    warm->header[CALL_FORWARDED_METHOD] = "GET";
    warm->header[CALL_FORWARDED_URI] = "/api/management/v1/inventory/devices";
    enum lane_id lane = LANE_IO;
    ck_assert(router_start(warm, &lane));
    ck_assert_int_eq(warm->status, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(verify_needs_the_forwarded_request)
{
    static const struct {
        const char *method;
        const char *uri;
        int status;
    } cases[] = {
        {"GET", "/api/management/v1/x", 200},
        {"GET", "/api/management/v1", 200},
        {"GET", "/api/management", 500},
        {"GET", "/foobar", 500},
        {"GET", "", 500},
        {"GET", NULL, 500},
        {"", "/api/management/v1/x", 500},
        {NULL, "/api/management/v1/x", 500},
    };
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", VERIFY);
        c->header[CALL_AUTHORIZATION] = bearer;
        c->header[CALL_FORWARDED_METHOD] = cases[i].method;
        c->header[CALL_FORWARDED_URI] = cases[i].uri;
        ck_assert_int_eq(fixture_run(c), cases[i].status);
        if (cases[i].status == 500)
            expect_error(c, "internal error");
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_500_tells_the_operator_what_the_client_does_not_see)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", VERIFY);
    c->header[CALL_AUTHORIZATION] = bearer;
    support_log_capture();
    ck_assert_int_eq(fixture_run(c), 500);
    expect_error(c, "internal error");
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(
        strstr(log, "request failed method=GET path=" VERIFY " error=FORWARDED text=\"the gateway must"));
    fixture_release(&f);
}
END_TEST

START_TEST(verify_explains_what_is_wrong_with_the_credential)
{
    static const struct {
        const char *authorization;
        const char *text;
    } cases[] = {
        {NULL, "Authorization not present in header"},
        {"", "Authorization not present in header"},
        {"Bearer", "malformed Authorization header"},
        {"Bearer a b", "malformed Authorization header"},
        {"Bearer  a.b.c", "malformed Authorization header"},
        {"Basic a.b.c", "unknown Authorization method Basic"},
        {"Bearer abc", "identity: incorrect token format"},
        {"Bearer a.b", "identity: incorrect token format"},
        {"Bearer a.b.c.d", "identity: incorrect token format"},
        {"Bearer a.e30=.c", "identity: failed to decode base64 JWT claims: illegal base64 data at input byte 3"},
        {"Bearer a.e30.c", "identity: claim \\\"sub\\\" is required"},
        {"Bearer a.eyJzdWIiOiIifQ.c", "identity: claim \\\"sub\\\" is required"},
        {"Bearer a.eyJzdWIiOiJ4In0.c", "invalid jwt"},
    };
    fixture_init(&f, _i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(fixture_free) struct call *c = fixture_get(&f, VERIFY, cases[i].authorization, 401);
        expect_error(c, cases[i].text);
        ck_assert_str_eq(fixture_header(c, "WWW-Authenticate"), "Bearer realm=\"ManagementJWT\"");
    }
    AUTO(fixture_free) struct call *type = fixture_get(&f, VERIFY, "Bearer a.eyJzdWIiOjF9.c", 401);
    ck_assert_int_eq(strncmp(type->reply, "{\"error\":\"identity: failed to decode JSON JWT claims: ", 53), 0);
    fixture_release(&f);
}
END_TEST

START_TEST(the_cookie_counts_only_without_the_header)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *cookie = mem_printf("a=b; JWT=%s; c=d", bearer + 7);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", ME);
    c->header[CALL_COOKIE] = cookie;
    ck_assert_int_eq(fixture_run(c), 200);
    AUTO(fixture_free) struct call *both = fixture_call(&f, "GET", ME);
    both->header[CALL_COOKIE] = cookie;
    both->header[CALL_AUTHORIZATION] = "Bearer a.b";
    ck_assert_int_eq(fixture_run(both), 401);
    AUTO(fixture_free) struct call *other = fixture_call(&f, "GET", ME);
    other->header[CALL_COOKIE] = "XJWT=a; JWTX=b";
    ck_assert_int_eq(fixture_run(other), 401);
    expect_error(other, "Authorization not present in header");
    fixture_release(&f);
}
END_TEST

/* A signed token of f's user with these members changed. */
static char *forge(const char *scope, const char *kind)
{
    AUTO(mem_free)
    char *payload = mem_printf("{\"jti\":\"j\",\"sub\":\"%s\",\"iss\":\"mender.useradm\",\"scp\":\"%s\"%s}", f.user_id,
                               scope, kind);
    return fixture_forge(&f, payload);
}

START_TEST(verify_refuses_other_scopes_and_kinds)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *scope = forge("mender.users.initial.create", ",\"mender.user\":true");
    AUTO(fixture_free) struct call *forbidden = fixture_get(&f, VERIFY, scope, 403);
    expect_error(forbidden, "unauthorized");
    AUTO(mem_free) char *device = forge("mender.*", ",\"mender.device\":true");
    AUTO(fixture_free) struct call *wrong_kind = fixture_get(&f, VERIFY, device, 401);
    expect_error(wrong_kind, "unauthorized");
    fixture_expect(&f, ME, device, 401);
    AUTO(mem_free) char *no_row = forge("mender.*", ",\"mender.user\":true");
    AUTO(fixture_free) struct call *dead = fixture_get(&f, VERIFY, no_row, 401);
    expect_error(dead, "unauthorized");
    fixture_release(&f);
}
END_TEST

START_TEST(an_expired_token_is_invalid)
{
    fixture_init(&f, _i);
    clock_set(1763715905000);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    fixture_expect(&f, VERIFY, bearer, 200);
    clock_set(1763715905000 + INT64_C(604800000));
    AUTO(fixture_free) struct call *after = fixture_get(&f, VERIFY, bearer, 401);
    expect_error(after, "invalid jwt");
    fixture_release(&f);
}
END_TEST

START_TEST(logout_kills_the_token_at_once)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *other = fixture_login(&f);
    fixture_expect(&f, VERIFY, bearer, 200);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGOUT);
    c->header[CALL_AUTHORIZATION] = bearer;
    ck_assert_int_eq(fixture_run(c), 202);
    ck_assert_uint_eq(c->reply_len, 0);
    AUTO(fixture_free) struct call *dead = fixture_get(&f, VERIFY, bearer, 401);
    expect_error(dead, "unauthorized");
    AUTO(fixture_free) struct call *again = fixture_call(&f, "POST", LOGOUT);
    again->header[CALL_AUTHORIZATION] = bearer;
    ck_assert_int_eq(fixture_run(again), 401);
    fixture_expect(&f, VERIFY, other, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(logout_behind_a_gateway_checks_the_signature_only)
{
    fixture_init(&f, _i);
    f.service.trust_gateway = true;
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (int i = 0; i < 2; i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGOUT);
        c->header[CALL_AUTHORIZATION] = bearer;
        ck_assert_int_eq(fixture_run(c), 202);
    }
    AUTO(fixture_free) struct call *forged = fixture_call(&f, "POST", LOGOUT);
    forged->header[CALL_AUTHORIZATION] = "Bearer bogus_header.eyJzdWIiOiJ4In0.bogus_sign";
    ck_assert_int_eq(fixture_run(forged), 401);
    fixture_release(&f);
}
END_TEST

START_TEST(a_device_token_logs_nobody_out_behind_a_gateway)
{
    fixture_init(&f, _i);
    f.service.trust_gateway = true;
    AUTO(mem_free) char *device = forge("mender.*", ",\"mender.device\":true");
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGOUT);
    c->header[CALL_AUTHORIZATION] = device;
    ck_assert_int_eq(fixture_run(c), 401);
    fixture_release(&f);
}
END_TEST

START_TEST(me_is_the_callers_user)
{
    fixture_init(&f, _i);
    clock_set(1763715905120);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free) struct call *c = fixture_get(&f, ME, bearer, 200);
    AUTO(mem_free)
    char *start = mem_printf("{\"id\":\"%s\",\"email\":\"" FIXTURE_EMAIL "\",\"created_ts\":\"", f.user_id);
    ck_assert_int_eq(strncmp(c->reply, start, strlen(start)), 0);
    ck_assert_ptr_nonnull(strstr(c->reply, "\"login_ts\":\"2025-11-21T09:05:05.12Z\"}"));
    ck_assert_ptr_null(strstr(c->reply, "password"));
    ck_assert_str_eq(c->type, "application/json; charset=utf-8");
    fixture_release(&f);
}
END_TEST

START_TEST(another_user_is_found_by_id)
{
    fixture_init(&f, _i);
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *id = NULL;
    const struct user_new bob = {.id = "bob 1", .email = "bob@example.com", .password = "password", .cost = 4};
    ck_ok(user_create(f.db, &bob, why, &id));
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free) struct call *found = fixture_get(&f, "/api/management/v1/useradm/users/bob%201", bearer, 200);
    ck_assert_int_eq(strncmp(found->reply, "{\"id\":\"bob 1\",\"email\":\"bob@example.com\",", 40), 0);
    static const char *const unknown[] = {"ME", "nobody", "%zz", "bob+1"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        AUTO(mem_free) char *path = mem_printf("/api/management/v1/useradm/users/%s", unknown[i]);
        fixture_expect(&f, path, bearer, 404);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_deleted_users_token_is_dead)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    ck_ok(user_delete(f.db, "", f.user_id));
    issuer_revoked(f.issuer);
    fixture_expect(&f, ME, bearer, 401);
    fixture_expect(&f, VERIFY, bearer, 401);
    fixture_release(&f);
}
END_TEST

START_TEST(unverified_claims_count_only_behind_a_gateway)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *claims = mem_printf("{\"sub\":\"%s\"}", f.user_id);
    char encoded[256] = "";
    base64_encode(BASE64_URL, claims, strlen(claims), encoded);
    AUTO(mem_free) char *bogus = mem_printf("Bearer bogus_header.%s.bogus_sign", encoded);
    AUTO(fixture_free) struct call *refused = fixture_get(&f, ME, bogus, 401);
    expect_error(refused, "invalid jwt");
    f.service.trust_gateway = true;
    fixture_expect(&f, ME, bogus, 200);
    fixture_expect(&f, VERIFY, bogus, 401);
    fixture_release(&f);
}
END_TEST

START_TEST(a_new_key_signs_and_the_old_one_still_verifies)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *old = fixture_login(&f);
    fixture_add_key(&f, "ed25519", 2);
    AUTO(mem_free) char *new = fixture_login(&f);
    ck_assert_int_ne(strncmp(old, new, 40), 0);
    fixture_expect(&f, VERIFY, old, 200);
    fixture_expect(&f, VERIFY, new, 200);
    AUTO(mem_free) char *path = support_path(f.keys, "private.id.1.pem");
    ck_assert_int_eq(remove(path), 0);
    ck_ok(keyring_reload(f.ring));
    AUTO(fixture_free) struct call *gone = fixture_get(&f, VERIFY, old, 401);
    expect_error(gone, "invalid jwt");
    fixture_expect(&f, VERIFY, new, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(no_secret_reaches_the_log)
{
    fixture_init(&f, _i);
    log_setup(LOG_DEBUG, LOG_JSON);
    support_log_capture();
    AUTO(mem_free) char *bearer = fixture_login(&f);
    fixture_expect(&f, VERIFY, bearer, 200);
    AUTO(fixture_free) struct call *wrong = login("Basic YWxpY2VAZXhhbXBsZS5jb206d3Jvbmc=", NULL);
    ck_assert_int_eq(wrong->status, 401);
    fixture_expect(&f, ME, "Bearer not.a.token", 401);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "\"path\":\"" LOGIN "\""));
    static const char *const secrets[] = {FIXTURE_PASSWORD, "wrong", "YWxpY2VA", "not.a.token"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        ck_assert_msg(strstr(log, secrets[i]) == NULL, "%s is in the log", secrets[i]);
    ck_assert_ptr_null(strstr(log, bearer + 7));
    ck_assert_ptr_null(strstr(log, strrchr(bearer, '.') + 1));
    fixture_release(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("sessions");
    TCase *tc = tcase_create("sessions");
    tcase_add_loop_test(tc, login_answers_with_a_bare_token, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, login_writes_the_claims_in_order, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, login_without_expiry_has_no_exp, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, login_refuses_bad_credentials, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, login_takes_the_email_in_any_case_and_splits_at_the_first_colon, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, login_refuses_a_bad_body, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, content_type_counts_only_with_a_body, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, verify_answers_200_with_nothing, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_warm_verify_stays_on_the_io_thread, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, a_500_tells_the_operator_what_the_client_does_not_see);
    tcase_add_loop_test(tc, verify_needs_the_forwarded_request, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, verify_explains_what_is_wrong_with_the_credential, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_cookie_counts_only_without_the_header, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, verify_refuses_other_scopes_and_kinds, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_expired_token_is_invalid, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, logout_kills_the_token_at_once, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, logout_behind_a_gateway_checks_the_signature_only, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_device_token_logs_nobody_out_behind_a_gateway, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, me_is_the_callers_user, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, another_user_is_found_by_id, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_deleted_users_token_is_dead, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, unverified_claims_count_only_behind_a_gateway, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_new_key_signs_and_the_old_one_still_verifies, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, no_secret_reaches_the_log, 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
