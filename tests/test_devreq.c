/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/devreq.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

/* A device: its key, and the cache of the service that it asks. */
static struct {
    EVP_PKEY *pkey;
    char *pem;
    struct pubkey_cache *cache;
} device;

static void set_up(void)
{
    char *text = NULL;
    device.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    device.cache = pubkey_cache_new(16, PUBKEY_RSA_BITS_MIN);
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, device.pkey), 1);
    long len = BIO_get_mem_data(bio, &text);
    device.pem = mem_strndup(text, (size_t)len);
    BIO_free(bio);
}

static void tear_down(void)
{
    EVP_PKEY_free(device.pkey);
    pubkey_cache_free(&device.cache);
    mem_free(&device.pem);
}

static char *sign(const char *body, size_t len)
{
    uint8_t sig[64];
    size_t sig_len = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ck_assert_int_eq(EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, device.pkey, NULL), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, sig, &sig_len, (const uint8_t *)body, len), 1);
    EVP_MD_CTX_free(ctx);
    char *text = mem_calloc(BASE64_ENCODED(sizeof sig) + 1, 1);
    base64_encode(BASE64_STD, sig, sig_len, text);
    return text;
}

/* A text as a JSON string, with its quotes. */
static char *quoted(const char *text)
{
    AUTO(json_release) json_t *json = json_string(text);
    return json_wire(json);
}

/* A signed body with the key as a JSON string in the place of @. */
static char *body_of(const char *format)
{
    AUTO(mem_free) char *key = quoted(device.pem);
    const char *at = strchr(format, '@');
    return at == NULL ? mem_strdup(format) : mem_printf("%.*s%s%s", (int)(at - format), format, key, at + 1);
}

static enum err read_body(const char *body, size_t len, char why[DEVREQ_WHY_SIZE], struct devreq *out)
{
    AUTO(mem_free) char *signature = sign(body, len);
    return devreq_read(device.cache, body, len, signature, why, out);
}

START_TEST(reads_a_signed_request)
{
    AUTO(mem_free)
    char *body = body_of("{\"id_data\":\"{\\\"mac\\\": \\\"00:11\\\"}\",\"pubkey\":@,\"tenant_token\":\"t\","
                         "\"tier\":\"standard\"}\n");
    AUTO(devreq_release) struct devreq request = {0};
    char why[DEVREQ_WHY_SIZE] = "";
    enum err e = read_body(body, strlen(body), why, &request);
    ck_assert_msg(e == ERR_OK, "%s", why);
    ck_assert_str_eq(request.id.text, "{\"mac\":\"00:11\"}");
    ck_assert_str_eq(request.tenant_token, "t");
    ck_assert_str_eq(pubkey_pem(request.key), device.pem);
    ck_assert_uint_eq(pubkey_cache_count(device.cache), 1);
}
END_TEST

/* Go's decoder: any letter case, the last one counts, null counts as nothing, others are not looked at. */
static const struct {
    const char *body;
    const char *id;
    const char *token;
} accepted[] = {
    {"{\"ID_DATA\":\"{}\",\"PubKey\":@}", "{}", ""},
    {"{\"id_data\":\"{\\\"a\\\":1}\",\"pubkey\":@,\"Id_Data\":\"{\\\"b\\\":1}\"}", "{\"b\":1}", ""},
    {"{\"Id_Data\":\"{\\\"b\\\":1}\",\"id_data\":\"{\\\"a\\\":1}\",\"pubkey\":@}", "{\"a\":1}", ""},
    {"{\"id_data\":\"{}\",\"id_data\":null,\"pubkey\":@,\"tenant_token\":null}", "{}", ""},
    {"{\"i\\u0064_data\":\"{}\",\"pub\\u212aey\":@,\"tenant_token\":\"\"}", "{}", ""},
    {" \r\n{ \"id_data\" : \"null\" , \"pubkey\" : @ } \n\t ", "null", ""},
    {"{\"tier\":{\"a\":[1,{}]},\"x\":1e999,\"id_data\":\"{}\",\"pubkey\":@,\"tenant_token\":\"a.b\"}", "{}", "a.b"},
    {"{\"id_data\":\"{\\\"a\\\":\\\"\xff\\\"}\",\"pubkey\":@}", "{\"a\":\"\xef\xbf\xbd\"}", ""},
};

START_TEST(decodes_as_the_original)
{
    AUTO(mem_free) char *body = body_of(accepted[_i].body);
    AUTO(devreq_release) struct devreq request = {0};
    char why[DEVREQ_WHY_SIZE] = "";
    enum err e = read_body(body, strlen(body), why, &request);
    ck_assert_msg(e == ERR_OK, "%s", why);
    ck_assert_str_eq(request.id.text, accepted[_i].id);
    ck_assert_str_eq(request.tenant_token, accepted[_i].token);
}
END_TEST

#define DECODE "failed to decode auth request: "
#define UNMARSHAL(kind, field)                                                                                         \
    DECODE "json: cannot unmarshal " kind " into Go struct field AuthReq." field " of type string"
#define INVALID "invalid auth request: "
static const struct {
    const char *body;
    enum err e;
    const char *why;
} refused[] = {
    {"", ERR_JSON, DECODE "unexpected end of JSON input"},
    {" ", ERR_JSON, DECODE "unexpected end of JSON input"},
    {"x", ERR_JSON, DECODE "invalid character 'x' looking for beginning of value"},
    {"{} x", ERR_JSON, DECODE "invalid character 'x' after top-level value"},
    {"{\"id_data\":1}", ERR_JSON, UNMARSHAL("number", "id_data")},
    {"{\"pubkey\":true,\"id_data\":1}", ERR_JSON, UNMARSHAL("bool", "pubkey")},
    {"{\"id_data\":{}}", ERR_JSON, UNMARSHAL("object", "id_data")},
    {"{\"id_data\":\"x\",\"TENANT_TOKEN\":[1]}", ERR_JSON, UNMARSHAL("array", "tenant_token")},
    {"[]", ERR_JSON, DECODE "json: cannot unmarshal array into Go value of type model.AuthReq"},
    {"\"\"", ERR_JSON, DECODE "json: cannot unmarshal string into Go value of type model.AuthReq"},
    {"7", ERR_JSON, DECODE "json: cannot unmarshal number into Go value of type model.AuthReq"},
    {"false", ERR_JSON, DECODE "json: cannot unmarshal bool into Go value of type model.AuthReq"},
    {"null", ERR_INVALID, INVALID "id_data must be provided"},
    {"{}", ERR_INVALID, INVALID "id_data must be provided"},
    {"{\"id_data\":\"\",\"pubkey\":@}", ERR_INVALID, INVALID "id_data must be provided"},
    {"{\"id_data\":\"{\"}", ERR_INVALID, INVALID "pubkey must be provided"},
    {"{\"id_data\":\"{}\",\"pubkey\":\"\"}", ERR_INVALID, INVALID "pubkey must be provided"},
    /* the key is looked at before id_data */
    {"{\"id_data\":\"{\",\"pubkey\":\"x\"}", ERR_PUBKEY_PEM, INVALID "cannot decode public key"},
    {"{\"id_data\":\"{\",\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMAA=\\n-----END PUBLIC KEY-----\"}", ERR_PUBKEY_FORM,
     INVALID "cannot decode public key: asn1: structure error"},
    {"{\"id_data\":\"{\",\"pubkey\":@}", ERR_JSON, INVALID "unexpected end of JSON input"},
    {"{\"id_data\":\"mac=1\",\"pubkey\":@}", ERR_JSON, INVALID "invalid character 'm' looking for beginning of value"},
    {"{\"id_data\":\"[]\",\"pubkey\":@}", ERR_JSON,
     INVALID "json: cannot unmarshal array into Go value of type map[string]interface {}"},
    {"{\"id_data\":\"{}\",\"pubkey\":@,\"tenant_token\":\"a\\u0000b\"}", ERR_INVALID,
     INVALID "tenant_token must not hold U+0000"},
};

START_TEST(refuses_in_the_originals_words)
{
    AUTO(mem_free) char *body = body_of(refused[_i].body);
    struct devreq request = {0};
    char why[DEVREQ_WHY_SIZE] = "";
    ck_err(read_body(body, strlen(body), why, &request), refused[_i].e);
    ck_assert_str_eq(why, refused[_i].why);
    ck_assert_ptr_null(request.key);
    ck_assert_ptr_null(request.id.text);
}
END_TEST

START_TEST(wants_a_signature_after_all_else_is_right)
{
    AUTO(mem_free) char *body = body_of("{\"id_data\":\"{}\",\"pubkey\":@}");
    struct devreq request = {0};
    char why[DEVREQ_WHY_SIZE] = "";
    ck_err(devreq_read(device.cache, body, strlen(body), NULL, why, &request), ERR_SIGNATURE_MISSING);
    ck_assert_str_eq(why, "missing request signature header");
    ck_err(devreq_read(device.cache, body, strlen(body), "", why, &request), ERR_SIGNATURE_MISSING);
    ck_err(devreq_read(device.cache, "{}", 2, NULL, why, &request), ERR_INVALID);
}
END_TEST

START_TEST(verifies_the_body_byte_for_byte)
{
    AUTO(mem_free) char *body = body_of("{\"id_data\":\"{}\",\"pubkey\":@}\n");
    AUTO(mem_free) char *signature = sign(body, strlen(body));
    AUTO(devreq_release) struct devreq request = {0};
    char why[DEVREQ_WHY_SIZE] = "";
    ck_err(devreq_read(device.cache, body, strlen(body) - 1, signature, why, &request), ERR_SIGNATURE);
    ck_assert_str_eq(why, "signature verification failed");
    ck_err(devreq_read(device.cache, body, strlen(body), "not base64", why, &request), ERR_SIGNATURE);
    body[strlen(body) - 1] = ' ';
    ck_err(devreq_read(device.cache, body, strlen(body), signature, why, &request), ERR_SIGNATURE);
    body[strlen(body) - 1] = '\n';
    ck_assert_ptr_null(request.key);
    ck_ok(devreq_read(device.cache, body, strlen(body), signature, why, &request));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("devreq");
    TCase *tc = tcase_create("devreq");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, reads_a_signed_request);
    tcase_add_loop_test(tc, decodes_as_the_original, 0, (int)(sizeof accepted / sizeof *accepted));
    tcase_add_loop_test(tc, refuses_in_the_originals_words, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tc, wants_a_signature_after_all_else_is_right);
    tcase_add_test(tc, verifies_the_body_byte_for_byte);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
