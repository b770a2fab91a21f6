/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/device_admit.h"
#include "cmd/account.h"
#include "cmd/bulk.h"
#include "cmd/device_print.h"
#include "cmd/device_run.h"
#include "lib/auto.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/rand.h"

enum { PAGE = 1000 };

static enum cmd_exit failed(const struct cmd *cmd, enum err e, const char *why)
{
    return cmd_fail(cmd, CMD_DEVICE, "%s", e == ERR_INVALID ? why : account_why(e));
}

/* Statuses, with commas; NULL: all of them. */
static bool parse_statuses(const char *text, struct device_filter *filter)
{
    for (size_t i = 0; text == NULL && i < DEVICE_STATUSES; i++)
        filter->status[i] = true;
    while (text != NULL) {
        enum device_status status;
        const char *comma = strchr(text, ',');
        AUTO(mem_free) char *name = mem_strndup(text, comma != NULL ? (size_t)(comma - text) : strlen(text));
        if (!device_status_parse(name, &status))
            return false;
        filter->status[status] = true;
        text = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

/* Rows of a list, or members of an array, one a line. */
static void print_devices(struct device **list, size_t n, const struct device_filter *filter, bool is_json,
                          int64_t *shown)
{
    for (size_t i = 0; i < n; i++) {
        if (!filter->status[list[i]->status])
            continue;
        if (is_json) {
            fputs(*shown > 0 ? ",\n " : "[\n ", stdout);
            device_write(stdout, list[i], true);
        } else {
            if (*shown == 0)
                device_print_head();
            device_print_row(list[i]);
        }
        ++*shown;
    }
}

static enum err list_all(const struct device_run *run, const struct device_filter *filter, bool is_json, int64_t *shown)
{
    int64_t skip = 0;
    for (size_t n = PAGE; n == PAGE; skip += PAGE) {
        struct device **list = NULL;
        TRY(device_list(run->db, run->tenant, filter, skip, PAGE, &list, &n));
        print_devices(list, n, filter, is_json, shown);
        device_list_free(&list, n);
    }
    return ERR_OK;
}

static enum err list_found(const struct device_run *run, const char *text, const struct device_filter *filter,
                           bool is_json, int64_t *shown)
{
    struct device **list = NULL;
    size_t n = 0;
    enum err e = device_find(run->db, run->tenant, text, &list, &n);
    if (e == ERR_DEVICE_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    print_devices(list, n, filter, is_json, shown);
    device_list_free(&list, n);
    return ERR_OK;
}

static enum cmd_exit run_list(struct cmd *cmd)
{
    struct device_filter filter = {0};
    if (!parse_statuses(cmd_value(cmd, "status"), &filter))
        return cmd_fail(cmd, CMD_USAGE,
                        "--status is %.60s, must be of accepted, pending, rejected, preauthorized, noauth, with commas",
                        cmd_value(cmd, "status"));
    AUTO(device_run_close) struct device_run run;
    enum cmd_exit code = device_run_open(cmd, &run);
    if (code != CMD_OK)
        return code;
    bool is_json = cmd_is_on(cmd, "json");
    int64_t shown = 0;
    enum err e = cmd->args_n > 0 ? list_found(&run, cmd->arg[0], &filter, is_json, &shown)
                                 : list_all(&run, &filter, is_json, &shown);
    if (is_json)
        puts(shown > 0 ? "\n]" : "[]");
    else if (shown == 0)
        device_print_head();
    return e == ERR_OK ? CMD_OK : failed(cmd, e, "");
}

static enum cmd_exit run_show(struct cmd *cmd)
{
    AUTO(device_run_close) struct device_run run;
    enum cmd_exit code = device_run_open(cmd, &run);
    if (code != CMD_OK)
        return code;
    char why[DEVICE_WHY_SIZE] = "";
    AUTO(device_free) struct device *device = NULL;
    enum err e = device_run_find(&run, cmd->arg[0], why, &device);
    if (e != ERR_OK)
        return failed(cmd, e, why);
    if (!cmd_is_on(cmd, "json")) {
        device_print_all(device);
        return CMD_OK;
    }
    device_write(stdout, device, true);
    putchar('\n');
    return CMD_OK;
}

/* Accept or reject the key of one device; the device is the caller's. */
static enum err decide(struct device_run *run, const char *text, const char *key, enum device_status status,
                       char why[DEVICE_WHY_SIZE], struct device **device, bool *changed)
{
    struct auth_set *set = NULL;
    TRY(device_run_find(run, text, why, device));
    /* who names a device by its key means that key */
    bool is_key = key == NULL && strlen(text) == DEVICE_HASH_SIZE - 1 && strcmp(text, (*device)->id) != 0 &&
                  strchr(text, '=') == NULL && *text != '{';
    TRY(device_run_choose(*device, is_key ? text : key, status, why, &set));
    return device_run_decide(run, *device, set, status, why, changed);
}

static enum cmd_exit decide_one(struct device_run *run, enum device_status status)
{
    char why[DEVICE_WHY_SIZE] = "";
    bool changed = false;
    AUTO(device_free) struct device *device = NULL;
    enum err e = decide(run, run->cmd->arg[0], cmd_value(run->cmd, "key"), status, why, &device, &changed);
    if (e != ERR_OK)
        return failed(run->cmd, e, why);
    printf("%s %s%s\n", device->id, device_status_name(status), changed ? "" : " already");
    return CMD_OK;
}

/* A line without the white space around it; "" when there is nothing in it but a remark. */
static char *trim(char *line)
{
    line += strspn(line, " \t\r\n");
    size_t len = strlen(line);
    while (len > 0 && strchr(" \t\r\n", line[len - 1]) != NULL)
        len--;
    line[*line == '#' ? 0 : len] = '\0';
    return line;
}

static enum cmd_exit decide_file(struct device_run *run, const char *path, enum device_status status)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL)
        return cmd_fail(run->cmd, CMD_USAGE, "%s: %s", path, strerror(errno));
    struct bulk bulk;
    AUTO(mem_free) char *buf = NULL;
    size_t size = 0;
    enum err e = ERR_OK;
    bulk_begin(&bulk, run->cmd, path, device_status_name(status));
    for (int64_t line = 1; e == ERR_OK && getline(&buf, &size, file) >= 0; line++) {
        const char *text = trim(buf);
        if (*text == '\0')
            continue;
        char why[DEVICE_WHY_SIZE] = "";
        bool changed = false;
        AUTO(device_free) struct device *device = NULL;
        e = decide(run, text, NULL, status, why, &device, &changed);
        if (e == ERR_OK)
            bulk_done(&bulk, changed);
        else if (e == ERR_INVALID)
            bulk_failed(&bulk, line, why);
        e = e == ERR_INVALID ? ERR_OK : e;
    }
    if (!is_stdin)
        fclose(file);
    return bulk_end(&bulk, e);
}

static enum cmd_exit run_decision(struct cmd *cmd, enum device_status status)
{
    const char *file = cmd_value(cmd, "file");
    if ((file == NULL) == (cmd->args_n == 0))
        return cmd_fail(cmd, CMD_USAGE, "%s needs either DEVICE or --file FILE", cmd->command->name);
    if (file != NULL && cmd_value(cmd, "key") != NULL)
        return cmd_fail(cmd, CMD_USAGE, "--key and --file exclude each other");
    AUTO(device_run_close) struct device_run run;
    enum cmd_exit code = device_run_open(cmd, &run);
    if (code != CMD_OK)
        return code;
    return file != NULL ? decide_file(&run, file, status) : decide_one(&run, status);
}

static enum cmd_exit run_accept(struct cmd *cmd)
{
    return run_decision(cmd, DEVICE_ACCEPTED);
}

static enum cmd_exit run_reject(struct cmd *cmd)
{
    return run_decision(cmd, DEVICE_REJECTED);
}

static enum cmd_exit run_decommission(struct cmd *cmd)
{
    AUTO(device_run_close) struct device_run run;
    enum cmd_exit code = device_run_open(cmd, &run);
    if (code != CMD_OK)
        return code;
    char why[DEVICE_WHY_SIZE] = "";
    char request_id[RAND_UUID_SIZE];
    AUTO(device_free) struct device *device = NULL;
    enum err e = device_run_find(&run, cmd->arg[0], why, &device);
    rand_uuid(request_id);
    if (e == ERR_OK)
        e = device_run_told(&run, device_admit_decommission(&run.fleet, device->tenant_id, device->id, request_id));
    if (e != ERR_OK)
        return failed(cmd, e, why);
    printf("%s %s\n", device->id, run.fleet.outbox != NULL ? "decommissioned" : "deleted");
    return CMD_OK;
}

static enum cmd_exit run_preauthorize(struct cmd *cmd)
{
    char why[DEVICE_WHY_SIZE] = "";
    AUTO(iddata_release) struct iddata id = {0};
    AUTO(pubkey_free) struct pubkey *key = NULL;
    if (device_run_identity(cmd->arg, cmd->args_n, why, &id) != ERR_OK)
        return cmd_fail(cmd, CMD_USAGE, "%s", why);
    if (device_run_pubkey(cmd, cmd_value(cmd, "key"), why, &key) != ERR_OK)
        return cmd_fail(cmd, CMD_USAGE, "%s", why);
    AUTO(device_run_close) struct device_run run;
    enum cmd_exit code = device_run_open(cmd, &run);
    if (code != CMD_OK)
        return code;
    bool changed = false;
    AUTO(mem_free) char *device_id = NULL;
    enum err e = device_run_preauthorize(&run, &id, key, cmd_is_on(cmd, "force"), why, &device_id, &changed);
    if (e != ERR_OK)
        return failed(cmd, e, why);
    printf("%s preauthorized%s\n", device_id, changed ? "" : " or accepted already");
    return CMD_OK;
}

#define DEVICE_HELP                                                                                                    \
    "DEVICE is a device's id; or an attribute of its identity, mac=02:00:5e:10:00:01; or its whole identity as "       \
    "JSON;\n"                                                                                                          \
    "or the SHA-256 of one of its keys, as `openssl pkey -pubout | sha256sum` prints it of the key file."
#define TENANT                                                                                                         \
    {                                                                                                                  \
        "tenant", "TENANT", "the devices of this tenant", NULL, false, false                                           \
    }

static const struct cmd_option list_options[] = {
    {"status", "STATUS", "accepted, pending, rejected, preauthorized, noauth; several with commas", NULL, false, false},
    CMD_JSON_OPTION,
    TENANT,
    {0},
};

const struct command device_list_command = {
    .name = "device list",
    .args = "[DEVICE]",
    .args_max = 1,
    .summary = "List the devices, or those that have an attribute.",
    .details = DEVICE_HELP,
    .examples = "$0 device list --status pending\n$0 device list mac=02:00:5e:10:00:01\n"
                "$0 device list --json | jq -r '.[] | select(.check_in_time == null) | .id'",
    .options = list_options,
    .run = run_list,
};

static const struct cmd_option show_options[] = {
    CMD_JSON_OPTION,
    TENANT,
    {0},
};

const struct command device_show_command = {
    .name = "device show",
    .args = "DEVICE",
    .args_min = 1,
    .args_max = 1,
    .summary = "Show a device and its keys.",
    .details = DEVICE_HELP,
    .examples = "$0 device show mac=02:00:5e:10:00:01\n$0 device show --json 0a1f2c3e-1b5c-4a65-8a47-1c2f8b8e3c11",
    .options = show_options,
    .run = run_show,
};

static const struct cmd_option decision_options[] = {
    {"key", "KEY", "which key: the id of its auth set, or the first 8 or more digits of its SHA-256", NULL, false,
     false},
    {"file", "FILE", "do it for each line of the file, which is a DEVICE; - is stdin", NULL, false, false},
    TENANT,
    {0},
};

const struct command device_accept_command = {
    .name = "device accept",
    .args = "DEVICE",
    .args_max = 1,
    .summary = "Let a device in: accept its key that waits.",
    .details = DEVICE_HELP
    "\n\n"
    "An accepted device gets its token when it asks the next time. When several keys wait, --key says which;\n"
    "accepting one rejects the one that was accepted before, and its tokens die. In a file, lines that are\n"
    "blank or begin with # are skipped; exit code 8 says that some lines failed.",
    .examples = "$0 device accept mac=02:00:5e:10:00:01\n$0 device accept mac=02:00:5e:10:00:01 --key 5f2c01aa\n"
                "$0 device accept --file delivered.txt",
    .options = decision_options,
    .run = run_accept,
};

const struct command device_reject_command = {
    .name = "device reject",
    .args = "DEVICE",
    .args_max = 1,
    .summary = "Keep a device out: reject its key that waits, or the accepted one.",
    .details = DEVICE_HELP
    "\n\n"
    "Rejecting an accepted key kills the device's tokens; a running server refuses them within a second.",
    .examples = "$0 device reject mac=02:00:5e:10:00:01\n$0 device reject --file stolen.txt",
    .options = decision_options,
    .run = run_reject,
};

static const struct cmd_option decommission_options[] = {
    TENANT,
    {0},
};

const struct command device_decommission_command = {
    .name = "device decommission",
    .args = "DEVICE",
    .args_min = 1,
    .args_max = 1,
    .summary = "Remove a device with its keys; its tokens die.",
    .details = DEVICE_HELP
    "\n\n"
    "With orchestrator_addr set the workflow engine is asked to remove it everywhere, which ends here; else it\n"
    "is deleted at once. When it asks again it is a new device that waits.",
    .examples = "$0 device decommission mac=02:00:5e:10:00:01",
    .options = decommission_options,
    .run = run_decommission,
};

static const struct cmd_option preauthorize_options[] = {
    {"key", "FILE", "the device's public key in PEM", NULL, true, false},
    {"force", NULL, "also a key of a device that is known; its other keys stay what they are", NULL, false, false},
    TENANT,
    {0},
};

const struct command device_preauthorize_command = {
    .name = "device preauthorize",
    .args = "IDENTITY...",
    .args_min = 1,
    .args_max = CMD_ARGS_MAX,
    .summary = "Let a device in with a key before it asks for the first time.",
    .details = "IDENTITY is all that the device will say of itself: NAME=VALUE ..., or one JSON object.",
    .examples = "$0 device preauthorize mac=02:00:5e:10:00:01 --key device.pub\n"
                "$0 device preauthorize '{\"mac\":\"02:00:5e:10:00:01\",\"slot\":7}' --key device.pub",
    .options = preauthorize_options,
    .run = run_preauthorize,
};
