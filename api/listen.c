/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/log.h"

/* A socket address of either family. */
struct place {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } at;
    socklen_t len;
};

static enum err complain(const char *text, const char *why)
{
    log_error("cannot listen", LOG_STR("address", text), LOG_STR("cause", why));
    return ERR_CONFIG;
}

static bool parse_port(const char *text, int *out)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 5 || text[len] != '\0')
        return false;
    int port = 0;
    for (size_t i = 0; i < len; i++)
        port = port * 10 + (text[i] - '0');
    if (port > 65535)
        return false;
    *out = port;
    return true;
}

static void set_port(struct place *place, int port)
{
    if (place->at.any.sa_family == AF_INET6)
        place->at.v6.sin6_port = htons((in_port_t)port);
    else
        place->at.v4.sin_port = htons((in_port_t)port);
}

static int get_port(const struct place *place)
{
    return ntohs(place->at.any.sa_family == AF_INET6 ? place->at.v6.sin6_port : place->at.v4.sin_port);
}

/* The address of a name, IPv4 first, as Go's listener chooses. */
static enum err resolve(const char *text, const struct listen_address *address, struct place *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int fault = getaddrinfo(address->host, NULL, &hints, &list);
    if (fault != 0 || list == NULL)
        return complain(text, gai_strerror(fault));
    const struct addrinfo *pick = list;
    for (const struct addrinfo *a = list; a != NULL && pick->ai_family != AF_INET; a = a->ai_next)
        if (a->ai_family == AF_INET)
            pick = a;
    struct place place = {.len = pick->ai_addrlen};
    memcpy(&place.at, pick->ai_addr, pick->ai_addrlen);
    freeaddrinfo(list);
    set_port(&place, address->port);
    *out = place;
    return ERR_OK;
}

static struct place every_address(int family, int port)
{
    struct place place = {.len = family == AF_INET6 ? sizeof place.at.v6 : sizeof place.at.v4};
    place.at.any.sa_family = (sa_family_t)family; /* all zeros is the wildcard of both families */
    set_port(&place, port);
    return place;
}

static void set_option(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

/* A bound and listening socket, or -1 with errno. */
static int open_socket(const struct place *place, bool is_further)
{
    int fd = socket(place->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (place->at.any.sa_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    /*
     * The first socket binds without sharing, so that a port which another process listens on is refused and not
     * silently shared with it.
     */
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, is_further);
    if (bind(fd, &place->at.any, place->len) == 0) {
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (listen(fd, SOMAXCONN) == 0)
            return fd;
    }
    int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

static int open_first(const struct listen_address *address, struct place *place)
{
    if (address->host[0] != '\0')
        return open_socket(place, false);
    *place = every_address(AF_INET6, address->port);
    int fd = open_socket(place, false);
    if (fd >= 0 || errno == EADDRINUSE || errno == EACCES)
        return fd;
    *place = every_address(AF_INET, address->port);
    return open_socket(place, false);
}

enum err listen_parse(const char *text, struct listen_address *out)
{
    struct listen_address address = {0};
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !parse_port(colon + 1, &address.port))
        return ERR_CONFIG;
    const char *host = text;
    size_t len = (size_t)(colon - text);
    bool is_bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (is_bracketed) {
        host++;
        len -= 2;
    }
    if (len >= sizeof address.host || memchr(host, '[', len) != NULL || memchr(host, ']', len) != NULL)
        return ERR_CONFIG;
    if (is_bracketed != (memchr(host, ':', len) != NULL))
        return ERR_CONFIG;
    memcpy(address.host, host, len);
    *out = address;
    return ERR_OK;
}

enum err listen_open(const char *text, size_t n, int *fds, int *port)
{
    struct listen_address address;
    if (listen_parse(text, &address) != ERR_OK)
        return complain(text, "expected host:port, :port or [IPv6 address]:port");
    struct place place = {0};
    if (address.host[0] != '\0')
        TRY(resolve(text, &address, &place));
    for (size_t i = 0; i < n; i++) {
        fds[i] = i == 0 ? open_first(&address, &place) : open_socket(&place, true);
        if (fds[i] < 0) {
            int cause = errno;
            while (i-- > 0)
                close(fds[i]);
            return complain(text, strerror(cause));
        }
        if (i == 0)
            getsockname(fds[0], &place.at.any, &place.len);
    }
    *port = get_port(&place);
    return ERR_OK;
}

void listen_peer(const struct sockaddr *address, char *out, size_t size)
{
    static const char mapped[] = "::ffff:";
    const struct place *place = (const void *)address;
    char text[INET6_ADDRSTRLEN] = "";
    if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &place->at.v6.sin6_addr, text, sizeof text);
    else if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &place->at.v4.sin_addr, text, sizeof text);
    bool is_v4 = strncmp(text, mapped, sizeof mapped - 1) == 0 && strchr(text, '.') != NULL;
    snprintf(out, size, "%s", text + (is_v4 ? sizeof mapped - 1 : 0));
}

unsigned listen_affordable(unsigned wanted, unsigned listeners)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    rlim_t others = 32 + (limit.rlim_max < 4096 ? limit.rlim_max / 8 : 512);
    rlim_t room = limit.rlim_max > others + listeners ? (limit.rlim_max - others) / listeners : 1;
    if (wanted <= room)
        return wanted;
    log_warn("fewer connections than configured: the limit of open files is too low", LOG_INT("connections", room),
             LOG_INT("open_files", limit.rlim_max));
    return (unsigned)room;
}
