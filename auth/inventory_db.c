/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/inventory_db.h"

#include "auth/device_row.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define COLUMNS "SELECT " DEVICE_ROW_COLUMNS " "
#define PART " LIMIT $2 OFFSET $3) "

/* The part is cut out of the index alone; the rest is looked up for what it holds. */
#define OF_DEVICES(where, order)                                                                                       \
    COLUMNS "FROM (SELECT id AS of_id FROM devices WHERE tenant_id = $1 " where "ORDER BY " order PART "p JOIN "       \
            "devices d ON d.id = p.of_id " DEVICE_ROW_SEEN "ORDER BY " order
#define OF_ATTRIBUTES(where, order)                                                                                    \
    COLUMNS "FROM (SELECT value AS its_value, device_id AS of_id FROM device_attributes WHERE tenant_id = $1 AND "     \
            "name = $4 " where "ORDER BY " order PART "a JOIN devices d ON d.id = a.of_id " DEVICE_ROW_SEEN            \
            "ORDER BY " order

static const char *const sql_of[] = {
    [INVENTORY_DB_ID] = OF_DEVICES("AND id = $4 ", "id"),
    [INVENTORY_DB_VALUE] = OF_ATTRIBUTES("AND value = $5 ", "its_value, of_id"),
    [INVENTORY_DB_STATUS] = OF_DEVICES("AND status = $4 ", "id"),
    [INVENTORY_DB_NAME] = OF_ATTRIBUTES("", "its_value, of_id"),
    [INVENTORY_DB_NAME_DOWN] = OF_ATTRIBUTES("", "its_value DESC, of_id DESC"),
    [INVENTORY_DB_CREATED] = OF_DEVICES("", "created_ms, id"),
    [INVENTORY_DB_CREATED_DOWN] = OF_DEVICES("", "created_ms DESC, id DESC"),
    [INVENTORY_DB_UPDATED] = OF_DEVICES("", "updated_ms, id"),
    [INVENTORY_DB_UPDATED_DOWN] = OF_DEVICES("", "updated_ms DESC, id DESC"),
};

enum err inventory_db_read(struct db *db, const char *tenant, const struct inventory_db_source *source, int64_t skip,
                           int64_t limit, struct device ***out, size_t *n)
{
    struct db_arg args[6] = {db_text(tenant), db_int(limit), db_int(skip)};
    for (size_t i = 0; i < 2 && source->key[i] != NULL; i++)
        args[3 + i] = db_text(source->key[i]);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql_of[source->kind], args, &rows));
    struct device **list = mem_calloc(db_rows_count(rows), sizeof(struct device *));
    size_t count = 0;
    while (db_rows_next(rows))
        list[count++] = device_row_read(rows);
    *out = list;
    *n = count;
    return ERR_OK;
}

enum err inventory_db_next_name(struct db *db, const char *tenant, const char *name, char **next)
{
    static const char sql[] = "SELECT MIN(name) FROM device_attributes WHERE tenant_id = $1 AND name > $2";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(name)), &rows));
    if (!db_rows_next(rows) || db_rows_is_null(rows, 0))
        return ERR_NOT_FOUND;
    *next = mem_strdup(db_rows_text(rows, 0));
    return ERR_OK;
}

enum err inventory_db_count_name(struct db *db, const char *tenant, const char *name, int64_t limit, int64_t *count)
{
    static const char sql[] = "SELECT COUNT(*) FROM "
                              "(SELECT 1 FROM device_attributes WHERE tenant_id = $1 AND name = $2 LIMIT $3) a";
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(db_query(db, sql, DB_ARGS(db_text(tenant), db_text(name), db_int(limit)), &rows));
    *count = db_rows_next(rows) ? db_rows_int(rows, 0) : 0;
    return ERR_OK;
}
