/* SPDX-License-Identifier: Apache-2.0 */
#include "api/limit.h"

#include <inttypes.h>
#include <stdio.h>

static const char *forwarded(const struct call *c, enum call_header name)
{
    return c->header[name] != NULL ? c->header[name] : "";
}

enum err limit_call(struct call *c, struct ratelimit *limit, const struct ratelimit_identity *identity)
{
    const struct ratelimit_request request = {
        .method = forwarded(c, CALL_FORWARDED_METHOD),
        .host = c->header[CALL_FORWARDED_HOST],
        .uri = forwarded(c, CALL_FORWARDED_URI),
        .identity = identity,
    };
    int64_t retry_s = 0;
    enum err e = ratelimit_count(limit, &request, &retry_s);
    if (e != ERR_OK) {
        char seconds[24];
        snprintf(seconds, sizeof seconds, "%" PRId64, retry_s);
        call_header(c, "Retry-After", seconds);
    }
    return e;
}
