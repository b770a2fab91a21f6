/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/mux.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* A mux of these patterns, NULL-terminated. */
static struct mux *mux_of(const char *const *patterns)
{
    struct mux *mux = mux_new();
    char why[MUX_WHY_SIZE] = "";
    for (; *patterns != NULL; patterns++)
        ck_assert_msg(mux_add(mux, *patterns, why) == ERR_OK, "%s: %s", *patterns, why);
    return mux;
}

/* What Go's documentation promises of each form. */
static const struct {
    const char *pattern, *method, *host, *uri;
    bool takes;
} matches[] = {
    {"/", "GET", NULL, "/", true},
    {"/", "PURGE", "x", "/a/b/c?d=e", true},
    {"/", "GET", NULL, "", true},
    {"/a", "GET", NULL, "/a", true},
    {"/a", "GET", NULL, "/a?b=/c", true},
    {"/a", "GET", NULL, "/a/", false},
    {"/a", "GET", NULL, "/A", false},
    {"/a", "GET", NULL, "/ab", false},
    {"/a", "GET", NULL, "/a/b", false},
    {"/a/", "GET", NULL, "/a/", true},
    {"/a/", "GET", NULL, "/a/b/c", true},
    {"/a/", "GET", NULL, "/a", false},
    {"/a/", "GET", NULL, "/ab/", false},
    {"/{$}", "GET", NULL, "/", true},
    {"/{$}", "GET", NULL, "/a", false},
    {"/a/{$}", "GET", NULL, "/a/", true},
    {"/a/{$}", "GET", NULL, "/a", false},
    {"/a/{$}", "GET", NULL, "/a/b", false},
    {"/a/{x}", "GET", NULL, "/a/b", true},
    {"/a/{x}", "GET", NULL, "/a/", false},
    {"/a/{x}", "GET", NULL, "/a/b/", false},
    {"/a/{x}", "GET", NULL, "/a/b/c", false},
    {"/a/{x}/", "GET", NULL, "/a/b/", true},
    {"/a/{x}/c", "GET", NULL, "/a/b/c", true},
    {"/a/{x}/c", "GET", NULL, "/a/b/d", false},
    {"/a/{x...}", "GET", NULL, "/a/b/c/", true},
    {"/a/{x...}", "GET", NULL, "/a/", true},
    {"/a/{x...}", "GET", NULL, "/a", false},
    {"GET /a", "GET", NULL, "/a", true},
    {"GET /a", "HEAD", NULL, "/a", true},
    {"GET /a", "get", NULL, "/a", false},
    {"GET /a", "POST", NULL, "/a", false},
    {"HEAD /a", "GET", NULL, "/a", false},
    {"POST \t /a", "POST", NULL, "/a", true},
    {"h/a", "GET", "h", "/a", true},
    {"h/a", "GET", "H:8080", "/a", true},
    {"h/a", "GET", "hh", "/a", false},
    {"h/a", "GET", "", "/a", false},
    {"h/a", "GET", NULL, "/a", false},
    {"[::1]/a", "GET", "[::1]", "/a", true},
    {"[::1]/a", "GET", "[::1]:80", "/a", true},
    {"/a%20b", "GET", NULL, "/a%20b", true},
    {"/a%2fb", "GET", NULL, "/a%2Fb", true},
    {"/a%2fb", "GET", NULL, "/a/b", false},
    {"/a/b", "GET", NULL, "/a%2Fb", false},
    /* other spellings of a path do not get round a pattern */
    {"/a/b", "GET", NULL, "//a///b", true},
    {"/a/b", "GET", NULL, "/a/./b", true},
    {"/a/b", "GET", NULL, "/a/x/../b", true},
    {"/a/b", "GET", NULL, "/../../a/b", true},
    {"/a/b", "GET", NULL, "/%61/%62", true},
    {"/a/b", "GET", NULL, "a/b", true},
    {"/a/b", "GET", NULL, "/a/b#c", true},
    {"/a/b", "GET", NULL, "/a/b%", false},
    {"/a/b%", "GET", NULL, "/a/b%", true},
    {"/a/b%zz", "GET", NULL, "/a/b%zz", true},
    {"/a/{x}", "GET", NULL, "/a/%", true},
};

START_TEST(a_pattern_takes_what_it_should)
{
    AUTO(mux_free) struct mux *mux = mux_new();
    char why[MUX_WHY_SIZE] = "";
    ck_assert_msg(mux_add(mux, matches[_i].pattern, why) == ERR_OK, "%s: %s", matches[_i].pattern, why);
    size_t got = mux_match(mux, matches[_i].method, matches[_i].host, matches[_i].uri);
    ck_assert_msg((got == 0) == matches[_i].takes && (got == 0 || got == MUX_NONE), "%s: %s %s", matches[_i].pattern,
                  matches[_i].method, matches[_i].uri);
}
END_TEST

static const struct {
    const char *pattern, *why;
} refused[] = {
    {"", "1 to 512 bytes"},
    {"a", "there is no /"},
    {"GET", "there is no /"},
    {"GET a", "there is no /"},
    {" /a", "a space where a method"},
    {"/a b", "position 1: not a method"},
    {"GE(T /a", "position 3: not a method"},
    {"GET POST /a", "position 9: not a host"},
    {"{h}/a", "position 1: not a host"},
    {"/a//b", "position 4: \"//\""},
    {"//", "position 2: \"//\""},
    {"/a/../b", "position 4: \".\" and \"..\""},
    {"/.", "position 2"},
    {"/a{x}", "position 2: braces take a whole segment"},
    {"/{x}a", "position 2: braces"},
    {"/{x", "position 2: braces"},
    {"/x}", "position 2: braces"},
    {"/{", "position 2: braces"},
    {"/}", "position 2: braces"},
    {"/{}", "position 2: not a name"},
    {"/{...}", "position 2: not a name"},
    {"/{1}", "position 2: not a name"},
    {"/{a b}", "position 1: not a method"},
    {"/{a-b}", "position 2: not a name"},
    {"/{{a}}", "position 2: not a name"},
    {"/{x}/{x}", "position 6: the name x is there already"},
    {"/{x}/{x...}", "position 6: the name x is there already"},
    {"/{x...}/", "position 2: {name...} stands at the end only"},
    {"/{$}/a", "position 2: {$} stands at the end only"},
    {"/a/b%00c", "position 4: a NUL character"},
    {"/{$...}", "position 2: not a name"},
};

START_TEST(refuses_what_is_no_pattern)
{
    AUTO(mux_free) struct mux *mux = mux_new();
    char why[MUX_WHY_SIZE] = "";
    ck_err(mux_add(mux, refused[_i].pattern, why), ERR_PATTERN);
    ck_assert_msg(strstr(why, refused[_i].why) != NULL, "%s: %s", refused[_i].pattern, why);
    ck_assert_uint_eq(mux_match(mux, "GET", NULL, "/"), MUX_NONE);
}
END_TEST

START_TEST(refuses_patterns_over_its_bounds)
{
    AUTO(mux_free) struct mux *mux = mux_new();
    char why[MUX_WHY_SIZE] = "";
    AUTO(mem_free) char *text = mem_calloc(MUX_PATTERN_MAX + 2, 1);
    memset(text, 'a', MUX_PATTERN_MAX + 1);
    text[0] = '/';
    ck_err(mux_add(mux, text, why), ERR_PATTERN);
    text[MUX_PATTERN_MAX] = '\0';
    ck_ok(mux_add(mux, text, why));
    for (size_t i = 0; i < (size_t)MUX_SEGMENTS_MAX * 2 + 2; i += 2)
        memcpy(text + i, "/b", 3);
    ck_err(mux_add(mux, text, why), ERR_PATTERN);
    text[MUX_SEGMENTS_MAX * 2] = '\0';
    ck_ok(mux_add(mux, text, why));
    ck_assert_uint_eq(mux_match(mux, "GET", NULL, text), 1);
}
END_TEST

START_TEST(a_path_of_any_depth_is_understood)
{
    static const char *const patterns[] = {"/a/", "/a/b", NULL};
    AUTO(mux_free) struct mux *mux = mux_of(patterns);
    AUTO(mem_free) char *deep = mem_calloc(4096, 1);
    strncat(deep, "/a", 4);
    for (size_t i = 0; i < 300; i++)
        memcpy(deep + 2 + 2 * i, "/x", 3);
    ck_assert_uint_eq(mux_match(mux, "GET", NULL, deep), 0);
    for (size_t i = 0; i < 300; i++)
        memcpy(deep + 602 + 3 * i, "/..", 4);
    memcpy(deep + 602 + 900, "/b", 3);
    ck_assert_uint_eq(mux_match(mux, "GET", NULL, deep), 1);
}
END_TEST

/* Pairs that Go refuses to register together (the first) or orders (the second goes before the first). */
static const struct {
    const char *a, *b;
    bool is_conflict;
} pairs[] = {
    {"/", "/", true},
    {"/a", "/a", true},
    {"/%61", "/a", true},
    {"/{x}", "/{y}", true},
    {"/a/", "/a/{x...}", true},
    {"/{$}", "/{$}", true},
    {"/a/{x}", "/{y}/b", true},
    {"/a/{x}/", "/a/b/{y}/c", false},
    {"/{x}/b/", "/a/{y}/c", true},
    {"/{x}/", "/{y...}", false},
    {"GET /", "/a", true},
    {"GET /a/", "/a/b", true},
    {"GET /{x}", "/a", true},
    {"GET /", "POST /", false},
    {"HEAD /", "GET /", false},
    {"GET /", "HEAD /a", false},
    {"HEAD /", "GET /a", true},
    {"h/", "H/", true},
    {"h/", "i/", false},
    {"h/", "/a", false},
    {"h/{x}/b", "/a/{y}", false},
    {"/{x}", "/{$}", false},
    {"/a/{x}", "/a/{$}", false},
    {"/a", "/a/", false},
};

START_TEST(refuses_patterns_that_cross)
{
    for (int order = 0; order < 2; order++) {
        const char *first = order == 0 ? pairs[_i].a : pairs[_i].b;
        const char *second = order == 0 ? pairs[_i].b : pairs[_i].a;
        AUTO(mux_free) struct mux *mux = mux_new();
        char why[MUX_WHY_SIZE] = "";
        ck_ok(mux_add(mux, first, why));
        enum err e = mux_add(mux, second, why);
        ck_assert_msg((e != ERR_OK) == pairs[_i].is_conflict, "%s and %s: %s", first, second, why);
        if (e != ERR_OK)
            ck_assert_msg(strstr(why, first) != NULL, "%s", why);
    }
}
END_TEST

static const char *const family[] = {
    "/",
    "/api/",
    "/api/{v}/",
    "/api/{v}/users",
    "/api/v1/users",
    "GET /api/v1/users",
    "h/",
    "h/api/v1/{what}",
    "/api/v1/{$}",
    "HEAD /api/v1/users",
    NULL,
};

static const struct {
    const char *method, *host, *uri;
    size_t number;
} choices[] = {
    {"GET", NULL, "/x", 0},
    {"GET", NULL, "/api", 0},
    {"GET", NULL, "/api/", 1},
    {"GET", NULL, "/api/v2", 1},
    {"GET", NULL, "/api/v2/", 2},
    {"GET", NULL, "/api/v1/", 8},
    {"GET", NULL, "/api/v2/users", 3},
    {"GET", NULL, "/api/v2/users/", 2},
    {"POST", NULL, "/api/v1/users", 4},
    {"GET", NULL, "/api/v1/users", 5},
    {"HEAD", NULL, "/api/v1/users", 9},
    {"GET", "h", "/", 6},
    {"GET", "h:80", "/api/v1/users", 7},
    {"GET", "h", "/api/v1/users/x", 6},
};

/* In whatever order they are added, the most specific one counts. */
START_TEST(the_most_specific_pattern_counts)
{
    const char *rotated[COUNT(family)] = {NULL};
    size_t n = COUNT(family) - 1;
    for (size_t i = 0; i < n; i++)
        rotated[i] = _i % 2 == 0 ? family[(i + (size_t)_i) % n] : family[n - 1 - (i + (size_t)_i) % n];
    AUTO(mux_free) struct mux *mux = mux_of(rotated);
    for (int i = 0; i < COUNT(choices); i++) {
        size_t got = mux_match(mux, choices[i].method, choices[i].host, choices[i].uri);
        ck_assert_msg(got != MUX_NONE && rotated[got] == family[choices[i].number], "%s %s gave %s", choices[i].method,
                      choices[i].uri, got != MUX_NONE ? rotated[got] : "none");
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("mux");
    TCase *tc = tcase_create("mux");
    tcase_add_loop_test(tc, a_pattern_takes_what_it_should, 0, COUNT(matches));
    tcase_add_loop_test(tc, refuses_what_is_no_pattern, 0, COUNT(refused));
    tcase_add_test(tc, refuses_patterns_over_its_bounds);
    tcase_add_test(tc, a_path_of_any_depth_is_understood);
    tcase_add_loop_test(tc, refuses_patterns_that_cross, 0, COUNT(pairs));
    tcase_add_loop_test(tc, the_most_specific_pattern_counts, 0, 2 * (COUNT(family) - 1));
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
