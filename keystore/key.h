/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEY_H
#define KEYSTORE_KEY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * One private key with its id and its one pinned algorithm (RFC 7518 section 3.1, RFC 8037). Immutable; any number of
 * threads may sign and verify with it at the same time. Nothing here gives the private part out.
 */
enum key_alg {
    KEY_RS256,
    KEY_RS384,
    KEY_RS512,
    KEY_PS256,
    KEY_PS384,
    KEY_PS512,
    KEY_ES256,
    KEY_ES384,
    KEY_ES512,
    KEY_EDDSA,
};

/* Largest key id: it must be an exact JSON number everywhere (design, kid rules). */
#define KEY_KID_MAX INT64_C(2147483647)

/* Bytes of the largest signature (RSA-8192). */
#define KEY_SIGNATURE_MAX 1024

/* Bytes of the largest key file. */
#define KEY_FILE_MAX 65536

struct key;

/*
 * Parse one PEM private key: PKCS#1, SEC1 or PKCS#8; RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519. The key
 * has signed and verified a test message before it is given out. Never prompts: an encrypted key is refused.
 *   kid      its id, 0..KEY_KID_MAX
 *   rsa_alg  the algorithm if it is an RSA key (KEY_RS256 .. KEY_PS512)
 * ERR_KEY_FILE_SIZE, ERR_KEY_NOT_PEM, ERR_KEY_TRAILING, ERR_KEY_ENCRYPTED, ERR_KEY_TYPE, ERR_KEY_WEAK, ERR_KEY_ALG,
 * ERR_KEY_INCONSISTENT
 */
enum err key_parse(const char *pem, size_t len, int64_t kid, enum key_alg rsa_alg, struct key **out);

/* Another reference to the same key; each is given back with key_free(), the last one wipes the key. */
struct key *key_ref(struct key *key);
void key_free(struct key **key);

int64_t key_kid(const struct key *key);
enum key_alg key_alg(const struct key *key);

/* A number no other key of this process has or had: what was cached for a key is void when it is loaded anew. */
uint64_t key_serial(const struct key *key);

/* RFC 7638 SHA-256 thumbprint of the public key, base64url (43 characters). */
const char *key_thumbprint(const struct key *key);

/* Characters of a thumbprint, NUL included. */
#define KEY_THUMBPRINT_SIZE 44

/*
 * The same of any RSA, EC or OKP public key given as a JWK. ERR_JSON when a member of its type is missing; ERR_INTERNAL
 */
enum err key_thumbprint_of(const json_t *jwk, char out[KEY_THUMBPRINT_SIZE]);

/* The protected header of this key's tokens, {"alg":..,"kid":N,"typ":"JWT"}, in base64url (contract/useradm 2). */
const char *key_header(const struct key *key);

/* Public members as a JWK (RFC 7517 section 4, kid as a string, use "sig"); the caller owns the reference. */
json_t *key_jwk(const struct key *key);

/* Bytes of every signature of this key in JWS form: the modulus length, 64/96/132 for ECDSA, 64 for Ed25519. */
size_t key_signature_size(const struct key *key);

/* Sign msg into all key_signature_size() bytes of sig (RFC 7518 section 3.3-3.5, RFC 8037). ERR_SIGN */
enum err key_sign(const struct key *key, const void *msg, size_t len, uint8_t *sig);

/* ERR_OK when sig is this key's signature of msg in exactly the JWS form, else ERR_TOKEN_INVALID. */
enum err key_verify(const struct key *key, const void *msg, size_t len, const uint8_t *sig, size_t sig_len);

/* "RS256" ... "EdDSA", and back; key_alg_parse() compares byte for byte. ERR_KEY_ALG when it is none of them */
const char *key_alg_name(enum key_alg alg);
enum err key_alg_parse(const char *name, enum key_alg *out);

/*
 * Make a new private key as PKCS#8 PEM.
 *   type  rsa2048, rsa3072, rsa4096, es256, es384, es512 or ed25519
 *   pem   the caller's, to be freed with mem_wipe()
 * ERR_KEY_TYPE when type is none of these; ERR_INTERNAL
 */
enum err key_generate(const char *type, char **pem);

#endif
