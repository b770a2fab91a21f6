/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ENGINE_H
#define TESTS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

/* A workflow engine, or any other service that is asked over HTTP, on a port of its own; it keeps what it was sent. */
struct engine;

/* How it answers. */
enum engine_mood {
    ENGINE_WELL,    /* 201 and JSON */
    ENGINE_EMPTY,   /* 200 and nothing */
    ENGINE_FAILS,   /* 500 */
    ENGINE_REFUSES, /* 404 */
    ENGINE_CHATS,   /* 200 and text/html */
    ENGINE_CLOSES,  /* no answer; the connection ends */
    ENGINE_SILENT,  /* no answer; the connection stays */
    ENGINE_CUSTOM,  /* what engine_answer() was given */
};

/* Not there yet: nobody listens on its port. */
struct engine *engine_new(void);
void engine_free(struct engine **engine);

/* Let it be there from now on; a mood can change at any time. */
void engine_listen(struct engine *engine);
void engine_be(struct engine *engine, enum engine_mood mood);

/* Give this whole HTTP answer from now on; borrowed. */
void engine_answer(struct engine *engine, const char *answer);

/* "http://127.0.0.1:port/" */
const char *engine_url(const struct engine *engine);

/* Requests so far; wait until there are n of them, which fails the test after a while. */
size_t engine_count(struct engine *engine);
void engine_wait(struct engine *engine, size_t n);

/* Request number i, from 0 on: "POST /path ..." with headers and body. Stays there until the engine is freed. */
const char *engine_request(struct engine *engine, size_t i);

/* Its body. */
const char *engine_body(struct engine *engine, size_t i);

#endif
