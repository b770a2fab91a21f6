/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_event.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/iddata.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

/* A JSON text as it grows; its end is closed and taken by send(). */
struct body {
    FILE *out;
    char *text;
    size_t len;
};

static void begin(struct body *body, const char *request_id)
{
    body->text = NULL;
    body->len = 0;
    body->out = mem_open(&body->text, &body->len);
    AUTO(json_release) json_t *id = json_string(request_id);
    AUTO(mem_free) char *quoted = json_wire(id != NULL ? id : json_null());
    fprintf(body->out, "{\"request_id\":%s", quoted);
}

static void put_text(struct body *body, const char *name, const char *value)
{
    AUTO(json_release) json_t *json = json_string(value);
    AUTO(mem_free) char *quoted = json_wire(json != NULL ? json : json_null());
    fprintf(body->out, ",\"%s\":%s", name, quoted);
}

static enum err send(struct body *body, struct db *tx, const char *device_id, const char *workflow)
{
    fputc('}', body->out);
    mem_close(&body->out);
    enum err e = outbox_add(tx, device_id, workflow, body->text);
    free(body->text);
    return e;
}

/* What a workflow learns of a device: only the set that caused it. */
static void put_device(FILE *out, const struct device *device, const struct auth_set *set)
{
    char created[CLOCK_RFC3339_SIZE];
    char ts[CLOCK_RFC3339_SIZE];
    clock_rfc3339(device->created_ms, created);
    clock_rfc3339(set->created_ms, ts);
    AUTO(json_release) json_t *pem = json_string(set->pubkey);
    AUTO(mem_free) char *pubkey = json_wire(pem);
    fprintf(out,
            "{\"id\":\"%s\",\"status\":\"%s\",\"revision\":%lld,\"created_ts\":\"%s\",\"auth_sets\":[{\"id\":\"%s\",",
            device->id, device_status_name(device->status), (long long)device->revision, created, set->id);
    fprintf(out, "\"device_id\":\"%s\",", device->id);
    device_write_identity(out, device->id_data);
    fprintf(out, ",\"pubkey\":%s,\"ts\":\"%s\",\"status\":\"%s\"}]}", pubkey, ts, device_status_name(set->status));
}

char *device_event_attributes(const char *id_data)
{
    AUTO(json_release) json_t *identity = iddata_json(id_data);
    AUTO(json_release) json_t *list = json_array();
    const char *name;
    json_t *value;
    json_object_foreach(identity, name, value)
    {
        if (strcmp(name, "status") != 0) /* it would be taken for the device's own */
            json_array_append_new(list,
                                  json_pack("{s:s, s:O, s:s}", "name", name, "value", value, "scope", "identity"));
    }
    return json_wire(list);
}

enum err device_event_identity(const struct fleet *fleet, struct db *tx, const struct device *device,
                               const char *request_id)
{
    if (fleet->outbox == NULL)
        return ERR_OK;
    AUTO(mem_free) char *attributes = device_event_attributes(device->id_data);
    struct body body;
    begin(&body, request_id);
    put_text(&body, "tenant_id", device->tenant_id);
    put_text(&body, "device_id", device->id);
    put_text(&body, "scope", "identity");
    put_text(&body, "attributes", attributes);
    return send(&body, tx, device->id, "update_device_inventory");
}

static enum err provision(struct db *tx, const struct device *device, const struct auth_set *set,
                          const char *request_id)
{
    struct body body;
    begin(&body, request_id);
    put_text(&body, "device_id", device->id);
    put_text(&body, "tenant_id", device->tenant_id);
    put_text(&body, "status", device_status_name(device->status));
    fputs(",\"device\":", body.out);
    put_device(body.out, device, set);
    return send(&body, tx, device->id, "provision_device");
}

static enum err provision_again(struct db *tx, const struct device *device, const struct auth_set *set,
                                const char *request_id)
{
    struct body body;
    begin(&body, request_id);
    put_text(&body, "tenant_id", device->tenant_id);
    fputs(",\"device\":", body.out);
    put_device(body.out, device, set);
    return send(&body, tx, device->id, "legacy_provision_iot_manager");
}

enum err device_event_status(const struct fleet *fleet, struct db *tx, const struct device *device,
                             const struct auth_set *set, const char *request_id)
{
    if (fleet->outbox == NULL)
        return ERR_OK;
    bool is_accepted = device->status == DEVICE_ACCEPTED;
    if (is_accepted && !device->is_provisioned)
        return provision(tx, device, set, request_id);
    struct body body;
    begin(&body, request_id);
    put_text(&body, "tenant_id", device->tenant_id);
    put_text(&body, "device_status", device_status_name(device->status));
    fputs(",\"devices\":[", body.out);
    put_device(body.out, device, set);
    fputc(']', body.out);
    TRY(send(&body, tx, device->id, "update_device_status"));
    return is_accepted && fleet->legacy_provision ? provision_again(tx, device, set, request_id) : ERR_OK;
}

enum err device_event_gone(const struct fleet *fleet, struct db *tx, const struct device *device,
                           const char *request_id)
{
    if (fleet->outbox == NULL)
        return ERR_OK;
    struct body body;
    begin(&body, request_id);
    put_text(&body, "tenant_id", device->tenant_id);
    put_text(&body, "device_status", "decommissioned");
    fprintf(body.out, ",\"devices\":[{\"id\":\"%s\",\"revision\":0}]", device->id);
    return send(&body, tx, device->id, "update_device_status");
}

enum err device_event_decommission(const struct fleet *fleet, struct db *tx, const struct device *device,
                                   const char *request_id)
{
    if (fleet->outbox == NULL)
        return ERR_OK;
    struct body body;
    begin(&body, request_id);
    put_text(&body, "device_id", device->id);
    put_text(&body, "tenant_id", device->tenant_id);
    return send(&body, tx, device->id, "decommission_device");
}

enum err device_event_seen(const struct fleet *fleet, struct db *tx, const char *tenant, const char *device_id,
                           int64_t seen_ms, const char *request_id)
{
    if (fleet->outbox == NULL)
        return ERR_OK;
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(seen_ms, time);
    AUTO(mem_free)
    char *attributes = mem_printf("[{\"name\":\"check_in_time\",\"value\":\"%s\",\"scope\":\"system\"}]", time);
    struct body body;
    begin(&body, request_id);
    put_text(&body, "tenant_id", tenant);
    put_text(&body, "device_id", device_id);
    put_text(&body, "scope", "system");
    put_text(&body, "attributes", attributes);
    return send(&body, tx, device_id, "update_device_inventory");
}
