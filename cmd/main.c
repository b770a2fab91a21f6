/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cmd/cmd.h"

/* in the order of the help; clang-format would make columns of it */
/* clang-format off */
static const struct command *const mintd_commands[] = {
    &serve_command,
    &migrate_command,
    &user_create_command,
    &user_set_password_command,
    &user_list_command,
    &user_delete_command,
    &user_unlock_command,
    &device_list_command,
    &device_show_command,
    &device_accept_command,
    &device_reject_command,
    &device_decommission_command,
    &device_preauthorize_command,
    &device_import_command,
    &device_events_command,
    &device_request_command,
    &keys_generate_command,
    &keys_list_command,
    &keys_check_command,
    &token_inspect_command,
    &import_useradm_command,
    &import_deviceauth_command,
    &config_check_command,
    &health_command,
    &version_command,
    NULL,
};
/* clang-format on */

static const struct command *const useradm_commands[] = {
    &serve_command,
    &useradm_create_user_command,
    &useradm_set_password_command,
    &useradm_migrate_command,
    &health_command,
    &version_command,
    NULL,
};

static const struct command *const deviceauth_commands[] = {
    &serve_command,
    &deviceauth_migrate_command,
    &deviceauth_propagate_statuses_command,
    &deviceauth_propagate_id_data_command,
    &deviceauth_maintenance_command,
    &health_command,
    &version_command,
    NULL,
};

/* The first one stands for every other name. */
static const struct program programs[] = {
    {"mintd", ROLE_MINTD, "Mints, verifies and revokes JSON Web Tokens, and rotates its signing keys while it serves.",
     mintd_commands, NULL, NULL},
    {"useradm", ROLE_USERADM, "User administration: mintd under the name of the service it stands in for.",
     useradm_commands, &serve_command, NULL},
    {"deviceauth", ROLE_DEVICEAUTH, "Device authentication: mintd under the name of the service it stands in for.",
     deviceauth_commands, &serve_command, NULL},
};

/* Keys and passwords pass through this memory: no core dump, no look by other processes of this user. */
static void harden(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
}

int main(int argc, char **argv)
{
    harden();
    const char *path = argc > 0 ? argv[0] : "";
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const struct program *program = &programs[0];
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (strcmp(programs[i].name, name) == 0)
            program = &programs[i];
    return cmd_main(program, argc, argv);
}
