/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/forge.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/mem.h"
#include "tests/support.h"

static const char *const alg_files[FORGE_ALGS] = {
    [KEY_RS256] = "rsa2048", [KEY_RS384] = "rsa2048", [KEY_RS512] = "rsa2048", [KEY_PS256] = "rsa2048",
    [KEY_PS384] = "rsa2048", [KEY_PS512] = "rsa2048", [KEY_ES256] = "es256",   [KEY_ES384] = "es384",
    [KEY_ES512] = "es512",   [KEY_EDDSA] = "ed25519",
};

static size_t jwk_bytes(const json_t *jwk, const char *name, uint8_t out[1024])
{
    const char *text = json_string_value(json_object_get(jwk, name));
    ck_assert_msg(text != NULL && strlen(text) <= 1024, "no %s in the JWK", name);
    ptrdiff_t len = base64_decode(BASE64_URL, text, strlen(text), out, NULL);
    ck_assert_int_gt(len, 0);
    return (size_t)len;
}

static void push_number(OSSL_PARAM_BLD *params, const char *param, const json_t *jwk, const char *name, BIGNUM **keep)
{
    uint8_t bytes[1024];
    *keep = BN_bin2bn(bytes, (int)jwk_bytes(jwk, name, bytes), NULL);
    ck_assert_int_eq(OSSL_PARAM_BLD_push_BN(params, param, *keep), 1);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    ck_assert_int_eq(EVP_PKEY_fromdata_init(ctx), 1);
    ck_assert_int_eq(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static EVP_PKEY *rsa_from_jwk(const json_t *jwk)
{
    static const char *const names[][2] = {
        {OSSL_PKEY_PARAM_RSA_N, "n"},          {OSSL_PKEY_PARAM_RSA_E, "e"},
        {OSSL_PKEY_PARAM_RSA_D, "d"},          {OSSL_PKEY_PARAM_RSA_FACTOR1, "p"},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, "q"},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, "dp"},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, "dq"}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, "qi"},
    };
    enum { COUNT = sizeof names / sizeof names[0] };
    BIGNUM *numbers[COUNT];
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    for (size_t i = 0; i < COUNT; i++)
        push_number(build, names[i][0], jwk, names[i][1], &numbers[i]);
    EVP_PKEY *pkey = from_params("RSA", build);
    for (size_t i = 0; i < COUNT; i++)
        BN_clear_free(numbers[i]);
    OSSL_PARAM_BLD_free(build);
    return pkey;
}

static EVP_PKEY *ec_from_jwk(const json_t *jwk)
{
    uint8_t point[2049] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t x = jwk_bytes(jwk, "x", point + 1);
    size_t y = jwk_bytes(jwk, "y", point + 1 + x);
    BIGNUM *d = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    push_number(build, OSSL_PKEY_PARAM_PRIV_KEY, jwk, "d", &d);
    ck_assert_int_eq(OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0), 1);
    ck_assert_int_eq(OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x + y), 1);
    EVP_PKEY *pkey = from_params("EC", build);
    BN_clear_free(d);
    OSSL_PARAM_BLD_free(build);
    return pkey;
}

static EVP_PKEY *ed25519_from_jwk(const json_t *jwk)
{
    uint8_t seed[1024];
    size_t len = jwk_bytes(jwk, "d", seed);
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, len);
}

static EVP_PKEY *pkey_from_jwk(const json_t *jwk)
{
    const char *type = json_string_value(json_object_get(jwk, "kty"));
    if (strcmp(type, "RSA") == 0)
        return rsa_from_jwk(jwk);
    return strcmp(type, "EC") == 0 ? ec_from_jwk(jwk) : ed25519_from_jwk(jwk);
}

struct key *forge_key(const char *file, int64_t kid, enum key_alg rsa_alg)
{
    AUTO(mem_free) char *name = mem_printf("jws/%s.pem", file);
    size_t len = 0;
    AUTO(mem_free) char *pem = support_data(name, &len);
    struct key *key = NULL;
    ck_ok(key_parse(pem, len, kid, rsa_alg, &key));
    return key;
}

struct key *forge_alg_key(enum key_alg alg, int64_t kid)
{
    return forge_key(alg_files[alg], kid, alg <= KEY_PS512 ? alg : KEY_RS256);
}

const char *forge_alg_file(enum key_alg alg)
{
    return alg_files[alg];
}

struct key *forge_jwk_key(const json_t *jwk, int64_t kid, enum key_alg rsa_alg)
{
    EVP_PKEY *pkey = pkey_from_jwk(jwk);
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
    char *pem = NULL;
    long len = BIO_get_mem_data(bio, &pem);
    struct key *key = NULL;
    ck_ok(key_parse(pem, (size_t)len, kid, rsa_alg, &key));
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return key;
}

struct keyset *forge_set(struct key *a, struct key *b, struct key *c, struct key *fallback)
{
    struct key *const keys[] = {a, b, c};
    struct keyset_entry *entries = mem_calloc(3, sizeof *entries);
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        if (keys[i] != NULL)
            entries[n++] = (struct keyset_entry){.file = mem_printf("private.id.%zu.pem", i), .key = keys[i]};
    }
    struct keyset *set = keyset_new(entries, n, NULL, fallback);
    key_free(&fallback);
    return set;
}

char *forge_base64(const void *data, size_t len)
{
    char *text = mem_calloc(BASE64_ENCODED(len) + 1, 1);
    base64_encode(BASE64_URL, data, len, text);
    return text;
}

char *forge_text(const char *text)
{
    return forge_base64(text, strlen(text));
}

char *forge_signed(const struct key *key, const char *input)
{
    uint8_t signature[KEY_SIGNATURE_MAX];
    ck_ok(key_sign(key, input, strlen(input), signature));
    AUTO(mem_free) char *encoded = forge_base64(signature, key_signature_size(key));
    return mem_printf("%s.%s", input, encoded);
}

char *forge_token(const struct key *key, const char *header, const char *payload)
{
    AUTO(mem_free) char *h = forge_text(header);
    AUTO(mem_free) char *p = forge_text(payload);
    AUTO(mem_free) char *input = mem_printf("%s.%s", h, p);
    return forge_signed(key, input);
}

char *forge_unsigned(const char *header, const char *payload, const void *signature, size_t len)
{
    AUTO(mem_free) char *h = forge_text(header);
    AUTO(mem_free) char *p = forge_text(payload);
    AUTO(mem_free) char *s = forge_base64(signature, len);
    return mem_printf("%s.%s.%s", h, p, s);
}

enum err forge_verdict(const struct keyset *set, char *token)
{
    struct jws jws;
    enum err verdict = jws_verify(set, token, strlen(token), &jws);
    mem_free(&token);
    return verdict;
}
