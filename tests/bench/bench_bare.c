/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor that the server is measured against: libmicrohttpd alone, answering 200 with an empty body. Same loop and
 * same number of threads as the server:
 *   bench_bare THREADS [PART ...]
 * does these parts for each request. Prints its port and runs until its stdin closes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/parts.h"

#define THREADS_MAX 64
#define PARTS_MAX 8

static struct MHD_Response *empty;
static const struct part *work[PARTS_MAX + 1];

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *body, size_t *body_len, void **state)
{
    (void)arg, (void)url, (void)method, (void)version, (void)body;
    if (*state == NULL) {
        *state = &empty; /* answering in the first call would close the connection */
        return MHD_YES;
    }
    if (*body_len > 0) {
        *body_len = 0;
        return MHD_YES;
    }
    for (const struct part **part = work; *part != NULL; part++)
        (*part)->run((*part)->signer);
    return MHD_queue_response(connection, 200, empty);
}

static int open_socket(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        perror("bench_bare");
        exit(1);
    }
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &len);
    return ntohs(address.sin_port);
}

static void *serve(void *arg)
{
    struct MHD_Daemon *daemon = arg;
    struct pollfd watch = {.fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN};
    for (;;) {
        MHD_UNSIGNED_LONG_LONG timeout = 1000;
        if (MHD_get_timeout(daemon, &timeout) != MHD_YES || timeout > 1000)
            timeout = 1000;
        poll(&watch, 1, (int)timeout);
        MHD_run(daemon);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    int port = 0;
    for (int i = 2; i < argc && i < PARTS_MAX + 2; i++)
        work[i - 2] = parts_get(argv[i]);
    empty = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    for (long i = 0; i < threads && i < THREADS_MAX; i++) {
        int fd = open_socket(port);
        port = port_of(fd);
        struct MHD_Daemon *daemon =
            MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                             MHD_OPTION_CONNECTION_LIMIT, 10000u, MHD_OPTION_END);
        pthread_t thread;
        if (daemon == NULL || pthread_create(&thread, NULL, serve, daemon) != 0)
            return 1;
    }
    printf("%d\n", port);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    return 0;
}
