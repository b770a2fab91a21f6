/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/board.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"

enum { SIGNATURE_MAX = 1024 };

static EVP_PKEY *generate(const char *type)
{
    if (strcmp(type, "RSA") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)1024);
    if (strcmp(type, "EC") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, type, "P-256");
    return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

void board_init(struct board *board, struct fixture *f, const char *type, const char *id_data)
{
    *board = (struct board){.fixture = f, .pkey = generate(type), .id_data = mem_strdup(id_data)};
    ck_assert_ptr_nonnull(board->pkey);
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, board->pkey), 1);
    long len = BIO_get_mem_data(bio, &text);
    board->pem = mem_strndup(text, (size_t)len);
    BIO_free(bio);
}

void board_release(struct board *board)
{
    EVP_PKEY_free(board->pkey);
    mem_free(&board->pem);
    mem_free(&board->id_data);
    mem_free(&board->bearer);
    *board = (struct board){0};
}

char *board_body(const struct board *board)
{
    AUTO(json_release) json_t *json = json_pack("{s:s, s:s}", "id_data", board->id_data, "pubkey", board->pem);
    return json_dumps(json, JSON_COMPACT);
}

char *board_sign(const struct board *board, const char *body)
{
    uint8_t sig[SIGNATURE_MAX];
    size_t len = sizeof sig;
    const char *digest = EVP_PKEY_is_a(board->pkey, "ED25519") ? NULL : "SHA256";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ck_assert_int_eq(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, board->pkey, NULL), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)body, strlen(body)), 1);
    EVP_MD_CTX_free(ctx);
    char *text = mem_calloc(BASE64_ENCODED(SIGNATURE_MAX) + 1, 1);
    base64_encode(BASE64_STD, sig, len, text);
    return text;
}

struct call *board_send(const struct board *board, const char *body)
{
    AUTO(mem_free) char *signature = board_sign(board, body);
    struct call *c = fixture_call(board->fixture, "POST", BOARD_ASK);
    c->header[CALL_CONTENT_TYPE] = "application/json";
    c->header[CALL_SIGNATURE] = signature;
    fixture_body(c, body);
    fixture_run(c);
    c->header[CALL_SIGNATURE] = NULL;
    return c;
}

int board_ask(struct board *board)
{
    AUTO(mem_free) char *body = board_body(board);
    AUTO(fixture_free) struct call *c = board_send(board, body);
    if (c->status == 200) {
        mem_free(&board->bearer);
        board->bearer = mem_printf("Bearer %s", c->reply);
    }
    return c->status;
}

int board_verify(const struct board *board)
{
    AUTO(fixture_free) struct call *c = fixture_call(board->fixture, "GET", BOARD_VERIFY);
    c->header[CALL_AUTHORIZATION] = board->bearer;
    return fixture_run(c);
}

struct call *board_operator(struct fixture *f, const char *bearer, const char *method, const char *path,
                            const char *body)
{
    struct call *c = fixture_call(f, method, path);
    const char *query = strchr(path, '?');
    AUTO(mem_free) char *plain = NULL;
    if (query != NULL) {
        plain = mem_strndup(path, (size_t)(query - path));
        c->path = plain;
        c->query = query + 1;
    }
    c->header[CALL_AUTHORIZATION] = bearer;
    if (body != NULL) {
        c->header[CALL_CONTENT_TYPE] = "application/json";
        fixture_body(c, body);
    }
    fixture_run(c);
    c->path = path;
    return c;
}

void board_expect(struct fixture *f, const char *bearer, const char *method, const char *path, const char *body,
                  int status, const char *text)
{
    AUTO(fixture_free) struct call *c = board_operator(f, bearer, method, path, body);
    const char *reply = c->reply != NULL ? c->reply : "";
    ck_assert_msg(c->status == status, "%s %s %s gave %d %s, not %d", method, path, body, c->status, reply, status);
    if (text == NULL)
        return;
    AUTO(json_release) json_t *json = json_loads(reply, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    bool is_right = *text == '\0' ? *reply == '\0' : error != NULL && strncmp(error, text, strlen(text)) == 0;
    ck_assert_msg(is_right, "%s %s %s gave %s, not \"%s\"", method, path, body, reply, text);
}

json_t *board_device(struct fixture *f, const char *tenant)
{
    AUTO(mem_free) char *path = mem_printf(BOARD_TENANTS "/%s/devices", tenant);
    AUTO(fixture_free) struct call *c = board_operator(f, NULL, "GET", path, NULL);
    ck_assert_int_eq(c->status, 200);
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    ck_assert_uint_ge(json_array_size(list), 1);
    return json_incref(json_array_get(list, 0));
}

char *board_path(const json_t *device, const char *suffix)
{
    return mem_printf(BOARD_DEVICES "/%s%s", json_string_value(json_object_get(device, "id")), suffix);
}

char *board_set_path(const json_t *device, size_t n, const char *suffix)
{
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), n);
    ck_assert_ptr_nonnull(set);
    AUTO(mem_free) char *end = mem_printf("/auth/%s%s", json_string_value(json_object_get(set, "id")), suffix);
    return board_path(device, end);
}
