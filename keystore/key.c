/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/key_impl.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"

static const struct key_traits rows[] = {
    [KEY_RS256] = {.name = "RS256", .kty = "RSA", .digest = "SHA256"},
    [KEY_RS384] = {.name = "RS384", .kty = "RSA", .digest = "SHA384"},
    [KEY_RS512] = {.name = "RS512", .kty = "RSA", .digest = "SHA512"},
    [KEY_PS256] = {.name = "PS256", .kty = "RSA", .digest = "SHA256", .is_pss = true},
    [KEY_PS384] = {.name = "PS384", .kty = "RSA", .digest = "SHA384", .is_pss = true},
    [KEY_PS512] = {.name = "PS512", .kty = "RSA", .digest = "SHA512", .is_pss = true},
    [KEY_ES256] = {"ES256", "EC", "SHA256", false, "P-256", SN_X9_62_prime256v1, 32},
    [KEY_ES384] = {"ES384", "EC", "SHA384", false, "P-384", SN_secp384r1, 48},
    [KEY_ES512] = {"ES512", "EC", "SHA512", false, "P-521", SN_secp521r1, 66},
    [KEY_EDDSA] = {.name = "EdDSA", .kty = "OKP", .crv = "Ed25519"},
};
enum { ALGS = sizeof rows / sizeof *rows };

/* Bytes of the largest number in a JWK: the modulus of RSA-8192. */
enum { NUMBER_MAX = 1024, ED25519_SIZE = 32 };

/* What key_generate() can make, in the terms of EVP_PKEY_Q_keygen(). */
struct kind {
    const char *type;
    const char *algorithm;
    size_t bits;
    const char *group;
};

/* clang-format off */
static const struct kind kinds[] = {
    {"rsa2048", "RSA",     2048, NULL},
    {"rsa3072", "RSA",     3072, NULL},
    {"rsa4096", "RSA",     4096, NULL},
    {"es256",   "EC",      0,    SN_X9_62_prime256v1},
    {"es384",   "EC",      0,    SN_secp384r1},
    {"es512",   "EC",      0,    SN_secp521r1},
    {"ed25519", "ED25519", 0,    NULL},
};
/* clang-format on */

static void number_free(BIGNUM **number)
{
    BN_free(*number);
    *number = NULL;
}

static void bio_free(BIO **bio)
{
    BIO_free(*bio);
    *bio = NULL;
}

static void pair_free(ECDSA_SIG **pair)
{
    ECDSA_SIG_free(*pair);
    *pair = NULL;
}

static char *encode(const void *bytes, size_t len)
{
    char *text = mem_calloc(BASE64_ENCODED(len) + 1, 1);
    base64_encode(BASE64_URL, bytes, len, text);
    return text;
}

static bool set_bytes(json_t *jwk, const char *name, const uint8_t *bytes, size_t len)
{
    AUTO(mem_free) char *text = encode(bytes, len);
    return json_object_set_new(jwk, name, json_string(text)) == 0;
}

/* Add the number that OpenSSL calls param, in size bytes; with 0, in as few as it takes (RFC 7518 section 6.3.1). */
static bool set_number(json_t *jwk, const char *name, const EVP_PKEY *pkey, const char *param, size_t size)
{
    AUTO(number_free) BIGNUM *number = NULL;
    uint8_t bytes[NUMBER_MAX];
    if (EVP_PKEY_get_bn_param(pkey, param, &number) != 1)
        return false;
    if (size == 0)
        size = (size_t)BN_num_bytes(number);
    return size <= sizeof bytes && BN_bn2binpad(number, bytes, (int)size) == (int)size &&
           set_bytes(jwk, name, bytes, size);
}

static bool set_public(json_t *jwk, const EVP_PKEY *pkey, const struct key_traits *traits)
{
    if (traits->crv == NULL)
        return set_number(jwk, "n", pkey, OSSL_PKEY_PARAM_RSA_N, 0) &&
               set_number(jwk, "e", pkey, OSSL_PKEY_PARAM_RSA_E, 0);
    if (json_object_set_new(jwk, "crv", json_string(traits->crv)) != 0)
        return false;
    if (traits->coordinate > 0)
        return set_number(jwk, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X, traits->coordinate) &&
               set_number(jwk, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y, traits->coordinate);
    uint8_t x[ED25519_SIZE];
    size_t len = sizeof x;
    return EVP_PKEY_get_raw_public_key(pkey, x, &len) == 1 && len == sizeof x && set_bytes(jwk, "x", x, len);
}

static enum err describe(struct key *key)
{
    const struct key_traits *traits = key_traits(key->alg);
    AUTO(mem_free) char *kid = mem_printf("%lld", (long long)key->kid);
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"%s\",\"kid\":%s,\"typ\":\"JWT\"}", traits->name, kid);
    key->header = encode(header, strlen(header));
    key->jwk = json_pack("{s:s, s:s, s:s, s:s}", "kty", traits->kty, "use", "sig", "kid", kid, "alg", traits->name);
    if (key->jwk == NULL || !set_public(key->jwk, key->pkey, traits))
        return ERR_INTERNAL;
    key->signature_size = traits->coordinate > 0 ? 2 * traits->coordinate : (size_t)EVP_PKEY_get_size(key->pkey);
    return key_thumbprint_of(key->jwk, key->thumbprint);
}

/* The members that make a thumbprint (RFC 7638 section 3.2, RFC 8037 section 2), then NULL. NULL for other types. */
static const char *const *required_members(const char *kty)
{
    static const char *const lists[][6] = {
        {"RSA", "e", "kty", "n"},
        {"EC", "crv", "kty", "x", "y"},
        {"OKP", "crv", "kty", "x"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strcmp(lists[i][0], kty) == 0)
            return lists[i] + 1;
    return NULL;
}

static const struct kind *kind_named(const char *type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}

/* RFC 7518 section 3.4: r and s side by side, each as long as the curve's order. */
static bool der_to_raw(const uint8_t *der, size_t len, size_t half, uint8_t *raw)
{
    AUTO(pair_free) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    return pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, (int)half) == (int)half &&
           BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + half, (int)half) == (int)half;
}

/* The length of the DER form, 0 on failure. */
static size_t raw_to_der(const uint8_t *raw, size_t half, uint8_t der[KEY_DER_SIGNATURE_MAX])
{
    AUTO(pair_free) ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)half, NULL);
    BIGNUM *s = BN_bin2bn(raw + half, (int)half, NULL);
    if (pair == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return 0;
    }
    int len = i2d_ECDSA_SIG(pair, &der);
    return len > 0 ? (size_t)len : 0;
}

const struct key_traits *key_traits(enum key_alg alg)
{
    return &rows[alg];
}

enum err key_alg_of_group(const char *group, enum key_alg *out)
{
    for (size_t i = 0; i < ALGS; i++) {
        if (rows[i].group == NULL || strcmp(rows[i].group, group) != 0)
            continue;
        *out = (enum key_alg)i;
        return ERR_OK;
    }
    return ERR_KEY_TYPE;
}

enum err key_new(EVP_PKEY **pkey, int64_t kid, enum key_alg alg, struct key **out)
{
    static atomic_uint_fast64_t serials;
    AUTO(key_free) struct key *key = mem_calloc(1, sizeof *key);
    atomic_init(&key->refs, 1);
    key->pkey = MOVE(*pkey);
    key->kid = kid;
    key->alg = alg;
    key->serial = atomic_fetch_add(&serials, 1) + 1;
    key->cells = key_cell_new(key->pkey, key_traits(alg)->digest, key_traits(alg)->is_pss);
    TRY(describe(key));
    *out = MOVE(key);
    return ERR_OK;
}

void key_pkey_free(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
    *pkey = NULL;
}

struct key *key_ref(struct key *key)
{
    if (key != NULL)
        atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void key_free(struct key **key)
{
    struct key *last = MOVE(*key);
    if (last == NULL || atomic_fetch_sub_explicit(&last->refs, 1, memory_order_acq_rel) > 1)
        return;
    key_cell_free(&last->cells);
    key_pkey_free(&last->pkey);
    json_release(&last->jwk);
    mem_free(&last->header);
    free(last);
}

int64_t key_kid(const struct key *key)
{
    return key->kid;
}

enum key_alg key_alg(const struct key *key)
{
    return key->alg;
}

uint64_t key_serial(const struct key *key)
{
    return key->serial;
}

const char *key_thumbprint(const struct key *key)
{
    return key->thumbprint;
}

enum err key_thumbprint_of(const json_t *jwk, char out[KEY_THUMBPRINT_SIZE])
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    const char *const *names = required_members(kty != NULL ? kty : "");
    AUTO(json_release) json_t *members = json_object();
    for (; names != NULL && *names != NULL; names++) {
        json_t *value = json_object_get(jwk, *names);
        if (!json_is_string(value) || json_object_set(members, *names, value) != 0)
            return ERR_JSON;
    }
    AUTO(mem_free) char *text = json_dumps(members, JSON_COMPACT | JSON_SORT_KEYS);
    uint8_t digest[SHA256_DIGEST_LENGTH];
    if (names == NULL || text == NULL)
        return ERR_JSON;
    if (EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), digest, NULL) != 1)
        return ERR_INTERNAL;
    out[base64_encode(BASE64_URL, digest, sizeof digest, out)] = '\0';
    return ERR_OK;
}

const char *key_header(const struct key *key)
{
    return key->header;
}

json_t *key_jwk(const struct key *key)
{
    return json_deep_copy(key->jwk);
}

size_t key_signature_size(const struct key *key)
{
    return key->signature_size;
}

enum err key_sign(const struct key *key, const void *msg, size_t len, uint8_t *sig)
{
    size_t half = key_traits(key->alg)->coordinate;
    uint8_t der[KEY_DER_SIGNATURE_MAX];
    size_t der_len = sizeof der;
    size_t sig_len = key->signature_size;
    bool ok = half > 0 ? key_cell_sign(key->cells, msg, len, der, &der_len) && der_to_raw(der, der_len, half, sig)
                       : key_cell_sign(key->cells, msg, len, sig, &sig_len) && sig_len == key->signature_size;
    if (ok)
        return ERR_OK;
    ERR_clear_error();
    return ERR_SIGN;
}

enum err key_verify(const struct key *key, const void *msg, size_t len, const uint8_t *sig, size_t sig_len)
{
    /* before any conversion: nothing of another length is looked at */
    if (sig_len != key->signature_size)
        return ERR_TOKEN_INVALID;
    size_t half = key_traits(key->alg)->coordinate;
    uint8_t der[KEY_DER_SIGNATURE_MAX];
    if (half > 0) {
        sig_len = raw_to_der(sig, half, der);
        sig = der;
    }
    if (sig_len > 0 && key_cell_verify(key->cells, msg, len, sig, sig_len))
        return ERR_OK;
    ERR_clear_error();
    return ERR_TOKEN_INVALID;
}

const char *key_alg_name(enum key_alg alg)
{
    return rows[alg].name;
}

enum err key_alg_parse(const char *name, enum key_alg *out)
{
    for (size_t i = 0; i < ALGS; i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        *out = (enum key_alg)i;
        return ERR_OK;
    }
    return ERR_KEY_ALG;
}

enum err key_generate(const char *type, char **pem)
{
    const struct kind *kind = kind_named(type);
    if (kind == NULL)
        return ERR_KEY_TYPE;
    AUTO(key_pkey_free)
    EVP_PKEY *pkey = kind->group != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, kind->group)
                                         : EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, kind->bits);
    AUTO(bio_free) BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    if (pkey == NULL || bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return ERR_INTERNAL;
    long len = BIO_get_mem_data(bio, &text);
    *pem = mem_strndup(text, (size_t)len);
    return ERR_OK;
}
