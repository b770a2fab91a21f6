/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_CSV_H
#define LIB_CSV_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

/* Comma-separated values (RFC 4180), a record at a time; lines may end with LF alone; a byte order mark is skipped. */

/* Fields of a record, and bytes of one. */
#define CSV_FIELDS_MAX 64
#define CSV_FIELD_MAX 65536

struct csv {
    FILE *file;   /* borrowed */
    int64_t line; /* that comes next, from 1 */
    char *field[CSV_FIELDS_MAX];
    size_t n;
    int64_t at; /* the line in which the record begins */
};

void csv_begin(struct csv *csv, FILE *file);
void csv_release(struct csv *csv);

/*
 * Read the next record into field[0..n - 1], which are csv's; blank lines are none. ERR_NOT_FOUND: there are no more.
 * ERR_INVALID: a quote that is not closed, or too much of something; nothing more can be read
 */
enum err csv_next(struct csv *csv);

#endif
