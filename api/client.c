/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/client.h"

#include <stdio.h>
#include <string.h>

#include "api/service.h"
#include "lib/net.h"

static bool is_trusted(const struct service *service, const struct net *address)
{
    for (size_t i = 0; i < service->trusted_proxies_n; i++)
        if (net_contains(&service->trusted_proxies[i], address))
            return true;
    return false;
}

/* An entry of X-Forwarded-For: an address; some proxies write a port behind it, "192.0.2.1:80", "[2001:db8::1]:80". */
static bool parse_entry(const char *text, size_t len, struct net *out)
{
    if (len > 0 && *text == '[') {
        const char *end = memchr(text, ']', len);
        return end != NULL && net_parse_address(text + 1, (size_t)(end - text - 1), out);
    }
    const char *colon = memchr(text, ':', len);
    if (colon != NULL && memchr(text, '.', (size_t)(colon - text)) != NULL)
        len = (size_t)(colon - text);
    return net_parse_address(text, len, out);
}

/* Cut the last entry off the len characters of list that are left. */
static bool take_last(const char *list, size_t *len, struct net *out)
{
    const char *comma = memrchr(list, ',', *len);
    const char *start = comma != NULL ? comma + 1 : list;
    const char *end = list + *len;
    *len = comma != NULL ? (size_t)(comma - list) : 0;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (start < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return parse_entry(start, (size_t)(end - start), out);
}

const char *client_address(struct call *c)
{
    if (c->client[0] != '\0')
        return c->client;
    const char *list = c->header[CALL_FORWARDED_FOR];
    struct net address;
    if (list == NULL || c->service->trusted_proxies_n == 0 || !net_parse_address(c->peer, strlen(c->peer), &address)) {
        snprintf(c->client, sizeof c->client, "%s", c->peer);
        return c->client;
    }
    size_t left = strlen(list);
    for (struct net next; left > 0 && is_trusted(c->service, &address) && take_last(list, &left, &next);)
        address = next;
    net_text(&address, c->client);
    return c->client;
}
