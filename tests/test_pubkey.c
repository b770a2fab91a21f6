/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/pubkey.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/pubkey_cache.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

enum { ROOM = 8192, MINIMUM = PUBKEY_RSA_BITS_MIN };

/* Bytes of DER, made inside out. */
struct bytes {
    uint8_t at[ROOM];
    size_t len;
};

/* Kinds of keys that a device may have, in the terms of EVP_PKEY_Q_keygen(). */
static const struct kind {
    const char *name;
    const char *algorithm;
    const char *group;
    size_t bits;
    int count;
} kinds[] = {
    {"P-224", "EC", "P-224", 0, 40},    {"P-256", "EC", "P-256", 0, 40},     {"P-384", "EC", "P-384", 0, 20},
    {"P-521", "EC", "P-521", 0, 40},    {"Ed25519", "ED25519", NULL, 0, 40}, {"RSA 1024", "RSA", NULL, 1024, 4},
    {"RSA 1031", "RSA", NULL, 1031, 2}, {"RSA 2048", "RSA", NULL, 2048, 1},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char p256[] = "-----BEGIN PUBLIC KEY-----\n"
                           "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEBKrsc2NXJvIT+4qeZNo7hjLkFJWp\n"
                           "RNAEW1IuunJA+tWH2TFXmKqjpboBd1eHztBeqve04J/IHW0apUboNl1SXQ==\n"
                           "-----END PUBLIC KEY-----\n";

static void pkey_free(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
    *pkey = NULL;
}

static EVP_PKEY *generate(const struct kind *kind)
{
    if (kind->group != NULL)
        return EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, kind->group);
    return EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, kind->bits);
}

/* One key of the kind, the same whenever a process asks: one of RSA takes valgrind many seconds. */
static EVP_PKEY *some(const struct kind *kind)
{
    static EVP_PKEY *keys[KINDS];
    EVP_PKEY **key = &keys[kind - kinds];
    if (*key == NULL)
        *key = generate(kind);
    EVP_PKEY_up_ref(*key);
    return *key;
}

static char *print(EVP_PKEY *pkey)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
    long len = BIO_get_mem_data(bio, &text);
    char *pem = mem_strndup(text, (size_t)len);
    BIO_free(bio);
    return pem;
}

static size_t sign(EVP_PKEY *pkey, const void *msg, size_t len, uint8_t sig[PUBKEY_SIGNATURE_MAX])
{
    const char *digest = EVP_PKEY_is_a(pkey, "ED25519") ? NULL : "SHA256";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t sig_len = PUBKEY_SIGNATURE_MAX;
    ck_assert_int_eq(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, pkey, NULL), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, sig, &sig_len, msg, len), 1);
    EVP_MD_CTX_free(ctx);
    return sig_len;
}

static enum err parse(const char *pem, struct pubkey **out)
{
    char why[PUBKEY_WHY_SIZE];
    return pubkey_parse(pem, strlen(pem), MINIMUM, why, out);
}

static struct bytes element(uint8_t tag, const void *content, size_t len)
{
    struct bytes out = {.at = {tag}, .len = 1};
    if (len >= 0x100)
        out.at[out.len++] = 0x82;
    else if (len >= 0x80)
        out.at[out.len++] = 0x81;
    if (len >= 0x100)
        out.at[out.len++] = (uint8_t)(len >> 8);
    out.at[out.len++] = (uint8_t)len;
    memcpy(out.at + out.len, content, len);
    out.len += len;
    return out;
}

static struct bytes join(const struct bytes *a, const struct bytes *b)
{
    struct bytes out = *a;
    memcpy(out.at + out.len, b->at, b->len);
    out.len += b->len;
    return out;
}

static struct bytes sequence(const struct bytes *a, const struct bytes *b)
{
    struct bytes both = join(a, b);
    return element(0x30, both.at, both.len);
}

static struct bytes hex(const char *text)
{
    struct bytes out = {.len = strlen(text) / 2};
    ck_assert_uint_le(out.len, sizeof out.at);
    for (size_t i = 0; i < out.len; i++) {
        char byte[3] = {text[2 * i], text[2 * i + 1], '\0'};
        out.at[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return out;
}

/* A SubjectPublicKeyInfo: the content of the AlgorithmIdentifier, and the key. */
static struct bytes spki(const char *algorithm, const struct bytes *key)
{
    struct bytes content = hex(algorithm);
    struct bytes id = element(0x30, content.at, content.len);
    struct bytes bits = {.at = {0}, .len = 1};
    bits = join(&bits, key);
    bits = element(0x03, bits.at, bits.len);
    return sequence(&id, &bits);
}

/* One line of base64: the columns are not the parser's business. */
static char *wrap(const struct bytes *der)
{
    AUTO(mem_free) char *body = mem_calloc(BASE64_ENCODED(der->len) + 1, 1);
    base64_encode(BASE64_STD, der->at, der->len, body);
    return mem_printf("-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", body);
}

#define RSA_ID "06092a864886f70d0101010500"
#define P256_ID "06072a8648ce3d020106082a8648ce3d030107"
#define ED25519_ID "06032b6570"
#define P256_X "04aaec73635726f213fb8a9e64da3b8632e41495a944d0045b522eba7240fad5"
#define P256_Y "87d9315798aaa3a5ba01775787ced05eaaf7b4e09fc81d6d1aa546e8365d525d"
#define ED25519_PUB "7d4d0e7f6153a69b6242b522abbee685fda4420f8834b108c3bdae369ef549fa"

/* An RSA key with a modulus of this many bits, all set, and this exponent (its content in hexadecimal). */
static char *rsa_pem(size_t bits, uint8_t last, const char *exponent)
{
    struct bytes n = {.len = bits / 8 + 1};
    memset(n.at + 1, 0xff, bits / 8);
    n.at[n.len - 1] = last;
    struct bytes e = hex(exponent);
    n = element(0x02, n.at, n.len);
    e = element(0x02, e.at, e.len);
    struct bytes key = sequence(&n, &e);
    struct bytes der = spki(RSA_ID, &key);
    return wrap(&der);
}

static void expect(const char *pem, size_t len, enum err want, const char *text)
{
    struct pubkey *key = NULL;
    char why[PUBKEY_WHY_SIZE] = "";
    enum err e = pubkey_parse(pem, len, MINIMUM, why, &key);
    ck_assert_msg(e == want, "%s (%s), not %s: %.200s", err_name(e), why, err_name(want), pem);
    ck_assert_ptr_null(key);
    ck_assert_str_eq(why, text);
}

static void expect_der(const struct bytes *der, enum err want, const char *text)
{
    AUTO(mem_free) char *pem = wrap(der);
    expect(pem, strlen(pem), want, text);
}

START_TEST(prints_what_openssl_prints)
{
    for (int i = 0; i < support_times(kinds[_i].count, 1); i++) {
        AUTO(pkey_free) EVP_PKEY *pkey = i == 0 ? some(&kinds[_i]) : generate(&kinds[_i]);
        AUTO(mem_free) char *pem = print(pkey);
        AUTO(pubkey_free) struct pubkey *key = NULL;
        ck_ok(parse(pem, &key));
        ck_assert_str_eq(pubkey_pem(key), pem);
        ck_assert_str_eq(pubkey_kind(key), kinds[_i].name);
    }
}
END_TEST

START_TEST(verifies_what_the_key_signed_and_nothing_else)
{
    static const char msg[] = "{\"id_data\":\"{}\"}\n";
    for (int i = 0; i < support_times(kinds[_i].count, 1); i++) {
        uint8_t sig[PUBKEY_SIGNATURE_MAX + 1];
        AUTO(pkey_free) EVP_PKEY *pkey = i == 0 ? some(&kinds[_i]) : generate(&kinds[_i]);
        AUTO(mem_free) char *pem = print(pkey);
        AUTO(pubkey_free) struct pubkey *key = NULL;
        ck_ok(parse(pem, &key));
        size_t n = sign(pkey, msg, sizeof msg - 1, sig);
        ck_ok(pubkey_verify(key, msg, sizeof msg - 1, sig, n));
        ck_err(pubkey_verify(key, msg, sizeof msg - 2, sig, n), ERR_SIGNATURE);
        ck_err(pubkey_verify(key, msg, sizeof msg - 1, sig, n - 1), ERR_SIGNATURE);
        sig[n] = 0;
        ck_err(pubkey_verify(key, msg, sizeof msg - 1, sig, n + 1), ERR_SIGNATURE);
        sig[n / 2] ^= 1;
        ck_err(pubkey_verify(key, msg, sizeof msg - 1, sig, n), ERR_SIGNATURE);
        ck_ok(pubkey_verify(key, msg, sizeof msg - 1, sig, sign(pkey, msg, sizeof msg - 1, sig)));
    }
}
END_TEST

START_TEST(refuses_every_signature_length_but_its_own)
{
    static const uint8_t zeros[PUBKEY_SIGNATURE_MAX * 2] = {0};
    AUTO(pkey_free) EVP_PKEY *pkey = some(&kinds[_i]);
    AUTO(mem_free) char *pem = print(pkey);
    AUTO(pubkey_free) struct pubkey *key = NULL;
    ck_ok(parse(pem, &key));
    for (size_t n = 0; n < 200; n++)
        ck_err(pubkey_verify(key, "x", 1, zeros, n), ERR_SIGNATURE);
    ck_err(pubkey_verify(key, "x", 1, zeros, sizeof zeros), ERR_SIGNATURE);
}
END_TEST

START_TEST(reads_the_signature_of_the_header)
{
    static const char msg[] = "x";
    uint8_t sig[PUBKEY_SIGNATURE_MAX];
    char text[BASE64_ENCODED(PUBKEY_SIGNATURE_MAX) + 8];
    AUTO(pkey_free) EVP_PKEY *pkey = generate(&kinds[4]);
    AUTO(mem_free) char *pem = print(pkey);
    AUTO(pubkey_free) struct pubkey *key = NULL;
    ck_ok(parse(pem, &key));
    size_t n = base64_encode(BASE64_STD, sig, sign(pkey, msg, 1, sig), text);
    ck_assert_uint_eq(n, 88);
    ck_ok(pubkey_verify_base64(key, msg, 1, text, n));
    /* contract/deviceauth 2.3: line breaks are skipped, unused bits are not looked at, padding must be there */
    memmove(text + 42, text + 40, n - 40);
    memcpy(text + 40, "\r\n", 2);
    ck_ok(pubkey_verify_base64(key, msg, 1, text, n + 2));
    text[n - 1]++;
    ck_ok(pubkey_verify_base64(key, msg, 1, text, n + 2));
    ck_err(pubkey_verify_base64(key, msg, 1, text, n), ERR_SIGNATURE);
    text[10] = '-';
    ck_err(pubkey_verify_base64(key, msg, 1, text, n + 2), ERR_SIGNATURE);
    ck_err(pubkey_verify_base64(key, msg, 1, "", 0), ERR_SIGNATURE);
    AUTO(mem_free) char *huge = mem_calloc(1 << 20, 1);
    memset(huge, 'A', 1 << 20);
    ck_err(pubkey_verify_base64(key, msg, 1, huge, 1 << 20), ERR_SIGNATURE);
}
END_TEST

static void expect_p256(const char *pem)
{
    AUTO(pubkey_free) struct pubkey *key = NULL;
    enum err e = parse(pem, &key);
    ck_assert_msg(e == ERR_OK, "%s: %s", err_name(e), pem);
    ck_assert_str_eq(pubkey_pem(key), p256);
}

START_TEST(normalises_the_text)
{
    AUTO(mem_free) char *crlf = mem_calloc(2, sizeof p256);
    char *end = crlf;
    for (const char *p = p256; *p != '\0'; *end++ = *p++)
        if (*p == '\n')
            *end++ = '\r';
    AUTO(mem_free) char *unended = mem_strndup(p256, strlen(p256) - 1);
    AUTO(mem_free) char *led = mem_printf("a key:\n\n%s", p256);
    AUTO(mem_free) char *followed = mem_printf("%strailing", p256);
    AUTO(mem_free) char *two = mem_printf("%s-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", p256);
    AUTO(mem_free) char *narrow = mem_printf("%.40s \t\n%s", p256, p256 + 40);
    expect_p256(p256);
    expect_p256(crlf);
    expect_p256(unended);
    expect_p256(led);
    expect_p256(followed);
    expect_p256(two);
    expect_p256(narrow);
    struct bytes point = hex("04" P256_X P256_Y);
    struct bytes der = spki(P256_ID, &point);
    AUTO(mem_free) char *one_line = wrap(&der);
    expect_p256(one_line);
}
END_TEST

START_TEST(refuses_what_is_not_pem)
{
    static const char *const bad[] = {
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMAA=\n",
        "-----BEGIN PUBLIC KEY-----MAA=-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----MAA=\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMAA=-----END PUBLIC KEY-----\n",
        "x-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY----- x\n",
        "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END RSA PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nM_A=\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY----- \nMAA=\n-----END PUBLIC KEY\n-----",
        "-----BEGIN RSA PUBLIC KEY-----\nMAA=\n-----END RSA PUBLIC KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN public key-----\nMAA=\n-----END public key-----\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect(bad[i], strlen(bad[i]), ERR_PUBKEY_PEM, "cannot decode public key");
    /* the first block is the one that counts */
    AUTO(mem_free) char *second = mem_printf("%s%s", bad[14], p256);
    expect(second, strlen(second), ERR_PUBKEY_PEM, "cannot decode public key");
    AUTO(mem_free) char *long_text = mem_printf("%*s%s", PUBKEY_PEM_MAX, "\n", p256);
    expect(long_text, strlen(long_text), ERR_PUBKEY_PEM, "cannot decode public key");
    AUTO(mem_free) char *nul = mem_strndup(p256, strlen(p256));
    nul[60] = '\0';
    expect(nul, strlen(p256), ERR_PUBKEY_PEM, "cannot decode public key");
}
END_TEST

START_TEST(refuses_every_cut)
{
    for (size_t n = 0; n < strlen(p256) - 1; n++)
        expect(p256, n, ERR_PUBKEY_PEM, "cannot decode public key");
    struct bytes point = hex("04" P256_X P256_Y);
    struct bytes der = spki(P256_ID, &point);
    size_t whole = der.len;
    for (der.len = 0; der.len < whole; der.len++)
        expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: asn1: structure error");
}
END_TEST

START_TEST(refuses_other_kinds_of_keys)
{
    static const struct {
        const char *algorithm;
        enum err want;
        const char *why;
    } others[] = {
        {"06032b656e", ERR_PUBKEY_TYPE, "unrecognized public key type"},             /* X25519 */
        {"06072a8648ce3804010500", ERR_PUBKEY_TYPE, "unrecognized public key type"}, /* DSA */
        {"06072a8648ce3d020106052b8104000a", ERR_PUBKEY_CURVE,
         "cannot decode public key: x509: unsupported elliptic curve"}, /* secp256k1 */
        {"06072a8648ce3d020106082a8648ce3d030101", ERR_PUBKEY_CURVE,
         "cannot decode public key: x509: unsupported elliptic curve"}, /* P-192 */
        {"06092a864886f70d01010a", ERR_PUBKEY_FORM,
         "cannot decode public key: x509: unknown public key algorithm"}, /* RSASSA-PSS */
        {"06032b6571", ERR_PUBKEY_FORM, "cannot decode public key: x509: unknown public key algorithm"}, /* Ed448 */
    };
    struct bytes key = hex(ED25519_PUB);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct bytes der = spki(others[i].algorithm, &key);
        expect_der(&der, others[i].want, others[i].why);
    }
}
END_TEST

START_TEST(refuses_points_that_are_none)
{
    static const char *const points[] = {
        "",
        "00",
        "04",
        "04" P256_X,
        "03" P256_X,                                                                 /* compressed */
        "06" P256_X P256_Y,                                                          /* hybrid */
        "04" P256_X P256_Y "00",                                                     /* too long */
        "04" P256_Y P256_X,                                                          /* off the curve */
        "04" P256_X P256_X,                                                          /* off the curve */
        "04ffffffff00000001000000000000000000000000ffffffffffffffffffffffff" P256_Y, /* x is the prime */
        "040000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct bytes point = hex(points[i]);
        struct bytes der = spki(P256_ID, &point);
        expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: failed to unmarshal elliptic curve point");
        der = spki("06072a8648ce3d020106052b81040022", &point); /* on P-384 */
        expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: failed to unmarshal elliptic curve point");
    }
    struct bytes point = hex("04" P256_X P256_Y);
    struct bytes der = spki("06072a8648ce3d0201", &point); /* no curve */
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: invalid ECDSA parameters");
    der = spki("06072a8648ce3d02013000", &point); /* explicit parameters */
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: invalid ECDSA parameters");
    der = spki(P256_ID "0500", &point);
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: invalid ECDSA parameters");
}
END_TEST

START_TEST(refuses_malformed_ed25519)
{
    struct bytes key = hex(ED25519_PUB);
    struct bytes der = spki(ED25519_ID "0500", &key);
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: Ed25519 key encoded with illegal parameters");
    for (key.len = 31; key.len <= 33; key.len += 2) {
        der = spki(ED25519_ID, &key);
        expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: wrong Ed25519 public key size");
    }
}
END_TEST

START_TEST(refuses_weak_and_huge_rsa)
{
    static const struct {
        size_t bits;
        uint8_t last;
        const char *e;
        enum err want;
        const char *why;
    } cases[] = {
        {1016, 0xff, "010001", ERR_PUBKEY_SIZE, "RSA keys need 1024 to 8192 bits"},
        {8200, 0xff, "010001", ERR_PUBKEY_SIZE, "RSA keys need 1024 to 8192 bits"},
        {16384, 0xff, "010001", ERR_PUBKEY_SIZE, "RSA keys need 1024 to 8192 bits"},
        {2048, 0xfe, "010001", ERR_PUBKEY_FORM, "the RSA modulus is even"},
        {2048, 0xff, "01", ERR_PUBKEY_FORM, "the RSA exponent is not an odd number from 3 to 2147483647"},
        {2048, 0xff, "02", ERR_PUBKEY_FORM, "the RSA exponent is not an odd number from 3 to 2147483647"},
        {2048, 0xff, "00", ERR_PUBKEY_FORM, "the RSA exponent is not an odd number from 3 to 2147483647"},
        {2048, 0xff, "0080000001", ERR_PUBKEY_FORM, "the RSA exponent is not an odd number from 3 to 2147483647"},
        {2048, 0xff, "0100000001", ERR_PUBKEY_FORM, "x509: invalid RSA public exponent"},
        {2048, 0xff, "00010001", ERR_PUBKEY_FORM, "x509: invalid RSA public exponent"}, /* padded */
        {2048, 0xff, "81", ERR_PUBKEY_FORM, "x509: invalid RSA public exponent"},       /* negative */
        {2048, 0xff, "", ERR_PUBKEY_FORM, "x509: invalid RSA public exponent"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(mem_free) char *pem = rsa_pem(cases[i].bits, cases[i].last, cases[i].e);
        AUTO(mem_free) char *why = mem_printf("cannot decode public key: %s", cases[i].why);
        expect(pem, strlen(pem), cases[i].want, why);
    }
    AUTO(mem_free) char *largest = rsa_pem(8192, 0xff, "7fffffff");
    AUTO(pubkey_free) struct pubkey *key = NULL;
    ck_ok(parse(largest, &key));
    ck_assert_str_eq(pubkey_kind(key), "RSA 8192");
}
END_TEST

START_TEST(refuses_roca)
{
    AUTO(mem_free) char *text = support_data("keys/rsa_roca.pem", NULL);
    BIO *bio = BIO_new_mem_buf(text, -1);
    AUTO(pkey_free) EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    AUTO(mem_free) char *pem = print(pkey);
    expect(pem, strlen(pem), ERR_PUBKEY_SIZE, "cannot decode public key: the RSA key is weak (CVE-2017-15361)");
}
END_TEST

START_TEST(raises_the_least_rsa_size)
{
    AUTO(mem_free) char *pem = rsa_pem(2048, 0xff, "010001");
    AUTO(pubkey_free) struct pubkey *key = NULL;
    char why[PUBKEY_WHY_SIZE];
    ck_err(pubkey_parse(pem, strlen(pem), 2049, why, &key), ERR_PUBKEY_SIZE);
    ck_assert_str_eq(why, "cannot decode public key: RSA keys need 2049 to 8192 bits");
    ck_ok(pubkey_parse(pem, strlen(pem), 2048, why, &key));
}
END_TEST

/* The modulus 0xff..ff of 1024 bits, in other encodings than its only one. */
START_TEST(refuses_other_encodings)
{
    struct bytes n = {.len = 129};
    memset(n.at + 1, 0xff, 128);
    struct bytes e = hex("0203010001");
    struct bytes good = element(0x02, n.at, n.len);
    struct bytes negative = element(0x02, n.at + 1, 128);
    struct bytes two_zeros = {.len = 1};
    two_zeros = join(&two_zeros, &n);
    struct bytes padded = element(0x02, two_zeros.at, two_zeros.len);
    const char *modulus = "cannot decode public key: x509: invalid RSA modulus";
    struct bytes key = sequence(&negative, &e);
    struct bytes der = spki(RSA_ID, &key);
    expect_der(&der, ERR_PUBKEY_FORM, modulus);
    key = sequence(&padded, &e);
    der = spki(RSA_ID, &key);
    expect_der(&der, ERR_PUBKEY_FORM, modulus);
    struct bytes zero = hex("020100");
    key = sequence(&zero, &e);
    der = spki(RSA_ID, &key);
    expect_der(&der, ERR_PUBKEY_FORM, modulus);

    struct bytes body = join(&good, &e);
    struct bytes more = join(&body, &zero); /* a third number */
    key = element(0x30, more.at, more.len);
    der = spki(RSA_ID, &key);
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: invalid RSA public key");
    key = element(0x30, body.at, body.len);
    key = join(&key, &zero); /* behind the SEQUENCE */
    der = spki(RSA_ID, &key);
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: invalid RSA public key");
    key = element(0x30, body.at, body.len);
    der = spki("06092a864886f70d010101", &key);
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: RSA key missing NULL parameters");
    der = spki("06092a864886f70d0101010501", &key);
    expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: x509: RSA key missing NULL parameters");
    expect_der(&key, ERR_PUBKEY_FORM,
               "cannot decode public key: x509: failed to parse public key (use ParsePKCS1PublicKey instead for this "
               "key format)");
}
END_TEST

START_TEST(refuses_bad_outer_der)
{
    static const char *const bad[] = {
        "30",
        "3080300506032b6570032100" ED25519_PUB "0000",  /* BER: indefinite length */
        "30812a300506032b6570032100" ED25519_PUB,       /* length longer than it need be */
        "3082002a300506032b6570032100" ED25519_PUB,     /* likewise */
        "308400000000300506032b6570032100" ED25519_PUB, /* likewise */
        "302a300506032b6570032000" ED25519_PUB,         /* inner length wrong */
        "302a300506032b6570032107" ED25519_PUB,         /* unused bits */
        "302a300506032b6570232100" ED25519_PUB,         /* BER: constructed string */
        "302b300506032b6570032100" ED25519_PUB,         /* cut */
        "302c300506032b6570032100" ED25519_PUB "0500",  /* more inside */
        "312a300506032b6570032100" ED25519_PUB,         /* SET */
        "3082ffff300506032b6570032100" ED25519_PUB,     /* far too long */
        "30ff300506032b6570032100" ED25519_PUB,         /* 127 bytes of length */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes der = hex(bad[i]);
        expect_der(&der, ERR_PUBKEY_FORM, "cannot decode public key: asn1: structure error");
    }
    struct bytes trailing = hex("302a300506032b6570032100" ED25519_PUB "00");
    expect_der(&trailing, ERR_PUBKEY_FORM, "cannot decode public key: x509: trailing data after ASN.1 of public-key");
}
END_TEST

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void run_vector(const struct pubkey *key, const json_t *test)
{
    struct bytes msg = hex(text_of(test, "msg"));
    struct bytes sig = hex(text_of(test, "sig"));
    bool is_valid = strcmp(text_of(test, "result"), "valid") == 0; /* "acceptable": the digest's NULL is missing */
    enum err e = pubkey_verify(key, msg.at, msg.len, sig.at, sig.len);
    ck_assert_msg(e == (is_valid ? ERR_OK : ERR_SIGNATURE), "tcId %d (%s): %s",
                  (int)json_integer_value(json_object_get(test, "tcId")), text_of(test, "comment"), err_name(e));
}

/* Signatures in the form in which devices send them; tests/test_jws_vectors.c runs those of tokens. */
static const char *const wycheproof[] = {
    "wycheproof/ecdsa_secp256r1_sha256_test.json",
    "wycheproof/ed25519_test.json",
    "wycheproof/rsa_signature_2048_sha256_test.json",
};

START_TEST(agrees_with_wycheproof)
{
    AUTO(mem_free) char *text = support_data(wycheproof[_i], NULL);
    AUTO(json_release) json_t *file = json_loads(text, 0, NULL);
    json_int_t ran = 0;
    size_t i, k;
    json_t *group, *test;
    json_array_foreach(json_object_get(file, "testGroups"), i, group)
    {
        AUTO(pubkey_free) struct pubkey *key = NULL;
        ck_ok(parse(text_of(group, "publicKeyPem"), &key));
        ck_assert_str_eq(pubkey_pem(key), text_of(group, "publicKeyPem"));
        json_array_foreach(json_object_get(group, "tests"), k, test)
        {
            run_vector(key, test);
            ran++;
        }
    }
    ck_assert_int_eq(ran, json_integer_value(json_object_get(file, "numberOfTests")));
    ck_assert_int_gt(ran, 100);
}
END_TEST

START_TEST(gives_a_text_its_key_again)
{
    struct pubkey_cache *cache = pubkey_cache_new(PUBKEY_CACHE_ENTRIES, MINIMUM);
    char why[PUBKEY_WHY_SIZE];
    AUTO(pubkey_free) struct pubkey *first = NULL;
    AUTO(pubkey_free) struct pubkey *again = NULL;
    AUTO(pubkey_free) struct pubkey *other_text = NULL;
    ck_ok(pubkey_cache_get(cache, p256, strlen(p256), why, &first));
    ck_ok(pubkey_cache_get(cache, p256, strlen(p256), why, &again));
    ck_assert_ptr_eq(first, again);
    ck_ok(pubkey_cache_get(cache, p256, strlen(p256) - 1, why, &other_text));
    ck_assert_ptr_ne(first, other_text);
    ck_assert_uint_eq(pubkey_cache_count(cache), 2);
    pubkey_cache_free(&cache);
    ck_assert_str_eq(pubkey_pem(first), p256); /* a reference outlives the cache */
}
END_TEST

START_TEST(remembers_no_refusal)
{
    struct pubkey_cache *cache = pubkey_cache_new(8, 2048);
    AUTO(mem_free) char *pem = rsa_pem(1024, 0xff, "010001");
    char why[PUBKEY_WHY_SIZE];
    struct pubkey *key = NULL;
    for (int i = 0; i < 2; i++)
        ck_err(pubkey_cache_get(cache, pem, strlen(pem), why, &key), ERR_PUBKEY_SIZE);
    ck_assert_ptr_null(key);
    ck_assert_uint_eq(pubkey_cache_count(cache), 0);
    pubkey_cache_free(&cache);
}
END_TEST

START_TEST(works_without_room)
{
    struct pubkey_cache *cache = pubkey_cache_new(0, MINIMUM);
    char why[PUBKEY_WHY_SIZE];
    AUTO(pubkey_free) struct pubkey *key = NULL;
    ck_ok(pubkey_cache_get(cache, p256, strlen(p256), why, &key));
    ck_assert_uint_eq(pubkey_cache_count(cache), 0);
    pubkey_cache_free(&cache);
}
END_TEST

/* Text before the key makes as many texts as one likes. */
static enum err get_numbered(struct pubkey_cache *cache, int number, struct pubkey **out)
{
    char why[PUBKEY_WHY_SIZE];
    AUTO(mem_free) char *pem = mem_printf("%d\n%s", number, p256);
    return pubkey_cache_get(cache, pem, strlen(pem), why, out);
}

START_TEST(is_bounded_and_keeps_what_is_asked_for)
{
    struct pubkey_cache *cache = pubkey_cache_new(8, MINIMUM);
    AUTO(pubkey_free) struct pubkey *hot = NULL;
    ck_ok(get_numbered(cache, -1, &hot));
    for (int i = 0; i < 100; i++) {
        AUTO(pubkey_free) struct pubkey *key = NULL;
        AUTO(pubkey_free) struct pubkey *again = NULL;
        ck_ok(get_numbered(cache, i, &key));
        ck_ok(get_numbered(cache, -1, &again));
        ck_assert_ptr_eq(again, hot);
        ck_assert_uint_le(pubkey_cache_count(cache), 8);
    }
    ck_assert_uint_eq(pubkey_cache_count(cache), 8);
    pubkey_cache_free(&cache);
}
END_TEST

static void *ask(void *cache)
{
    for (int i = 0; i < support_times(400, 50); i++) {
        AUTO(pubkey_free) struct pubkey *key = NULL;
        if (get_numbered(cache, i % 24, &key) != ERR_OK || strcmp(pubkey_pem(key), p256) != 0)
            abort();
        if (pubkey_verify_base64(key, "x", 1, "MAYCAQECAQE=", 12) != ERR_SIGNATURE)
            abort();
    }
    return NULL;
}

START_TEST(serves_many_threads)
{
    struct pubkey_cache *cache = pubkey_cache_new(16, MINIMUM);
    pthread_t thread[4];
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, ask, cache), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    ck_assert_uint_eq(pubkey_cache_count(cache), 16);
    pubkey_cache_free(&cache);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pubkey");
    TCase *tc = tcase_create("pubkey");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, prints_what_openssl_prints, 0, KINDS);
    tcase_add_loop_test(tc, verifies_what_the_key_signed_and_nothing_else, 0, KINDS);
    tcase_add_loop_test(tc, refuses_every_signature_length_but_its_own, 0, KINDS);
    tcase_add_test(tc, reads_the_signature_of_the_header);
    tcase_add_test(tc, normalises_the_text);
    tcase_add_test(tc, refuses_what_is_not_pem);
    tcase_add_test(tc, refuses_every_cut);
    tcase_add_test(tc, refuses_other_kinds_of_keys);
    tcase_add_test(tc, refuses_points_that_are_none);
    tcase_add_test(tc, refuses_malformed_ed25519);
    tcase_add_test(tc, refuses_weak_and_huge_rsa);
    tcase_add_test(tc, refuses_roca);
    tcase_add_test(tc, raises_the_least_rsa_size);
    tcase_add_test(tc, refuses_other_encodings);
    tcase_add_test(tc, refuses_bad_outer_der);
    tcase_add_loop_test(tc, agrees_with_wycheproof, 0, (int)(sizeof wycheproof / sizeof *wycheproof));
    suite_add_tcase(s, tc);

    TCase *cache = tcase_create("pubkey_cache");
    tcase_add_test(cache, gives_a_text_its_key_again);
    tcase_add_test(cache, remembers_no_refusal);
    tcase_add_test(cache, works_without_room);
    tcase_add_test(cache, is_bounded_and_keeps_what_is_asked_for);
    tcase_add_test(cache, serves_many_threads);
    suite_add_tcase(s, cache);
    return s;
}

int main(void)
{
    return support_main(suite());
}
