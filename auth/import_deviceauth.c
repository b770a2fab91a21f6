/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/import_deviceauth.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claims.h"
#include "auth/device.h"
#include "auth/iddata.h"
#include "auth/import_deviceauth_db.h"
#include "auth/import_field.h"
#include "keystore/jws.h"
#include "keystore/pubkey.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define FIELD(type, member) offsetof(struct import_##type, member)

static const struct import_field device_fields[] = {
    {"_id", IMPORT_FIELD_TOKEN_ID, true, FIELD(device, id), "_id is missing or no id"},
    {"tenant_id", IMPORT_FIELD_TEXT, false, FIELD(device, tenant), "tenant_id is no text"},
    {"id_data", IMPORT_FIELD_TEXT, true, FIELD(device, id_data), "id_data is missing or no text"},
    {"id_data_sha256", IMPORT_FIELD_BINARY, false, FIELD(device, sha256), "id_data_sha256 is no binary data"},
    {"status", IMPORT_FIELD_TEXT, true, FIELD(device, status), "status is missing or no text"},
    {"decommissioning", IMPORT_FIELD_BOOL, false, FIELD(device, decommissioning), "decommissioning is no boolean"},
    {"provisioned", IMPORT_FIELD_BOOL, false, FIELD(device, provisioned), "provisioned is no boolean"},
    {"revision", IMPORT_FIELD_INT, false, FIELD(device, revision), "revision is no whole number"},
    {"created_ts", IMPORT_FIELD_TIME, false, FIELD(device, created_ms), "created_ts is no date"},
    {"updated_ts", IMPORT_FIELD_TIME, false, FIELD(device, updated_ms), "updated_ts is no date"},
    {"check_in_time", IMPORT_FIELD_TIME, false, FIELD(device, seen_ms), "check_in_time is no date"},
    {0},
};

static const struct import_field set_fields[] = {
    {"_id", IMPORT_FIELD_TOKEN_ID, true, FIELD(set, id), "_id is missing or no id"},
    {"tenant_id", IMPORT_FIELD_TEXT, false, FIELD(set, tenant), "tenant_id is no text"},
    {"device_id", IMPORT_FIELD_TOKEN_ID, true, FIELD(set, device_id), "device_id is missing or no id"},
    {"pubkey", IMPORT_FIELD_TEXT, true, FIELD(set, pubkey), "pubkey is missing or no text"},
    {"status", IMPORT_FIELD_TEXT, true, FIELD(set, status), "status is missing or no text"},
    {"ts", IMPORT_FIELD_TIME, false, FIELD(set, created_ms), "ts is no date"},
    {0},
};

static const struct import_field pass_fields[] = {
    {"_id", IMPORT_FIELD_TOKEN_ID, true, FIELD(pass, id), "_id is missing or no id"},
    {"sub", IMPORT_FIELD_TOKEN_ID, true, FIELD(pass, device_id), "sub is missing or no id"},
    {"exp.time", IMPORT_FIELD_TIME, true, FIELD(pass, expires_ms), "exp is missing or no date"},
    {0},
};

static const struct import_field limit_fields[] = {
    {"tenant_id", IMPORT_FIELD_TEXT, false, FIELD(limit, tenant), "tenant_id is no text"},
    {"name", IMPORT_FIELD_TEXT, true, FIELD(limit, name), "name is missing or no text"},
    {"value", IMPORT_FIELD_INT, true, FIELD(limit, value), "value is missing or no whole number"},
    {0},
};

static struct import_verdict skipped(const char *why)
{
    return (struct import_verdict){IMPORT_SKIPPED, why};
}

static const struct import_verdict taken = {.fate = IMPORT_TAKEN};
static const struct import_verdict there = {.fate = IMPORT_THERE};

static void set_default(char **text)
{
    if (*text == NULL)
        *text = mem_strdup("");
}

static bool is_status(const char *name, bool has_sets)
{
    enum device_status status;
    return device_status_parse(name, &status) && (has_sets || status != DEVICE_NOAUTH);
}

static const char *find_ids_fault(const char *id, const char *tenant)
{
    if (!import_field_is_id(id)) /* UUIDs, and object ids of old */
        return "_id is empty or longer than 127 bytes";
    return strlen(tenant) < CLAIMS_TEXT_SIZE ? NULL : "tenant_id is longer than 127 bytes";
}

static char *hex(const uint8_t digest[IDDATA_DIGEST_SIZE])
{
    char text[DEVICE_HASH_SIZE];
    device_write_hash(digest, text);
    return mem_strdup(text);
}

/* The identity in its canonical form, and its hash, which the original must have had, too. */
static const char *normalise_identity(struct import_device *device)
{
    char why[JSON_SCAN_WHY_SIZE];
    char sha256[BASE64_ENCODED(IDDATA_DIGEST_SIZE) + 1];
    AUTO(iddata_release) struct iddata id = {0};
    if (iddata_parse(device->id_data, strlen(device->id_data), why, &id) != ERR_OK)
        return "id_data is no JSON object";
    sha256[base64_encode(BASE64_STD, id.sha256, sizeof id.sha256, sha256)] = '\0';
    if (device->sha256 != NULL && strcmp(device->sha256, sha256) != 0)
        return "id_data_sha256 is not that of id_data";
    mem_free(&device->id_data);
    device->id_data = MOVE(id.text);
    device->id_hash = hex(id.sha256);
    return NULL;
}

static const char *normalise_key(struct import_set *set)
{
    char why[PUBKEY_WHY_SIZE];
    uint8_t digest[JWS_DIGEST_SIZE];
    AUTO(pubkey_free) struct pubkey *key = NULL;
    if (pubkey_parse(set->pubkey, strlen(set->pubkey), PUBKEY_RSA_BITS_MIN, why, &key) != ERR_OK)
        return "pubkey cannot be used: malformed, of a kind or curve that is not supported, or under 1024 bits";
    mem_free(&set->pubkey);
    set->pubkey = mem_strdup(pubkey_pem(key));
    jws_digest(set->pubkey, strlen(set->pubkey), digest);
    set->key_hash = hex(digest);
    return NULL;
}

static void device_release(void **row)
{
    if (*row != NULL)
        import_deviceauth_db_release_device(*row);
    free(*row);
    *row = NULL;
}

static void *device_decode(const json_t *document, struct import_verdict *verdict)
{
    AUTO(device_release) void *row = mem_calloc(1, sizeof(struct import_device));
    struct import_device *device = row;
    const char *fault = import_field_read(device_fields, document, device);
    set_default(&device->tenant);
    if (fault == NULL)
        fault = find_ids_fault(device->id, device->tenant);
    if (fault == NULL && !is_status(device->status, true))
        fault = "status is none that a device can have";
    if (fault == NULL)
        fault = normalise_identity(device);
    device->revision = device->revision > 0 ? device->revision : 1;
    *verdict = skipped(fault);
    return fault == NULL ? MOVE(row) : NULL;
}

static enum err device_write_row(struct db *tx, const void *row, struct import_verdict *verdict)
{
    const struct import_device *device = row;
    bool done = false;
    TRY(import_deviceauth_db_insert_device(tx, device, &done));
    *verdict = taken;
    if (done)
        return ERR_OK;
    AUTO(import_deviceauth_db_release_device) struct import_device stored = {0};
    enum err e = import_deviceauth_db_load_device(tx, device->id, &stored);
    if (e == ERR_NOT_FOUND) {
        *verdict = skipped("another device has this identity");
        return ERR_OK;
    }
    TRY(e);
    bool is_same = strcmp(stored.tenant, device->tenant) == 0 && strcmp(stored.id_hash, device->id_hash) == 0 &&
                   strcmp(stored.status, device->status) == 0 && stored.decommissioning == device->decommissioning &&
                   stored.created_ms == device->created_ms;
    *verdict = is_same ? there : skipped("a device with this id is here with other content (changed since?)");
    return ERR_OK;
}

static enum err device_copy(struct db *from, struct db *to, const void *row)
{
    return import_deviceauth_db_copy_devices(from, to, row);
}

static void set_release(void **row)
{
    if (*row != NULL)
        import_deviceauth_db_release_set(*row);
    free(*row);
    *row = NULL;
}

static void *set_decode(const json_t *document, struct import_verdict *verdict)
{
    AUTO(set_release) void *row = mem_calloc(1, sizeof(struct import_set));
    struct import_set *set = row;
    const char *fault = import_field_read(set_fields, document, set);
    set_default(&set->tenant);
    if (fault == NULL)
        fault = find_ids_fault(set->id, set->tenant);
    if (fault == NULL && !is_status(set->status, false))
        fault = "status is none that an authentication set can have";
    if (fault == NULL)
        fault = normalise_key(set);
    *verdict = skipped(fault);
    return fault == NULL ? MOVE(row) : NULL;
}

/* Why a set met something in its way. */
static enum err explain_set(struct db *tx, const struct import_set *set, struct import_verdict *verdict)
{
    AUTO(import_deviceauth_db_release_set) struct import_set stored = {0};
    enum err e = import_deviceauth_db_load_set(tx, set->id, &stored);
    if (e == ERR_OK) {
        bool is_same = strcmp(stored.tenant, set->tenant) == 0 && strcmp(stored.device_id, set->device_id) == 0 &&
                       strcmp(stored.pubkey, set->pubkey) == 0 && strcmp(stored.status, set->status) == 0 &&
                       stored.created_ms == set->created_ms;
        *verdict = is_same ? there : skipped("a set with this id is here with other content (changed since?)");
        return ERR_OK;
    }
    if (e != ERR_NOT_FOUND)
        return e;
    AUTO(import_deviceauth_db_release_device) struct import_device device = {0};
    e = import_deviceauth_db_load_device(tx, set->device_id, &device);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    bool is_here = e == ERR_OK && strcmp(device.tenant, set->tenant) == 0;
    *verdict = skipped(is_here ? "the device has another set of this key" : "the set's device is not here");
    return ERR_OK;
}

static enum err set_write(struct db *tx, const void *row, struct import_verdict *verdict)
{
    bool done = false;
    TRY(import_deviceauth_db_insert_set(tx, row, &done));
    if (!done)
        return explain_set(tx, row, verdict);
    *verdict = taken;
    return ERR_OK;
}

static enum err set_copy(struct db *from, struct db *to, const void *row)
{
    return import_deviceauth_db_copy_sets(from, to, row);
}

static void pass_release(void **row)
{
    if (*row != NULL)
        import_deviceauth_db_release_pass(*row);
    free(*row);
    *row = NULL;
}

static void *pass_decode(const json_t *document, struct import_verdict *verdict)
{
    AUTO(pass_release) void *row = mem_calloc(1, sizeof(struct import_pass));
    const struct import_pass *pass = row;
    const char *fault = import_field_read(pass_fields, document, row);
    if (fault == NULL)
        fault = find_ids_fault(pass->id, "");
    *verdict = skipped(fault);
    if (fault != NULL)
        return NULL;
    verdict->fate = IMPORT_EXPIRED;
    return pass->expires_ms <= clock_ms() ? NULL : MOVE(row);
}

static enum err pass_write(struct db *tx, const void *row, struct import_verdict *verdict)
{
    const struct import_pass *pass = row;
    bool done = false;
    TRY(import_deviceauth_db_insert_pass(tx, pass, &done));
    *verdict = taken;
    if (done)
        return ERR_OK;
    AUTO(import_deviceauth_db_release_pass) struct import_pass stored = {0};
    enum err e = import_deviceauth_db_load_pass(tx, pass->id, &stored);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    /* a token that was issued since lives longer, and this one with it */
    bool is_here = e == ERR_OK && strcmp(stored.device_id, pass->device_id) == 0;
    *verdict = is_here ? there : skipped("the token's set is not here, or not accepted, or of another device");
    return ERR_OK;
}

static enum err pass_copy(struct db *from, struct db *to, const void *row)
{
    return import_deviceauth_db_copy_passes(from, to, row);
}

static void limit_release(void **row)
{
    if (*row != NULL)
        import_deviceauth_db_release_limit(*row);
    free(*row);
    *row = NULL;
}

static void *limit_decode(const json_t *document, struct import_verdict *verdict)
{
    AUTO(limit_release) void *row = mem_calloc(1, sizeof(struct import_limit));
    struct import_limit *limit = row;
    const char *fault = import_field_read(limit_fields, document, limit);
    set_default(&limit->tenant);
    if (fault == NULL && strlen(limit->tenant) >= CLAIMS_TEXT_SIZE)
        fault = "tenant_id is longer than 127 bytes";
    if (fault == NULL && strcmp(limit->name, DEVICE_LIMIT_MAX) != 0)
        fault = "not max_devices, which is the only limit there is";
    *verdict = skipped(fault);
    return fault == NULL ? MOVE(row) : NULL;
}

static enum err limit_write(struct db *tx, const void *row, struct import_verdict *verdict)
{
    const struct import_limit *limit = row;
    bool done = false;
    TRY(import_deviceauth_db_insert_limit(tx, limit, &done));
    *verdict = taken;
    if (done)
        return ERR_OK;
    AUTO(import_deviceauth_db_release_limit) struct import_limit stored = {0};
    TRY(import_deviceauth_db_load_limit(tx, limit->tenant, limit->name, &stored));
    *verdict = stored.value == limit->value ? there : skipped("the tenant has another limit here");
    return ERR_OK;
}

static enum err limit_copy(struct db *from, struct db *to, const void *row)
{
    const struct import_limit *limit = row;
    AUTO(import_deviceauth_db_release_limit) struct import_limit stored = {0};
    bool done;
    enum err e = import_deviceauth_db_load_limit(from, limit->tenant, limit->name, &stored);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    return import_deviceauth_db_insert_limit(to, &stored, &done);
}

const struct import_collection import_deviceauth[] = {
    {"devices", device_decode, device_release, device_write_row, device_copy},
    {"auth_sets", set_decode, set_release, set_write, set_copy},
    {"tokens", pass_decode, pass_release, pass_write, pass_copy},
    {"limits", limit_decode, limit_release, limit_write, limit_copy},
    {0},
};
