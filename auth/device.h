/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_H
#define AUTH_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "auth/iddata.h"
#include "keystore/pubkey.h"
#include "lib/db.h"
#include "lib/err.h"

/*
 * Devices and their authentication sets as they are stored and shown (contract/deviceauth 1.4, 7). Who may change them:
 * the device itself (auth/device_enrol.h) and operators (auth/device_admit.h).
 */

/* Of a set, all but the last; of a device, that of its strongest set. The strongest goes first. */
enum device_status { DEVICE_ACCEPTED, DEVICE_PREAUTHORIZED, DEVICE_PENDING, DEVICE_REJECTED, DEVICE_NOAUTH };
#define DEVICE_STATUSES 5

const char *device_status_name(enum device_status status);
bool device_status_parse(const char *name, enum device_status *out);

/* An authentication set: a device's request to be let in with one key. */
struct auth_set {
    char *id;
    char *pubkey; /* SPKI PEM, normalised */
    enum device_status status;
    int64_t created_ms;
};

struct device {
    char *id;
    char *tenant_id;
    char *id_data; /* canonical JSON text */
    enum device_status status;
    bool is_decommissioning;
    bool is_provisioned;
    int64_t revision;
    int64_t created_ms;
    int64_t updated_ms;
    int64_t seen_ms;      /* 0: never */
    struct auth_set *set; /* in order of creation */
    size_t sets;
};

void device_free(struct device **device);

/* The set called id, or NULL; borrowed. */
struct auth_set *device_set(const struct device *device, const char *id);

/* The status that the device's sets give it. */
enum device_status device_strongest(const struct device *device);

/* Write the wire form (contract/deviceauth 1.4). Without sets, auth_sets is null. */
void device_write(FILE *out, const struct device *device, bool with_sets);

/* Write what stands behind "identity_data": null for an empty identity. */
void device_write_identity(FILE *out, const char *id_data);

/* SHA-256 in hex, and a NUL. */
#define DEVICE_HASH_SIZE 65
void device_write_hash(const uint8_t digest[IDDATA_DIGEST_SIZE], char out[DEVICE_HASH_SIZE]);

/* Who somebody says to be, and with which key; texts are borrowed. */
struct device_identity {
    const char *tenant;
    const char *id_data; /* canonical */
    const char *pubkey;  /* normalised PEM */
    char id_hash[DEVICE_HASH_SIZE];
    char key_hash[DEVICE_HASH_SIZE];
};

/* Borrows from its arguments. */
void device_identity_set(struct device_identity *identity, const char *tenant, const struct iddata *id,
                         const struct pubkey *key);

/* Load by id within tenant, with its sets. ERR_DEVICE_NOT_FOUND */
enum err device_get(struct db *db, const char *tenant, const char *id, struct device **out);

/*
 * Insert a device as it was elsewhere, with its check-in and without its sets, in the caller's transaction. *inserted
 * is false, and nothing was written, when its id or identity was there.
 */
enum err device_restore(struct db *tx, const struct device *device, const char *id_hash, bool *inserted);

/* Which devices a list holds; all that is given must hold. */
struct device_filter {
    bool status[DEVICE_STATUSES]; /* one of these */
    const char *const *id;        /* one of these; not looked at unless has_ids */
    size_t ids;
    bool has_ids;
};

/*
 * Devices of tenant by status (in the alphabet's order) and id, as an array of *n pointers that the caller frees with
 * device_list_free(): at most limit of them, after skip.
 */
enum err device_list(struct db *db, const char *tenant, const struct device_filter *filter, int64_t skip, int64_t limit,
                     struct device ***out, size_t *n);
void device_list_free(struct device ***devices, size_t n);

/* The devices of tenant that are being decommissioned, as an array of *n; the caller frees it as above. */
enum err device_list_leaving(struct db *db, const char *tenant, struct device ***out, size_t *n);

/* How many devices of tenant have one of the filter's statuses. */
enum err device_count(struct db *db, const char *tenant, const struct device_filter *filter, int64_t *count);

/* The only limit there is: how many devices of a tenant may be accepted. */
#define DEVICE_LIMIT_MAX "max_devices"
#define DEVICE_LIMIT_NONE (-1)

/* A tenant's limit: get gives DEVICE_LIMIT_NONE when it is not set; clear is ERR_OK also then. */
enum err device_limit_get(struct db *db, const char *tenant, int64_t *value);
enum err device_limit_set(struct db *db, const char *tenant, int64_t value);
enum err device_limit_clear(struct db *db, const char *tenant);

#endif
