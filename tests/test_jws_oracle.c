/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/jws.h"

#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/forge.h"
#include "tests/support.h"

/* What others say of our tokens, and we of theirs: libjwt, and the openssl command line. */

static const char claims[] =
    "{\"exp\":1800000000,\"iat\":1700000000,\"iss\":\"mender.useradm\",\"jti\":\"7\",\"mender.user\":true,"
    "\"scp\":\"mender.*\",\"sub\":\"Fr\xc3\xb6"
    "do\"}";

/* The bytes of a signature, in the form in which openssl has it. */
struct signature {
    uint8_t bytes[2 * KEY_SIGNATURE_MAX];
    size_t len;
};

static const size_t halves[FORGE_ALGS] = {[KEY_ES256] = 32, [KEY_ES384] = 48, [KEY_ES512] = 66};

static char *public_pem(enum key_alg alg)
{
    AUTO(mem_free) char *name = mem_printf("jws/%s.pem", forge_alg_file(alg));
    AUTO(mem_free) char *pem = support_data(name, NULL);
    BIO *in = BIO_new_mem_buf(pem, -1);
    BIO *out = BIO_new(BIO_s_mem());
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    ck_assert_int_eq(PEM_write_bio_PUBKEY(out, pkey), 1);
    char *text = NULL;
    long len = BIO_get_mem_data(out, &text);
    char *copy = mem_strndup(text, (size_t)len);
    EVP_PKEY_free(pkey);
    BIO_free(in);
    BIO_free(out);
    return copy;
}

/* libjwt */

START_TEST(libjwt_accepts_our_token)
{
    static const enum key_alg algs[] = {KEY_RS256, KEY_RS384, KEY_RS512, KEY_ES256, KEY_ES384, KEY_ES512};
    AUTO(key_free) struct key *key = forge_alg_key(algs[_i], 7);
    AUTO(mem_free) char *pem = public_pem(algs[_i]);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(jws_sign(key, claims, strlen(claims), &token));
    jwt_t *jwt = NULL;
    ck_assert_int_eq(jwt_decode(&jwt, token, (const unsigned char *)pem, (int)strlen(pem)), 0);
    ck_assert_int_eq(jwt_get_header_int(jwt, "kid"), 7);
    ck_assert_str_eq(jwt_get_header(jwt, "typ"), "JWT");
    ck_assert_str_eq(jwt_get_header(jwt, "alg"), key_alg_name(algs[_i]));
    AUTO(mem_free) char *theirs = jwt_get_grants_json(jwt, NULL);
    jwt_free(jwt);
    AUTO(json_release) json_t *got = json_loads(theirs, 0, NULL);
    AUTO(json_release) json_t *want = json_loads(claims, 0, NULL);
    ck_assert(json_equal(got, want));
}
END_TEST

START_TEST(we_accept_the_token_of_libjwt)
{
    static const struct {
        jwt_alg_t theirs;
        enum key_alg alg;
    } algs[] = {
        {JWT_ALG_RS256, KEY_RS256}, {JWT_ALG_RS384, KEY_RS384}, {JWT_ALG_RS512, KEY_RS512},
        {JWT_ALG_ES256, KEY_ES256}, {JWT_ALG_ES384, KEY_ES384}, {JWT_ALG_ES512, KEY_ES512},
    };
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key(algs[_i].alg, 0), NULL, NULL, NULL);
    AUTO(mem_free) char *name = mem_printf("jws/%s.pem", forge_alg_file(algs[_i].alg));
    AUTO(mem_free) char *pem = support_data(name, NULL);
    jwt_t *jwt = NULL;
    struct jws jws;
    ck_assert_int_eq(jwt_new(&jwt), 0);
    ck_assert_int_eq(jwt_add_grants_json(jwt, claims), 0);
    ck_assert_int_eq(jwt_set_alg(jwt, algs[_i].theirs, (const unsigned char *)pem, (int)strlen(pem)), 0);
    AUTO(mem_free) char *token = jwt_encode_str(jwt);
    jwt_free(jwt);
    ck_assert_ptr_nonnull(token);
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    AUTO(json_release) json_t *got = json_loads(jws.payload, 0, NULL);
    AUTO(json_release) json_t *want = json_loads(claims, 0, NULL);
    ck_assert(json_equal(got, want));
}
END_TEST

/* the openssl command line */

#define PSS " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"

static const char *const dgst[FORGE_ALGS] = {
    [KEY_RS256] = "-sha256",     [KEY_RS384] = "-sha384",     [KEY_RS512] = "-sha512",
    [KEY_PS256] = "-sha256" PSS, [KEY_PS384] = "-sha384" PSS, [KEY_PS512] = "-sha512" PSS,
    [KEY_ES256] = "-sha256",     [KEY_ES384] = "-sha384",     [KEY_ES512] = "-sha512",
};

static int run(const char *dir, const char *options)
{
    AUTO(mem_free) char *command = mem_printf("cd '%s' && openssl %s >out 2>&1", dir, options);
    return system(command);
}

static void put(const char *dir, const char *name, const void *data, size_t len)
{
    AUTO(mem_free) char *path = support_path(dir, name);
    support_write(path, data, len, 0600);
}

static void to_der(struct signature *sig, size_t half)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig->bytes, (int)half, NULL);
    BIGNUM *s = BN_bin2bn(sig->bytes + half, (int)half, NULL);
    ck_assert_int_eq(ECDSA_SIG_set0(pair, r, s), 1);
    uint8_t *end = sig->bytes;
    sig->len = (size_t)i2d_ECDSA_SIG(pair, &end);
    ECDSA_SIG_free(pair);
}

static void from_der(struct signature *sig, size_t half)
{
    const uint8_t *at = sig->bytes;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)sig->len);
    ck_assert_ptr_nonnull(pair);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig->bytes, (int)half), (int)half);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig->bytes + half, (int)half), (int)half);
    sig->len = 2 * half;
    ECDSA_SIG_free(pair);
}

START_TEST(openssl_accepts_our_signature)
{
    enum key_alg alg = (enum key_alg)_i;
    const char *dir = support_dir();
    AUTO(key_free) struct key *key = forge_alg_key(alg, 7);
    AUTO(mem_free) char *pem = public_pem(alg);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(jws_sign(key, claims, strlen(claims), &token));
    const char *dot = strrchr(token, '.');
    struct signature sig;
    sig.len = (size_t)base64_decode(BASE64_URL, dot + 1, strlen(dot + 1), sig.bytes, NULL);
    if (halves[alg] > 0)
        to_der(&sig, halves[alg]);
    put(dir, "pub.pem", pem, strlen(pem));
    put(dir, "input", token, (size_t)(dot - token));
    put(dir, "sig", sig.bytes, sig.len);
    AUTO(mem_free) char *options = mem_printf("dgst %s -verify pub.pem -signature sig input", dgst[alg]);
    static const char raw[] = "pkeyutl -verify -pubin -inkey pub.pem -rawin -in input -sigfile sig";
    ck_assert_int_eq(run(dir, alg == KEY_EDDSA ? raw : options), 0);
    put(dir, "input", token, (size_t)(dot - token) - 1);
    ck_assert_int_ne(run(dir, alg == KEY_EDDSA ? raw : options), 0);
}
END_TEST

START_TEST(we_accept_the_signature_of_openssl)
{
    enum key_alg alg = (enum key_alg)_i;
    const char *dir = support_dir();
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key(alg, 0), NULL, NULL, NULL);
    AUTO(mem_free) char *name = mem_printf("jws/%s.pem", forge_alg_file(alg));
    AUTO(mem_free) char *pem = support_data(name, NULL);
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"%s\"}", key_alg_name(alg));
    AUTO(mem_free) char *h = forge_text(header);
    AUTO(mem_free) char *p = forge_text(claims);
    AUTO(mem_free) char *input = mem_printf("%s.%s", h, p);
    put(dir, "key.pem", pem, strlen(pem));
    put(dir, "input", input, strlen(input));
    AUTO(mem_free) char *options = mem_printf("dgst %s -sign key.pem -out sig input", dgst[alg]);
    ck_assert_int_eq(run(dir, alg == KEY_EDDSA ? "pkeyutl -sign -inkey key.pem -rawin -in input -out sig" : options),
                     0);

    struct signature sig;
    AUTO(mem_free) char *path = support_path(dir, "sig");
    AUTO(mem_free) char *bytes = support_read(path, &sig.len);
    memcpy(sig.bytes, bytes, sig.len);
    if (halves[alg] > 0)
        from_der(&sig, halves[alg]);
    AUTO(mem_free) char *token = forge_unsigned(header, claims, sig.bytes, sig.len);
    struct jws jws;
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    ck_assert_str_eq(jws.payload, claims);
}
END_TEST

/* RFC 7518 section 3.5: the salt is as long as the hash, and no other length will do. */
START_TEST(refuses_pss_with_another_salt_length)
{
    static const char *const salts[] = {"0", "20", "31", "33", "64", "max"};
    const char *dir = support_dir();
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key(KEY_PS256, 0), NULL, NULL, NULL);
    AUTO(mem_free) char *pem = support_data("jws/rsa2048.pem", NULL);
    AUTO(mem_free) char *h = forge_text("{\"alg\":\"PS256\"}");
    AUTO(mem_free) char *p = forge_text(claims);
    AUTO(mem_free) char *input = mem_printf("%s.%s", h, p);
    put(dir, "key.pem", pem, strlen(pem));
    put(dir, "input", input, strlen(input));
    AUTO(mem_free)
    char *options = mem_printf("dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:%s "
                               "-sign key.pem -out sig input",
                               salts[_i]);
    ck_assert_int_eq(run(dir, options), 0);
    AUTO(mem_free) char *path = support_path(dir, "sig");
    size_t len = 0;
    AUTO(mem_free) char *sig = support_read(path, &len);
    ck_err(forge_verdict(set, forge_unsigned("{\"alg\":\"PS256\"}", claims, sig, len)), ERR_TOKEN_INVALID);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("jws oracle");
    TCase *tc = tcase_create("libjwt and openssl");
    tcase_add_loop_test(tc, libjwt_accepts_our_token, 0, 6);
    tcase_add_loop_test(tc, we_accept_the_token_of_libjwt, 0, 6);
    tcase_add_loop_test(tc, openssl_accepts_our_signature, 0, FORGE_ALGS);
    tcase_add_loop_test(tc, we_accept_the_signature_of_openssl, 0, FORGE_ALGS);
    tcase_add_loop_test(tc, refuses_pss_with_another_salt_length, 0, 6);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
