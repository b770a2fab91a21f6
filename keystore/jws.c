/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/jws.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Characters of n bytes in base64url, which has no padding. */
#define ENCODED(n) (((n)*4 + 2) / 3)

/* A token cut at its two dots; everything is borrowed from it. */
struct parts {
    const char *header; /* also the start of what is signed */
    size_t header_len;
    const char *payload;
    size_t payload_len;
    size_t signed_len;
    const char *signature;
    size_t signature_len;
};

/* What a header asks for: this key, with this algorithm. */
struct request {
    const struct key *key;
    enum key_alg alg;
};

static enum err cut(const char *token, size_t len, struct parts *out)
{
    if (len > JWS_TOKEN_MAX)
        return ERR_TOKEN_INVALID;
    const char *end = token + len;
    const char *dot1 = memchr(token, '.', len);
    if (dot1 == NULL)
        return ERR_TOKEN_INVALID;
    const char *payload = dot1 + 1;
    const char *dot2 = memchr(payload, '.', (size_t)(end - payload));
    if (dot2 == NULL)
        return ERR_TOKEN_INVALID;
    const char *signature = dot2 + 1;
    if (memchr(signature, '.', (size_t)(end - signature)) != NULL)
        return ERR_TOKEN_INVALID;
    *out = (struct parts){
        .header = token,
        .header_len = (size_t)(dot1 - token),
        .payload = payload,
        .payload_len = (size_t)(dot2 - payload),
        .signed_len = (size_t)(dot2 - token),
        .signature = signature,
        .signature_len = (size_t)(end - signature),
    };
    return ERR_OK;
}

/* A decimal number in its only spelling: no sign, no leading zero, ASCII digits. */
static enum err parse_decimal(const char *text, size_t len, int64_t *out)
{
    if (len == 0 || len > 10 || (text[0] == '0' && len > 1))
        return ERR_TOKEN_INVALID;
    int64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return ERR_TOKEN_INVALID;
        n = n * 10 + (text[i] - '0');
    }
    *out = n;
    return ERR_OK;
}

static enum err parse_kid(const json_t *header, int64_t *out)
{
    const json_t *kid = json_object_get(header, "kid");
    int64_t n = 0;
    if (json_is_string(kid))
        TRY(parse_decimal(json_string_value(kid), json_string_length(kid), &n));
    else if (json_is_integer(kid))
        n = json_integer_value(kid);
    else if (kid != NULL)
        return ERR_TOKEN_INVALID;
    if (n < 0 || n > KEY_KID_MAX)
        return ERR_TOKEN_INVALID;
    *out = n;
    return ERR_OK;
}

/* Refuse what would change how the token has to be read: extensions, encryption, compression, unencoded payloads. */
static enum err check_members(const json_t *header)
{
    static const char *const refused[] = {"crit", "enc", "zip", "epk", "p2c", "b64"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (json_object_get(header, refused[i]) != NULL)
            return ERR_TOKEN_INVALID;
    }
    const json_t *typ = json_object_get(header, "typ");
    return typ == NULL || json_is_string(typ) ? ERR_OK : ERR_TOKEN_INVALID;
}

static enum err parse_header(const struct parts *token, json_t **header, enum key_alg *alg)
{
    uint8_t text[BASE64_DECODED(JWS_TOKEN_MAX)];
    ptrdiff_t len = base64_decode(BASE64_URL, token->header, token->header_len, text, NULL);
    if (len < 0)
        return ERR_TOKEN_INVALID;
    AUTO(json_release) json_t *json = NULL;
    if (json_parse_strict((const char *)text, (size_t)len, &json) != ERR_OK)
        return ERR_TOKEN_INVALID;
    TRY(check_members(json));
    const char *name = json_string_value(json_object_get(json, "alg"));
    if (name == NULL || key_alg_parse(name, alg) != ERR_OK)
        return ERR_TOKEN_INVALID;
    *header = MOVE(json);
    return ERR_OK;
}

static enum err read_header(const struct keyset *set, const struct parts *token, struct request *out)
{
    /* nearly all tokens are our own, and their headers are known to the letter: no parsing, no allocation */
    const struct key *key = keyset_find_header(set, token->header, token->header_len);
    if (key != NULL) {
        *out = (struct request){.key = key, .alg = key_alg(key)};
        return ERR_OK;
    }
    AUTO(json_release) json_t *header = NULL;
    enum key_alg alg = KEY_RS256;
    int64_t kid = 0;
    TRY(parse_header(token, &header, &alg));
    TRY(parse_kid(header, &kid));
    key = keyset_find(set, kid);
    if (key == NULL)
        return ERR_TOKEN_INVALID;
    *out = (struct request){.key = key, .alg = alg};
    return ERR_OK;
}

static enum err verify_with(const struct key *key, enum key_alg alg, const struct parts *token)
{
    uint8_t signature[BASE64_DECODED(ENCODED(KEY_SIGNATURE_MAX))];
    if (alg != key_alg(key) || token->signature_len != ENCODED(key_signature_size(key)))
        return ERR_TOKEN_INVALID;
    ptrdiff_t len = base64_decode(BASE64_URL, token->signature, token->signature_len, signature, NULL);
    if (len < 0)
        return ERR_TOKEN_INVALID;
    return key_verify(key, token->header, token->signed_len, signature, (size_t)len);
}

static enum err read_payload(const struct parts *token, struct jws *out)
{
    _Static_assert(BASE64_DECODED(JWS_TOKEN_MAX) < JWS_TOKEN_MAX,
                   "the payload of the longest token fits, NUL included");
    ptrdiff_t len = base64_decode(BASE64_URL, token->payload, token->payload_len, (uint8_t *)out->payload, NULL);
    if (len < 0)
        return ERR_TOKEN_INVALID;
    out->payload_len = (size_t)len;
    out->payload[len] = '\0';
    return ERR_OK;
}

/* The digest is fetched once, and each thread keeps one context for it. */
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static pthread_key_t sha256_slot;
static EVP_MD *sha256;

static void free_context(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static _Noreturn void no_digest(void)
{
    fputs("mintd: no SHA-256\n", stderr);
    abort();
}

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha256 == NULL || pthread_key_create(&sha256_slot, free_context) != 0)
        no_digest();
}

static EVP_MD_CTX *thread_context(void)
{
    if (pthread_once(&sha256_once, fetch_sha256) != 0)
        no_digest();
    EVP_MD_CTX *ctx = pthread_getspecific(sha256_slot);
    if (ctx != NULL)
        return ctx;
    ctx = EVP_MD_CTX_new();
    if (ctx == NULL || pthread_setspecific(sha256_slot, ctx) != 0)
        no_digest();
    return ctx;
}

enum err jws_sign(const struct key *key, const char *payload, size_t len, char **token)
{
    const char *header = key_header(key);
    size_t header_len = strlen(header);
    size_t signature_len = key_signature_size(key);
    if (len > JWS_TOKEN_MAX || header_len + ENCODED(len) + ENCODED(signature_len) + 2 > JWS_TOKEN_MAX)
        return ERR_TOO_LARGE;

    AUTO(mem_wipe) char *text = mem_calloc(header_len + BASE64_ENCODED(len) + BASE64_ENCODED(signature_len) + 3, 1);
    memcpy(text, header, header_len + 1);
    char *p = text + header_len;
    *p++ = '.';
    p += base64_encode(BASE64_URL, payload, len, p);
    uint8_t signature[KEY_SIGNATURE_MAX];
    TRY(key_sign(key, text, (size_t)(p - text), signature));
    *p++ = '.';
    p += base64_encode(BASE64_URL, signature, signature_len, p);
    *p = '\0';
    *token = MOVE(text);
    return ERR_OK;
}

enum err jws_verify(const struct keyset *set, const char *token, size_t len, struct jws *out)
{
    struct parts parts;
    struct request want;
    TRY(cut(token, len, &parts));
    TRY(read_payload(&parts, out));
    TRY(read_header(set, &parts, &want));
    out->key = want.key;
    out->kid = key_kid(want.key);
    if (verify_with(want.key, want.alg, &parts) == ERR_OK)
        return ERR_OK;
    out->key = keyset_fallback(set);
    return out->key == NULL ? ERR_TOKEN_INVALID : verify_with(out->key, want.alg, &parts);
}

enum err jws_verify_key(const struct key *key, const char *token, size_t len, struct jws *out)
{
    struct parts parts;
    enum key_alg alg = KEY_RS256;
    AUTO(json_release) json_t *header = NULL;
    TRY(cut(token, len, &parts));
    TRY(read_payload(&parts, out));
    TRY(parse_header(&parts, &header, &alg));
    out->key = key;
    out->kid = key_kid(key);
    return verify_with(key, alg, &parts);
}

void jws_digest(const char *token, size_t len, uint8_t out[JWS_DIGEST_SIZE])
{
    EVP_MD_CTX *ctx = thread_context();
    if (EVP_DigestInit_ex2(ctx, sha256, NULL) != 1 || EVP_DigestUpdate(ctx, token, len) != 1 ||
        EVP_DigestFinal_ex(ctx, out, NULL) != 1)
        no_digest();
}
