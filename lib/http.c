/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"

/* What arrives of a reply. */
struct intake {
    bool has_head; /* the empty line after the headers was there */
    char *data;
    size_t len, max;
    bool is_over;
};

static void start_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort(); /* out of memory */
}

static void free_handle(CURL **handle)
{
    curl_easy_cleanup(*handle);
}

static void free_list(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static void add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        abort();
    *list = longer;
}

/* libcurl asks for 100 Continue before a larger body, and waits a second for it. */
static void add_headers(struct curl_slist **list, const char *const *lines)
{
    add_header(list, "Expect:");
    for (size_t i = 0; lines != NULL && lines[i] != NULL; i++)
        add_header(list, lines[i]);
}

/* libcurl calls a reply whole that ends within its headers. */
static size_t take_header(char *line, size_t size, size_t n, void *arg)
{
    struct intake *in = arg;
    in->has_head = *line == '\r' || *line == '\n';
    return size * n;
}

/* Giving back another length than came in makes libcurl end the transfer. */
static size_t take(char *data, size_t size, size_t n, void *arg)
{
    struct intake *in = arg;
    size_t len = size * n;
    in->is_over = len > in->max - in->len;
    if (in->is_over)
        return 0;
    in->data = mem_resize(in->data, in->len + len + 1, 1);
    memcpy(in->data + in->len, data, len);
    in->len += len;
    in->data[in->len] = '\0';
    return len;
}

/* Anything but 0 makes libcurl end the transfer. */
static int check_time(void *arg, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent)
{
    (void)to_get, (void)got, (void)to_send, (void)sent;
    const struct http_request *request = arg;
    return http_is_given_up(request->give_up_ms);
}

static void set_up_give_up(CURL *curl, const struct http_request *request)
{
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, check_time);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request);
}

static void set_up(CURL *curl, const struct http_request *request, const struct curl_slist *headers, struct intake *in)
{
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (request->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_NOBODY, (long)(strcmp(request->method, "HEAD") == 0));
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
    if (request->give_up_ms != NULL)
        set_up_give_up(curl, request);
}

static enum err outcome(CURLcode code, const struct intake *in)
{
    if (code == CURLE_OK)
        return in->has_head ? ERR_OK : ERR_HTTP_UNREACHABLE;
    if (in->is_over)
        return ERR_HTTP_TOO_LARGE;
    if (code == CURLE_URL_MALFORMAT)
        return ERR_HTTP_URL;
    bool is_late = code == CURLE_OPERATION_TIMEDOUT || code == CURLE_ABORTED_BY_CALLBACK;
    return is_late ? ERR_HTTP_TIMEOUT : ERR_HTTP_UNREACHABLE;
}

/* libcurl would guess http:// for an address without a scheme. */
static bool has_scheme(const char *url)
{
    return strncmp(url, "http://", strlen("http://")) == 0 || strncmp(url, "https://", strlen("https://")) == 0;
}

static enum err perform(CURL *curl, const struct intake *in, char why[HTTP_WHY_SIZE])
{
    char text[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    enum err e = outcome(code, in);
    if (e == ERR_HTTP_UNREACHABLE && code != CURLE_OK)
        snprintf(why, HTTP_WHY_SIZE, "%s", *text != '\0' ? text : curl_easy_strerror(code));
    else if (e != ERR_OK)
        snprintf(why, HTTP_WHY_SIZE, "%s", err_text(e));
    return e;
}

enum err http_request(const struct http_request *request, char why[HTTP_WHY_SIZE], struct http_reply *out)
{
    static pthread_once_t started = PTHREAD_ONCE_INIT;
    pthread_once(&started, start_curl);
    if (!has_scheme(request->url)) {
        snprintf(why, HTTP_WHY_SIZE, "%s", err_text(ERR_HTTP_URL));
        return ERR_HTTP_URL;
    }
    AUTO(free_list) struct curl_slist *headers = NULL;
    add_headers(&headers, request->headers);
    AUTO(free_handle) CURL *curl = curl_easy_init();
    if (curl == NULL)
        abort();
    struct intake in = {.data = mem_strdup(""), .max = request->reply_max};
    set_up(curl, request, headers, &in);
    enum err e = perform(curl, &in, why);
    AUTO(mem_free) char *body = in.data;
    if (e != ERR_OK)
        return e;
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    *out = (struct http_reply){.status = (int)status, .type = mem_strdup(type), .body = MOVE(body), .len = in.len};
    return ERR_OK;
}

void http_release(struct http_reply *reply)
{
    mem_free(&reply->type);
    mem_free(&reply->body);
    *reply = (struct http_reply){0};
}

bool http_is_given_up(const _Atomic int64_t *give_up_ms)
{
    int64_t at_ms = atomic_load(give_up_ms);
    return at_ms != 0 && clock_mono_ms() >= at_ms;
}
