/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fleet_model.h"

#include <string.h>

static struct fleet_model_device *find_device(struct fleet_model *model, int tenant, const char *id)
{
    for (int i = 0; i < FLEET_MODEL_IDENTITIES; i++) {
        struct fleet_model_device *device = &model->device[tenant][i];
        if (device->is_there && strcmp(device->id, id) == 0)
            return device;
    }
    return NULL;
}

/* The set called id, and whose it is. */
static struct fleet_model_set *find_set(struct fleet_model *model, int tenant, const char *id,
                                        struct fleet_model_device **owner)
{
    for (int i = 0; i < FLEET_MODEL_IDENTITIES; i++) {
        struct fleet_model_device *device = &model->device[tenant][i];
        for (int j = 0; device->is_there && j < device->sets; j++) {
            if (strcmp(device->set[j].id, id) == 0) {
                *owner = device;
                return &device->set[j];
            }
        }
    }
    return NULL;
}

static struct fleet_model_set *find_key(struct fleet_model_device *device, int key)
{
    for (int i = 0; i < device->sets; i++)
        if (device->set[i].key == key)
            return &device->set[i];
    return NULL;
}

static struct fleet_model_set *add_set(struct fleet_model_device *device, int key, enum device_status status)
{
    struct fleet_model_set *set = &device->set[device->sets++];
    *set = (struct fleet_model_set){.key = key, .status = status};
    return set;
}

/* 2.7: accepted > preauthorized > pending > rejected > noauth */
static enum device_status strongest(const struct fleet_model_device *device)
{
    static const enum device_status order[] = {DEVICE_ACCEPTED, DEVICE_PREAUTHORIZED, DEVICE_PENDING, DEVICE_REJECTED};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        for (int j = 0; j < device->sets; j++)
            if (device->set[j].status == order[i])
                return order[i];
    return DEVICE_NOAUTH;
}

static bool is_stronger(enum device_status a, enum device_status b)
{
    static const int rank[] = {[DEVICE_ACCEPTED] = 4,
                               [DEVICE_PREAUTHORIZED] = 3,
                               [DEVICE_PENDING] = 2,
                               [DEVICE_REJECTED] = 1,
                               [DEVICE_NOAUTH] = 0};
    return rank[a] > rank[b];
}

/* 5.6 */
static bool is_full(const struct fleet_model *model, int tenant)
{
    int64_t accepted = 0;
    for (int i = 0; i < FLEET_MODEL_IDENTITIES; i++)
        accepted += model->device[tenant][i].is_there && model->device[tenant][i].status == DEVICE_ACCEPTED;
    return model->limit[tenant] != -1 && accepted + 1 > model->limit[tenant];
}

static void drop_tokens(struct fleet_model_device *device)
{
    for (int i = 0; i < device->sets; i++)
        device->set[i].has_token = false;
}

/* What goes with every acceptance (2.7 step 1, 5.2, design 8.8): the accepted set is rejected, and its tokens die. */
static void accept(struct fleet_model_device *device, struct fleet_model_set *set)
{
    for (int i = 0; i < device->sets; i++) {
        if (device->set[i].status != DEVICE_ACCEPTED)
            continue;
        device->set[i].status = DEVICE_REJECTED;
        drop_tokens(device);
    }
    set->status = DEVICE_ACCEPTED;
}

/* 5.5: whoever is responsible for what a device is shown as learns of each other status. */
static void become(struct fleet_model *model, struct fleet_model_device *device, enum device_status status)
{
    model->calls += device->status != status;
    device->status = status;
}

/* The first request of an identity, or its preauthorization, makes it known. */
static void appear(struct fleet_model *model, struct fleet_model_device *device)
{
    *device = (struct fleet_model_device){.is_there = true, .status = DEVICE_NOAUTH};
    model->calls++;
}

enum err fleet_model_ask(struct fleet_model *model, int tenant, int identity, int key)
{
    struct fleet_model_device *device = &model->device[tenant][identity];
    if (!device->is_there)
        appear(model, device);
    if (device->is_decommissioning)
        return ERR_DEVICE_UNAUTHORIZED;
    struct fleet_model_set *set = find_key(device, key);
    if (set != NULL && set->status == DEVICE_PREAUTHORIZED) {
        if (device->status != DEVICE_ACCEPTED && is_full(model, tenant))
            return ERR_UNAUTHORIZED;
        accept(device, set);
        become(model, device, DEVICE_ACCEPTED);
    }
    if (set == NULL)
        set = add_set(device, key, DEVICE_PENDING);
    if (is_stronger(set->status, device->status))
        become(model, device, strongest(device));
    if (set->status != DEVICE_ACCEPTED)
        return ERR_DEVICE_UNAUTHORIZED;
    if (!set->has_token)
        set->since_s = model->now_s;
    if (!set->has_token || set->expires_s < model->now_s + model->lifetime_s)
        set->expires_s = model->now_s + 2 * model->lifetime_s;
    set->has_token = true;
    return ERR_OK;
}

enum err fleet_model_preauthorize(struct fleet_model *model, int tenant, int identity, int key, bool force)
{
    struct fleet_model_device *device = &model->device[tenant][identity];
    if (!device->is_there) {
        appear(model, device);
        add_set(device, key, DEVICE_PREAUTHORIZED);
        become(model, device, DEVICE_PREAUTHORIZED);
        return ERR_OK;
    }
    if (!force)
        return ERR_DEVICE_EXISTS;
    struct fleet_model_set *set = find_key(device, key);
    if (set == NULL)
        set = add_set(device, key, DEVICE_PREAUTHORIZED);
    if (set->status == DEVICE_ACCEPTED)
        drop_tokens(device);
    set->status = DEVICE_PREAUTHORIZED;
    return ERR_OK;
}

/* 5.2 */
static bool is_legal(enum device_status from, enum device_status to)
{
    switch (to) {
    case DEVICE_ACCEPTED:
        return from == DEVICE_PENDING || from == DEVICE_REJECTED;
    case DEVICE_REJECTED:
        return from == DEVICE_PENDING || from == DEVICE_ACCEPTED;
    case DEVICE_PENDING:
        return from == DEVICE_ACCEPTED || from == DEVICE_REJECTED;
    case DEVICE_PREAUTHORIZED:
    case DEVICE_NOAUTH:
        return false;
    }
    return false;
}

enum err fleet_model_set_status(struct fleet_model *model, int tenant, const char *device_id, const char *set_id,
                                enum device_status status)
{
    struct fleet_model_device *device = NULL;
    struct fleet_model_set *set = find_set(model, tenant, set_id, &device);
    if (set == NULL)
        return ERR_AUTH_SET_NOT_FOUND;
    if (strcmp(device->id, device_id) != 0)
        return ERR_DEVICE_MISMATCH;
    if (set->status == status)
        return ERR_OK;
    if (!is_legal(set->status, status))
        return ERR_DEVICE_TRANSITION;
    if (status == DEVICE_ACCEPTED && device->status != DEVICE_ACCEPTED && is_full(model, tenant))
        return ERR_DEVICE_LIMIT;
    bool matters = is_stronger(status, device->status) || set->status == device->status;
    if (set->status == DEVICE_ACCEPTED)
        drop_tokens(device);
    if (status == DEVICE_ACCEPTED)
        accept(device, set);
    set->status = status;
    if (matters)
        become(model, device, strongest(device));
    return ERR_OK;
}

enum err fleet_model_delete_set(struct fleet_model *model, int tenant, const char *device_id, const char *set_id)
{
    struct fleet_model_device *device = NULL;
    struct fleet_model_set *set = find_set(model, tenant, set_id, &device);
    if (set == NULL || strcmp(device->id, device_id) != 0)
        return ERR_AUTH_SET_NOT_FOUND;
    enum device_status status = set->status;
    if (status == DEVICE_ACCEPTED)
        drop_tokens(device);
    device->sets--;
    for (int i = (int)(set - device->set); i < device->sets; i++)
        device->set[i] = device->set[i + 1];
    device->is_there = status != DEVICE_PREAUTHORIZED || device->sets > 0;
    if (device->is_there)
        become(model, device, strongest(device));
    else
        model->calls++;
    return ERR_OK;
}

enum err fleet_model_decommission(struct fleet_model *model, int tenant, const char *device_id)
{
    struct fleet_model_device *device = find_device(model, tenant, device_id);
    if (device == NULL)
        return ERR_DEVICE_NOT_FOUND;
    device->is_decommissioning = true;
    drop_tokens(device);
    model->calls++;
    if (!model->has_engine)
        device->is_there = false;
    return ERR_OK;
}

enum err fleet_model_delete(struct fleet_model *model, int tenant, const char *device_id)
{
    struct fleet_model_device *device = find_device(model, tenant, device_id);
    if (device == NULL)
        return ERR_DEVICE_NOT_FOUND;
    device->is_there = false;
    return ERR_OK;
}

enum err fleet_model_set_provisioned(struct fleet_model *model, int tenant, const char *device_id, bool is_provisioned)
{
    struct fleet_model_device *device = find_device(model, tenant, device_id);
    if (device == NULL)
        return ERR_DEVICE_NOT_FOUND;
    device->is_provisioned = is_provisioned;
    return ERR_OK;
}

enum err fleet_model_revoke(struct fleet_model *model, int tenant, const char *jti)
{
    struct fleet_model_device *device = NULL;
    struct fleet_model_set *set = find_set(model, tenant, jti, &device);
    if (set == NULL || !set->has_token)
        return ERR_NOT_FOUND;
    set->has_token = false;
    return ERR_OK;
}

void fleet_model_revoke_all(struct fleet_model *model, int tenant, const char *device_id)
{
    for (int i = 0; i < FLEET_MODEL_IDENTITIES; i++) {
        struct fleet_model_device *device = &model->device[tenant][i];
        if (device->is_there && (device_id == NULL || strcmp(device->id, device_id) == 0))
            drop_tokens(device);
    }
}

int fleet_model_sweep(struct fleet_model *model)
{
    int swept = 0;
    for (int i = 0; i < FLEET_MODEL_TENANTS * FLEET_MODEL_IDENTITIES; i++) {
        struct fleet_model_device *device = &model->device[i / FLEET_MODEL_IDENTITIES][i % FLEET_MODEL_IDENTITIES];
        for (int j = 0; device->is_there && j < device->sets; j++) {
            if (!device->set[j].has_token || device->set[j].expires_s > model->now_s)
                continue;
            device->set[j].has_token = false;
            swept++;
        }
    }
    return swept;
}

bool fleet_model_is_alive(struct fleet_model *model, int tenant, const char *jti, int64_t issued_s)
{
    struct fleet_model_device *device = NULL;
    const struct fleet_model_set *set = find_set(model, tenant, jti, &device);
    return set != NULL && set->has_token && set->status == DEVICE_ACCEPTED && !device->is_decommissioning &&
           issued_s >= set->since_s && issued_s + model->lifetime_s > model->now_s;
}
