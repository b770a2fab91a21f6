/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_USER_FILTER_H
#define API_USER_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "api/query.h"
#include "auth/user.h"

/*
 * Which users a list is asked for (contract/useradm 1.2, GET users): id and email as often as one likes, of which one
 * must match; bounds in whole seconds, of which all must, and the first of each name counts. It looks at users that are
 * in memory: people are few, the ids and e-mails that a URL has room for are too.
 */
struct user_filter {
    struct query query;
    int64_t created_after_ms;
    int64_t created_before_ms;
    int64_t updated_after_ms;
    int64_t updated_before_ms;
};

/* Read the filter from the call's query. ERR_BAD_REQUEST with the contract's text */
enum err user_filter_parse(struct call *c, struct user_filter *out);
void user_filter_release(struct user_filter *filter);

bool user_filter_matches(const struct user_filter *filter, const struct user *user);

#endif
