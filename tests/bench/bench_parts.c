/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of requests cost:
 *   bench_parts [NAME ...]
 * prints {"NAME": us, ...} for the parts named, or for all: CPU time of the thread in microseconds, for names that end
 * in _wall the time on the wall. Medians of rounds that take the parts in turn. Commits go to a file in /tmp.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/parts.h"

#define ROUNDS 7
#define ROUND_US 4000.0
#define PARTS_MAX 32

static double now_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double time_us(const struct part *part, int n)
{
    double start = now_us(part->clock);
    for (int i = 0; i < n; i++)
        part->run(part->signer);
    return (now_us(part->clock) - start) / n / part->operations;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int choose(int argc, char **argv, const struct part *chosen[PARTS_MAX])
{
    int count = 0;
    for (int i = 1; i < argc && count < PARTS_MAX; i++)
        chosen[count++] = parts_get(argv[i]);
    for (const struct part *part = parts; argc == 1 && part->name != NULL; part++)
        chosen[count++] = parts_get(part->name);
    return count;
}

int main(int argc, char **argv)
{
    static double us[PARTS_MAX][ROUNDS];
    const struct part *chosen[PARTS_MAX];
    int times[PARTS_MAX];
    int count = choose(argc, argv, chosen);
    for (int i = 0; i < count; i++)
        times[i] = 1 + (int)(ROUND_US / chosen[i]->operations / time_us(chosen[i], 3));
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < count; i++)
            us[i][round] = time_us(chosen[i], times[i]);
    json_t *report = json_object();
    for (int i = 0; i < count; i++) {
        qsort(us[i], ROUNDS, sizeof us[i][0], compare);
        json_object_set_new(report, chosen[i]->name, json_real(us[i][ROUNDS / 2]));
    }
    json_dumpf(report, stdout, JSON_REAL_PRECISION(6));
    json_decref(report);
    parts_done();
    return 0;
}
