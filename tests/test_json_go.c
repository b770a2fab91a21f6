/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json_go.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

static const struct {
    double number;
    const char *text;
} numbers[] = {
    {0, "0"},
    {-0.0, "-0"},
    {1, "1"},
    {-1.5, "-1.5"},
    {10, "10"},
    {1e20, "100000000000000000000"},
    {1e21, "1e+21"},
    {-1e21, "-1e+21"},
    {999999999999999868928.0, "999999999999999900000"},
    {0.000001, "0.000001"},
    {0.00000099999999999999995, "0.000001"},
    {0.0000009, "9e-7"},
    {1.5e-10, "1.5e-10"},
    {1e100, "1e+100"},
    {0.1, "0.1"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {123456789.125, "123456789.125"},
    {9007199254740992.0, "9007199254740992"},
    {0x1p63, "9223372036854776000"},
    {0x1p-44, "5.684341886080802e-14"},     /* the nearest text of 16 digits reads back as another number */
    {0x1p-1022, "2.2250738585072014e-308"}, /* the smallest that is not tiny */
    {DBL_MAX, "1.7976931348623157e+308"},
    {0x1p-1074, "5e-324"},
    {0x1p-1073, "1e-323"},
    {0x0.fffffffffffffp-1022, "2.225073858507201e-308"},
    {123456789012345.125, "123456789012345.12"}, /* half way: to the even digit */
    {123456789012345.375, "123456789012345.38"},
};

START_TEST(writes_the_shortest_number)
{
    char text[JSON_GO_NUMBER_SIZE];
    size_t len = json_go_number(numbers[_i].number, text);
    ck_assert_str_eq(text, numbers[_i].text);
    ck_assert_uint_eq(len, strlen(text));
}
END_TEST

START_TEST(numbers_read_back)
{
    uint64_t bits = 1;
    for (int i = 0; i < support_times(100000, 2000); i++) {
        char text[JSON_GO_NUMBER_SIZE];
        double number = 0;
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t mixed = bits ^ bits >> 32;
        memcpy(&number, &mixed, sizeof number);
        if (!isfinite(number))
            continue;
        ck_assert_uint_lt(json_go_number(number, text), sizeof text);
        ck_assert_msg(strtod(text, NULL) == number, "%a became %s", number, text);
    }
}
END_TEST

static enum err load(const char *text, json_t **out)
{
    char why[JSON_SCAN_WHY_SIZE];
    struct json_span value;
    ck_ok(json_scan_check(text, strlen(text), why, &value));
    return json_go_load(value, why, out);
}

START_TEST(sorts_members_or_leaves_them)
{
    AUTO(json_release) json_t *json = NULL;
    ck_ok(load("{\"b\":[{\"d\":1,\"c\":2}],\"a\":{}}", &json));
    AUTO(mem_free) char *sorted = json_go_dump(json, JSON_GO_SORTED, NULL);
    AUTO(mem_free) char *as_is = json_go_dump(json, JSON_GO_AS_IS, NULL);
    ck_assert_str_eq(sorted, "{\"a\":{},\"b\":[{\"c\":2,\"d\":1}]}");
    ck_assert_str_eq(as_is, "{\"b\":[{\"d\":1,\"c\":2}],\"a\":{}}");
}
END_TEST

START_TEST(keeps_nul_in_names_and_strings)
{
    AUTO(json_release) json_t *json = NULL;
    size_t len = 0;
    ck_ok(load("{\"a\\u0000b\":\"c\\u0000d\",\"a\":1}", &json));
    ck_assert_uint_eq(json_object_size(json), 2);
    AUTO(mem_free) char *text = json_go_dump(json, JSON_GO_SORTED, &len);
    ck_assert_str_eq(text, "{\"a\":1,\"a\\u0000b\":\"c\\u0000d\"}");
    ck_assert_uint_eq(len, strlen(text));
}
END_TEST

START_TEST(writes_integers_of_64_bits_whole)
{
    AUTO(json_release) json_t *json = json_pack("[I,I,f]", INT64_MAX, INT64_MIN, 0.1);
    AUTO(mem_free) char *text = json_wire(json);
    ck_assert_str_eq(text, "[9223372036854775807,-9223372036854775808,0.1]");
}
END_TEST

START_TEST(refuses_numbers_that_no_double_holds)
{
    json_t *json = NULL;
    ck_err(load("1e309", &json), ERR_JSON);
    ck_err(load("[-1e999999999999]", &json), ERR_JSON);
    ck_assert_ptr_null(json);
    AUTO(mem_free) char *digits = mem_calloc(100001, 1);
    memset(digits, '9', 100000);
    ck_err(load(digits, &json), ERR_JSON);
    memcpy(digits, "0.", 2);
    ck_ok(load(digits, &json));
    ck_assert(json_real_value(json) == 1);
    json_release(&json);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("json_go");
    TCase *tc = tcase_create("json_go");
    tcase_add_loop_test(tc, writes_the_shortest_number, 0, (int)(sizeof numbers / sizeof *numbers));
    tcase_add_test(tc, numbers_read_back);
    tcase_add_test(tc, sorts_members_or_leaves_them);
    tcase_add_test(tc, keeps_nul_in_names_and_strings);
    tcase_add_test(tc, writes_integers_of_64_bits_whole);
    tcase_add_test(tc, refuses_numbers_that_no_double_holds);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
