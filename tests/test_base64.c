/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base64.h"
#include "tests/support.h"

/* RFC 4648 section 10, and bytes whose digits differ in the two alphabets. */
static const struct {
    const char *bytes;
    const char *std;
    const char *url;
} pairs[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
    {"\xff\xef\xbe\xfb", "/++++w==", "_----w"},
};

static const struct refusal {
    const char *text;
    size_t len;
    size_t bad;
} url_refusals[] = {
    {"A", 1, 0}, /* six bits are no byte */
    {"Zm9vA", 5, 4},
    {"Zg==", 4, 2}, /* padding */
    {"Zm8=", 4, 3},
    {"Zm9v=", 5, 4},
    {"Z=9v", 4, 1},
    {"Zm9v\n", 5, 4}, /* white space */
    {"\r\nZm9v", 6, 0},
    {"Zm 9v", 5, 2},
    {"Zm9vZm+v", 8, 6}, /* the other alphabet */
    {"Zm9vZm/v", 8, 6},
    {"Zh", 2, 1}, /* unused bits: the same byte as Zg */
    {"Zm9", 3, 2},
    {"Zm9vZm9", 7, 6},
    {"Zm9v\0m9v", 8, 4}, /* NUL does not end it */
    {"Zm9v\xc3\xa9", 6, 4},
    {"!", 1, 0},
    {"Zm9!", 4, 3},
    {"Z!", 2, 1},
    {"Zm!", 3, 2},
    {".", 1, 0},
};

static const struct refusal std_refusals[] = {
    {"Zg", 2, 2},                                               /* padding is missing */
    {"Zg=", 3, 3},      {"Zm9vY", 5, 5},        {"Zh==", 4, 1}, /* unused bits */
    {"Zm9=", 4, 2},     {"A===", 4, 1},         {"====", 4, 0}, {"=", 1, 1}, {"Zg==Zg==", 8, 2}, /* padding inside */
    {"Zm9v====", 8, 4}, {"Zm-v", 4, 2}, /* the other alphabet */
    {"Zm_v", 4, 2},     {"Zm9v\n\n\n\n", 8, 4},
};

static void check_pair(enum base64_kind kind, const char *bytes, const char *text)
{
    size_t n = strlen(bytes);
    char encoded[32] = {0};
    uint8_t decoded[32];
    ck_assert_uint_eq(base64_encode(kind, bytes, n, encoded), strlen(text));
    ck_assert_str_eq(encoded, text);
    ck_assert_int_eq(base64_decode(kind, text, strlen(text), decoded, NULL), (ptrdiff_t)n);
    ck_assert_mem_eq(decoded, bytes, n);
}

START_TEST(encodes_and_decodes_known_pairs)
{
    check_pair(BASE64_STD, pairs[_i].bytes, pairs[_i].std);
    check_pair(BASE64_URL, pairs[_i].bytes, pairs[_i].url);
}
END_TEST

static void check_refusal(enum base64_kind kind, const struct refusal *r)
{
    /* exactly as large as it must be, so that ASan sees a byte too many */
    char *text = malloc(r->len);
    uint8_t *out = malloc(BASE64_DECODED(r->len));
    size_t bad = SIZE_MAX;
    memcpy(text, r->text, r->len);
    ck_assert_int_eq(base64_decode(kind, text, r->len, out, &bad), -1);
    ck_assert_uint_eq(bad, r->bad);
    ck_assert_int_eq(base64_decode(kind, text, r->len, out, NULL), -1);
    free(out);
    free(text);
}

START_TEST(refuses_and_points_at_the_fault_url)
{
    check_refusal(BASE64_URL, &url_refusals[_i]);
}
END_TEST

START_TEST(refuses_and_points_at_the_fault_std)
{
    check_refusal(BASE64_STD, &std_refusals[_i]);
}
END_TEST

START_TEST(gives_back_every_length)
{
    enum base64_kind kind = _i == 0 ? BASE64_URL : BASE64_STD;
    for (size_t n = 0; n <= 300; n++) {
        uint8_t *bytes = malloc(n + 1);
        char *text = malloc(BASE64_ENCODED(n) + 1);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)(i * 167 + n);
        size_t len = base64_encode(kind, bytes, n, text);
        ck_assert_uint_le(len, BASE64_ENCODED(n));
        uint8_t *back = malloc(BASE64_DECODED(len));
        ck_assert_int_eq(base64_decode(kind, text, len, back, NULL), (ptrdiff_t)n);
        ck_assert_mem_eq(back, bytes, n);
        free(back);
        free(text);
        free(bytes);
    }
}
END_TEST

/* What decodes is the one spelling of its bytes: each accepted text of up to three characters encodes to itself. */
START_TEST(accepts_one_spelling_only)
{
    size_t accepted = 0;
    for (uint32_t i = 0; i < UINT32_C(1) << 24; i++) {
        char text[3] = {(char)(i & 0xff), (char)(i >> 8 & 0xff), (char)(i >> 16)};
        uint8_t bytes[BASE64_DECODED(3)];
        char again[4];
        if (base64_decode(BASE64_URL, text, 3, bytes, NULL) != 2)
            continue;
        accepted++;
        ck_assert_uint_eq(base64_encode(BASE64_URL, bytes, 2, again), 3);
        ck_assert_mem_eq(again, text, 3);
    }
    ck_assert_uint_eq(accepted, 65536);
}
END_TEST

/* contract/deviceauth 2.3 */
static const struct {
    const char *text;
    const char *bytes; /* NULL: refused */
} lax[] = {
    {"", ""},         {"Zg==", "f"},      {"Zh==", "f"}, /* unused bits */
    {"Zm9=", "fo"},   {"Zm9v", "foo"},    {"\r\nZ\nm\r9v\n", "foo"},
    {"Zg=\n=", "f"},  {"Zg", NULL},       {"Zg=", NULL},
    {"Zg===", NULL},  {"Zg==Zg==", NULL}, {"Zm 9v", NULL},
    {"Zm9v\t", NULL}, {"Zm-_", NULL},     {"====", NULL},
    {"A===", NULL},   {"=", NULL},
};

START_TEST(decodes_signatures_as_lax_as_the_original)
{
    uint8_t out[BASE64_DECODED(16)];
    for (size_t i = 0; i < sizeof lax / sizeof *lax; i++) {
        ptrdiff_t n = base64_decode_lax(lax[i].text, strlen(lax[i].text), out);
        ck_assert_msg(n == (lax[i].bytes != NULL ? (ptrdiff_t)strlen(lax[i].bytes) : -1), "%s: %td", lax[i].text, n);
        if (n > 0)
            ck_assert_mem_eq(out, lax[i].bytes, (size_t)n);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base64");
    TCase *tc = tcase_create("base64");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, encodes_and_decodes_known_pairs, 0, sizeof pairs / sizeof *pairs);
    tcase_add_loop_test(tc, refuses_and_points_at_the_fault_url, 0, sizeof url_refusals / sizeof *url_refusals);
    tcase_add_loop_test(tc, refuses_and_points_at_the_fault_std, 0, sizeof std_refusals / sizeof *std_refusals);
    tcase_add_loop_test(tc, gives_back_every_length, 0, 2);
    tcase_add_test(tc, accepts_one_spelling_only);
    tcase_add_test(tc, decodes_signatures_as_lax_as_the_original);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
