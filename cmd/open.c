/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cmd/open.h"

#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/migrate.h"

static enum cmd_exit storage_failed(const struct cmd *cmd, enum err e)
{
    if (e == ERR_SCHEMA_NEWER)
        return CMD_SCHEMA; /* logged, with the step that is not known */
    if (e == ERR_SCHEMA_OLD)
        return cmd_fail(cmd, CMD_SCHEMA, "%s", err_text(e));
    if (e == ERR_DB_UNREACHABLE)
        return cmd_fail(cmd, CMD_DATABASE, "the database does not answer");
    return cmd_fail(cmd, CMD_SCHEMA, "the schema cannot be read or changed: %s", err_text(e));
}

bool open_is_new(const struct cmd *cmd)
{
    static const char scheme[] = "sqlite:";
    const char *url = cmd->config->db;
    return strncmp(url, scheme, strlen(scheme)) == 0 && access(url + strlen(scheme), F_OK) != 0;
}

enum cmd_exit open_db(const struct cmd *cmd, enum open_mode mode, size_t connections, struct db **out)
{
    const char *url = cmd->config->db;
    /* SQLite makes a file that is missing; whoever mistypes its name would be told that there are no users */
    if (mode == OPEN_CURRENT && open_is_new(cmd))
        return cmd_fail(cmd, CMD_DATABASE, "there is no database %s: make it with %s migrate", url, cmd->program->name);
    char why[256] = "";
    AUTO(db_free) struct db *db = NULL;
    enum err e = db_open(url, connections, why, sizeof why, &db);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_DATABASE, "the database cannot be opened: %s", *why != '\0' ? why : err_text(e));
    e = migrate_check(db, migrate_list);
    if (e != ERR_OK && !(e == ERR_SCHEMA_OLD && mode == OPEN_OLDER))
        return storage_failed(cmd, e);
    *out = MOVE(db);
    return CMD_OK;
}

enum cmd_exit open_migrate(const struct cmd *cmd, struct db *db, int *steps)
{
    enum err e = migrate_run(db, migrate_list, steps);
    return e == ERR_OK ? CMD_OK : storage_failed(cmd, e);
}

enum cmd_exit open_service(const struct cmd *cmd, enum role *out)
{
    const char *name = cmd_value(cmd, "service");
    *out = cmd->program->role == ROLE_DEVICEAUTH ? ROLE_DEVICEAUTH : ROLE_USERADM;
    if (name == NULL)
        return CMD_OK;
    *out = strcmp(name, "deviceauth") == 0 ? ROLE_DEVICEAUTH : ROLE_USERADM;
    if (*out == ROLE_USERADM && strcmp(name, "useradm") != 0)
        return cmd_fail(cmd, CMD_USAGE, "--service is %.20s, must be useradm or deviceauth", name);
    return CMD_OK;
}

enum cmd_exit open_ring(const struct cmd *cmd, enum role service, struct keyring **out)
{
    struct keyring_config config;
    config_keyring(cmd->config, config_shares_keys(cmd->config) ? ROLE_USERADM : service, &config);
    return keyring_open(&config, out) == ERR_OK ? CMD_OK : CMD_KEYS;
}

enum cmd_exit open_plans(const struct cmd *cmd, struct plan_list **out)
{
    const char *path = cmd->config->plan_definitions_path;
    char why[PLAN_WHY_SIZE] = "";
    enum err e = *path != '\0' ? plan_read(path, why, out) : ERR_NOT_FOUND;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return cmd_fail(cmd, CMD_USAGE, "the plan file %s cannot be used: %s", path, why);
    if (e == ERR_NOT_FOUND)
        *out = plan_default();
    return CMD_OK;
}

void open_warn_of_plans(const struct config *config, const struct plan_list *plans)
{
    if (plans->is_default && *config->plan_definitions_path != '\0')
        log_warn("there is no plan file: the built-in plan is used", LOG_STR("file", config->plan_definitions_path));
}

enum cmd_exit open_limits(const struct cmd *cmd, enum role service, struct ratelimit **out)
{
    struct ratelimit_config rules;
    struct ratelimit_fault fault;
    if (!config_limits(cmd->config, service, &rules) || ratelimit_new(&rules, &fault, out) == ERR_OK)
        return CMD_OK;
    return cmd_fail(cmd, CMD_KEYS, "rate_limits.auth.%s%s", fault.list, fault.why);
}
