/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of devices by the thousand, which share so many P-256 keys:
 *   bench_asks KEYS <IDENTITIES >REQUESTS
 * reads an identity a line, as it is to stand in id_data, and prints for each a line of signature, tab and body.
 */
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_MAX 80
#define LINE_MAX_SIZE 4096

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_asks: %s failed\n", what);
    exit(1);
}

static char *make_body(const char *identity, EVP_PKEY *key)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *text = NULL;
    must(PEM_write_bio_PUBKEY(pem, key) == 1, "PEM_write_bio_PUBKEY");
    long len = BIO_get_mem_data(pem, &text);
    json_t *ask = json_pack("{s:s, s:s%}", "id_data", identity, "pubkey", text, (size_t)len);
    char *body = json_dumps(ask, JSON_COMPACT);
    must(body != NULL, identity);
    json_decref(ask);
    BIO_free(pem);
    return body;
}

static void print_ask(const char *identity, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char *body = make_body(identity, key);
    uint8_t sig[SIGNATURE_MAX];
    size_t sig_len = sizeof sig;
    unsigned char text[2 * SIGNATURE_MAX];
    must(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
             EVP_DigestSign(ctx, sig, &sig_len, (const uint8_t *)body, strlen(body)) == 1,
         "signing");
    EVP_EncodeBlock(text, sig, (int)sig_len);
    printf("%s\t%s\n", (const char *)text, body);
    free(body);
    EVP_MD_CTX_free(ctx);
}

int main(int argc, char **argv)
{
    size_t keys = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    must(keys > 0, "usage: bench_asks KEYS: it");
    EVP_PKEY **key = calloc(keys, sizeof(EVP_PKEY *));
    char line[LINE_MAX_SIZE];
    size_t n = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (key[n % keys] == NULL)
            key[n % keys] = EVP_EC_gen("P-256");
        print_ask(line, key[n++ % keys]);
    }
    for (size_t i = 0; i < keys; i++)
        EVP_PKEY_free(key[i]);
    free(key);
    return 0;
}
