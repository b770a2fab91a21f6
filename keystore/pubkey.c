/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "keystore/pubkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/der.h"
#include "keystore/key_impl.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/mem.h"

#define PEM_BEGIN "-----BEGIN "
#define PEM_END "-----END "
#define PEM_DASHES "-----"
#define PEM_LABEL "PUBLIC KEY"
enum { PEM_COLUMNS = 64, KIND_SIZE = 16, ED25519_KEY = 32, ED25519_SIGNATURE = 64, RSA_E_BYTES = 4, RSA_MARGIN = 64 };

/* What of an algorithm or curve is in the DER, and what becomes of it. */
#define OID(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const uint8_t oid_ed25519[] = {0x2b, 0x65, 0x70};
static const uint8_t oid_x25519[] = {0x2b, 0x65, 0x6e};
static const uint8_t oid_dsa[] = {0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01};

static const struct curve {
    const char *name;
    const char *group; /* OpenSSL's name */
    const uint8_t *oid;
    size_t oid_len;
    size_t coordinate; /* bytes */
} curves[] = {
    {"P-256", SN_X9_62_prime256v1, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07), 32},
    {"P-384", SN_secp384r1, OID(0x2b, 0x81, 0x04, 0x00, 0x22), 48},
    {"P-521", SN_secp521r1, OID(0x2b, 0x81, 0x04, 0x00, 0x23), 66},
    {"P-224", SN_secp224r1, OID(0x2b, 0x81, 0x04, 0x00, 0x21), 28},
};

struct pubkey {
    atomic_size_t refs;
    EVP_PKEY *pkey;
    struct key_cells *cells;
    size_t signature_min, signature_max;
    char kind[KIND_SIZE];
    char *pem;
};

/* A SubjectPublicKeyInfo taken apart (RFC 5280 section 4.1). */
struct spki {
    struct der oid;
    struct der params; /* the whole element; empty when absent */
    struct der key;
};

struct params {
    OSSL_PARAM_BLD *build;
    OSSL_PARAM *list;
    BIGNUM *n, *e;
    EVP_PKEY_CTX *ctx;
};

static void params_release(struct params *params)
{
    OSSL_PARAM_BLD_free(params->build);
    OSSL_PARAM_free(params->list);
    BN_free(params->n);
    BN_free(params->e);
    EVP_PKEY_CTX_free(params->ctx);
}

static enum err fail(enum err e, char why[PUBKEY_WHY_SIZE], const char *detail)
{
    snprintf(why, PUBKEY_WHY_SIZE, "%s%s%s", err_text(detail != NULL ? ERR_PUBKEY_PEM : e), detail != NULL ? ": " : "",
             detail != NULL ? detail : "");
    return e;
}

static enum err malformed(char why[PUBKEY_WHY_SIZE], const char *detail)
{
    return fail(ERR_PUBKEY_FORM, why, detail);
}

/* Make the key of what params->build has. */
static EVP_PKEY *make(struct params *params, const char *type)
{
    EVP_PKEY *pkey = NULL;
    params->list = OSSL_PARAM_BLD_to_param(params->build);
    params->ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params->list == NULL || params->ctx == NULL || EVP_PKEY_fromdata_init(params->ctx) != 1 ||
        EVP_PKEY_fromdata(params->ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params->list) != 1)
        return NULL;
    return pkey;
}

/* RFC 8017 appendix A.1.1, in one encoding. */
static enum err read_rsa(struct der der, char why[PUBKEY_WHY_SIZE], struct der *n, struct der *e)
{
    struct der body;
    if (!der_cut(&der, DER_SEQUENCE, &body) || der.len > 0)
        return malformed(why, "x509: invalid RSA public key");
    if (!der_cut_number(&body, n) || n->len == 0)
        return malformed(why, "x509: invalid RSA modulus");
    if (!der_cut_number(&body, e))
        return malformed(why, "x509: invalid RSA public exponent");
    if (body.len > 0)
        return malformed(why, "x509: invalid RSA public key");
    return ERR_OK;
}

/* An exponent from 3 to 2^31 - 1, and both numbers odd: with others the original's verification fails. */
static enum err check_rsa(const struct params *params, int bits_min, char why[PUBKEY_WHY_SIZE])
{
    int bits = BN_num_bits(params->n);
    if (bits < bits_min || bits > PUBKEY_RSA_BITS_MAX) {
        char detail[RSA_MARGIN];
        snprintf(detail, sizeof detail, "RSA keys need %d to %d bits", bits_min, PUBKEY_RSA_BITS_MAX);
        return fail(ERR_PUBKEY_SIZE, why, detail);
    }
    if (!BN_is_odd(params->n))
        return malformed(why, "the RSA modulus is even");
    if (!BN_is_odd(params->e) || BN_is_one(params->e) || BN_num_bits(params->e) >= RSA_E_BYTES * 8)
        return malformed(why, "the RSA exponent is not an odd number from 3 to 2147483647");
    if (key_check_is_roca(params->n))
        return fail(ERR_PUBKEY_SIZE, why, "the RSA key is weak (CVE-2017-15361)");
    return ERR_OK;
}

static enum err make_rsa(const struct spki *spki, int bits_min, char why[PUBKEY_WHY_SIZE], struct pubkey *key)
{
    static const uint8_t null[] = {DER_NULL, 0};
    AUTO(params_release) struct params params = {0};
    struct der n, e;
    if (!der_is(spki->params, null, sizeof null))
        return malformed(why, "x509: RSA key missing NULL parameters");
    TRY(read_rsa(spki->key, why, &n, &e));
    if (e.len > RSA_E_BYTES)
        return malformed(why, "x509: invalid RSA public exponent");
    params.n = BN_bin2bn(n.at, (int)n.len, NULL);
    params.e = BN_bin2bn(e.at, (int)e.len, NULL);
    params.build = OSSL_PARAM_BLD_new();
    if (params.n == NULL || params.e == NULL || params.build == NULL)
        return fail(ERR_INTERNAL, why, NULL);
    TRY(check_rsa(&params, bits_min, why));
    if (OSSL_PARAM_BLD_push_BN(params.build, OSSL_PKEY_PARAM_RSA_N, params.n) == 1 &&
        OSSL_PARAM_BLD_push_BN(params.build, OSSL_PKEY_PARAM_RSA_E, params.e) == 1)
        key->pkey = make(&params, "RSA");
    key->signature_min = key->signature_max = n.len;
    snprintf(key->kind, sizeof key->kind, "RSA %d", BN_num_bits(params.n));
    return key->pkey != NULL ? ERR_OK : malformed(why, "x509: invalid RSA public key");
}

static const struct curve *find_curve(struct der oid)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (der_is(oid, curves[i].oid, curves[i].oid_len))
            return &curves[i];
    return NULL;
}

/* RFC 5480: a named curve, and a point on it (OpenSSL looks) that is not at infinity and not compressed. */
static enum err make_ec(const struct spki *spki, char why[PUBKEY_WHY_SIZE], struct pubkey *key)
{
    AUTO(params_release) struct params params = {.build = OSSL_PARAM_BLD_new()};
    struct der rest = spki->params;
    struct der oid;
    if (!der_cut(&rest, DER_OID, &oid) || rest.len > 0)
        return malformed(why, "x509: invalid ECDSA parameters");
    const struct curve *curve = find_curve(oid);
    if (curve == NULL)
        return fail(ERR_PUBKEY_CURVE, why, NULL);
    struct der point = spki->key;
    if (params.build != NULL && point.len == 1 + 2 * curve->coordinate &&
        point.at[0] == POINT_CONVERSION_UNCOMPRESSED &&
        OSSL_PARAM_BLD_push_utf8_string(params.build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(params.build, OSSL_PKEY_PARAM_PUB_KEY, point.at, point.len) == 1)
        key->pkey = make(&params, "EC");
    key->signature_min = 8; /* two numbers of a byte */
    key->signature_max = 2 * curve->coordinate + 9;
    snprintf(key->kind, sizeof key->kind, "%s", curve->name);
    return key->pkey != NULL ? ERR_OK : malformed(why, "x509: failed to unmarshal elliptic curve point");
}

/* RFC 8410. */
static enum err make_ed25519(const struct spki *spki, char why[PUBKEY_WHY_SIZE], struct pubkey *key)
{
    if (spki->params.len > 0)
        return malformed(why, "x509: Ed25519 key encoded with illegal parameters");
    if (spki->key.len == ED25519_KEY)
        key->pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, spki->key.at, spki->key.len);
    key->signature_min = key->signature_max = ED25519_SIGNATURE;
    snprintf(key->kind, sizeof key->kind, "Ed25519");
    return key->pkey != NULL ? ERR_OK : malformed(why, "x509: wrong Ed25519 public key size");
}

static enum err make_key(const struct spki *spki, int rsa_bits_min, char why[PUBKEY_WHY_SIZE], struct pubkey *key)
{
    if (der_is(spki->oid, oid_rsa, sizeof oid_rsa))
        return make_rsa(spki, rsa_bits_min, why, key);
    if (der_is(spki->oid, oid_ec, sizeof oid_ec))
        return make_ec(spki, why, key);
    if (der_is(spki->oid, oid_ed25519, sizeof oid_ed25519))
        return make_ed25519(spki, why, key);
    if (der_is(spki->oid, oid_dsa, sizeof oid_dsa) || der_is(spki->oid, oid_x25519, sizeof oid_x25519))
        return fail(ERR_PUBKEY_TYPE, why, NULL);
    return malformed(why, "x509: unknown public key algorithm");
}

static enum err read_spki(struct der der, char why[PUBKEY_WHY_SIZE], struct spki *out)
{
    struct der body, algorithm;
    if (!der_cut(&der, DER_SEQUENCE, &body))
        return malformed(why, "asn1: structure error");
    if (der.len > 0)
        return malformed(why, "x509: trailing data after ASN.1 of public-key");
    struct der number = body;
    struct der n;
    if (der_cut_number(&number, &n))
        return malformed(why, "x509: failed to parse public key (use ParsePKCS1PublicKey instead for this key format)");
    if (!der_cut(&body, DER_SEQUENCE, &algorithm) || !der_cut(&algorithm, DER_OID, &out->oid) ||
        !der_cut_bytes(&body, &out->key) || body.len > 0)
        return malformed(why, "asn1: structure error");
    out->params = algorithm;
    return ERR_OK;
}

/* The end of the line that begins at p: its newline, or end. */
static const char *line_end(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return newline != NULL ? newline : end;
}

/* Whether from p to the end of its line there is this text, and then only white space. */
static bool line_is(const char *p, const char *end, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(end - p) < len || memcmp(p, text, len) != 0)
        return false;
    for (p += len; p < end && *p != '\n'; p++)
        if (*p != ' ' && *p != '\t' && *p != '\r')
            return false;
    return true;
}

/* The start of the next line that begins with text, or NULL. */
static const char *find_line(const char *p, const char *end, const char *text)
{
    size_t len = strlen(text);
    while (p < end) {
        if ((size_t)(end - p) >= len && memcmp(p, text, len) == 0)
            return p;
        const char *newline = line_end(p, end);
        p = newline < end ? newline + 1 : end;
    }
    return NULL;
}

/* The bytes of the first PEM block (RFC 7468), in room of BASE64_DECODED(len); -1 when it is none, or another one. */
static ptrdiff_t decode_pem(const char *pem, size_t len, uint8_t *der)
{
    const char *end = pem + len;
    const char *begin = find_line(pem, end, PEM_BEGIN);
    if (begin == NULL || !line_is(begin, end, PEM_BEGIN PEM_LABEL PEM_DASHES))
        return -1;
    const char *body = line_end(begin, end);
    const char *stop = find_line(body, end, PEM_END);
    if (stop == NULL || !line_is(stop, end, PEM_END PEM_LABEL PEM_DASHES))
        return -1;
    AUTO(mem_free) char *text = mem_calloc((size_t)(stop - body) + 1, 1);
    size_t n = 0;
    for (; body < stop; body++)
        if (*body != ' ' && *body != '\t')
            text[n++] = *body;
    return base64_decode_lax(text, n, der);
}

/* DER that was read as strictly as here is the only encoding, so its bytes are what OpenSSL would write. */
static char *encode_pem(struct der der)
{
    AUTO(mem_free) char *body = mem_calloc(BASE64_ENCODED(der.len) + 1, 1);
    size_t len = base64_encode(BASE64_STD, der.at, der.len, body);
    size_t lines = (len + PEM_COLUMNS - 1) / PEM_COLUMNS;
    char *pem = mem_calloc(len + lines + sizeof PEM_BEGIN PEM_LABEL PEM_DASHES PEM_END PEM_LABEL PEM_DASHES + 2, 1);
    char *p = stpcpy(pem, PEM_BEGIN PEM_LABEL PEM_DASHES "\n");
    for (size_t i = 0; i < len; i += PEM_COLUMNS) {
        size_t n = len - i < PEM_COLUMNS ? len - i : PEM_COLUMNS;
        p = mempcpy(p, body + i, n);
        *p++ = '\n';
    }
    stpcpy(p, PEM_END PEM_LABEL PEM_DASHES "\n");
    return pem;
}

static enum err parse(const char *pem, size_t len, int rsa_bits_min, char why[PUBKEY_WHY_SIZE], struct pubkey **out)
{
    uint8_t bytes[BASE64_DECODED(PUBKEY_PEM_MAX)];
    struct spki spki;
    ptrdiff_t n = len <= PUBKEY_PEM_MAX ? decode_pem(pem, len, bytes) : -1;
    if (n < 0)
        return fail(ERR_PUBKEY_PEM, why, NULL);
    struct der der = {bytes, (size_t)n};
    TRY(read_spki(der, why, &spki));
    AUTO(pubkey_free) struct pubkey *key = mem_calloc(1, sizeof *key);
    atomic_init(&key->refs, 1);
    TRY(make_key(&spki, rsa_bits_min, why, key));
    key->cells = key_cell_new(key->pkey, EVP_PKEY_is_a(key->pkey, "ED25519") ? NULL : "SHA256", false);
    key->pem = encode_pem(der);
    *out = MOVE(key);
    return ERR_OK;
}

enum err pubkey_parse(const char *pem, size_t len, int rsa_bits_min, char why[PUBKEY_WHY_SIZE], struct pubkey **out)
{
    enum err e = parse(pem, len, rsa_bits_min, why, out);
    ERR_clear_error();
    return e;
}

struct pubkey *pubkey_ref(struct pubkey *key)
{
    atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void pubkey_free(struct pubkey **key)
{
    struct pubkey *last = MOVE(*key);
    if (last == NULL || atomic_fetch_sub_explicit(&last->refs, 1, memory_order_acq_rel) > 1)
        return;
    key_cell_free(&last->cells);
    key_pkey_free(&last->pkey);
    mem_free(&last->pem);
    free(last);
}

const char *pubkey_pem(const struct pubkey *key)
{
    return key->pem;
}

const char *pubkey_kind(const struct pubkey *key)
{
    return key->kind;
}

enum err pubkey_verify(const struct pubkey *key, const void *msg, size_t len, const uint8_t *sig, size_t sig_len)
{
    if (sig_len < key->signature_min || sig_len > key->signature_max)
        return ERR_SIGNATURE;
    /* OpenSSL writes an ECDSA signature again and compares: what is no strict DER does not pass */
    if (key_cell_verify(key->cells, msg, len, sig, sig_len))
        return ERR_OK;
    ERR_clear_error();
    return ERR_SIGNATURE;
}

enum err pubkey_verify_base64(const struct pubkey *key, const void *msg, size_t len, const char *sig, size_t sig_len)
{
    uint8_t bytes[BASE64_DECODED(2 * PUBKEY_SIGNATURE_MAX)];
    if (sig_len > 2 * PUBKEY_SIGNATURE_MAX)
        return ERR_SIGNATURE;
    ptrdiff_t n = base64_decode_lax(sig, sig_len, bytes);
    return n < 0 ? ERR_SIGNATURE : pubkey_verify(key, msg, len, bytes, (size_t)n);
}
