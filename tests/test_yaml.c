/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

static char why[YAML_WHY_SIZE];

/* Parse yaml and compare with JSON text; NULL: it must be refused with part of a message. */
static void parses(const char *yaml, const char *want)
{
    AUTO(json_release) json_t *json = NULL;
    enum err e = yaml_parse(yaml, strlen(yaml), why, &json);
    ck_assert_msg(e == ERR_OK, "%s: %s", yaml, why);
    AUTO(mem_free) char *got = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    ck_assert_str_eq(got, want);
}

static void refuses(const char *yaml, size_t len, const char *message)
{
    json_t *json = NULL;
    ck_err(yaml_parse(yaml, len, why, &json), ERR_CONFIG);
    ck_assert_ptr_null(json);
    ck_assert_msg(strstr(why, message) != NULL, "\"%s\" is not in \"%s\"", message, why);
}

static void refuses_text(const char *yaml, const char *message)
{
    refuses(yaml, strlen(yaml), message);
}

START_TEST(reads_maps_lists_and_scalars)
{
    parses("a: 1\nb:\n  c: yes\n  d: [x, 'y z']\ne:\n  - 1.5\n  - \"q\\n\"\n",
           "{\"a\":\"1\",\"b\":{\"c\":\"yes\",\"d\":[\"x\",\"y z\"]},\"e\":[\"1.5\",\"q\\n\"]}");
}
END_TEST

START_TEST(reads_json)
{
    parses("{\n\t\"a\" : null,\n\t\"b\": \"x\\/y\\u00e4\"\n}\n", "{\"a\":null,\"b\":\"x/y\\u00E4\"}");
    parses("{\"a\": 1, \"b\": [true, {\"c\": \"\\u0041\"}]}", "{\"a\":\"1\",\"b\":[\"true\",{\"c\":\"A\"}]}");
}
END_TEST

START_TEST(reads_other_roots)
{
    parses("- a", "[\"a\"]");
    parses("word", "\"word\"");
}
END_TEST

START_TEST(tells_nothing_from_empty_text)
{
    parses("a:\nb: ~\nc: ''\nd: '~'\n", "{\"a\":null,\"b\":null,\"c\":\"\",\"d\":\"~\"}");
    parses("[null, Null, NULL, nUll, 'null', nulls]", "[null,null,null,\"nUll\",\"null\",\"nulls\"]");
}
END_TEST

START_TEST(keeps_backslashes_of_plain_text)
{
    parses("p: private\\.id\\.([0-9]*)\\.pem", "{\"p\":\"private\\\\.id\\\\.([0-9]*)\\\\.pem\"}");
}
END_TEST

START_TEST(takes_an_empty_document_for_an_empty_object)
{
    parses("", "{}");
    parses("# only a comment\n", "{}");
    parses("---\n", "{}");
}
END_TEST

START_TEST(refuses_what_is_not_yaml)
{
    refuses_text("a: [1, 2\n", "line 2, column 1: ");
    refuses_text("a: b: c\n", "line 1, column 5: ");
    refuses_text("\ta: 1\n", "line 1, column 1: ");
    refuses_text("a: \xff\xfe\n", "byte 3: ");
    refuses_text("a: \"\\ud800\"\n", "line 1");
}
END_TEST

START_TEST(refuses_duplicate_keys)
{
    refuses_text("a: 1\nb: 2\na: 3\n", "line 3, column 1: a key that is there already");
    refuses_text("x: {\"a\": 1, \"\\u0061\": 2}\n", "a key that is there already");
}
END_TEST

START_TEST(refuses_aliases)
{
    refuses_text("a: &x [1]\nb: *x\n", "line 2, column 4: aliases are not supported");
}
END_TEST

START_TEST(refuses_keys_that_are_no_scalars)
{
    refuses_text("? [a]\n: 1\n", "a key must be plain text");
}
END_TEST

START_TEST(refuses_a_second_document)
{
    refuses_text("a: 1\n---\nb: 2\n", "line 2, column 1: a second document");
}
END_TEST

START_TEST(refuses_nul_characters)
{
    refuses_text("a: \"x\\0y\"\n", "a NUL character");
    refuses_text("\"x\\0y\": 1\n", "a NUL character");
    refuses("a: x\0y\n", 7, "byte 4: ");
}
END_TEST

/* depth brackets, opened and closed. */
static char *nested(size_t depth)
{
    char *text = mem_calloc(2 * depth + 1, 1);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return text;
}

START_TEST(bounds_the_depth)
{
    AUTO(mem_free) char *deep = nested(32);
    AUTO(mem_free) char *too_deep = nested(33);
    json_t *json = NULL;
    ck_ok(yaml_parse(deep, strlen(deep), why, &json));
    json_release(&json);
    refuses_text(too_deep, "more than 32 levels");
    AUTO(mem_free) char *far_too_deep = nested(100000);
    refuses_text(far_too_deep, "line 1");
}
END_TEST

START_TEST(bounds_the_size)
{
    size_t max = (size_t)1 << 20;
    AUTO(mem_free) char *text = mem_calloc(max + 2, 1);
    memset(text, '#', max + 1);
    json_t *json = NULL;
    ck_ok(yaml_parse(text, max, why, &json));
    json_release(&json);
    refuses(text, max + 1, "larger than 1 MiB");
}
END_TEST

START_TEST(tells_the_line_of_a_key)
{
    static const char text[] = "c: {b: 1}\na:\n  x: 1\n  b:\n    - {c: 1}\n    - 2\n  c: 3\nb: 4\n";
    static const struct {
        const char *path[4];
        size_t line;
    } cases[] = {
        {{"c"}, 1},      {{"a"}, 2}, {{"a", "x"}, 3}, {{"a", "b"}, 4},
        {{"a", "c"}, 7}, {{"b"}, 8}, {{"c", "b"}, 1}, {{"z"}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_uint_eq(yaml_line(text, sizeof text - 1, cases[i].path), cases[i].line);
    static const char *const any[] = {"a", NULL};
    ck_assert_uint_eq(yaml_line("a: [", 4, any), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("yaml");
    TCase *tc = tcase_create("parse");
    tcase_add_test(tc, reads_maps_lists_and_scalars);
    tcase_add_test(tc, reads_json);
    tcase_add_test(tc, reads_other_roots);
    tcase_add_test(tc, tells_nothing_from_empty_text);
    tcase_add_test(tc, keeps_backslashes_of_plain_text);
    tcase_add_test(tc, takes_an_empty_document_for_an_empty_object);
    tcase_add_test(tc, refuses_what_is_not_yaml);
    tcase_add_test(tc, refuses_duplicate_keys);
    tcase_add_test(tc, refuses_aliases);
    tcase_add_test(tc, refuses_keys_that_are_no_scalars);
    tcase_add_test(tc, refuses_a_second_document);
    tcase_add_test(tc, refuses_nul_characters);
    tcase_add_test(tc, bounds_the_depth);
    tcase_add_test(tc, bounds_the_size);
    tcase_add_test(tc, tells_the_line_of_a_key);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
