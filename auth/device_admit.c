/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_admit.h"

#include <string.h>

#include "auth/device_change.h"
#include "auth/device_db.h"
#include "auth/device_event.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"

/* What one transaction decides; each kind uses what it needs. */
struct decision {
    const struct fleet *fleet;
    const char *tenant;
    const char *device_id;
    const char *set_id;
    const char *request_id;
    enum device_status status;
    bool is_provisioned;
    const struct device_identity *identity;
    bool force;
    struct device *device; /* that it was about; owned by whom the transaction was run for */
};

/* Run it; tokens that it killed are dead in this process at once, and the engine hears of it. */
static enum err decide(struct decision *decision, enum err (*fn)(struct db *tx, void *arg))
{
    const struct fleet *fleet = decision->fleet;
    TRY(db_tx(fleet->db, fn, decision));
    issuer_revoked(fleet->tokens);
    return fleet->outbox != NULL ? outbox_flush(fleet->outbox, decision->device_id) : ERR_OK;
}

/*
 * Run what causes no event. A transaction also for one statement: on PostgreSQL it may collide with a device's request,
 * and is then repeated.
 */
static enum err erase(const struct fleet *fleet, enum err (*fn)(struct db *tx, void *arg), struct decision *decision)
{
    TRY(db_tx(fleet->db, fn, decision));
    issuer_revoked(fleet->tokens);
    return ERR_OK;
}

static enum err preauthorize_new(struct decision *decision, struct db *tx)
{
    const struct device_identity *identity = decision->identity;
    AUTO(device_free) struct device *device = mem_calloc(1, sizeof *device);
    struct auth_set *set = NULL;
    device->tenant_id = mem_strdup(identity->tenant);
    device->id_data = mem_strdup(identity->id_data);
    device->status = DEVICE_PREAUTHORIZED;
    TRY(device_change_insert(decision->fleet, tx, device, identity->id_hash, decision->request_id));
    TRY(device_change_add_set(tx, device, identity->pubkey, identity->key_hash, DEVICE_PREAUTHORIZED, &set));
    TRY(device_event_status(decision->fleet, tx, device, set, decision->request_id));
    decision->device = MOVE(device);
    return ERR_OK;
}

/* The device's own status stays: an accepted one is not locked out meanwhile. */
static enum err preauthorize_known(struct decision *decision, struct db *tx, struct device *device)
{
    const struct device_identity *identity = decision->identity;
    struct auth_set *set = NULL;
    for (size_t i = 0; i < device->sets; i++)
        if (strcmp(device->set[i].pubkey, identity->pubkey) == 0)
            return device_change_set(tx, device, &device->set[i], DEVICE_PREAUTHORIZED);
    return device_change_add_set(tx, device, identity->pubkey, identity->key_hash, DEVICE_PREAUTHORIZED, &set);
}

static enum err preauthorize(struct db *tx, void *arg)
{
    struct decision *decision = arg;
    device_free(&decision->device);
    AUTO(device_free) struct device *device = NULL;
    enum err e = device_db_load_by_identity(tx, decision->identity->tenant, decision->identity->id_hash, &device);
    if (e == ERR_DEVICE_NOT_FOUND)
        return preauthorize_new(decision, tx);
    TRY(e);
    e = decision->force ? preauthorize_known(decision, tx, device) : ERR_DEVICE_EXISTS;
    decision->device = MOVE(device);
    return e;
}

enum err device_admit_preauthorize(const struct fleet *fleet, const struct device_identity *identity, bool force,
                                   const char *request_id, char **id, struct device **conflict)
{
    struct decision decision = {.fleet = fleet, .identity = identity, .force = force, .request_id = request_id};
    enum err e = db_tx(fleet->db, preauthorize, &decision);
    AUTO(device_free) struct device *device = decision.device;
    if (e == ERR_DEVICE_EXISTS)
        *conflict = MOVE(device);
    TRY(e);
    issuer_revoked(fleet->tokens);
    if (fleet->outbox != NULL)
        TRY(outbox_flush(fleet->outbox, device->id));
    *id = mem_strdup(device->id);
    return ERR_OK;
}

/* accepted <- pending, rejected; rejected <- pending, accepted; pending <- accepted, rejected */
static bool is_allowed(enum device_status from, enum device_status to)
{
    bool is_decision = to == DEVICE_ACCEPTED || to == DEVICE_REJECTED || to == DEVICE_PENDING;
    return is_decision && from != DEVICE_PREAUTHORIZED && from != to;
}

static enum err set_status(struct db *tx, void *arg)
{
    const struct decision *decision = arg;
    AUTO(device_free) struct device *device = NULL;
    TRY(device_db_load_by_set(tx, decision->tenant, decision->set_id, &device));
    struct auth_set *set = device_set(device, decision->set_id);
    if (strcmp(device->id, decision->device_id) != 0)
        return ERR_DEVICE_MISMATCH;
    if (set->status == decision->status)
        return ERR_OK;
    if (!is_allowed(set->status, decision->status))
        return ERR_DEVICE_TRANSITION;
    if (decision->status == DEVICE_ACCEPTED && device->status != DEVICE_ACCEPTED)
        TRY(device_change_check_limit(tx, decision->tenant));
    bool counted = set->status == device->status || decision->status < device->status;
    TRY(device_change_set(tx, device, set, decision->status));
    if (!counted)
        return ERR_OK;
    return device_change_status(decision->fleet, tx, device, device_strongest(device), set, decision->request_id);
}

enum err device_admit_set_status(const struct fleet *fleet, const char *tenant, const char *device_id,
                                 const char *set_id, enum device_status status, const char *request_id)
{
    struct decision decision = {.fleet = fleet,
                                .tenant = tenant,
                                .device_id = device_id,
                                .set_id = set_id,
                                .status = status,
                                .request_id = request_id};
    return decide(&decision, set_status);
}

/* Take the set out of the device in memory, too, and give it to the caller. */
static struct auth_set take_set(struct device *device, struct auth_set *set)
{
    struct auth_set taken = *set;
    size_t behind = (size_t)(device->set + device->sets - (set + 1));
    memmove(set, set + 1, behind * sizeof *set);
    device->sets--;
    return taken;
}

static void release_set(struct auth_set *set)
{
    mem_free(&set->id);
    mem_free(&set->pubkey);
}

static enum err settle_deleted(const struct decision *decision, struct db *tx, struct device *device,
                               const struct auth_set *gone)
{
    if (gone->status == DEVICE_PREAUTHORIZED && device->sets == 0) {
        TRY(device_db_delete(tx, decision->tenant, device->id));
        return device_event_gone(decision->fleet, tx, device, decision->request_id);
    }
    return device_change_status(decision->fleet, tx, device, device_strongest(device), gone, decision->request_id);
}

static enum err delete_set(struct db *tx, void *arg)
{
    const struct decision *decision = arg;
    AUTO(device_free) struct device *device = NULL;
    TRY(device_db_load_by_set(tx, decision->tenant, decision->set_id, &device));
    if (strcmp(device->id, decision->device_id) != 0)
        return ERR_AUTH_SET_NOT_FOUND;
    struct auth_set *set = device_set(device, decision->set_id);
    if (set->status == DEVICE_ACCEPTED)
        TRY(device_db_delete_tokens(tx, decision->tenant, device->id));
    TRY(device_db_delete_set(tx, set->id));
    AUTO(release_set) struct auth_set gone = take_set(device, set);
    return settle_deleted(decision, tx, device, &gone);
}

enum err device_admit_delete_set(const struct fleet *fleet, const char *tenant, const char *device_id,
                                 const char *set_id, const char *request_id)
{
    struct decision decision = {
        .fleet = fleet, .tenant = tenant, .device_id = device_id, .set_id = set_id, .request_id = request_id};
    return decide(&decision, delete_set);
}

static enum err decommission(struct db *tx, void *arg)
{
    const struct decision *decision = arg;
    AUTO(device_free) struct device *device = NULL;
    if (decision->fleet->outbox == NULL)
        return device_db_delete(tx, decision->tenant, decision->device_id);
    TRY(device_db_load(tx, decision->tenant, decision->device_id, &device));
    if (!device->is_decommissioning) {
        device->is_decommissioning = true;
        TRY(device_db_update(tx, device, clock_ms()));
        TRY(device_db_delete_tokens(tx, decision->tenant, device->id));
    }
    return device_event_decommission(decision->fleet, tx, device, decision->request_id);
}

enum err device_admit_decommission(const struct fleet *fleet, const char *tenant, const char *device_id,
                                   const char *request_id)
{
    struct decision decision = {.fleet = fleet, .tenant = tenant, .device_id = device_id, .request_id = request_id};
    return decide(&decision, decommission);
}

static enum err delete_device(struct db *tx, void *arg)
{
    const struct decision *decision = arg;
    return device_db_delete(tx, decision->tenant, decision->device_id);
}

enum err device_admit_delete(const struct fleet *fleet, const char *tenant, const char *device_id)
{
    return erase(fleet, delete_device, &(struct decision){.tenant = tenant, .device_id = device_id});
}

static enum err set_provisioned(struct db *tx, void *arg)
{
    const struct decision *decision = arg;
    AUTO(device_free) struct device *device = NULL;
    TRY(device_db_load(tx, decision->tenant, decision->device_id, &device));
    device->is_provisioned = decision->is_provisioned;
    return device_db_update(tx, device, clock_ms());
}

enum err device_admit_set_provisioned(const struct fleet *fleet, const char *tenant, const char *device_id,
                                      bool is_provisioned)
{
    struct decision decision = {.fleet = fleet,
                                .tenant = tenant,
                                .device_id = device_id,
                                .is_provisioned = is_provisioned};
    return db_tx(fleet->db, set_provisioned, &decision);
}

static enum err revoke(struct db *tx, void *arg)
{
    const struct decision *decision = arg;
    return device_db_delete_token(tx, decision->tenant, decision->set_id);
}

enum err device_admit_revoke(const struct fleet *fleet, const char *tenant, const char *jti)
{
    return erase(fleet, revoke, &(struct decision){.tenant = tenant, .set_id = jti});
}

static enum err revoke_all(struct db *tx, void *arg)
{
    const struct decision *decision = arg;
    return device_db_delete_tokens(tx, decision->tenant, decision->device_id);
}

enum err device_admit_revoke_all(const struct fleet *fleet, const char *tenant, const char *device_id)
{
    return erase(fleet, revoke_all, &(struct decision){.tenant = tenant, .device_id = device_id});
}
