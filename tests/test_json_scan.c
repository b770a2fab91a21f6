/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json_scan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

/* What json_scan_check() refuses, and in which words, is in tests/test_iddata.c. */

static struct json_span checked(const char *text)
{
    char why[JSON_SCAN_WHY_SIZE] = "";
    struct json_span span = {NULL, 0};
    enum err e = json_scan_check(text, strlen(text), why, &span);
    ck_assert_msg(e == ERR_OK, "%s: %s", text, why);
    return span;
}

static void expect_span(struct json_span span, const char *want)
{
    ck_assert_msg(span.len == strlen(want) && memcmp(span.at, want, span.len) == 0, "%.*s, not %s", (int)span.len,
                  span.at, want);
}

START_TEST(cuts_white_space_off)
{
    expect_span(checked(" \t\r\n1e5 \n"), "1e5");
    expect_span(checked("[ 1 , \"] \" ]\n"), "[ 1 , \"] \" ]");
}
END_TEST

static const struct {
    const char *text;
    const char *value; /* NULL: refused */
    const char *why;
} bodies[] = {
    {" {\"a\":[1]} x", "{\"a\":[1]}", ""},
    {"{}{", "{}", ""},
    {"7,", "7", ""},
    {"null", "null", ""},
    {"", NULL, "EOF"},
    {" \n", NULL, "EOF"},
    {"{\"a\":", NULL, "unexpected EOF"},
    {"{", NULL, "unexpected EOF"},
    {"tru", NULL, "unexpected EOF"},
    {"\"a\\u1", NULL, "unexpected EOF"},
    {"-", NULL, "unexpected EOF"},
    {"x", NULL, "invalid character 'x' looking for beginning of value"},
    {"{\"a\" 1}", NULL, "invalid character '1' after object key"},
};

START_TEST(takes_the_first_value_of_a_body)
{
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char why[JSON_SCAN_WHY_SIZE] = "";
        struct json_span value = {NULL, 0};
        enum err e = json_scan_first(bodies[i].text, strlen(bodies[i].text), why, &value);
        ck_assert_int_eq(e == ERR_OK, bodies[i].value != NULL);
        ck_assert_str_eq(why, bodies[i].why);
        if (e == ERR_OK)
            expect_span(value, bodies[i].value);
    }
}
END_TEST

START_TEST(tells_kinds_apart)
{
    static const struct {
        const char *text;
        enum json_scan_kind kind;
        const char *word;
    } kinds[] = {
        {"null", JSON_SCAN_NULL, "null"},   {"true", JSON_SCAN_BOOL, "bool"},
        {"false", JSON_SCAN_BOOL, "bool"},  {"0", JSON_SCAN_NUMBER, "number"},
        {"-1", JSON_SCAN_NUMBER, "number"}, {"\"\"", JSON_SCAN_STRING, "string"},
        {"[{}]", JSON_SCAN_ARRAY, "array"}, {"{\"a\":[]}", JSON_SCAN_OBJECT, "object"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct json_span value = checked(kinds[i].text);
        ck_assert_int_eq(json_scan_kind(value), kinds[i].kind);
        ck_assert_str_eq(json_scan_word(value), kinds[i].word);
    }
}
END_TEST

START_TEST(cuts_tokens)
{
    static const char *const want[] = {"{", "\"a\\\\\"", ":",         "[", "-1.5e3", ",", "true",
                                       "]", ",",         "\"\\\"}\"", ":", "null",   "}", ""};
    struct json_span rest = checked(" { \"a\\\\\" :[-1.5e3 , true],\"\\\"}\":null}");
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        expect_span(json_scan_token(&rest), want[i]);
    expect_span(json_scan_token(&rest), "");
}
END_TEST

START_TEST(walks_members)
{
    struct json_span rest = checked("{ \"a\" : {\"x\":[1,{\"]\":\"}\"}]} , \"b\":2,\"c\":[]\n}");
    struct json_span name, value;
    ck_assert(json_scan_member(&rest, &name, &value));
    expect_span(name, "\"a\"");
    expect_span(value, "{\"x\":[1,{\"]\":\"}\"}]}");
    ck_assert(json_scan_member(&rest, &name, &value));
    expect_span(name, "\"b\"");
    expect_span(value, "2");
    ck_assert(json_scan_member(&rest, &name, &value));
    expect_span(value, "[]");
    ck_assert(!json_scan_member(&rest, &name, &value));
    rest = checked("{ }");
    ck_assert(!json_scan_member(&rest, &name, &value));
}
END_TEST

START_TEST(resolves_escapes)
{
    size_t len = 0;
    AUTO(mem_free)
    char *text = json_scan_string(checked("\"\\u0041\\n\\/\\\"\\\\\\u0000\\ud83d\\ude00\\udc00x\xff\""), &len);
    static const char want[] = "A\n/\"\\\0\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd";
    ck_assert_uint_eq(len, sizeof want - 1);
    ck_assert_mem_eq(text, want, sizeof want);
}
END_TEST

START_TEST(finds_fields_in_any_case)
{
    ck_assert(json_scan_is_field(checked("\"pubkey\""), "pubkey"));
    ck_assert(json_scan_is_field(checked("\"PubKEY\""), "pubkey"));
    ck_assert(json_scan_is_field(checked("\"\\u0070ub\\u212Aey\""), "pubkey"));
    ck_assert(json_scan_is_field(checked("\"\xc5\xbftatu\xc5\xbf\""), "status"));
    ck_assert(!json_scan_is_field(checked("\"pubke\""), "pubkey"));
    ck_assert(!json_scan_is_field(checked("\"pubkeys\""), "pubkey"));
    ck_assert(!json_scan_is_field(checked("\"pubkey\\u0000\""), "pubkey"));
    ck_assert(!json_scan_is_field(checked("\"\""), "pubkey"));
    ck_assert(!json_scan_is_field(checked("\"id\\u007fdata\""), "id_data"));
    ck_assert(!json_scan_is_field(checked("\"id?data\""), "id_data"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("json_scan");
    TCase *tc = tcase_create("json_scan");
    tcase_add_test(tc, cuts_white_space_off);
    tcase_add_test(tc, takes_the_first_value_of_a_body);
    tcase_add_test(tc, tells_kinds_apart);
    tcase_add_test(tc, cuts_tokens);
    tcase_add_test(tc, walks_members);
    tcase_add_test(tc, resolves_escapes);
    tcase_add_test(tc, finds_fields_in_any_case);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
