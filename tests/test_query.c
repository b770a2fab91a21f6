/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/query.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

START_TEST(pairs_come_decoded_and_in_order)
{
    struct call c = {.query = "id=a&id=b%2Fc&email=x+y%40z&&flag&empty=&=v"};
    AUTO(query_release) struct query query = {0};
    ck_ok(query_parse(&c, &query));
    static const char *const pairs[][2] = {{"id", "a"},  {"id", "b/c"}, {"email", "x y@z"},
                                           {"flag", ""}, {"empty", ""}, {"", "v"}};
    ck_assert_uint_eq(query.n, sizeof pairs / sizeof *pairs);
    for (size_t i = 0; i < query.n; i++) {
        ck_assert_str_eq(query.pair[i].name, pairs[i][0]);
        ck_assert_str_eq(query.pair[i].value, pairs[i][1]);
    }
    ck_assert_str_eq(query_value(&query, "id"), "a");
    ck_assert_ptr_null(query_value(&query, "missing"));
}
END_TEST

START_TEST(no_query_is_no_pairs)
{
    struct call c = {.query = ""};
    AUTO(query_release) struct query query = {0};
    ck_ok(query_parse(&c, &query));
    ck_assert_uint_eq(query.n, 0);
}
END_TEST

START_TEST(a_wrong_escape_is_named)
{
    static const struct {
        const char *query;
        const char *escape;
    } cases[] = {{"a=%zz1", "%zz"}, {"a=b&%4", "%4"}, {"a=%", "%"}, {"a=%00", "%00"}, {"%g0=a", "%g0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call c = {.query = cases[i].query};
        struct query query = {0};
        ck_err(query_parse(&c, &query), ERR_BAD_REQUEST);
        AUTO(mem_free) char *why = mem_printf("api: bad form parameters: invalid URL escape \"%s\"", cases[i].escape);
        ck_assert_str_eq(c.why, why);
        ck_assert_uint_eq(query.n, 0);
        call_release(&c);
    }
}
END_TEST

START_TEST(a_segment_keeps_its_plus)
{
    AUTO(mem_free) char *plain = query_decode_segment("a+b%2Bc/rest", 7);
    ck_assert_str_eq(plain, "a+b+c");
}
END_TEST

START_TEST(a_wrong_segment_is_nothing)
{
    ck_assert_ptr_null(query_decode_segment("%0", 2));
    ck_assert_ptr_null(query_decode_segment("a%00", 4));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("query");
    TCase *tc = tcase_create("query");
    tcase_add_test(tc, pairs_come_decoded_and_in_order);
    tcase_add_test(tc, no_query_is_no_pairs);
    tcase_add_test(tc, a_wrong_escape_is_named);
    tcase_add_test(tc, a_segment_keeps_its_plus);
    tcase_add_test(tc, a_wrong_segment_is_nothing);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
