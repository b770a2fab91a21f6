/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device.h"

#include <stdlib.h>
#include <string.h>

#include "auth/device_db.h"
#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

static const char *const names[DEVICE_STATUSES] = {
    [DEVICE_ACCEPTED] = "accepted", [DEVICE_PREAUTHORIZED] = "preauthorized",
    [DEVICE_PENDING] = "pending",   [DEVICE_REJECTED] = "rejected",
    [DEVICE_NOAUTH] = "noauth",
};

const char *device_status_name(enum device_status status)
{
    return names[status];
}

bool device_status_parse(const char *name, enum device_status *out)
{
    for (size_t i = 0; i < DEVICE_STATUSES; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (enum device_status)i;
            return true;
        }
    }
    return false;
}

void device_free(struct device **device)
{
    if (*device == NULL)
        return;
    for (size_t i = 0; i < (*device)->sets; i++) {
        mem_free(&(*device)->set[i].id);
        mem_free(&(*device)->set[i].pubkey);
    }
    free((*device)->set);
    mem_free(&(*device)->id);
    mem_free(&(*device)->tenant_id);
    mem_free(&(*device)->id_data);
    free(*device);
    *device = NULL;
}

struct auth_set *device_set(const struct device *device, const char *id)
{
    for (size_t i = 0; i < device->sets; i++)
        if (strcmp(device->set[i].id, id) == 0)
            return &device->set[i];
    return NULL;
}

enum device_status device_strongest(const struct device *device)
{
    enum device_status status = DEVICE_NOAUTH;
    for (size_t i = 0; i < device->sets; i++)
        if (device->set[i].status < status)
            status = device->set[i].status;
    return status;
}

void device_write_hash(const uint8_t digest[IDDATA_DIGEST_SIZE], char out[DEVICE_HASH_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < JWS_DIGEST_SIZE; i++) {
        *out++ = hex[digest[i] >> 4];
        *out++ = hex[digest[i] & 15];
    }
    *out = '\0';
}

void device_identity_set(struct device_identity *identity, const char *tenant, const struct iddata *id,
                         const struct pubkey *key)
{
    uint8_t key_digest[JWS_DIGEST_SIZE];
    *identity = (struct device_identity){.tenant = tenant, .id_data = id->text, .pubkey = pubkey_pem(key)};
    jws_digest(identity->pubkey, strlen(identity->pubkey), key_digest);
    device_write_hash(id->sha256, identity->id_hash);
    device_write_hash(key_digest, identity->key_hash);
}

void device_write_identity(FILE *out, const char *id_data)
{
    fprintf(out, "\"identity_data\":%s", strcmp(id_data, "{}") == 0 ? "null" : id_data);
}

static void write_time(FILE *out, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(ms, text);
    fprintf(out, ",\"%s\":\"%s\"", name, text);
}

static void write_set(FILE *out, const struct device *device, const struct auth_set *set)
{
    AUTO(json_release) json_t *pem = json_string(set->pubkey);
    AUTO(mem_free) char *pubkey = json_wire(pem);
    fprintf(out, "{\"id\":\"%s\",", set->id);
    device_write_identity(out, device->id_data);
    fprintf(out, ",\"pubkey\":%s", pubkey);
    write_time(out, "ts", set->created_ms);
    fprintf(out, ",\"status\":\"%s\"}", device_status_name(set->status));
}

static void write_sets(FILE *out, const struct device *device)
{
    fputc('[', out);
    for (size_t i = 0; i < device->sets; i++) {
        if (i > 0)
            fputc(',', out);
        write_set(out, device, &device->set[i]);
    }
    fputc(']', out);
}

void device_write(FILE *out, const struct device *device, bool with_sets)
{
    fprintf(out, "{\"id\":\"%s\",", device->id);
    device_write_identity(out, device->id_data);
    fprintf(out, ",\"status\":\"%s\",\"decommissioning\":%s", device_status_name(device->status),
            device->is_decommissioning ? "true" : "false");
    write_time(out, "created_ts", device->created_ms);
    write_time(out, "updated_ts", device->updated_ms);
    fputs(",\"auth_sets\":", out);
    if (with_sets)
        write_sets(out, device);
    else
        fputs("null", out);
    if (device->seen_ms != 0)
        write_time(out, "check_in_time", device->seen_ms);
    fputc('}', out);
}

enum err device_get(struct db *db, const char *tenant, const char *id, struct device **out)
{
    return device_db_load(db, tenant, id, out);
}

/* The strings' order of statuses, then ids: as the database sorts. */
static int compare_devices(const void *a, const void *b)
{
    const struct device *const *x = a;
    const struct device *const *y = b;
    int by_status = strcmp(device_status_name((*x)->status), device_status_name((*y)->status));
    return by_status != 0 ? by_status : strcmp((*x)->id, (*y)->id);
}

static bool is_listed(struct device *const *list, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->id, id) == 0)
            return true;
    return false;
}

/* All devices that the filter names, each once. */
static enum err load_named(struct db *db, const char *tenant, const struct device_filter *filter, struct device **list,
                           size_t *n)
{
    for (size_t i = 0; i < filter->ids; i++) {
        if (is_listed(list, *n, filter->id[i]))
            continue;
        AUTO(device_free) struct device *device = NULL;
        enum err e = device_db_load(db, tenant, filter->id[i], &device);
        if (e == ERR_DEVICE_NOT_FOUND)
            continue;
        TRY(e);
        if (filter->status[device->status])
            list[(*n)++] = MOVE(device);
    }
    return ERR_OK;
}

/* Keep what stands between skip and skip + limit. */
static size_t cut(struct device **list, size_t n, int64_t skip, int64_t limit)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_wanted = (int64_t)i >= skip && (int64_t)kept < limit;
        if (is_wanted)
            list[kept++] = list[i];
        else
            device_free(&list[i]);
    }
    return kept;
}

enum err device_list(struct db *db, const char *tenant, const struct device_filter *filter, int64_t skip, int64_t limit,
                     struct device ***out, size_t *n)
{
    if (!filter->has_ids)
        return device_db_list(db, tenant, filter, skip, limit, out, n);
    struct device **list = mem_calloc(filter->ids, sizeof(struct device *));
    size_t count = 0;
    enum err e = load_named(db, tenant, filter, list, &count);
    if (e != ERR_OK) {
        device_list_free(&list, count);
        return e;
    }
    qsort(list, count, sizeof(struct device *), compare_devices);
    *n = cut(list, count, skip, limit);
    *out = list;
    return ERR_OK;
}

void device_list_free(struct device ***devices, size_t n)
{
    for (size_t i = 0; *devices != NULL && i < n; i++)
        device_free(&(*devices)[i]);
    free(*devices);
    *devices = NULL;
}

enum err device_list_leaving(struct db *db, const char *tenant, struct device ***out, size_t *n)
{
    return device_db_list_leaving(db, tenant, out, n);
}

enum err device_count(struct db *db, const char *tenant, const struct device_filter *filter, int64_t *count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < DEVICE_STATUSES; i++) {
        int64_t some = 0;
        if (filter->status[i])
            TRY(device_db_count(db, tenant, (enum device_status)i, &some));
        sum += some;
    }
    *count = sum;
    return ERR_OK;
}

enum err device_restore(struct db *tx, const struct device *device, const char *id_hash, bool *inserted)
{
    TRY(device_db_insert(tx, device, id_hash, inserted));
    return *inserted && device->seen_ms > 0 ? device_db_insert_seen(tx, device) : ERR_OK;
}

enum err device_limit_get(struct db *db, const char *tenant, int64_t *value)
{
    enum err e = device_db_load_limit(db, tenant, DEVICE_LIMIT_MAX, value);
    if (e == ERR_NOT_FOUND)
        *value = DEVICE_LIMIT_NONE;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err device_limit_set(struct db *db, const char *tenant, int64_t value)
{
    return device_db_save_limit(db, tenant, DEVICE_LIMIT_MAX, value);
}

enum err device_limit_clear(struct db *db, const char *tenant)
{
    return device_db_delete_limit(db, tenant, DEVICE_LIMIT_MAX);
}
