/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/device_admit.h"
#include "auth/device_find.h"
#include "auth/device_propagate.h"
#include "cmd/account.h"
#include "cmd/cmd.h"
#include "cmd/device_run.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"

/* The original's jobs under its names and flags: contract/deviceauth 6. */

enum { CALL_TIMEOUT_MS = 30000 };

/* A Go duration such as 90s or 1h30m, in milliseconds. */
static bool parse_duration(const char *text, int64_t *ms)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    double sum = 0;
    for (const char *p = text; *p != '\0' || p == text;) {
        char *end = NULL;
        if (!isdigit((unsigned char)*p))
            return false;
        double number = strtod(p, &end);
        size_t i = 0;
        while (i < sizeof units / sizeof *units && strncmp(end, units[i].name, strlen(units[i].name)) != 0)
            i++;
        if (i == sizeof units / sizeof *units)
            return false;
        sum += number * units[i].ms;
        p = end + strlen(units[i].name);
    }
    *ms = (int64_t)sum;
    return sum >= 1 && sum < 1e15;
}

static enum cmd_exit finish(const struct cmd *cmd, enum cmd_exit code, const struct device_propagate *run, enum err e)
{
    printf("%s%" PRId64 " devices told", run->is_dry ? "dry run: would have " : "", run->told);
    if (run->kept > 0)
        printf(", %" PRId64 " left alone as inventory knew something newer", run->kept);
    printf(", %" PRId64 " refused\n", run->refused);
    if (e != ERR_OK)
        return cmd_fail(cmd, code, "stopped on the way: %s", *run->why != '\0' ? run->why : account_why(e));
    if (run->refused > 0)
        return cmd_fail(cmd, code, "inventory refused %" PRId64 " devices: %s", run->refused, run->why);
    return CMD_OK;
}

/* CODE is what the command ends with when it cannot do all. */
static enum cmd_exit propagate(const struct cmd *cmd, enum cmd_exit code, struct device_propagate *run,
                               enum err (*tell)(struct device_propagate *run))
{
    AUTO(db_free) struct db *db = NULL;
    if (*cmd->config->inventory_addr == '\0')
        return cmd_fail(cmd, code, "inventory_addr is empty: there is nobody to tell");
    if (open_db(cmd, OPEN_CURRENT, 1, &db) != CMD_OK)
        return code;
    run->db = db;
    run->inventory_addr = cmd->config->inventory_addr;
    run->is_dry = cmd_is_on(cmd, "dry-run");
    run->timeout_ms = CALL_TIMEOUT_MS;
    return finish(cmd, code, run, tell(run));
}

static enum cmd_exit run_propagate_statuses(struct cmd *cmd)
{
    struct device_propagate run = {.tenant = cmd_value(cmd, "tenant_id")};
    return propagate(cmd, CMD_PROPAGATE, &run, device_propagate_statuses);
}

static enum cmd_exit run_propagate_id_data(struct cmd *cmd)
{
    struct device_propagate run = {.tenant = cmd_value(cmd, "tenant_id")};
    return propagate(cmd, CMD_PROPAGATE, &run, device_propagate_identities);
}

/* What devices told inventory since this began is newer than what is told here. */
static enum cmd_exit propagate_carefully(const struct cmd *cmd)
{
    const char *timeout = cmd_value(cmd, "timeout");
    const char *rate = cmd_value(cmd, "rate-limit");
    char *end = NULL;
    int64_t ms = 0;
    struct device_propagate run = {.tenant = cmd_value(cmd, "tenant"), .calls_per_s = 100};
    if (timeout != NULL && !parse_duration(timeout, &ms))
        return cmd_fail(cmd, CMD_USAGE, "--timeout is %.20s, must be a duration like 90s or 1h30m", timeout);
    if (rate != NULL)
        run.calls_per_s = strtod(rate, &end);
    if (rate != NULL && (*end != '\0' || !(run.calls_per_s > 0 && run.calls_per_s <= 1e6)))
        return cmd_fail(cmd, CMD_USAGE, "--rate-limit is %.20s, must be calls in a second, more than 0", rate);
    run.unless_since_s = clock_s() - 1;
    if (timeout != NULL)
        atomic_store(&run.give_up_ms, clock_mono_ms() + ms);
    return propagate(cmd, CMD_MAINTENANCE, &run, device_propagate_identities);
}

/* Print them and, unless it is a dry run, delete them. */
static enum err clean_up_tenant(const struct device_run *run, const char *tenant)
{
    struct device **list = NULL;
    size_t n = 0;
    TRY(device_list_leaving(run->db, tenant, &list, &n));
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < n; i++) {
        puts(list[i]->id);
        if (!cmd_is_on(run->cmd, "dry-run"))
            e = device_admit_delete(&run->fleet, tenant, list[i]->id);
        e = e == ERR_DEVICE_NOT_FOUND ? ERR_OK : e; /* the workflow engine was faster */
    }
    device_list_free(&list, n);
    return e;
}

static enum err clean_up_all(const struct device_run *run)
{
    char **tenants = NULL;
    size_t n = 0;
    enum err e = device_find_tenants(run->db, &tenants, &n);
    for (size_t i = 0; i < n; i++) {
        if (e == ERR_OK)
            e = clean_up_tenant(run, tenants[i]);
        mem_free(&tenants[i]);
    }
    free(tenants);
    return e;
}

static enum cmd_exit clean_up(const struct cmd *cmd)
{
    AUTO(device_run_close) struct device_run run = {0};
    if (device_run_open(cmd, &run) != CMD_OK)
        return CMD_MAINTENANCE;
    puts("devices that are being decommissioned:"); /* sets without a device, as the original has them, cannot be */
    const char *tenant = cmd_value(cmd, "tenant");
    enum err e = tenant != NULL ? clean_up_tenant(&run, tenant) : clean_up_all(&run);
    return e == ERR_OK ? CMD_OK : cmd_fail(cmd, CMD_MAINTENANCE, "maintenance failed: %s", account_why(e));
}

static enum cmd_exit run_maintenance(struct cmd *cmd)
{
    const char *what = cmd->args_n > 0 ? cmd->arg[0] : "";
    if (strcmp(what, "propagate-inventory") == 0)
        return propagate_carefully(cmd);
    if (*what != '\0')
        return cmd_fail(cmd, CMD_USAGE, "maintenance does not know \"%.40s\", only propagate-inventory", what);
    return cmd_is_on(cmd, "decommissioning-cleanup") ? clean_up(cmd) : CMD_OK;
}

static const struct cmd_option statuses_options[] = {
    {"tenant_id", "TENANT", "only the devices of this tenant", NULL, false, false},
    {"force-set-migration", "VERSION", "accepted and ignored: the schema has versions of its own", NULL, false, false},
    {"dry-run", NULL, "count, and tell nobody", NULL, false, false},
    {0},
};

const struct command deviceauth_propagate_statuses_command = {
    .name = "propagate-inventory-statuses",
    .summary = "Tell inventory the status of each device; exit code 7 when it did not take all.",
    .examples = "$0 propagate-inventory-statuses --dry-run",
    .options = statuses_options,
    .run = run_propagate_statuses,
};

static const struct cmd_option id_data_options[] = {
    {"tenant_id", "TENANT", "only the devices of this tenant", NULL, false, false},
    {"dry-run", NULL, "count, and tell nobody", NULL, false, false},
    {0},
};

const struct command deviceauth_propagate_id_data_command = {
    .name = "propagate-inventory-id-data",
    .summary = "Tell inventory the identity of each device; exit code 7 when it did not take all.",
    .examples = "$0 propagate-inventory-id-data",
    .options = id_data_options,
    .run = run_propagate_id_data,
};

static const struct cmd_option maintenance_options[] = {
    {"decommissioning-cleanup", NULL, "print and remove the devices that are being decommissioned", NULL, false, false},
    {"tenant", "TENANT", "only the devices of this tenant", NULL, false, false},
    {"dry-run", NULL, "only print them, or count, and tell nobody", NULL, false, false},
    {"timeout", "DURATION", "propagate-inventory: stop after this time, such as 1h30m", NULL, false, false},
    {"rate-limit", "RATE", "propagate-inventory: calls in a second at most (default 100)", NULL, false, false},
    {0},
};

const struct command deviceauth_maintenance_command = {
    .name = "maintenance",
    .args = "[propagate-inventory]",
    .args_max = 1,
    .summary = "Remove what was left behind, or tell inventory identities that it lacks; exit code 6 on failure.",
    .details = "propagate-inventory tells inventory the identity of each device unless it learned something newer of "
               "it since the start.",
    .examples = "$0 maintenance --decommissioning-cleanup --dry-run\n"
                "$0 maintenance propagate-inventory --rate-limit 20 --timeout 1h",
    .options = maintenance_options,
    .run = run_maintenance,
};
