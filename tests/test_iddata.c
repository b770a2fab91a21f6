/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/iddata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

/* Known results: what the original's encoder makes of these (contract/deviceauth 2.5). */
static const struct {
    const char *in;
    const char *out;
} canonical[] = {
    {"{}", "{}"},
    {" \t\r\n{ } ", "{}"},
    {"null", "null"},
    {"{\"mac\":\"00:11:22:33:44:55\"}", "{\"mac\":\"00:11:22:33:44:55\"}"},
    /* order: by bytes, at every level, not inside arrays */
    {"{\"b\":1,\"a\":{\"d\":[3,1,2],\"c\":null},\"B\":2,\"\":0}",
     "{\"\":0,\"B\":2,\"a\":{\"c\":null,\"d\":[3,1,2]},\"b\":1}"},
    {"{\"ab\":1,\"a\":2,\"a\\u0000\":3}", "{\"a\":2,\"a\\u0000\":3,\"ab\":1}"},
    {"{\"\xc3\xa9\":1,\"z\":2,\"\xf0\x9f\x98\x80\":3,\"\xef\xbf\xbd\":4}",
     "{\"z\":2,\"\xc3\xa9\":1,\"\xef\xbf\xbd\":4,\"\xf0\x9f\x98\x80\":3}"},
    /* of two members of one name the last one */
    {"{\"a\":1,\"b\":2,\"\\u0061\":{\"x\":1}}", "{\"a\":{\"x\":1},\"b\":2}"},
    {"{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}"},
    {"{\"\\ud800\":1,\"\\ufffd\":2}", "{\"\xef\xbf\xbd\":2}"},
    /* numbers */
    {"{\"a\":[1.0,1e3,-0,0.0,-0.0,0e5,1E+2,100e-2]}", "{\"a\":[1,1000,-0,0,-0,0,100,1]}"},
    {"{\"a\":[1e20,1e21,123456789012345678901,1234567890123456789012]}",
     "{\"a\":[100000000000000000000,1e+21,123456789012345680000,1.2345678901234568e+21]}"},
    {"{\"a\":[0.000001,0.0000001,1.5e-7,0.00000123]}", "{\"a\":[0.000001,1e-7,1.5e-7,0.00000123]}"},
    {"{\"a\":[9007199254740993,18446744073709551616,0.1,0.30000000000000004]}",
     "{\"a\":[9007199254740992,18446744073709552000,0.1,0.30000000000000004]}"},
    {"{\"a\":[5e-324,2.2250738585072014e-308,1.7976931348623157e308,1e-400,-1e-400]}",
     "{\"a\":[5e-324,2.2250738585072014e-308,1.7976931348623157e+308,0,-0]}"},
    /* below a power of two, where the nearest text of 16 digits does not read back; a tie at 17 digits */
    {"{\"a\":[5.6843418860808015e-14,123456789012345.125,123456789012345.375]}",
     "{\"a\":[5.684341886080802e-14,123456789012345.12,123456789012345.38]}"},
    /* strings */
    {"{\"a\":\"\\/\\u002f\\\"\\\\\\b\\f\\n\\r\\t\\u000b\\u0000\\u001F\"}",
     "{\"a\":\"//\\\"\\\\\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\"}"},
    {"{\"<a>\":\"&'\\u003c\xe2\x80\xa8\\u2029\x7f\\u007f\xe2\x80\xaa\"}",
     "{\"\\u003ca\\u003e\":\"\\u0026'\\u003c\\u2028\\u2029\x7f\x7f\xe2\x80\xaa\"}"},
    {"{\"a\":\"\\u00e9\\ud83d\\ude00\\uFFFD\"}", "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd\"}"},
    {"{\"a\":\"\\ud83d\\u0041\\ude00\\ud83d\\ud83d\\ude00\"}", "{\"a\":\"\xef\xbf\xbd"
                                                               "A\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80\"}"},
    {"{\"a\":\"\xff\xe2\x80|\xed\xa0\x80|\xc0\x80|\xf4\x90\x80\x80\"}",
     "{\"a\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|"
     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}"},
    {"{\"a\":[true,false,null,[],{},[[]]]}", "{\"a\":[true,false,null,[],{},[[]]]}"},
};

#define NOT_OBJECT(kind) "json: cannot unmarshal " kind " into Go value of type map[string]interface {}"
static const struct {
    const char *in;
    const char *why;
} refused[] = {
    {"[]", NOT_OBJECT("array")},
    {"\"x\"", NOT_OBJECT("string")},
    {"1", NOT_OBJECT("number")},
    {"1e400", NOT_OBJECT("number")},
    {" true ", NOT_OBJECT("bool")},
    {"", "unexpected end of JSON input"},
    {" ", "unexpected end of JSON input"},
    {"{", "unexpected end of JSON input"},
    {"{\"a\"", "unexpected end of JSON input"},
    {"{\"a\":", "unexpected end of JSON input"},
    {"{\"a\":1", "unexpected end of JSON input"},
    {"{\"a\":1,", "unexpected end of JSON input"},
    {"{\"a", "unexpected end of JSON input"},
    {"{\"a\\", "invalid character ' ' in string escape code"},
    {"{\"a\\u12", "invalid character ' ' in \\u hexadecimal character escape"},
    {"{\"a\":-", "invalid character ' ' in numeric literal"},
    {"{\"a\":tru", "invalid character ' ' in literal true (expecting 'e')"},
    {"{} {}", "invalid character '{' after top-level value"},
    {"{}\xef\xbb\xbf", "invalid character '\xc3\xaf' after top-level value"},
    {"\xef\xbb\xbf{}", "invalid character '\xc3\xaf' looking for beginning of value"},
    {"mac=1", "invalid character 'm' looking for beginning of value"},
    {"nil", "invalid character 'i' in literal null (expecting 'u')"},
    {"{a:1}", "invalid character 'a' looking for beginning of object key string"},
    {"{'a':1}", "invalid character '\\'' looking for beginning of object key string"},
    {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
    {"{\"a\" 1}", "invalid character '1' after object key"},
    {"{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair"},
    {"{\"a\":[1 2]}", "invalid character '2' after array element"},
    {"{\"a\":[1,]}", "invalid character ']' looking for beginning of value"},
    {"{\"a\":[1}", "invalid character '}' after array element"},
    {"{\"a\":01}", "invalid character '1' after object key:value pair"},
    {"{\"a\":+1}", "invalid character '+' looking for beginning of value"},
    {"{\"a\":.5}", "invalid character '.' looking for beginning of value"},
    {"{\"a\":1.}", "invalid character '}' after decimal point in numeric literal"},
    {"{\"a\":1e}", "invalid character '}' in exponent of numeric literal"},
    {"{\"a\":NaN}", "invalid character 'N' looking for beginning of value"},
    {"{\"a\":\"\n\"}", "invalid character '\\n' in string literal"},
    {"{\"a\":\"\x01\"}", "invalid character '\\x01' in string literal"},
    {"{\"a\":\"\\x\"}", "invalid character 'x' in string escape code"},
    {"{\"a\":\"\\u00g0\"}", "invalid character 'g' in \\u hexadecimal character escape"},
    {"{\"a\":\x80}", "invalid character '\\u0080' looking for beginning of value"},
    {"{\"a\":1e400}", "json: cannot unmarshal number 1e400 into Go value of type float64"},
    {"{\"a\":[-1e309],\"a\":1}", "json: cannot unmarshal number -1e309 into Go value of type float64"},
};

static char *nested(size_t depth)
{
    char *text = mem_calloc(2 * depth + 6, 1);
    char *p = text;
    p = (char *)memcpy(p, "{\"a\":", 5) + 5;
    memset(p, '[', depth - 1);
    memset(p + depth - 1, ']', depth - 1);
    p[2 * (depth - 1)] = '}';
    return text;
}

static enum err parse(const char *text, size_t len, struct iddata *out)
{
    char why[JSON_SCAN_WHY_SIZE];
    return iddata_parse(text, len, why, out);
}

START_TEST(gives_the_known_canonical_form)
{
    AUTO(iddata_release) struct iddata data = {0};
    char why[JSON_SCAN_WHY_SIZE] = "";
    enum err e = iddata_parse(canonical[_i].in, strlen(canonical[_i].in), why, &data);
    ck_assert_msg(e == ERR_OK, "%s: %s", canonical[_i].in, why);
    ck_assert_str_eq(data.text, canonical[_i].out);
    ck_assert_uint_eq(data.len, strlen(data.text));
}
END_TEST

START_TEST(writes_the_canonical_form_again_from_what_it_says)
{
    AUTO(json_release) json_t *json = iddata_json(canonical[_i].out);
    AUTO(mem_free) char *text = json_wire(json);
    bool is_empty = strcmp(canonical[_i].out, "{}") == 0;
    ck_assert_str_eq(text, is_empty ? "null" : canonical[_i].out);
}
END_TEST

START_TEST(refuses_in_the_originals_words)
{
    struct iddata data = {0};
    char why[JSON_SCAN_WHY_SIZE] = "";
    ck_err(iddata_parse(refused[_i].in, strlen(refused[_i].in), why, &data), ERR_JSON);
    ck_assert_str_eq(why, refused[_i].why);
    ck_assert_ptr_null(data.text);
}
END_TEST

START_TEST(hashes_the_canonical_form)
{
    static const uint8_t want[IDDATA_DIGEST_SIZE] = {
        0x44, 0x13, 0x6f, 0xa3, 0x55, 0xb3, 0x67, 0x8a, 0x11, 0x46, 0xad, 0x16, 0xf7, 0xe8, 0x64, 0x9e,
        0x94, 0xfb, 0x4f, 0xc2, 0x1f, 0xe7, 0x7e, 0x83, 0x10, 0xc0, 0x60, 0xf6, 0x1c, 0xaa, 0xff, 0x8a}; /* of {} */
    AUTO(iddata_release) struct iddata data = {0};
    ck_ok(parse(" { } ", 5, &data));
    ck_assert_mem_eq(data.sha256, want, sizeof want);
}
END_TEST

START_TEST(does_not_end_at_nul)
{
    struct iddata data = {0};
    ck_err(parse("{}\0", 3, &data), ERR_JSON);
    ck_err(parse("{\"a\":\"\0\"}", 9, &data), ERR_JSON);
}
END_TEST

START_TEST(bounds_the_depth)
{
    AUTO(iddata_release) struct iddata data = {0};
    AUTO(mem_free) char *deep = nested(JSON_SCAN_DEPTH);
    AUTO(mem_free) char *too_deep = nested(JSON_SCAN_DEPTH + 1);
    char why[JSON_SCAN_WHY_SIZE];
    ck_ok(parse(deep, strlen(deep), &data));
    ck_assert_str_eq(data.text, deep);
    AUTO(json_release) json_t *json = iddata_json(data.text);
    ck_assert(json_is_object(json));
    struct iddata none = {0};
    ck_err(iddata_parse(too_deep, strlen(too_deep), why, &none), ERR_JSON);
    ck_assert_str_eq(why, "invalid character '[' exceeded max depth");
}
END_TEST

START_TEST(bounds_the_number_of_values)
{
    size_t n = 65536;
    AUTO(mem_free) char *text = mem_calloc(2 * n + 16, 1);
    char *p = (char *)memcpy(text, "{\"a\":[0", 7) + 7;
    for (size_t i = 0; i < n; i++, p += 2)
        memcpy(p, ",0", 2);
    memcpy(p, "]}", 2);
    struct iddata data = {0};
    ck_err(parse(text, strlen(text), &data), ERR_JSON);
}
END_TEST

/* A line is the input in hexadecimal, a tab, and the result. */
START_TEST(agrees_with_the_originals_encoder)
{
    AUTO(mem_free) char *file = support_data("iddata/known.txt", NULL);
    size_t lines = 0;
    char *save = NULL;
    for (char *line = strtok_r(file, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save), lines++) {
        char in[4096];
        char *want = strchr(line, '\t') + 1;
        size_t len = (size_t)(want - 1 - line) / 2;
        ck_assert_uint_le(len, sizeof in);
        for (size_t i = 0; i < len; i++) {
            char byte[3] = {line[2 * i], line[2 * i + 1], '\0'};
            in[i] = (char)strtoul(byte, NULL, 16);
        }
        AUTO(iddata_release) struct iddata data = {0};
        char why[JSON_SCAN_WHY_SIZE];
        enum err e = iddata_parse(in, len, why, &data);
        ck_assert_msg(strcmp(e == ERR_OK ? data.text : why, want) == 0, "line %zu: %s, not %s", lines + 1,
                      e == ERR_OK ? data.text : why, want);
    }
    ck_assert_uint_ge(lines, 1200);
}
END_TEST

/* Random documents, the same in each run. */
struct maker {
    uint64_t state;
    FILE *out;
};

static uint32_t draw(struct maker *m, uint32_t n)
{
    m->state = m->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(m->state >> 33) % n;
}

static void make_string(struct maker *m)
{
    static const char *const pieces[] = {
        "a",        "b",       "A",       "<",        "\\u0000",        "\\n",  "\\/",  "\\ud800",
        "\\udc00",  "\x7f",    "\\u2028", "\xc3\xa9", "\\ud83d\\ude00", "\xff", "\\\"", "\xf0\x9f\x98\x80",
        "\xe2\x80", "\\u0061",
    };
    fputc('"', m->out);
    for (uint32_t n = draw(m, 4); n > 0; n--)
        fputs(pieces[draw(m, sizeof pieces / sizeof *pieces)], m->out);
    fputc('"', m->out);
}

static void make_number(struct maker *m)
{
    fprintf(m->out, "%s%u", draw(m, 2) ? "-" : "", draw(m, 1000000));
    if (draw(m, 2) > 0)
        fprintf(m->out, ".%u%u", draw(m, 1000000), draw(m, 1000000000));
    if (draw(m, 2) > 0)
        fprintf(m->out, "e%d", (int)draw(m, 600) - 300);
}

static void make_value(struct maker *m, int depth);

static void make_members(struct maker *m, int depth)
{
    fputc('{', m->out);
    for (uint32_t n = draw(m, 5), i = 0; i < n; i++) {
        fputs(i > 0 ? " ,\n" : "", m->out);
        make_string(m);
        fputs(" : ", m->out);
        make_value(m, depth + 1);
    }
    fputc('}', m->out);
}

static void make_value(struct maker *m, int depth)
{
    static const char *const words[] = {"true", "false", "null", "[]", "[ {} ]"};
    uint32_t kind = draw(m, depth < 5 ? 6 : 3);
    if (kind == 0)
        make_string(m);
    else if (kind == 1)
        make_number(m);
    else if (kind == 2)
        fputs(words[draw(m, sizeof words / sizeof *words)], m->out);
    else
        make_members(m, depth);
}

START_TEST(canonical_form_is_a_fixed_point)
{
    struct maker m = {.state = 1};
    for (int i = 0; i < support_times(20000, 500); i++) {
        AUTO(mem_free) char *text = NULL;
        size_t len = 0;
        m.out = open_memstream(&text, &len);
        make_members(&m, 0);
        fclose(m.out);
        AUTO(iddata_release) struct iddata once = {0};
        AUTO(iddata_release) struct iddata twice = {0};
        ck_ok(parse(text, len, &once));
        ck_ok(parse(once.text, once.len, &twice));
        ck_assert_str_eq(once.text, twice.text);
        ck_assert_mem_eq(once.sha256, twice.sha256, IDDATA_DIGEST_SIZE);
        AUTO(json_release) json_t *json = iddata_json(once.text);
        AUTO(mem_free) char *wire = json_wire(json);
        ck_assert_str_eq(wire, once.len == 2 ? "null" : once.text);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("iddata");
    TCase *tc = tcase_create("iddata");
    int n = (int)(sizeof canonical / sizeof *canonical);
    tcase_add_loop_test(tc, gives_the_known_canonical_form, 0, n);
    tcase_add_loop_test(tc, writes_the_canonical_form_again_from_what_it_says, 0, n);
    tcase_add_loop_test(tc, refuses_in_the_originals_words, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tc, hashes_the_canonical_form);
    tcase_add_test(tc, does_not_end_at_nul);
    tcase_add_test(tc, bounds_the_depth);
    tcase_add_test(tc, bounds_the_number_of_values);
    tcase_add_test(tc, agrees_with_the_originals_encoder);
    tcase_add_test(tc, canonical_form_is_a_fixed_point);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
