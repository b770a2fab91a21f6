/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/jws.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/mem.h"
#include "tests/forge.h"
#include "tests/support.h"

/* Known attacks on JWT verifiers, with forged tokens that carry a genuine signature wherever the attack allows one. */

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char claims[] = "{\"sub\":\"admin\",\"jti\":\"1\"}";

static struct keyset *one_key(enum key_alg alg)
{
    return forge_set(forge_alg_key(alg, 0), NULL, NULL, NULL);
}

static void refuse(const struct keyset *set, char *token)
{
    ck_err(forge_verdict(set, token), ERR_TOKEN_INVALID);
}

/* alg none (CVE-2015-9235) */

static const char *const nones[] = {
    "{\"alg\":\"none\"}",       "{\"alg\":\"None\"}",
    "{\"alg\":\"NONE\"}",       "{\"alg\":\"nOnE\"}",
    "{\"alg\":\"none \"}",      "{\"alg\":\"\"}",
    "{\"alg\":null}",           "{\"alg\":[]}",
    "{\"alg\":[\"none\"]}",     "{\"alg\":false}",
    "{\"alg\":{\"a\":\"b\"}}",  "{\"alg\":0}",
    "{\"typ\":\"JWT\"}",        "{}",
    "{\"alg\":\"n\\u006fne\"}",
};

START_TEST(refuses_alg_none_in_every_spelling)
{
    AUTO(keyset_free) struct keyset *set = one_key(KEY_RS256);
    static const uint8_t zero[256];
    refuse(set, forge_unsigned(nones[_i], claims, "", 0));
    refuse(set, forge_unsigned(nones[_i], claims, zero, sizeof zero));
    refuse(set, forge_token(keyset_find(set, 0), nones[_i], claims));
    AUTO(mem_free) char *header = forge_text(nones[_i]);
    AUTO(mem_free) char *payload = forge_text(claims);
    refuse(set, mem_printf("%s.%s", header, payload));
}
END_TEST

START_TEST(compares_alg_byte_by_byte)
{
    static const char *const algs[] = {"rs256",        "Rs256", "RS256 ", " RS256",
                                       "RS256\\u0000", "RS25",  "RS2560", "SHA256withRSA"};
    AUTO(keyset_free) struct keyset *set = one_key(KEY_RS256);
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"%s\"}", algs[_i]);
    refuse(set, forge_token(keyset_find(set, 0), header, claims));
    ck_ok(forge_verdict(set, forge_token(keyset_find(set, 0), "{\"alg\":\"RS256\"}", claims)));
}
END_TEST

/* a token MACed with what everybody knows: the public key (CVE-2016-10555) */

static char *maced(const char *alg, const void *secret, size_t len)
{
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"%s\",\"kid\":0,\"typ\":\"JWT\"}", alg);
    AUTO(mem_free) char *h = forge_text(header);
    AUTO(mem_free) char *p = forge_text(claims);
    AUTO(mem_free) char *input = mem_printf("%s.%s", h, p);
    const EVP_MD *md = strcmp(alg, "HS512") == 0   ? EVP_sha512()
                       : strcmp(alg, "HS384") == 0 ? EVP_sha384()
                                                   : EVP_sha256();
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    ck_assert_ptr_nonnull(HMAC(md, secret, (int)len, (const uint8_t *)input, strlen(input), mac, &mac_len));
    AUTO(mem_free) char *m = forge_base64(mac, mac_len);
    return mem_printf("%s.%s", input, m);
}

static EVP_PKEY *pkey(const char *file)
{
    AUTO(mem_free) char *name = mem_printf("jws/%s.pem", file);
    AUTO(mem_free) char *pem = support_data(name, NULL);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ck_assert_ptr_nonnull(key);
    return key;
}

static char *public_pem(const char *file)
{
    EVP_PKEY *key = pkey(file);
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, key), 1);
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    char *copy = mem_strndup(text, (size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return copy;
}

static void refuse_macs(const struct keyset *set, const void *secret, size_t len)
{
    refuse(set, maced("HS256", secret, len));
    refuse(set, maced("HS384", secret, len));
    refuse(set, maced("HS512", secret, len));
    refuse(set, maced(key_alg_name(key_alg(keyset_find(set, 0))), secret, len));
}

START_TEST(refuses_mac_with_the_public_key_as_secret)
{
    enum key_alg alg = (enum key_alg)_i;
    AUTO(keyset_free) struct keyset *set = one_key(alg);
    AUTO(mem_free) char *pem = public_pem(forge_alg_file(alg));
    refuse_macs(set, pem, strlen(pem));
    refuse_macs(set, pem, strlen(pem) - 1);

    EVP_PKEY *key = pkey(forge_alg_file(alg));
    uint8_t *der = NULL;
    int der_len = i2d_PUBKEY(key, &der);
    ck_assert_int_gt(der_len, 0);
    refuse_macs(set, der, (size_t)der_len);
    OPENSSL_free(der);
    EVP_PKEY_free(key);

    json_t *jwk = key_jwk(keyset_find(set, 0));
    char *text = json_dumps(jwk, JSON_COMPACT);
    refuse_macs(set, text, strlen(text));
    mem_free(&text);
    json_decref(jwk);
    refuse_macs(set, "", 0);
}
END_TEST

/* another algorithm than the key's */

START_TEST(each_key_has_one_algorithm)
{
    enum key_alg pinned = (enum key_alg)_i;
    AUTO(keyset_free) struct keyset *set = one_key(pinned);
    for (enum key_alg alg = KEY_RS256; alg < FORGE_ALGS; alg++) {
        AUTO(key_free) struct key *same = forge_alg_key(alg, 0); /* for RSA the very same key, used otherwise */
        AUTO(mem_free) char *header = mem_printf("{\"alg\":\"%s\"}", key_alg_name(alg));
        ck_err(forge_verdict(set, forge_token(same, header, claims)), alg == pinned ? ERR_OK : ERR_TOKEN_INVALID);
        ck_err(forge_verdict(set, forge_token(keyset_find(set, 0), header, claims)),
               alg == pinned ? ERR_OK : ERR_TOKEN_INVALID);
    }
}
END_TEST

/* kid as a lever */

static const char *const kids[] = {
    "-1",
    "-7",
    "7.0",
    "7.9",
    "5.9",
    "0.7e1",
    "7e0",
    "1e3",
    "1e300",
    "1e400",
    "2147483648",
    "4294967303",
    "9223372036854775807",
    "18446744073709551623",
    "true",
    "false",
    "null",
    "{}",
    "[]",
    "[0]",
    "[7]",
    "{\"kid\":7}",
    "\"\"",
    "\"07\"",
    "\"00\"",
    "\"+7\"",
    "\"-7\"",
    "\"-0\"",
    "\" 7\"",
    "\"7 \"",
    "\"7\\n\"",
    "\"7\\u0000\"",
    "\"7\\u0000x\"",
    "\"7.0\"",
    "\"7e0\"",
    "\"0x7\"",
    "\"0x5\"",
    "\"0b111\"",
    "\"\\u0667\"",
    "\"\\uff17\"",
    "\"\xd9\xa7\"",
    "\"2147483648\"",
    "\"4294967303\"",
    "\"99999999999999999999\"",
    "\"18446744073709551623\"",
    "\"1-\"",
    "\"A\"",
    "\"../../../../dev/null\"",
    "\"/dev/null\"",
    "\"private.id.7.pem\"",
    "\"7' OR '1'='1\"",
    "\"7; DROP TABLE tokens\"",
    "\"|id\"",
    "\"$(id)\"",
    "\"%s%s%n\"",
    "\"bilbo.baggins@hobbiton.example\"",
    "07",
    "+7",
    "0x7",
    "7 7",
    "NaN",
};

START_TEST(refuses_kid_that_is_not_a_number_of_ours)
{
    AUTO(keyset_free)
    struct keyset *set = forge_set(forge_key("ed25519", 0, KEY_RS256), forge_key("ed25519b", 7, KEY_RS256),
                                   forge_key("ed25519b", 'A' - '0', KEY_RS256), NULL);
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"EdDSA\",\"kid\":%s}", kids[_i]);
    refuse(set, forge_token(keyset_find(set, 0), header, claims));
    refuse(set, forge_token(keyset_find(set, 7), header, claims));
}
END_TEST

START_TEST(refuses_huge_kid)
{
    AUTO(keyset_free) struct keyset *set = one_key(KEY_EDDSA);
    AUTO(mem_free) char *zeros = mem_printf("{\"alg\":\"EdDSA\",\"kid\":\"%05000d\"}", 0);
    AUTO(mem_free) char *digits = mem_printf("{\"alg\":\"EdDSA\",\"kid\":1%05000d}", 0);
    AUTO(mem_free) char *longer = mem_printf("{\"alg\":\"EdDSA\",\"kid\":\"%010240d\"}", 0);
    refuse(set, forge_token(keyset_find(set, 0), zeros, claims));
    refuse(set, forge_token(keyset_find(set, 0), digits, claims));
    refuse(set, forge_token(keyset_find(set, 0), longer, claims));
}
END_TEST

/* keys that come with the token */

START_TEST(refuses_token_that_brings_its_own_key)
{
    static const char *const members[] = {
        "\"jwk\":%s",
        "\"jku\":\"https://127.0.0.1/jwks\",\"jwk\":%s",
        "\"x5u\":\"https://127.0.0.1/x\",\"a\":%s",
        "\"x5c\":[\"MIIB\"],\"a\":%s",
        "\"x5t\":\"AA\",\"x5t#S256\":\"AA\",\"a\":%s",
    };
    AUTO(keyset_free) struct keyset *set = one_key(KEY_ES256);
    AUTO(key_free) struct key *attacker = forge_key("es256b", 0, KEY_RS256);
    json_t *jwk = key_jwk(attacker);
    AUTO(mem_free) char *jwk_text = json_dumps(jwk, JSON_COMPACT);
    json_decref(jwk);
    json_t *header = json_pack("{s:s, s:s}", "alg", "ES256", "typ", "JWT");
    json_t *more = NULL;
    AUTO(mem_free) char *pattern = mem_printf("{%s}", members[_i]);
    char *at = strstr(pattern, "%s");
    AUTO(mem_free) char *text = mem_printf("%.*s%s%s", (int)(at - pattern), pattern, jwk_text, at + 2);
    more = json_loads(text, 0, NULL);
    ck_assert_int_eq(json_object_update(header, more), 0);
    AUTO(mem_free) char *header_text = json_dumps(header, JSON_COMPACT);
    refuse(set, forge_token(attacker, header_text, claims));
    /* ignored, not forbidden: our own signature counts */
    ck_ok(forge_verdict(set, forge_token(keyset_find(set, 0), header_text, claims)));
    json_decref(header);
    json_decref(more);
}
END_TEST

/* ECDSA: psychic signatures (CVE-2022-21449), values out of range, twins */

static void p256_order(BIGNUM *order)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    ck_assert_int_eq(EC_GROUP_get_order(group, order, NULL), 1);
    EC_GROUP_free(group);
}

START_TEST(refuses_psychic_signatures)
{
    AUTO(keyset_free) struct keyset *set = one_key(KEY_ES256);
    BIGNUM *order = BN_new();
    p256_order(order);
    uint8_t values[5][32] = {{0}, {[31] = 1}};
    ck_assert_int_eq(BN_bn2binpad(order, values[2], 32), 32);
    memcpy(values[3], values[2], 32);
    values[3][31]--;
    memset(values[4], 0xff, 32);
    for (size_t r = 0; r < 5; r++) {
        for (size_t s = 0; s < 5; s++) {
            uint8_t signature[64];
            memcpy(signature, values[r], 32);
            memcpy(signature + 32, values[s], 32);
            refuse(set, forge_unsigned("{\"alg\":\"ES256\",\"kid\":0,\"typ\":\"JWT\"}", claims, signature, 64));
        }
    }
    BN_free(order);
}
END_TEST

START_TEST(refuses_zero_signature)
{
    enum key_alg alg = (enum key_alg)_i;
    AUTO(keyset_free) struct keyset *set = one_key(alg);
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"%s\"}", key_alg_name(alg));
    uint8_t signature[KEY_SIGNATURE_MAX] = {0};
    size_t size = key_signature_size(keyset_find(set, 0));
    refuse(set, forge_unsigned(header, claims, signature, size));
    memset(signature, 0xff, sizeof signature);
    refuse(set, forge_unsigned(header, claims, signature, size));
}
END_TEST

static size_t genuine_signature(const struct keyset *set, uint8_t out[KEY_SIGNATURE_MAX])
{
    const struct key *key = keyset_find(set, 0);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(jws_sign(key, claims, strlen(claims), &token));
    const char *encoded = strrchr(token, '.') + 1;
    ptrdiff_t len = base64_decode(BASE64_URL, encoded, strlen(encoded), out, NULL);
    ck_assert_int_eq(len, (ptrdiff_t)key_signature_size(key));
    return (size_t)len;
}

static char *with_signature(const struct keyset *set, const void *signature, size_t len)
{
    const char *name = key_alg_name(key_alg(keyset_find(set, 0)));
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"%s\",\"kid\":0,\"typ\":\"JWT\"}", name);
    return forge_unsigned(header, claims, signature, len);
}

START_TEST(refuses_every_other_signature_length)
{
    AUTO(keyset_free) struct keyset *set = one_key((enum key_alg)_i);
    uint8_t signature[2 * KEY_SIGNATURE_MAX] = {0};
    size_t size = genuine_signature(set, signature);
    for (size_t len = 0; len <= size + 200; len++)
        ck_err(forge_verdict(set, with_signature(set, signature, len)), len == size ? ERR_OK : ERR_TOKEN_INVALID);
    /* leading zeros do not count either */
    uint8_t longer[KEY_SIGNATURE_MAX + 1] = {0};
    memcpy(longer + 1, signature, size);
    refuse(set, with_signature(set, longer, size + 1));
}
END_TEST

START_TEST(refuses_der_in_place_of_raw_ecdsa)
{
    AUTO(keyset_free) struct keyset *set = one_key(KEY_ES256);
    uint8_t raw[KEY_SIGNATURE_MAX];
    genuine_signature(set, raw);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    ck_assert_int_eq(ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL)), 1);
    uint8_t *der = NULL;
    int len = i2d_ECDSA_SIG(sig, &der);
    refuse(set, with_signature(set, der, (size_t)len));
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
}
END_TEST

START_TEST(refuses_signature_of_21830_characters)
{
    static uint8_t signature[16372];
    AUTO(keyset_free) struct keyset *set = one_key(KEY_ES256);
    memset(signature, 1, sizeof signature);
    refuse(set, with_signature(set, signature, sizeof signature));
    refuse(set, with_signature(set, signature, 6000));
}
END_TEST

/* Both (r, s) and (r, n - s) are signatures by RFC 7518: nobody may take a token's bytes for its identity. */
START_TEST(ecdsa_twin_verifies_under_another_digest)
{
    AUTO(keyset_free) struct keyset *set = one_key(KEY_ES256);
    uint8_t raw[KEY_SIGNATURE_MAX];
    genuine_signature(set, raw);
    AUTO(mem_free) char *token = with_signature(set, raw, 64);
    BIGNUM *order = BN_new();
    BIGNUM *s = BN_bin2bn(raw + 32, 32, NULL);
    p256_order(order);
    ck_assert_int_eq(BN_sub(s, order, s), 1);
    ck_assert_int_eq(BN_bn2binpad(s, raw + 32, 32), 32);
    BN_free(order);
    BN_free(s);
    AUTO(mem_free) char *twin = with_signature(set, raw, 64);
    uint8_t digests[2][JWS_DIGEST_SIZE];
    jws_digest(token, strlen(token), digests[0]);
    jws_digest(twin, strlen(twin), digests[1]);
    ck_ok(forge_verdict(set, mem_strdup(token)));
    ck_ok(forge_verdict(set, mem_strdup(twin)));
    ck_assert_mem_ne(digests[0], digests[1], JWS_DIGEST_SIZE);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("jws attacks");
    TCase *tc = tcase_create("algorithm, key, signature");
    tcase_add_loop_test(tc, refuses_alg_none_in_every_spelling, 0, COUNT(nones));
    tcase_add_loop_test(tc, compares_alg_byte_by_byte, 0, 8);
    tcase_add_loop_test(tc, refuses_mac_with_the_public_key_as_secret, 0, FORGE_ALGS);
    tcase_add_loop_test(tc, each_key_has_one_algorithm, 0, FORGE_ALGS);
    tcase_add_loop_test(tc, refuses_kid_that_is_not_a_number_of_ours, 0, COUNT(kids));
    tcase_add_test(tc, refuses_huge_kid);
    tcase_add_loop_test(tc, refuses_token_that_brings_its_own_key, 0, 5);
    tcase_add_test(tc, refuses_psychic_signatures);
    tcase_add_loop_test(tc, refuses_zero_signature, 0, FORGE_ALGS);
    tcase_add_loop_test(tc, refuses_every_other_signature_length, 0, FORGE_ALGS);
    tcase_add_test(tc, refuses_der_in_place_of_raw_ecdsa);
    tcase_add_test(tc, refuses_signature_of_21830_characters);
    tcase_add_test(tc, ecdsa_twin_verifies_under_another_digest);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
