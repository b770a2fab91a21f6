/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/engine.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/mem.h"

enum { REQUEST_MAX = 65536, REQUESTS_MAX = 4096, PATIENCE_S = 30, CONNECTIONS_MAX = 64 };

struct engine {
    int listener, port;
    int wake[2]; /* closed: everybody leaves */
    char url[64];
    _Atomic enum engine_mood mood;
    const char *_Atomic answer;
    pthread_t thread;
    bool listens;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *request[REQUESTS_MAX];
    size_t n;
    int open; /* connections */
};

struct visit {
    struct engine *engine;
    int fd;
};

static const char *const answers[ENGINE_CUSTOM + 1] = {
    [ENGINE_WELL] = ("HTTP/1.1 201 Created\r\nContent-Type: application/json; charset=utf-8\r\n"
                     "Content-Length: 11\r\nConnection: close\r\n\r\n{\"id\":\"w1\"}"),
    [ENGINE_EMPTY] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    [ENGINE_FAILS] = "HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    [ENGINE_REFUSES] = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
    [ENGINE_CHATS] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
};

static bool is_whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");
    return end != NULL && (length == NULL || strlen(end + 4) >= strtoul(length + 17, NULL, 10));
}

/* Until the request is whole; false when the client or the engine leaves first. */
static bool receive(const struct visit *visit, char *text)
{
    size_t len = 0;
    *text = '\0';
    while (!is_whole(text)) {
        struct pollfd fds[] = {{.fd = visit->fd, .events = POLLIN}, {.fd = visit->engine->wake[0], .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents != 0)
            return false;
        ssize_t n = recv(visit->fd, text + len, REQUEST_MAX - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = '\0';
    }
    return true;
}

static void keep(struct engine *engine, const char *text)
{
    pthread_mutex_lock(&engine->lock);
    if (engine->n < REQUESTS_MAX)
        engine->request[engine->n++] = mem_strdup(text);
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
}

static void reply(const struct visit *visit)
{
    enum engine_mood mood = atomic_load(&visit->engine->mood);
    const char *answer = mood == ENGINE_CUSTOM ? atomic_load(&visit->engine->answer) : answers[mood];
    struct pollfd fds[] = {{.fd = visit->fd, .events = POLLRDHUP}, {.fd = visit->engine->wake[0], .events = POLLIN}};
    if (mood == ENGINE_SILENT)
        poll(fds, 2, -1);
    else if (mood != ENGINE_CLOSES)
        (void)!send(visit->fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static void *receive_visit(void *arg)
{
    struct visit *visit = arg;
    struct engine *engine = visit->engine;
    char *text = mem_calloc(1, REQUEST_MAX);
    if (receive(visit, text)) {
        keep(engine, text);
        reply(visit);
    }
    mem_free(&text);
    close(visit->fd);
    free(visit);
    pthread_mutex_lock(&engine->lock);
    engine->open--;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

static void let_in(struct engine *engine, int fd)
{
    struct visit *visit = mem_calloc(1, sizeof *visit);
    *visit = (struct visit){.engine = engine, .fd = fd};
    pthread_mutex_lock(&engine->lock);
    engine->open++;
    pthread_mutex_unlock(&engine->lock);
    pthread_t thread;
    pthread_create(&thread, NULL, receive_visit, visit);
    pthread_detach(thread);
}

static void *accept_all(void *arg)
{
    struct engine *engine = arg;
    for (;;) {
        struct pollfd fds[] = {{.fd = engine->listener, .events = POLLIN}, {.fd = engine->wake[0], .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents != 0)
            return NULL;
        int fd = accept(engine->listener, NULL, NULL);
        if (fd >= 0)
            let_in(engine, fd);
    }
}

struct engine *engine_new(void)
{
    struct engine *engine = mem_calloc(1, sizeof *engine);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    engine->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(engine->listener, (struct sockaddr *)&here, sizeof here), 0);
    ck_assert_int_eq(getsockname(engine->listener, (struct sockaddr *)&here, &len), 0);
    engine->port = ntohs(here.sin_port);
    snprintf(engine->url, sizeof engine->url, "http://127.0.0.1:%d/", engine->port);
    ck_assert_int_eq(pipe(engine->wake), 0);
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->changed, NULL);
    return engine;
}

void engine_free(struct engine **engine)
{
    struct engine *e = *engine;
    if (e == NULL)
        return;
    close(e->wake[1]);
    if (e->listens)
        pthread_join(e->thread, NULL);
    pthread_mutex_lock(&e->lock);
    while (e->open > 0)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
    close(e->listener);
    close(e->wake[0]);
    for (size_t i = 0; i < e->n; i++)
        mem_free(&e->request[i]);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e);
    *engine = NULL;
}

void engine_listen(struct engine *engine)
{
    ck_assert_int_eq(listen(engine->listener, CONNECTIONS_MAX), 0);
    ck_assert_int_eq(pthread_create(&engine->thread, NULL, accept_all, engine), 0);
    engine->listens = true;
}

void engine_be(struct engine *engine, enum engine_mood mood)
{
    atomic_store(&engine->mood, mood);
}

void engine_answer(struct engine *engine, const char *answer)
{
    atomic_store(&engine->answer, answer);
    atomic_store(&engine->mood, ENGINE_CUSTOM);
}

const char *engine_url(const struct engine *engine)
{
    return engine->url;
}

size_t engine_count(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    size_t n = engine->n;
    pthread_mutex_unlock(&engine->lock);
    return n;
}

void engine_wait(struct engine *engine, size_t n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int fault = 0;
    pthread_mutex_lock(&engine->lock);
    while (engine->n < n && fault == 0)
        fault = pthread_cond_timedwait(&engine->changed, &engine->lock, &until);
    size_t got = engine->n;
    pthread_mutex_unlock(&engine->lock);
    ck_assert_msg(fault == 0, "the engine was asked %zu times, not %zu", got, n);
}

const char *engine_request(struct engine *engine, size_t i)
{
    pthread_mutex_lock(&engine->lock);
    const char *text = i < engine->n ? engine->request[i] : "";
    pthread_mutex_unlock(&engine->lock);
    return text;
}

const char *engine_body(struct engine *engine, size_t i)
{
    const char *end = strstr(engine_request(engine, i), "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}
