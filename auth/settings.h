/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_SETTINGS_H
#define AUTH_SETTINGS_H

#include <stddef.h>

#include "lib/db.h"
#include "lib/err.h"
#include "lib/rand.h"

/*
 * Settings (contract/useradm 6): a JSON object that belongs to the user interface, one for each user and one for the
 * tenant. It is kept as it was written, number by number; nothing here knows what it means.
 */
struct settings {
    char etag[RAND_UUID_SIZE]; /* of this save; "" when nothing is stored */
    char *body;                /* the object's text; "{}" when nothing is stored */
};

void settings_release(struct settings *settings);

/* Room for a text of settings_parse(): it may name a key of 128 bytes. */
#define SETTINGS_WHY_SIZE 256

/*
 * Take the object from the start of a request body, what stands behind it ignored; null is an empty one. Members that
 * have a name of ours (_id, etag, user_id, tenant_id) are left out. At most 1024 members, with names of 128 bytes and,
 * where they are strings, 4096 bytes; what lies deeper is not limited.
 *   why  the text for ERR_INVALID
 * The caller frees *out. ERR_JSON; ERR_INVALID
 */
enum err settings_parse(const char *body, size_t len, char why[SETTINGS_WHY_SIZE], char **out);

/* Load what the user, or with user_id "" the tenant, has stored; *out is released by the caller. Storage errors */
enum err settings_load(struct db *db, const char *tenant, const char *user_id, struct settings *out);

/*
 * Store text in place of all that was there, with a new etag.
 *   etag  NULL: whatever is there. Else only while this one, byte for byte, or nothing at all is there: of several that
 *         save at once with the same etag, one succeeds
 * ERR_ETAG; storage errors
 */
enum err settings_save(struct db *db, const char *tenant, const char *user_id, const char *etag, const char *text);

#endif
