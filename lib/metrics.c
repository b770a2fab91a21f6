/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define COLLECTORS_MAX 16
#define BUCKET_FIRST_NS 50000

static struct metric *first;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list and the collectors */

static void (*collectors[COLLECTORS_MAX])(FILE *out);
static size_t collectors_n;

static struct metrics_stripe *own_stripe(struct metric *m)
{
    static atomic_uint threads;
    static _Thread_local unsigned number;
    if (number == 0)
        number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % METRICS_STRIPES + 1;
    return &m->stripe[number - 1];
}

static size_t bucket_of(int64_t ns)
{
    size_t i = 0;
    for (int64_t bound = BUCKET_FIRST_NS; i < METRICS_BUCKETS && ns > bound; bound *= 2)
        i++;
    return i;
}

static uint64_t bucket_sum(const struct metric *m, size_t bucket)
{
    uint64_t sum = 0;
    for (size_t s = 0; s < METRICS_STRIPES; s++)
        sum += atomic_load_explicit(&m->stripe[s].bucket[bucket], memory_order_relaxed);
    return sum;
}

static int64_t value_sum(const struct metric *m)
{
    int64_t sum = 0;
    for (size_t s = 0; s < METRICS_STRIPES; s++)
        sum += atomic_load_explicit(&m->stripe[s].value, memory_order_relaxed);
    return sum;
}

static void write_histogram(FILE *out, const struct metric *m)
{
    const char *comma = m->labels[0] != '\0' ? "," : "";
    uint64_t total = 0;
    int64_t bound = BUCKET_FIRST_NS;
    for (size_t i = 0; i < METRICS_BUCKETS; i++, bound *= 2) {
        total += bucket_sum(m, i);
        fprintf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", m->name, m->labels, comma, (double)bound / 1e9, total);
    }
    total += bucket_sum(m, METRICS_BUCKETS);
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", m->name, m->labels, comma, total);
    fprintf(out, "%s_sum{%s} %.9f\n", m->name, m->labels, (double)value_sum(m) / 1e9);
    fprintf(out, "%s_count{%s} %" PRIu64 "\n", m->name, m->labels, total);
}

static void write_series(FILE *out, const struct metric *m)
{
    if (m->type == METRICS_TYPE_HISTOGRAM) {
        write_histogram(out, m);
        return;
    }
    fputs(m->name, out);
    if (m->labels[0] != '\0')
        fprintf(out, "{%s}", m->labels);
    fprintf(out, " %" PRId64 "\n", value_sum(m));
}

static bool is_first_of_name(const struct metric *m)
{
    for (const struct metric *other = first; other != m; other = other->next)
        if (strcmp(other->name, m->name) == 0)
            return false;
    return true;
}

/* The series of one family must stand together, under one HELP and TYPE. */
static void write_family(FILE *out, const struct metric *m)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, types[m->type]);
    for (const struct metric *other = m; other != NULL; other = other->next)
        if (strcmp(other->name, m->name) == 0)
            write_series(out, other);
}

void metrics_register(struct metric *m)
{
    pthread_mutex_lock(&lock);
    struct metric **end = &first;
    while (*end != NULL)
        end = &(*end)->next;
    *end = m;
    pthread_mutex_unlock(&lock);
}

void metrics_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&own_stripe(m)->value, n, memory_order_relaxed);
}

int64_t metrics_value(const struct metric *m)
{
    if (m->type != METRICS_TYPE_HISTOGRAM)
        return value_sum(m);
    uint64_t total = 0;
    for (size_t i = 0; i <= METRICS_BUCKETS; i++)
        total += bucket_sum(m, i);
    return (int64_t)total;
}

void metrics_observe(struct metric *m, int64_t ns)
{
    struct metrics_stripe *stripe = own_stripe(m);
    atomic_fetch_add_explicit(&stripe->value, ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&stripe->bucket[bucket_of(ns)], 1, memory_order_relaxed);
}

void metrics_collect(void (*write)(FILE *out))
{
    pthread_mutex_lock(&lock);
    if (collectors_n < COLLECTORS_MAX)
        collectors[collectors_n++] = write;
    pthread_mutex_unlock(&lock);
}

void metrics_write(FILE *out)
{
    pthread_mutex_lock(&lock);
    for (const struct metric *m = first; m != NULL; m = m->next)
        if (is_first_of_name(m))
            write_family(out, m);
    for (size_t i = 0; i < collectors_n; i++)
        collectors[i](out);
    pthread_mutex_unlock(&lock);
}

void metrics_label(FILE *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            fputs("\\n", out);
            continue;
        }
        if (*value == '"' || *value == '\\')
            fputc('\\', out);
        fputc(*value, out);
    }
}
