/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/device_find.h"
#include "cmd/device_run.h"
#include "keystore/key.h"
#include "keystore/reqsign.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/http.h"
#include "lib/json.h"
#include "lib/mem.h"

/* `device request`: what a device does, for who has none at hand (contract/deviceauth 2.1, 9.1). */

#define PATH "/api/devices/v1/authentication/auth_requests"
enum { TIMEOUT_MS = 15000, REPLY_MAX = 65536, WAIT_MAX_S = 86400, POLL_S = 2 };

/* A request that is ready to be sent any number of times. */
struct request {
    char *url;
    char *body;
    char *signature; /* header lines */
    char *authorization;
    struct device_key_name name; /* of the key */
};

static void request_release(struct request *request)
{
    mem_free(&request->url);
    mem_wipe(&request->body);
    mem_free(&request->signature);
    mem_wipe(&request->authorization);
}

/* A new file with a new key. */
static enum cmd_exit make_key(const struct cmd *cmd, const char *path, const char *type, char **pem)
{
    AUTO(mem_wipe) char *text = NULL;
    if (key_generate(type, &text) != ERR_OK)
        return cmd_fail(cmd, CMD_USAGE,
                        "--type is %.20s, must be rsa2048, rsa3072, rsa4096, es256, es384, es512 or ed25519", type);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t len = (ssize_t)strlen(text);
    bool is_written = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        close(fd);
    if (!is_written)
        return cmd_fail(cmd, CMD_KEYS, "cannot write %s: %s", path, strerror(cause));
    fprintf(stderr, "made a key (%s) in %s\n", type, path);
    *pem = MOVE(text);
    return CMD_OK;
}

static enum cmd_exit open_key(const struct cmd *cmd, struct key **out)
{
    const char *path = cmd_value(cmd, "key");
    const char *type = cmd_value(cmd, "type");
    const char *why = NULL;
    AUTO(mem_wipe) char *pem = NULL;
    size_t len = 0;
    enum err e = file_read(path, KEY_FILE_MAX, &pem, &len, &why);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return cmd_fail(cmd, CMD_KEYS, "%s: %s", path, why);
    if (e == ERR_NOT_FOUND) {
        enum cmd_exit code = make_key(cmd, path, type != NULL ? type : "ed25519", &pem);
        if (code != CMD_OK)
            return code;
        len = strlen(pem);
    }
    e = key_parse(pem, len, 0, KEY_RS256, out);
    return e == ERR_OK ? CMD_OK : cmd_fail(cmd, CMD_KEYS, "%s: %s", path, err_text(e));
}

/* The address of the server with the path behind it; a slash at its end is nobody's mistake. */
static char *make_url(const char *server)
{
    size_t len = strlen(server);
    while (len > 0 && server[len - 1] == '/')
        len--;
    AUTO(mem_free) char *base = mem_strndup(server, len);
    return mem_printf("%s" PATH, base);
}

static enum err make_request(const struct cmd *cmd, const struct key *key, const struct iddata *id, struct request *out)
{
    const char *token = cmd_value(cmd, "tenant-token");
    AUTO(json_release) json_t *body = json_object();
    AUTO(mem_free) char *pubkey = NULL;
    AUTO(mem_free) char *signature = NULL;
    TRY(reqsign_pubkey(key, &pubkey));
    json_object_set_new(body, "id_data", json_stringn(id->text, id->len));
    json_object_set_new(body, "pubkey", json_string(pubkey));
    if (token != NULL)
        json_object_set_new(body, "tenant_token", json_string(token));
    out->body = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    TRY(reqsign_sign(key, out->body, strlen(out->body), &signature));
    device_find_key_name(pubkey, &out->name);
    out->url = make_url(cmd_value(cmd, "server"));
    out->signature = mem_printf("X-MEN-Signature: %s", signature);
    out->authorization =
        mem_printf("Authorization: %s%s", token != NULL ? "Bearer " : "API_KEY", token != NULL ? token : "");
    return ERR_OK;
}

static enum err send_request(const struct request *request, char why[HTTP_WHY_SIZE], struct http_reply *out)
{
    const char *const headers[] = {"Content-Type: application/json", "Accept: application/json", request->signature,
                                   request->authorization, NULL};
    const struct http_request http = {
        .method = "POST",
        .url = request->url,
        .headers = headers,
        .body = request->body,
        .body_len = strlen(request->body),
        .timeout_ms = TIMEOUT_MS,
        .reply_max = REPLY_MAX,
    };
    return http_request(&http, why, out);
}

/* What the server says about an error, as ASCII: it must not steer the terminal. The caller frees it. */
static char *reason(const struct http_reply *reply)
{
    AUTO(json_release) json_t *body = json_loadb(reply->body, reply->len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *error = json_object_get(body, "error");
    return json_is_string(error) ? json_dumps(error, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : mem_strdup("no reason");
}

/* Whether another try may have another outcome. */
static bool is_worth_waiting(enum err e, const struct http_reply *reply)
{
    return e == ERR_HTTP_UNREACHABLE || e == ERR_HTTP_TIMEOUT ||
           (e == ERR_OK && (reply->status == 401 || reply->status >= 500));
}

static enum cmd_exit report(const struct cmd *cmd, const struct request *request, const struct http_reply *reply)
{
    if (reply->status == 200) {
        printf("%s\n", reply->body);
        fprintf(stderr, "accepted; the token is on stdout\n");
        return CMD_OK;
    }
    AUTO(mem_free) char *text = reason(reply);
    if (reply->status == 401)
        return cmd_fail(cmd, CMD_REFUSED, "not let in (yet): the server says %.200s; the key to accept is %s (%s)",
                        text, request->name.hash, request->name.kind);
    return cmd_fail(cmd, CMD_USAGE, "the server answers %d: %.300s", reply->status, text);
}

static enum cmd_exit ask(const struct cmd *cmd, const struct request *request, int64_t wait_s)
{
    int64_t end_ms = clock_mono_ms() + wait_s * 1000;
    for (;;) {
        char why[HTTP_WHY_SIZE] = "";
        AUTO(http_release) struct http_reply reply = {0};
        enum err e = send_request(request, why, &reply);
        bool is_over = clock_mono_ms() + POLL_S * 1000 > end_ms;
        if (is_over || !is_worth_waiting(e, &reply))
            return e == ERR_OK ? report(cmd, request, &reply) : cmd_fail(cmd, CMD_USAGE, "%s: %s", request->url, why);
        nanosleep(&(struct timespec){.tv_sec = POLL_S}, NULL);
    }
}

static bool parse_wait(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long seconds = text != NULL ? strtoll(text, &end, 10) : 0;
    *out = seconds;
    return text == NULL || (*text != '\0' && *end == '\0' && errno == 0 && seconds >= 0 && seconds <= WAIT_MAX_S);
}

static enum cmd_exit run(struct cmd *cmd)
{
    char why[DEVICE_WHY_SIZE] = "";
    int64_t wait_s = 0;
    const char *const word = cmd_value(cmd, "id");
    AUTO(iddata_release) struct iddata id = {0};
    AUTO(key_free) struct key *key = NULL;
    AUTO(request_release) struct request request = {0};
    if (!parse_wait(cmd_value(cmd, "wait"), &wait_s))
        return cmd_fail(cmd, CMD_USAGE, "--wait must be a number of seconds, at most %d", WAIT_MAX_S);
    if (device_run_identity(&word, 1, why, &id) != ERR_OK)
        return cmd_fail(cmd, CMD_USAGE, "%s", why);
    enum cmd_exit code = open_key(cmd, &key);
    if (code != CMD_OK)
        return code;
    enum err e = make_request(cmd, key, &id, &request);
    return e == ERR_OK ? ask(cmd, &request, wait_s) : cmd_fail(cmd, CMD_KEYS, "%s", err_text(e));
}

static const struct cmd_option options[] = {
    {"server", "URL", "where the server is: http://127.0.0.1:8080", NULL, true, false},
    {"key", "FILE", "the device's private key in PEM; made when it is missing", NULL, true, false},
    {"id", "IDENTITY", "who the device is: mac=02:00:5e:10:00:01, or a JSON object", NULL, true, false},
    {"type", "TYPE", "of a key that is made: rsa2048, rsa3072, rsa4096, es256, es384, es512 or ed25519 (the default)",
     NULL, false, false},
    {"tenant-token", "TOKEN", "the token of the device's tenant", NULL, false, true},
    {"wait", "SECONDS", "ask again every two seconds until it is let in, for so long", NULL, false, false},
    {0},
};

const struct command device_request_command = {
    .name = "device request",
    .summary = "Be a device: ask a server for a token, and print it.",
    .details = "Signs one request as devices do and sends it. The token alone goes to stdout.\n"
               "\n"
               "Exit code 0: let in; 10: refused, as long as nobody has accepted the key; 1: another answer, or none;\n"
               "4: the key cannot be used.",
    .examples =
        "$0 device request --server http://127.0.0.1:8080 --key device.pem --id mac=02:00:5e:10:00:01\n"
        "$0 device request --server http://127.0.0.1:8080 --key device.pem --id mac=02:00:5e:10:00:01 --wait 60",
    .options = options,
    .is_bare = true,
    .run = run,
};
