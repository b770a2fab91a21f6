/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_DB_H
#define AUTH_DEVICE_DB_H

#include "auth/claims.h"
#include "auth/device.h"
#include "lib/db.h"
#include "lib/err.h"

/*
 * The tables of migrations/0005_devices.sql and 0008_inventory.sql. Storage errors pass through. Devices are loaded
 * with their sets. Tenants and ids may be any bytes: what no row can have is not found.
 */

/* ERR_DEVICE_NOT_FOUND */
enum err device_db_load(struct db *db, const char *tenant, const char *id, struct device **out);
enum err device_db_load_by_identity(struct db *db, const char *tenant, const char *id_hash, struct device **out);

/* The device that the set belongs to. ERR_AUTH_SET_NOT_FOUND */
enum err device_db_load_by_set(struct db *db, const char *tenant, const char *set_id, struct device **out);

/* Which set has this identity and key. ERR_AUTH_SET_NOT_FOUND */
struct device_match {
    char set_id[CLAIMS_TEXT_SIZE];
    char device_id[CLAIMS_TEXT_SIZE];
    enum device_status status; /* of the set */
    bool is_decommissioning;
};
enum err device_db_match(struct db *db, const char *tenant, const char *id_hash, const char *key_hash,
                         struct device_match *out);

/* By status and id; the statuses of filter only, its ids not. */
enum err device_db_list(struct db *db, const char *tenant, const struct device_filter *filter, int64_t skip,
                        int64_t limit, struct device ***out, size_t *n);

/* Those whose canonical identity is LIKE pattern, '!' quoting; those that have a key; limit of them at most. */
enum err device_db_list_like(struct db *db, const char *tenant, const char *pattern, int64_t limit,
                             struct device ***out, size_t *n);
enum err device_db_list_key(struct db *db, const char *tenant, const char *key_hash, int64_t limit,
                            struct device ***out, size_t *n);

/* Those of one status behind an id, by id; and those of any status that are being decommissioned. */
enum err device_db_list_after(struct db *db, const char *tenant, enum device_status status, const char *after,
                              int64_t limit, struct device ***out, size_t *n);
enum err device_db_list_leaving(struct db *db, const char *tenant, struct device ***out, size_t *n);

/* Tenants that have devices. */
enum err device_db_list_tenants(struct db *db, char ***out, size_t *n);

enum err device_db_count(struct db *db, const char *tenant, enum device_status status, int64_t *count);

/* With its attributes, in a transaction. *inserted is false, and nothing was written, when the identity was there. */
enum err device_db_insert(struct db *db, const struct device *device, const char *id_hash, bool *inserted);

/* Note when it was seen: the first time, and what others know already. */
enum err device_db_insert_seen(struct db *db, const struct device *device);

/* Write status, decommissioning and provisioned; revision and updated_ms move on, here and in the row. */
enum err device_db_update(struct db *db, struct device *device, int64_t now_ms);

/* Sets, tokens and check-in go with it. ERR_DEVICE_NOT_FOUND */
enum err device_db_delete(struct db *db, const char *tenant, const char *id);

/* *inserted is false, and nothing was written, when the device had a set of this key. */
enum err device_db_insert_set(struct db *db, const struct device *device, const struct auth_set *set,
                              const char *key_hash, bool *inserted);
enum err device_db_update_set(struct db *db, const struct auth_set *set);
enum err device_db_delete_set(struct db *db, const char *set_id);

/*
 * What the hot path asks: the row of the tokens of the set with this identity and key, if it is good for one that is
 * issued now and expires then. There is none unless the set is accepted and its device not on its way out.
 * ERR_NOT_FOUND
 */
enum err device_db_find_token(struct db *db, const struct device_identity *identity, int64_t issued_ms,
                              int64_t expires_ms, struct device_match *out);

/*
 * Write the row of the tokens of the set with this identity and key, if the set is accepted and its device not on its
 * way out; else ERR_NOT_FOUND. The tokens that were issued since the row was written first stay.
 */
enum err device_db_put_token(struct db *db, const struct device_identity *identity, int64_t issued_ms,
                             int64_t expires_ms, struct device_match *out);

/* Delete the token called jti (ERR_NOT_FOUND), those of a device, or of a device or, with NULL, all within tenant. */
enum err device_db_delete_token(struct db *db, const char *tenant, const char *jti);
enum err device_db_delete_tokens(struct db *db, const char *tenant, const char *device_id);

/* load: ERR_NOT_FOUND: not set; save: ERR_INVALID: no tenant is called so */
enum err device_db_load_limit(struct db *db, const char *tenant, const char *name, int64_t *value);
enum err device_db_save_limit(struct db *db, const char *tenant, const char *name, int64_t value);
enum err device_db_delete_limit(struct db *db, const char *tenant, const char *name);

#endif
