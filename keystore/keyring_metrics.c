/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyring_metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/metrics.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct keyring_metrics *rings;

static const char *const result_names[KEYRING_RESULTS] = {
    [KEYRING_CHANGED] = "changed",
    [KEYRING_UNCHANGED] = "unchanged",
    [KEYRING_FAILED] = "failed",
};

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void series(FILE *out, const char *name, const struct keyring_metrics *m)
{
    fprintf(out, "%s{ring=\"", name);
    metrics_label(out, m->name);
    fputc('"', out);
}

static int64_t keys_of(const struct keyring_metrics *m, const struct keyset *set)
{
    (void)m;
    int64_t keys = 0;
    for (size_t i = 0; i < keyset_count(set); i++)
        keys += keyset_entry(set, i)->key != NULL;
    return keys;
}

static int64_t refused_of(const struct keyring_metrics *m, const struct keyset *set)
{
    (void)m;
    int64_t refused = 0;
    for (size_t i = 0; i < keyset_count(set); i++)
        refused += keyset_entry(set, i)->reason != ERR_OK;
    return refused;
}

static int64_t generation_of(const struct keyring_metrics *m, const struct keyset *set)
{
    (void)set;
    return (int64_t)keyring_generation(m->ring);
}

static int64_t success_of(const struct keyring_metrics *m, const struct keyset *set)
{
    (void)set;
    return m->last_success_s;
}

static const struct {
    const char *name;
    const char *help;
    int64_t (*value)(const struct keyring_metrics *, const struct keyset *);
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

static void write_keys(FILE *out, const struct keyring_metrics *m, const struct keyset *set)
{
    for (size_t i = 0; i < keyset_count(set); i++) {
        const struct keyset_entry *entry = keyset_entry(set, i);
        if (entry->key == NULL)
            continue;
        series(out, "mintd_key_info", m);
        fprintf(out, ",kid=\"%" PRId64 "\",alg=\"%s\",state=\"%s\"} 1\n", key_kid(entry->key),
                key_alg_name(key_alg(entry->key)), state_of(set, entry));
    }
}

static void write_gauge(FILE *out, size_t g)
{
    head(out, gauges[g].name, "gauge", gauges[g].help);
    for (const struct keyring_metrics *m = rings; m != NULL; m = m->next) {
        struct keyring_view view = keyring_acquire(m->ring);
        series(out, gauges[g].name, m);
        fprintf(out, "} %" PRId64 "\n", gauges[g].value(m, view.set));
        keyring_release(&view);
    }
}

static void write_all(FILE *out, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    for (size_t g = 0; g < sizeof gauges / sizeof *gauges; g++)
        write_gauge(out, g);
    head(out, "mintd_key_info", "gauge", "A key in use and what for.");
    for (const struct keyring_metrics *m = rings; m != NULL; m = m->next) {
        struct keyring_view view = keyring_acquire(m->ring);
        write_keys(out, m, view.set);
        keyring_release(&view);
    }
    head(out, "mintd_keyring_reload_total", "counter", "Looks at the key directory by result.");
    for (const struct keyring_metrics *m = rings; m != NULL; m = m->next)
        for (int r = 0; r < KEYRING_RESULTS; r++) {
            series(out, "mintd_keyring_reload_total", m);
            fprintf(out, ",result=\"%s\"} %" PRId64 "\n", result_names[r], (int64_t)m->reloads[r]);
        }
    pthread_mutex_unlock(&lock);
}

static void collect(void)
{
    metrics_collect(write_all, NULL);
}

void keyring_metrics_add(struct keyring_metrics *m)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, collect);
    pthread_mutex_lock(&lock);
    m->next = rings;
    rings = m;
    pthread_mutex_unlock(&lock);
}

void keyring_metrics_remove(struct keyring_metrics *m)
{
    pthread_mutex_lock(&lock);
    for (struct keyring_metrics **at = &rings; *at != NULL; at = &(*at)->next)
        if (*at == m) {
            *at = m->next;
            break;
        }
    pthread_mutex_unlock(&lock);
}

void keyring_metrics_count(struct keyring_metrics *m, enum keyring_result result)
{
    m->reloads[result]++;
    if (result != KEYRING_FAILED)
        m->last_success_s = clock_s();
}
