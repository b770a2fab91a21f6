/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_IMPORT_REPORT_H
#define CMD_IMPORT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/import.h"

/* What an import tells a person: how far it is, on a terminal, and in the end what became of everything. */
struct import_report;

struct import_report *import_report_new(void);
void import_report_free(struct import_report **report);

/* A file of this collection comes next; both are borrowed. */
void import_report_file(struct import_report *report, const struct import_collection *collection, const char *file);

/* What became of the document that begins in this line of the file. */
void import_report_add(struct import_report *report, int64_t line, struct import_verdict verdict);

/* Show how far it is, and take that away again. */
void import_report_progress(struct import_report *report);
void import_report_clear(struct import_report *report);

/* Documents of this fate in all collections. */
int64_t import_report_count(const struct import_report *report, enum import_fate fate);

/* A table on stdout, a row a collection, and for what was skipped each reason with its first places. */
void import_report_print(const struct import_report *report);

#endif
