/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_OUTBOX_DB_H
#define AUTH_OUTBOX_DB_H

#include <stddef.h>
#include <stdint.h>

#include "auth/outbox.h"
#include "lib/db.h"
#include "lib/err.h"

/* The table device_events of migrations/0005_devices.sql. Storage errors pass through. */

/* Behind all others of the device. ERR_DB_RETRY: somebody was faster */
enum err outbox_db_insert(struct db *tx, const char *device_id, const char *workflow, const char *body, int64_t now_ms);

/* The last seq of the device; 0 without any. */
enum err outbox_db_last(struct db *db, const char *device_id, int64_t *seq);

/* The oldest event of a device. */
struct outbox_head {
    int64_t seq, due_ms, held_until_ms;
};
enum err outbox_db_head(struct db *db, const char *device_id, struct outbox_head *out); /* ERR_NOT_FOUND: none */

/*
 * Devices whose oldest event is due and held by nobody, an array of *n texts that the caller frees.
 *   fresh_ms  what was queued after this and never tried is left to whoever caused it
 */
enum err outbox_db_due(struct db *db, int64_t now_ms, int64_t fresh_ms, int64_t limit, char ***out, size_t *n);

/* An event that is being sent by whoever has written held_until_ms, which says which claim this is. */
struct outbox_claim {
    const char *device_id; /* borrowed */
    int64_t seq, held_until_ms;
    int64_t attempts; /* this one included */
    char *workflow, *body;
};

/* Hold the event until then, unless somebody does or it is gone: ERR_NOT_FOUND. The caller releases the claim. */
enum err outbox_db_claim(struct db *db, const char *device_id, int64_t seq, int64_t now_ms, int64_t held_until_ms,
                         struct outbox_claim *out);
void outbox_db_release(struct outbox_claim *claim);

/* The claim ends: delivered, or to be tried again. Nothing happens to an event that is not the claim's any more. */
enum err outbox_db_delete(struct db *db, const struct outbox_claim *claim);
enum err outbox_db_postpone(struct db *db, const struct outbox_claim *claim, int64_t due_ms, const char *error);

/* Let all whose times are later than latest_ms be due now. */
enum err outbox_db_mend(struct db *db, int64_t now_ms, int64_t latest_ms, int64_t *mended);

enum err outbox_db_count(struct db *db, int64_t *events, int64_t *oldest_ms);
enum err outbox_db_list(struct db *db, int64_t limit, struct outbox_event **out, size_t *n);

#endif
