/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keystore/keyname.h"
#include "keystore/keyring_metrics.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "tests/ring.h"
#include "tests/support.h"

/* Which files are keys, which key has which id, which one signs. Faults of files: test_keyring_faults.c. */

START_TEST(every_matching_file_is_a_key_and_the_highest_signs)
{
    ring_put("private.id.2.pem", ring_pem(0));
    ring_put("private.id.10.pem", ring_pem(1));
    ring_put("private.id.7.pem", ring_pem(RING_RSA));
    ring_put("private.id.11.pem.bak", ring_pem(2));
    ring_put("notes", "no key");
    ring_open();
    ck_assert(ring_is(2, ring_pem(0)) && ring_is(10, ring_pem(1)) && ring_is(7, ring_pem(RING_RSA)));
    ck_assert(!ring_has(11) && !ring_has(0));
    ck_assert_int_eq(ring_signer(), 10);
    struct keyring_view view = keyring_acquire(ring);
    ck_assert(keyset_is_clean(view.set));
    ck_assert_uint_eq(keyset_count(view.set), 3);
    ck_assert_str_eq(keyset_entry(view.set, 0)->file, "private.id.10.pem");
    keyring_release(&view);
    ck_assert_str_eq(keyring_dir(ring), ring_dir);
}
END_TEST

START_TEST(dropping_a_higher_file_rotates_and_removing_it_rolls_back)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    uint64_t generation = keyring_generation(ring);
    ring_put("private.id.2.pem", ring_pem(1));
    ring_reload();
    ck_assert_int_eq(ring_signer(), 2);
    ck_assert(ring_is(1, ring_pem(0)));
    ck_assert_uint_eq(keyring_generation(ring), generation + 1);
    ring_reload();
    ck_assert_uint_eq(keyring_generation(ring), generation + 1);
    ring_remove("private.id.2.pem");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert(!ring_has(2));
}
END_TEST

START_TEST(the_signing_path_names_the_signing_key)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_config.dir = NULL;
    ring_config.signing_path = ring_path("private.id.1.pem");
    ring_open();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert(ring_has(2));
    ck_assert_str_eq(keyring_dir(ring), ring_dir);
}
END_TEST

START_TEST(swapping_the_link_rotates)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_link("private.id.1.pem", "active.pem");
    ring_config.signing_path = ring_path("active.pem");
    ring_open();
    ck_assert_int_eq(ring_signer(), 1);
    ring_link("private.id.2.pem", "active.pem");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 2);
    ring_link("hop", "active.pem");
    ring_link(ring_path("private.id.1.pem"), "hop");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 1);
    ck_assert(!ring_has(0));
    ck_assert_int_eq(ring_logged("signing key changed", "kid=1 ", NULL), 2);
    ck_assert_int_eq(ring_logged("signing key changed", "kid=2 ", "alg=ES256", NULL), 1);
}
END_TEST

START_TEST(a_signing_file_without_an_id_is_key_0)
{
    ring_put("signing.pem", ring_pem(0));
    ring_put("private.pem", ring_pem(1));
    ring_put("private.id.5.pem", ring_pem(2));
    ring_config.dir = "";
    ring_config.signing_path = ring_path("signing.pem");
    ring_open();
    ck_assert_int_eq(ring_signer(), 0);
    ck_assert(ring_is(0, ring_pem(0)) && ring_is(5, ring_pem(2)));
    ck_assert_int_eq(ring_reason("signing.pem"), ERR_OK);
}
END_TEST

START_TEST(key_0_keeps_its_identity_when_the_link_moves_on)
{
    ring_put("private.pem", ring_pem(0));
    ring_put("private.id.5.pem", ring_pem(1));
    ring_link("private.pem", "active.pem");
    ring_config.signing_path = ring_path("active.pem");
    ring_open();
    ck_assert(ring_signer() == 0 && ring_is(0, ring_pem(0)));
    ring_link("private.id.5.pem", "active.pem");
    ring_reload();
    ck_assert(ring_signer() == 5 && ring_is(0, ring_pem(0)));
    ck_assert_int_eq(ring_logged("key accepted", NULL), 2);
    ck_assert_int_eq(ring_logged("key removed", NULL), 0);
}
END_TEST

START_TEST(relative_paths_are_fine)
{
    ck_assert_int_eq(chdir(ring_dir), 0);
    ring_put("private.id.3.pem", ring_pem(0));
    ring_put("private.pem", ring_pem(1));
    ring_link("private.id.3.pem", "active.pem");
    ring_config.dir = NULL;
    ring_config.signing_path = "active.pem";
    ring_open();
    ck_assert_str_eq(keyring_dir(ring), ".");
    ck_assert(ring_signer() == 3 && ring_is(0, ring_pem(1)));
    ck_assert_int_eq(ring_reason("private.pem"), ERR_OK);
}
END_TEST

START_TEST(the_default_key_is_private_pem_beside_the_others)
{
    ring_put("private.id.5.pem", ring_pem(0));
    ring_put("private.pem", ring_pem(1));
    ring_open();
    ck_assert(ring_is(0, ring_pem(1)) && ring_signer() == 5);
    ring_remove("private.id.5.pem");
    ring_reload();
    ck_assert_int_eq(ring_signer(), 0);
    ring_put("private.id.5.pem", ring_pem(2));
    ring_remove("private.pem");
    ring_reload();
    ck_assert(ring_signer() == 5 && !ring_has(0));
}
END_TEST

START_TEST(the_default_key_may_be_elsewhere)
{
    AUTO(mem_free) char *path = support_path(support_dir(), "old.pem");
    support_write(path, ring_pem(0), strlen(ring_pem(0)), 0600);
    ring_put("private.id.5.pem", ring_pem(1));
    ring_put("private.pem", ring_pem(2));
    ring_config.default_path = path;
    ring_open();
    ck_assert(ring_is(0, ring_pem(0)) && ring_signer() == 5);
    ck_assert_int_eq(ring_reason(path), ERR_OK);
    ck_assert_int_eq(unlink(path), 0);
    ring_reload();
    ck_assert(!ring_has(0));
    ck_assert_int_eq(ring_reason(path), ERR_KEY_MISSING);
    ck_assert_int_eq(ring_logged("key removed", "kid=0", NULL), 1);
}
END_TEST

START_TEST(a_numbered_file_may_be_the_default_key)
{
    ring_put("private.id.0.pem", ring_pem(0));
    ring_put("private.id.4.pem", ring_pem(1));
    ring_config.default_path = ring_path("private.id.0.pem");
    ring_open();
    ck_assert(ring_is(0, ring_pem(0)));
    ck_assert_int_eq(ring_reason("private.id.0.pem"), ERR_OK);
    keyring_free(&ring);
    ring_config.default_path = ring_path("private.id.4.pem");
    ring_remove("private.id.0.pem");
    ring_open();
    ck_assert(ring_is(0, ring_pem(1)) && ring_is(4, ring_pem(1)));
}
END_TEST

START_TEST(the_fallback_key_is_nobodys_kid)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("old.pem", ring_pem(1));
    ring_config.fallback_path = ring_path("old.pem");
    ring_open();
    struct keyring_view view = keyring_acquire(ring);
    ck_assert_ptr_nonnull(keyset_fallback(view.set));
    ck_assert_ptr_null(keyset_find(view.set, 0));
    ck_assert_uint_eq(keyset_count(view.set), 1);
    keyring_release(&view);
    ring_put("old.pem", "broken");
    ring_reload();
    view = keyring_acquire(ring);
    ck_assert_ptr_nonnull(keyset_fallback(view.set));
    ck_assert(!keyset_is_clean(view.set));
    keyring_release(&view);
    ck_assert_int_eq(ring_reason("old.pem"), ERR_KEY_NOT_PEM);
    ring_remove("old.pem");
    ring_reload();
    view = keyring_acquire(ring);
    ck_assert_ptr_null(keyset_fallback(view.set));
    keyring_release(&view);
}
END_TEST

START_TEST(an_rsa_key_may_have_its_own_algorithm)
{
    static const struct keyring_alg algs[] = {{1, KEY_PS384}, {3, KEY_RS512}, {4, KEY_ES256}};
    for (int kid = 1; kid <= 2; kid++) {
        AUTO(mem_free) char *name = mem_printf("private.id.%d.pem", kid);
        ring_put(name, ring_pem(RING_RSA));
    }
    ring_put("private.id.3.pem", ring_pem(0));
    ring_put("private.id.4.pem", ring_pem(1));
    ring_config.algs = algs;
    ring_config.algs_count = 3;
    ring_config.rsa_alg = KEY_PS256;
    ring_open();
    struct keyring_view view = keyring_acquire(ring);
    ck_assert_int_eq(key_alg(keyset_find(view.set, 1)), KEY_PS384);
    ck_assert_int_eq(key_alg(keyset_find(view.set, 2)), KEY_PS256);
    ck_assert_int_eq(key_alg(keyset_find(view.set, 4)), KEY_ES256);
    keyring_release(&view);
    ck_assert_int_eq(ring_reason("private.id.3.pem"), ERR_KEY_ALG);
}
END_TEST

START_TEST(the_unanchored_pattern_reads_as_the_originals_did)
{
    ring_put("xprivate.id.5.pem~", ring_pem(0));
    ring_config.pattern_unanchored = true;
    ring_open();
    ck_assert_int_eq(ring_signer(), 5);
}
END_TEST

START_TEST(an_id_is_a_number_that_fits)
{
    static const struct {
        const char *name;
        enum err e;
        int64_t kid;
    } rows[] = {
        {"private.id.0.pem", ERR_OK, 0},
        {"private.id.007.pem", ERR_OK, 7},
        {"private.id.2147483647.pem", ERR_OK, 2147483647},
        {"private.id.00000000000000000000000000001.pem", ERR_OK, 1},
        {"private.id.2147483648.pem", ERR_KEY_ID, 0},
        {"private.id.99999999999999999999.pem", ERR_KEY_ID, 0},
        {"private.id..pem", ERR_KEY_ID, 0},
        {"private.id.-1.pem", ERR_NOT_FOUND, 0},
        {"private.id.5.pem.bak", ERR_NOT_FOUND, 0},
        {"", ERR_NOT_FOUND, 0},
    };
    char why[160];
    AUTO(match_free) struct match *pattern = NULL;
    ck_ok(match_new(ring_config.pattern, true, why, sizeof why, &pattern));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t kid = 0;
        ck_err(keyname_kid(pattern, rows[i].name, &kid), rows[i].e);
        ck_assert_int_eq(kid, rows[i].kid);
    }
    AUTO(match_free) struct match *any = NULL;
    ck_ok(match_new("key(.*)", true, why, sizeof why, &any));
    static const char *const bad[] = {"key5x", "key+5", "key 5", "key0x5", "key5.9", "key\xd9\xa5", "key"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t kid;
        ck_err(keyname_kid(any, bad[i], &kid), ERR_KEY_ID);
    }
}
END_TEST

START_TEST(a_bad_id_is_reported_and_never_key_0)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id..pem", ring_pem(1));
    ring_put("private.id.30000000000000000000000000.pem", ring_pem(2));
    ring_open();
    ck_assert(!ring_has(0));
    ck_assert_int_eq(ring_reason("private.id..pem"), ERR_KEY_ID);
    ck_assert_int_eq(ring_logged(" warn ", "key refused", "file=private.id..pem", NULL), 1);
}
END_TEST

/* How often files of the directory were opened since the last call. */
static int opened(int fd)
{
    _Alignas(struct inotify_event) char buffer[8192];
    int count = 0;
    ssize_t len = read(fd, buffer, sizeof buffer);
    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);
        count += event->len > 0;
        at += (ssize_t)(sizeof *event + event->len);
    }
    return count;
}

START_TEST(files_that_did_not_change_are_not_opened)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ck_assert_int_ge(inotify_add_watch(fd, ring_dir, IN_OPEN), 0);
    ring_open();
    ck_assert_int_eq(opened(fd), 2);
    ring_reload();
    ck_assert_int_eq(opened(fd), 2); /* they changed a moment ago: an equal stamp proves nothing yet */
    clock_set(clock_ms() + 60000);
    ring_reload();
    ck_assert_int_eq(opened(fd), 2);
    for (int i = 0; i < 10; i++)
        ring_reload();
    ck_assert_int_eq(opened(fd), 0);
    ring_put("private.id.2.pem", ring_pem(3));
    opened(fd);
    ring_reload();
    ck_assert_int_eq(opened(fd), 1);
    ck_assert(ring_is(2, ring_pem(3)));
    close(fd);
}
END_TEST

START_TEST(the_same_bytes_stay_the_same_key)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    struct keyring_view before = keyring_acquire(ring);
    uint64_t generation = keyring_generation(ring);
    ring_remove("private.id.1.pem");
    ring_put("private.id.1.pem", ring_pem(0));
    ring_reload();
    struct keyring_view after = keyring_acquire(ring);
    ck_assert_uint_eq(key_serial(keyset_signing(before.set)), key_serial(keyset_signing(after.set)));
    ck_assert_uint_eq(keyring_generation(ring), generation);
    keyring_release(&before);
    keyring_release(&after);
}
END_TEST

START_TEST(a_view_outlives_what_replaces_it)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    struct keyring_view view = keyring_acquire(ring);
    for (int i = 2; i < 12; i++) {
        AUTO(mem_free) char *name = mem_printf("private.id.%d.pem", i);
        ring_put(name, ring_pem(i));
        ring_reload();
    }
    uint8_t sig[KEY_SIGNATURE_MAX];
    ck_assert_int_eq(key_kid(keyset_signing(view.set)), 1);
    ck_ok(key_sign(keyset_signing(view.set), "x", 1, sig));
    ck_assert_ptr_null(keyset_find(view.set, 2));
    keyring_release(&view);
    ck_assert_ptr_null(view.set);
    ck_assert_int_eq(ring_signer(), 11);
}
END_TEST

START_TEST(lines_tell_what_happens_once)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", "nonsense");
    ring_open();
    for (int i = 0; i < 3; i++)
        ring_reload();
    ring_put("private.id.1.pem", "nonsense");
    for (int i = 0; i < 3; i++)
        ring_reload();
    ring_put("private.id.1.pem", ring_pem(1));
    ring_remove("private.id.2.pem");
    ring_reload();
    ring_put("private.id.3.pem", ring_pem(2));
    ring_reload();
    ring_remove("private.id.1.pem");
    ring_reload();
    ck_assert_int_eq(ring_logged("key accepted", "ring=useradm", "file=private.id.1.pem", "kid=1", "alg=EdDSA", NULL),
                     1);
    ck_assert_int_eq(ring_logged("key accepted", "file=private.id.1.pem", "alg=ES256", "thumbprint=", NULL), 1);
    ck_assert_int_eq(ring_logged("key refused", "file=private.id.2.pem", err_text(ERR_KEY_NOT_PEM), NULL), 1);
    ck_assert_int_eq(ring_logged("key held", "file=private.id.1.pem", "kid=1", "alg=EdDSA", "thumbprint=", NULL), 1);
    ck_assert_int_eq(ring_logged("key removed", "file=private.id.1.pem", "kid=1", "alg=ES256", NULL), 1);
    ck_assert_int_eq(ring_logged("signing key changed", NULL), 3);
    ck_assert_int_eq(ring_logged("PRIVATE", NULL), 0);
    ck_assert_int_eq(ring_logged("ring=", NULL), 3 + 1 + 1 + 1 + 3);
}
END_TEST

static char *shown_metrics(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    metrics_write(out);
    fclose(out);
    return text;
}

START_TEST(metrics_show_every_ring)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_put("private.id.2.pem", ring_pem(1));
    ring_put("private.id.3.pem", "bad");
    ring_open();
    struct keyring *devices = NULL;
    ring_config.name = "deviceauth";
    ck_ok(keyring_open(&ring_config, &devices));
    keyring_metrics_add(ring);
    keyring_metrics_add(devices);
    ring_put("private.id.1.pem", "bad");
    ring_reload();
    AUTO(mem_free) char *text = shown_metrics();
    static const char *const lines[] = {
        "\nmintd_keys{ring=\"useradm\"} 2\n",
        "\nmintd_keys{ring=\"deviceauth\"} 2\n",
        "\nmintd_key_info{ring=\"useradm\",kid=\"1\",alg=\"EdDSA\",state=\"held\"} 1\n",
        "\nmintd_key_info{ring=\"useradm\",kid=\"2\",alg=\"ES256\",state=\"signing\"} 1\n",
        "\nmintd_key_info{ring=\"deviceauth\",kid=\"1\",alg=\"EdDSA\",state=\"verifying\"} 1\n",
        "\nmintd_keyring_generation{ring=\"useradm\"} 2\n",
        "\nmintd_keyring_refused_files{ring=\"useradm\"} 2\n",
        "\nmintd_keyring_reload_total{ring=\"useradm\",result=\"changed\"} 2\n",
        "\nmintd_keyring_reload_total{ring=\"deviceauth\",result=\"failed\"} 0\n",
        "\nmintd_keyring_last_success_timestamp_seconds{ring=\"useradm\"} ",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "%s is not in %s", lines[i], text);
    const char *family = strstr(text, "# TYPE mintd_keys gauge\n");
    ck_assert_ptr_nonnull(family);
    ck_assert_ptr_null(strstr(family + 1, "# TYPE mintd_keys gauge\n"));
    keyring_metrics_remove(devices);
    keyring_free(&devices);
    AUTO(mem_free) char *after = shown_metrics();
    ck_assert_ptr_null(strstr(after, "ring=\"deviceauth\""));
    keyring_metrics_remove(ring);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("keyring");
    TCase *tc = tcase_create("keyring");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, ring_set_up, ring_tear_down);
    tcase_add_test(tc, every_matching_file_is_a_key_and_the_highest_signs);
    tcase_add_test(tc, dropping_a_higher_file_rotates_and_removing_it_rolls_back);
    tcase_add_test(tc, the_signing_path_names_the_signing_key);
    tcase_add_test(tc, swapping_the_link_rotates);
    tcase_add_test(tc, a_signing_file_without_an_id_is_key_0);
    tcase_add_test(tc, key_0_keeps_its_identity_when_the_link_moves_on);
    tcase_add_test(tc, relative_paths_are_fine);
    tcase_add_test(tc, the_default_key_is_private_pem_beside_the_others);
    tcase_add_test(tc, the_default_key_may_be_elsewhere);
    tcase_add_test(tc, a_numbered_file_may_be_the_default_key);
    tcase_add_test(tc, the_fallback_key_is_nobodys_kid);
    tcase_add_test(tc, an_rsa_key_may_have_its_own_algorithm);
    tcase_add_test(tc, the_unanchored_pattern_reads_as_the_originals_did);
    tcase_add_test(tc, an_id_is_a_number_that_fits);
    tcase_add_test(tc, a_bad_id_is_reported_and_never_key_0);
    tcase_add_test(tc, files_that_did_not_change_are_not_opened);
    tcase_add_test(tc, the_same_bytes_stay_the_same_key);
    tcase_add_test(tc, a_view_outlives_what_replaces_it);
    tcase_add_test(tc, lines_tell_what_happens_once);
    tcase_add_test(tc, metrics_show_every_ring);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
