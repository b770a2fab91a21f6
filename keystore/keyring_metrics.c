/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyring_metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "lib/metrics.h"

/* All rings are shown together, as a family must stand in one piece. */
struct shown {
    struct keyring *ring;
    struct shown *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shown *rings;

static const char *const result_names[KEYRING_RESULTS] = {
    [KEYRING_CHANGED] = "changed",
    [KEYRING_UNCHANGED] = "unchanged",
    [KEYRING_FAILED] = "failed",
};

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void series(FILE *out, const char *name, const struct keyring *ring)
{
    fprintf(out, "%s{ring=\"", name);
    metrics_label(out, keyring_name(ring));
    fputc('"', out);
}

static int64_t keys_of(const struct keyring *ring, const struct keyset *set)
{
    (void)ring;
    int64_t keys = 0;
    for (size_t i = 0; i < keyset_count(set); i++)
        keys += keyset_entry(set, i)->key != NULL;
    return keys;
}

static int64_t refused_of(const struct keyring *ring, const struct keyset *set)
{
    (void)ring;
    int64_t refused = 0;
    for (size_t i = 0; i < keyset_count(set); i++)
        refused += keyset_entry(set, i)->reason != ERR_OK;
    return refused;
}

static int64_t generation_of(const struct keyring *ring, const struct keyset *set)
{
    (void)set;
    return (int64_t)keyring_generation(ring);
}

static int64_t success_of(const struct keyring *ring, const struct keyset *set)
{
    (void)set;
    return keyring_counts(ring).last_success_s;
}

static const struct {
    const char *name;
    const char *help;
    int64_t (*value)(const struct keyring *, const struct keyset *);
} gauges[] = {
    {"mintd_keys", "Keys that sign or verify.", keys_of},
    {"mintd_keyring_refused_files", "Key files that are refused as they are now, or missing.", refused_of},
    {"mintd_keyring_generation", "Key sets published so far.", generation_of},
    {"mintd_keyring_last_success_timestamp_seconds", "When the key directory was last looked at with success.",
     success_of},
};

static const char *state_of(const struct keyset *set, const struct keyset_entry *entry)
{
    if (entry->key == keyset_signing(set))
        return "signing";
    return entry->is_held ? "held" : "verifying";
}

static void write_keys(FILE *out, struct keyring *ring)
{
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(ring);
    const struct keyset *set = view.set;
    for (size_t i = 0; i < keyset_count(set); i++) {
        const struct keyset_entry *entry = keyset_entry(set, i);
        if (entry->key == NULL)
            continue;
        series(out, "mintd_key_info", ring);
        fprintf(out, ",kid=\"%" PRId64 "\",alg=\"%s\",state=\"%s\"} 1\n", key_kid(entry->key),
                key_alg_name(key_alg(entry->key)), state_of(set, entry));
    }
}

static void write_gauge(FILE *out, size_t g)
{
    head(out, gauges[g].name, "gauge", gauges[g].help);
    for (const struct shown *s = rings; s != NULL; s = s->next) {
        AUTO(keyring_release) struct keyring_view view = keyring_acquire(s->ring);
        series(out, gauges[g].name, s->ring);
        fprintf(out, "} %" PRId64 "\n", gauges[g].value(s->ring, view.set));
    }
}

static void write_reloads(FILE *out, const struct keyring *ring)
{
    struct keyring_counts counts = keyring_counts(ring);
    for (int r = 0; r < KEYRING_RESULTS; r++) {
        series(out, "mintd_keyring_reload_total", ring);
        fprintf(out, ",result=\"%s\"} %" PRId64 "\n", result_names[r], counts.reloads[r]);
    }
}

static void write_all(FILE *out)
{
    pthread_mutex_lock(&lock);
    for (size_t g = 0; g < sizeof gauges / sizeof *gauges; g++)
        write_gauge(out, g);
    head(out, "mintd_key_info", "gauge", "A key in use and what for.");
    for (const struct shown *s = rings; s != NULL; s = s->next)
        write_keys(out, s->ring);
    head(out, "mintd_keyring_reload_total", "counter", "Looks at the key directory by result.");
    for (const struct shown *s = rings; s != NULL; s = s->next)
        write_reloads(out, s->ring);
    pthread_mutex_unlock(&lock);
}

static void collect(void)
{
    metrics_collect(write_all);
}

void keyring_metrics_add(struct keyring *ring)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, collect);
    struct shown *shown = mem_calloc(1, sizeof *shown);
    pthread_mutex_lock(&lock);
    *shown = (struct shown){.ring = ring, .next = rings};
    rings = shown;
    pthread_mutex_unlock(&lock);
}

void keyring_metrics_remove(struct keyring *ring)
{
    pthread_mutex_lock(&lock);
    for (struct shown **at = &rings; *at != NULL; at = &(*at)->next)
        if ((*at)->ring == ring) {
            struct shown *gone = *at;
            *at = gone->next;
            free(gone);
            break;
        }
    pthread_mutex_unlock(&lock);
}
