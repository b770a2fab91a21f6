/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/migrate.h"

#include <stdint.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"

static const char sql_create[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                 "name TEXT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)";
static const char sql_names[] = "SELECT name FROM schema_migrations";
static const char sql_claim[] = "INSERT INTO schema_migrations (name, applied_ms) VALUES ($1, $2) "
                                "ON CONFLICT (name) DO NOTHING";

struct step {
    const struct migration *migration;
    bool applied;
};

static enum err create_table(struct db *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, sql_create, DB_ARGS(), NULL);
}

static bool is_listed(const struct migration *list, const char *name)
{
    for (; list->name != NULL; list++)
        if (strcmp(list->name, name) == 0)
            return true;
    return false;
}

static bool is_for(const struct migration *migration, const struct db *db)
{
    return migration->engine == NULL || strcmp(migration->engine, db_engine(db)) == 0;
}

/* Fail when the database has a step that list does not have; present receives how many it has. */
static enum err check_known(struct db *db, const struct migration *list, size_t *present)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql_names, DB_ARGS(), &rows));
    while (db_rows_next(rows)) {
        if (is_listed(list, db_rows_text(rows, 0)))
            continue;
        log_error(err_text(ERR_SCHEMA_NEWER), LOG_STR("migration", db_rows_text(rows, 0)));
        return ERR_SCHEMA_NEWER;
    }
    *present = db_rows_count(rows);
    return ERR_OK;
}

/* The row is written first: of two processes one waits here for the other, and then finds it there. */
static enum err apply(struct db *tx, void *arg)
{
    struct step *step = arg;
    int64_t claimed = 0;
    TRY(db_exec(tx, sql_claim, DB_ARGS(db_text(step->migration->name), db_int(clock_ms())), &claimed));
    step->applied = claimed == 1;
    return claimed == 1 ? db_script(tx, step->migration->sql) : ERR_OK;
}

enum err migrate_run(struct db *db, const struct migration *list, int *applied)
{
    size_t present = 0;
    int n = 0;
    TRY(db_tx(db, create_table, NULL));
    TRY(check_known(db, list, &present));
    for (const struct migration *migration = list; migration->name != NULL; migration++) {
        struct step step = {.migration = migration};
        if (!is_for(migration, db))
            continue;
        TRY(db_tx(db, apply, &step));
        if (!step.applied)
            continue;
        log_info("migration applied", LOG_STR("name", migration->name), LOG_STR("engine", db_engine(db)));
        n++;
    }
    if (applied != NULL)
        *applied = n;
    return ERR_OK;
}

enum err migrate_check(struct db *db, const struct migration *list)
{
    size_t present = 0;
    size_t wanted = 0;
    TRY(check_known(db, list, &present));
    for (; list->name != NULL; list++)
        wanted += is_for(list, db);
    return present == wanted ? ERR_OK : ERR_SCHEMA_OLD;
}
