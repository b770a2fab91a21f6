/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/feed.h"

#include <stdbool.h>
#include <stdlib.h>

#include "lib/auto.h"
#include "lib/db_engine.h"
#include "lib/mem.h"

struct feed {
    const struct db_engine *engine;
    struct db_conn *conn;
};

enum err feed_open(struct db *db, const char *channel, struct feed **out)
{
    AUTO(feed_free) struct feed *feed = mem_calloc(1, sizeof *feed);
    TRY(db_connect(db, &feed->engine, &feed->conn));
    TRY(feed->engine->listen(feed->conn, channel));
    *out = MOVE(feed);
    return ERR_OK;
}

void feed_free(struct feed **feed)
{
    if (*feed == NULL)
        return;
    if ((*feed)->conn != NULL)
        (*feed)->engine->close(&(*feed)->conn);
    free(*feed);
    *feed = NULL;
}

enum err feed_wait(struct feed *feed, int wake_fd, int ms)
{
    return feed->engine->wait(feed->conn, wake_fd, ms);
}

enum err feed_query(struct feed *feed, const char *sql, const struct db_arg *args, struct db_rows **out)
{
    bool is_quiet = false;
    TRY(feed->engine->is_quiet(feed->conn, &is_quiet));
    if (is_quiet) {
        *out = NULL;
        return ERR_OK;
    }
    AUTO(db_rows_free) struct db_rows *rows = db_rows_new();
    TRY(feed->engine->run(feed->conn, sql, args, rows, NULL));
    *out = MOVE(rows);
    return ERR_OK;
}
