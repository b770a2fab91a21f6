/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/key.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

/* What is taken for a key, and what a key tells about itself. tests/data/keys/README.md says how each file was made. */

static const struct {
    const char *file;
    enum key_alg alg; /* with KEY_PS384 asked for */
    size_t signature_size;
    const char *same_as; /* another form of the same key */
} accepted[] = {
    {"rsa2048.pkcs1.pem", KEY_PS384, 256, "rsa2048.pkcs8.pem"},
    {"rsa2048.pkcs8.pem", KEY_PS384, 256, NULL},
    {"rsa8192.pkcs8.pem", KEY_PS384, 1024, NULL},
    {"rsa_e63_bits.pem", KEY_PS384, 256, NULL},
    {"p256.sec1.pem", KEY_ES256, 64, "p256.pkcs8.pem"},
    {"p256.pkcs8.pem", KEY_ES256, 64, NULL},
    {"p256.params_first.pem", KEY_ES256, 64, NULL},
    {"p256.compressed.sec1.pem", KEY_ES256, 64, "p256.pkcs8.pem"},
    {"p256.no_public.sec1.pem", KEY_ES256, 64, "p256.pkcs8.pem"},
    {"p384.sec1.pem", KEY_ES384, 96, "p384.pkcs8.pem"},
    {"p384.pkcs8.pem", KEY_ES384, 96, NULL},
    {"p521.sec1.pem", KEY_ES512, 132, "p521.pkcs8.pem"},
    {"p521.pkcs8.pem", KEY_ES512, 132, NULL},
    {"p521_x_zeros.pem", KEY_ES512, 132, NULL},
    {"ed25519.pem", KEY_EDDSA, 64, NULL},
};

static const struct {
    const char *file;
    enum err err;
} refused[] = {
    {"brainpool256.pkcs8.pem", ERR_KEY_TYPE},
    {"brainpool256.sec1.pem", ERR_KEY_TYPE},
    {"dh.pem", ERR_KEY_TYPE},
    {"dsa.pkcs8.pem", ERR_KEY_TYPE},
    {"dsa.traditional.pem", ERR_KEY_TYPE},
    {"ed25519_empty.pem", ERR_KEY_INCONSISTENT},
    {"ed25519_long.pem", ERR_KEY_INCONSISTENT},
    {"ed25519_short.pem", ERR_KEY_INCONSISTENT},
    {"ed448.pem", ERR_KEY_TYPE},
    {"encrypted_in_plain_label.pem", ERR_KEY_TYPE},
    {"mldsa44.pem", ERR_KEY_TYPE},
    {"not_a_key.pem", ERR_KEY_TYPE},
    {"not_a_key.rsa.pem", ERR_KEY_INCONSISTENT},
    {"not_der.pem", ERR_KEY_NOT_PEM},
    {"openssh.pem", ERR_KEY_TYPE},
    {"p192.pkcs8.pem", ERR_KEY_TYPE},
    {"p192.sec1.pem", ERR_KEY_TYPE},
    {"p224.pkcs8.pem", ERR_KEY_TYPE},
    {"p224.sec1.pem", ERR_KEY_TYPE},
    {"p256.encrypted.sec1.pem", ERR_KEY_ENCRYPTED},
    {"p256.explicit.pkcs8.pem", ERR_KEY_TYPE},
    {"p256.explicit.sec1.pem", ERR_KEY_TYPE},
    {"p256.public.pem", ERR_KEY_NOT_PEM},
    {"p256_above_order.pem", ERR_KEY_INCONSISTENT},
    {"p256_infinity.pem", ERR_KEY_INCONSISTENT},
    {"p256_no_curve.pem", ERR_KEY_INCONSISTENT},
    {"p256_off_curve.pem", ERR_KEY_INCONSISTENT},
    {"p256_off_curve.pkcs8.pem", ERR_KEY_INCONSISTENT},
    {"p256_order.pem", ERR_KEY_INCONSISTENT},
    {"p256_other_public.pem", ERR_KEY_INCONSISTENT},
    {"p256_other_public.pkcs8.pem", ERR_KEY_INCONSISTENT},
    {"p256_unknown_curve.pem", ERR_KEY_INCONSISTENT},
    {"p256_zero.pem", ERR_KEY_INCONSISTENT},
    {"p384_curve_p256_point.pem", ERR_KEY_INCONSISTENT},
    {"pkcs8_in_rsa_label.pem", ERR_KEY_TYPE},
    {"rfc8410.ed25519_with_public.pem", ERR_KEY_TYPE},
    {"rsa1024.pem", ERR_KEY_WEAK},
    {"rsa16384.pem", ERR_KEY_WEAK},
    {"rsa2047.pem", ERR_KEY_WEAK},
    {"rsa2048.certificate.pem", ERR_KEY_NOT_PEM},
    {"rsa2048.encrypted.pkcs1.pem", ERR_KEY_ENCRYPTED},
    {"rsa2048.encrypted.pkcs8.pem", ERR_KEY_ENCRYPTED},
    {"rsa2048.public.pem", ERR_KEY_NOT_PEM},
    {"rsa8193.pem", ERR_KEY_WEAK},
    {"rsa_3primes.pem", ERR_KEY_TYPE},
    {"rsa_e1.pem", ERR_KEY_WEAK},
    {"rsa_e3.pem", ERR_KEY_WEAK},
    {"rsa_e65_bits.pem", ERR_KEY_WEAK},
    {"rsa_e_below.pem", ERR_KEY_WEAK},
    {"rsa_even_e.pem", ERR_KEY_WEAK},
    {"rsa_in_ec_label.pem", ERR_KEY_INCONSISTENT},
    {"rsa_large_d.pem", ERR_KEY_INCONSISTENT},
    {"rsa_no_primes.pem", ERR_KEY_INCONSISTENT},
    {"rsa_other_d.pem", ERR_KEY_INCONSISTENT},
    {"rsa_other_dp.pem", ERR_KEY_INCONSISTENT},
    {"rsa_other_dq.pem", ERR_KEY_INCONSISTENT},
    {"rsa_other_modulus.pem", ERR_KEY_INCONSISTENT},
    {"rsa_other_qinv.pem", ERR_KEY_INCONSISTENT},
    {"rsa_prime_one.pem", ERR_KEY_INCONSISTENT},
    {"rsa_pss_only.pem", ERR_KEY_TYPE},
    {"rsa_roca.pem", ERR_KEY_WEAK},
    {"rsa_zero_modulus.pem", ERR_KEY_WEAK},
    {"secp256k1.pkcs8.pem", ERR_KEY_TYPE},
    {"secp256k1.sec1.pem", ERR_KEY_TYPE},
    {"sm2.pem", ERR_KEY_TYPE},
    {"x25519.pem", ERR_KEY_TYPE},
    {"x448.pem", ERR_KEY_TYPE},
};

/* Texts around a key, as mem_printf's format with the key as %s (twice at most). */
static const struct {
    const char *name;
    const char *format;
    enum err err;
} frames[] = {
    {"as it is", "%s", ERR_OK},
    {"byte order mark", "\xef\xbb\xbf%s", ERR_OK},
    {"empty lines around", "\n\r\n \t%s\n \t\r\n", ERR_OK},
    {"two marks", "\xef\xbb\xbf\xef\xbb\xbf%s", ERR_KEY_TRAILING},
    {"a mark behind", "%s\xef\xbb\xbf", ERR_KEY_TRAILING},
    {"text before", "Bag Attributes\n%s", ERR_KEY_TRAILING},
    {"text behind", "%s# the old one\n", ERR_KEY_TRAILING},
    {"a letter behind", "%sx", ERR_KEY_TRAILING},
    {"twice", "%s%s", ERR_KEY_TRAILING},
    {"twice, apart", "%s\n\n%s\n", ERR_KEY_TRAILING},
    {"half a block behind", "%s-----BEGIN PRIVATE KEY-----\n", ERR_KEY_TRAILING},
    {"a block behind", "%s-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
     ERR_KEY_TRAILING},
    {"parameters in front", "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n%s",
     ERR_KEY_TRAILING},
    {"parameters only", "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n%.0s",
     ERR_KEY_NOT_PEM},
    {"a certificate before", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n%s", ERR_KEY_TRAILING},
    {"nothing", "%.0s", ERR_KEY_NOT_PEM},
    {"space only", " \n%.0s", ERR_KEY_NOT_PEM},
    {"other text", "kid: 7\n%.0s", ERR_KEY_NOT_PEM},
    {"empty block", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n%.0s", ERR_KEY_NOT_PEM},
    {"no label", "-----BEGIN -----\nMAA=\n-----END -----\n%.0s", ERR_KEY_NOT_PEM},
    {"labels differ", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n%.0s", ERR_KEY_NOT_PEM},
    {"longer end label", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEYS-----\n%.0s", ERR_KEY_NOT_PEM},
    {"a header", "-----BEGIN PRIVATE KEY-----\nComment: x\n\nMAA=\n-----END PRIVATE KEY-----\n%.0s", ERR_KEY_NOT_PEM},
    {"no base64", "-----BEGIN PRIVATE KEY-----\nMAA_\n-----END PRIVATE KEY-----\n%.0s", ERR_KEY_NOT_PEM},
    {"no padding", "-----BEGIN PRIVATE KEY-----\nMAA\n-----END PRIVATE KEY-----\n%.0s", ERR_KEY_NOT_PEM},
    {"lower case", "-----begin private key-----\nMAA=\n-----end private key-----\n%.0s", ERR_KEY_NOT_PEM},
    {"made-up label", "-----BEGIN FOO PRIVATE KEY-----\nMAA=\n-----END FOO PRIVATE KEY-----\n%.0s", ERR_KEY_TYPE},
    {"indefinite length", "-----BEGIN PRIVATE KEY-----\nMIAAAA==\n-----END PRIVATE KEY-----\n%.0s", ERR_KEY_NOT_PEM},
};

static char *data(const char *file, size_t *len)
{
    AUTO(mem_free) char *name = mem_printf("keys/%s", file);
    return support_data(name, len);
}

static enum err parse_as(const char *file, int64_t kid, enum key_alg rsa_alg, struct key **out)
{
    size_t len;
    AUTO(mem_free) char *pem = data(file, &len);
    return key_parse(pem, len, kid, rsa_alg, out);
}

static struct key *parse(const char *file)
{
    struct key *key = NULL;
    ck_ok(parse_as(file, 7, KEY_PS384, &key));
    return key;
}

/* Parse from memory with not a byte more, so that ASan sees a look behind the end. */
static enum err parse_exactly(const char *pem, size_t len)
{
    struct key *key = NULL;
    char *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, pem, len);
    enum err e = key_parse(exact, len, 1, KEY_RS256, &key);
    ck_assert((e == ERR_OK) == (key != NULL));
    key_free(&key);
    free(exact);
    return e;
}

START_TEST(takes_each_supported_form)
{
    AUTO(key_free) struct key *key = parse(accepted[_i].file);
    ck_assert_int_eq(key_alg(key), accepted[_i].alg);
    ck_assert_int_eq(key_kid(key), 7);
    ck_assert_uint_eq(key_signature_size(key), accepted[_i].signature_size);
    ck_assert_uint_eq(strlen(key_thumbprint(key)), 43);
    if (accepted[_i].same_as == NULL)
        return;
    AUTO(key_free) struct key *same = parse(accepted[_i].same_as);
    ck_assert_str_eq(key_thumbprint(key), key_thumbprint(same));
}
END_TEST

START_TEST(refuses_with_the_reason)
{
    struct key *key = NULL;
    enum err e = parse_as(refused[_i].file, 7, KEY_RS256, &key);
    ck_assert_msg(e == refused[_i].err, "%s gave %s", refused[_i].file, err_name(e));
    ck_assert_ptr_null(key);
}
END_TEST

START_TEST(refuses_what_is_around_the_block)
{
    AUTO(mem_free) char *pem = data("ed25519.pem", NULL);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    AUTO(mem_free) char *text = mem_printf(frames[_i].format, pem, pem);
#pragma GCC diagnostic pop
    enum err e = parse_exactly(text, strlen(text));
    ck_assert_msg(e == frames[_i].err, "%s: %s", frames[_i].name, err_name(e));
}
END_TEST

START_TEST(takes_any_line_ends_and_widths)
{
    size_t len, n = 0;
    AUTO(mem_free) char *pem = data("rsa2048.pkcs8.pem", &len);
    AUTO(mem_free) char *crlf = mem_calloc(2 * len, 1);
    for (size_t i = 0; i < len; i++) {
        if (pem[i] == '\n')
            crlf[n++] = '\r';
        crlf[n++] = pem[i];
    }
    ck_ok(parse_exactly(crlf, n));
    ck_ok(parse_exactly(pem, len - 1));

    /* the body as one line, indented */
    for (char *p = strchr(pem, '\n') + 1; *p != '-'; p++)
        if (*p == '\n')
            *p = ' ';
    ck_ok(parse_exactly(pem, len));
}
END_TEST

START_TEST(refuses_nul_bytes_around_and_inside)
{
    size_t len;
    AUTO(mem_free) char *pem = data("ed25519.pem", &len);
    ck_err(parse_exactly(pem, len + 1), ERR_KEY_TRAILING);
    pem[40] = '\0';
    ck_err(parse_exactly(pem, len), ERR_KEY_NOT_PEM);
}
END_TEST

START_TEST(refuses_a_file_cut_off_anywhere)
{
    static const char *const files[] = {"rsa2048.pkcs1.pem", "p521.sec1.pem", "ed25519.pem"};
    size_t len;
    AUTO(mem_free) char *pem = data(files[_i], &len);
    for (size_t n = 0; n < len - 1; n++)
        ck_err(parse_exactly(pem, n), ERR_KEY_NOT_PEM);
}
END_TEST

/* The same with the frame whole: the DER ends too early, or has bytes behind it. */
START_TEST(refuses_der_of_another_length)
{
    uint8_t der[64] = {0};
    char text[BASE64_ENCODED(sizeof der) + 1];
    AUTO(mem_free) char *pem = data("ed25519.pem", NULL);
    char *body = strchr(pem, '\n') + 1;
    size_t len = (size_t)base64_decode(BASE64_STD, body, strcspn(body, "\n"), der, NULL);
    for (size_t n = 1; n <= sizeof der; n++) {
        text[base64_encode(BASE64_STD, der, n, text)] = '\0';
        AUTO(mem_free) char *file = mem_printf("-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n", text);
        ck_err(parse_exactly(file, strlen(file)), n < len ? ERR_KEY_NOT_PEM : n == len ? ERR_OK : ERR_KEY_TRAILING);
    }
}
END_TEST

START_TEST(refuses_a_file_of_more_than_64_kib)
{
    size_t len;
    AUTO(mem_free) char *pem = data("ed25519.pem", &len);
    AUTO(mem_free) char *large = mem_calloc(KEY_FILE_MAX + 1, 1);
    memset(large, '\n', KEY_FILE_MAX + 1);
    memcpy(large, pem, len);
    ck_ok(parse_exactly(large, KEY_FILE_MAX));
    ck_err(parse_exactly(large, KEY_FILE_MAX + 1), ERR_KEY_FILE_SIZE);
}
END_TEST

START_TEST(rsa_algorithm_is_the_configured_one)
{
    struct key *key = NULL;
    for (int alg = KEY_RS256; alg <= KEY_EDDSA; alg++) {
        enum err e = parse_as("rsa2048.pkcs8.pem", 1, (enum key_alg)alg, &key);
        ck_assert_int_eq(e, alg <= KEY_PS512 ? ERR_OK : ERR_KEY_ALG);
        if (e == ERR_OK)
            ck_assert_int_eq(key_alg(key), alg);
        key_free(&key);
        ck_ok(parse_as("p384.pkcs8.pem", 1, (enum key_alg)alg, &key));
        ck_assert_int_eq(key_alg(key), KEY_ES384);
        key_free(&key);
    }
}
END_TEST

START_TEST(header_is_the_contracts_to_the_letter)
{
    struct key *key = NULL;
    uint8_t text[128] = {0};
    ck_ok(parse_as("rsa2048.pkcs8.pem", 0, KEY_RS256, &key));
    ck_assert_int_gt(base64_decode(BASE64_URL, key_header(key), strlen(key_header(key)), text, NULL), 0);
    ck_assert_str_eq((char *)text, "{\"alg\":\"RS256\",\"kid\":0,\"typ\":\"JWT\"}");
    ck_assert_str_eq(key_header(key), "eyJhbGciOiJSUzI1NiIsImtpZCI6MCwidHlwIjoiSldUIn0");
    key_free(&key);

    memset(text, 0, sizeof text);
    ck_ok(parse_as("ed25519.pem", KEY_KID_MAX, KEY_RS256, &key));
    ck_assert_int_gt(base64_decode(BASE64_URL, key_header(key), strlen(key_header(key)), text, NULL), 0);
    ck_assert_str_eq((char *)text, "{\"alg\":\"EdDSA\",\"kid\":2147483647,\"typ\":\"JWT\"}");
    key_free(&key);
}
END_TEST

static void check_members(json_t *jwk, const char *const *names)
{
    const char *name;
    json_t *value;
    json_object_foreach(jwk, name, value)
    {
        ck_assert_ptr_nonnull(*names);
        ck_assert_str_eq(name, *names++);
        ck_assert(json_is_string(value));
    }
    ck_assert_ptr_null(*names);
}

/* The bytes of a JWK member. */
static size_t octets(json_t *jwk, const char *name, uint8_t out[1200])
{
    const char *text = json_string_value(json_object_get(jwk, name));
    ptrdiff_t n = base64_decode(BASE64_URL, text, strlen(text), out, NULL);
    ck_assert_int_ge(n, 0);
    return (size_t)n;
}

START_TEST(jwk_of_rsa_has_minimal_numbers)
{
    static const char *const names[] = {"kty", "use", "kid", "alg", "n", "e", NULL};
    uint8_t n[1200];
    AUTO(key_free) struct key *key = parse("rsa2048.pkcs1.pem");
    AUTO(json_release) json_t *jwk = key_jwk(key);
    check_members(jwk, names);
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "kty")), "RSA");
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "use")), "sig");
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "kid")), "7");
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "alg")), "PS384");
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "e")), "AQAB");
    ck_assert_uint_eq(octets(jwk, "n", n), 256);
    ck_assert_uint_ge(n[0], 0x80);
}
END_TEST

START_TEST(jwk_of_ec_has_full_coordinates)
{
    static const char *const names[] = {"kty", "use", "kid", "alg", "crv", "x", "y", NULL};
    static const struct {
        const char *file, *crv;
        size_t size;
    } rows[] = {
        {"p256.sec1.pem", "P-256", 32},
        {"p384.sec1.pem", "P-384", 48},
        {"p521.sec1.pem", "P-521", 66},
        {"p521_x_zeros.pem", "P-521", 66},
    };
    uint8_t x[1200];
    AUTO(key_free) struct key *key = parse(rows[_i].file);
    AUTO(json_release) json_t *jwk = key_jwk(key);
    check_members(jwk, names);
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "kty")), "EC");
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "crv")), rows[_i].crv);
    ck_assert_uint_eq(octets(jwk, "y", x), rows[_i].size);
    ck_assert_uint_eq(octets(jwk, "x", x), rows[_i].size);
    if (_i == 3)
        ck_assert_mem_eq(x, "\0\0", 2);
}
END_TEST

START_TEST(jwk_of_ed25519_is_its_32_bytes)
{
    static const char *const names[] = {"kty", "use", "kid", "alg", "crv", "x", NULL};
    uint8_t x[1200];
    AUTO(key_free) struct key *key = parse("ed25519.pem");
    AUTO(json_release) json_t *jwk = key_jwk(key);
    check_members(jwk, names);
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "kty")), "OKP");
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "crv")), "Ed25519");
    ck_assert_str_eq(json_string_value(json_object_get(jwk, "alg")), "EdDSA");
    ck_assert_uint_eq(octets(jwk, "x", x), 32);
}
END_TEST

START_TEST(jwk_given_out_is_the_callers_own)
{
    AUTO(key_free) struct key *key = parse("ed25519.pem");
    AUTO(json_release) json_t *first = key_jwk(key);
    json_object_clear(first);
    AUTO(json_release) json_t *second = key_jwk(key);
    ck_assert_uint_eq(json_object_size(second), 6);
}
END_TEST

/* RFC 7638 section 3.1, RFC 8037 appendix A.3, with members that do not count and in another order. */
START_TEST(thumbprint_is_that_of_the_rfcs)
{
    static const struct {
        const char *jwk, *thumbprint;
    } rows[] = {
        {"{\"kty\":\"RSA\",\"n\":"
         "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXj"
         "BZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
         "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6"
         "qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
         "kEgU8awapJzKnqDKgw"
         "\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}",
         "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
        {"{\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"use\":\"sig\"}",
         "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
    };
    char out[KEY_THUMBPRINT_SIZE];
    AUTO(json_release) json_t *jwk = NULL;
    ck_ok(json_parse_strict(rows[_i].jwk, strlen(rows[_i].jwk), &jwk));
    ck_ok(key_thumbprint_of(jwk, out));
    ck_assert_str_eq(out, rows[_i].thumbprint);
}
END_TEST

START_TEST(thumbprint_needs_all_members_of_a_known_type)
{
    static const char *const bad[] = {
        "{}",
        "{\"kty\":\"oct\",\"k\":\"AA\"}",
        "{\"kty\":7}",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"e\":65537,\"n\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\"}",
        "{\"kty\":\"OKP\",\"x\":\"AA\"}",
    };
    char out[KEY_THUMBPRINT_SIZE];
    AUTO(json_release) json_t *jwk = NULL;
    ck_ok(json_parse_strict(bad[_i], strlen(bad[_i]), &jwk));
    ck_err(key_thumbprint_of(jwk, out), ERR_JSON);
}
END_TEST

START_TEST(generates_each_kind)
{
    static const struct {
        const char *type;
        enum key_alg alg;
        size_t signature_size;
    } rows[] = {
        {"es256", KEY_ES256, 64},    {"es384", KEY_ES384, 96},    {"es512", KEY_ES512, 132},
        {"ed25519", KEY_EDDSA, 64},  {"rsa2048", KEY_RS256, 256}, {"rsa3072", KEY_RS256, 384},
        {"rsa4096", KEY_RS256, 512},
    };
    AUTO(mem_wipe) char *pem = NULL;
    AUTO(mem_wipe) char *other = NULL;
    AUTO(key_free) struct key *key = NULL;
    ck_ok(key_generate(rows[_i].type, &pem));
    ck_assert_int_eq(strncmp(pem, "-----BEGIN PRIVATE KEY-----\n", 28), 0);
    ck_ok(key_parse(pem, strlen(pem), 1, KEY_RS256, &key));
    ck_assert_int_eq(key_alg(key), rows[_i].alg);
    ck_assert_uint_eq(key_signature_size(key), rows[_i].signature_size);
    if (rows[_i].alg == KEY_RS256) {
        AUTO(json_release) json_t *jwk = key_jwk(key);
        ck_assert_str_eq(json_string_value(json_object_get(jwk, "e")), "AQAB");
        return;
    }
    ck_ok(key_generate(rows[_i].type, &other));
    ck_assert_str_ne(pem, other);
}
END_TEST

START_TEST(generates_nothing_else)
{
    static const char *const types[] = {"", "rsa", "rsa1024", "RSA2048", "rsa2048 ", "secp256k1", "P-256", "ed448"};
    char *pem = NULL;
    ck_err(key_generate(types[_i], &pem), ERR_KEY_TYPE);
    ck_assert_ptr_null(pem);
}
END_TEST

START_TEST(algorithm_names_are_exact)
{
    static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                        "PS512", "ES256", "ES384", "ES512", "EdDSA"};
    static const char *const bad[] = {"",       "none",   "HS256", "rs256",   "RS256 ",
                                      " RS256", "ES256K", "EDDSA", "Ed25519", "RS25"};
    enum key_alg alg;
    for (int i = KEY_RS256; i <= KEY_EDDSA; i++) {
        ck_assert_str_eq(key_alg_name((enum key_alg)i), names[i]);
        ck_ok(key_alg_parse(names[i], &alg));
        ck_assert_int_eq(alg, i);
        ck_err(key_alg_parse(bad[i], &alg), ERR_KEY_ALG);
    }
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static Suite *suite(void)
{
    Suite *s = suite_create("key_parse");
    TCase *tc = tcase_create("key_parse");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, takes_each_supported_form, 0, COUNT(accepted));
    tcase_add_loop_test(tc, refuses_with_the_reason, 0, COUNT(refused));
    tcase_add_loop_test(tc, refuses_what_is_around_the_block, 0, COUNT(frames));
    tcase_add_test(tc, takes_any_line_ends_and_widths);
    tcase_add_test(tc, refuses_nul_bytes_around_and_inside);
    tcase_add_loop_test(tc, refuses_a_file_cut_off_anywhere, 0, 3);
    tcase_add_test(tc, refuses_der_of_another_length);
    tcase_add_test(tc, refuses_a_file_of_more_than_64_kib);
    tcase_add_test(tc, rsa_algorithm_is_the_configured_one);
    tcase_add_test(tc, header_is_the_contracts_to_the_letter);
    tcase_add_test(tc, jwk_of_rsa_has_minimal_numbers);
    tcase_add_loop_test(tc, jwk_of_ec_has_full_coordinates, 0, 4);
    tcase_add_test(tc, jwk_of_ed25519_is_its_32_bytes);
    tcase_add_test(tc, jwk_given_out_is_the_callers_own);
    tcase_add_loop_test(tc, thumbprint_is_that_of_the_rfcs, 0, 2);
    tcase_add_loop_test(tc, thumbprint_needs_all_members_of_a_known_type, 0, 7);
    tcase_add_loop_test(tc, generates_each_kind, 0, support_times(7, 5)); /* an RSA key of 4096 bits takes a minute */
    tcase_add_loop_test(tc, generates_nothing_else, 0, 8);
    tcase_add_test(tc, algorithm_names_are_exact);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
