/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "keystore/key_impl.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/mem.h"

/* Characters that are somebody else's. */
struct text {
    const char *at;
    size_t len;
};

struct block {
    struct text label;
    struct text body;
};

/* Bytes that are wiped when they are released. */
struct secret {
    uint8_t *bytes;
    size_t len;
};

/* The PEM forms of RFC 7468 section 10, RFC 8017 appendix A.1.2 and RFC 5915, in OpenSSL's terms. */
static const struct form {
    const char *label;
    const char *type; /* NULL: the DER says it */
    const char *structure;
} forms[] = {
    {"PRIVATE KEY", NULL, "PrivateKeyInfo"},
    {"RSA PRIVATE KEY", "RSA", "type-specific"},
    {"EC PRIVATE KEY", "EC", "type-specific"},
};

static void secret_release(struct secret *secret)
{
    if (secret->bytes != NULL)
        OPENSSL_cleanse(secret->bytes, secret->len);
    free(secret->bytes);
    secret->bytes = NULL;
}

static void decoder_free(OSSL_DECODER_CTX **decoder)
{
    OSSL_DECODER_CTX_free(*decoder);
    *decoder = NULL;
}

static void info_free(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info);
    *info = NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool text_is(struct text text, const char *s)
{
    return text.len == strlen(s) && memcmp(text.at, s, text.len) == 0;
}

static bool text_ends(struct text text, const char *s)
{
    size_t len = strlen(s);
    return text.len >= len && memcmp(text.at + text.len - len, s, len) == 0;
}

/* Where s begins in text, or NULL. */
static const char *text_find(struct text text, const char *s)
{
    return memmem(text.at, text.len, s, strlen(s));
}

static void text_skip(struct text *text, size_t n)
{
    text->at += n;
    text->len -= n;
}

static void text_skip_space(struct text *text)
{
    while (text->len > 0 && is_space(*text->at))
        text_skip(text, 1);
}

/* Cut off what stands before s, and s itself; false when there is no s. */
static bool text_cut(struct text *text, const char *s, struct text *before)
{
    const char *at = text_find(*text, s);
    if (at == NULL)
        return false;
    *before = (struct text){text->at, (size_t)(at - text->at)};
    text_skip(text, before->len + strlen(s));
    return true;
}

/* Cut one block (RFC 7468 section 3) off, with the white space around it. */
static enum err cut_block(struct text *text, struct block *out)
{
    struct text before, end_label;
    text_skip_space(text);
    if (!text_cut(text, "-----BEGIN ", &before))
        return ERR_KEY_NOT_PEM;
    if (before.len > 0)
        return ERR_KEY_TRAILING;
    if (!text_cut(text, "-----", &out->label) || !text_cut(text, "-----END ", &out->body) ||
        !text_cut(text, "-----", &end_label))
        return ERR_KEY_NOT_PEM;
    if (end_label.len != out->label.len || memcmp(end_label.at, out->label.at, end_label.len) != 0)
        return ERR_KEY_NOT_PEM;
    text_skip_space(text);
    return ERR_OK;
}

/* The one block of the file. `openssl ecparam -genkey` writes the curve in front of the key, which has it too. */
static enum err only_block(struct text text, struct block *out)
{
    struct block block;
    if (text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0)
        text_skip(&text, 3);
    TRY(cut_block(&text, &block));
    if (text_is(block.label, "EC PARAMETERS") && text.len > 0) {
        TRY(cut_block(&text, &block));
        if (!text_is(block.label, "EC PRIVATE KEY"))
            return ERR_KEY_TRAILING;
    }
    if (text.len > 0)
        return ERR_KEY_TRAILING;
    *out = block;
    return ERR_OK;
}

static enum err find_form(const struct block *block, const struct form **out)
{
    if (text_is(block->label, "ENCRYPTED PRIVATE KEY") || text_find(block->body, "4,ENCRYPTED") != NULL)
        return ERR_KEY_ENCRYPTED;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!text_is(block->label, forms[i].label))
            continue;
        *out = &forms[i];
        return ERR_OK;
    }
    return text_ends(block->label, "PRIVATE KEY") ? ERR_KEY_TYPE : ERR_KEY_NOT_PEM;
}

static enum err decode_body(struct text body, struct secret *der)
{
    AUTO(secret_release) struct secret digits = {mem_calloc(body.len, 1), body.len};
    size_t n = 0;
    for (size_t i = 0; i < body.len; i++)
        if (!is_space(body.at[i]))
            digits.bytes[n++] = (uint8_t)body.at[i];
    AUTO(secret_release) struct secret bytes = {mem_calloc(BASE64_DECODED(n), 1), BASE64_DECODED(n)};
    ptrdiff_t len = base64_decode(BASE64_STD, (const char *)digits.bytes, n, bytes.bytes, NULL);
    if (len <= 0)
        return ERR_KEY_NOT_PEM;
    der->len = (size_t)len;
    der->bytes = MOVE(bytes.bytes);
    return ERR_OK;
}

/* Exactly one SEQUENCE, up to the last byte: else the key was cut off, or something stands behind it. */
static enum err check_der(const struct secret *der)
{
    const uint8_t *at = der->bytes;
    long len;
    int tag, class;
    int flags = ASN1_get_object(&at, &len, &tag, &class, (long)der->len);
    if ((flags & 0x80) != 0 || flags != V_ASN1_CONSTRUCTED || tag != V_ASN1_SEQUENCE || class != V_ASN1_UNIVERSAL)
        return ERR_KEY_NOT_PEM;
    return at + len == der->bytes + der->len ? ERR_OK : ERR_KEY_TRAILING;
}

/* NULL: none that is accepted. */
static const char *type_of(const ASN1_OBJECT *algorithm)
{
    switch (OBJ_obj2nid(algorithm)) {
    case NID_rsaEncryption:
        return "RSA";
    case NID_X9_62_id_ecPublicKey:
        return "EC";
    case NID_ED25519:
        return "ED25519";
    default:
        return NULL;
    }
}

/*
 * The DER must be what the label says; PKCS#8 names its algorithm, also one that OpenSSL has never heard of. A decoder
 * that is told the type need not try all of them.
 */
static enum err find_type(const struct form *form, const struct secret *der, const char **out)
{
    const uint8_t *at = der->bytes;
    const ASN1_OBJECT *algorithm = NULL;
    AUTO(info_free) PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der->len);
    if ((info != NULL) != (form->type == NULL))
        return ERR_KEY_TYPE;
    if (info != NULL && PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) != 1)
        return ERR_INTERNAL;
    *out = info != NULL ? type_of(algorithm) : form->type;
    return *out != NULL ? ERR_OK : ERR_KEY_TYPE;
}

static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static enum err decode_key(const struct form *form, const struct secret *der, EVP_PKEY **out)
{
    const uint8_t *at = der->bytes;
    size_t left = der->len;
    EVP_PKEY *pkey = NULL;
    const char *type = NULL;
    TRY(check_der(der));
    TRY(find_type(form, der, &type));
    AUTO(decoder_free)
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", form->structure, type, EVP_PKEY_KEYPAIR, NULL, NULL);
    if (decoder == NULL || OSSL_DECODER_CTX_set_pem_password_cb(decoder, no_password, NULL) != 1)
        return ERR_INTERNAL;
    if (OSSL_DECODER_from_data(decoder, &at, &left) != 1)
        return ERR_KEY_INCONSISTENT;
    *out = pkey;
    return ERR_OK;
}

static enum err self_test(const struct key *key)
{
    static const char msg[] = "a key is given out when it has signed and verified this";
    uint8_t sig[KEY_SIGNATURE_MAX];
    if (key_sign(key, msg, sizeof msg, sig) != ERR_OK)
        return ERR_KEY_INCONSISTENT;
    return key_verify(key, msg, sizeof msg, sig, key->signature_size) == ERR_OK ? ERR_OK : ERR_KEY_INCONSISTENT;
}

static enum err parse(struct text text, int64_t kid, enum key_alg rsa_alg, struct key **out)
{
    struct block block;
    const struct form *form;
    enum key_alg alg;
    AUTO(secret_release) struct secret der = {0};
    AUTO(key_pkey_free) EVP_PKEY *pkey = NULL;
    AUTO(key_free) struct key *key = NULL;
    TRY(only_block(text, &block));
    TRY(find_form(&block, &form));
    TRY(decode_body(block.body, &der));
    TRY(decode_key(form, &der, &pkey));
    TRY(key_check(pkey, rsa_alg, &alg));
    TRY(key_new(&pkey, kid, alg, &key));
    TRY(self_test(key));
    *out = MOVE(key);
    return ERR_OK;
}

enum err key_parse(const char *pem, size_t len, int64_t kid, enum key_alg rsa_alg, struct key **out)
{
    if (len > KEY_FILE_MAX)
        return ERR_KEY_FILE_SIZE;
    enum err e = parse((struct text){pem, len}, kid, rsa_alg, out);
    ERR_clear_error();
    return e;
}
