/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_IMPORTING_H
#define TESTS_IMPORTING_H

#include "auth/import.h"

/* Documents on their way through a collection of an import into a database; in their texts ' stands for ". */

/* What becomes of a document in a database or, unless from is NULL, with what that one holds copied there first. */
struct import_verdict importing(const struct import_collection *collection, struct db *to, struct db *from,
                                const char *text);

/* The same, checked; why is a part of what is said of a document that is skipped. */
void importing_becomes(const struct import_collection *collection, struct db *db, const char *text,
                       enum import_fate want);
void importing_skips(const struct import_collection *collection, struct db *db, const char *text, const char *why);

/* The one text, or the one number, that a query gives. */
void importing_holds(struct db *db, const char *sql, const char *want);
void importing_holds_count(struct db *db, const char *sql, int64_t want);

#endif
