/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/csv.h"

#include <stdbool.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"

void csv_begin(struct csv *csv, FILE *file)
{
    *csv = (struct csv){.file = file, .line = 1};
    for (const char *mark = "\xef\xbb\xbf"; *mark != '\0'; mark++) {
        int c = getc(file);
        if (c == (unsigned char)*mark)
            continue;
        ungetc(c, file);
        return;
    }
}

static void drop_fields(struct csv *csv)
{
    for (size_t i = 0; i < csv->n; i++)
        mem_free(&csv->field[i]);
    csv->n = 0;
}

void csv_release(struct csv *csv)
{
    drop_fields(csv);
}

/* The next byte of a field; a line's end is one LF. */
static int next(struct csv *csv)
{
    int c = getc(csv->file);
    if (c == '\r') {
        int after = getc(csv->file);
        if (after != '\n')
            ungetc(after, csv->file);
        else
            c = after;
    }
    csv->line += c == '\n';
    return c;
}

static int peek(struct csv *csv)
{
    int c = getc(csv->file);
    ungetc(c, csv->file);
    return c;
}

/* One field, and in *end what stands behind it: a comma, LF or EOF. */
static enum err read_field(struct csv *csv, char **out, int *end)
{
    AUTO(mem_free) char *text = mem_calloc(CSV_FIELD_MAX + 1, 1);
    size_t len = 0;
    bool is_quoted = false;
    for (;;) {
        int c = next(csv);
        if (c == '"' && (is_quoted || len == 0)) {
            bool is_doubled = is_quoted && peek(csv) == '"';
            if (!is_doubled) {
                is_quoted = !is_quoted;
                continue;
            }
            (void)next(csv);
        } else if (c == EOF || (!is_quoted && (c == ',' || c == '\n'))) {
            *end = c;
            break;
        }
        if (len == CSV_FIELD_MAX || c == '\0')
            return ERR_INVALID;
        text[len++] = (char)c;
    }
    if (is_quoted)
        return ERR_INVALID;
    *out = mem_strndup(text, len);
    return ERR_OK;
}

enum err csv_next(struct csv *csv)
{
    drop_fields(csv);
    int end = ',';
    while (peek(csv) == '\n' || peek(csv) == '\r')
        (void)next(csv);
    if (peek(csv) == EOF)
        return ERR_NOT_FOUND;
    csv->at = csv->line;
    while (end == ',') {
        if (csv->n == CSV_FIELDS_MAX)
            return ERR_INVALID;
        TRY(read_field(csv, &csv->field[csv->n], &end));
        csv->n++;
    }
    return ERR_OK;
}
