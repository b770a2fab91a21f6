/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/fixture.h"
#include "tests/forge.h"

/*
 * Hostile tokens on their whole way: credential, signature, claims, memory, database. Each is the token of a live
 * session with one thing changed and signed by the service's own key wherever the attack allows it, so nothing but
 * that one thing can be why it is refused.
 */

#define LOGOUT "/api/management/v1/useradm/auth/logout"
#define ME "/api/management/v1/useradm/users/me"
#define VERIFY "/api/internal/v1/useradm/auth/verify"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NOW_S INT64_C(1770000000)
#define DAY_S INT64_C(86400)

static struct fixture f;
static char *bearer; /* of a live session */
static json_t *claims;

static void sign_in(void)
{
    fixture_init(&f, 0);
    clock_set(NOW_S * 1000);
    bearer = fixture_login(&f);
    const char *payload = strchr(bearer, '.') + 1;
    size_t len = strcspn(payload, ".");
    AUTO(mem_free) char *text = mem_calloc(BASE64_DECODED(len) + 1, 1);
    ck_assert_int_gt(base64_decode(BASE64_URL, payload, len, (uint8_t *)text, NULL), 0);
    claims = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(claims);
}

static void sign_out(void)
{
    json_decref(claims);
    mem_free(&bearer);
    fixture_release(&f);
}

/* What a gateway is told about this credential. It is asked twice, as the second answer may come from memory. */
static int verdict_on(const char *authorization)
{
    int status[2] = {0};
    for (int i = 0; i < 2; i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", VERIFY);
        c->header[CALL_AUTHORIZATION] = authorization;
        c->header[CALL_FORWARDED_METHOD] = "GET";
        c->header[CALL_FORWARDED_URI] = "/api/management/v1/inventory/devices";
        status[i] = fixture_run(c);
    }
    ck_assert_int_eq(status[0], status[1]);
    return status[0];
}

static int verdict_on_payload(const char *payload)
{
    AUTO(mem_free) char *authorization = fixture_forge(&f, payload);
    return verdict_on(authorization);
}

/* The claims of the live session with this member in place of the one of that name; NULL: without it. */
static char *claims_with(const char *name, const char *value)
{
    json_t *changed = json_copy(claims);
    json_object_del(changed, name);
    AUTO(mem_free) char *text = json_dumps(changed, JSON_COMPACT);
    json_decref(changed);
    if (value == NULL)
        return MOVE(text);
    text[strlen(text) - 1] = '\0';
    return mem_printf("%s,\"%s\":%s}", text, name, value);
}

static int verdict_on_claim(const char *name, const char *value)
{
    AUTO(mem_free) char *payload = claims_with(name, value);
    return verdict_on_payload(payload);
}

/* A management route asks for itself, behind a gateway or not. */
static void expect_me(const char *authorization, int status)
{
    struct call *c = fixture_get(&f, ME, authorization, status);
    fixture_free(&c);
}

static void log_out(const char *authorization)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGOUT);
    c->header[CALL_AUTHORIZATION] = authorization;
    ck_assert_int_eq(fixture_run(c), 202);
}

/* payload */

/* Behind the live session's own members: %s is its sub. */
static const char *const twice[] = {
    "\"sub\":\"%s\"",           "\"su\\u0062\":\"%s\"",       "\"\\u0073\\u0075\\u0062\":\"%s\"",
    "\"mender.user\":true",     "\"mender\\u002euser\":true", "\"exp\":1770000060",
    "\"\\u0065xp\":1770000060", "\"scp\":\"mender.*\"",       "\"x\":1,\"x\":1",
    "\"x\":1,\"\\u0078\":1",    "\"x\":{\"y\":1,\"y\":1}",    "\"x\":[{\"y\":1,\"\\u0079\":1}]",
};

START_TEST(a_claim_that_is_there_twice_is_refused_in_any_spelling)
{
    AUTO(mem_free) char *own = json_dumps(claims, JSON_COMPACT);
    ck_assert_int_eq(verdict_on_payload(own), 200);
    own[strlen(own) - 1] = '\0';
    const char *at = strstr(twice[_i], "%s");
    AUTO(mem_free)
    char *more = at == NULL ? mem_strdup(twice[_i])
                            : mem_printf("%.*s%s%s", (int)(at - twice[_i]), twice[_i], f.user_id, at + 2);
    AUTO(mem_free) char *payload = mem_printf("%s,%s}", own, more);
    ck_assert_int_eq(verdict_on_payload(payload), 401);
}
END_TEST

START_TEST(a_payload_that_is_not_one_object_is_refused)
{
    static const char *const forms[] = {"[%s]", "%s{}", "%s x", "\"%s\"", "\xef\xbb\xbf%s", "{\"payload\":%s}", "%s,"};
    AUTO(mem_free) char *own = json_dumps(claims, JSON_COMPACT);
    for (int i = 0; i < COUNT(forms); i++) {
        const char *at = strstr(forms[i], "%s");
        AUTO(mem_free) char *payload = mem_printf("%.*s%s%s", (int)(at - forms[i]), forms[i], own, at + 2);
        ck_assert_msg(verdict_on_payload(payload) == 401, "%s", forms[i]);
    }
    AUTO(mem_free) char *spaced = mem_printf(" %s\n", own);
    ck_assert_int_eq(verdict_on_payload(spaced), 200);
}
END_TEST

START_TEST(a_token_over_the_cap_is_refused)
{
    AUTO(mem_free) char *padding = mem_calloc(JWS_TOKEN_MAX, 1);
    memset(padding, 'x', JWS_TOKEN_MAX - 1);
    AUTO(mem_free) char *quoted = mem_printf("\"%s\"", padding);
    AUTO(mem_free) char *payload = claims_with("x", quoted);
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(f.ring);
    AUTO(mem_free) char *token = forge_token(keyset_signing(view.set), "{\"alg\":\"ES256\",\"kid\":1}", payload);
    AUTO(mem_free) char *authorization = mem_printf("Bearer %s", token);
    ck_assert_int_eq(verdict_on(authorization), 401);
    quoted[JWS_TOKEN_MAX / 2] = '"';
    quoted[JWS_TOKEN_MAX / 2 + 1] = '\0';
    ck_assert_int_eq(verdict_on_claim("x", quoted), 200);
}
END_TEST

/* times */

static const struct {
    const char *name;
    const char *value; /* NULL: absent */
    int status;
} times[] = {
    {"exp", "1770000001", 200},
    {"exp", "1770000000", 401}, /* now */
    {"exp", "1769999999", 401},
    {"exp", "0", 401},
    {"exp", "-0", 401},
    {"exp", "-1", 401},
    {"exp", "-9223372036854775808", 401},
    {"exp", "-9223372036854775809", 401},
    {"exp", "9223372036854775806", 200},
    {"exp", "9223372036854775808", 401},
    {"exp", "18446744073709551617", 401},
    {"exp", "1e400", 401},
    {"exp", "-1e400", 401},
    {"exp", "1e10", 401},
    {"exp", "1770000060.0", 401},
    {"exp", "1770000060.5", 401},
    {"exp", "\"1770000060\"", 401},
    {"exp", "\"never\"", 401},
    {"exp", "null", 401},
    {"exp", "true", 401},
    {"exp", "[1770000060]", 401},
    {"exp", "{}", 401},
    {"exp", NULL, 200}, /* a session without end: the row decides */
    {"nbf", "1770000000", 200},
    {"nbf", "1770000001", 401},
    {"nbf", "9223372036854775807", 401},
    {"nbf", "-62135596800", 200}, /* year 1, as the original writes it */
    {"nbf", "-9223372036854775808", 200},
    {"nbf", "1e3", 401},
    {"nbf", "\"0\"", 401},
    {"nbf", NULL, 200},
    {"iat", "1770000000", 200},
    {"iat", "1770000001", 401},
    {"iat", "9223372036854775807", 401},
    {"iat", "1e400", 401},
    {"iat", "null", 401},
    {"iat", NULL, 200},
};

START_TEST(times_are_exact_integers_on_the_right_side_of_now)
{
    int status = verdict_on_claim(times[_i].name, times[_i].value);
    ck_assert_msg(status == times[_i].status, "%s %s gave %d", times[_i].name, times[_i].value, status);
}
END_TEST

/* What is remembered of a token never outlives what the clock says of it, wherever the clock jumps. */
START_TEST(a_jumping_clock_finds_no_stale_answer_in_memory)
{
    static const struct {
        int64_t at_s;
        int status;
    } jumps[] = {
        {NOW_S, 200}, {NOW_S + DAY_S, 200},     {NOW_S - DAY_S, 401},         {NOW_S, 200},
        {0, 401},     {NOW_S + 7 * DAY_S, 401}, {NOW_S + 7 * DAY_S - 1, 200}, {NOW_S + 8 * DAY_S, 401},
        {NOW_S, 200},
    };
    for (int i = 0; i < COUNT(jumps); i++) {
        clock_set(jumps[i].at_s * 1000);
        ck_assert_msg(verdict_on(bearer) == jumps[i].status, "jump %d", i);
    }
}
END_TEST

START_TEST(a_revoked_token_stays_dead_wherever_the_clock_jumps)
{
    static const int64_t jumps[] = {0, DAY_S, -DAY_S, 0, 6 * DAY_S, 0};
    ck_assert_int_eq(verdict_on(bearer), 200);
    log_out(bearer);
    for (int i = 0; i < COUNT(jumps); i++) {
        clock_set((NOW_S + jumps[i]) * 1000);
        ck_assert_int_eq(verdict_on(bearer), 401);
    }
}
END_TEST

/* one session, another token */

/* The other ECDSA signature of the same text: (r, n - s). */
static char *twin_of(const char *authorization)
{
    const char *encoded = strrchr(authorization, '.') + 1;
    uint8_t raw[64];
    ck_assert_int_eq(base64_decode(BASE64_URL, encoded, strlen(encoded), raw, NULL), 64);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *s = BN_bin2bn(raw + 32, 32, NULL);
    ck_assert_int_eq(BN_sub(s, EC_GROUP_get0_order(group), s), 1);
    ck_assert_int_eq(BN_bn2binpad(s, raw + 32, 32), 32);
    BN_free(s);
    EC_GROUP_free(group);
    AUTO(mem_free) char *signature = forge_base64(raw, sizeof raw);
    return mem_printf("%.*s%s", (int)(encoded - authorization), authorization, signature);
}

/* A revocation is of the session, not of the bytes that the caller sent. */
START_TEST(a_logout_kills_every_spelling_of_the_token)
{
    AUTO(mem_free) char *twin = twin_of(bearer);
    AUTO(mem_free) char *own = json_dumps(claims, JSON_COMPACT);
    AUTO(mem_free) char *again = fixture_forge(&f, own);
    ck_assert_str_ne(twin, bearer);
    ck_assert_str_ne(again, bearer);
    const char *const spellings[] = {bearer, twin, again};
    for (int i = 0; i < COUNT(spellings); i++)
        ck_assert_int_eq(verdict_on(spellings[i]), 200);
    log_out(spellings[_i]);
    for (int i = 0; i < COUNT(spellings); i++)
        ck_assert_int_eq(verdict_on(spellings[i]), 401);
}
END_TEST

/* a token meant for somebody else */

static const struct {
    const char *name;
    const char *value;
    int status;
} crossed[] = {
    {"mender.user", "true", 200},
    {"mender.user", "false", 401},
    {"mender.user", NULL, 401},
    {"mender.device", "true", 401}, /* beside mender.user */
    {"mender.device", "false", 200},
    {"mender.tenant", "\"another\"", 401},
    {"sub", "\"another\"", 401},
    {"sub", "\"\"", 401},
    {"sub", NULL, 401},
    {"jti", "\"another\"", 401},
    {"jti", "\"\"", 401},
    {"jti", NULL, 401},
    {"scp", "\"mender.users.initial.create\"", 403},
    {"scp", "\"mender.* mender.users\"", 403},
    {"scp", "\"mender.\"", 403},
    {"scp", "\"MENDER.*\"", 403},
    {"scp", "\"\"", 401},
    {"scp", NULL, 401},
    {"iss", "\"another\"", 200}, /* unless accepted_issuers says which */
    {"iss", "\"\"", 401},
    {"iss", NULL, 401},
};

START_TEST(a_token_of_another_kind_tenant_user_or_session_is_refused)
{
    int status = verdict_on_claim(crossed[_i].name, crossed[_i].value);
    ck_assert_msg(status == crossed[_i].status, "%s %s gave %d", crossed[_i].name, crossed[_i].value, status);
    AUTO(mem_free) char *payload = claims_with(crossed[_i].name, crossed[_i].value);
    AUTO(mem_free) char *authorization = fixture_forge(&f, payload);
    expect_me(authorization, crossed[_i].status);
}
END_TEST

START_TEST(a_device_token_is_no_users_token)
{
    AUTO(mem_free)
    char *payload = mem_printf("{\"jti\":\"%s\",\"sub\":\"%s\",\"iss\":\"Mender\",\"mender.device\":true,"
                               "\"mender.tenant\":\"\",\"exp\":1770000060,\"scp\":\"mender.*\"}",
                               json_string_value(json_object_get(claims, "jti")), f.user_id);
    ck_assert_int_eq(verdict_on_payload(payload), 401);
}
END_TEST

START_TEST(only_an_accepted_issuer_counts_also_from_memory)
{
    static const char *const accepted[] = {"mender.useradm", "mender", NULL};
    struct issuer_config config = *issuer_config(f.issuer);
    config.accepted = accepted;
    struct issuer *strict = issuer_new(&config, f.db, f.ring);
    f.service.users = strict;
    ck_assert_int_eq(verdict_on(bearer), 200);
    ck_assert_int_eq(verdict_on_claim("iss", "\"mender\""), 200);
    ck_assert_int_eq(verdict_on_claim("iss", "\"Mender\""), 401);
    ck_assert_int_eq(verdict_on_claim("iss", "\"mender.useradm \""), 401);
    ck_assert_int_eq(verdict_on_claim("iss", "\"mender.useradm.evil\""), 401);
    ck_assert_int_eq(verdict_on_claim("iss", "\"mende\""), 401);
    f.service.users = f.issuer;
    issuer_free(&strict);
}
END_TEST

/* The same claims and kid, signed by the key of another installation. */
START_TEST(a_token_of_another_key_ring_is_refused)
{
    struct fixture other;
    fixture_init(&other, 0);
    AUTO(mem_free) char *own = json_dumps(claims, JSON_COMPACT);
    AUTO(mem_free) char *foreign = fixture_forge(&other, own);
    ck_assert_int_eq(strncmp(foreign, bearer, strcspn(bearer, ".")), 0);
    ck_assert_int_eq(verdict_on(foreign), 401);
    ck_assert_int_eq(verdict_on(bearer), 200);
    ck_assert_int_eq(verdict_on(foreign), 401);
    fixture_release(&other);
}
END_TEST

/* keys */

static const char *const kids[] = {"1.9", "1.0", "1e300", "2", "\"01\"", "-1", "true", "4294967297", NULL};

START_TEST(a_kid_is_exact_or_refused_on_every_route)
{
    AUTO(mem_free) char *own = json_dumps(claims, JSON_COMPACT);
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(f.ring);
    AUTO(mem_free)
    char *header =
        kids[_i] == NULL ? mem_strdup("{\"alg\":\"ES256\"}") : mem_printf("{\"alg\":\"ES256\",\"kid\":%s}", kids[_i]);
    AUTO(mem_free) char *token = forge_token(keyset_signing(view.set), header, own);
    AUTO(mem_free) char *authorization = mem_printf("Bearer %s", token);
    ck_assert_int_eq(verdict_on(authorization), 401);
    expect_me(authorization, 401);
    AUTO(fixture_free) struct call *logout = fixture_call(&f, "POST", LOGOUT);
    logout->header[CALL_AUTHORIZATION] = authorization;
    ck_assert_int_eq(fixture_run(logout), 401); /* the original: 500 */
    ck_assert_int_eq(verdict_on(bearer), 200);
}
END_TEST

START_TEST(a_replaced_key_ends_its_tokens_and_memory_knows)
{
    ck_assert_int_eq(verdict_on(bearer), 200);
    fixture_add_key(&f, "es256", 1);
    ck_assert_int_eq(verdict_on(bearer), 401);
    AUTO(mem_free) char *newer = fixture_login(&f);
    ck_assert_int_eq(verdict_on(newer), 200);
}
END_TEST

/* Behind a gateway as without one: a forged signature is never good for what the gateway relies on. */
START_TEST(verify_and_logout_believe_no_signature_unseen)
{
    AUTO(mem_free) char *forged = mem_strdup(bearer);
    char *first = strrchr(forged, '.') + 1;
    *first = *first == 'A' ? 'B' : 'A';
    f.service.trust_gateway = _i == 1;
    ck_assert_int_eq(verdict_on(forged), 401);
    AUTO(fixture_free) struct call *logout = fixture_call(&f, "POST", LOGOUT);
    logout->header[CALL_AUTHORIZATION] = forged;
    ck_assert_int_eq(fixture_run(logout), 401);
    expect_me(forged, f.service.trust_gateway ? 200 : 401);
    ck_assert_int_eq(verdict_on(bearer), 200);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("verify");
    TCase *tc = tcase_create("hostile tokens");
    tcase_add_checked_fixture(tc, sign_in, sign_out);
    tcase_add_loop_test(tc, a_claim_that_is_there_twice_is_refused_in_any_spelling, 0, COUNT(twice));
    tcase_add_test(tc, a_payload_that_is_not_one_object_is_refused);
    tcase_add_test(tc, a_token_over_the_cap_is_refused);
    tcase_add_loop_test(tc, times_are_exact_integers_on_the_right_side_of_now, 0, COUNT(times));
    tcase_add_test(tc, a_jumping_clock_finds_no_stale_answer_in_memory);
    tcase_add_test(tc, a_revoked_token_stays_dead_wherever_the_clock_jumps);
    tcase_add_loop_test(tc, a_logout_kills_every_spelling_of_the_token, 0, 3);
    tcase_add_loop_test(tc, a_token_of_another_kind_tenant_user_or_session_is_refused, 0, COUNT(crossed));
    tcase_add_test(tc, a_device_token_is_no_users_token);
    tcase_add_test(tc, only_an_accepted_issuer_counts_also_from_memory);
    tcase_add_test(tc, a_token_of_another_key_ring_is_refused);
    tcase_add_loop_test(tc, a_kid_is_exact_or_refused_on_every_route, 0, COUNT(kids));
    tcase_add_test(tc, a_replaced_key_ends_its_tokens_and_memory_knows);
    tcase_add_loop_test(tc, verify_and_logout_believe_no_signature_unseen, 0, 2);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
