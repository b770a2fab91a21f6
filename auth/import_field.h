/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IMPORT_FIELD_H
#define AUTH_IMPORT_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Reading the members of an original's documents into rows, by a table. */

enum import_field_form {
    IMPORT_FIELD_ID,       /* any form of an id, as text */
    IMPORT_FIELD_TOKEN_ID, /* the same, UUIDs and object ids in lower case */
    IMPORT_FIELD_TEXT,
    IMPORT_FIELD_BINARY, /* as base64 */
    IMPORT_FIELD_TIME,   /* in milliseconds, nothing before 1970 */
    IMPORT_FIELD_INT,
    IMPORT_FIELD_BOOL,
};

/* Where a member of a document goes; "exp.time" is a member of a member. */
struct import_field {
    const char *name; /* NULL ends a table */
    enum import_field_form form;
    bool is_required; /* not there, or null: "", NULL or 0 otherwise */
    size_t offset;    /* of a char *, or of an int64_t for times, numbers and flags, in the row */
    const char *fault;
};

/* Whether a token can name this id: it is not empty, and not too long. */
bool import_field_is_id(const char *id);

/* Fill a row, whose texts are NULL as yet; what is wrong with the members, or NULL. The texts are the caller's. */
const char *import_field_read(const struct import_field *fields, const json_t *document, void *row);

#endif
