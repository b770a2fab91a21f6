/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_db.h"

#include <stdio.h>
#include <string.h>

#include "auth/attribute.h"
#include "auth/device_row.h"
#include "auth/iddata.h"
#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Devices of a query and, behind each, its sets. */
#define COLUMNS DEVICE_ROW_COLUMNS ", a.id, a.pubkey, a.status, a.created_ms "
#define JOINS                                                                                                          \
    " " DEVICE_ROW_SEEN "LEFT JOIN auth_sets a ON a.device_id = d.id ORDER BY d.status, d.id, a.created_ms, a.id"
#define FIRST_OF_SET DEVICE_ROW_WIDTH

static void add_set(struct device *device, const struct db_rows *rows)
{
    if (db_rows_is_null(rows, FIRST_OF_SET))
        return;
    device->set = mem_resize(device->set, device->sets + 1, sizeof *device->set);
    device->set[device->sets++] = (struct auth_set){
        .id = mem_strdup(db_rows_text(rows, FIRST_OF_SET)),
        .pubkey = mem_strdup(db_rows_text(rows, FIRST_OF_SET + 1)),
        .status = device_row_status(rows, FIRST_OF_SET + 2),
        .created_ms = db_rows_int(rows, FIRST_OF_SET + 3),
    };
}

/* A row for each set of a device, those of one device together. */
static void read_devices(struct db_rows *rows, struct device ***out, size_t *n)
{
    struct device **list = mem_calloc(db_rows_count(rows), sizeof(struct device *));
    size_t count = 0;
    while (db_rows_next(rows)) {
        if (count == 0 || strcmp(list[count - 1]->id, db_rows_text(rows, 0)) != 0)
            list[count++] = device_row_read(rows);
        add_set(list[count - 1], rows);
    }
    *out = list;
    *n = count;
}

static enum err load_one(struct db *db, const char *sql, const char *tenant, const char *key, struct device **out)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    if (!json_is_utf8(tenant) || !json_is_utf8(key))
        return ERR_DEVICE_NOT_FOUND;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(key)), &rows));
    struct device *device = NULL;
    while (db_rows_next(rows)) {
        if (device == NULL)
            device = device_row_read(rows);
        add_set(device, rows);
    }
    if (device == NULL)
        return ERR_DEVICE_NOT_FOUND;
    *out = device;
    return ERR_OK;
}

enum err device_db_load(struct db *db, const char *tenant, const char *id, struct device **out)
{
    static const char sql[] = "SELECT " COLUMNS "FROM (SELECT * FROM devices WHERE tenant_id = $1 AND id = $2) d" JOINS;
    return load_one(db, sql, tenant, id, out);
}

enum err device_db_load_by_identity(struct db *db, const char *tenant, const char *id_hash, struct device **out)
{
    static const char sql[] =
        "SELECT " COLUMNS "FROM (SELECT * FROM devices WHERE tenant_id = $1 AND id_hash = $2) d" JOINS;
    return load_one(db, sql, tenant, id_hash, out);
}

enum err device_db_load_by_set(struct db *db, const char *tenant, const char *set_id, struct device **out)
{
    static const char sql[] = "SELECT " COLUMNS "FROM (SELECT * FROM devices WHERE id = "
                              "(SELECT device_id FROM auth_sets WHERE tenant_id = $1 AND id = $2)) d" JOINS;
    enum err e = load_one(db, sql, tenant, set_id, out);
    return e == ERR_DEVICE_NOT_FOUND ? ERR_AUTH_SET_NOT_FOUND : e;
}

enum err device_db_match(struct db *db, const char *tenant, const char *id_hash, const char *key_hash,
                         struct device_match *out)
{
    static const char sql[] = "SELECT a.id, d.id, a.status, d.decommissioning "
                              "FROM devices d JOIN auth_sets a ON a.device_id = d.id "
                              "WHERE d.tenant_id = $1 AND d.id_hash = $2 AND a.key_hash = $3";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(id_hash), db_text(key_hash)), &rows));
    if (!db_rows_next(rows))
        return ERR_AUTH_SET_NOT_FOUND;
    snprintf(out->set_id, sizeof out->set_id, "%s", db_rows_text(rows, 0));
    snprintf(out->device_id, sizeof out->device_id, "%s", db_rows_text(rows, 1));
    out->status = device_row_status(rows, 2);
    out->is_decommissioning = db_rows_int(rows, 3) != 0;
    return ERR_OK;
}

/* The name of status i when the filter asks for it; a name that no row has otherwise. */
static const char *wanted(const struct device_filter *filter, enum device_status i)
{
    return filter->status[i] ? device_status_name(i) : "";
}

/* The first and the last in the alphabet that the filter asks for; "" when it asks for none. */
static void find_range(const struct device_filter *filter, const char **first, const char **last)
{
    *first = *last = "";
    for (size_t i = 0; i < DEVICE_STATUSES; i++) {
        const char *name = wanted(filter, (enum device_status)i);
        if (*name != '\0' && (**first == '\0' || strcmp(name, *first) < 0))
            *first = name;
        if (strcmp(name, *last) > 0)
            *last = name;
    }
}

enum err device_db_list(struct db *db, const char *tenant, const struct device_filter *filter, int64_t skip,
                        int64_t limit, struct device ***out, size_t *n)
{
    /*
     * The page is cut out of the index alone, which has this order as it is. PostgreSQL would look for the names in all
     * of it: the range is where they can be.
     */
    static const char sql[] = "SELECT " COLUMNS "FROM (SELECT id AS page_id FROM devices WHERE tenant_id = $1 "
                              "AND status >= $4 AND status <= $5 AND status IN ($6, $7, $8, $9, $10) "
                              "ORDER BY status, id LIMIT $2 OFFSET $3) p JOIN devices d ON d.id = p.page_id" JOINS;
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    const char *first;
    const char *last;
    if (!json_is_utf8(tenant)) {
        *out = NULL;
        *n = 0;
        return ERR_OK;
    }
    find_range(filter, &first, &last);
    TRY(db_query(db, sql,
                 DB_ARGS(db_text(tenant), db_int(limit), db_int(skip), db_text(first), db_text(last),
                         db_text(wanted(filter, DEVICE_ACCEPTED)), db_text(wanted(filter, DEVICE_PREAUTHORIZED)),
                         db_text(wanted(filter, DEVICE_PENDING)), db_text(wanted(filter, DEVICE_REJECTED)),
                         db_text(wanted(filter, DEVICE_NOAUTH))),
                 &rows));
    read_devices(rows, out, n);
    return ERR_OK;
}

enum err device_db_list_like(struct db *db, const char *tenant, const char *pattern, int64_t limit,
                             struct device ***out, size_t *n)
{
    static const char sql[] = "SELECT " COLUMNS "FROM (SELECT * FROM devices WHERE tenant_id = $1 "
                              "AND id_data LIKE $2 ESCAPE '!' ORDER BY status, id LIMIT $3) d" JOINS;
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(pattern), db_int(limit)), &rows));
    read_devices(rows, out, n);
    return ERR_OK;
}

enum err device_db_list_key(struct db *db, const char *tenant, const char *key_hash, int64_t limit,
                            struct device ***out, size_t *n)
{
    static const char sql[] = "SELECT " COLUMNS "FROM (SELECT * FROM devices WHERE id IN "
                              "(SELECT device_id FROM auth_sets WHERE key_hash = $2 AND tenant_id = $1) "
                              "ORDER BY status, id LIMIT $3) d" JOINS;
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(key_hash), db_int(limit)), &rows));
    read_devices(rows, out, n);
    return ERR_OK;
}

enum err device_db_list_after(struct db *db, const char *tenant, enum device_status status, const char *after,
                              int64_t limit, struct device ***out, size_t *n)
{
    static const char sql[] = "SELECT " COLUMNS "FROM (SELECT * FROM devices WHERE tenant_id = $1 AND status = $2 "
                              "AND id > $3 ORDER BY id LIMIT $4) d" JOINS;
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    if (!json_is_utf8(tenant)) {
        *out = NULL;
        *n = 0;
        return ERR_OK;
    }
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(device_status_name(status)), db_text(after), db_int(limit)),
                 &rows));
    read_devices(rows, out, n);
    return ERR_OK;
}

enum err device_db_list_leaving(struct db *db, const char *tenant, struct device ***out, size_t *n)
{
    static const char sql[] = "SELECT " COLUMNS "FROM (SELECT * FROM devices WHERE tenant_id = $1 "
                              "AND decommissioning <> 0) d" JOINS;
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    if (!json_is_utf8(tenant)) {
        *out = NULL;
        *n = 0;
        return ERR_OK;
    }
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant)), &rows));
    read_devices(rows, out, n);
    return ERR_OK;
}

enum err device_db_list_tenants(struct db *db, char ***out, size_t *n)
{
    static const char sql[] = "SELECT DISTINCT tenant_id FROM devices ORDER BY tenant_id";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(), &rows));
    char **list = mem_calloc(db_rows_count(rows), sizeof(char *));
    size_t count = 0;
    while (db_rows_next(rows))
        list[count++] = mem_strdup(db_rows_text(rows, 0));
    *out = list;
    *n = count;
    return ERR_OK;
}

enum err device_db_count(struct db *db, const char *tenant, enum device_status status, int64_t *count)
{
    static const char sql[] = "SELECT COUNT(*) FROM devices WHERE tenant_id = $1 AND status = $2";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    if (!json_is_utf8(tenant)) {
        *count = 0;
        return ERR_OK;
    }
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(device_status_name(status))), &rows));
    *count = db_rows_next(rows) ? db_rows_int(rows, 0) : 0;
    return ERR_OK;
}

static enum err insert_attribute(struct db *db, const struct device *device, const char *name, const char *value)
{
    static const char sql[] = "INSERT INTO device_attributes (tenant_id, device_id, name, value) "
                              "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    return db_exec(db, sql, DB_ARGS(db_text(device->tenant_id), db_text(device->id), db_text(name), db_text(value)),
                   NULL);
}

static enum err insert_attributes(struct db *db, const struct device *device)
{
    AUTO(json_release) json_t *identity = iddata_json(device->id_data);
    size_t n = 0;
    for (void *i = json_object_iter(identity); i != NULL && n < ATTRIBUTE_INDEXED_MAX; n++) {
        AUTO(mem_free) char *name = attribute_key(json_object_iter_key(i), json_object_iter_key_len(i));
        AUTO(mem_free) char *value = attribute_value(json_object_iter_value(i));
        TRY(insert_attribute(db, device, name, value));
        i = json_object_iter_next(identity, i);
    }
    return ERR_OK;
}

enum err device_db_insert(struct db *db, const struct device *device, const char *id_hash, bool *inserted)
{
    static const char sql[] = "INSERT INTO devices (id, tenant_id, id_hash, id_data, status, decommissioning, "
                              "provisioned, revision, created_ms, updated_ms) "
                              "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    int64_t changed = 0;
    TRY(db_exec(db, sql,
                DB_ARGS(db_text(device->id), db_text(device->tenant_id), db_text(id_hash), db_text(device->id_data),
                        db_text(device_status_name(device->status)), db_int(device->is_decommissioning),
                        db_int(device->is_provisioned), db_int(device->revision), db_int(device->created_ms),
                        db_int(device->updated_ms)),
                &changed));
    *inserted = changed > 0;
    return changed > 0 ? insert_attributes(db, device) : ERR_OK;
}

enum err device_db_insert_seen(struct db *db, const struct device *device)
{
    static const char sql[] = "INSERT INTO device_check_ins (device_id, seen_ms, told_ms) VALUES ($1, $2, $2) "
                              "ON CONFLICT DO NOTHING";
    return db_exec(db, sql, DB_ARGS(db_text(device->id), db_int(device->seen_ms)), NULL);
}

enum err device_db_update(struct db *db, struct device *device, int64_t now_ms)
{
    static const char sql[] = "UPDATE devices SET status = $1, decommissioning = $2, provisioned = $3, "
                              "updated_ms = $4, revision = revision + 1 WHERE id = $5";
    device->revision++;
    device->updated_ms = now_ms;
    return db_exec(db, sql,
                   DB_ARGS(db_text(device_status_name(device->status)), db_int(device->is_decommissioning),
                           db_int(device->is_provisioned), db_int(now_ms), db_text(device->id)),
                   NULL);
}

enum err device_db_delete(struct db *db, const char *tenant, const char *id)
{
    static const char sql[] = "DELETE FROM devices WHERE tenant_id = $1 AND id = $2";
    int64_t changed = 0;
    if (!json_is_utf8(tenant) || !json_is_utf8(id))
        return ERR_DEVICE_NOT_FOUND;
    TRY(db_exec(db, sql, DB_ARGS(db_text(tenant), db_text(id)), &changed));
    return changed == 0 ? ERR_DEVICE_NOT_FOUND : ERR_OK;
}

enum err device_db_insert_set(struct db *db, const struct device *device, const struct auth_set *set,
                              const char *key_hash, bool *inserted)
{
    static const char sql[] = "INSERT INTO auth_sets (id, tenant_id, device_id, key_hash, pubkey, status, created_ms) "
                              "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    int64_t changed = 0;
    TRY(db_exec(db, sql,
                DB_ARGS(db_text(set->id), db_text(device->tenant_id), db_text(device->id), db_text(key_hash),
                        db_text(set->pubkey), db_text(device_status_name(set->status)), db_int(set->created_ms)),
                &changed));
    *inserted = changed > 0;
    return ERR_OK;
}

enum err device_db_update_set(struct db *db, const struct auth_set *set)
{
    static const char sql[] = "UPDATE auth_sets SET status = $1 WHERE id = $2";
    return db_exec(db, sql, DB_ARGS(db_text(device_status_name(set->status)), db_text(set->id)), NULL);
}

enum err device_db_delete_set(struct db *db, const char *set_id)
{
    static const char sql[] = "DELETE FROM auth_sets WHERE id = $1";
    return db_exec(db, sql, DB_ARGS(db_text(set_id)), NULL);
}

/* A device and its key in one, as the row of their tokens has it. */
static void write_asker(const struct device_identity *identity, char out[DEVICE_HASH_SIZE])
{
    uint8_t digest[JWS_DIGEST_SIZE];
    char both[2 * DEVICE_HASH_SIZE];
    int len = snprintf(both, sizeof both, "%s/%s", identity->id_hash, identity->key_hash);
    jws_digest(both, (size_t)len, digest);
    device_write_hash(digest, out);
}

static enum err read_token(struct db_rows *rows, struct device_match *out)
{
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct device_match){.status = DEVICE_ACCEPTED};
    snprintf(out->set_id, sizeof out->set_id, "%s", db_rows_text(rows, 0));
    snprintf(out->device_id, sizeof out->device_id, "%s", db_rows_text(rows, 1));
    return ERR_OK;
}

enum err device_db_find_token(struct db *db, const struct device_identity *identity, int64_t issued_ms,
                              int64_t expires_ms, struct device_match *out)
{
    static const char sql[] = "SELECT id, device_id FROM device_tokens "
                              "WHERE asker = $1 AND tenant_id = $2 AND issued_ms <= $3 AND expires_ms >= $4";
    char asker[DEVICE_HASH_SIZE];
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    write_asker(identity, asker);
    TRY(db_query(db, sql, DB_ARGS(db_text(asker), db_text(identity->tenant), db_int(issued_ms), db_int(expires_ms)),
                 &rows));
    return read_token(rows, out);
}

enum err device_db_put_token(struct db *db, const struct device_identity *identity, int64_t issued_ms,
                             int64_t expires_ms, struct device_match *out)
{
    /* the oldest counts: a token from before it was revoked, and processes' clocks differ */
    static const char sql[] = "INSERT INTO device_tokens (id, tenant_id, device_id, asker, issued_ms, expires_ms) "
                              "SELECT a.id, a.tenant_id, a.device_id, CAST($6 AS TEXT), CAST($4 AS BIGINT), "
                              "CAST($5 AS BIGINT) FROM devices d JOIN auth_sets a ON a.device_id = d.id "
                              "WHERE d.tenant_id = $1 AND d.id_hash = $2 AND a.key_hash = $3 "
                              "AND a.status = 'accepted' AND d.decommissioning = 0 "
                              "ON CONFLICT (id) DO UPDATE SET expires_ms = excluded.expires_ms, asker = "
                              "excluded.asker, issued_ms = "
                              "CASE WHEN excluded.issued_ms < device_tokens.issued_ms "
                              "THEN excluded.issued_ms ELSE device_tokens.issued_ms END "
                              "RETURNING id, device_id";
    char asker[DEVICE_HASH_SIZE];
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    write_asker(identity, asker);
    TRY(db_write(db, sql,
                 DB_ARGS(db_text(identity->tenant), db_text(identity->id_hash), db_text(identity->key_hash),
                         db_int(issued_ms), db_int(expires_ms), db_text(asker)),
                 &rows));
    return read_token(rows, out);
}

enum err device_db_delete_token(struct db *db, const char *tenant, const char *jti)
{
    static const char sql[] = "DELETE FROM device_tokens WHERE tenant_id = $1 AND id = $2";
    int64_t changed = 0;
    if (!json_is_utf8(tenant) || !json_is_utf8(jti))
        return ERR_NOT_FOUND;
    TRY(db_exec(db, sql, DB_ARGS(db_text(tenant), db_text(jti)), &changed));
    return changed == 0 ? ERR_NOT_FOUND : ERR_OK;
}

enum err device_db_delete_tokens(struct db *db, const char *tenant, const char *device_id)
{
    static const char all[] = "DELETE FROM device_tokens WHERE tenant_id = $1";
    static const char one[] = "DELETE FROM device_tokens WHERE tenant_id = $1 AND device_id = $2";
    if (!json_is_utf8(tenant) || (device_id != NULL && !json_is_utf8(device_id)))
        return ERR_OK;
    if (device_id == NULL)
        return db_exec(db, all, DB_ARGS(db_text(tenant)), NULL);
    return db_exec(db, one, DB_ARGS(db_text(tenant), db_text(device_id)), NULL);
}

enum err device_db_load_limit(struct db *db, const char *tenant, const char *name, int64_t *value)
{
    static const char sql[] = "SELECT value FROM limits WHERE tenant_id = $1 AND name = $2";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    if (!json_is_utf8(tenant))
        return ERR_NOT_FOUND;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(name)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *value = db_rows_int(rows, 0);
    return ERR_OK;
}

enum err device_db_save_limit(struct db *db, const char *tenant, const char *name, int64_t value)
{
    static const char sql[] = "INSERT INTO limits (tenant_id, name, value) VALUES ($1, $2, $3) "
                              "ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value";
    if (!json_is_utf8(tenant))
        return ERR_INVALID;
    return db_exec(db, sql, DB_ARGS(db_text(tenant), db_text(name), db_int(value)), NULL);
}

enum err device_db_delete_limit(struct db *db, const char *tenant, const char *name)
{
    static const char sql[] = "DELETE FROM limits WHERE tenant_id = $1 AND name = $2";
    return json_is_utf8(tenant) ? db_exec(db, sql, DB_ARGS(db_text(tenant), db_text(name)), NULL) : ERR_OK;
}
