/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_PUBKEY_H
#define KEYSTORE_PUBKEY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * The public key of a device and its signatures (contract/deviceauth 2.3, 2.4). Immutable; any number of threads may
 * verify with it at the same time. Own DER reading: OpenSSL's decoder costs more than all the rest of a request, and
 * holds a lock that all threads share.
 */
struct pubkey;

/* Bits that the modulus of an RSA key may have, when nothing else is configured; the maximum is fixed. */
#define PUBKEY_RSA_BITS_MIN 1024
#define PUBKEY_RSA_BITS_MAX 8192

/* Bytes of the longest PEM text that is looked at, and of the longest signature (RSA-8192). */
#define PUBKEY_PEM_MAX 16384
#define PUBKEY_SIGNATURE_MAX 1024

/* Room for the client's text of an error. */
#define PUBKEY_WHY_SIZE 128

/*
 * Parse a public key. What counts is the first PEM block, which must be PUBLIC KEY; text before it and behind it is
 * skipped, CRLF is fine. It holds a SubjectPublicKeyInfo in DER, in its only encoding: RSA (odd modulus, odd exponent
 * from 3 to 2^31 - 1, no ROCA modulus), an uncompressed point on P-224, P-256, P-384 or P-521, or Ed25519.
 *   rsa_bits_min  the least bits of an RSA modulus, e.g. PUBKEY_RSA_BITS_MIN
 *   why           the client's text when it fails: err_text() or more
 * ERR_PUBKEY_PEM (also: another block), ERR_PUBKEY_TYPE (DSA, X25519), ERR_PUBKEY_CURVE, ERR_PUBKEY_SIZE (RSA: bits,
 * ROCA), ERR_PUBKEY_FORM (all else)
 */
enum err pubkey_parse(const char *pem, size_t len, int rsa_bits_min, char why[PUBKEY_WHY_SIZE], struct pubkey **out);

/* Another reference to the same key; each is given back with pubkey_free(). */
struct pubkey *pubkey_ref(struct pubkey *key);
void pubkey_free(struct pubkey **key);

/*
 * The key's one PEM text, as OpenSSL prints it (64 columns, a newline at the end): what is stored, compared and shown
 * (contract/deviceauth 2.4).
 */
const char *pubkey_pem(const struct pubkey *key);

/* What it is, for people: "RSA 3072", "P-256", "Ed25519". */
const char *pubkey_kind(const struct pubkey *key);

/*
 * ERR_OK when sig is this key's signature of msg: RSA PKCS#1 v1.5 with SHA-256; ECDSA with SHA-256 on every curve, as
 * DER without any other byte, inside or behind (the original ignores what is behind); Ed25519 of the message itself.
 * ERR_SIGNATURE
 */
enum err pubkey_verify(const struct pubkey *key, const void *msg, size_t len, const uint8_t *sig, size_t sig_len);

/*
 * The same with the signature as the header has it: base64 by base64_decode_lax(). ERR_SIGNATURE
 */
enum err pubkey_verify_base64(const struct pubkey *key, const void *msg, size_t len, const char *sig, size_t sig_len);

#endif
