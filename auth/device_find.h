/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_FIND_H
#define AUTH_DEVICE_FIND_H

#include <stddef.h>

#include "auth/device.h"
#include "lib/db.h"
#include "lib/err.h"

/* Finding devices by what a person knows of them. */

/* Devices that are given at most. */
#define DEVICE_FIND_MAX 100

/*
 * Devices of tenant that text names, an array of *n that the caller frees with device_list_free(). It is one of
 *   {"mac":"02:..."}  the whole identity
 *   mac=02:...        an attribute of the identity that has, or whose list holds, this value; a device that has no
 *                     other attribute goes before all others, and is then the only one
 *   64 hex digits     a key of the device: device_find_key_name()
 * or else its id. ERR_JSON: {... is no identity; ERR_DEVICE_NOT_FOUND: there is none
 */
enum err device_find(struct db *db, const char *tenant, const char *text, struct device ***out, size_t *n);

/*
 * What a key is called: SHA-256 in hex of its PEM, which `openssl pkey -pubout | sha256sum` prints too, and what kind
 * of key it is ("Ed25519", "" when it cannot be read any more).
 */
struct device_key_name {
    char hash[DEVICE_HASH_SIZE];
    char kind[16];
};
void device_find_key_name(const char *pem, struct device_key_name *out);

/* Tenants that have devices, sorted, an array of *n texts that the caller frees, each and the array. */
enum err device_find_tenants(struct db *db, char ***out, size_t *n);

#endif
