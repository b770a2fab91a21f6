/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_LIVENESS_DB_H
#define AUTH_LIVENESS_DB_H

#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"
#include "lib/feed.h"

/* The log of tokens that may have died (migrations/0009_token_changes). Storage errors pass through. */

/* What the writers of the log notify on PostgreSQL. */
#define LIVENESS_DB_CHANNEL "mintd_token_changes"

/*
 * The log's rows (number, token) in order, from number seq on, that row included, max at most. By way of the feed *out
 * may be NULL: see feed_query(). Without one (NULL) by way of db.
 */
enum err liveness_db_since(struct db *db, struct feed *feed, int64_t seq, int64_t max, struct db_rows **out);

/* The number of the newest row. */
enum err liveness_db_newest(struct db *db, int64_t *seq);

/* Delete up to batch rows with a number below before. */
enum err liveness_db_prune(struct db *db, int64_t before, int64_t batch, int64_t *deleted);

#endif
