/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_find.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/device_db.h"
#include "auth/iddata.h"
#include "keystore/jws.h"
#include "keystore/pubkey.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/json_go.h"
#include "lib/mem.h"

static enum err one(struct device *device, struct device ***out, size_t *n)
{
    struct device **list = mem_calloc(1, sizeof(struct device *));
    list[0] = device;
    *out = list;
    *n = 1;
    return ERR_OK;
}

/* The device whose whole identity is this JSON text. */
static enum err by_identity(struct db *db, const char *tenant, const char *text, size_t len, struct device **out)
{
    char why[JSON_SCAN_WHY_SIZE];
    char hash[DEVICE_HASH_SIZE];
    AUTO(iddata_release) struct iddata id = {0};
    TRY(iddata_parse(text, len, why, &id));
    device_write_hash(id.sha256, hash);
    return device_db_load_by_identity(db, tenant, hash, out);
}

/* A value as the person would type it. */
static bool is_value(const json_t *value, const char *text)
{
    if (json_is_string(value))
        return json_string_length(value) == strlen(text) && strcmp(json_string_value(value), text) == 0;
    AUTO(mem_free) char *written = json_go_dump(value, JSON_GO_SORTED, NULL);
    return strcmp(written, text) == 0;
}

static bool has_attribute(const struct device *device, const char *name, const char *text)
{
    AUTO(json_release) json_t *id = iddata_json(device->id_data);
    const json_t *value = json_object_get(id, name);
    if (value != NULL && is_value(value, text))
        return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (is_value(json_array_get(value, i), text))
            return true;
    return false;
}

/* Text as it stands within a JSON string, and so that LIKE means nothing but it. The caller frees it. */
static char *like_text(const char *text)
{
    AUTO(json_release) json_t *string = json_string(text);
    AUTO(mem_free) char *json = string != NULL ? json_go_dump(string, JSON_GO_SORTED, NULL) : mem_strdup("\"\"");
    size_t len = strlen(json);
    char *out = mem_calloc(2 * len + 1, 1);
    size_t n = 0;
    for (size_t i = 1; i + 1 < len; i++) {
        if (strchr("%_!", json[i]) != NULL)
            out[n++] = '!';
        out[n++] = json[i];
    }
    return out;
}

/* The database finds texts that look like it, here it is decided. */
static enum err by_attribute(struct db *db, const char *tenant, const char *name, const char *value,
                             struct device ***out, size_t *n)
{
    AUTO(mem_free) char *like_name = like_text(name);
    AUTO(mem_free) char *like_value = like_text(value);
    AUTO(mem_free) char *pattern = mem_printf("%%\"%s\":%%%s%%", like_name, like_value);
    struct device **list = NULL;
    size_t count = 0;
    size_t kept = 0;
    TRY(device_db_list_like(db, tenant, pattern, DEVICE_FIND_MAX, &list, &count));
    for (size_t i = 0; i < count; i++) {
        bool is_it = has_attribute(list[i], name, value);
        if (is_it)
            list[kept++] = list[i];
        else
            device_free(&list[i]);
    }
    if (kept == 0) {
        device_list_free(&list, 0);
        return ERR_DEVICE_NOT_FOUND;
    }
    *out = list;
    *n = kept;
    return ERR_OK;
}

static enum err by_pair(struct db *db, const char *tenant, const char *name, const char *value, struct device ***out,
                        size_t *n)
{
    AUTO(json_release) json_t *id = json_object();
    struct device *device = NULL;
    if (json_object_set_new(id, name, json_string(value)) != 0)
        return ERR_DEVICE_NOT_FOUND; /* not UTF-8 */
    size_t len = 0;
    AUTO(mem_free) char *text = json_go_dump(id, JSON_GO_SORTED, &len);
    enum err e = by_identity(db, tenant, text, len, &device);
    if (e == ERR_OK)
        return one(device, out, n);
    return e == ERR_DEVICE_NOT_FOUND ? by_attribute(db, tenant, name, value, out, n) : e;
}

static bool is_hash(const char *text)
{
    return strlen(text) == DEVICE_HASH_SIZE - 1 && strspn(text, "0123456789abcdef") == DEVICE_HASH_SIZE - 1;
}

enum err device_find(struct db *db, const char *tenant, const char *text, struct device ***out, size_t *n)
{
    struct device *device = NULL;
    if (is_hash(text)) {
        TRY(device_db_list_key(db, tenant, text, DEVICE_FIND_MAX, out, n));
        if (*n > 0)
            return ERR_OK;
        device_list_free(out, *n);
        return ERR_DEVICE_NOT_FOUND;
    }
    const char *equals = *text == '{' ? NULL : strchr(text, '=');
    if (equals != NULL) {
        AUTO(mem_free) char *name = mem_strndup(text, (size_t)(equals - text));
        return by_pair(db, tenant, name, equals + 1, out, n);
    }
    if (*text == '{')
        TRY(by_identity(db, tenant, text, strlen(text), &device));
    else
        TRY(device_db_load(db, tenant, text, &device));
    return one(device, out, n);
}

void device_find_key_name(const char *pem, struct device_key_name *out)
{
    uint8_t digest[JWS_DIGEST_SIZE];
    char why[PUBKEY_WHY_SIZE];
    AUTO(pubkey_free) struct pubkey *key = NULL;
    *out = (struct device_key_name){0};
    jws_digest(pem, strlen(pem), digest);
    device_write_hash(digest, out->hash);
    if (pubkey_parse(pem, strlen(pem), PUBKEY_RSA_BITS_MIN, why, &key) == ERR_OK)
        snprintf(out->kind, sizeof out->kind, "%s", pubkey_kind(key));
}

enum err device_find_tenants(struct db *db, char ***out, size_t *n)
{
    return device_db_list_tenants(db, out, n);
}
