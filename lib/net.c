/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { BITS_MAX = 128, V4_OFFSET = 96 };

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct net *net)
{
    return net->bits >= V4_OFFSET && memcmp(net->bytes, mapped, sizeof mapped) == 0;
}

/* The byte of the mask for the first bits bits. */
static uint8_t mask_byte(unsigned bits, unsigned i)
{
    unsigned inside = bits > i * 8 ? bits - i * 8 : 0;
    return inside >= 8 ? 0xff : (uint8_t)(0xff00U >> inside);
}

static struct net truncated(const struct net *address, unsigned bits)
{
    struct net net = {.bits = bits};
    for (unsigned i = 0; i < sizeof net.bytes; i++)
        net.bytes[i] = address->bytes[i] & mask_byte(bits, i);
    return net;
}

static bool parse_bits(const char *text, unsigned max, unsigned *out)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 3 || text[len] != '\0' || (len > 1 && text[0] == '0'))
        return false;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++)
        bits = bits * 10 + (unsigned)(text[i] - '0');
    *out = bits;
    return bits <= max;
}

bool net_parse_address(const char *text, size_t len, struct net *out)
{
    char copy[INET6_ADDRSTRLEN];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    struct net net = {.bits = BITS_MAX};
    memcpy(net.bytes, mapped, sizeof mapped);
    if (inet_pton(AF_INET, copy, net.bytes + sizeof mapped) != 1 && inet_pton(AF_INET6, copy, net.bytes) != 1)
        return false;
    *out = net;
    return true;
}

bool net_parse(const char *text, struct net *out)
{
    size_t len = strcspn(text, "/");
    struct net net;
    if (!net_parse_address(text, len, &net))
        return false;
    if (text[len] == '/') {
        bool is_short = memchr(text, ':', len) == NULL;
        if (!parse_bits(text + len + 1, is_short ? BITS_MAX - V4_OFFSET : BITS_MAX, &net.bits))
            return false;
        net.bits += is_short ? V4_OFFSET : 0;
    }
    struct net exact = truncated(&net, net.bits);
    if (memcmp(exact.bytes, net.bytes, sizeof net.bytes) != 0)
        return false;
    *out = net;
    return true;
}

bool net_contains(const struct net *net, const struct net *address)
{
    if (is_v4(net) != is_v4(address))
        return false;
    struct net around = truncated(address, net->bits);
    return memcmp(around.bytes, net->bytes, sizeof net->bytes) == 0;
}

struct net net_around(const struct net *address, unsigned v4_bits, unsigned v6_bits)
{
    return truncated(address, is_v4(address) ? V4_OFFSET + v4_bits : v6_bits);
}

void net_text(const struct net *net, char out[NET_TEXT_SIZE])
{
    char text[INET6_ADDRSTRLEN] = "";
    bool is_short = is_v4(net);
    inet_ntop(is_short ? AF_INET : AF_INET6, net->bytes + (is_short ? sizeof mapped : 0), text, sizeof text);
    if (net->bits == BITS_MAX)
        snprintf(out, NET_TEXT_SIZE, "%s", text);
    else
        snprintf(out, NET_TEXT_SIZE, "%s/%u", text, net->bits - (is_short ? V4_OFFSET : 0));
}
