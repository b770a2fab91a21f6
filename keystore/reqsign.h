/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_REQSIGN_H
#define KEYSTORE_REQSIGN_H

#include <stddef.h>

#include "keystore/key.h"
#include "lib/err.h"

/* The device's half of a request for a token, for who tries one without a device (contract/deviceauth 2.1, 2.3). */

/* The public key as SPKI PEM, which pubkey_parse() takes as it is. The caller frees it. ERR_INTERNAL */
enum err reqsign_pubkey(const struct key *key, char **pem);

/*
 * Sign a body as devices do: RSA PKCS#1 v1.5 or ECDSA in DER, with SHA-256 whatever the size of the key, or Ed25519; in
 * base64, as the header has it. The caller frees it. ERR_SIGN
 */
enum err reqsign_sign(const struct key *key, const void *body, size_t len, char **base64);

#endif
