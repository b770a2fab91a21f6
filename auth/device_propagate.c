/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_propagate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/device.h"
#include "auth/device_db.h"
#include "auth/device_event.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rand.h"

enum { BATCH = 512, REPLY_MAX = 64 * 1024, DATE_SIZE = 64 };

/* What happens with a batch of devices of one tenant that have this status. */
typedef enum err visit_fn(struct device_propagate *run, const char *tenant, enum device_status status,
                          struct device *const *list, size_t n);

/* A tenant or an id as one segment of a path. */
static char *segment(const char *text)
{
    char *out = mem_calloc(3 * strlen(text) + 1, 1);
    size_t len = 0;
    for (const char *p = text; *p != '\0'; p++) {
        bool is_plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                        strchr("-._~", *p) != NULL;
        if (is_plain)
            out[len++] = *p;
        else
            len += (size_t)snprintf(out + len, 4, "%%%02X", (unsigned char)*p);
    }
    return out;
}

static char *url(const struct device_propagate *run, const char *tenant, const char *kind, const char *name,
                 const char *end)
{
    size_t len = strlen(run->inventory_addr);
    while (len > 0 && run->inventory_addr[len - 1] == '/')
        len--;
    const char *scheme = strstr(run->inventory_addr, "://") == NULL ? "http://" : "";
    AUTO(mem_free) char *who = segment(tenant);
    AUTO(mem_free) char *what = segment(name);
    return mem_printf("%s%.*s/api/internal/v1/inventory/tenants/%s/%s/%s%s", scheme, (int)len, run->inventory_addr, who,
                      kind, what, end);
}

/* Wait until the next call may be made. */
static void pace(struct device_propagate *run)
{
    if (run->calls_per_s <= 0)
        return;
    int64_t now = clock_mono_ms() * 1000;
    int64_t wait = run->next_ms_thousandths - now;
    if (wait > 0)
        nanosleep(&(struct timespec){.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000}, NULL);
    int64_t from = wait > 0 ? run->next_ms_thousandths : now;
    run->next_ms_thousandths = from + (int64_t)(1e6 / run->calls_per_s);
}

/* RFC 9110 5.6.7, in the locale that a program begins with. */
static void write_since(const struct device_propagate *run, char out[DATE_SIZE])
{
    time_t since = (time_t)run->unless_since_s;
    struct tm utc;
    if (since == 0 || gmtime_r(&since, &utc) == NULL ||
        strftime(out, DATE_SIZE, "If-Unmodified-Since: %a, %d %b %Y %H:%M:%S GMT", &utc) == 0)
        *out = '\0';
}

static void judge(struct device_propagate *run, const char *where, int status, int64_t devices)
{
    const bool is_newer = status == 412 && run->unless_since_s != 0;
    const bool is_well = status >= 200 && status < 300;
    run->told += is_well ? devices : 0;
    run->kept += is_newer ? devices : 0;
    run->refused += is_well || is_newer ? 0 : devices;
    if (!is_well && !is_newer)
        snprintf(run->why, sizeof run->why, "%.200s answers %d", where, status);
}

static enum err call(struct device_propagate *run, const char *method, const char *where, const char *body,
                     int64_t devices)
{
    char uuid[RAND_UUID_SIZE];
    char request_id[RAND_UUID_SIZE + 20];
    char since[DATE_SIZE];
    if (run->is_dry) {
        run->told += devices;
        return ERR_OK;
    }
    pace(run);
    if (http_is_given_up(&run->give_up_ms)) {
        snprintf(run->why, sizeof run->why, "the time is up");
        return ERR_HTTP_TIMEOUT;
    }
    rand_uuid(uuid);
    snprintf(request_id, sizeof request_id, "X-MEN-RequestID: %s", uuid);
    write_since(run, since);
    const char *const headers[] = {"Content-Type: application/json", "Accept: application/json", request_id,
                                   *since != '\0' ? since : NULL, NULL};
    const struct http_request request = {.method = method,
                                         .url = where,
                                         .headers = headers,
                                         .body = body,
                                         .body_len = strlen(body),
                                         .timeout_ms = run->timeout_ms,
                                         .reply_max = REPLY_MAX,
                                         .give_up_ms = &run->give_up_ms};
    AUTO(http_release) struct http_reply reply = {0};
    TRY(http_request(&request, run->why, &reply));
    judge(run, where, reply.status, devices);
    return ERR_OK;
}

static enum err tell_statuses(struct device_propagate *run, const char *tenant, enum device_status status,
                              struct device *const *list, size_t n)
{
    AUTO(json_release) json_t *body = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(body,
                              json_pack("{s:s, s:I}", "id", list[i]->id, "revision", (json_int_t)list[i]->revision));
    AUTO(mem_free) char *text = json_wire(body);
    AUTO(mem_free) char *where = url(run, tenant, "devices/status", device_status_name(status), "");
    return call(run, "POST", where, text, (int64_t)n);
}

static enum err tell_identities(struct device_propagate *run, const char *tenant, enum device_status status,
                                struct device *const *list, size_t n)
{
    (void)status;
    for (size_t i = 0; i < n; i++) {
        AUTO(mem_free) char *text = device_event_attributes(list[i]->id_data);
        AUTO(mem_free) char *where = url(run, tenant, "device", list[i]->id, "/attributes");
        TRY(call(run, "PATCH", where, text, 1));
    }
    return ERR_OK;
}

/* In batches, each after the last id of the one before: devices may come and go meanwhile. */
static enum err walk_status(struct device_propagate *run, const char *tenant, enum device_status status,
                            visit_fn *visit)
{
    AUTO(mem_free) char *after = mem_strdup("");
    for (;;) {
        struct device **list = NULL;
        size_t n = 0;
        TRY(device_db_list_after(run->db, tenant, status, after, BATCH, &list, &n));
        enum err e = n > 0 ? visit(run, tenant, status, list, n) : ERR_OK;
        if (n > 0) {
            mem_free(&after);
            after = mem_strdup(list[n - 1]->id);
        }
        device_list_free(&list, n);
        if (e != ERR_OK || n < BATCH)
            return e;
    }
}

static enum err walk_tenant(struct device_propagate *run, const char *tenant, visit_fn *visit)
{
    for (int i = 0; i < DEVICE_STATUSES; i++)
        TRY(walk_status(run, tenant, (enum device_status)i, visit));
    return ERR_OK;
}

static enum err walk(struct device_propagate *run, visit_fn *visit)
{
    if (run->tenant != NULL)
        return walk_tenant(run, run->tenant, visit);
    char **tenants = NULL;
    size_t n = 0;
    enum err e = device_db_list_tenants(run->db, &tenants, &n);
    for (size_t i = 0; i < n; i++) {
        if (e == ERR_OK)
            e = walk_tenant(run, tenants[i], visit);
        mem_free(&tenants[i]);
    }
    free(tenants);
    return e;
}

enum err device_propagate_statuses(struct device_propagate *run)
{
    return walk(run, tell_statuses);
}

enum err device_propagate_identities(struct device_propagate *run)
{
    return walk(run, tell_identities);
}
