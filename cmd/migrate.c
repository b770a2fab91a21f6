/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/migrate.h"

#include "cmd/cmd.h"
#include "cmd/open.h"
#include "lib/auto.h"

static enum cmd_exit run(struct cmd *cmd)
{
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_db(cmd, OPEN_OLDER, 1, &db);
    if (code != CMD_OK)
        return code;
    int steps = 0;
    code = open_migrate(cmd, db, &steps);
    if (code == CMD_OK)
        log_info("the schema is up to date", LOG_STR("engine", db_engine(db)), LOG_INT("steps", steps));
    return code;
}

const struct command migrate_command = {
    .name = "migrate",
    .summary = "Bring the database schema up to date.",
    .details = "Needs no key files. A database that a newer version has used is left alone: exit code 3.",
    .examples = "$0 migrate\n$0 migrate --db postgresql://mintd:secret@db.example/mintd",
    .is_service = true,
    .run = run,
};

static enum cmd_exit run_useradm(struct cmd *cmd)
{
    return run(cmd) == CMD_OK ? CMD_OK : CMD_MIGRATE;
}

static const struct cmd_option useradm_options[] = {
    {"tenant", "TENANT", "accepted and ignored: all tenants share one schema", NULL, false, false},
    {0},
};

const struct command useradm_migrate_command = {
    .name = "migrate",
    .summary = "Bring the database schema up to date.",
    .examples = "$0 migrate\n$0 --config /etc/useradm/config.yaml migrate",
    .options = useradm_options,
    .is_service = true,
    .run = run_useradm,
};
