/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/ring.h"
#include "tests/support.h"

/* Whatever happens to the files: the last good keys serve, the fault is told, and good files are taken up again. */

static void write_in_place(const char *name, const char *text, size_t len)
{
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static bool is_clean(void)
{
    struct keyring_view view = keyring_acquire(ring);
    bool clean = keyset_is_clean(view.set);
    keyring_release(&view);
    return clean;
}

/* opening */

static void expect_no_ring(enum err want, const char *file, const char *reason)
{
    ck_err(keyring_open(&ring_config, &ring), want);
    ck_assert_ptr_null(ring);
    ck_assert_int_eq(ring_logged("ring=", NULL), 1);
    ck_assert_int_eq(ring_logged(" error ", "the key ring cannot be used", file, reason, NULL), 1);
}

START_TEST(no_key_at_the_start_is_one_line)
{
    expect_no_ring(ERR_KEY_NONE, ring_dir, err_text(ERR_KEY_NONE));
}
END_TEST

START_TEST(only_bad_keys_at_the_start_is_one_line_with_the_reason)
{
    ring_put("private.id.1.pem", "junk");
    expect_no_ring(ERR_KEY_NONE, "private.id.1.pem", err_text(ERR_KEY_NOT_PEM));
}
END_TEST

START_TEST(a_missing_directory_at_the_start)
{
    ring_config.dir = "/nonexistent/keys";
    expect_no_ring(ERR_KEY_DIR, "/nonexistent/keys", err_text(ERR_KEY_DIR));
}
END_TEST

START_TEST(no_directory_at_all)
{
    ring_config.dir = NULL;
    expect_no_ring(ERR_KEY_DIR, "file=", err_text(ERR_KEY_DIR));
}
END_TEST

START_TEST(a_bad_pattern_at_the_start)
{
    ring_config.pattern = "key([0-9]+";
    expect_no_ring(ERR_PATTERN, "key([0-9]+", "at offset 10");
}
END_TEST

START_TEST(a_pattern_without_a_group_at_the_start)
{
    ring_config.pattern = "private[.]pem";
    expect_no_ring(ERR_PATTERN_GROUP, "private[.]pem", err_text(ERR_PATTERN_GROUP));
}
END_TEST

static const struct {
    const char *signing, *default_key, *fallback;
    enum err e;
} configured[] = {
    {"none.pem", NULL, NULL, ERR_KEY_MISSING},           {"dangling.pem", NULL, NULL, ERR_KEY_MISSING},
    {"loop.pem", NULL, NULL, ERR_KEY_OUTSIDE},           {"private.id.9.pem", NULL, NULL, ERR_KEY_MISSING},
    {"to-9.pem", NULL, NULL, ERR_KEY_MISSING},           {"private.id.2.pem", NULL, NULL, ERR_KEY_NOT_PEM},
    {"private.id.3.pem", NULL, NULL, ERR_KEY_DUPLICATE}, {"private.id..pem", NULL, NULL, ERR_KEY_ID},
    {"junk.pem", NULL, NULL, ERR_KEY_NOT_PEM},           {"fifo.pem", NULL, NULL, ERR_KEY_NOT_FILE},
    {NULL, "none.pem", NULL, ERR_KEY_MISSING},           {NULL, "junk.pem", NULL, ERR_KEY_NOT_PEM},
    {NULL, NULL, "none.pem", ERR_KEY_MISSING},           {NULL, NULL, "junk.pem", ERR_KEY_NOT_PEM},
    {NULL, NULL, "no/x.pem", ERR_KEY_UNREADABLE},
};
#define CONFIGURED (sizeof configured / sizeof *configured)

START_TEST(a_configured_file_that_is_bad_stops_the_start)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", "junk");
    ring_put("private.id.3.pem", ring_pem(1));
    ring_put("private.id.03.pem", ring_pem(2));
    ring_put("junk.pem", "junk");
    ring_link("nowhere.pem", "dangling.pem");
    ring_link("loop.pem", "loop.pem");
    ring_link("private.id.9.pem", "to-9.pem");
    ck_assert_int_eq(mkfifo(ring_path("fifo.pem"), 0600), 0);
    const char *name = NULL;
    if (configured[_i].signing != NULL)
        ring_config.signing_path = name = ring_path(configured[_i].signing);
    if (configured[_i].default_key != NULL)
        ring_config.default_path = name = ring_path(configured[_i].default_key);
    if (configured[_i].fallback != NULL)
        ring_config.fallback_path = name = ring_path(configured[_i].fallback);
    expect_no_ring(configured[_i].e, name, err_text(configured[_i].e));
}
END_TEST

/* files that are refused */

START_TEST(bad_files_are_reported_with_their_reason_and_hurt_nobody)
{
    AUTO(mem_free) char *two = mem_printf("%s%s", ring_pem(0), ring_pem(1));
    AUTO(mem_free) char *garbage = mem_printf("%sgarbage\n", ring_pem(0));
    static const char encrypted[] =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAc\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n";
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", two);
    ring_put("private.id.3.pem", garbage);
    ring_put("private.id.4.pem", "");
    ring_put("private.id.5.pem", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n");
    ring_put("private.id.6.pem", encrypted);
    ck_assert_int_eq(mkfifo(ring_path("private.id.7.pem"), 0600), 0);
    ck_assert_int_eq(mkdir(ring_path("private.id.8.pem"), 0700), 0);
    ring_link("/dev/zero", "private.id.9.pem");
    ring_link("nowhere", "private.id.10.pem");
    ring_link("private.id.11.pem", "private.id.11.pem");
    ring_link("/etc/hostname", "private.id.12.pem");
    ring_put("private.id.13.pem", "x");
    ck_assert_int_eq(truncate(ring_path("private.id.13.pem"), 1 << 30), 0);
    ring_open();
    static const struct {
        const char *file;
        enum err e;
    } rows[] = {
        {"private.id.2.pem", ERR_KEY_TRAILING},  {"private.id.3.pem", ERR_KEY_TRAILING},
        {"private.id.4.pem", ERR_KEY_NOT_PEM},   {"private.id.5.pem", ERR_KEY_NOT_PEM},
        {"private.id.6.pem", ERR_KEY_ENCRYPTED}, {"private.id.7.pem", ERR_KEY_NOT_FILE},
        {"private.id.8.pem", ERR_KEY_NOT_FILE},  {"private.id.9.pem", ERR_KEY_NOT_FILE},
        {"private.id.10.pem", ERR_KEY_MISSING},  {"private.id.11.pem", ERR_KEY_OUTSIDE},
        {"private.id.12.pem", ERR_KEY_OUTSIDE},  {"private.id.13.pem", ERR_KEY_FILE_SIZE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_msg(ring_reason(rows[i].file) == rows[i].e, "%s: %s", rows[i].file,
                      err_name(ring_reason(rows[i].file)));
        ck_assert_int_eq(ring_logged("key refused", rows[i].file, err_text(rows[i].e), NULL), 1);
    }
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert(!is_clean());
}
END_TEST

START_TEST(line_ends_and_marks_of_other_systems)
{
    AUTO(mem_free) char *crlf = mem_calloc(2 * strlen(ring_pem(0)) + 1, 1);
    for (size_t i = 0, n = 0; ring_pem(0)[i] != '\0'; i++) {
        if (ring_pem(0)[i] == '\n')
            crlf[n++] = '\r';
        crlf[n++] = ring_pem(0)[i];
    }
    AUTO(mem_free) char *bom = mem_printf("\xef\xbb\xbf%s", ring_pem(1));
    ring_put("private.id.1.pem", crlf);
    ring_put("private.id.2.pem", bom);
    ring_put("private.id.3.pem", ring_pem(2));
    ring_open();
    ck_assert(ring_is(1, ring_pem(0)));
    ck_assert_int_ne(ring_reason("private.id.2.pem"), ERR_NOT_FOUND);
    ck_assert_int_eq(ring_signer(), 3);
}
END_TEST

START_TEST(two_new_files_of_one_id_are_both_refused)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.7.pem", ring_pem(1));
    ring_put("private.id.007.pem", ring_pem(2));
    ring_open();
    ck_assert(!ring_has(7) && ring_signer() == 1);
    ck_assert_int_eq(ring_reason("private.id.7.pem"), ERR_KEY_DUPLICATE);
    ck_assert_int_eq(ring_reason("private.id.007.pem"), ERR_KEY_DUPLICATE);
    ck_assert_int_eq(ring_logged("key refused", "file=private.id.7.pem", "other=private.id.007.pem", NULL), 1);
    ck_assert_int_eq(ring_logged("key refused", "file=private.id.007.pem", "other=private.id.7.pem", NULL), 1);
    ring_remove("private.id.007.pem");
    ring_reload();
    ck_assert(ring_is(7, ring_pem(1)) && ring_signer() == 7);
    ck_assert(is_clean());
}
END_TEST

START_TEST(of_two_files_of_one_id_the_one_in_use_stays)
{
    ring_put("private.id.7.pem", ring_pem(0));
    ring_open();
    ring_put("private.id.07.pem", ring_pem(1));
    ring_reload();
    ck_assert(ring_is(7, ring_pem(0)));
    ck_assert_int_eq(ring_reason("private.id.7.pem"), ERR_OK);
    ck_assert_int_eq(ring_reason("private.id.07.pem"), ERR_KEY_DUPLICATE);
    ring_remove("private.id.7.pem");
    ring_reload();
    ck_assert(ring_is(7, ring_pem(1)));
    ck_assert(is_clean());
}
END_TEST

START_TEST(the_default_key_wins_over_a_file_numbered_0)
{
    ring_put("private.pem", ring_pem(0));
    ring_put("private.id.0.pem", ring_pem(1));
    ring_open();
    ck_assert(ring_is(0, ring_pem(0)));
    ck_assert_int_eq(ring_reason("private.id.0.pem"), ERR_KEY_DUPLICATE);
    ring_remove("private.pem");
    ring_reload();
    ck_assert(ring_is(0, ring_pem(1)));
    ring_put("private.pem", ring_pem(0));
    ring_reload();
    ck_assert(ring_is(0, ring_pem(1)));
    ck_assert_int_eq(ring_reason("private.pem"), ERR_KEY_DUPLICATE);
}
END_TEST

/* limits and permissions */

START_TEST(keys_beyond_the_limit_are_refused_but_never_one_in_use)
{
    ring_config.keys_max = 5;
    for (int i = 3; i <= 6; i++) {
        AUTO(mem_free) char *name = mem_printf("private.id.%d.pem", i);
        ring_put(name, ring_pem(i));
    }
    ring_open();
    ck_assert_int_eq(ring_logged("near or over the limit", "files=4", "limit=5", NULL), 1);
    ring_put("private.id.1.pem", ring_pem(1));
    ring_put("private.id.2.pem", ring_pem(2));
    ring_reload();
    ck_assert(ring_has(1) && ring_has(3) && ring_has(6));
    ck_assert_int_eq(ring_reason("private.id.2.pem"), ERR_KEY_LIMIT);
    ring_put("private.id.8.pem", ring_pem(8));
    ring_reload();
    ck_assert(ring_signer() == 6 && ring_has(1) && ring_has(3) && !ring_has(8));
    ck_assert_int_eq(ring_reason("private.id.8.pem"), ERR_KEY_LIMIT);
    ck_assert_int_eq(ring_logged("near or over the limit", NULL), 1);
    ring_remove("private.id.3.pem");
    ring_reload();
    ck_assert(ring_signer() == 8 && !ring_has(2));
    ring_remove("private.id.4.pem");
    ring_reload();
    ck_assert(is_clean() && ring_has(2));
}
END_TEST

START_TEST(three_thousand_files_are_a_handful_of_lines)
{
    ring_config.keys_max = 10;
    for (int i = 1; i <= 3000; i++) {
        AUTO(mem_free) char *path = mem_printf("%s/private.id.%d.pem", ring_dir, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        if (i >= 2991)
            ck_assert_int_eq(write(fd, ring_pem(0), strlen(ring_pem(0))), (ssize_t)strlen(ring_pem(0)));
        close(fd);
    }
    ring_open();
    ck_assert_int_eq(ring_signer(), 3000);
    ck_assert_int_le(ring_logged("ring=useradm", NULL), 120);
    ck_assert_int_eq(ring_logged("more key files refused", NULL), 1);
    int64_t start = clock_mono_ms();
    ring_reload();
    ck_assert_int_lt(clock_mono_ms() - start, 5000);
}
END_TEST

START_TEST(loose_permissions_are_a_warning_once)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ck_assert_int_eq(chmod(ring_path("private.id.1.pem"), 0644), 0);
    ck_assert_int_eq(chmod(ring_dir, 0777), 0);
    ring_open();
    ring_reload();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert_int_eq(ring_logged("accessible to others", "file=private.id.1.pem", "mode=0644", NULL), 1);
    ck_assert_int_eq(ring_logged("writable by everybody", NULL), 1);
}
END_TEST

START_TEST(loose_permissions_are_refused_when_strict)
{
    ring_config.strict_permissions = true;
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ck_assert_int_eq(chmod(ring_path("private.id.2.pem"), 0660), 0);
    ring_open();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert_int_eq(ring_reason("private.id.2.pem"), ERR_KEY_MODE);
    ck_assert_int_eq(chmod(ring_path("private.id.2.pem"), 0640), 0);
    ring_reload();
    ck_assert_int_eq(ring_signer(), 2);
    ck_assert_int_eq(chmod(ring_dir, 0777), 0);
    ck_err(keyring_reload(ring), ERR_KEY_MODE);
    ck_assert(ring_has(1) && ring_signer() == 2 && !is_clean());
    keyring_free(&ring);
    ck_err(keyring_open(&ring_config, &ring), ERR_KEY_MODE);
}
END_TEST

START_TEST(a_file_of_another_user_is_loose)
{
    if (geteuid() != 0)
        return;
    ring_config.strict_permissions = true;
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ck_assert_int_eq(chown(ring_path("private.id.2.pem"), 65534, 65534), 0);
    ring_open();
    ck_assert_int_eq(ring_reason("private.id.2.pem"), ERR_KEY_MODE);
}
END_TEST

START_TEST(a_pattern_without_end_is_reported)
{
    ring_config.pattern = "private\\.id\\.([0-9]+)\\.pem|(a+)+$";
    ring_config.pattern_unanchored = true;
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "x");
    ring_open();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert_int_eq(ring_reason("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"),
                     ERR_PATTERN_LIMIT);
}
END_TEST

/* holding on */

START_TEST(a_file_that_turns_bad_keeps_its_key_until_it_is_good_again)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_open();
    struct keyring_view view = keyring_acquire(ring);
    uint64_t serial = key_serial(keyset_find(view.set, 1));
    keyring_release(&view);
    ring_put("private.id.1.pem", "broken");
    ring_put("private.id.2.pem", "broken");
    ring_reload();
    ck_assert(ring_is(1, ring_pem(0)) && ring_is(2, ring_pem(1)) && ring_signer() == 2);
    ck_assert(ring_is_held("private.id.1.pem") && ring_reason("private.id.1.pem") == ERR_KEY_NOT_PEM);
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(3));
    ring_reload();
    ck_assert(is_clean() && ring_is(2, ring_pem(3)));
    view = keyring_acquire(ring);
    ck_assert_uint_eq(key_serial(keyset_find(view.set, 1)), serial);
    keyring_release(&view);
    ring_put("private.id.1.pem", "broken");
    ring_reload();
    ring_remove("private.id.1.pem");
    ring_reload();
    ck_assert(!ring_has(1) && is_clean());
}
END_TEST

START_TEST(the_key_that_a_path_names_signs_on_when_its_file_is_gone)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_link("private.id.1.pem", "active.pem");
    ring_config.signing_path = ring_path("active.pem");
    ring_open();
    ring_remove("private.id.1.pem");
    for (int i = 0; i < 3; i++)
        ring_reload();
    ck_assert(ring_signer() == 1 && ring_is(1, ring_pem(0)) && ring_has(2));
    ck_assert(ring_is_held("private.id.1.pem") && ring_reason("private.id.1.pem") == ERR_KEY_MISSING);
    ck_assert_int_eq(ring_logged("key held", NULL), 1);
    ring_link("private.id.2.pem", "active.pem");
    ring_reload();
    ck_assert(ring_signer() == 2 && !ring_has(1) && is_clean());
}
END_TEST

START_TEST(a_signing_path_that_leads_nowhere_changes_nothing)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.pem", ring_pem(1));
    ring_link("private.id.1.pem", "active.pem");
    ring_config.signing_path = ring_path("active.pem");
    ring_open();
    ring_remove("active.pem");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert_int_eq(ring_reason("active.pem"), ERR_KEY_MISSING);
    ring_link("private.id.8.pem", "active.pem");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert_int_eq(ring_reason("private.id.8.pem"), ERR_KEY_MISSING);
    ring_put("private.id.8.pem", "not yet");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert_int_eq(ring_reason("private.id.8.pem"), ERR_KEY_NOT_PEM);
    ring_put("private.id.8.pem", ring_pem(2));
    ring_reload();
    ck_assert(ring_signer() == 8 && is_clean());
}
END_TEST

START_TEST(key_0_that_signs_is_held_when_its_file_is_gone)
{
    ring_put("signing.pem", ring_pem(0));
    ring_put("private.id.3.pem", ring_pem(1));
    ring_config.signing_path = ring_path("signing.pem");
    ring_open();
    ring_remove("signing.pem");
    ring_reload();
    ck_assert(ring_signer() == 0 && ring_is(0, ring_pem(0)) && ring_has(3));
    ck_assert(ring_is_held("signing.pem"));
    ring_put("signing.pem", ring_pem(2));
    ring_reload();
    ck_assert(ring_is(0, ring_pem(2)) && is_clean());
}
END_TEST

static const char *const ways_to_sign[] = {NULL, "private.id.2.pem", "private.pem"};

START_TEST(an_emptied_directory_changes_no_key)
{
    if (ways_to_sign[_i] != NULL)
        ring_config.signing_path = ring_path(ways_to_sign[_i]);
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_put("private.pem", ring_pem(2));
    ring_open();
    int64_t signer = ring_signer();
    ring_remove("private.id.1.pem");
    ring_remove("private.id.2.pem");
    ring_remove("private.pem");
    for (int i = 0; i < 3; i++)
        ck_err(keyring_reload(ring), ERR_KEY_NONE);
    ck_assert(ring_is(0, ring_pem(2)) && ring_is(1, ring_pem(0)) && ring_is(2, ring_pem(1)));
    ck_assert_int_eq(ring_signer(), signer);
    ck_assert(!is_clean() && ring_is_held("private.id.1.pem"));
    ck_assert_int_eq(ring_logged(" error ", "the last good keys stay", NULL), 1);
    ring_put("private.id.2.pem", ring_pem(1));
    ring_reload();
    ck_assert(ring_has(2) && !ring_has(1));
    ck_assert_int_eq(ring_logged("usable again", NULL), 1);
}
END_TEST

START_TEST(an_emptied_directory_does_not_hand_over_to_a_default_key_elsewhere)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "old.pem");
    support_write(path, ring_pem(0), strlen(ring_pem(0)), 0600);
    ring_config.default_path = path;
    ring_put("private.id.2.pem", ring_pem(1));
    ring_open();
    ring_remove("private.id.2.pem");
    ck_err(keyring_reload(ring), ERR_KEY_NONE);
    ck_assert(ring_signer() == 2 && ring_is(0, ring_pem(0)) && ring_is_held("private.id.2.pem"));
}
END_TEST

START_TEST(a_directory_that_is_gone_changes_no_key)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_put("private.id.3.pem", "junk");
    ring_open();
    AUTO(mem_free) char *away = mem_printf("%s.away", ring_dir);
    ck_assert_int_eq(rename(ring_dir, away), 0);
    for (int i = 0; i < 3; i++)
        ck_err(keyring_reload(ring), ERR_KEY_DIR);
    support_write(ring_dir, "", 0, 0600);
    ck_err(keyring_reload(ring), ERR_KEY_DIR);
    ck_assert(ring_is(1, ring_pem(0)) && ring_is(2, ring_pem(1)) && ring_signer() == 2 && !is_clean());
    ck_assert_int_eq(ring_logged("the last good keys stay", err_text(ERR_KEY_DIR), NULL), 1);
    ck_assert_int_eq(unlink(ring_dir), 0);
    ck_assert_int_eq(rename(away, ring_dir), 0);
    ring_reload();
    ck_assert(!ring_is_held("private.id.1.pem") && ring_signer() == 2);
    ck_assert_int_eq(ring_logged("key refused", NULL), 1);
    ck_assert_int_eq(ring_logged("usable again", NULL), 1);
    ck_assert_int_eq(ring_logged("key accepted", NULL), 2);
    ck_assert_int_eq(ring_logged("key held", NULL), 0);
}
END_TEST

/* ways to write */

START_TEST(a_file_still_being_written_is_not_reported)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    const char *pem = ring_pem(RING_RSA);
    uint64_t generation = keyring_generation(ring);
    for (size_t len = 0; len < strlen(pem); len += 97) {
        write_in_place("private.id.2.pem", pem, len);
        ring_reload();
        ck_assert(ring_signer() == 1 && is_clean());
        ck_assert_uint_eq(keyring_generation(ring), generation);
    }
    write_in_place("private.id.2.pem", pem, strlen(pem));
    ring_reload();
    ck_assert(ring_signer() == 2 && ring_is(2, pem));
    ck_assert_int_eq(ring_logged("key refused", NULL), 0);
}
END_TEST

START_TEST(a_file_left_half_written_is_reported)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    write_in_place("private.id.2.pem", ring_pem(1), 40);
    ring_reload();
    ck_assert_int_eq(ring_reason("private.id.2.pem"), ERR_NOT_FOUND);
    ring_age("private.id.2.pem");
    ring_reload();
    ck_assert_int_eq(ring_reason("private.id.2.pem"), ERR_KEY_NOT_PEM);
    write_in_place("private.id.2.pem", ring_pem(1), strlen(ring_pem(1)));
    ring_reload();
    ck_assert(ring_signer() == 2 && is_clean());
}
END_TEST

START_TEST(a_key_overwritten_in_place_serves_until_the_new_one_is_whole)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    const char *pem = ring_pem(1);
    for (size_t len = 0; len + 2 < strlen(pem); len++) {
        write_in_place("private.id.1.pem", pem, len);
        ring_reload();
        ck_assert(ring_is(1, ring_pem(0)) && is_clean());
    }
    write_in_place("private.id.1.pem", pem, strlen(pem));
    ring_reload();
    ck_assert(ring_is(1, pem));
}
END_TEST

/* As a Kubernetes secret: names are links through ..data, which is swapped whole. */
static void make_version(const char *version, const char *one, const char *two)
{
    AUTO(mem_free) char *dir = support_path(ring_dir, version);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    AUTO(mem_free) char *first = support_path(dir, "private.id.1.pem");
    AUTO(mem_free) char *second = support_path(dir, "private.id.2.pem");
    support_write(first, one, strlen(one), 0600);
    support_write(second, two, strlen(two), 0600);
}

START_TEST(a_kubernetes_secret_is_swapped_whole)
{
    make_version("..v1", ring_pem(0), ring_pem(1));
    make_version("..v2", ring_pem(2), ring_pem(3));
    ring_link("..v1", "..data");
    ring_link("..data/private.id.1.pem", "private.id.1.pem");
    ring_link("..data/private.id.2.pem", "private.id.2.pem");
    ring_config.signing_path = ring_path("private.id.1.pem");
    ring_open();
    ck_assert(ring_is(1, ring_pem(0)) && ring_is(2, ring_pem(1)) && ring_signer() == 1);
    ring_link("..v2", "..data");
    ring_reload();
    ck_assert(ring_is(1, ring_pem(2)) && ring_is(2, ring_pem(3)) && ring_signer() == 1);
    ck_assert(is_clean());
}
END_TEST

START_TEST(deleting_and_creating_converges)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_open();
    ring_remove("private.id.1.pem");
    ring_reload();
    ring_put("private.id.1.pem", ring_pem(2));
    ring_reload();
    ck_assert(ring_is(1, ring_pem(2)) && ring_signer() == 2 && is_clean());
}
END_TEST

static atomic_bool is_swapping;

static void *swap(void *arg)
{
    (void)arg;
    AUTO(mem_free) char *one = support_path(ring_dir, "private.id.1.pem");
    AUTO(mem_free) char *other = support_path(ring_dir, "other");
    const struct timespec pause = {.tv_nsec = 20000}; /* lets the reader run under valgrind */
    for (; is_swapping; nanosleep(&pause, NULL))
        renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
    return NULL;
}

START_TEST(what_is_published_is_one_of_the_whole_keys_however_files_are_swapped)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("other", ring_pem(1));
    ring_open();
    pthread_t thread;
    is_swapping = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, swap, NULL), 0);
    int seen[2] = {0};
    for (int i = 0; i < 200; i++) {
        ring_reload();
        bool is_first = ring_is(1, ring_pem(0));
        ck_assert(is_first || ring_is(1, ring_pem(1)));
        seen[is_first]++;
        ck_assert(is_clean());
    }
    is_swapping = false;
    pthread_join(thread, NULL);
    ck_assert(seen[0] > 0 && seen[1] > 0);
}
END_TEST

static void add_opening(Suite *s)
{
    TCase *tc = tcase_create("opening");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, ring_set_up, ring_tear_down);
    tcase_add_test(tc, no_key_at_the_start_is_one_line);
    tcase_add_test(tc, only_bad_keys_at_the_start_is_one_line_with_the_reason);
    tcase_add_test(tc, a_missing_directory_at_the_start);
    tcase_add_test(tc, no_directory_at_all);
    tcase_add_test(tc, a_bad_pattern_at_the_start);
    tcase_add_test(tc, a_pattern_without_a_group_at_the_start);
    tcase_add_loop_test(tc, a_configured_file_that_is_bad_stops_the_start, 0, CONFIGURED);
    suite_add_tcase(s, tc);
}

static void add_refusing(Suite *s)
{
    TCase *tc = tcase_create("refusing");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, ring_set_up, ring_tear_down);
    tcase_add_test(tc, bad_files_are_reported_with_their_reason_and_hurt_nobody);
    tcase_add_test(tc, line_ends_and_marks_of_other_systems);
    tcase_add_test(tc, two_new_files_of_one_id_are_both_refused);
    tcase_add_test(tc, of_two_files_of_one_id_the_one_in_use_stays);
    tcase_add_test(tc, the_default_key_wins_over_a_file_numbered_0);
    tcase_add_test(tc, keys_beyond_the_limit_are_refused_but_never_one_in_use);
    tcase_add_test(tc, three_thousand_files_are_a_handful_of_lines);
    tcase_add_test(tc, loose_permissions_are_a_warning_once);
    tcase_add_test(tc, loose_permissions_are_refused_when_strict);
    tcase_add_test(tc, a_file_of_another_user_is_loose);
    tcase_add_test(tc, a_pattern_without_end_is_reported);
    suite_add_tcase(s, tc);
}

static void add_holding(Suite *s)
{
    TCase *tc = tcase_create("holding");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, ring_set_up, ring_tear_down);
    tcase_add_test(tc, a_file_that_turns_bad_keeps_its_key_until_it_is_good_again);
    tcase_add_test(tc, the_key_that_a_path_names_signs_on_when_its_file_is_gone);
    tcase_add_test(tc, a_signing_path_that_leads_nowhere_changes_nothing);
    tcase_add_test(tc, key_0_that_signs_is_held_when_its_file_is_gone);
    tcase_add_loop_test(tc, an_emptied_directory_changes_no_key, 0, 3);
    tcase_add_test(tc, an_emptied_directory_does_not_hand_over_to_a_default_key_elsewhere);
    tcase_add_test(tc, a_directory_that_is_gone_changes_no_key);
    suite_add_tcase(s, tc);
}

static void add_writing(Suite *s)
{
    TCase *tc = tcase_create("writing");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, ring_set_up, ring_tear_down);
    tcase_add_test(tc, a_file_still_being_written_is_not_reported);
    tcase_add_test(tc, a_file_left_half_written_is_reported);
    tcase_add_test(tc, a_key_overwritten_in_place_serves_until_the_new_one_is_whole);
    tcase_add_test(tc, a_kubernetes_secret_is_swapped_whole);
    tcase_add_test(tc, deleting_and_creating_converges);
    tcase_add_test(tc, what_is_published_is_one_of_the_whole_keys_however_files_are_swapped);
    suite_add_tcase(s, tc);
}

static Suite *suite(void)
{
    Suite *s = suite_create("keyring_faults");
    add_opening(s);
    add_refusing(s);
    add_holding(s);
    add_writing(s);
    return s;
}

int main(void)
{
    return support_main(suite());
}
