/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/import_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"

enum { COLLECTIONS_MAX = 8, REASONS_MAX = 128, PLACES_MAX = 5, PROGRESS_MS = 200 };

/* Documents of one collection that were skipped for one reason. */
struct reason {
    const char *why;
    size_t collection;
    int64_t count;
    char *places; /* "users.json:7, users.json:12" */
};

struct import_report {
    struct {
        const struct import_collection *collection;
        int64_t count[IMPORT_FATES];
    } rows[COLLECTIONS_MAX];
    size_t rows_n;
    size_t current; /* of rows */
    const char *file;
    struct reason reasons[REASONS_MAX];
    size_t reasons_n;
    bool is_terminal;
    bool is_shown; /* a progress line stands there */
    int64_t next_ms;
};

struct import_report *import_report_new(void)
{
    struct import_report *report = mem_calloc(1, sizeof *report);
    report->is_terminal = isatty(STDERR_FILENO) == 1;
    return report;
}

void import_report_free(struct import_report **report)
{
    if (*report == NULL)
        return;
    for (size_t i = 0; i < (*report)->reasons_n; i++)
        mem_free(&(*report)->reasons[i].places);
    free(*report);
    *report = NULL;
}

void import_report_file(struct import_report *report, const struct import_collection *collection, const char *file)
{
    size_t i = 0;
    while (i < report->rows_n && report->rows[i].collection != collection)
        i++;
    if (i == COLLECTIONS_MAX)
        abort();
    report->rows[i].collection = collection;
    report->rows_n += i == report->rows_n;
    report->current = i;
    report->file = file;
}

/* Reasons are literals of the program: few, and the same text has the same address or is equal to it. */
static struct reason *find_reason(struct import_report *report, const char *why)
{
    size_t i = 0;
    while (i < report->reasons_n &&
           (report->reasons[i].collection != report->current || strcmp(report->reasons[i].why, why) != 0))
        i++;
    if (i == REASONS_MAX)
        abort();
    if (i == report->reasons_n)
        report->reasons[report->reasons_n++] = (struct reason){.why = why, .collection = report->current};
    return &report->reasons[i];
}

void import_report_add(struct import_report *report, int64_t line, struct import_verdict verdict)
{
    report->rows[report->current].count[verdict.fate]++;
    if (verdict.fate != IMPORT_SKIPPED)
        return;
    struct reason *reason = find_reason(report, verdict.why);
    if (reason->count++ >= PLACES_MAX)
        return;
    const char *before = reason->places != NULL ? reason->places : "";
    char *places = mem_printf("%s%s%s:%" PRId64, before, *before != '\0' ? ", " : "", report->file, line);
    mem_free(&reason->places);
    reason->places = places;
}

void import_report_progress(struct import_report *report)
{
    int64_t now = clock_mono_ms();
    if (!report->is_terminal || now < report->next_ms)
        return;
    const int64_t *count = report->rows[report->current].count;
    fprintf(stderr, "\r%s: %" PRId64 " taken, %" PRId64 " already there, %" PRId64 " skipped\033[K", report->file,
            count[IMPORT_TAKEN], count[IMPORT_THERE], count[IMPORT_SKIPPED]);
    report->is_shown = true;
    report->next_ms = now + PROGRESS_MS;
}

void import_report_clear(struct import_report *report)
{
    if (report->is_shown)
        fputs("\r\033[K", stderr);
    report->is_shown = false;
}

int64_t import_report_count(const struct import_report *report, enum import_fate fate)
{
    int64_t sum = 0;
    for (size_t i = 0; i < report->rows_n; i++)
        sum += report->rows[i].count[fate];
    return sum;
}

static void print_reason(const struct import_report *report, const struct reason *reason)
{
    printf("  %" PRId64 " of %s: %s\n    %s%s\n", reason->count, report->rows[reason->collection].collection->name,
           reason->why, reason->places, reason->count > PLACES_MAX ? " ..." : "");
}

void import_report_print(const struct import_report *report)
{
    printf("%-14s %10s  %13s  %10s  %10s\n", "COLLECTION", "TAKEN", "ALREADY THERE", "EXPIRED", "SKIPPED");
    for (size_t i = 0; i < report->rows_n; i++) {
        const int64_t *count = report->rows[i].count;
        printf("%-14s %10" PRId64 "  %13" PRId64 "  %10" PRId64 "  %10" PRId64 "\n", report->rows[i].collection->name,
               count[IMPORT_TAKEN], count[IMPORT_THERE], count[IMPORT_EXPIRED], count[IMPORT_SKIPPED]);
    }
    if (report->reasons_n > 0)
        printf("\nSkipped:\n");
    for (size_t i = 0; i < report->reasons_n; i++)
        print_reason(report, &report->reasons[i]);
}
