/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/db_engine.h"
#include "lib/mem.h"
#include "lib/migrate.h"
#include "tests/ring.h"
#include "tests/torture/fault.h"
#include "tests/torture/scene.h"

/*
 * The n-th call of a kind fails, for every n (make torture) or for some (here): nothing crashes or leaks; what is
 * answered with the status of success has happened, whole; what is not has not happened at all, or, where the engine
 * did not say how a commit ended, whole; memory agrees with the database; and the next try, on the same connections,
 * succeeds.
 */

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* How many faults of a kind an operation meets when not all are tried. */
enum { SAMPLE = 1 };

/* Bounds on waiting while calls fail, and what they may add up to. */
enum { WAIT_MS = 200, REPLY_MS = 300, BOUND_MS = 3000 };

static struct scene scene;
static char *before;
static char *after;
static struct db_limits usual_limits;
static int faults;
static int complaints;

static bool is_whole(void)
{
    return getenv("MINTD_TORTURE") != NULL;
}

/* From one operation to the next. */
static int stride(void)
{
    return is_whole() ? 1 : support_times(1, 6);
}

static void begin(int engine)
{
    support_log_capture();
    scene_init(&scene, engine);
}

static void finish(void)
{
    mem_free(&before);
    mem_free(&after);
    scene_release(&scene);
}

static void begin_faults(enum fault_kind kind, long first, long run)
{
    static const struct db_limits short_ones = {.wait = WAIT_MS, .reply = REPLY_MS};
    usual_limits = db_limits;
    if (first > 0)
        db_limits = short_ones;
    fault_begin(kind, first, run);
}

static long end_faults(void)
{
    db_limits = usual_limits;
    return fault_end();
}

/* Run it once with faults; how many calls of the kind there were. reply may be NULL. */
static long perform(const struct scene_op *op, enum fault_kind kind, long first, long run, int *status, char **reply)
{
    struct call *c = scene_call(&scene, op);
    begin_faults(kind, first, run);
    *status = scene_run(c);
    long calls = end_faults();
    if (reply != NULL)
        *reply = mem_strdup(c->reply);
    scene_call_free(&c);
    return calls;
}

/* What the operation does when all goes well; how many calls may fail. */
static long learn(const struct scene_op *op, enum fault_kind kind)
{
    mem_free(&before);
    mem_free(&after);
    scene_reset(&scene);
    before = scene_state(&scene);
    int status = 0;
    char *reply = NULL;
    long calls = perform(op, kind, 0, 0, &status, &reply);
    ck_assert_msg(status == op->want, "%s: %d %s", op->name, status, reply);
    mem_free(&reply);
    after = scene_state(&scene);
    return calls;
}

static bool is_success(const struct scene_op *op, int status, const char *reply)
{
    return status == op->want && (op->says == NULL || (reply != NULL && strstr(reply, op->says) != NULL));
}

static bool is_refusal(const struct scene_op *op, enum fault_kind kind, int status)
{
    if (status == 500 || status == 503)
        return true;
    return op->may_refuse && kind != FAULT_STORAGE && kind != FAULT_FILE && (status == 401 || status == 400);
}

/* A commit of which nobody knows how it ended: the answer was lost. */
static bool may_be_unknown(enum fault_kind kind, int status)
{
    return strcmp(db_engine(scene.f.db), "postgresql") == 0 && kind != FAULT_OPENSSL && status == 503;
}

/* Tell of what is wrong and go on: one run shows all of it. */
static void complain(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(const char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "  %s: ", what);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    complaints++;
}

/* The lines of text that other has not. */
static char *lines_apart(const char *text, const char *other)
{
    char *out = mem_strdup("");
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        AUTO(mem_free) char *copy = mem_strndup(line, strcspn(line, "\n") + 1);
        if (strstr(other, copy) != NULL)
            continue;
        char *longer = mem_printf("%s  %s", out, copy);
        mem_free(&out);
        out = MOVE(longer);
    }
    return out;
}

static void check_state(const char *what, const char *state, const char *want)
{
    if (strcmp(state, want) == 0)
        return;
    AUTO(mem_free) char *more = lines_apart(state, want);
    AUTO(mem_free) char *missing = lines_apart(want, state);
    complain(what, "there is\n%s  in place of\n%s", more, missing);
}

/* What was done, and how it was answered, fit together. */
static void check_outcome(const struct scene_op *op, enum fault_kind kind, int status, const char *reply,
                          const char *state, const char *what)
{
    bool is_done = is_success(op, status, reply);
    if (!is_done && !is_refusal(op, kind, status))
        complain(what, "%s", reply);
    bool is_after = strcmp(state, after) == 0;
    bool may_be_after = may_be_unknown(kind, status) || op->may_remain;
    if (!is_done && !(is_after && may_be_after))
        check_state(what, state, before);
    else if (!op->is_best_effort || is_after)
        check_state(what, state, after);
    else
        check_state(what, state, before);
}

/* Without faults it is done, and then there is what should be, and a list has nothing that it had not before. */
static void check_recovery(const struct scene_op *op, bool was_done, const char *reply, const char *what)
{
    int status = 0;
    AUTO(mem_free) char *again = NULL;
    perform(op, FAULT_STORAGE, 0, 0, &status, &again);
    if (!is_success(op, status, again))
        complain(what, "and the next try %d %s", status, again);
    AUTO(mem_free) char *state = scene_state(&scene);
    check_state(what, state, after);
    bool is_list = strcmp(before, after) == 0 && reply != NULL && again != NULL && op->method != NULL;
    if (was_done && is_list && strcmp(reply, again) != 0)
        complain(what, "%s, and then %s", reply, again);
}

static void suffer(const struct scene_op *op, enum fault_kind kind, long first, long run)
{
    scene_reset(&scene);
    int status = 0;
    AUTO(mem_free) char *reply = NULL;
    int64_t begin_ns = clock_mono_ns();
    perform(op, kind, first, run, &status, &reply);
    int64_t took_ms = (clock_mono_ns() - begin_ns) / 1000000;
    AUTO(mem_free)
    char *what = mem_printf("%s: %s call %ld (%s) failed%s, answered %d", op->name, fault_kind_name(kind), first,
                            fault_name(), run > 1 ? " and all after it" : "", status);
    if (took_ms > BOUND_MS)
        complain(what, "it took %d ms", (int)took_ms);
    AUTO(mem_free) char *state = scene_state(&scene);
    check_outcome(op, kind, status, reply, state, what);
    const char *which = scene_dishonest(&scene);
    if (which != NULL)
        complain(what, "what is remembered of the %s is wrong", which);
    if (strcmp(state, before) == 0)
        check_recovery(op, is_success(op, status, reply), reply, what);
    faults++;
}

static void torture(const struct scene_op *op, enum fault_kind kind, int number)
{
    long calls = learn(op, kind);
    long step = is_whole() ? 1 : calls / SAMPLE + 1;
    /* not the same places in each operation */
    long first = is_whole() ? 1 : 1 + (number * 7 + (int)kind) % step;
    for (long n = first; n <= calls; n += step) {
        suffer(op, kind, n, 1);
        if (kind != FAULT_MALLOC)
            suffer(op, kind, n, LONG_MAX - n);
    }
}

static void torture_all(int engine, enum fault_kind kind)
{
    const char *only = getenv("MINTD_TORTURE_ONLY");
    const char *only_kind = getenv("MINTD_TORTURE_KIND");
    if (only_kind != NULL && *only_kind != '\0' && strcmp(only_kind, fault_kind_name(kind)) != 0)
        return;
    begin(engine);
    for (int i = 0; scene_ops[i].name != NULL; i++)
        if (i % stride() == 0 && (only == NULL || strstr(scene_ops[i].name, only) != NULL))
            torture(&scene_ops[i], kind, i);
    finish();
    fprintf(stderr, "%s, %s: %d faults\n", engine == 0 ? "SQLite" : "PostgreSQL", fault_kind_name(kind), faults);
    ck_assert_msg(complaints == 0, "%d complaints about %d faults, see above", complaints, faults);
}

START_TEST(storage_may_fail_at_any_call)
{
    torture_all(_i, FAULT_STORAGE);
}
END_TEST

START_TEST(openssl_may_fail_at_any_call)
{
    torture_all(_i, FAULT_OPENSSL);
}
END_TEST

START_TEST(files_and_sockets_may_fail_at_any_call)
{
    torture_all(_i, FAULT_FILE);
}
END_TEST

START_TEST(libraries_may_run_out_of_memory_at_any_call)
{
    if (fault_has_malloc())
        torture_all(_i, FAULT_MALLOC);
}
END_TEST

/* our own memory: the program ends, with one line, and leaves a state that is whole */

enum { ENDED_WELL = 7, ENDED_SILENTLY, ENDED_HALFWAY };

static int ending; /* what it says on stderr */

static bool is_saying(const char *text)
{
    char said[256] = "";
    return pread(ending, said, sizeof said - 1, 0) > 0 && strstr(said, text) != NULL;
}

static _Noreturn void end(bool is_heard)
{
    fault_end();
    alarm(10);
    fault_forgive_leaks();
    char *state = scene_state(&scene);
    if (strcmp(state, before) != 0 && strcmp(state, after) != 0)
        exit(ENDED_HALFWAY);
    exit(is_heard ? ENDED_WELL : ENDED_SILENTLY);
}

/* By now the process is as good as dead: what is asked here is another connection. */
static void on_abort(int number)
{
    (void)number;
    end(is_saying("mintd: "));
}

/* In a process of its own, without memory from some allocation on. */
static void starve(const struct scene_op *op, int engine, int number)
{
    begin(engine);
    long calls = learn(op, FAULT_OWN_MALLOC);
    scene_reset(&scene);
    ending = memfd_create("stderr", MFD_CLOEXEC);
    dup2(ending, STDERR_FILENO);
    signal(SIGABRT, on_abort);
    int status = 0;
    perform(op, FAULT_OWN_MALLOC, 1 + number % calls, LONG_MAX / 2, &status, NULL);
    end(true); /* nothing was asked for behind that place, or a line for the log */
}

static int end_of(const struct scene_op *op, int engine, int number)
{
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        starve(op, engine, number);
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

START_TEST(without_memory_of_its_own_it_ends_and_says_so)
{
    int rounds = is_whole() ? 20 : 1; /* of each third operation: each is a process */
    for (int i = 0; fault_has_malloc() && scene_ops[i].name != NULL; i++)
        for (int n = 0; n < rounds && (is_whole() || i % 3 == 0); n++) {
            int end = end_of(&scene_ops[i], _i, n * 11 + i);
            ck_assert_msg(end == ENDED_WELL, "%s, own malloc call %d failed: ended by %d", scene_ops[i].name,
                          n * 11 + i + 1, end);
        }
}
END_TEST

/* keys */

static const enum fault_kind key_faults[] = {FAULT_OPENSSL, FAULT_FILE, FAULT_MALLOC};

/* A key comes while the n-th call fails. How many calls there were. */
static long reload_with(enum fault_kind kind, long first, long run)
{
    ring_put("private.id.2.pem", ring_pem(1));
    fault_begin(kind, first, run);
    enum err e = keyring_reload(ring);
    long calls = fault_end();
    AUTO(mem_free)
    char *what = mem_printf("%s call %ld (%s): %s", fault_kind_name(kind), first, fault_name(), err_name(e));
    AUTO(mem_free) char *log = support_log();
    ck_assert_msg(ring_is(1, ring_pem(0)), "%s: the key in use is gone: %s", what, log);
    ck_assert_msg(!ring_has(2) || ring_is(2, ring_pem(1)), "%s: there is half a key", what);
    ring_reload();
    ck_assert_msg(ring_is(2, ring_pem(1)) && ring_signer() == 2, "%s: the key is not taken up later", what);
    ring_remove("private.id.2.pem");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 1);
    return calls;
}

START_TEST(a_reload_may_fail_at_any_call)
{
    enum fault_kind kind = key_faults[_i];
    ring_set_up();
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    long calls = reload_with(kind, 0, 0);
    long step = is_whole() ? 1 : calls / support_times(40, 4) + 1;
    for (long n = 1; n <= calls; n += step) {
        reload_with(kind, n, 1);
        reload_with(kind, n, LONG_MAX - n);
    }
    ring_tear_down();
}
END_TEST

/* migrations */

static struct db *empty_db(const char *url, long n)
{
    AUTO(mem_free) char *file = mem_printf("%s%ld", url, n);
    bool is_file = strncmp(url, "sqlite:", strlen("sqlite:")) == 0;
    struct db *db = NULL;
    char why[256];
    ck_ok(db_open(is_file ? file : url, 2, why, sizeof why, &db));
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    if (is_file)
        return db;
    ck_ok(db_query(db, "SELECT current_schema()", DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    const char *schema = db_rows_text(rows, 0);
    AUTO(mem_free) char *sql = mem_printf("DROP SCHEMA %s CASCADE; CREATE SCHEMA %s", schema, schema);
    ck_ok(db_script(db, sql));
    return db;
}

/* How many calls there were. */
static long migrate_with(const char *url, enum fault_kind kind, long first, long run)
{
    AUTO(db_free) struct db *db = empty_db(url, first);
    begin_faults(kind, first, run);
    enum err e = migrate_run(db, migrate_list, NULL);
    long calls = end_faults();
    if (e == ERR_OK)
        ck_ok(migrate_check(db, migrate_list));
    e = migrate_run(db, migrate_list, NULL);
    ck_assert_msg(e == ERR_OK, "%s call %ld (%s): and then %s", fault_kind_name(kind), first, fault_name(),
                  err_name(e));
    ck_ok(migrate_check(db, migrate_list));
    return calls;
}

static const enum fault_kind db_faults[] = {FAULT_STORAGE, FAULT_FILE, FAULT_MALLOC};

START_TEST(a_migration_may_fail_at_any_call)
{
    enum fault_kind kind = db_faults[_i % COUNT(db_faults)];
    support_log_capture();
    const char *url = support_db_url(_i / COUNT(db_faults));
    long calls = migrate_with(url, kind, 0, 0);
    long step = is_whole() ? 1 : calls / support_times(6, 1) + 1;
    for (long n = 1; n <= calls; n += step)
        migrate_with(url, kind, n, 1);
}
END_TEST

START_TEST(a_token_in_memory_takes_no_memory_but_its_digests)
{
    static const char *const names[] = {"verify", "verify a device"};
    int seen = 0;
    if (!fault_has_malloc())
        return;
    begin(_i);
    for (const struct scene_op *op = scene_ops; op->name != NULL; op++) {
        if (strcmp(op->name, names[seen]) != 0)
            continue;
        struct scene_op warm = *op;
        warm.is_cold = false;
        int status = 0;
        scene_reset(&scene);
        (void)perform(&warm, FAULT_MALLOC, 0, 0, &status, NULL);
        ck_assert_int_eq(perform(&warm, FAULT_MALLOC, 0, 0, &status, NULL), 0);
        ck_assert_int_eq(status, 200);
        /* for each digest OpenSSL 3.0 makes a new state, without which the program cannot go on */
        ck_assert_int_le(perform(&warm, FAULT_OWN_MALLOC, 0, 0, &status, NULL), 1);
        if (++seen == COUNT(names))
            break;
    }
    ck_assert_int_eq(seen, COUNT(names));
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("torture");
    TCase *tc = tcase_create("torture");
    tcase_set_timeout(tc, is_whole() ? 3600 : 120);
    tcase_add_loop_test(tc, a_token_in_memory_takes_no_memory_but_its_digests, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, storage_may_fail_at_any_call, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, openssl_may_fail_at_any_call, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, files_and_sockets_may_fail_at_any_call, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, libraries_may_run_out_of_memory_at_any_call, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, without_memory_of_its_own_it_ends_and_says_so, 0, is_whole() ? SUPPORT_ENGINES : 1);
    tcase_add_loop_test(tc, a_reload_may_fail_at_any_call, 0, COUNT(key_faults));
    tcase_add_loop_test(tc, a_migration_may_fail_at_any_call, 0, SUPPORT_ENGINES * COUNT(db_faults));
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    support_fork(); /* what fails leaves nothing that the next test may build on */
    return support_main(suite());
}
