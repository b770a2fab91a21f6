/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_MIGRATE_H
#define LIB_MIGRATE_H

#include "lib/db.h"
#include "lib/err.h"

/*
 * One step of the schema: migrations/NNNN_name.sql, compiled in. A step that was released never changes. One text is
 * for both engines; a step that cannot be said in one (triggers) has a text for each, NNNN_name.ENGINE.sql.
 */
struct migration {
    const char *name; /* "0001_users" */
    const char *sql;
    const char *engine; /* the only one that it is for, as db_engine() calls it; NULL: any */
};

/* The compiled-in list in order; a NULL name ends it. Generated from migrations/ by the Makefile. */
extern const struct migration migrate_list[];

/*
 * Bring the schema up to the end of list, a transaction a step. Several processes may call it at once.
 *   applied  may be NULL; receives the number of steps that were run
 * ERR_SCHEMA_NEWER: the database has a step that is not in list; logged, nothing was changed. Storage errors
 */
enum err migrate_run(struct db *db, const struct migration *list, int *applied);

/* ERR_OK when the schema is exactly that of list; ERR_SCHEMA_OLD, ERR_SCHEMA_NEWER, storage errors. Changes nothing. */
enum err migrate_check(struct db *db, const struct migration *list);

#endif
