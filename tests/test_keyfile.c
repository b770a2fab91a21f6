/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "keystore/key.h"
#include "keystore/keyfile.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/support.h"

/* Loop tests run with openat2 (0) and as in a sandbox that does not know it (1). */
#define WAYS 2

static const char *root;
static struct keyfile_dir dir;

static void forbid_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void set_up(void)
{
    root = support_dir();
    char *path = support_path(root, "keys");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_ok(keyfile_dir_open(path, &dir));
    mem_free(&path);
}

static void tear_down(void)
{
    keyfile_dir_close(&dir);
}

static char *in_dir(const char *name)
{
    return support_path(dir.path, name);
}

static void put(const char *name, const char *text, unsigned mode)
{
    AUTO(mem_free) char *path = in_dir(name);
    support_write(path, text, strlen(text), mode);
}

static void link_to(const char *target, const char *name)
{
    ck_assert_int_eq(symlinkat(target, dir.fd, name), 0);
}

static void expect(const char *name, enum err want)
{
    AUTO(keyfile_release) struct keyfile file = {0};
    struct keyfile_stamp stamp;
    enum err e = keyfile_stat(&dir, name, &stamp);
    if (e == ERR_OK)
        e = keyfile_read(&dir, name, &file);
    ck_assert_msg(e == want, "%s: %s, not %s", name, err_name(e), err_name(want));
    if (want == ERR_OK)
        ck_assert(file.len == 3 && memcmp(file.data, "key", 3) == 0);
}

START_TEST(reads_a_file_with_its_digest)
{
    put("a", "key", 0600);
    AUTO(keyfile_release) struct keyfile file = {0};
    ck_ok(keyfile_read(&dir, "a", &file));
    uint8_t digest[KEYFILE_DIGEST_SIZE];
    SHA256((const uint8_t *)"key", 3, digest);
    ck_assert_uint_eq(file.len, 3);
    ck_assert_mem_eq(file.data, "key", 3);
    ck_assert_mem_eq(file.digest, digest, sizeof digest);
    struct keyfile_stamp stamp;
    ck_ok(keyfile_stat(&dir, "a", &stamp));
    ck_assert(keyfile_is_same(&stamp, &file.stamp));
}
END_TEST

START_TEST(follows_links_inside_only)
{
    if (_i == 1)
        forbid_openat2();
    put("a", "key", 0600);
    AUTO(mem_free) char *outside = support_path(root, "outside");
    support_write(outside, "key", 3, 0600);
    ck_assert_int_eq(mkdirat(dir.fd, "..2026", 0700), 0);
    put("..2026/b", "key", 0600);
    link_to("..2026", "..data");
    link_to("..data/b", "b");
    link_to("a", "c");
    link_to("..2026/../a", "d");
    link_to("../outside", "e");
    link_to(outside, "f");
    link_to("nowhere", "g");
    link_to("h", "h");
    link_to("../keys/../outside", "i");
    expect("a", ERR_OK);
    expect("b", ERR_OK);
    expect("c", ERR_OK);
    expect("d", ERR_OK);
    expect("e", ERR_KEY_OUTSIDE);
    expect("f", ERR_KEY_OUTSIDE);
    expect("g", ERR_KEY_MISSING);
    expect("h", ERR_KEY_OUTSIDE);
    expect("i", ERR_KEY_OUTSIDE);
    expect("nothing", ERR_KEY_MISSING);
    ck_assert(keyfile_exists(&dir, "g"));
    ck_assert(!keyfile_exists(&dir, "nothing"));
}
END_TEST

START_TEST(a_directory_with_a_longer_name_is_outside)
{
    if (_i == 1)
        forbid_openat2();
    AUTO(mem_free) char *other = support_path(root, "keys2");
    AUTO(mem_free) char *file = support_path(root, "keys2/a");
    ck_assert_int_eq(mkdir(other, 0700), 0);
    support_write(file, "key", 3, 0600);
    link_to("../keys2/a", "a");
    expect("a", ERR_KEY_OUTSIDE);
}
END_TEST

/* Opened directly, past the look that comes before, as when a file is swapped in between. */
static void expect_read(const char *name, enum err want)
{
    AUTO(keyfile_release) struct keyfile file = {0};
    ck_err(keyfile_read(&dir, name, &file), want);
    ck_assert_ptr_null(file.data);
}

START_TEST(refuses_what_is_no_regular_file_and_never_hangs)
{
    if (_i == 1)
        forbid_openat2();
    ck_assert_int_eq(mkfifoat(dir.fd, "fifo", 0600), 0);
    ck_assert_int_eq(mkdirat(dir.fd, "dir", 0700), 0);
    link_to("/dev/null", "null");
    link_to("/dev/zero", "zero");
    link_to("fifo", "to-fifo");
    AUTO(mem_free) char *path = in_dir("socket");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    static const char *const names[] = {"fifo", "dir", "null", "zero", "to-fifo", "socket"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect(names[i], ERR_KEY_NOT_FILE);
    expect_read("fifo", ERR_KEY_NOT_FILE);
    expect_read("dir", ERR_KEY_NOT_FILE);
    expect_read("zero", ERR_KEY_OUTSIDE);
    expect_read("to-fifo", ERR_KEY_NOT_FILE);
    expect_read("socket", ERR_KEY_NOT_FILE);
    close(fd);
}
END_TEST

START_TEST(never_reads_more_than_64_kib)
{
    AUTO(mem_free) char *text = mem_calloc(KEY_FILE_MAX + 2, 1);
    memset(text, 'k', KEY_FILE_MAX + 1);
    AUTO(mem_free) char *large = in_dir("large");
    AUTO(mem_free) char *full = in_dir("full");
    support_write(large, text, KEY_FILE_MAX + 1, 0600);
    support_write(full, text, KEY_FILE_MAX, 0600);
    AUTO(mem_free) char *sparse = in_dir("sparse");
    support_write(sparse, "k", 1, 0600);
    ck_assert_int_eq(truncate(sparse, 1 << 30), 0);
    expect_read("large", ERR_KEY_FILE_SIZE);
    expect_read("sparse", ERR_KEY_FILE_SIZE);
    AUTO(keyfile_release) struct keyfile file = {0};
    ck_ok(keyfile_read(&dir, "full", &file));
    ck_assert_uint_eq(file.len, KEY_FILE_MAX);
}
END_TEST

/* /proc files say that they have 0 bytes and give more. */
START_TEST(does_not_believe_the_size)
{
    AUTO(keyfile_dir_close) struct keyfile_dir proc = {.fd = -1};
    ck_ok(keyfile_dir_open("/proc/sys/kernel", &proc));
    AUTO(keyfile_release) struct keyfile file = {0};
    ck_ok(keyfile_read(&proc, "ostype", &file));
    ck_assert_int_eq(file.stamp.size, 0);
    ck_assert(file.len == 6 && memcmp(file.data, "Linux\n", 6) == 0);
}
END_TEST

START_TEST(magic_links_are_not_followed)
{
    AUTO(keyfile_dir_close) struct keyfile_dir proc = {.fd = -1};
    ck_ok(keyfile_dir_open("/proc/self/fd", &proc));
    put("a", "key", 0600);
    AUTO(mem_free) char *path = in_dir("a");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO(mem_free) char *name = mem_printf("%d", fd);
    AUTO(keyfile_release) struct keyfile file = {0};
    ck_err(keyfile_read(&proc, name, &file), ERR_KEY_OUTSIDE);
    close(fd);
}
END_TEST

START_TEST(tells_a_changed_file)
{
    struct keyfile_stamp before, after;
    put("a", "key", 0600);
    ck_ok(keyfile_stat(&dir, "a", &before));
    ck_ok(keyfile_stat(&dir, "a", &after));
    ck_assert(keyfile_is_same(&before, &after));
    struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000, .tv_nsec = 5000000}};
    ck_assert_int_eq(utimensat(dir.fd, "a", old, 0), 0);
    ck_ok(keyfile_stat(&dir, "a", &after));
    ck_assert(!keyfile_is_same(&before, &after));
    ck_assert_int_eq(keyfile_age_ms(&after, 1000000999), 994);
    ck_assert_int_lt(keyfile_change_age_ms(&after, clock_ms()), 60000);
    put("a", "kez", 0600);
    ck_ok(keyfile_stat(&dir, "a", &before));
    ck_assert(!keyfile_is_same(&before, &after));
}
END_TEST

START_TEST(knows_loose_permissions)
{
    static const struct {
        unsigned mode;
        bool is_loose;
    } rows[] = {
        {0600, false}, {0640, false}, {0400, false}, {0440, false}, {0700, false}, {0000, false},
        {0644, true},  {0660, true},  {0650, true},  {0601, true},  {0602, true},  {0777, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct keyfile_stamp stamp = {.mode = S_IFREG | rows[i].mode, .uid = geteuid()};
        ck_assert_msg(keyfile_is_loose(&stamp) == rows[i].is_loose, "%04o", rows[i].mode);
    }
    ck_assert(keyfile_is_loose(&(struct keyfile_stamp){.mode = 0600, .uid = geteuid() + 1}));
    ck_assert(!keyfile_is_loose(&(struct keyfile_stamp){.mode = 0600, .uid = 0}));
    ck_assert(!keyfile_dir_is_loose(&dir));
    ck_assert_int_eq(fchmod(dir.fd, 0777), 0);
    ck_assert(keyfile_dir_is_loose(&dir));
}
END_TEST

START_TEST(a_file_that_may_not_be_read_says_so)
{
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0); /* the test's own process ends with it */
    struct keyfile_dir etc = {.fd = -1};
    ck_ok(keyfile_dir_open("/etc", &etc));
    AUTO(keyfile_release) struct keyfile file = {0};
    ck_err(keyfile_read(&etc, "shadow", &file), ERR_KEY_UNREADABLE);
    keyfile_dir_close(&etc);
    (void)!seteuid(0);
}
END_TEST

START_TEST(a_directory_must_be_one)
{
    struct keyfile_dir none = {.fd = -1};
    ck_err(keyfile_dir_open("/nonexistent", &none), ERR_KEY_DIR);
    ck_err(keyfile_dir_open("/dev/null", &none), ERR_KEY_DIR);
    ck_err(keyfile_dir_open("", &none), ERR_KEY_DIR);
    keyfile_dir_close(&none);
}
END_TEST

static atomic_bool is_swapping;

static void *swap(void *arg)
{
    (void)arg;
    const struct timespec pause = {.tv_nsec = 20000}; /* lets the reader run under valgrind */
    for (; is_swapping; nanosleep(&pause, NULL)) {
        renameat2(dir.fd, "a", dir.fd, "b", RENAME_EXCHANGE);
        renameat2(dir.fd, "l", dir.fd, "m", RENAME_EXCHANGE);
    }
    return NULL;
}

/*
 * However often the file and the link are swapped: a whole file from inside, never one from outside, never a mixture.
 */
START_TEST(swapping_files_while_reading_gives_whole_files_from_inside)
{
    if (_i == 1)
        forbid_openat2();
    AUTO(mem_free) char *outside = support_path(root, "outside");
    support_write(outside, "outside", 7, 0600);
    AUTO(mem_free) char *text = mem_calloc(8001, 1);
    memset(text, 'a', 8000);
    put("a", text, 0600);
    memset(text, 'b', 8000);
    put("b", text, 0600);
    link_to("a", "l");
    link_to("../outside", "m");
    pthread_t thread;
    is_swapping = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, swap, NULL), 0);
    int read = 0;
    for (int i = 0; i < 1000; i++) {
        AUTO(keyfile_release) struct keyfile file = {0};
        if (keyfile_read(&dir, i % 2 == 0 ? "a" : "l", &file) != ERR_OK)
            continue;
        read++;
        ck_assert_uint_eq(file.len, 8000);
        ck_assert_ptr_null(memchr(file.data, file.data[0] == 'a' ? 'b' : 'a', file.len));
    }
    is_swapping = false;
    pthread_join(thread, NULL);
    ck_assert_int_gt(read, 0);
}
END_TEST

static void *swap_directory(void *arg)
{
    (void)arg;
    const struct timespec pause = {.tv_nsec = 20000};
    for (; is_swapping; nanosleep(&pause, NULL))
        renameat2(dir.fd, "sub", dir.fd, "link", RENAME_EXCHANGE);
    return NULL;
}

/* A directory inside that turns into a link to one outside, between any two looks at it. */
START_TEST(swapping_a_directory_for_a_link_never_leads_outside)
{
    if (_i == 1)
        forbid_openat2();
    AUTO(mem_free) char *outside = support_path(root, "outside");
    AUTO(mem_free) char *outside_file = support_path(outside, "a");
    AUTO(mem_free) char *sub = in_dir("sub");
    ck_assert_int_eq(mkdir(outside, 0700), 0);
    ck_assert_int_eq(mkdir(sub, 0700), 0);
    support_write(outside_file, "outside", 7, 0600);
    put("sub/a", "key", 0600);
    link_to("../outside", "link");
    link_to("sub/a", "a");
    pthread_t thread;
    is_swapping = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, swap_directory, NULL), 0);
    int read = 0;
    for (int i = 0; i < 20000; i++) {
        AUTO(keyfile_release) struct keyfile file = {0};
        if (keyfile_read(&dir, "a", &file) != ERR_OK)
            continue;
        read++;
        ck_assert_msg(file.len == 3, "read %.*s", (int)file.len, file.data);
    }
    is_swapping = false;
    pthread_join(thread, NULL);
    ck_assert_int_gt(read, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("keyfile");
    TCase *tc = tcase_create("keyfile");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, reads_a_file_with_its_digest);
    tcase_add_loop_test(tc, follows_links_inside_only, 0, WAYS);
    tcase_add_loop_test(tc, a_directory_with_a_longer_name_is_outside, 0, WAYS);
    tcase_add_loop_test(tc, refuses_what_is_no_regular_file_and_never_hangs, 0, WAYS);
    tcase_add_test(tc, never_reads_more_than_64_kib);
    tcase_add_test(tc, does_not_believe_the_size);
    tcase_add_test(tc, magic_links_are_not_followed);
    tcase_add_test(tc, tells_a_changed_file);
    tcase_add_test(tc, knows_loose_permissions);
    tcase_add_test(tc, a_file_that_may_not_be_read_says_so);
    tcase_add_test(tc, a_directory_must_be_one);
    tcase_add_loop_test(tc, swapping_files_while_reading_gives_whole_files_from_inside, 0, WAYS);
    tcase_add_loop_test(tc, swapping_a_directory_for_a_link_never_leads_outside, 0, WAYS);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
