/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/account.h"

#include <stdio.h>

#include "auth/user.h"
#include "cmd/open.h"
#include "cmd/prompt.h"
#include "lib/auto.h"
#include "lib/mem.h"

static bool is_about_input(enum err e)
{
    return e == ERR_INVALID || e == ERR_PASSWORD_SHORT || e == ERR_PASSWORD_LONG || e == ERR_PASSWORD_SIMILAR;
}

enum cmd_exit account_create(struct cmd *cmd, const char *email, const char *id)
{
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_db(cmd, OPEN_CURRENT, 1, &db);
    if (code != CMD_OK)
        return code;
    AUTO(mem_wipe) char *password = NULL;
    code = prompt_password(cmd, CMD_USER, &password);
    if (code != CMD_OK)
        return code;
    struct user_new user = {.id = id, .email = email, .password = password, .cost = (int)cmd->config->bcrypt_cost};
    char why[USER_WHY_SIZE] = "";
    AUTO(mem_free) char *new_id = NULL;
    enum err e = user_create(db, &user, why, &new_id);
    if (is_about_input(e))
        return cmd_fail(cmd, CMD_USER, "user validation failed: %s", why);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_USER, "creating user failed: %s", account_why(e));
    printf("%s\n", new_id);
    return CMD_OK;
}

enum cmd_exit account_set_password(struct cmd *cmd, const char *email, const char *tenant)
{
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_db(cmd, OPEN_CURRENT, 1, &db);
    if (code != CMD_OK)
        return code;
    AUTO(mem_wipe) char *password = NULL;
    code = prompt_password(cmd, CMD_PASSWORD, &password);
    if (code != CMD_OK)
        return code;
    char why[USER_WHY_SIZE] = "";
    int cost = (int)cmd->config->bcrypt_cost;
    enum err e = user_set_password(db, tenant != NULL ? tenant : "", email, password, cost, why);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_PASSWORD, "setting password failed: %s", is_about_input(e) ? why : account_why(e));
    return CMD_OK;
}

const char *account_why(enum err e)
{
    return e == ERR_DB_UNREACHABLE || e == ERR_DB_RETRY ? "the database does not answer" : err_text(e);
}
