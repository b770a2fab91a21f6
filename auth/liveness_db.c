/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/liveness_db.h"

#include "lib/auto.h"

enum err liveness_db_since(struct db *db, struct feed *feed, int64_t seq, int64_t max, struct db_rows **out)
{
    static const char sql[] = "SELECT seq, token_id FROM token_changes WHERE seq >= $1 ORDER BY seq LIMIT $2";
    const struct db_arg *args = DB_ARGS(db_int(seq), db_int(max));
    return feed != NULL ? feed_query(feed, sql, args, out) : db_query(db, sql, args, out);
}

enum err liveness_db_newest(struct db *db, int64_t *seq)
{
    static const char sql[] = "SELECT MAX(seq) FROM token_changes";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(), &rows));
    *seq = db_rows_next(rows) ? db_rows_int(rows, 0) : 0;
    return ERR_OK;
}

enum err liveness_db_prune(struct db *db, int64_t before, int64_t batch, int64_t *deleted)
{
    static const char sql[] = "DELETE FROM token_changes WHERE seq IN "
                              "(SELECT seq FROM token_changes WHERE seq < $1 ORDER BY seq LIMIT $2)";
    return db_exec(db, sql, DB_ARGS(db_int(before), db_int(batch)), deleted);
}
