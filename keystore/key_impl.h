/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEY_IMPL_H
#define KEYSTORE_KEY_IMPL_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keystore/key.h"
#include "keystore/key_cell.h"
#include "lib/err.h"

/* What key.c, key_parse.c, key_check.c and pubkey.c share; nobody else includes it. */

/* Bytes of the largest ECDSA signature in DER: SEQUENCE of two INTEGERs of 66 bytes and a sign byte. */
#define KEY_DER_SIGNATURE_MAX 141

/* One row for each enum key_alg. */
struct key_traits {
    const char *name;   /* "ES256" */
    const char *kty;    /* JWK key type, "EC" */
    const char *digest; /* "SHA256"; NULL: the algorithm hashes by itself */
    bool is_pss;
    const char *crv;   /* JWK curve, "P-256" */
    const char *group; /* OpenSSL's name of it; NULL when it is no ECDSA curve */
    size_t coordinate; /* bytes of r, s, x and y; 0 when it is no ECDSA curve */
};

struct key {
    atomic_size_t refs;
    EVP_PKEY *pkey;
    int64_t kid;
    enum key_alg alg;
    uint64_t serial;
    size_t signature_size;
    char thumbprint[KEY_THUMBPRINT_SIZE];
    char *header;
    json_t *jwk;
    struct key_cells *cells;
};

const struct key_traits *key_traits(enum key_alg alg);

/* The row of the ECDSA curve that OpenSSL calls group. ERR_KEY_TYPE */
enum err key_alg_of_group(const char *group, enum key_alg *out);

/*
 * Whether a private key is of a kind that may sign tokens, strong enough, and sound in itself; what kind it is decides
 * its algorithm.
 * ERR_KEY_TYPE, ERR_KEY_WEAK, ERR_KEY_ALG, ERR_KEY_INCONSISTENT
 */
enum err key_check(EVP_PKEY *pkey, enum key_alg rsa_alg, enum key_alg *alg);

/*
 * Whether an RSA modulus bears the fingerprint of a broken generator (ROCA, CVE-2017-15361): modulo each small prime
 * such a modulus is a power of 65537, which of other moduli one in 2^27 or fewer is.
 */
bool key_check_is_roca(const BIGNUM *n);

/* Make the key of a private key that was checked; takes *pkey. ERR_INTERNAL */
enum err key_new(EVP_PKEY **pkey, int64_t kid, enum key_alg alg, struct key **out);

void key_pkey_free(EVP_PKEY **pkey);

#endif
