/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

static enum err strict(const char *text)
{
    AUTO(json_release) json_t *json = NULL;
    return json_parse_strict(text, strlen(text), &json);
}

static enum err body(const char *text, char why[JSON_WHY_SIZE], json_t **out)
{
    return json_parse_body(text, strlen(text), why, out);
}

START_TEST(strict_takes_one_object)
{
    ck_ok(strict("{\"a\":1}"));
    ck_ok(strict(" {} "));
}
END_TEST

START_TEST(strict_refuses_what_tokens_must_not_carry)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "\"a\"",
        "1",
        "{",
        "{} {}",
        "{}x",
        "{\"a\":1,\"a\":2}",
        "{\"alg\":1,\"al\\u0067\":2}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xff\"}",
        "\xef\xbb\xbf{}",
        "{\"a\":9223372036854775808}",
        "{'a':1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_err(strict(bad[i]), ERR_JSON);
    AUTO(json_release) json_t *json = NULL;
    ck_err(json_parse_strict("{\"a\":\0001}", 8, &json), ERR_JSON);
    ck_assert_ptr_null(json);
}
END_TEST

START_TEST(a_body_is_its_first_value)
{
    char why[JSON_WHY_SIZE];
    AUTO(json_release) json_t *json = NULL;
    ck_ok(body("{\"a\":1} trailing", why, &json));
    ck_assert_int_eq(json_integer_value(json_object_get(json, "a")), 1);
    AUTO(json_release) json_t *none = NULL;
    ck_ok(body("null", why, &none));
    ck_assert_uint_eq(json_object_size(none), 0);
}
END_TEST

START_TEST(a_bad_body_is_explained)
{
    char why[JSON_WHY_SIZE];
    json_t *json = NULL;
    ck_err(body("", why, &json), ERR_JSON);
    ck_assert_str_eq(why, "EOF");
    ck_err(body(" \n", why, &json), ERR_JSON);
    ck_assert_str_eq(why, "EOF");
    ck_err(body("[1]", why, &json), ERR_JSON);
    ck_assert_str_eq(why, "json: cannot unmarshal array into an object");
    ck_err(body("dummy", why, &json), ERR_JSON);
    ck_assert_ptr_nonnull(strstr(why, "byte"));
    ck_assert_ptr_null(json);
}
END_TEST

START_TEST(members_are_found_in_any_case_exact_first)
{
    char why[JSON_WHY_SIZE];
    AUTO(json_release) json_t *json = NULL;
    ck_ok(body("{\"EMAIL\":\"a\",\"Name\":\"b\",\"name\":\"c\",\"gone\":null}", why, &json));
    ck_assert_str_eq(json_string_value(json_member(json, "email")), "a");
    ck_assert_str_eq(json_string_value(json_member(json, "name")), "c");
    ck_assert_ptr_null(json_member(json, "gone"));
    ck_assert_ptr_null(json_member(json, "missing"));
}
END_TEST

START_TEST(only_utf8_is_text)
{
    static const char *const good[] = {"", "plain", "\xc3\xa9", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\xff",             /* no byte of it */
        "a\x80",            /* goes on with nothing before it */
        "\xc3",             /* ends too early */
        "\xc3(",            /* does not go on */
        "\xc0\xaf",         /* "/" in more bytes than it needs */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* behind U+10FFFF */
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(json_is_utf8(good[i]), "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!json_is_utf8(bad[i]), "bad %zu", i);
}
END_TEST

START_TEST(output_escapes_what_is_unsafe_in_html)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"plain", "{\"v\":\"plain\"}"},
        {"<a&b>", "{\"v\":\"\\u003ca\\u0026b\\u003e\"}"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "{\"v\":\"\\u2028\\u2029\"}"},
        {"\xe2\x82\xac <", "{\"v\":\"\xe2\x82\xac \\u003c\"}"},
        {"q\"\\/", "{\"v\":\"q\\\"\\\\/\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(json_release) json_t *json = json_pack("{s:s}", "v", cases[i].in);
        AUTO(mem_free) char *text = json_wire(json);
        ck_assert_str_eq(text, cases[i].out);
    }
}
END_TEST

START_TEST(times_are_utc_with_the_milliseconds_that_count)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {1763715905120, "{\"t\":\"2025-11-21T09:05:05.12Z\"}"},  {1763715905000, "{\"t\":\"2025-11-21T09:05:05Z\"}"},
        {1763715905001, "{\"t\":\"2025-11-21T09:05:05.001Z\"}"}, {1763715905900, "{\"t\":\"2025-11-21T09:05:05.9Z\"}"},
        {5738457600000, "{\"t\":\"2151-11-05T08:00:00Z\"}"}, /* beyond 32 bits */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(json_release) json_t *json = json_object();
        json_set_time(json, "t", cases[i].ms);
        AUTO(mem_free) char *text = json_wire(json);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_add_test(tc, strict_takes_one_object);
    tcase_add_test(tc, strict_refuses_what_tokens_must_not_carry);
    tcase_add_test(tc, a_body_is_its_first_value);
    tcase_add_test(tc, a_bad_body_is_explained);
    tcase_add_test(tc, members_are_found_in_any_case_exact_first);
    tcase_add_test(tc, only_utf8_is_text);
    tcase_add_test(tc, output_escapes_what_is_unsafe_in_html);
    tcase_add_test(tc, times_are_utc_with_the_milliseconds_that_count);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
