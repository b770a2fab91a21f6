/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_RATELIMIT_H
#define LIB_RATELIMIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * How often may somebody do something? The rate limits of contract/useradm 4 and contract/deviceauth 3.3, with the
 * configuration of the originals and without their Redis: a request falls under a pattern (lib/mux.h), the pattern's
 * expression (lib/template.h) names a group, the group's expression says what is counted as one, the group's quota how
 * much of that passes in each of its intervals (lib/window.h).
 *
 * It counts in this process alone: N processes give N quotas. Anybody may make one for whatever requests they like.
 */
struct ratelimit;

/* Who asks. A NULL text is "". The expressions call these .Identity.Subject and so on. */
struct ratelimit_identity {
    const char *subject;
    const char *tenant;
    const char *plan;
    bool is_user;
    bool is_device;
    bool is_trial;
};

/* What is asked for, as the gateway got it. */
struct ratelimit_request {
    const char *method;
    const char *host; /* may be NULL */
    const char *uri;
    const struct ratelimit_identity *identity; /* NULL: nobody knows; the expressions find .Identity absent */
};

/* The keys rate_limits.auth of a configuration. All values in the lists are texts, as they stand there. */
struct ratelimit_config {
    bool reject_unmatched; /* what falls under no pattern, or under no group, is refused; otherwise it passes */
    const json_t *groups;  /* [{name, quota, interval, event_expression}] */
    const json_t *match;   /* [{api_pattern, group_expression}] */
    size_t keys_max;       /* counted at the same time, about; the requests of others pass. 0: the default */
};

/* What is wrong with a configuration. */
struct ratelimit_fault {
    const char *list; /* "groups" or "match" */
    char why[512];
};

/* Counters, 40 bytes each, that a limiter has when its configuration does not say. */
#define RATELIMIT_KEYS_MAX 262144

/* Retry-After of what no group takes when that is refused: the original's longest duration. */
#define RATELIMIT_NEVER_S INT64_C(9223372037)

/* Make a limiter; nothing of config is kept. ERR_CONFIG: fault says why */
enum err ratelimit_new(const struct ratelimit_config *config, struct ratelimit_fault *fault, struct ratelimit **out);
void ratelimit_free(struct ratelimit **limit);

/*
 * Count a request. NULL limits nothing. Any thread may call; it never blocks for long.
 *   retry_s  receives, when it is refused, the seconds until it may be repeated
 * ERR_RATE_LIMIT
 */
enum err ratelimit_count(struct ratelimit *limit, const struct ratelimit_request *request, int64_t *retry_s);

#endif
