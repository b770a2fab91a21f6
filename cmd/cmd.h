/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/config.h"

/* The command line: a program is a table of commands, a command has a table of options, in cmd/<its first word>.c. */

/* Exit codes, up to CMD_PASSWORD those of the original (contract/useradm 7). */
enum cmd_exit {
    CMD_OK,
    CMD_USAGE,    /* command line, configuration, a token or a server that is no good */
    CMD_DATABASE, /* it cannot be opened */
    CMD_SCHEMA,   /* it is older or newer than this program, or the migration failed */
    CMD_KEYS,     /* key files, listeners */
    CMD_USER,     /* user create, list, delete */
    CMD_MIGRATE,  /* migrate, under the name useradm */
    CMD_PASSWORD, /* set-password */
    CMD_SKIPPED,  /* import: done, but some documents were skipped */
    CMD_IMPORT,   /* import: it stopped on the way, at a broken file or the database */
    CMD_REFUSED,  /* device request: the device is not let in */
    CMD_DEVICE = CMD_USER,

    /* under the name deviceauth (contract/deviceauth 6) */
    CMD_DEVICEAUTH_MIGRATE = 5,
    CMD_MAINTENANCE = 6,
    CMD_PROPAGATE = 7,
};

struct cmd_option {
    const char *name; /* without dashes; NULL ends a list */
    const char *arg;  /* what its value is called; NULL: a switch */
    const char *help;
    const char *key; /* the configuration key that it sets, or NULL */
    bool is_required;
    bool is_secret; /* wiped from the process list */
};

struct cmd;

struct command {
    const char *name; /* one word, or two: "user create" */
    const char *args; /* what follows the options; NULL: nothing */
    size_t args_min, args_max;
    const char *summary;
    const char *details;  /* NULL: the summary says it all */
    const char *examples; /* whole lines, "$0" stands for the program */
    const struct cmd_option *options;
    bool is_bare;    /* needs no configuration */
    bool is_service; /* reports through the log; the others speak to a person */
    enum cmd_exit (*run)(struct cmd *cmd);
};

/* What the program is under one of its names. */
struct program {
    const char *name;
    enum role role;
    const char *about;
    const struct command *const *commands; /* NULL-terminated */
    const struct command *initial;         /* without a command word; NULL: the help */
    const char *missing;                   /* the answer to any other word; NULL: there is no such command */
};

#define CMD_OPTIONS_MAX 16
#define CMD_ARGS_MAX 16

/* One run of a command. */
struct cmd {
    const struct program *program;
    const struct command *command;
    struct config *config; /* NULL when the command is bare */
    struct {
        const struct cmd_option *option;
        char *value; /* owned, wiped */
    } given[CMD_OPTIONS_MAX];
    size_t given_n;
    const char *arg[CMD_ARGS_MAX];
    size_t args_n;
};

/* Parse the command line, load the configuration, run the command; returns the exit code. */
int cmd_main(const struct program *program, int argc, char **argv);

/* The value of an option; NULL when it was not given. A switch that is on has the value "true". */
const char *cmd_value(const struct cmd *cmd, const char *name);
bool cmd_is_on(const struct cmd *cmd, const char *name);

/* Say in one line on stderr why the command fails; returns code. */
enum cmd_exit cmd_fail(const struct cmd *cmd, enum cmd_exit code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Options that every command has. */
extern const struct cmd_option cmd_globals[];

/* An option of commands that print what they found. */
#define CMD_JSON_OPTION                                                                                                \
    {                                                                                                                  \
        "json", NULL, "as JSON", NULL, false, false                                                                    \
    }

/* The commands, each in the file of its first word. */
extern const struct command serve_command;
extern const struct command migrate_command;
extern const struct command user_create_command, user_set_password_command, user_list_command, user_delete_command,
    user_unlock_command;
extern const struct command device_list_command, device_show_command, device_accept_command, device_reject_command,
    device_decommission_command, device_preauthorize_command, device_import_command, device_request_command,
    device_events_command;
extern const struct command keys_generate_command, keys_list_command, keys_check_command;
extern const struct command token_inspect_command;
extern const struct command import_useradm_command, import_deviceauth_command;
extern const struct command config_check_command;
extern const struct command health_command;
extern const struct command version_command;
/* What the name useradm has beside serve and version: contract/useradm 7. */
extern const struct command useradm_create_user_command, useradm_set_password_command, useradm_migrate_command;

/* What the name deviceauth has beside serve and version: contract/deviceauth 6. */
extern const struct command deviceauth_migrate_command, deviceauth_propagate_statuses_command,
    deviceauth_propagate_id_data_command, deviceauth_maintenance_command;

/* What `version` prints. */
extern const char version_text[];

#endif
