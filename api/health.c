/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/route.h"
#include "api/service.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/metrics.h"

#define JWKS_CACHE_CONTROL "public, max-age=300"

/* People's keys, or devices' where there are only those. */
static struct keyring *main_ring(const struct service *service)
{
    return issuer_ring(service->devices_only ? service->fleet->tokens : service->users);
}

static json_t *describe_file(const struct keyset_entry *entry)
{
    json_t *json = json_pack("{s:s}", "file", entry->file);
    if (entry->key != NULL) {
        json_object_set_new(json, "kid", json_integer(key_kid(entry->key)));
        json_object_set_new(json, "alg", json_string(key_alg_name(key_alg(entry->key))));
        json_object_set_new(json, "thumbprint", json_string(key_thumbprint(entry->key)));
    }
    if (entry->is_held)
        json_object_set_new(json, "held", json_true());
    if (entry->reason != ERR_OK)
        json_object_set_new(json, "reason", json_string(err_text(entry->reason)));
    return json;
}

static json_t *describe_keys(const struct keyset *set)
{
    json_t *files = json_array();
    for (size_t i = 0; i < keyset_count(set); i++)
        json_array_append_new(files, describe_file(keyset_entry(set, i)));
    return json_pack("{s:I, s:o}", "signing_kid", (json_int_t)key_kid(keyset_signing(set)), "files", files);
}

/* The keys of devices' tokens when they are not those of people's; NULL otherwise. */
static struct keyring *device_ring(const struct service *service)
{
    struct keyring *ring = service->fleet != NULL ? issuer_ring(service->fleet->tokens) : NULL;
    return ring != main_ring(service) ? ring : NULL;
}

/* Add what is to be known of a ring; whether nothing is wrong with its files. */
static bool describe_ring(json_t *json, const char *name, struct keyring *ring)
{
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(ring);
    json_object_set_new(json, name, describe_keys(view.set));
    return keyset_is_clean(view.set);
}

/* The services that devices need, where there are any. */
static bool describe_peers(json_t *json, const struct service *service)
{
    char why[PEERS_WHY_SIZE];
    if (service->fleet == NULL || service->peers == NULL || !peers_has_any(service->peers))
        return true;
    bool is_well = peers_check(service->peers, why) == ERR_OK;
    json_object_set_new(json, "peers", json_string(is_well ? "ok" : why));
    return is_well;
}

/* Degraded: it serves, but an operator should look. */
static enum err show_detail(struct call *c, bool is_db_there)
{
    AUTO(json_release)
    json_t *json = json_pack("{s:n, s:s, s:{s:s, s:b}}", "status", "version", c->service->version, "database", "engine",
                             db_engine(c->service->db), "reachable", (int)is_db_there);
    bool is_clean = describe_ring(json, "keys", main_ring(c->service));
    struct keyring *devices = device_ring(c->service);
    if (devices != NULL)
        is_clean = describe_ring(json, "device_keys", devices) && is_clean;
    is_clean = describe_peers(json, c->service) && is_clean;
    const char *state = !is_db_there ? "unavailable" : is_clean ? "ok" : "degraded";
    json_object_set_new(json, "status", json_string(state));
    return call_json(c, is_db_there ? 200 : 503, json);
}

/* If-None-Match is "*" or a list of tags, compared weakly (RFC 9110 section 13.1.2). */
static bool is_known_to_client(const char *if_none_match, const char *etag)
{
    if (if_none_match == NULL)
        return false;
    return strcmp(if_none_match, "*") == 0 || strstr(if_none_match, etag) != NULL;
}

enum err health_alive(struct call *c)
{
    return call_empty(c, 204);
}

enum err health_show(struct call *c)
{
    enum err e = db_ping(c->service->db);
    if (strcmp(c->query, "detail=1") == 0)
        return show_detail(c, e == ERR_OK);
    if (e != ERR_OK)
        return call_fail(c, ERR_UNAVAILABLE, "error reaching the database");
    char why[PEERS_WHY_SIZE];
    if (c->route->family == DEVICES && c->service->peers != NULL && peers_check(c->service->peers, why) != ERR_OK)
        return call_fail(c, ERR_UNAVAILABLE, "%s", why);
    return call_empty(c, 204);
}

enum err health_metrics(struct call *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = mem_open(&text, &len);
    metrics_write(out);
    mem_close(&out);
    return call_text(c, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

/* The keys of everything that is served, and the tag of that; the caller frees *text. */
static void write_jwks(const struct service *service, char **text, char etag[JWKS_ETAG_SIZE])
{
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(main_ring(service));
    struct keyring *other = device_ring(service);
    if (other == NULL) {
        snprintf(etag, JWKS_ETAG_SIZE, "%s", keyset_etag(view.set));
        *text = mem_strdup(keyset_jwks(view.set));
        return;
    }
    AUTO(keyring_release) struct keyring_view devices = keyring_acquire(other);
    keyset_jwks_both(view.set, devices.set, text, etag);
}

enum err health_jwks(struct call *c)
{
    AUTO(mem_free) char *text = NULL;
    char etag[JWKS_ETAG_SIZE];
    write_jwks(c->service, &text, etag);
    call_header(c, "ETag", etag);
    call_header_as_is(c, "Cache-Control", JWKS_CACHE_CONTROL);
    if (is_known_to_client(c->header[CALL_IF_NONE_MATCH], etag))
        return call_empty(c, 304);
    return call_text(c, 200, "application/json", &text);
}
