/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/docfile.h"
#include "lib/mem.h"
#include "tests/support.h"

static char why[DOCFILE_WHY_SIZE];

static struct docfile *open_text(const char *text, size_t len)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "users.json");
    support_write(path, text, len, 0600);
    struct docfile *file = NULL;
    ck_ok(docfile_open(path, why, &file));
    return file;
}

/* The next document must be this text, in this line. */
static void gives(struct docfile *file, const char *text, int64_t line)
{
    struct docfile_doc doc;
    ck_ok(docfile_next(file, why, &doc));
    ck_assert_msg(doc.len == strlen(text) && memcmp(doc.text, text, doc.len) == 0, "%.*s, not %s", (int)doc.len,
                  doc.text, text);
    ck_assert_int_eq(doc.line, line);
    ck_assert(!doc.is_long);
}

static void ends(struct docfile *file, enum err want)
{
    struct docfile_doc doc;
    ck_err(docfile_next(file, why, &doc), want);
    ck_err(docfile_next(file, why, &doc), want);
}

static void refuses(const char *text, size_t len, const char *part)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "users.json");
    support_write(path, text, len, 0600);
    AUTO(docfile_free) struct docfile *file = NULL;
    ck_err(docfile_open(path, why, &file), ERR_IO);
    ck_assert_ptr_null(file);
    ck_assert_msg(strstr(why, part) != NULL, "%s", why);
}

START_TEST(a_document_a_line)
{
    static const char text[] = "\xef\xbb\xbf\n{\"a\":1}\r\n \n\n{\"b\":\"}\"} \nnonsense\n{\"c\":3}";
    AUTO(docfile_free) struct docfile *file = open_text(text, sizeof text - 1);
    gives(file, "{\"a\":1}\r", 2);
    gives(file, "{\"b\":\"}\"} ", 5);
    gives(file, "nonsense", 6);
    gives(file, "{\"c\":3}", 7);
    ends(file, ERR_NOT_FOUND);
}
END_TEST

START_TEST(an_array_of_documents)
{
    static const char text[] = " [{\"a\":\"}\\\"]{\"},\n{\"b\":{\"c\":[{}]}}\n,\n\n{\n}\n]\n";
    AUTO(docfile_free) struct docfile *file = open_text(text, sizeof text - 1);
    gives(file, "{\"a\":\"}\\\"]{\"}", 1);
    gives(file, "{\"b\":{\"c\":[{}]}}", 2);
    gives(file, "{\n}", 5);
    ends(file, ERR_NOT_FOUND);
}
END_TEST

START_TEST(nothing_in_it)
{
    static const char *const texts[] = {"", "\n\n", "[]", " [ ] \n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO(docfile_free) struct docfile *file = open_text(texts[i], strlen(texts[i]));
        ends(file, ERR_NOT_FOUND);
    }
}
END_TEST

START_TEST(a_broken_array_ends_there)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"[{}", "ends inside the array"},
        {"[{},", "ends inside the array"},
        {"[{},{\"a\":\"\\", "inside a document"},
        {"[{},{\"a\":\"}", "inside a document"},
        {"[{},]", "something else"},
        {"[{},1]", "something else"},
        {"[{} {}]", "a comma"},
        {"[{}\n] x", "line 2: there is more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(docfile_free) struct docfile *file = open_text(cases[i].text, strlen(cases[i].text));
        struct docfile_doc doc;
        gives(file, "{}", 1);
        ck_err(docfile_next(file, why, &doc), ERR_JSON);
        ck_assert_msg(strstr(why, cases[i].why) != NULL, "%s: %s", cases[i].text, why);
    }
}
END_TEST

/* _i: in an array */
START_TEST(what_is_too_long_is_passed_over)
{
    AUTO(mem_free) char *value = mem_calloc(DOCFILE_DOC_MAX + 1, 1);
    for (int extra = 0; extra < 2; extra++) {
        memset(value, 'a', (size_t)(DOCFILE_DOC_MAX - 8 + extra));
        value[DOCFILE_DOC_MAX - 8 + extra] = '\0';
        AUTO(mem_free)
        char *text =
            mem_printf("%s{\"a\":\"%s\"}%s\n{\"b\":1}%s\n", _i ? "[" : "", value, _i ? "," : "", _i ? "]" : "");
        AUTO(docfile_free) struct docfile *file = open_text(text, strlen(text));
        struct docfile_doc doc;
        ck_ok(docfile_next(file, why, &doc));
        ck_assert_int_eq(doc.is_long, extra);
        ck_assert_uint_eq(doc.len, extra ? 0 : DOCFILE_DOC_MAX);
        gives(file, "{\"b\":1}", 2);
        ends(file, ERR_NOT_FOUND);
    }
}
END_TEST

START_TEST(what_is_no_export_is_refused)
{
    refuses("\x1f\x8b\x08\x00", 4, "gunzip");
    refuses("\x28\xb5\x2f\xfd....", 8, "compressed");
    refuses("BZh9", 4, "compressed");
    refuses("\x16\x00\x00\x00\x02", 5, "BSON");
    refuses("\xff\xfe{\x00", 4, "UTF-16");
    refuses("_id,email\n", 10, "does not begin");
    refuses("\n\n\"text\"", 8, "does not begin");
    AUTO(docfile_free) struct docfile *file = NULL;
    ck_err(docfile_open(support_dir(), why, &file), ERR_IO);
    ck_assert_str_eq(why, "Is a directory");
    ck_err(docfile_open("/nonexistent/users.json", why, &file), ERR_IO);
    ck_assert_str_eq(why, "No such file or directory");
}
END_TEST

START_TEST(a_pipe_gives_what_a_file_gives)
{
    int ends_of_pipe[2];
    ck_assert_int_eq(pipe(ends_of_pipe), 0);
    ck_assert_int_eq(write(ends_of_pipe[1], "{\"a\":1}\n{}", 10), 10);
    close(ends_of_pipe[1]);
    ck_assert_int_ge(dup2(ends_of_pipe[0], STDIN_FILENO), 0);
    close(ends_of_pipe[0]);
    AUTO(docfile_free) struct docfile *file = NULL;
    ck_ok(docfile_open("-", why, &file));
    gives(file, "{\"a\":1}", 1);
    gives(file, "{}", 2);
    ends(file, ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_no_end_of_one)
{
    /* reading the memory of this process fails at address 0 */
    AUTO(docfile_free) struct docfile *file = NULL;
    ck_err(docfile_open("/proc/self/mem", why, &file), ERR_IO);
    ck_assert_str_eq(why, "Input/output error");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("docfile");
    TCase *tc = tcase_create("docfile");
    tcase_add_test(tc, a_document_a_line);
    tcase_add_test(tc, an_array_of_documents);
    tcase_add_test(tc, nothing_in_it);
    tcase_add_test(tc, a_broken_array_ends_there);
    tcase_add_loop_test(tc, what_is_too_long_is_passed_over, 0, 2);
    tcase_add_test(tc, what_is_no_export_is_refused);
    tcase_add_test(tc, a_pipe_gives_what_a_file_gives);
    tcase_add_test(tc, a_file_that_cannot_be_read_is_no_end_of_one);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
