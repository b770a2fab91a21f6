/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "auth/outbox.h"
#include "cmd/account.h"
#include "cmd/cmd.h"
#include "cmd/device_print.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"

enum { SHOWN = 1000 };

static void print_table(const struct outbox_event *events, size_t n)
{
    printf("%-36s  %-28s  %-24s  %5s  %-24s  %s\n", "DEVICE", "WORKFLOW", "WAITS SINCE", "TRIES", "NEXT TRY",
           "LAST ERROR");
    for (size_t i = 0; i < n; i++) {
        char since[CLOCK_RFC3339_SIZE];
        char due[CLOCK_RFC3339_SIZE];
        clock_rfc3339(events[i].created_ms, since);
        clock_rfc3339(events[i].due_ms, due);
        printf("%-36s  %-28s  %-24s  %5" PRId64 "  %-24s  ", events[i].device_id, events[i].workflow, since,
               events[i].attempts, due);
        device_print_text(events[i].error);
        putchar('\n');
    }
}

static void print_json(const struct outbox_event *events, size_t n)
{
    AUTO(json_release) json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "device_id", json_string(events[i].device_id));
        json_object_set_new(row, "workflow", json_string(events[i].workflow));
        json_set_time(row, "created_ts", events[i].created_ms);
        json_object_set_new(row, "attempts", json_integer(events[i].attempts));
        json_set_time(row, "due_ts", events[i].due_ms);
        json_object_set_new(row, "error", json_string(events[i].error));
        json_array_append_new(list, row);
    }
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
}

static enum cmd_exit run(struct cmd *cmd)
{
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_db(cmd, OPEN_CURRENT, 1, &db);
    if (code != CMD_OK)
        return code;
    struct outbox_event *events = NULL;
    size_t n = 0;
    int64_t calls = 0;
    int64_t age_ms = 0;
    enum err e = outbox_list(db, SHOWN, &events, &n);
    if (e == ERR_OK)
        e = outbox_pending(db, &calls, &age_ms);
    bool is_json = cmd_is_on(cmd, "json");
    if (e == ERR_OK && is_json)
        print_json(events, n);
    else if (e == ERR_OK)
        print_table(events, n);
    outbox_list_free(&events, n);
    if (e != ERR_OK)
        return cmd_fail(cmd, CMD_DEVICE, "listing events failed: %s", account_why(e));
    if ((size_t)calls > n)
        fprintf(stderr, "%s: these wait longest, of %" PRId64 "\n", cmd->program->name, calls);
    return CMD_OK;
}

static const struct cmd_option options[] = {
    {"pending", NULL, "those that wait, which is all that is kept", NULL, false, false},
    CMD_JSON_OPTION,
    {0},
};

const struct command device_events_command = {
    .name = "device events",
    .summary = "List the calls of the workflow engine that are still to be made, the oldest first.",
    .details = "A server with orchestrator_addr repeats them until they are delivered, for each device in order.",
    .examples = "$0 device events --pending\n$0 device events --pending --json | jq -r '.[].error' | sort | uniq -c",
    .options = options,
    .run = run,
};
