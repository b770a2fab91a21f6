/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/extjson.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

#define UUID "9cfa9a52-6a26-4d4c-8d5e-0f1c2b3a4d5e"
#define BASE64 "nPqaUmomTUyNXg8cKzpNXg=="

static json_t *value_of(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    ck_assert_msg(json != NULL, "%s: %s", text, error.text);
    return json;
}

static void check_plain(const char *text, const char *want)
{
    AUTO(json_release) json_t *value = value_of(text);
    AUTO(json_release) json_t *plain = NULL;
    ck_err(extjson_plain(value, &plain), want != NULL ? ERR_OK : ERR_JSON);
    if (want == NULL) {
        ck_assert_msg(plain == NULL, "%s", text);
        return;
    }
    AUTO(mem_free) char *got = json_dumps(plain, JSON_COMPACT | JSON_ENCODE_ANY);
    ck_assert_msg(strcmp(got, want) == 0, "%s gave %s, not %s", text, got, want);
}

static void check_time(const char *text, int64_t want)
{
    AUTO(json_release) json_t *value = value_of(text);
    int64_t ms = -1;
    ck_assert_msg(extjson_time(value, &ms), "%s", text);
    ck_assert_msg(ms == want, "%s gave %lld", text, (long long)ms);
}

static void check_int(const char *text, int64_t want)
{
    AUTO(json_release) json_t *value = value_of(text);
    int64_t n = -1;
    ck_assert_msg(extjson_int(value, &n), "%s", text);
    ck_assert_msg(n == want, "%s gave %lld", text, (long long)n);
}

static void check_id(const char *text, const char *want)
{
    AUTO(json_release) json_t *value = value_of(text);
    AUTO(mem_free) char *id = extjson_id(value);
    ck_assert_msg(want == NULL ? id == NULL : id != NULL && strcmp(id, want) == 0, "%s gave %s", text, id);
}

START_TEST(a_document_is_one_object)
{
    static const char *const bad[] = {
        "", "[]", "1", "{", "{} {}", "{\"a\":1,\"a\":1}", "{\"a\":\"\xff\"}", "{\"a\":1e999}"};
    AUTO(json_release) json_t *document = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_err(extjson_parse(bad[i], strlen(bad[i]), &document), ERR_JSON);
    ck_err(extjson_parse("{\"a\":\0001}", 8, &document), ERR_JSON);
    ck_assert_ptr_null(document);
    ck_ok(extjson_parse("{\"a\":\"\\u0000\"} ", 15, &document));
}
END_TEST

START_TEST(depth_is_bounded)
{
    enum { DEPTH = 100000 };
    AUTO(mem_free) char *deep = mem_calloc(DEPTH * 5 + 1, 1);
    for (size_t i = 0; i < DEPTH; i++)
        memcpy(deep + i * 5, "{\"a\":", 5);
    AUTO(json_release) json_t *document = NULL;
    ck_err(extjson_parse(deep, strlen(deep), &document), ERR_JSON);
}
END_TEST

START_TEST(dates_in_all_forms)
{
    check_time("{\"$date\":\"1970-01-01T00:00:00Z\"}", 0);
    check_time("{\"$date\":\"2023-03-01T08:15:30.125Z\"}", 1677658530125);
    check_time("{\"$date\":\"2023-03-01T08:15:30.5Z\"}", 1677658530500);
    check_time("{\"$date\":\"2023-03-01T08:15:30.1259999Z\"}", 1677658530125);
    check_time("{\"$date\":\"2023-03-01T10:15:30.125+02:00\"}", 1677658530125);
    check_time("{\"$date\":\"2023-03-01T03:45:30.125-0430\"}", 1677658530125);
    check_time("{\"$date\":{\"$numberLong\":\"1677658530125\"}}", 1677658530125);
    check_time("{\"$date\":{\"$numberLong\":\"-62135596800000\"}}", -62135596800000);
    check_time("{\"$date\":1677658530125}", 1677658530125);
    check_time("{\"$date\":\"2024-02-29T23:59:59Z\"}", 1709251199000);
}
END_TEST

START_TEST(no_other_dates)
{
    static const char *const bad[] = {
        "1677658530125",
        "\"2023-03-01T08:15:30Z\"",
        "null",
        "[]",
        "{}",
        "{\"$date\":null}",
        "{\"$date\":\"\"}",
        "{\"$date\":\"2023-03-01\"}",
        "{\"$date\":\"2023-03-01T08:15:30\"}",
        "{\"$date\":\"2023-03-01T08:15:30.Z\"}",
        "{\"$date\":\"2023-03-01T08:15:30Z \"}",
        "{\"$date\":\"2023-03-01T08:15:30Z\\u0000\"}",
        "{\"$date\":\"2023-02-29T08:15:30Z\"}",
        "{\"$date\":\"2023-13-01T08:15:30Z\"}",
        "{\"$date\":\"2023-00-01T08:15:30Z\"}",
        "{\"$date\":\"2023-03-01T24:15:30Z\"}",
        "{\"$date\":\"2023-03-01T08:15:30+25:00\"}",
        "{\"$date\":\"2023-03-01T08:15:30+2\"}",
        "{\"$date\":{\"$numberLong\":\"\"}}",
        "{\"$date\":{\"$numberLong\":\"1 \"}}",
        "{\"$date\":{\"$numberLong\":\"9223372036854775807\"}}",
        "{\"$date\":{\"$numberLong\":\"-9223372036854775808\"}}",
        "{\"$date\":\"2023-03-01T08:15:30Z\",\"more\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO(json_release) json_t *value = value_of(bad[i]);
        int64_t ms = 7;
        ck_assert_msg(!extjson_time(value, &ms) && ms == 7, "%s", bad[i]);
    }
}
END_TEST

START_TEST(whole_numbers_in_all_forms)
{
    check_int("7", 7);
    check_int("7.0", 7);
    check_int("{\"$numberInt\":\"-7\"}", -7);
    check_int("{\"$numberLong\":\"9223372036854775807\"}", INT64_MAX);
    check_int("{\"$numberDouble\":\"5539.0\"}", 5539);
    check_int("{\"$numberDouble\":\"1e3\"}", 1000);
    static const char *const bad[] = {"7.5",
                                      "1e300",
                                      "\"7\"",
                                      "true",
                                      "null",
                                      "{\"$numberInt\":7}",
                                      "{\"$numberInt\":\"\"}",
                                      "{\"$numberInt\":\"-\"}",
                                      "{\"$numberInt\":\"+7\"}",
                                      "{\"$numberInt\":\" 7\"}",
                                      "{\"$numberInt\":\"0x7\"}",
                                      "{\"$numberLong\":\"9223372036854775808\"}",
                                      "{\"$numberDouble\":\"NaN\"}",
                                      "{\"$numberDouble\":\"Infinity\"}",
                                      "{\"$numberDouble\":\"1e999\"}",
                                      "{\"$numberDouble\":\"0x1p3\"}",
                                      "{\"$numberDouble\":\"\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO(json_release) json_t *value = value_of(bad[i]);
        int64_t n = 7;
        ck_assert_msg(!extjson_int(value, &n) && n == 7, "%s", bad[i]);
    }
}
END_TEST

START_TEST(ids_in_all_forms)
{
    check_id("\"Some Id\"", "Some Id");
    check_id("\"9CFA9A52-6a26-4d4c-8d5e-0f1c2b3a4d5e\"", "9CFA9A52-6a26-4d4c-8d5e-0f1c2b3a4d5e");
    check_id("{\"$uuid\":\"9CFA9A52-6a26-4d4c-8d5e-0f1c2b3a4d5e\"}", UUID);
    check_id("{\"$binary\":{\"base64\":\"" BASE64 "\",\"subType\":\"04\"}}", UUID);
    check_id("{\"$binary\":{\"base64\":\"" BASE64 "\",\"subType\":\"4\"}}", UUID);
    check_id("{\"$binary\":{\"subType\":\"03\",\"base64\":\"" BASE64 "\"}}", UUID);
    check_id("{\"$binary\":{\"base64\":\"" BASE64 "\",\"subType\":\"00\"}}", UUID);
    check_id("{\"$binary\":\"" BASE64 "\",\"$type\":\"04\"}", UUID);
    check_id("{\"$oid\":\"63FF0a5200000000000000aa\"}", "63ff0a5200000000000000aa");
    static const char *const bad[] = {
        "1",
        "null",
        "\"a\\u0000b\"",
        "{}",
        "{\"$uuid\":\"9cfa9a52\"}",
        "{\"$uuid\":7}",
        "{\"$oid\":\"63ff0a5200000000000000a\"}",
        "{\"$oid\":\"63ff0a5200000000000000ag\"}",
        "{\"$binary\":{\"base64\":\"" BASE64 "\",\"subType\":\"05\"}}",
        "{\"$binary\":{\"base64\":\"" BASE64 "\",\"subType\":\"\"}}",
        "{\"$binary\":{\"base64\":\"" BASE64 "\"}}",
        "{\"$binary\":{\"base64\":\"nPqaUg==\",\"subType\":\"04\"}}",
        "{\"$binary\":{\"base64\":\"nPqaUmomTUyNXg8cKzpNXg\",\"subType\":\"04\"}}",
        "{\"$binary\":{\"base64\":\"nPqaUmomTUyNXg8cKzpNXhAA\",\"subType\":\"04\"}}",
        "{\"$binary\":\"" BASE64 "\"}",
        "{\"$binary\":{\"base64\":\"" BASE64 "\",\"subType\":\"04\"},\"more\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_id(bad[i], NULL);
}
END_TEST

START_TEST(uuids_in_the_spellings_of_the_original)
{
    static const char *const good[] = {
        UUID, "9CFA9A526A264D4C8D5E0F1C2B3A4D5E", "{" UUID "}", ("urn:uuid:" UUID), ("URN:UUID:" UUID),
    };
    static const char *const bad[] = {
        "",
        "9cfa9a52-6a26-4d4c-8d5e-0f1c2b3a4d5",
        "9cfa9a526-a26-4d4c-8d5e-0f1c2b3a4d5e",
        "{9cfa9a526a264d4c8d5e0f1c2b3a4d5e}",
        "[" UUID "]",
        "urn:uuid:{" UUID "}",
        "urn:uuid:9cfa9a526a264d4c8d5e0f1c2b3a4d5e",
        "9cfa9a52-6a26-4d4c-8d5e-0f1c2b3a4d5g",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        AUTO(mem_free) char *uuid = extjson_uuid(good[i]);
        ck_assert_str_eq(uuid, UUID);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_ptr_null(extjson_uuid(bad[i]));
}
END_TEST

START_TEST(plain_json_of_both_dialects)
{
    check_plain("{\"b\":[1,{\"$numberInt\":\"2\"},{\"$numberDouble\":\"85.0\"},85.0,1.5,{\"$numberDouble\":\"0.5\"}],"
                "\"a\":null}",
                "{\"b\":[1,2,85,85,1.5,0.5],\"a\":null}");
    check_plain(
        "{\"at\":{\"$date\":{\"$numberLong\":\"1677658530125\"}},\"id\":{\"$oid\":\"63ff0a5200000000000000aa\"}}",
        "{\"at\":\"2023-03-01T08:15:30.125Z\",\"id\":\"63ff0a5200000000000000aa\"}");
    check_plain("[{\"$uuid\":\"" UUID "\"},{\"$binary\":{\"base64\":\"AAE=\",\"subType\":\"00\"}}]",
                "[\"" UUID "\",\"AAE=\"]");
    check_plain("{\"$set\":{\"$numberLong\":\"1\"}}", "{\"$set\":1}");
    check_plain("\"a\\u0000b\"", "\"a\\u0000b\"");
    check_plain("{\"$numberDouble\":\"1e17\"}", "1e17");
}
END_TEST

START_TEST(what_plain_json_cannot_hold_is_refused)
{
    check_plain("{\"a\":{\"$numberDouble\":\"NaN\"}}", NULL);
    check_plain("[{\"$numberDecimal\":\"1.1\"}]", NULL);
    check_plain("{\"$minKey\":1}", NULL);
    check_plain("{\"a\":{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"\"}}}", NULL);
    check_plain("{\"a\":{\"$date\":\"x\"}}", NULL);
    check_plain("{\"a\":{\"$oid\":\"x\"}}", NULL);
    check_plain("{\"a\":{\"$binary\":7}}", NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("extjson");
    TCase *tc = tcase_create("extjson");
    tcase_add_test(tc, a_document_is_one_object);
    tcase_add_test(tc, depth_is_bounded);
    tcase_add_test(tc, dates_in_all_forms);
    tcase_add_test(tc, no_other_dates);
    tcase_add_test(tc, whole_numbers_in_all_forms);
    tcase_add_test(tc, ids_in_all_forms);
    tcase_add_test(tc, uuids_in_the_spellings_of_the_original);
    tcase_add_test(tc, plain_json_of_both_dialects);
    tcase_add_test(tc, what_plain_json_cannot_hold_is_refused);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
