/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/user.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/guard.h"
#include "cmd/account.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

enum { RECORDS_SHOWN = 20 };

static enum cmd_exit run_create(struct cmd *cmd)
{
    return account_create(cmd, cmd_value(cmd, "email"), cmd_value(cmd, "id"));
}

static enum cmd_exit run_set_password(struct cmd *cmd)
{
    return account_set_password(cmd, cmd_value(cmd, "email"), cmd_value(cmd, "tenant"));
}

static const char *tenant_of(const struct cmd *cmd)
{
    const char *tenant = cmd_value(cmd, "tenant");
    return tenant != NULL ? tenant : "";
}

static void print_json(struct user **users, size_t n)
{
    AUTO(json_release) json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, user_json(users[i]));
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
}

static void print_table(struct user **users, size_t n)
{
    printf("%-36s  %-24s  %-24s  %s\n", "ID", "CREATED", "LAST LOGIN", "EMAIL");
    for (size_t i = 0; i < n; i++) {
        char created[CLOCK_RFC3339_SIZE];
        char login[CLOCK_RFC3339_SIZE] = "-";
        clock_rfc3339(users[i]->created_ms, created);
        if (users[i]->login_ms != 0)
            clock_rfc3339(users[i]->login_ms, login);
        printf("%-36s  %-24s  %-24s  %s\n", users[i]->id, created, login, users[i]->email);
    }
}

static enum cmd_exit run_list(struct cmd *cmd)
{
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_db(cmd, OPEN_CURRENT, 1, &db);
    if (code != CMD_OK)
        return code;
    struct user **users = NULL;
    size_t n = 0;
    enum err e = user_list(db, tenant_of(cmd), &users, &n);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_USER, "listing users failed: %s", account_why(e));
    if (cmd_is_on(cmd, "json"))
        print_json(users, n);
    else
        print_table(users, n);
    user_list_free(&users, n);
    return CMD_OK;
}

static enum err delete_user(struct db *db, const char *tenant, const char *email, const char *id)
{
    if (email == NULL)
        return user_delete(db, tenant, id);
    AUTO(user_free) struct user *user = NULL;
    TRY(user_get_by_email(db, tenant, email, &user));
    return user_delete(db, tenant, user->id);
}

static enum cmd_exit run_delete(struct cmd *cmd)
{
    const char *email = cmd_value(cmd, "email");
    const char *id = cmd_value(cmd, "id");
    if ((email == NULL) == (id == NULL))
        return cmd_fail(cmd, CMD_USAGE, "user delete needs either --email or --id");
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_db(cmd, OPEN_CURRENT, 1, &db);
    if (code != CMD_OK)
        return code;
    enum err e = delete_user(db, tenant_of(cmd), email, id);
    return e == ERR_OK ? CMD_OK : cmd_fail(cmd, CMD_USER, "deleting user failed: %s", account_why(e));
}

/* Who is locked out: "-" when the delay or lock is over. An attack may have come from thousands of networks. */
static void print_records(const struct guard_record *records, size_t n)
{
    printf("%-22s  %8s  %8s  %s\n", "NETWORK", "FAILURES", "REFUSED", "LOCKED UNTIL");
    for (size_t i = 0; i < n && i < RECORDS_SHOWN; i++) {
        char until[CLOCK_RFC3339_SIZE] = "-";
        if (records[i].until_ms > clock_ms())
            clock_rfc3339(records[i].until_ms, until);
        printf("%-22s  %8" PRId64 "  %8" PRId64 "  %s\n", *records[i].network != '\0' ? records[i].network : "all",
               records[i].failures, records[i].refused, until);
    }
    if (n > RECORDS_SHOWN)
        printf("and %zu more networks\n", n - RECORDS_SHOWN);
}

static enum err unlock(struct db *db, const char *email, struct guard_record **records, size_t *n)
{
    AUTO(user_free) struct user *user = NULL;
    TRY(user_get_by_email(db, "", email, &user));
    return guard_unlock(db, email, records, n);
}

static enum cmd_exit run_unlock(struct cmd *cmd)
{
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_db(cmd, OPEN_CURRENT, 1, &db);
    if (code != CMD_OK)
        return code;
    struct guard_record *records = NULL;
    size_t n = 0;
    enum err e = unlock(db, cmd->arg[0], &records, &n);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_USER, "unlocking user failed: %s", account_why(e));
    if (n == 0)
        printf("no failed logins are counted\n");
    else
        print_records(records, n);
    free(records);
    return CMD_OK;
}

static const struct cmd_option create_options[] = {
    {"email", "EMAIL", "e-mail address, kept in lower case", NULL, true, false},
    {"password", "PASSWORD", "8 to 72 bytes of ASCII; without it the password is asked for", NULL, false, true},
    {"password-stdin", NULL, "read the password from the first line of stdin", NULL, false, false},
    {"id", "ID", "the user's id instead of a random one", NULL, false, false},
    {0},
};

const struct command user_create_command = {
    .name = "user create",
    .summary = "Create a user and print the id.",
    .examples = "$0 user create --email admin@example.com\n"
                "openssl rand -hex 16 | tee secret | $0 user create --email ci@example.com --password-stdin",
    .options = create_options,
    .run = run_create,
};

static const struct cmd_option set_password_options[] = {
    {"email", "EMAIL", "whose password", NULL, true, false},
    {"password", "PASSWORD", "the new one; without it the password is asked for", NULL, false, true},
    {"password-stdin", NULL, "read the password from the first line of stdin", NULL, false, false},
    {"tenant", "TENANT", "the user's tenant", NULL, false, false},
    {0},
};

const struct command user_set_password_command = {
    .name = "user set-password",
    .summary = "Set a user's password and revoke all of the user's tokens.",
    .details = "A running server on the same database refuses the old tokens within a second.",
    .examples = "$0 user set-password --email admin@example.com",
    .options = set_password_options,
    .run = run_set_password,
};

static const struct cmd_option list_options[] = {
    CMD_JSON_OPTION,
    {"tenant", "TENANT", "the users of this tenant", NULL, false, false},
    {0},
};

const struct command user_list_command = {
    .name = "user list",
    .summary = "List the users.",
    .examples = "$0 user list\n$0 user list --json | jq -r '.[].email'",
    .options = list_options,
    .run = run_list,
};

static const struct cmd_option delete_options[] = {
    {"email", "EMAIL", "the user with this address", NULL, false, false},
    {"id", "ID", "the user with this id", NULL, false, false},
    {"tenant", "TENANT", "the user's tenant", NULL, false, false},
    {0},
};

const struct command user_delete_command = {
    .name = "user delete",
    .summary = "Delete a user and revoke all of the user's tokens.",
    .examples = "$0 user delete --email joe@example.com\n$0 user delete --id 3fa85f64-5717-4562-b3fc-2c963f66afa6",
    .options = delete_options,
    .run = run_delete,
};

const struct command user_unlock_command = {
    .name = "user unlock",
    .args = "EMAIL",
    .args_min = 1,
    .args_max = 1,
    .summary = "Forget the failed logins of a user, and print what they were.",
    .details =
        "Delays and locks end at once, also in running servers on the same database. The line \"all\" is the account "
        "from everywhere.",
    .examples = "$0 user unlock joe@example.com",
    .run = run_unlock,
};
