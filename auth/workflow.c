/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/workflow.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "auth/peers.h"
#include "lib/auto.h"
#include "lib/json_scan.h"
#include "lib/log.h"
#include "lib/mem.h"

enum { REPLY_MAX = 64 * 1024, REQUEST_ID_MAX = 200 };

/* X-MEN-RequestID as the body says it; NULL when that is no text for a header. The caller frees it. */
static char *request_id_header(const char *body)
{
    char why[JSON_SCAN_WHY_SIZE];
    struct json_span rest;
    struct json_span name;
    struct json_span value;
    if (json_scan_check(body, strlen(body), why, &rest) != ERR_OK || !json_scan_member(&rest, &name, &value) ||
        !json_scan_is_field(name, "request_id") || json_scan_kind(value) != JSON_SCAN_STRING)
        return NULL;
    size_t len = 0;
    AUTO(mem_free) char *id = json_scan_string(value, &len);
    bool fits = len > 0 && strlen(id) == len && peers_is_header(id, REQUEST_ID_MAX);
    return fits ? mem_printf("X-MEN-RequestID: %s", id) : NULL;
}

/* A text comes from something before the engine, not from the engine. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    const size_t len = sizeof json - 1;
    return type != NULL && strncasecmp(type, json, len) == 0 && (type[len] == '\0' || strchr("; ", type[len]) != NULL);
}

static bool is_call_at_fault(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static enum workflow_outcome judge(const struct http_reply *reply, char why[HTTP_WHY_SIZE])
{
    if (reply->status < 300 && (reply->len == 0 || is_json(reply->type)))
        return WORKFLOW_DELIVERED;
    if (reply->status < 300)
        snprintf(why, HTTP_WHY_SIZE, "the answer is not JSON but \"%.64s\"", log_str(reply->type));
    else
        snprintf(why, HTTP_WHY_SIZE, "the answer is %d", reply->status);
    return is_call_at_fault(reply->status) ? WORKFLOW_REFUSED : WORKFLOW_TROUBLE;
}

static enum workflow_outcome judge_failure(const struct workflow_engine *engine, enum err e)
{
    if (workflow_is_given_up(engine))
        return WORKFLOW_GIVEN_UP;
    return e == ERR_HTTP_TIMEOUT ? WORKFLOW_LATE : WORKFLOW_TROUBLE;
}

void workflow_init(struct workflow_engine *engine, const char *addr, int64_t timeout_ms)
{
    engine->base = peers_url(addr, "/api/v1/workflow/");
    engine->timeout_ms = timeout_ms;
    atomic_store(&engine->give_up_ms, 0);
}

void workflow_release(struct workflow_engine *engine)
{
    mem_free(&engine->base);
}

bool workflow_is_given_up(const struct workflow_engine *engine)
{
    return http_is_given_up(&engine->give_up_ms);
}

enum workflow_outcome workflow_call(const struct workflow_engine *engine, const char *workflow, const char *body,
                                    char why[HTTP_WHY_SIZE])
{
    AUTO(mem_free) char *request_id = request_id_header(body);
    const char *const headers[] = {"Content-Type: application/json", "Accept: application/json", request_id, NULL};
    AUTO(mem_free) char *url = mem_printf("%s%s", engine->base, workflow);
    const struct http_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = body,
        .body_len = strlen(body),
        .timeout_ms = engine->timeout_ms,
        .reply_max = REPLY_MAX,
        .give_up_ms = &engine->give_up_ms,
    };
    AUTO(http_release) struct http_reply reply = {0};
    enum err e = http_request(&request, why, &reply);
    return e == ERR_OK ? judge(&reply, why) : judge_failure(engine, e);
}
