/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/import_deviceauth_db.h"

#include "auth/device.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define DEVICE                                                                                                         \
    "d.id, d.tenant_id, d.id_hash, d.id_data, d.status, d.decommissioning, d.provisioned, d.revision, d.created_ms, "  \
    "d.updated_ms, c.seen_ms FROM devices d LEFT JOIN device_check_ins c ON c.device_id = d.id "
#define SET "id, tenant_id, device_id, key_hash, pubkey, status, created_ms"

static enum err insert(struct db *db, const char *sql, const struct db_arg *args, bool *done)
{
    int64_t changed = 0;
    TRY(db_exec(db, sql, args, &changed));
    *done = changed != 0;
    return ERR_OK;
}

static void read_device(const struct db_rows *rows, struct import_device *out)
{
    *out = (struct import_device){
        .id = mem_strdup(db_rows_text(rows, 0)),
        .tenant = mem_strdup(db_rows_text(rows, 1)),
        .id_hash = mem_strdup(db_rows_text(rows, 2)),
        .id_data = mem_strdup(db_rows_text(rows, 3)),
        .status = mem_strdup(db_rows_text(rows, 4)),
        .decommissioning = db_rows_int(rows, 5),
        .provisioned = db_rows_int(rows, 6),
        .revision = db_rows_int(rows, 7),
        .created_ms = db_rows_int(rows, 8),
        .updated_ms = db_rows_int(rows, 9),
        .seen_ms = db_rows_int(rows, 10),
    };
}

static void read_set(const struct db_rows *rows, struct import_set *out)
{
    *out = (struct import_set){
        .id = mem_strdup(db_rows_text(rows, 0)),
        .tenant = mem_strdup(db_rows_text(rows, 1)),
        .device_id = mem_strdup(db_rows_text(rows, 2)),
        .key_hash = mem_strdup(db_rows_text(rows, 3)),
        .pubkey = mem_strdup(db_rows_text(rows, 4)),
        .status = mem_strdup(db_rows_text(rows, 5)),
        .created_ms = db_rows_int(rows, 6),
    };
}

/* The rows of a query over devices, each inserted into another database. */
static enum err copy_devices(struct db *from, struct db *to, const char *sql, const struct db_arg *args)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(from, sql, args, &rows));
    while (db_rows_next(rows)) {
        AUTO(import_deviceauth_db_release_device) struct import_device device;
        bool done;
        read_device(rows, &device);
        TRY(import_deviceauth_db_insert_device(to, &device, &done));
    }
    return ERR_OK;
}

static enum err copy_device(struct db *from, struct db *to, const char *id)
{
    static const char sql[] = "SELECT " DEVICE "WHERE d.id = $1";
    return copy_devices(from, to, sql, DB_ARGS(db_text(id)));
}

static enum err copy_sets(struct db *from, struct db *to, const char *sql, const struct db_arg *args)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(from, sql, args, &rows));
    while (db_rows_next(rows)) {
        AUTO(import_deviceauth_db_release_set) struct import_set set;
        bool done;
        read_set(rows, &set);
        TRY(copy_device(from, to, set.device_id));
        TRY(import_deviceauth_db_insert_set(to, &set, &done));
    }
    return ERR_OK;
}

void import_deviceauth_db_release_device(struct import_device *device)
{
    mem_free(&device->id);
    mem_free(&device->tenant);
    mem_free(&device->id_data);
    mem_free(&device->sha256);
    mem_free(&device->status);
    mem_free(&device->id_hash);
}

void import_deviceauth_db_release_set(struct import_set *set)
{
    mem_free(&set->id);
    mem_free(&set->tenant);
    mem_free(&set->device_id);
    mem_free(&set->pubkey);
    mem_free(&set->key_hash);
    mem_free(&set->status);
}

void import_deviceauth_db_release_pass(struct import_pass *pass)
{
    mem_free(&pass->id);
    mem_free(&pass->device_id);
}

void import_deviceauth_db_release_limit(struct import_limit *limit)
{
    mem_free(&limit->tenant);
    mem_free(&limit->name);
}

enum err import_deviceauth_db_insert_device(struct db *db, const struct import_device *device, bool *done)
{
    struct device row = {
        .id = device->id,
        .tenant_id = device->tenant,
        .id_data = device->id_data,
        .status = DEVICE_NOAUTH,
        .is_decommissioning = device->decommissioning != 0,
        .is_provisioned = device->provisioned != 0,
        .revision = device->revision,
        .created_ms = device->created_ms,
        .updated_ms = device->updated_ms,
        .seen_ms = device->seen_ms,
    };
    (void)device_status_parse(device->status, &row.status);
    return device_restore(db, &row, device->id_hash, done);
}

enum err import_deviceauth_db_load_device(struct db *db, const char *id, struct import_device *out)
{
    static const char sql[] = "SELECT " DEVICE "WHERE d.id = $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    read_device(rows, out);
    return ERR_OK;
}

enum err import_deviceauth_db_copy_devices(struct db *from, struct db *to, const struct import_device *device)
{
    static const char sql[] = "SELECT " DEVICE "WHERE d.id = $1 OR (d.tenant_id = $2 AND d.id_hash = $3)";
    return copy_devices(from, to, sql, DB_ARGS(db_text(device->id), db_text(device->tenant), db_text(device->id_hash)));
}

enum err import_deviceauth_db_insert_set(struct db *db, const struct import_set *set, bool *done)
{
    /* no row refers to a device that is not there, which would be an error */
    static const char sql[] = "INSERT INTO auth_sets (" SET ") SELECT $1, $2, $3, $4, $5, $6, $7 FROM devices "
                              "WHERE id = $3 AND tenant_id = $2 ON CONFLICT DO NOTHING";
    return insert(db, sql,
                  DB_ARGS(db_text(set->id), db_text(set->tenant), db_text(set->device_id), db_text(set->key_hash),
                          db_text(set->pubkey), db_text(set->status), db_int(set->created_ms)),
                  done);
}

enum err import_deviceauth_db_load_set(struct db *db, const char *id, struct import_set *out)
{
    static const char sql[] = "SELECT " SET " FROM auth_sets WHERE id = $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    read_set(rows, out);
    return ERR_OK;
}

enum err import_deviceauth_db_copy_sets(struct db *from, struct db *to, const struct import_set *set)
{
    static const char sql[] = "SELECT " SET " FROM auth_sets WHERE id = $1 OR (device_id = $2 AND key_hash = $3)";
    TRY(copy_device(from, to, set->device_id));
    return copy_sets(from, to, sql, DB_ARGS(db_text(set->id), db_text(set->device_id), db_text(set->key_hash)));
}

enum err import_deviceauth_db_insert_pass(struct db *db, const struct import_pass *pass, bool *done)
{
    static const char sql[] = "INSERT INTO device_tokens (id, tenant_id, device_id, issued_ms, expires_ms) "
                              "SELECT id, tenant_id, device_id, 0, CAST($3 AS BIGINT) FROM auth_sets "
                              "WHERE id = $1 AND device_id = $2 AND status = 'accepted' ON CONFLICT DO NOTHING";
    return insert(db, sql, DB_ARGS(db_text(pass->id), db_text(pass->device_id), db_int(pass->expires_ms)), done);
}

enum err import_deviceauth_db_load_pass(struct db *db, const char *id, struct import_pass *out)
{
    static const char sql[] = "SELECT id, device_id, expires_ms FROM device_tokens WHERE id = $1";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(id)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct import_pass){.id = mem_strdup(db_rows_text(rows, 0)),
                                .device_id = mem_strdup(db_rows_text(rows, 1)),
                                .expires_ms = db_rows_int(rows, 2)};
    return ERR_OK;
}

enum err import_deviceauth_db_copy_passes(struct db *from, struct db *to, const struct import_pass *pass)
{
    static const char sql[] = "SELECT " SET " FROM auth_sets WHERE id = $1";
    AUTO(import_deviceauth_db_release_pass) struct import_pass stored = {0};
    bool done;
    TRY(copy_sets(from, to, sql, DB_ARGS(db_text(pass->id))));
    enum err e = import_deviceauth_db_load_pass(from, pass->id, &stored);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    return import_deviceauth_db_insert_pass(to, &stored, &done);
}

enum err import_deviceauth_db_insert_limit(struct db *db, const struct import_limit *limit, bool *done)
{
    static const char sql[] = "INSERT INTO limits (tenant_id, name, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    return insert(db, sql, DB_ARGS(db_text(limit->tenant), db_text(limit->name), db_int(limit->value)), done);
}

enum err import_deviceauth_db_load_limit(struct db *db, const char *tenant, const char *name, struct import_limit *out)
{
    static const char sql[] = "SELECT value FROM limits WHERE tenant_id = $1 AND name = $2";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(name)), &rows));
    if (!db_rows_next(rows))
        return ERR_NOT_FOUND;
    *out = (struct import_limit){.tenant = mem_strdup(tenant), .name = mem_strdup(name), .value = db_rows_int(rows, 0)};
    return ERR_OK;
}
