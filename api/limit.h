/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_LIMIT_H
#define API_LIMIT_H

#include "api/call.h"
#include "lib/err.h"
#include "lib/ratelimit.h"

/*
 * Count a verify call, by the request that the gateway forwarded and by who makes it (NULL: nobody knows). Call it once
 * for a request: nothing behind it may give ERR_WOULD_BLOCK. limit may be NULL.
 * ERR_RATE_LIMIT: the reply has its Retry-After
 */
enum err limit_call(struct call *c, struct ratelimit *limit, const struct ratelimit_identity *identity);

#endif
