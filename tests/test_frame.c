/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <string.h>

#include "api/frame.h"
#include "tests/support.h"

/*
 * Heads as libmicrohttpd 0.9.75 leaves them: each CR, LF and colon that it understood is a NUL ('0' below). Raw
 * bytes are in test_server.
 */

static struct frame frame;
static struct call call;

static void set_up(void)
{
    frame = (struct frame){0};
    call = (struct call){.content_length = -1};
}

static void header(const char *name, const char *value)
{
    frame_header(&frame, &call, name, strlen(name), value, strlen(value));
}

static void begin_elsewhere(void)
{
    frame_begin(&frame, &(struct frame_line){.method = "GET", .target = "/", .target_len = 1, .version = "HTTP/1.1"});
}

START_TEST(keeps_the_first_header_of_a_kind)
{
    begin_elsewhere();
    header("COOKIE", "a");
    header("cookie", "b");
    header("x-men-requestid", "id");
    header("If-Matcd", "no such header");
    frame_end(&frame);
    ck_assert_ptr_null(frame.why);
    ck_assert_str_eq(call.header[CALL_COOKIE], "a");
    ck_assert_str_eq(call.header[CALL_REQUEST_ID], "id");
    ck_assert_ptr_null(call.header[CALL_IF_MATCH]);
    ck_assert_int_eq(call.content_length, -1);
}
END_TEST

START_TEST(reads_the_length)
{
    begin_elsewhere();
    header("Content-Length", "999999999999999999");
    ck_assert_ptr_null(frame.why);
    ck_assert_int_eq(call.content_length, 999999999999999999);
}
END_TEST

START_TEST(refuses_a_length_that_is_no_number)
{
    static const char *const bad[] = {"", "-1", "+1", "0x1", "1 ", " 1", "1,1", "1000000000000000000", "\xd9\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        set_up();
        begin_elsewhere();
        header("Content-Length", bad[i]);
        ck_assert_msg(frame.why != NULL, "%s", bad[i]);
        ck_assert_int_eq(call.content_length, -1);
    }
}
END_TEST

START_TEST(refuses_two_of_what_may_be_there_once)
{
    static const char *const names[][2] = {{"Content-Length", "1"},
                                           {"Transfer-Encoding", "chunked"},
                                           {"Host", "x"},
                                           {"Authorization", "Bearer t"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        set_up();
        begin_elsewhere();
        header(names[i][0], names[i][1]);
        ck_assert_ptr_null(frame.why);
        header(names[i][0], names[i][1]);
        ck_assert_ptr_nonnull(frame.why);
    }
}
END_TEST

START_TEST(refuses_two_ways_to_end_a_body)
{
    begin_elsewhere();
    header("Transfer-Encoding", "Chunked");
    header("Content-Length", "0");
    ck_assert_ptr_null(frame.why);
    frame_end(&frame);
    ck_assert_str_eq(frame.why, "both Content-Length and Transfer-Encoding");
}
END_TEST

START_TEST(refuses_an_encoded_nul_in_the_target)
{
    frame_target(&frame, "/a?b=%2500");
    ck_assert_ptr_null(frame.why);
    frame_target(&frame, "/a%00");
    ck_assert_ptr_nonnull(frame.why);
}
END_TEST

/* A head in a buffer, as it was parsed: offsets of method, target, version and one header. */
struct parsed {
    const char *buffer;
    size_t size;
    size_t target, version, name, value;
    bool is_good;
};

static const struct parsed heads[] = {
    {"GET\0/x\0HTTP/1.1\0\0A\0 b\0\0\0\0", 25, 4, 7, 17, 20, true},
    {"GET\0/x\0HTTP/1.1\0\0A\0b\0\0\0\0", 24, 4, 7, 17, 19, true},
    {"GET\0/x\0HTTP/1.1\0\0A\0\t b\0\0\0\0", 26, 4, 7, 17, 21, true},
    {"GET\0/x\0HTTP/1.1\0A\0 b\0\0\0\0", 24, 4, 7, 16, 19, false},         /* LF behind the request line */
    {"GET\0/x\0HTTP/1.1\0\0A\0 b\0\0\0", 24, 4, 7, 17, 20, false},         /* LF behind the header */
    {"GET\0/x\0HTTP/1.1\0\0A\0 b\0evil\0\0\0\0", 30, 4, 7, 17, 20, false}, /* NUL in the value */
    {"GET\0/x\0y\0HTTP/1.1\0\0A\0 b\0\0\0\0", 27, 4, 9, 19, 22, false},    /* NUL in the target */
    {"GET\0/x\0HTTP/1.1\0\0A\0x b\0\0\0\0", 26, 4, 7, 17, 21, false},      /* more than blanks before the value */
    {"GET\0/x\0HTTP/1.1\0\0A\0 b\0\0\0\0A\0", 25, 4, 7, 25, 20, false},    /* a folded line, put together elsewhere */
};

START_TEST(refuses_a_head_with_gaps)
{
    const struct parsed *p = &heads[_i];
    frame_begin(&frame, &(struct frame_line){.method = p->buffer,
                                             .target = p->buffer + p->target,
                                             .target_len = 2,
                                             .version = p->buffer + p->version,
                                             .size = p->size});
    header(p->buffer + p->name, p->buffer + p->value);
    frame_end(&frame);
    ck_assert_msg((frame.why == NULL) == p->is_good, "head %d: %s", _i, frame.why != NULL ? frame.why : "accepted");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("frame");
    TCase *tc = tcase_create("frame");
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, keeps_the_first_header_of_a_kind);
    tcase_add_test(tc, reads_the_length);
    tcase_add_test(tc, refuses_a_length_that_is_no_number);
    tcase_add_test(tc, refuses_two_of_what_may_be_there_once);
    tcase_add_test(tc, refuses_two_ways_to_end_a_body);
    tcase_add_test(tc, refuses_an_encoded_nul_in_the_target);
    tcase_add_loop_test(tc, refuses_a_head_with_gaps, 0, (int)(sizeof heads / sizeof *heads));
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
