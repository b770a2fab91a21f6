/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/open.h"
#include "lib/auto.h"

/* Every part is looked at, so that one run shows all that is wrong; the first fault gives the exit code. */
static enum cmd_exit run(struct cmd *cmd)
{
    const struct config *config = cmd->config;
    printf("# from %s, the environment and the command line\n", config->file != NULL ? config->file : "defaults");
    config_print(config, stdout);
    fflush(stdout);
    AUTO(plan_list_free) struct plan_list *plans = NULL;
    AUTO(keyring_free) struct keyring *people = NULL;
    AUTO(keyring_free) struct keyring *devices = NULL;
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit planned = open_plans(cmd, &plans);
    if (planned == CMD_OK)
        open_warn_of_plans(config, plans);
    enum cmd_exit keys = open_ring(cmd, ROLE_USERADM, &people);
    enum cmd_exit device_keys = config_shares_keys(config) ? CMD_OK : open_ring(cmd, ROLE_DEVICEAUTH, &devices);
    keys = keys != CMD_OK ? keys : device_keys;
    enum cmd_exit storage = open_db(cmd, OPEN_CURRENT, 1, &db);
    if (planned != CMD_OK)
        return planned;
    return keys != CMD_OK ? keys : storage;
}

const struct command config_check_command = {
    .name = "config check",
    .summary = "Check configuration, keys and database, and print the configuration in effect.",
    .details = "What a server checks before it listens, in the same words. Passwords are masked. Exit codes: 1 "
               "configuration, 2 database,\n"
               "3 schema, 4 keys.",
    .examples = "$0 config check --config /etc/mintd/mintd.yaml",
    .run = run,
};
