/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_change.h"

#include "auth/device_db.h"
#include "auth/device_event.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/rand.h"

static char *new_id(void)
{
    char id[RAND_UUID_SIZE];
    rand_uuid_ordered(id);
    return mem_strdup(id);
}

enum err device_change_check_limit(struct db *tx, const char *tenant)
{
    int64_t limit = DEVICE_LIMIT_NONE;
    TRY(device_limit_get(tx, tenant, &limit));
    if (limit == DEVICE_LIMIT_NONE)
        return ERR_OK;
    int64_t accepted = 0;
    TRY(device_db_count(tx, tenant, DEVICE_ACCEPTED, &accepted));
    return accepted < limit ? ERR_OK : ERR_DEVICE_LIMIT;
}

enum err device_change_insert(const struct fleet *fleet, struct db *tx, struct device *device, const char *id_hash,
                              const char *request_id)
{
    bool inserted = false;
    device->id = new_id();
    device->revision = 1;
    device->created_ms = device->updated_ms = clock_ms();
    TRY(device_db_insert(tx, device, id_hash, &inserted));
    if (!inserted)
        return ERR_DB_RETRY;
    return device_event_identity(fleet, tx, device, request_id);
}

enum err device_change_add_set(struct db *tx, struct device *device, const char *pubkey, const char *key_hash,
                               enum device_status status, struct auth_set **set)
{
    device->set = mem_resize(device->set, device->sets + 1, sizeof *device->set);
    struct auth_set *added = &device->set[device->sets++];
    *added =
        (struct auth_set){.id = new_id(), .pubkey = mem_strdup(pubkey), .status = status, .created_ms = clock_ms()};
    bool inserted = false;
    TRY(device_db_insert_set(tx, device, added, key_hash, &inserted));
    if (!inserted)
        return ERR_DB_RETRY;
    *set = added;
    return ERR_OK;
}

static enum err reject_accepted(struct db *tx, struct device *device)
{
    for (size_t i = 0; i < device->sets; i++) {
        if (device->set[i].status != DEVICE_ACCEPTED)
            continue;
        device->set[i].status = DEVICE_REJECTED;
        TRY(device_db_update_set(tx, &device->set[i]));
    }
    return ERR_OK;
}

enum err device_change_set(struct db *tx, struct device *device, struct auth_set *set, enum device_status status)
{
    if (status == DEVICE_ACCEPTED)
        TRY(reject_accepted(tx, device));
    if (status == DEVICE_ACCEPTED || set->status == DEVICE_ACCEPTED)
        TRY(device_db_delete_tokens(tx, device->tenant_id, device->id));
    set->status = status;
    return device_db_update_set(tx, set);
}

enum err device_change_status(const struct fleet *fleet, struct db *tx, struct device *device,
                              enum device_status status, const struct auth_set *set, const char *request_id)
{
    if (device->status == status)
        return ERR_OK;
    device->status = status;
    TRY(device_db_update(tx, device, clock_ms()));
    return device_event_status(fleet, tx, device, set, request_id);
}
