/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IMPORT_H
#define AUTH_IMPORT_H

#include <jansson.h>

#include "lib/db.h"
#include "lib/err.h"

/* What an original's collections have in common for who imports them: a table, an entry a collection. */

/* What becomes of a document. */
enum import_fate {
    IMPORT_TAKEN,
    IMPORT_THERE,   /* the same is stored already */
    IMPORT_EXPIRED, /* nobody can use it any more */
    IMPORT_SKIPPED,
};
#define IMPORT_FATES (IMPORT_SKIPPED + 1)

struct import_verdict {
    enum import_fate fate;
    const char *why; /* of IMPORT_SKIPPED: a literal, nothing of the document in it */
};

struct import_collection {
    const char *name; /* that it has in the original; NULL ends a table */

    /* Make a row, freed by release(), of a document; NULL: the verdict says why there is none. */
    void *(*decode)(const json_t *document, struct import_verdict *verdict);
    void (*release)(void **row);

    /*
     * Store the row, or find out why not; inside a transaction. A row that is stored is never changed.
     * Storage errors; otherwise the verdict is written
     */
    enum err (*write)(struct db *tx, const void *row, struct import_verdict *verdict);

    /* Copy what write() would look at in one database to another one: there a dry run then writes. Storage errors */
    enum err (*copy)(struct db *from, struct db *to, const void *row);
};

#endif
