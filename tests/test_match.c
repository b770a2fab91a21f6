/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/match.h"
#include "lib/mem.h"
#include "tests/support.h"

#define MENDER "private\\.id\\.([0-9]*)\\.pem"

static struct match *compiled(const char *pattern, bool whole)
{
    struct match *m = NULL;
    char why[160] = "";
    enum err e = match_new(pattern, whole, why, sizeof why, &m);
    ck_assert_msg(e == ERR_OK, "%s: %s", pattern, why);
    return m;
}

/* What the group captured as a new string; NULL: no match. */
static char *group_of(const char *pattern, bool whole, const char *subject)
{
    AUTO(match_free) struct match *m = compiled(pattern, whole);
    const char *group;
    size_t len;
    enum err e = match_first_group(m, subject, &group, &len);
    if (e == ERR_NOT_FOUND)
        return NULL;
    ck_ok(e);
    ck_assert(group >= subject && group + len <= subject + strlen(subject));
    return mem_strndup(group, len);
}

static void expect(const char *pattern, bool whole, const char *subject, const char *want)
{
    AUTO(mem_free) char *got = group_of(pattern, whole, subject);
    ck_assert_pstr_eq(got, want);
}

START_TEST(captures_the_first_group_of_the_whole_name)
{
    expect(MENDER, true, "private.id.5539.pem", "5539");
    expect(MENDER, true, "private.id..pem", "");
    expect(MENDER, true, "private.pem", NULL);
    expect(MENDER, true, "private.id.5.pem.bak", NULL);
    expect(MENDER, true, "xprivate.id.5.pem", NULL);
    expect(MENDER, true, "private.id.5.pem\n", NULL);
    expect("a|private\\.id\\.([0-9]+)\\.pem", true, "private.id.5.pem", "5");
    expect(MENDER, true, "", NULL);
}
END_TEST

START_TEST(unanchored_matches_anywhere)
{
    expect(MENDER, false, "xprivate.id.5.pem.bak", "5");
    expect("^" MENDER "$", false, "private.id.5.pem.bak", NULL);
    expect("^" MENDER "$", false, "private.id.5.pem\n", NULL);
}
END_TEST

START_TEST(a_group_that_took_no_part_is_empty)
{
    expect("key(?:\\.([0-9]+))?\\.pem", true, "key.pem", "");
    expect("(a)|b", true, "b", "");
}
END_TEST

START_TEST(takes_the_syntax_of_go)
{
    expect("key-(?P<kid>\\d+)\\.pem\\z", true, "key-12.pem", "12");
    expect("\\Akey-(?P<kid>[[:digit:]]+)\\.pem\\z", false, "key-12.pem", "12");
    expect("(?i)KEY-(\\d+)", true, "key-12", "12");
    expect("key-(\\pN+)", true, "key-12", "12");
    expect("\\Qa.b\\E(\\d)", true, "a.b1", "1");
    expect("(?s:.)(\\d)", true, "\n1", "1");
}
END_TEST

START_TEST(digits_are_ascii_and_subjects_are_bytes)
{
    expect("key(\\d*)", true, "key\xd9\xa5", NULL); /* ARABIC-INDIC DIGIT FIVE */
    expect("key(.*)", true, "key\xff\xfe\xc3", "\xff\xfe\xc3");
    AUTO(match_free) struct match *m = NULL;
    char why[160];
    ck_err(match_new("(*UTF)(a)", true, why, sizeof why, &m), ERR_PATTERN);
}
END_TEST

START_TEST(refuses_a_pattern_that_does_not_compile_and_says_where)
{
    static const char *const bad[] = {"(", "([0-9]", "a(**)", "(?<n", "[", "(\\C)", "(a)(?2)"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct match *m = NULL;
        char why[160] = "";
        ck_err(match_new(bad[i], true, why, sizeof why, &m), ERR_PATTERN);
        ck_assert_ptr_null(m);
        ck_assert_ptr_nonnull(strstr(why, " at offset "));
    }
}
END_TEST

START_TEST(refuses_a_pattern_without_a_group)
{
    struct match *m = NULL;
    char why[160];
    ck_err(match_new("private\\.pem", true, why, sizeof why, &m), ERR_PATTERN_GROUP);
    ck_err(match_new("private(?:x)", true, why, sizeof why, &m), ERR_PATTERN_GROUP);
    ck_err(match_new("", true, why, sizeof why, &m), ERR_PATTERN_GROUP);
    ck_assert_ptr_null(m);
}
END_TEST

START_TEST(refuses_a_pattern_of_many_bytes)
{
    AUTO(mem_free) char *pattern = mem_calloc(100000, 1);
    memset(pattern, 'a', 99999);
    struct match *m = NULL;
    char why[160];
    ck_err(match_new(pattern, true, why, sizeof why, &m), ERR_PATTERN);
}
END_TEST

START_TEST(endless_backtracking_ends_soon)
{
    static const char *const slow[] = {"(a+)+$", "(a|aa)+$", "(.*a){20}x", "((a*)*)*b", "(a*)*\\1b"};
    AUTO(mem_free) char *name = mem_calloc(256, 1);
    memset(name, 'a', 254);
    name[254] = '!';
    int64_t start = clock_mono_ms();
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        for (int whole = 0; whole < 2; whole++) {
            AUTO(match_free) struct match *m = compiled(slow[i], whole);
            const char *group;
            size_t len;
            enum err e = match_first_group(m, name, &group, &len);
            ck_assert_msg(e == ERR_PATTERN_LIMIT || e == ERR_NOT_FOUND, "%s: %s", slow[i], err_name(e));
            ck_assert_msg(i > 0 || e == ERR_PATTERN_LIMIT, "%s: %s", slow[i], err_name(e));
        }
    ck_assert_int_lt(clock_mono_ms() - start, 5000);
}
END_TEST

START_TEST(a_name_of_64_kib_is_too_much_work)
{
    AUTO(mem_free) char *name = mem_calloc(65537, 1);
    memset(name, 'a', 65536);
    AUTO(match_free) struct match *m = compiled("(a+)+$", true);
    const char *group;
    size_t len;
    ck_err(match_first_group(m, name, &group, &len), ERR_PATTERN_LIMIT);
}
END_TEST

static void *match_often(void *arg)
{
    const struct match *m = arg;
    for (int i = 0; i < 2000; i++) {
        AUTO(mem_free) char *name = mem_printf("private.id.%d.pem", i);
        const char *group;
        size_t len;
        if (match_first_group(m, name, &group, &len) != ERR_OK || strtol(group, NULL, 10) != i)
            return arg;
    }
    return NULL;
}

START_TEST(threads_share_one)
{
    AUTO(match_free) struct match *m = compiled(MENDER, true);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, match_often, m), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("match");
    TCase *tc = tcase_create("match");
    tcase_add_test(tc, captures_the_first_group_of_the_whole_name);
    tcase_add_test(tc, unanchored_matches_anywhere);
    tcase_add_test(tc, a_group_that_took_no_part_is_empty);
    tcase_add_test(tc, takes_the_syntax_of_go);
    tcase_add_test(tc, digits_are_ascii_and_subjects_are_bytes);
    tcase_add_test(tc, refuses_a_pattern_that_does_not_compile_and_says_where);
    tcase_add_test(tc, refuses_a_pattern_without_a_group);
    tcase_add_test(tc, refuses_a_pattern_of_many_bytes);
    tcase_add_test(tc, endless_backtracking_ends_soon);
    tcase_add_test(tc, a_name_of_64_kib_is_too_much_work);
    tcase_add_test(tc, threads_share_one);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
