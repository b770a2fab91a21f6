/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IMPORT_DEVICEAUTH_DB_H
#define AUTH_IMPORT_DEVICEAUTH_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/*
 * Rows of devices, their sets, tokens and limits as an import brings them. insert: *done says whether there was nothing
 * in the way. load: ERR_NOT_FOUND; the caller releases the row. copy: the rows that could be in the way, from one
 * database to another. Storage errors pass through.
 */

/* Times in milliseconds, 0: never. */
struct import_device {
    char *id;
    char *tenant;
    char *id_data; /* canonical */
    char *sha256;  /* of it, in base64, as the document has it; NULL */
    char *status;
    char *id_hash; /* SHA-256 of id_data in hex */
    int64_t decommissioning;
    int64_t provisioned;
    int64_t revision;
    int64_t created_ms;
    int64_t updated_ms;
    int64_t seen_ms;
};

struct import_set {
    char *id;
    char *tenant;
    char *device_id;
    char *pubkey; /* normalised */
    char *key_hash;
    char *status;
    int64_t created_ms;
};

struct import_pass {
    char *id; /* of its set */
    char *device_id;
    int64_t expires_ms;
};

struct import_limit {
    char *tenant;
    char *name;
    int64_t value;
};

void import_deviceauth_db_release_device(struct import_device *device);
void import_deviceauth_db_release_set(struct import_set *set);
void import_deviceauth_db_release_pass(struct import_pass *pass);
void import_deviceauth_db_release_limit(struct import_limit *limit);

enum err import_deviceauth_db_insert_device(struct db *db, const struct import_device *device, bool *done);
enum err import_deviceauth_db_load_device(struct db *db, const char *id, struct import_device *out);
enum err import_deviceauth_db_copy_devices(struct db *from, struct db *to, const struct import_device *device);

/* Only if the device is there, in this tenant, and has no other set of this key. */
enum err import_deviceauth_db_insert_set(struct db *db, const struct import_set *set, bool *done);
enum err import_deviceauth_db_load_set(struct db *db, const char *id, struct import_set *out);
enum err import_deviceauth_db_copy_sets(struct db *from, struct db *to, const struct import_set *set);

/* Only if the set is there, is the device's, and accepted. All tokens of the set that were issued before count, too. */
enum err import_deviceauth_db_insert_pass(struct db *db, const struct import_pass *pass, bool *done);
enum err import_deviceauth_db_load_pass(struct db *db, const char *id, struct import_pass *out);
enum err import_deviceauth_db_copy_passes(struct db *from, struct db *to, const struct import_pass *pass);

enum err import_deviceauth_db_insert_limit(struct db *db, const struct import_limit *limit, bool *done);
enum err import_deviceauth_db_load_limit(struct db *db, const char *tenant, const char *name, struct import_limit *out);

#endif
