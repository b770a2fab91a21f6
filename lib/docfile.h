/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_DOCFILE_H
#define LIB_DOCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * The documents in a file that mongoexport wrote: JSON objects, one a line, or with --jsonArray in one array. The file
 * is streamed; one document at a time is in memory.
 */
struct docfile;

/* Bytes of the longest document that is read. */
#define DOCFILE_DOC_MAX (4 << 20)

/* Room for a message; it does not name the file. */
#define DOCFILE_WHY_SIZE 160

/*
 * Open a file, or with "-" stdin, and look at how it begins: what is no such file (compressed, BSON, CSV, a directory)
 * is refused here. ERR_IO, and why says what is wrong
 */
enum err docfile_open(const char *path, char why[DOCFILE_WHY_SIZE], struct docfile **out);
void docfile_free(struct docfile **file);

struct docfile_doc {
    const char *text; /* borrowed until the next call; not looked at yet */
    size_t len;
    int64_t line; /* where it begins, from 1 */
    bool is_long; /* longer than DOCFILE_DOC_MAX: there is no text */
};

/*
 * The next document; blank lines are none. ERR_NOT_FOUND: there are no more. ERR_IO: the file cannot be read, and
 * ERR_JSON: the array is broken; why says how, and nothing more can be read.
 */
enum err docfile_next(struct docfile *file, char why[DOCFILE_WHY_SIZE], struct docfile_doc *out);

#endif
