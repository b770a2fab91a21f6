/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_NET_H
#define LIB_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Internet addresses and networks. An IPv4 address is held as the IPv6 address ::ffff:a.b.c.d (RFC 4291 section
 * 2.5.5.2), so one that arrives in either form is the same.
 */
struct net {
    uint8_t bytes[16];
    unsigned bits; /* that are fixed: 128 of a single address */
};

/* Room for the longest text, "IPv6 address/128". */
#define NET_TEXT_SIZE 52

/* Parse len characters as an address, "192.0.2.1" or "2001:db8::1"; nothing around it. */
bool net_parse_address(const char *text, size_t len, struct net *out);

/* Parse "192.0.2.0/24", "2001:db8::/32" or an address. No bit behind the fixed ones may be set. */
bool net_parse(const char *text, struct net *out);

/* Whether address lies in net. No IPv4 address lies in an IPv6 network. */
bool net_contains(const struct net *net, const struct net *address);

/* The network around an address that has v4_bits fixed bits (of 32) in IPv4, v6_bits in IPv6. */
struct net net_around(const struct net *address, unsigned v4_bits, unsigned v6_bits);

/* Write "192.0.2.0/24"; an address without its length. */
void net_text(const struct net *net, char out[NET_TEXT_SIZE]);

#endif
