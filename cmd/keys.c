/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/json.h"

static const char *state(const struct keyset *set, const struct keyset_entry *entry)
{
    if (entry->key == NULL)
        return "refused";
    if (entry->is_held)
        return "held";
    if (entry->key == keyset_signing(set))
        return "signing";
    return entry->key == keyset_fallback(set) ? "fallback" : "verifying";
}

static void print_table(const struct keyset *set)
{
    int width = 4;
    for (size_t i = 0; i < keyset_count(set); i++) {
        int len = snprintf(NULL, 0, "%s", keyset_entry(set, i)->file);
        width = len > width ? len : width;
    }
    printf("%-*s  %-10s  %-5s  %-9s  %s\n", width, "FILE", "KID", "ALG", "STATE", "THUMBPRINT");
    for (size_t i = 0; i < keyset_count(set); i++) {
        const struct keyset_entry *entry = keyset_entry(set, i);
        const struct key *key = entry->key;
        char kid[24] = "-";
        if (key != NULL)
            snprintf(kid, sizeof kid, "%lld", (long long)key_kid(key));
        printf("%-*s  %-10s  %-5s  %-9s  %s", width, entry->file, kid, key != NULL ? key_alg_name(key_alg(key)) : "-",
               state(set, entry), key != NULL ? key_thumbprint(key) : "-");
        printf(entry->reason != ERR_OK ? "  %s\n" : "\n", err_text(entry->reason));
    }
}

static void print_json(const struct keyset *set)
{
    AUTO(json_release) json_t *list = json_array();
    for (size_t i = 0; i < keyset_count(set); i++) {
        const struct keyset_entry *entry = keyset_entry(set, i);
        json_t *row = json_object();
        json_object_set_new(row, "file", json_string(entry->file));
        json_object_set_new(row, "state", json_string(state(set, entry)));
        if (entry->key != NULL) {
            json_object_set_new(row, "kid", json_integer(key_kid(entry->key)));
            json_object_set_new(row, "alg", json_string(key_alg_name(key_alg(entry->key))));
            json_object_set_new(row, "thumbprint", json_string(key_thumbprint(entry->key)));
        }
        if (entry->reason != ERR_OK)
            json_object_set_new(row, "reason", json_string(err_text(entry->reason)));
        json_array_append_new(list, row);
    }
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
}

static enum cmd_exit open_own_ring(const struct cmd *cmd, struct keyring **ring)
{
    enum role service;
    enum cmd_exit code = open_service(cmd, &service);
    if (code != CMD_OK)
        return code;
    return open_ring(cmd, service, ring);
}

static enum cmd_exit run_list(struct cmd *cmd)
{
    AUTO(keyring_free) struct keyring *ring = NULL;
    enum cmd_exit code = open_own_ring(cmd, &ring);
    if (code != CMD_OK)
        return code;
    struct keyring_view view = keyring_acquire(ring);
    if (cmd_is_on(cmd, "json"))
        print_json(view.set);
    else
        print_table(view.set);
    keyring_release(&view);
    return CMD_OK;
}

/* The reasons are in the key ring's own lines. */
static enum cmd_exit check(const struct cmd *cmd, const struct keyset *set)
{
    size_t bad = 0;
    for (size_t i = 0; i < keyset_count(set); i++)
        bad += keyset_entry(set, i)->reason != ERR_OK;
    if (!keyset_is_clean(set))
        return cmd_fail(cmd, CMD_KEYS, "%zu of %zu key files cannot be used", bad, keyset_count(set));
    const struct key *signing = keyset_signing(set);
    printf("%zu key files are good; kid %lld signs with %s\n", keyset_count(set), (long long)key_kid(signing),
           key_alg_name(key_alg(signing)));
    return CMD_OK;
}

static enum cmd_exit run_check(struct cmd *cmd)
{
    AUTO(keyring_free) struct keyring *ring = NULL;
    enum cmd_exit code = open_own_ring(cmd, &ring);
    if (code != CMD_OK)
        return code;
    struct keyring_view view = keyring_acquire(ring);
    code = check(cmd, view.set);
    keyring_release(&view);
    return code;
}

static const struct cmd_option list_options[] = {
    CMD_JSON_OPTION,
    OPEN_SERVICE_OPTION,
    {0},
};

static const struct cmd_option check_options[] = {
    OPEN_SERVICE_OPTION,
    {0},
};

const struct command keys_list_command = {
    .name = "keys list",
    .summary = "Show each key file, its id, and what it is used for.",
    .details = "States: signing, verifying, fallback, held (the file turned bad, its last good key stays), refused. "
               "Needs no database. Devices have the keys of people unless the section deviceauth names others.",
    .examples = "$0 keys list\n$0 keys list --service deviceauth\n$0 keys list --json | jq -r '.[] | select(.state == "
                "\"refused\")'",
    .options = list_options,
    .run = run_list,
};

const struct command keys_check_command = {
    .name = "keys check",
    .summary = "Check that every key file can be used; exit code 4 when one cannot.",
    .examples = "$0 keys check && systemctl reload mintd",
    .options = check_options,
    .run = run_check,
};
