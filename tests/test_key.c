/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/key.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

/* Signing and verifying: in exactly one form, by one algorithm a key, from any number of threads. */

static const char msg[] = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9";
enum { MSG = sizeof msg - 1 };

/* A key for each algorithm, in the order of enum key_alg; and each curve's order. */
static const char *const files[] = {
    "rsa2048.pkcs8.pem", "rsa2048.pkcs8.pem", "rsa2048.pkcs8.pem", "rsa2048.pkcs8.pem", "rsa2048.pkcs8.pem",
    "rsa2048.pkcs8.pem", "p256.pkcs8.pem",    "p384.pkcs8.pem",    "p521.pkcs8.pem",    "ed25519.pem",
};
enum { ALGS = sizeof files / sizeof *files };

static const uint8_t p256_order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                       0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

static char *key_path(const char *file)
{
    const char *root = getenv("MINTD_TEST_DATA");
    return mem_printf("%s/keys/%s", root != NULL ? root : "tests/data", file);
}

static struct key *parse(enum key_alg alg)
{
    size_t len;
    struct key *key = NULL;
    AUTO(mem_free) char *path = key_path(files[alg]);
    AUTO(mem_free) char *pem = support_read(path, &len);
    ck_ok(key_parse(pem, len, 1, alg, &key));
    ck_assert_int_eq(key_alg(key), alg);
    return key;
}

/* Each key once for a process: the checks of an RSA key take seconds under valgrind. */
static struct key *load(enum key_alg alg)
{
    static struct key *ready[ALGS];
    if (ready[alg] == NULL)
        ready[alg] = parse(alg);
    return key_ref(ready[alg]);
}

static void sign(const struct key *key, uint8_t *sig)
{
    ck_ok(key_sign(key, msg, MSG, sig));
    ck_ok(key_verify(key, msg, MSG, sig, key_signature_size(key)));
}

/* Whether sig verifies, from memory with not a byte more. */
static enum err verify_exactly(const struct key *key, const uint8_t *sig, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, sig, len);
    enum err e = key_verify(key, msg, MSG, exact, len);
    free(exact);
    return e;
}

START_TEST(signature_fills_its_size_and_no_more)
{
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    size_t size = key_signature_size(key);
    uint8_t *exact = malloc(size);
    ck_ok(key_sign(key, msg, MSG, exact));
    ck_ok(key_verify(key, msg, MSG, exact, size));
    free(exact);
}
END_TEST

START_TEST(signs_messages_of_any_length)
{
    static char large[100000];
    uint8_t sig[KEY_SIGNATURE_MAX];
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    ck_ok(key_sign(key, "", 0, sig));
    ck_ok(key_verify(key, "", 0, sig, key_signature_size(key)));
    ck_err(key_verify(key, msg, 1, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
    ck_ok(key_sign(key, large, sizeof large, sig));
    ck_ok(key_verify(key, large, sizeof large, sig, key_signature_size(key)));
    ck_err(key_verify(key, large, sizeof large - 1, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
}
END_TEST

/* RSASSA-PKCS1 and Ed25519 sign the same way each time, the others never. */
START_TEST(only_some_algorithms_repeat_a_signature)
{
    bool repeats = _i <= KEY_RS512 || _i == KEY_EDDSA;
    uint8_t a[KEY_SIGNATURE_MAX], b[KEY_SIGNATURE_MAX];
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    sign(key, a);
    sign(key, b);
    ck_assert_int_eq(memcmp(a, b, key_signature_size(key)) == 0, repeats);
}
END_TEST

/* Loop index: who signs; everybody verifies. */
START_TEST(only_the_key_and_algorithm_that_signed_verify)
{
    uint8_t sig[KEY_SIGNATURE_MAX];
    AUTO(key_free) struct key *signer = load((enum key_alg)_i);
    sign(signer, sig);
    for (int alg = 0; alg < ALGS; alg++) {
        AUTO(key_free) struct key *other = load((enum key_alg)alg);
        ck_err(verify_exactly(other, sig, key_signature_size(signer)), alg == _i ? ERR_OK : ERR_TOKEN_INVALID);
        /* and when the length happens to fit */
        memset(sig + key_signature_size(signer), 0, sizeof sig - key_signature_size(signer));
        ck_err(verify_exactly(other, sig, key_signature_size(other)), alg == _i ? ERR_OK : ERR_TOKEN_INVALID);
    }
}
END_TEST

START_TEST(another_key_of_the_type_does_not_verify)
{
    static const char *const others[ALGS] = {"rsa2048b", "rsa2048b", "rsa2048b", "rsa2048b", "rsa2048b",
                                             "rsa2048b", "es256b",   "es384",    "es512",    "ed25519b"};
    uint8_t sig[KEY_SIGNATURE_MAX];
    AUTO(mem_free) char *name = mem_printf("jws/%s.pem", others[_i]);
    AUTO(mem_wipe) char *pem = support_data(name, NULL);
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    AUTO(key_free) struct key *other = NULL;
    ck_ok(key_parse(pem, strlen(pem), 1, (enum key_alg)_i, &other));
    sign(other, sig);
    ck_err(verify_exactly(key, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(refuses_every_other_length)
{
    uint8_t sig[KEY_SIGNATURE_MAX] = {0};
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    sign(key, sig);
    for (size_t len = 0; len <= sizeof sig; len++)
        ck_err(verify_exactly(key, sig, len), len == key_signature_size(key) ? ERR_OK : ERR_TOKEN_INVALID);
}
END_TEST

/* Lengths that would wrap when reckoned with: nothing of the signature is read. */
START_TEST(refuses_a_huge_length_unseen)
{
    uint8_t byte = 0;
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    ck_err(key_verify(key, msg, MSG, &byte, SIZE_MAX), ERR_TOKEN_INVALID);
    ck_err(key_verify(key, msg, MSG, &byte, SIZE_MAX / 2 + 1), ERR_TOKEN_INVALID);
    ck_err(key_verify(key, msg, MSG, &byte, 21830), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(refuses_each_flipped_bit)
{
    uint8_t sig[KEY_SIGNATURE_MAX];
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    sign(key, sig);
    /* the slow curves: every seventh bit, which meets each byte */
    size_t step = (size_t)support_times(_i == KEY_ES384 || _i == KEY_ES512 ? 7 : 1, 101);
    for (size_t bit = 0; bit < 8 * key_signature_size(key); bit += step) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_err(verify_exactly(key, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_err(verify_exactly(key, sig, key_signature_size(key)), ERR_OK);
}
END_TEST

START_TEST(refuses_constant_signatures)
{
    uint8_t sig[KEY_SIGNATURE_MAX];
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    memset(sig, 0, sizeof sig);
    ck_err(verify_exactly(key, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
    memset(sig, 0xff, sizeof sig);
    ck_err(verify_exactly(key, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
    memset(sig, 0, sizeof sig);
    sig[key_signature_size(key) - 1] = 1;
    ck_err(verify_exactly(key, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
}
END_TEST

/* CVE-2022-21449 and its kin: r or s 0, the order, or above it. */
START_TEST(refuses_ecdsa_numbers_out_of_range)
{
    uint8_t good[64], bad[64];
    AUTO(key_free) struct key *key = load(KEY_ES256);
    sign(key, good);
    for (size_t half = 0; half < 64; half += 32) {
        memcpy(bad, good, 64);
        memset(bad + half, 0, 32);
        ck_err(verify_exactly(key, bad, 64), ERR_TOKEN_INVALID);
        memcpy(bad + half, p256_order, 32);
        ck_err(verify_exactly(key, bad, 64), ERR_TOKEN_INVALID);
        memset(bad + half, 0xff, 32);
        ck_err(verify_exactly(key, bad, 64), ERR_TOKEN_INVALID);
    }
    memcpy(bad, p256_order, 32);
    memcpy(bad + 32, p256_order, 32);
    ck_err(verify_exactly(key, bad, 64), ERR_TOKEN_INVALID);
}
END_TEST

/* r, n - s is as good by FIPS 186-5 and RFC 7518: why nothing may be named after the bytes of a token. */
START_TEST(takes_the_high_s_twin)
{
    uint8_t sig[64];
    unsigned borrow = 0;
    AUTO(key_free) struct key *key = load(KEY_ES256);
    sign(key, sig);
    for (size_t i = 32; i-- > 0;) {
        unsigned digit = 256u + p256_order[i] - sig[32 + i] - borrow;
        sig[32 + i] = (uint8_t)digit;
        borrow = digit < 256;
    }
    ck_ok(verify_exactly(key, sig, 64));
}
END_TEST

/* One in 256 numbers begins with a zero byte: it is padded when signing and accepted when verifying. */
START_TEST(pads_short_ecdsa_numbers)
{
    uint8_t sig[KEY_SIGNATURE_MAX];
    AUTO(key_free) struct key *key = load(KEY_ES256);
    bool seen_r = false, seen_s = false;
    for (int i = 0; i < 20000 && !(seen_r && seen_s); i++) {
        ck_ok(key_sign(key, msg, MSG, sig));
        if (sig[0] != 0 && sig[32] != 0)
            continue;
        seen_r |= sig[0] == 0;
        seen_s |= sig[32] == 0;
        ck_ok(verify_exactly(key, sig, 64));
    }
    ck_assert(seen_r && seen_s);
}
END_TEST

START_TEST(a_failure_leaves_openssl_no_errors)
{
    uint8_t sig[KEY_SIGNATURE_MAX] = {0};
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    ck_err(verify_exactly(key, sig, key_signature_size(key)), ERR_TOKEN_INVALID);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(serials_are_never_used_twice)
{
    AUTO(key_free) struct key *first = parse(KEY_EDDSA);
    uint64_t gone;
    {
        AUTO(key_free) struct key *second = parse(KEY_EDDSA);
        gone = key_serial(second);
        ck_assert_uint_ge(key_serial(first), 1);
        ck_assert_uint_gt(gone, key_serial(first));
    }
    AUTO(key_free) struct key *third = parse(KEY_EDDSA);
    ck_assert_uint_gt(key_serial(third), gone);
    ck_assert_str_eq(key_thumbprint(first), key_thumbprint(third));
}
END_TEST

START_TEST(lives_as_long_as_its_last_reference)
{
    uint8_t sig[KEY_SIGNATURE_MAX];
    struct key *first = parse(KEY_ES256);
    struct key *second = key_ref(first);
    ck_assert_ptr_eq(first, second);
    key_free(&first);
    ck_assert_ptr_null(first);
    key_free(&first);
    sign(second, sig);
    key_free(&second);
    ck_assert_ptr_null(key_ref(NULL));
}
END_TEST

/* The same numbers as OpenSSL's own program sees them. */

static void write_der(const uint8_t *raw, size_t half, uint8_t *der, size_t *len)
{
    uint8_t *p = der + 2;
    for (size_t i = 0; i < 2; i++, raw += half) {
        size_t skip = 0;
        while (skip < half - 1 && raw[skip] == 0)
            skip++;
        size_t sign_byte = raw[skip] >> 7;
        *p++ = 2;
        *p++ = (uint8_t)(half - skip + sign_byte);
        if (sign_byte)
            *p++ = 0;
        memcpy(p, raw + skip, half - skip);
        p += half - skip;
    }
    *len = (size_t)(p - der);
    der[0] = 0x30;
    der[1] = (uint8_t)(*len - 2);
}

static int run(const char *command)
{
    return system(command); /* a line of constants and paths of our own making */
}

static const struct {
    enum key_alg alg;
    const char *verify; /* %1$s public key, %2$s signature, %3$s message */
    const char *sign;   /* %1$s private key */
} openssl_rows[] = {
    {KEY_RS256, "openssl dgst -sha256 -verify '%1$s' -signature '%2$s' '%3$s' >/dev/null",
     "openssl dgst -sha256 -sign '%1$s' -out '%2$s' '%3$s'"},
    {KEY_RS512, "openssl dgst -sha512 -verify '%1$s' -signature '%2$s' '%3$s' >/dev/null",
     "openssl dgst -sha512 -sign '%1$s' -out '%2$s' '%3$s'"},
    {KEY_PS256,
     "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify '%1$s' -signature '%2$s' "
     "'%3$s' >/dev/null",
     "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sign '%1$s' -out '%2$s' '%3$s'"},
    {KEY_PS384,
     "openssl dgst -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48 -verify '%1$s' -signature '%2$s' "
     "'%3$s' >/dev/null",
     "openssl dgst -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48 -sign '%1$s' -out '%2$s' '%3$s'"},
    {KEY_ES256, "openssl dgst -sha256 -verify '%1$s' -signature '%2$s' '%3$s' >/dev/null", NULL},
    {KEY_ES384, "openssl dgst -sha384 -verify '%1$s' -signature '%2$s' '%3$s' >/dev/null", NULL},
    {KEY_EDDSA, "openssl pkeyutl -verify -pubin -inkey '%1$s' -rawin -in '%3$s' -sigfile '%2$s' >/dev/null",
     "openssl pkeyutl -sign -inkey '%1$s' -rawin -in '%3$s' -out '%2$s'"},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static int run_openssl(const char *format, const char *key, const char *sig, const char *text)
{
    AUTO(mem_free) char *command = mem_printf(format, key, sig, text);
    return run(command);
}
#pragma GCC diagnostic pop

START_TEST(openssl_verifies_what_a_key_signs)
{
    const char *dir = support_dir();
    enum key_alg alg = openssl_rows[_i].alg;
    uint8_t sig[KEY_SIGNATURE_MAX], der[128];
    AUTO(key_free) struct key *key = load(alg);
    AUTO(mem_free) char *pem = key_path(files[alg]);
    AUTO(mem_free) char *public = support_path(dir, "public.pem");
    AUTO(mem_free) char *sig_file = support_path(dir, "sig");
    AUTO(mem_free) char *text = support_path(dir, "msg");
    size_t len = key_signature_size(key);
    sign(key, sig);
    if (len <= 96 && alg != KEY_EDDSA)
        write_der(sig, len / 2, der, &len);
    support_write(sig_file, len == key_signature_size(key) ? sig : der, len, 0600);
    support_write(text, msg, MSG, 0600);
    ck_assert_int_eq(run_openssl("openssl pkey -in '%s' -pubout -out '%s'%.0s", pem, public, ""), 0);
    ck_assert_int_eq(run_openssl(openssl_rows[_i].verify, public, sig_file, text), 0);
    if (openssl_rows[_i].sign == NULL)
        return;
    ck_assert_int_eq(run_openssl(openssl_rows[_i].sign, pem, sig_file, text), 0);
    AUTO(mem_free) char *made = support_read(sig_file, &len);
    ck_ok(verify_exactly(key, (uint8_t *)made, len));
}
END_TEST

/* RFC 7518 section 3.5: the salt is as long as the hash, and MGF1 uses the same hash. */
START_TEST(refuses_pss_with_another_salt_or_mask)
{
    static const char *const options[] = {
        "-sigopt rsa_pss_saltlen:20",
        "-sigopt rsa_pss_saltlen:0",
        "-sigopt rsa_pss_saltlen:max",
        "-sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha1",
    };
    const char *dir = support_dir();
    size_t len;
    AUTO(key_free) struct key *key = load(KEY_PS256);
    AUTO(mem_free) char *pem = key_path(files[KEY_PS256]);
    AUTO(mem_free) char *sig_file = support_path(dir, "sig");
    AUTO(mem_free) char *text = support_path(dir, "msg");
    support_write(text, msg, MSG, 0600);
    AUTO(mem_free)
    char *command = mem_printf("openssl dgst -sha256 -sigopt rsa_padding_mode:pss %s -sign '%s' -out '%s' '%s'",
                               options[_i], pem, sig_file, text);
    ck_assert_int_eq(run(command), 0);
    AUTO(mem_free) char *made = support_read(sig_file, &len);
    ck_assert_uint_eq(len, key_signature_size(key));
    ck_err(verify_exactly(key, (uint8_t *)made, len), ERR_TOKEN_INVALID);
}
END_TEST

/* More threads than a key has cells, so that some must do without. */
enum { THREADS = 24 };

struct worker {
    pthread_t thread;
    const struct key *key;
    pthread_barrier_t *start;
    int rounds;
    int good;
};

static void *sign_and_verify(void *arg)
{
    struct worker *worker = arg;
    uint8_t sig[KEY_SIGNATURE_MAX];
    pthread_barrier_wait(worker->start);
    for (int i = 0; i < worker->rounds; i++) {
        bool ok = key_sign(worker->key, &i, sizeof i, sig) == ERR_OK &&
                  key_verify(worker->key, &i, sizeof i, sig, key_signature_size(worker->key)) == ERR_OK;
        int other = i + 1;
        ok = ok &&
             key_verify(worker->key, &other, sizeof other, sig, key_signature_size(worker->key)) == ERR_TOKEN_INVALID;
        worker->good += ok;
    }
    return NULL;
}

START_TEST(many_threads_share_a_key)
{
    struct worker workers[THREADS];
    pthread_barrier_t start;
    int rounds = support_times(_i == KEY_ES256 || _i == KEY_EDDSA ? 60 : 12, 2);
    AUTO(key_free) struct key *key = load((enum key_alg)_i);
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.key = key, .start = &start, .rounds = rounds};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, sign_and_verify, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
        ck_assert_int_eq(workers[i].good, rounds);
    }
    pthread_barrier_destroy(&start);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static Suite *suite(void)
{
    Suite *s = suite_create("key");
    TCase *tc = tcase_create("key");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, signature_fills_its_size_and_no_more, 0, ALGS);
    tcase_add_loop_test(tc, signs_messages_of_any_length, 0, ALGS);
    tcase_add_loop_test(tc, only_some_algorithms_repeat_a_signature, 0, ALGS);
    tcase_add_loop_test(tc, only_the_key_and_algorithm_that_signed_verify, 0, ALGS);
    tcase_add_loop_test(tc, another_key_of_the_type_does_not_verify, 0, ALGS);
    tcase_add_loop_test(tc, refuses_every_other_length, 0, ALGS);
    tcase_add_loop_test(tc, refuses_a_huge_length_unseen, 0, ALGS);
    tcase_add_loop_test(tc, refuses_each_flipped_bit, 0, ALGS);
    tcase_add_loop_test(tc, refuses_constant_signatures, 0, ALGS);
    tcase_add_test(tc, refuses_ecdsa_numbers_out_of_range);
    tcase_add_test(tc, takes_the_high_s_twin);
    tcase_add_test(tc, pads_short_ecdsa_numbers);
    tcase_add_loop_test(tc, a_failure_leaves_openssl_no_errors, 0, ALGS);
    tcase_add_test(tc, serials_are_never_used_twice);
    tcase_add_test(tc, lives_as_long_as_its_last_reference);
    tcase_add_loop_test(tc, openssl_verifies_what_a_key_signs, 0, COUNT(openssl_rows));
    tcase_add_loop_test(tc, refuses_pss_with_another_salt_or_mask, 0, 4);
    tcase_add_loop_test(tc, many_threads_share_a_key, 0, ALGS);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
