/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_FEED_H
#define LIB_FEED_H

#include <stddef.h>

#include "lib/db.h"
#include "lib/err.h"

/*
 * A connection of its own, apart from the pool's, that hears when somebody has committed: on PostgreSQL by notices
 * (LISTEN), on SQLite by looking at the file's data_version. One thread at a time may use it.
 */
struct feed;

/*
 * Connect. channel is what PostgreSQL's writers notify; one that means something to SQL has to be in quotes.
 * ERR_DB_UNREACHABLE, ERR_DB
 */
enum err feed_open(struct db *db, const char *channel, struct feed **out);
void feed_free(struct feed **feed);

/*
 * Sleep until there may be something new, until wake_fd can be read, or for ms. A sleep that ends early or late means
 * nothing: only feed_query() knows. ERR_DB_UNREACHABLE: the connection is lost, the feed is to be freed
 */
enum err feed_wait(struct feed *feed, int wake_fd, int ms);

/*
 * As db_query(), on this connection; *out is NULL when nothing at all was committed since the last call that went well.
 * The feed is of no use any more after an error.
 */
enum err feed_query(struct feed *feed, const char *sql, const struct db_arg *args, struct db_rows **out);

#endif
