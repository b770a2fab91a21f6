/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/* What the unit tests share. Everything made here is gone at the end of the test that made it. */

/* Loop index of tcase_add_loop_test(tc, fn, 0, SUPPORT_ENGINES): 0 SQLite, 1 PostgreSQL. */
#define SUPPORT_ENGINES 2

/* Fail the test unless call gives this error. */
#define ck_err(call, want)                                                                                             \
    do {                                                                                                               \
        enum err ck_err_got = (call);                                                                                  \
        ck_assert_msg(ck_err_got == (want), "%s gave %s, not %s", #call, err_name(ck_err_got), err_name(want));        \
    } while (0)
#define ck_ok(call) ck_err(call, ERR_OK)

/* The address of a new, empty database; for PostgreSQL a schema on the server of tests/check.sh. Owned by support. */
const char *support_db_url(int engine);

/* A new database with the whole schema; freed by the test with db_free(). */
struct db *support_db(int engine);

/* A new empty directory; owned by support. */
const char *support_dir(void);

/* DIR/NAME as a new string. */
char *support_path(const char *dir, const char *name);

/* The whole of a file; the caller frees it. len may be NULL. Fails the test when it cannot be read. */
char *support_read(const char *path, size_t *len);

/* Write a file by a temporary name and a rename, with this mode. */
void support_write(const char *path, const void *data, size_t len, unsigned mode);

/* tests/data/NAME, read. */
char *support_data(const char *name, size_t *len);

/* Collect log lines from here on; support_log() gives them so far, as one string that the caller frees. */
void support_log_capture(void);
char *support_log(void);

/* The value of a series, such as name{label="value"}, as /metrics shows it now. Fails the test when there is none. */
int64_t support_metric(const char *series);

/*
 * n; under valgrind few (of what counts down, such as a step, more): for loops in which more of the same finds nothing
 * new there.
 */
int support_times(int n, int few);

/* tcase_create() whose tests, when one process runs them all, leave nothing to the next. */
TCase *support_tcase(const char *name);
#define tcase_create(name) support_tcase(name)

/*
 * Under valgrind one process runs all tests of a program: a child for each would translate OpenSSL anew. What needs
 * children there too, such as a test of an abort or of a count since the start, says so before support_main().
 */
void support_fork(void);

/* Run the suite: the main() of each test program. */
int support_main(Suite *suite);

#endif
