/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/migrate.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/device_find.h"
#include "cmd/account.h"
#include "cmd/cmd.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/mem.h"

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

/* One a line; the one tenant of an installation without tenants is an empty line. */
static enum cmd_exit list_tenants(const struct cmd *cmd)
{
    AUTO(db_free) struct db *db = NULL;
    if (open_db(cmd, OPEN_CURRENT, 1, &db) != CMD_OK)
        return CMD_DEVICEAUTH_MIGRATE;
    char **tenants = NULL;
    size_t n = 0;
    enum err e = device_find_tenants(db, &tenants, &n);
    for (size_t i = 0; i < n; i++) {
        puts(tenants[i]);
        mem_free(&tenants[i]);
    }
    free(tenants);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_DEVICEAUTH_MIGRATE, "listing tenants failed: %s", account_why(e));
    return n > 0 ? CMD_OK : cmd_fail(cmd, CMD_DEVICEAUTH_MIGRATE, "there are no tenants, as there are no devices");
}

static enum cmd_exit run_deviceauth(struct cmd *cmd)
{
    if (cmd_is_on(cmd, "list-tenants"))
        return list_tenants(cmd);
    return run(cmd) == CMD_OK ? CMD_OK : CMD_DEVICEAUTH_MIGRATE;
}

static const struct cmd_option deviceauth_options[] = {
    {"tenant", "TENANT", "accepted and ignored: all tenants share one schema", NULL, false, false},
    {"list-tenants", NULL, "print the tenants that have devices, one a line, and change nothing", NULL, false, false},
    {0},
};

const struct command deviceauth_migrate_command = {
    .name = "migrate",
    .summary = "Bring the database schema up to date.",
    .examples = "$0 migrate\n$0 migrate --list-tenants",
    .options = deviceauth_options,
    .is_service = true,
    .run = run_deviceauth,
};
