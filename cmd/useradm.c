/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/account.h"
#include "cmd/cmd.h"

/* The original's commands under its names and flags: contract/useradm 7. It ignores the tenant of create-user too. */

static enum cmd_exit run_create_user(struct cmd *cmd)
{
    return account_create(cmd, cmd_value(cmd, "username"), cmd_value(cmd, "user-id"));
}

static enum cmd_exit run_set_password(struct cmd *cmd)
{
    return account_set_password(cmd, cmd_value(cmd, "username"), cmd_value(cmd, "tenant-id"));
}

static const struct cmd_option create_user_options[] = {
    {"username", "EMAIL", "e-mail address, kept in lower case", NULL, true, false},
    {"password", "PASSWORD", "without it the password is asked for", NULL, false, true},
    {"user-id", "ID", "the user's id instead of a random one", NULL, false, false},
    {"tenant-id", "TENANT", "accepted and ignored", NULL, false, false},
    {0},
};

const struct command useradm_create_user_command = {
    .name = "create-user",
    .summary = "Create a user and print the id.",
    .examples = "$0 create-user --username admin@example.com",
    .options = create_user_options,
    .run = run_create_user,
};

static const struct cmd_option set_password_options[] = {
    {"username", "EMAIL", "whose password", NULL, true, false},
    {"password", "PASSWORD", "without it the password is asked for", NULL, false, true},
    {"tenant-id", "TENANT", "the user's tenant", NULL, false, false},
    {0},
};

const struct command useradm_set_password_command = {
    .name = "set-password",
    .summary = "Set a user's password and revoke all of the user's tokens.",
    .examples = "$0 set-password --username admin@example.com",
    .options = set_password_options,
    .run = run_set_password,
};
