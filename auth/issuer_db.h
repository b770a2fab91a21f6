/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_ISSUER_DB_H
#define AUTH_ISSUER_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/claims.h"
#include "lib/db.h"
#include "lib/err.h"

/*
 * What the issuer asks of the tokens of people (migrations/0001_users.sql) and of devices (0005_devices.sql). Storage
 * errors pass through.
 */

/* The row of a token that is alive. */
struct issuer_row {
    bool is_named;        /* a personal access token; others are sessions */
    int64_t last_used_ms; /* INT64_MIN: never */
    int64_t expires_ms;   /* INT64_MAX: never */
    int64_t since_ms;     /* tokens issued earlier were revoked; INT64_MIN: none were */
};

/* The row of a token whose user is there, both in that tenant. ERR_NOT_FOUND */
enum err issuer_db_load(struct db *db, const char *jti, const char *tenant, const char *user_id,
                        struct issuer_row *out);

/*
 * The row of a device's token, whose authentication set is accepted and whose device is not being decommissioned, all
 * in that tenant. ERR_NOT_FOUND
 */
enum err issuer_db_load_device(struct db *db, const char *jti, const char *tenant, const char *device_id,
                               struct issuer_row *out);

/* Note a use at now_ms, unless somebody noted one after since_ms. */
enum err issuer_db_touch(struct db *db, const char *jti, int64_t now_ms, int64_t since_ms);

/* Delete up to batch rows that expired at before_ms or earlier. */
enum err issuer_db_delete_expired(struct db *db, int64_t before_ms, int64_t batch, int64_t *deleted);

/*
 * The same of devices' tokens, among the next batch of rows behind the id at. It moves on to the last of them; "" is
 * where to begin, and where the end leads to.
 */
enum err issuer_db_delete_expired_device(struct db *db, int64_t before_ms, int64_t batch, char at[CLAIMS_TEXT_SIZE],
                                         int64_t *deleted);

#endif
