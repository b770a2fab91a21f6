/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_SETTINGS_DB_H
#define AUTH_SETTINGS_DB_H

#include "auth/settings.h"
#include "lib/db.h"
#include "lib/err.h"

/* The settings table (migrations/0002_settings.sql). Storage errors pass through. */
struct settings_row {
    const char *tenant;
    const char *user_id; /* "": of the tenant */
    const char *etag;
    const char *body;
};

/* ERR_NOT_FOUND */
enum err settings_db_load(struct db *db, const char *tenant, const char *user_id, struct settings *out);

/* Replace what has this etag. ERR_ETAG */
enum err settings_db_update(struct db *db, const struct settings_row *row, const char *etag);

/* Store where nothing is stored yet. ERR_ETAG */
enum err settings_db_insert(struct db *db, const struct settings_row *row);

/* Store, whatever is there. */
enum err settings_db_upsert(struct db *db, const struct settings_row *row);

#endif
