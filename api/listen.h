/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_LISTEN_H
#define API_LISTEN_H

#include <stddef.h>
#include <sys/socket.h>

#include "lib/err.h"

/* Addresses to listen on, and the sockets that do. */

#define LISTEN_HOST_SIZE 256

struct listen_address {
    char host[LISTEN_HOST_SIZE]; /* "" is every address of the machine */
    int port;                    /* 0: the system chooses */
};

/* Parse "host:port", ":port" or "[IPv6 address]:port". ERR_CONFIG */
enum err listen_parse(const char *text, struct listen_address *out);

/*
 * Make n listening sockets on one address, among which the kernel spreads new connections (SO_REUSEPORT): fds[0..n-1],
 * non-blocking, closed on exec, the caller closes them. Every address means IPv6 and IPv4 where there is IPv6.
 *   port  the port in use: the system's choice when text says 0
 *   ERR_CONFIG: it does not parse, does not resolve, or is taken, also by another process of this user; one line is
 *               logged
 */
enum err listen_open(const char *text, size_t n, int *fds, int *port);

/* Write a client's address as text: "192.0.2.1" also when it came to an IPv6 socket. size: 46 bytes hold any. */
void listen_peer(const struct sockaddr *address, char *out, size_t size);

/*
 * Raise the limit of open files as far as it goes, and tell how many of the wanted connections each of so many
 * listeners can have: some files always stay free for the rest of the process, since accept() without a free one
 * fails again and again. Fewer is logged.
 */
unsigned listen_affordable(unsigned wanted, unsigned listeners);

#endif
