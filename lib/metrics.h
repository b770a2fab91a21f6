/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_METRICS_H
#define LIB_METRICS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Counters, gauges and histograms, shown in the Prometheus text format 0.0.4. Adding to one is a relaxed atomic add on
 * a cell of the calling thread's stripe: no lock, no shared cache line.
 *
 *   METRICS_COUNTER(logins_ok, "mintd_logins_total", "result=\"ok\"", "Logins by result.");
 *   metrics_add(&logins_ok, 1);
 *
 * A definition stands at file scope and registers itself before main(). Metrics of one name share HELP and TYPE.
 */
enum metrics_type { METRICS_TYPE_COUNTER, METRICS_TYPE_GAUGE, METRICS_TYPE_HISTOGRAM };

/* Upper bounds of the histogram buckets: 50 us times 2^i, then +Inf. */
#define METRICS_BUCKETS 18
#define METRICS_STRIPES 8

struct metrics_stripe {
    /* counters and gauges use value only; histograms add their sum of ns to it and count in bucket[] */
    _Alignas(64) _Atomic int64_t value;
    _Atomic uint64_t bucket[METRICS_BUCKETS + 1];
};

struct metric {
    const char *name;
    const char *labels; /* "a=\"b\",c=\"d\"", "" for none */
    const char *help;
    enum metrics_type type;
    struct metric *next;
    struct metrics_stripe stripe[METRICS_STRIPES];
};

#define METRICS_DEFINE(var, kind, metric_name, label_text, help_text)                                                  \
    static struct metric var = {.name = metric_name, .labels = label_text, .help = help_text, .type = kind};           \
    __attribute__((constructor)) static void var##_register(void)                                                      \
    {                                                                                                                  \
        metrics_register(&var);                                                                                        \
    }                                                                                                                  \
    _Static_assert(1, "a semicolon follows")
#define METRICS_COUNTER(var, name, labels, help) METRICS_DEFINE(var, METRICS_TYPE_COUNTER, name, labels, help)
#define METRICS_GAUGE(var, name, labels, help) METRICS_DEFINE(var, METRICS_TYPE_GAUGE, name, labels, help)
#define METRICS_HISTOGRAM(var, name, labels, help) METRICS_DEFINE(var, METRICS_TYPE_HISTOGRAM, name, labels, help)

/* Make m part of the output. Needed only for metrics made at run time; they must live as long as the program. */
void metrics_register(struct metric *m);

/* Add n to a counter or (n may be negative) to a gauge. */
void metrics_add(struct metric *m, int64_t n);

/* The sum over all threads of a counter or gauge; of a histogram, the number of observations. */
int64_t metrics_value(const struct metric *m);

/* Count one duration. */
void metrics_observe(struct metric *m, int64_t ns);

/*
 * Call write(out) at each output, from now on: for series whose labels are known only then (keys). It writes whole
 * families, HELP and TYPE included. There is room for 16.
 */
void metrics_collect(void (*write)(FILE *out));

/* Write everything in text format 0.0.4. */
void metrics_write(FILE *out);

/* Write a label value with \ " and newline escaped. */
void metrics_label(FILE *out, const char *value);

#endif
