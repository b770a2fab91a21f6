/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/support.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/migrate.h"

#define DIRS_MAX 16
#define URLS_MAX 16

static char *dirs[DIRS_MAX];
static size_t dirs_count;
static char *urls[URLS_MAX];
static char *schemas[URLS_MAX];
static size_t urls_count;
static int log_fd = -1;
static bool forks;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static struct db *open_url(const char *url)
{
    struct db *db = NULL;
    char why[256] = "";
    enum err e = db_open(url, 8, why, sizeof why, &db);
    ck_assert_msg(e == ERR_OK, "%s: %s: %s", url, err_name(e), why);
    return db;
}

static const char *server_url(void)
{
    const char *url = getenv("MINTD_TEST_POSTGRES");
    ck_assert_msg(url != NULL, "MINTD_TEST_POSTGRES is not set: run the tests through make check");
    return url;
}

static void run_on_server(const char *format, const char *schema)
{
    char *sql = mem_printf(format, schema);
    struct db *db = open_url(server_url());
    ck_ok(db_script(db, sql));
    db_free(&db);
    mem_free(&sql);
}

static char *new_schema(char **name)
{
    static atomic_int count;
    *name = mem_printf("t%ld_%d", (long)getpid(), atomic_fetch_add(&count, 1));
    run_on_server("CREATE SCHEMA %s", *name);
    return mem_printf("%s&options=-csearch_path%%3D%s", server_url(), *name);
}

static void stop_log_capture(void)
{
    if (log_fd < 0)
        return;
    log_to(STDERR_FILENO);
    log_setup(LOG_INFO, LOG_TEXT);
    close(log_fd);
    log_fd = -1;
}

static void clean_up(void)
{
    clock_set(-1);
    stop_log_capture();
    for (; urls_count > 0; urls_count--) {
        if (schemas[urls_count - 1] != NULL)
            run_on_server("DROP SCHEMA %s CASCADE", schemas[urls_count - 1]);
        mem_free(&schemas[urls_count - 1]);
        mem_free(&urls[urls_count - 1]);
    }
    for (; dirs_count > 0; dirs_count--) {
        nftw(dirs[dirs_count - 1], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        mem_free(&dirs[dirs_count - 1]);
    }
}

/* Under Check's fork mode each test is a process that leaves by exit(). */
static void clean_up_at_exit(void)
{
    static pid_t owner;
    if (owner != getpid()) {
        owner = getpid();
        atexit(clean_up);
    }
}

const char *support_db_url(int engine)
{
    clean_up_at_exit();
    ck_assert_uint_lt(urls_count, URLS_MAX);
    char *url = engine == 0 ? mem_printf("sqlite:%s/test.db", support_dir()) : new_schema(&schemas[urls_count]);
    urls[urls_count++] = url;
    return url;
}

struct db *support_db(int engine)
{
    struct db *db = open_url(support_db_url(engine));
    ck_ok(migrate_run(db, migrate_list, NULL));
    return db;
}

const char *support_dir(void)
{
    clean_up_at_exit();
    ck_assert_uint_lt(dirs_count, DIRS_MAX);
    char *dir = mem_strdup("/tmp/mintd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dirs[dirs_count++] = dir;
    return dir;
}

char *support_path(const char *dir, const char *name)
{
    return mem_printf("%s/%s", dir, name);
}

char *support_read(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ck_assert_msg(fd >= 0 && fstat(fd, &st) == 0, "%s cannot be read", path);
    char *text = mem_calloc((size_t)st.st_size + 1, 1);
    ck_assert_int_eq(read(fd, text, (size_t)st.st_size), st.st_size);
    close(fd);
    if (len != NULL)
        *len = (size_t)st.st_size;
    return text;
}

void support_write(const char *path, const void *data, size_t len, unsigned mode)
{
    char *tmp = mem_printf("%s.tmp~", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_msg(fd >= 0, "%s cannot be written", tmp);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    ck_assert_int_eq(fchmod(fd, (mode_t)mode), 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(rename(tmp, path), 0);
    mem_free(&tmp);
}

char *support_data(const char *name, size_t *len)
{
    const char *root = getenv("MINTD_TEST_DATA");
    char *path = support_path(root != NULL ? root : "tests/data", name);
    char *text = support_read(path, len);
    mem_free(&path);
    return text;
}

void support_log_capture(void)
{
    log_fd = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(log_fd, 0);
    log_to(log_fd);
}

char *support_log(void)
{
    struct stat st;
    ck_assert_int_eq(fstat(log_fd, &st), 0);
    char *text = mem_calloc((size_t)st.st_size + 1, 1);
    ck_assert_int_eq(pread(log_fd, text, (size_t)st.st_size, 0), st.st_size);
    return text;
}

int64_t support_metric(const char *series)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    metrics_write(out);
    fclose(out);
    char *name = mem_printf("\n%s ", series);
    const char *line = strstr(text, name);
    ck_assert_msg(line != NULL, "there is no metric %s", series);
    int64_t value = strtoll(line + strlen(name), NULL, 10);
    mem_free(&name);
    free(text);
    return value;
}

static bool is_slow(void)
{
    return getenv("MINTD_TEST_SLOW") != NULL;
}

int support_times(int n, int few)
{
    return is_slow() ? few : n;
}

TCase *support_tcase(const char *name)
{
    TCase *tc = (tcase_create)(name);
    if (is_slow() && !forks)
        tcase_add_checked_fixture(tc, NULL, clean_up);
    return tc;
}

void support_fork(void)
{
    forks = true;
}

int support_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    if (is_slow() && !forks)
        srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
