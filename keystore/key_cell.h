/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEY_CELL_H
#define KEYSTORE_KEY_CELL_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a key signs and verifies with, on any thread: OpenSSL's contexts, set up once, copied for each operation. */
struct key_cells;

/*
 *   pkey    borrowed; it must live longer
 *   digest  "SHA256"; NULL: the algorithm hashes by itself
 *   is_pss  RSA-PSS with a salt as long as the digest (RFC 7518 section 3.5)
 */
struct key_cells *key_cell_new(EVP_PKEY *pkey, const char *digest, bool is_pss);
void key_cell_free(struct key_cells **cells);

/*
 * Sign msg, in OpenSSL's own form (DER for ECDSA).
 *   sig_len  the room in sig, then the length
 * A failure leaves its traces in OpenSSL's error queue; so does that of the next.
 */
bool key_cell_sign(struct key_cells *cells, const void *msg, size_t len, uint8_t *sig, size_t *sig_len);
bool key_cell_verify(struct key_cells *cells, const void *msg, size_t len, const uint8_t *sig, size_t sig_len);

#endif
