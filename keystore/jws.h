/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_JWS_H
#define KEYSTORE_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keystore/key.h"
#include "keystore/keyset.h"
#include "lib/err.h"

/*
 * JWS compact serialisation (RFC 7515 section 3.1), nothing else: no JSON serialisation, no JWE, no unencoded payloads.
 * Own code on OpenSSL EVP: the packaged JWT library parses PEM at every call and accepts confusions that must not pass.
 */

/* Characters of the longest token that is looked at. */
#define JWS_TOKEN_MAX 8192

struct jws {
    const struct key *key; /* whose signature it is; borrowed from the key set */
    int64_t kid;           /* which key its header asks for: another one when key is the fallback key */
    size_t payload_len;
    char payload[JWS_TOKEN_MAX]; /* NUL-terminated */
};

/*
 * Sign payload as a token of key. The caller frees *token (mem_wipe).
 * ERR_SIGN; ERR_TOO_LARGE when the token would be longer than JWS_TOKEN_MAX
 */
enum err jws_sign(const struct key *key, const char *payload, size_t len, char **token);

/*
 * Verify token against set, in this order: length, exactly two dots, strict base64url, header JSON without duplicate
 * members, no crit (and no enc, zip, b64), kid, alg equal to the key's, exact signature length, signature. kid absent
 * or 0 = the default key; an exact integer in 0..2^31-1 or its canonical decimal string; anything else is refused. When
 * the kid's key does not verify it, the set's fallback key is tried. The payload is given as it was signed: it need not
 * be JSON.
 * ERR_TOKEN_INVALID, and *out is undefined
 */
enum err jws_verify(const struct keyset *set, const char *token, size_t len, struct jws *out);

/*
 * The same with one key that was found otherwise: the kid is not looked at, all else is.
 * ERR_TOKEN_INVALID, and *out is undefined
 */
enum err jws_verify_key(const struct key *key, const char *token, size_t len, struct jws *out);

/* Bytes of a token's digest. */
#define JWS_DIGEST_SIZE 32

/* SHA-256 of the exact bytes of a token: a name for it that cannot be turned back. */
void jws_digest(const char *token, size_t len, uint8_t out[JWS_DIGEST_SIZE]);

#endif
