/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/importing.h"

#include <string.h>

#include "lib/auto.h"
#include "lib/extjson.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

static json_t *parse(const char *document)
{
    AUTO(mem_free) char *text = mem_strdup(document);
    for (char *p = text; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *json = NULL;
    enum err e = extjson_parse(text, strlen(text), &json);
    ck_assert_msg(e == ERR_OK, "%s", text);
    return json;
}

struct job {
    const struct import_collection *collection;
    const void *row;
    struct db *from;
    struct import_verdict verdict;
};

static enum err write_row(struct db *tx, void *arg)
{
    struct job *job = arg;
    if (job->from != NULL)
        TRY(job->collection->copy(job->from, tx, job->row));
    return job->collection->write(tx, job->row, &job->verdict);
}

struct import_verdict importing(const struct import_collection *collection, struct db *to, struct db *from,
                                const char *text)
{
    AUTO(json_release) json_t *document = parse(text);
    struct job job = {.collection = collection, .from = from};
    void *row = job.collection->decode(document, &job.verdict);
    if (row == NULL)
        return job.verdict;
    job.row = row;
    ck_ok(db_tx(to, write_row, &job));
    job.collection->release(&row);
    ck_assert_ptr_null(row);
    return job.verdict;
}

void importing_becomes(const struct import_collection *collection, struct db *db, const char *text,
                       enum import_fate want)
{
    struct import_verdict got = importing(collection, db, NULL, text);
    ck_assert_msg(got.fate == want, "%s: %d %s", text, (int)got.fate, got.fate == IMPORT_SKIPPED ? got.why : "");
}

void importing_skips(const struct import_collection *collection, struct db *db, const char *text, const char *why)
{
    struct import_verdict got = importing(collection, db, NULL, text);
    ck_assert_msg(got.fate == IMPORT_SKIPPED && strstr(got.why, why) != NULL, "%s: %d %s", text, (int)got.fate,
                  got.why);
}

void importing_holds(struct db *db, const char *sql, const char *want)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert_uint_eq(db_rows_count(rows), 1);
    ck_assert(db_rows_next(rows));
    ck_assert_str_eq(db_rows_text(rows, 0), want);
}

void importing_holds_count(struct db *db, const char *sql, int64_t want)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, sql, DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    ck_assert_int_eq(db_rows_int(rows, 0), want);
}
