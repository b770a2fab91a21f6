/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/db_engine.h"
#include "lib/mem.h"

/* All values stand in one text, in order, each with a NUL behind it. An integer is kept as its digits. */
struct db_rows {
    size_t cols;
    size_t current; /* 1 is the first row; 0 before the first db_rows_next() */
    size_t *starts; /* of each value in text, row by row */
    size_t n_starts;
    size_t max_starts;
    char *text;
    size_t len;
    size_t max_len;
};

static const size_t null_value = SIZE_MAX;

struct db_rows *db_rows_new(void)
{
    return mem_calloc(1, sizeof(struct db_rows));
}

void db_rows_free(struct db_rows **rows)
{
    if (*rows == NULL)
        return;
    free((*rows)->starts);
    free((*rows)->text);
    free(*rows);
    *rows = NULL;
}

void db_rows_clear(struct db_rows *rows)
{
    rows->current = 0;
    rows->n_starts = 0;
    rows->len = 0;
}

static size_t put_text(struct db_rows *rows, const char *text, size_t len)
{
    if (rows->max_len - rows->len <= len) {
        rows->max_len = (rows->max_len + len + 1) * 2 + 128;
        rows->text = mem_resize(rows->text, rows->max_len, 1);
    }
    size_t start = rows->len;
    memcpy(rows->text + start, text, len);
    rows->text[start + len] = '\0';
    rows->len += len + 1;
    return start;
}

void db_rows_put(struct db_rows *rows, size_t cols, const char *text, size_t len)
{
    if (rows->n_starts == rows->max_starts) {
        rows->max_starts = rows->max_starts * 2 + 16;
        rows->starts = mem_resize(rows->starts, rows->max_starts, sizeof *rows->starts);
    }
    rows->cols = cols;
    rows->starts[rows->n_starts++] = text == NULL ? null_value : put_text(rows, text, len);
}

bool db_rows_next(struct db_rows *rows)
{
    if (rows->current == db_rows_count(rows))
        return false;
    rows->current++;
    return true;
}

const char *db_rows_text(const struct db_rows *rows, size_t col)
{
    if (rows->current == 0 || col >= rows->cols)
        return NULL;
    size_t start = rows->starts[(rows->current - 1) * rows->cols + col];
    return start == null_value ? NULL : rows->text + start;
}

int64_t db_rows_int(const struct db_rows *rows, size_t col)
{
    const char *digits = db_rows_text(rows, col);
    return digits == NULL ? 0 : strtoll(digits, NULL, 10);
}

bool db_rows_is_null(const struct db_rows *rows, size_t col)
{
    return db_rows_text(rows, col) == NULL;
}

size_t db_rows_count(const struct db_rows *rows)
{
    return rows->cols == 0 ? 0 : rows->n_starts / rows->cols;
}
