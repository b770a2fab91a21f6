/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/csv.h"

#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

static FILE *text(const char *content)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(content, file), 0);
    rewind(file);
    return file;
}

/* All records, fields in [] and records with their line: "1[a][b]2[c]"; "!" at the end: it failed. */
static char *read_all(const char *content)
{
    FILE *file = text(content);
    char *all = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&all, &len);
    struct csv csv;
    enum err e;
    csv_begin(&csv, file);
    while ((e = csv_next(&csv)) == ERR_OK) {
        fprintf(out, "%d", (int)csv.at);
        for (size_t i = 0; i < csv.n; i++)
            fprintf(out, "[%s]", csv.field[i]);
    }
    fputs(e == ERR_NOT_FOUND ? "" : "!", out);
    csv_release(&csv);
    fclose(out);
    fclose(file);
    return all;
}

static const struct {
    const char *content, *records;
} cases[] = {
    {"", ""},
    {"a,b\nc,d\n", "1[a][b]2[c][d]"},
    {"a,b\r\nc,d\r\n", "1[a][b]2[c][d]"},
    {"a,b", "1[a][b]"},
    {"a,\n,b\n", "1[a][]2[][b]"},
    {"\n\na\n\n\nb\n\n", "3[a]6[b]"},
    {"\xef\xbb\xbf"
     "a\n",
     "1[a]"},
    {"\"a,b\",\"c\"\"d\"\n", "1[a,b][c\"d]"},
    {"\"one\ntwo\",x\ny\n", "1[one\ntwo][x]3[y]"},
    {"a\"b,c\n", "1[a\"b][c]"},
    {"\"\"\n", "1[]"},
    {"a,\"b\n", "!"},
};

START_TEST(reads_records)
{
    AUTO(mem_free) char *records = read_all(cases[_i].content);
    ck_assert_str_eq(records, cases[_i].records);
}
END_TEST

START_TEST(refuses_too_many_fields)
{
    char line[2 * CSV_FIELDS_MAX + 2];
    memset(line, ',', sizeof line);
    line[CSV_FIELDS_MAX] = '\0';
    AUTO(mem_free) char *records = read_all(line);
    ck_assert_str_eq(records, "!");
    line[CSV_FIELDS_MAX - 1] = '\0';
    AUTO(mem_free) char *most = read_all(line);
    ck_assert_uint_eq(strlen(most), 1 + 2 * CSV_FIELDS_MAX);
}
END_TEST

START_TEST(refuses_a_field_that_is_too_long)
{
    AUTO(mem_free) char *line = mem_calloc(CSV_FIELD_MAX + 2, 1);
    memset(line, 'x', CSV_FIELD_MAX + 1);
    AUTO(mem_free) char *records = read_all(line);
    ck_assert_str_eq(records, "!");
    line[CSV_FIELD_MAX] = '\0';
    AUTO(mem_free) char *most = read_all(line);
    ck_assert_uint_eq(strlen(most), 3 + CSV_FIELD_MAX);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("csv");
    TCase *tc = tcase_create("csv");
    tcase_add_loop_test(tc, reads_records, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, refuses_too_many_fields);
    tcase_add_test(tc, refuses_a_field_that_is_too_long);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
