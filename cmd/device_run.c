/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/device_run.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "auth/device_admit.h"
#include "cmd/account.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rand.h"

enum { SHOWN = 5, PREFIX_MIN = 8, HASH_SHOWN = 16, CONNECTIONS = 3 };

enum cmd_exit device_run_open(const struct cmd *cmd, struct device_run *out)
{
    const char *tenant = cmd_value(cmd, "tenant");
    *out = (struct device_run){.cmd = cmd, .tenant = tenant != NULL ? tenant : ""};
    const struct config *config = cmd->config;
    enum cmd_exit code = open_db(cmd, OPEN_CURRENT, CONNECTIONS, &out->db);
    if (code != CMD_OK)
        return code;
    /* it signs nothing here; a server notices what was revoked by asking the database */
    const struct issuer_config rules = {.kind = ISSUER_DEVICES, .iss = cmd->program->name};
    out->fleet = (struct fleet){.db = out->db, .tokens = issuer_new(&rules, out->db, NULL)};
    out->fleet.legacy_provision = config->legacy_provision_device;
    const struct outbox_config calls = {.orchestrator_addr = config->orchestrator_addr,
                                        .timeout_ms = config->orchestrator_timeout_s * 1000};
    if (*config->orchestrator_addr != '\0' && outbox_start(&calls, out->db, &out->fleet.outbox) != ERR_OK)
        return cmd_fail(cmd, CMD_DEVICE, "no thread for the calls of the workflow engine");
    return CMD_OK;
}

void device_run_close(struct device_run *run)
{
    outbox_stop(&run->fleet.outbox);
    issuer_free(&run->fleet.tokens);
    db_free(&run->db);
}

static enum err fault(char why[DEVICE_WHY_SIZE], const char *text, const char *detail)
{
    snprintf(why, DEVICE_WHY_SIZE, "%.100s: %s", text, detail);
    return ERR_INVALID;
}

static enum err ambiguous(const char *text, struct device *const *list, size_t n, char why[DEVICE_WHY_SIZE])
{
    int len = snprintf(why, DEVICE_WHY_SIZE, "%.60s names %s%zu devices; say which by its id:", text,
                       n == DEVICE_FIND_MAX ? "at least " : "", n);
    for (size_t i = 0; i < n && i < SHOWN; i++)
        len += snprintf(why + len, DEVICE_WHY_SIZE - (size_t)len, "%s %.40s (%s)", i > 0 ? "," : "", list[i]->id,
                        device_status_name(list[i]->status));
    if (n > SHOWN)
        snprintf(why + len, DEVICE_WHY_SIZE - (size_t)len, " ...");
    return ERR_INVALID;
}

enum err device_run_find(const struct device_run *run, const char *text, char why[DEVICE_WHY_SIZE], struct device **out)
{
    struct device **list = NULL;
    size_t n = 0;
    enum err e = device_find(run->db, run->tenant, text, &list, &n);
    if (e == ERR_JSON)
        return fault(why, text, "not an identity, which is a JSON object");
    if (e == ERR_DEVICE_NOT_FOUND)
        return fault(why, text, "there is no such device");
    TRY(e);
    if (n == 1)
        *out = MOVE(list[0]);
    else
        e = ambiguous(text, list, n, why);
    device_list_free(&list, n);
    return e;
}

static bool is_named(const struct auth_set *set, const char *key)
{
    struct device_key_name name;
    size_t len = strlen(key);
    if (strcmp(set->id, key) == 0)
        return true;
    device_find_key_name(set->pubkey, &name);
    return len >= PREFIX_MIN && strncmp(name.hash, key, len) == 0;
}

/* The only set that has this status, or is called key; *n says how many there are. */
static struct auth_set *find_set(const struct device *device, const char *key, enum device_status status, size_t *n)
{
    struct auth_set *found = NULL;
    *n = 0;
    for (size_t i = 0; i < device->sets; i++) {
        struct auth_set *set = &device->set[i];
        if (key != NULL ? is_named(set, key) : set->status == status) {
            found = set;
            ++*n;
        }
    }
    return found;
}

static enum err unclear(const struct device *device, const char *reason, char why[DEVICE_WHY_SIZE])
{
    int len = snprintf(why, DEVICE_WHY_SIZE, "%.40s: %s", device->id, reason);
    for (size_t i = 0; i < device->sets && i < SHOWN; i++) {
        struct device_key_name name;
        device_find_key_name(device->set[i].pubkey, &name);
        len += snprintf(why + len, DEVICE_WHY_SIZE - (size_t)len, "%s %.*s (%s, %s)",
                        i > 0 ? "," : "; its keys:", HASH_SHOWN, name.hash, name.kind,
                        device_status_name(device->set[i].status));
    }
    return ERR_INVALID;
}

enum err device_run_choose(const struct device *device, const char *key, enum device_status status,
                           char why[DEVICE_WHY_SIZE], struct auth_set **out)
{
    size_t n = 0;
    size_t accepted = 0;
    struct auth_set *set = find_set(device, key, DEVICE_PENDING, &n);
    struct auth_set *in_use = find_set(device, NULL, DEVICE_ACCEPTED, &accepted);
    if (key != NULL && n == 0)
        return unclear(device, "it has no such key (see --key)", why);
    if (key == NULL && status == DEVICE_REJECTED && n == 1 && accepted == 1)
        return unclear(device, "one key is accepted and one waits; say which with --key", why);
    if (key == NULL && n == 0 && (accepted == 1 || device->sets == 1)) {
        n = 1;
        set = accepted == 1 ? in_use : &device->set[0];
    }
    if (n == 0)
        return unclear(device, "no key of it waits; say which with --key", why);
    if (n > 1)
        return unclear(device, "several keys of it wait; say which with --key", why);
    *out = set;
    return ERR_OK;
}

enum err device_run_told(struct device_run *run, enum err e)
{
    if (e != ERR_WORKFLOW)
        return e;
    if (!run->is_late)
        fprintf(stderr, "%s: done; the workflow engine does not know yet: a running server goes on telling it\n",
                run->cmd->program->name);
    run->is_late = true;
    outbox_hurry(run->fleet.outbox, 0);
    return ERR_OK;
}

enum err device_run_decide(struct device_run *run, const struct device *device, const struct auth_set *set,
                           enum device_status status, char why[DEVICE_WHY_SIZE], bool *changed)
{
    char request_id[RAND_UUID_SIZE];
    *changed = false;
    if (set->status == status)
        return ERR_OK;
    rand_uuid(request_id);
    enum err e = device_admit_set_status(&run->fleet, device->tenant_id, device->id, set->id, status, request_id);
    if (e == ERR_DEVICE_TRANSITION)
        return fault(why, device->id, "the key is preauthorized: the device is let in with it when it asks");
    if (e == ERR_DEVICE_LIMIT || e == ERR_AUTH_SET_NOT_FOUND)
        return fault(why, device->id, err_text(e));
    TRY(device_run_told(run, e));
    *changed = true;
    return ERR_OK;
}

enum err device_run_identity(const char *const *words, size_t n, char why[DEVICE_WHY_SIZE], struct iddata *out)
{
    AUTO(json_release) json_t *object = json_object();
    AUTO(mem_free) char *text = n == 1 && *words[0] == '{' ? mem_strdup(words[0]) : NULL;
    for (size_t i = 0; text == NULL && i < n; i++) {
        const char *equals = strchr(words[i], '=');
        if (equals == NULL || equals == words[i])
            return fault(why, words[i], "an identity is NAME=VALUE ... or one JSON object");
        AUTO(mem_free) char *name = mem_strndup(words[i], (size_t)(equals - words[i]));
        if (json_object_get(object, name) != NULL)
            return fault(why, name, "twice in the identity");
        if (json_object_set_new(object, name, json_string(equals + 1)) != 0)
            return fault(why, "identity", "not UTF-8");
    }
    char detail[JSON_SCAN_WHY_SIZE];
    AUTO(mem_free) char *plain = text == NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    const char *json = text != NULL ? text : plain;
    AUTO(iddata_release) struct iddata id = {0};
    if (iddata_parse(json, strlen(json), detail, &id) != ERR_OK)
        return fault(why, "identity", detail);
    if (strcmp(id.text, "{}") == 0)
        return fault(why, "identity", "it is empty");
    *out = id;
    id.text = NULL;
    return ERR_OK;
}

int device_run_rsa_bits(const struct cmd *cmd)
{
    return (int)cmd->config->min_device_rsa_bits;
}

enum err device_run_pubkey(const struct cmd *cmd, const char *path, char why[DEVICE_WHY_SIZE], struct pubkey **out)
{
    char detail[PUBKEY_WHY_SIZE];
    const char *reason = NULL;
    AUTO(mem_free) char *pem = NULL;
    size_t len = 0;
    enum err e = file_read(path, PUBKEY_PEM_MAX, &pem, &len, &reason);
    if (e != ERR_OK)
        return fault(why, path, reason);
    e = pubkey_parse(pem, len, device_run_rsa_bits(cmd), detail, out);
    if (e == ERR_PUBKEY_PEM && strstr(pem, "PRIVATE KEY-----") != NULL)
        return fault(why, path, "a private key; openssl pkey -in KEY -pubout prints its public half");
    return e == ERR_OK ? ERR_OK : fault(why, path, detail);
}

/* The device is known: as it should be, or with another key. */
static enum err explain_known(const struct device *known, const struct pubkey *key, char why[DEVICE_WHY_SIZE])
{
    for (size_t i = 0; i < known->sets; i++) {
        bool is_in = known->set[i].status == DEVICE_ACCEPTED || known->set[i].status == DEVICE_PREAUTHORIZED;
        if (is_in && strcmp(known->set[i].pubkey, pubkey_pem(key)) == 0)
            return ERR_OK;
    }
    snprintf(why, DEVICE_WHY_SIZE, "the device is known: %.40s (%s); --force preauthorizes this key of it too",
             known->id, device_status_name(known->status));
    return ERR_INVALID;
}

enum err device_run_preauthorize(struct device_run *run, const struct iddata *id, const struct pubkey *key, bool force,
                                 char why[DEVICE_WHY_SIZE], char **device_id, bool *changed)
{
    char request_id[RAND_UUID_SIZE];
    struct device_identity identity;
    AUTO(device_free) struct device *known = NULL;
    AUTO(mem_free) char *new_id = NULL;
    rand_uuid(request_id);
    device_identity_set(&identity, run->tenant, id, key);
    enum err e = device_admit_preauthorize(&run->fleet, &identity, force, request_id, &new_id, &known);
    *changed = e != ERR_DEVICE_EXISTS;
    if (e == ERR_DEVICE_EXISTS)
        TRY(explain_known(known, key, why));
    else
        TRY(device_run_told(run, e));
    *device_id = new_id != NULL ? MOVE(new_id) : mem_strdup(known != NULL ? known->id : "");
    return ERR_OK;
}
