/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/pubkey.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/mem.h"

/*
 * A key that is accepted is accepted by OpenSSL too, which prints the same text; and it takes no byte string for a
 * signature that nobody made. Input that begins as a DER SEQUENCE is put into PEM, so that mutations need not get
 * through base64.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_print(const char *pem)
{
    char *text = NULL;
    BIO *in = BIO_new_mem_buf(pem, -1);
    BIO *out = BIO_new(BIO_s_mem());
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
    if (pkey == NULL || PEM_write_bio_PUBKEY(out, pkey) != 1)
        abort();
    long len = BIO_get_mem_data(out, &text);
    if (strlen(pem) != (size_t)len || memcmp(text, pem, (size_t)len) != 0)
        abort();
    EVP_PKEY_free(pkey);
    BIO_free(in);
    BIO_free(out);
}

static void check(const char *pem, size_t len)
{
    char why[PUBKEY_WHY_SIZE] = "";
    AUTO(pubkey_free) struct pubkey *key = NULL;
    AUTO(pubkey_free) struct pubkey *again = NULL;
    enum err e = pubkey_parse(pem, len, PUBKEY_RSA_BITS_MIN, why, &key);
    if ((e == ERR_OK) != (*why == '\0'))
        abort();
    if (e != ERR_OK)
        return;
    const char *normal = pubkey_pem(key);
    check_print(normal);
    if (pubkey_parse(normal, strlen(normal), PUBKEY_RSA_BITS_MIN, why, &again) != ERR_OK ||
        strcmp(pubkey_pem(again), normal) != 0)
        abort();
    if (pubkey_verify_base64(key, "x", 1, pem, len) == ERR_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != 0x30) {
        check((const char *)data, size);
        return 0;
    }
    AUTO(mem_free) char *body = mem_calloc(BASE64_ENCODED(size) + 1, 1);
    base64_encode(BASE64_STD, data, size, body);
    AUTO(mem_free) char *pem = mem_printf("-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", body);
    check(pem, strlen(pem));
    return 0;
}
