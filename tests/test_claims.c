/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "auth/claims.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

static char why[CLAIMS_WHY_SIZE];

static enum err parse(const char *payload, struct claims *out)
{
    return claims_parse(payload, strlen(payload), why, out);
}

/* Parse {"member": value} that must be good. */
static struct claims parsed(const char *payload)
{
    struct claims claims = {0};
    enum err e = parse(payload, &claims);
    ck_assert_msg(e == ERR_OK, "%s: %s", payload, why);
    return claims;
}

static struct claims good(void)
{
    return (struct claims){.jti = "j",
                           .sub = "s",
                           .iss = "i",
                           .scp = CLAIMS_SCOPE_USER,
                           .exp = 2000,
                           .iat = 1000,
                           .nbf = 1000,
                           .is_user = true};
}

START_TEST(reads_every_claim)
{
    struct claims c = parsed(
        "{\"jti\":\"j\",\"sub\":\"s\",\"exp\":5738457000,\"iat\":2,\"mender.tenant\":\"t\",\"mender.user\":true,"
        "\"iss\":\"i\",\"scp\":\"mender.*\",\"nbf\":-3,\"mender.device\":false,\"mender.plan\":\"os\","
        "\"mender.trial\":false,\"mender.addons\":[{\"name\":\"x\",\"enabled\":true},{}],\"more\":{\"a\":[1.5]}}");
    ck_assert_str_eq(c.jti, "j");
    ck_assert_str_eq(c.sub, "s");
    ck_assert_str_eq(c.tenant, "t");
    ck_assert_str_eq(c.iss, "i");
    ck_assert_str_eq(c.scp, "mender.*");
    ck_assert_int_eq(c.exp, INT64_C(5738457000));
    ck_assert_int_eq(c.iat, 2);
    ck_assert_int_eq(c.nbf, -3);
    ck_assert(c.is_user);
    ck_assert(!c.is_device);
}
END_TEST

START_TEST(absent_claims_are_empty_and_unbounded)
{
    struct claims c = parsed("{}");
    ck_assert_str_eq(c.sub, "");
    ck_assert_int_eq(c.exp, CLAIMS_NO_EXPIRY);
    ck_assert_int_eq(c.iat, INT64_MIN);
    ck_assert_int_eq(c.nbf, INT64_MIN);
    ck_assert(!c.is_user);
}
END_TEST

START_TEST(an_audience_is_a_string_or_a_list)
{
    parsed("{\"aud\":\"a\"}");
    parsed("{\"aud\":[\"a\",\"b\"]}");
    parsed("{\"aud\":[]}");
}
END_TEST

static const struct {
    const char *payload;
    const char *names; /* a part of why */
} wrong[] = {
    {"", "JSON"},
    {"null", "JSON"},
    {"[]", "JSON"},
    {"{} {}", "JSON"},
    {"{\"sub\":\"a\",\"sub\":\"b\"}", "JSON"},
    {"{\"sub\":\"a\",\"\\u0073ub\":\"b\"}", "JSON"},
    {"{\"sub\":\"a\\u0000b\"}", "JSON"},
    {"{\"sub\":\"\xff\"}", "JSON"},
    {"{\"exp\":9223372036854775808}", "JSON"},
    {"{\"exp\":1e400}", "JSON"},
    {"{\"exp\":1e3}", "exp"},
    {"{\"exp\":1.0}", "exp"},
    {"{\"exp\":\"1\"}", "exp"},
    {"{\"exp\":null}", "exp"},
    {"{\"iat\":true}", "iat"},
    {"{\"nbf\":[]}", "nbf"},
    {"{\"jti\":1}", "jti"},
    {"{\"sub\":1}", "sub"},
    {"{\"iss\":{}}", "iss"},
    {"{\"scp\":[\"mender.*\"]}", "scp"},
    {"{\"mender.tenant\":false}", "mender.tenant"},
    {"{\"mender.user\":1}", "mender.user"},
    {"{\"mender.user\":\"true\"}", "mender.user"},
    {"{\"mender.device\":null}", "mender.device"},
    {"{\"mender.plan\":1}", "mender.plan"},
    {"{\"mender.trial\":\"\"}", "mender.trial"},
    {"{\"mender.addons\":{}}", "mender.addons"},
    {"{\"mender.addons\":[1]}", "mender.addons"},
    {"{\"mender.addons\":[{\"name\":1}]}", "mender.addons"},
    {"{\"mender.addons\":[{\"name\":\"\",\"enabled\":0}]}", "mender.addons"},
    {"{\"aud\":1}", "aud"},
    {"{\"aud\":[1]}", "aud"},
};

START_TEST(refuses_wrong_types)
{
    struct claims c = good();
    ck_err(parse(wrong[_i].payload, &c), ERR_TOKEN_JSON);
    ck_assert_msg(strstr(why, wrong[_i].names) != NULL, "%s: %s", wrong[_i].payload, why);
    ck_assert_str_eq(c.sub, "s");
}
END_TEST

START_TEST(refuses_text_that_does_not_fit)
{
    char text[CLAIMS_TEXT_SIZE + 1] = "";
    memset(text, 'x', CLAIMS_TEXT_SIZE - 1);
    AUTO(mem_free) char *fits = mem_printf("{\"sub\":\"%s\",\"iss\":\"%s\"}", text, text);
    ck_assert_str_eq(parsed(fits).sub, text);
    AUTO(mem_free) char *too_long = mem_printf("{\"sub\":\"%sx\"}", text);
    struct claims c;
    ck_err(parse(too_long, &c), ERR_TOKEN_JSON);
    ck_assert_ptr_nonnull(strstr(why, "sub"));
    AUTO(mem_free) char *issuer = mem_printf("{\"iss\":\"%s%sxx\"}", text, text);
    ck_err(parse(issuer, &c), ERR_TOKEN_JSON);
}
END_TEST

START_TEST(expires_at_the_second_of_exp)
{
    struct claims c = good();
    ck_ok(claims_check(&c, 1999, 0));
    ck_err(claims_check(&c, 2000, 0), ERR_TOKEN_INVALID);
    ck_ok(claims_check(&c, 2059, 60));
    ck_err(claims_check(&c, 2060, 60), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(a_token_of_the_future_is_refused)
{
    struct claims c = good();
    c.nbf = 1501;
    ck_err(claims_check(&c, 1500, 0), ERR_TOKEN_INVALID);
    ck_ok(claims_check(&c, 1500, 1));
    ck_ok(claims_check(&c, 1501, 0));
    c = good();
    c.iat = 1501;
    ck_err(claims_check(&c, 1500, 0), ERR_TOKEN_INVALID);
    ck_ok(claims_check(&c, 1500, 1));
    c.nbf = c.iat = INT64_MIN;
    ck_ok(claims_check(&c, 1500, 0));
}
END_TEST

START_TEST(hostile_times_do_not_wrap)
{
    struct claims c = good();
    c.exp = INT64_MIN;
    ck_err(claims_check(&c, 1500, 300), ERR_TOKEN_INVALID);
    c.exp = -1;
    ck_err(claims_check(&c, 1500, 300), ERR_TOKEN_INVALID);
    c.exp = INT64_MAX - 1;
    ck_ok(claims_check(&c, 1500, 300));
    c.nbf = INT64_MAX;
    ck_err(claims_check(&c, 1500, 300), ERR_TOKEN_INVALID);
    c = good();
    c.exp = CLAIMS_NO_EXPIRY;
    ck_ok(claims_check(&c, INT64_MAX, 300));
}
END_TEST

START_TEST(needs_jti_sub_and_iss)
{
    static const size_t needed[] = {
        offsetof(struct claims, jti),
        offsetof(struct claims, sub),
        offsetof(struct claims, iss),
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct claims c = good();
        ((char *)&c)[needed[i]] = '\0';
        ck_err(claims_check(&c, 1500, 0), ERR_TOKEN_INVALID);
    }
}
END_TEST

START_TEST(writes_in_the_order_of_the_contract)
{
    struct claims c = good();
    c.tenant[0] = 't';
    AUTO(mem_free) char *text = claims_write(&c, NULL);
    ck_assert_str_eq(
        text, "{\"jti\":\"j\",\"sub\":\"s\",\"exp\":2000,\"iat\":1000,\"mender.tenant\":\"t\",\"mender.user\":true,"
              "\"iss\":\"i\",\"scp\":\"mender.*\",\"nbf\":1000}");
}
END_TEST

START_TEST(leaves_out_what_is_absent)
{
    struct claims c = {.sub = "s", .exp = CLAIMS_NO_EXPIRY, .iat = 0, .nbf = INT64_MIN, .is_device = true};
    AUTO(mem_free) char *text = claims_write(&c, NULL);
    ck_assert_str_eq(text, "{\"sub\":\"s\",\"iat\":0,\"mender.device\":true}");
}
END_TEST

START_TEST(a_device_token_tells_of_its_tenant)
{
    struct claims c = {
        .jti = "a", .sub = "d", .exp = 2000, .iat = 1000, .nbf = 1000, .iss = "Mender", .is_device = true};
    AUTO(json_release) json_t *addons = json_pack("[{s:s, s:b}]", "name", "configure", "enabled", 1);
    AUTO(mem_free) char *text = claims_write(&c, &(struct claims_plan){.plan = "enterprise", .addons = addons});
    ck_assert_str_eq(text,
                     "{\"jti\":\"a\",\"sub\":\"d\",\"exp\":2000,\"iat\":1000,\"mender.device\":true,"
                     "\"mender.plan\":\"enterprise\",\"mender.addons\":[{\"name\":\"configure\",\"enabled\":true}],"
                     "\"mender.trial\":false,\"iss\":\"Mender\",\"nbf\":1000}");
}
END_TEST

START_TEST(what_it_writes_it_reads)
{
    struct claims c = good();
    snprintf(c.sub, sizeof c.sub, "%s", "a\"b\\c\n\x01</é");
    AUTO(mem_free) char *text = claims_write(&c, NULL);
    struct claims back = parsed(text);
    ck_assert_str_eq(back.sub, c.sub);
    ck_assert_int_eq(back.exp, c.exp);
    ck_assert(back.is_user);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("claims");
    TCase *tc = tcase_create("claims");
    suite_add_tcase(s, tc);
    tcase_add_test(tc, reads_every_claim);
    tcase_add_test(tc, absent_claims_are_empty_and_unbounded);
    tcase_add_test(tc, an_audience_is_a_string_or_a_list);
    tcase_add_loop_test(tc, refuses_wrong_types, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, refuses_text_that_does_not_fit);
    tcase_add_test(tc, expires_at_the_second_of_exp);
    tcase_add_test(tc, a_token_of_the_future_is_refused);
    tcase_add_test(tc, hostile_times_do_not_wrap);
    tcase_add_test(tc, needs_jti_sub_and_iss);
    tcase_add_test(tc, writes_in_the_order_of_the_contract);
    tcase_add_test(tc, leaves_out_what_is_absent);
    tcase_add_test(tc, a_device_token_tells_of_its_tenant);
    tcase_add_test(tc, what_it_writes_it_reads);
    return s;
}

int main(void)
{
    return support_main(suite());
}
