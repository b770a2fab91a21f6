/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/reqsign.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "keystore/key_impl.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/mem.h"

static void bio_free(BIO **bio)
{
    BIO_free(*bio);
}

static void ctx_free(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

enum err reqsign_pubkey(const struct key *key, char **pem)
{
    AUTO(bio_free) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1) {
        ERR_clear_error();
        return ERR_INTERNAL;
    }
    long len = BIO_get_mem_data(bio, &text);
    *pem = mem_strndup(text, (size_t)len);
    return ERR_OK;
}

enum err reqsign_sign(const struct key *key, const void *body, size_t len, char **base64)
{
    uint8_t sig[KEY_SIGNATURE_MAX];
    size_t sig_len = sizeof sig;
    const EVP_MD *digest = key->alg == KEY_EDDSA ? NULL : EVP_sha256();
    AUTO(ctx_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, digest, NULL, key->pkey) != 1 ||
        EVP_DigestSign(ctx, sig, &sig_len, body, len) != 1) {
        ERR_clear_error();
        return ERR_SIGN;
    }
    char *text = mem_calloc(BASE64_ENCODED(sig_len) + 1, 1);
    base64_encode(BASE64_STD, sig, sig_len, text);
    *base64 = text;
    return ERR_OK;
}
