/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/file.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

static void refuses(const char *path, enum err want, const char *cause)
{
    char *text = NULL;
    size_t len = 0;
    const char *why = NULL;
    ck_err(file_read(path, 100, &text, &len, &why), want);
    ck_assert_ptr_null(text);
    ck_assert_str_eq(why, cause);
}

START_TEST(reads_a_file_whole)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "file");
    const char *why = NULL;
    for (size_t size = 0; size <= 100; size += 50) {
        char data[100];
        memset(data, '\0', sizeof data);
        support_write(path, data, size, 0600);
        AUTO(mem_free) char *text = NULL;
        size_t len = 1;
        ck_ok(file_read(path, 100, &text, &len, &why));
        ck_assert_uint_eq(len, size);
        ck_assert_mem_eq(text, data, size);
        ck_assert_int_eq(text[len], '\0');
    }
}
END_TEST

START_TEST(shows_that_a_file_is_too_long)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "file");
    support_write(path, "0123456789", 10, 0600);
    AUTO(mem_free) char *text = NULL;
    size_t len = 0;
    const char *why = NULL;
    ck_ok(file_read(path, 4, &text, &len, &why));
    ck_assert_uint_eq(len, 5);
    ck_assert_str_eq(text, "01234");
}
END_TEST

START_TEST(tells_missing_from_unreadable)
{
    const char *dir = support_dir();
    AUTO(mem_free) char *file = support_path(dir, "file");
    AUTO(mem_free) char *below = support_path(file, "below");
    AUTO(mem_free) char *fifo = support_path(dir, "fifo");
    AUTO(mem_free) char *missing = support_path(dir, "missing");
    support_write(file, "", 0, 0600);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    refuses(missing, ERR_NOT_FOUND, "No such file or directory");
    refuses(below, ERR_NOT_FOUND, "Not a directory");
    refuses(dir, ERR_IO, "not a regular file");
    refuses(fifo, ERR_IO, "not a regular file");
    refuses("/dev/zero", ERR_IO, "not a regular file");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("file");
    TCase *tc = tcase_create("file");
    tcase_add_test(tc, reads_a_file_whole);
    tcase_add_test(tc, shows_that_a_file_is_too_long);
    tcase_add_test(tc, tells_missing_from_unreadable);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
