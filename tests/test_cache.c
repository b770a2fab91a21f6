/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auth/cache.h"
#include "lib/auto.h"
#include "tests/support.h"

static const struct cache_key key = {.kid = 7, .serial = 3};

/* The n-th token: its digest is as spread as a real one. */
static struct issuer_token token_of(uint32_t n)
{
    struct issuer_token token = {.claims = {.exp = n, .iat = 1, .nbf = 2, .is_user = true},
                                 .found = {.asked_ms = 4, .until_ms = 5, .stamp = 6}};
    char text[32];
    int len = snprintf(text, sizeof text, "token %u", n);
    jws_digest(text, (size_t)len, token.digest);
    snprintf(token.claims.jti, sizeof token.claims.jti, "jti-%u", n);
    snprintf(token.claims.sub, sizeof token.claims.sub, "sub-%u", n);
    snprintf(token.claims.iss, sizeof token.claims.iss, "iss");
    snprintf(token.claims.scp, sizeof token.claims.scp, "%s", CLAIMS_SCOPE_USER);
    return token;
}

static bool has(struct cache *cache, uint32_t n)
{
    struct issuer_token token = token_of(n), found;
    struct cache_key used;
    return cache_find(cache, token.digest, &found, &used);
}

START_TEST(gives_back_what_it_was_given)
{
    AUTO(cache_free) struct cache *cache = cache_new(100, 0);
    struct issuer_token token = token_of(1), found;
    memset(token.claims.iss, 'i', sizeof token.claims.iss - 1);
    snprintf(token.claims.tenant, sizeof token.claims.tenant, "tenant");
    cache_insert(cache, &token, &key);

    struct cache_key used;
    ck_assert(cache_find(cache, token.digest, &found, &used));
    ck_assert_int_eq(used.kid, 7);
    ck_assert_uint_eq(used.serial, 3);
    ck_assert_str_eq(found.claims.jti, token.claims.jti);
    ck_assert_str_eq(found.claims.sub, token.claims.sub);
    ck_assert_str_eq(found.claims.tenant, "tenant");
    ck_assert_str_eq(found.claims.scp, token.claims.scp);
    ck_assert_str_eq(found.claims.iss, token.claims.iss);
    ck_assert_int_eq(found.claims.exp, 1);
    ck_assert_int_eq(found.claims.iat, 1);
    ck_assert_int_eq(found.claims.nbf, 2);
    ck_assert(found.claims.is_user);
    ck_assert(!found.claims.is_device);
    ck_assert_int_eq(found.found.until_ms, 5);
    ck_assert_uint_eq(found.found.stamp, 6);
    ck_assert_mem_eq(found.digest, token.digest, sizeof token.digest);
}
END_TEST

START_TEST(a_digest_must_match_in_every_byte)
{
    AUTO(cache_free) struct cache *cache = cache_new(1, 0);
    struct issuer_token token = token_of(1), found = {.found = {.stamp = 99}};
    cache_insert(cache, &token, &key);
    for (size_t i = 0; i < sizeof token.digest; i++) {
        struct cache_key used;
        token.digest[i] ^= 1;
        ck_assert(!cache_find(cache, token.digest, &found, &used));
        token.digest[i] ^= 1;
    }
    ck_assert_uint_eq(found.found.stamp, 99);
    ck_assert(has(cache, 1));
}
END_TEST

START_TEST(a_second_insert_replaces_the_first)
{
    AUTO(cache_free) struct cache *cache = cache_new(8, 0);
    struct issuer_token token = token_of(1), found;
    struct cache_key used, newer = {.kid = 8, .serial = 9};
    cache_insert(cache, &token, &key);
    token.claims.exp = 77;
    cache_insert(cache, &token, &newer);
    ck_assert(cache_find(cache, token.digest, &found, &used));
    ck_assert_int_eq(found.claims.exp, 77);
    ck_assert_uint_eq(used.serial, 9);
    for (uint32_t n = 2; n <= 8; n++) {
        struct issuer_token other = token_of(n);
        cache_insert(cache, &other, &key);
    }
    for (uint32_t n = 1; n <= 8; n++)
        ck_assert(has(cache, n));
}
END_TEST

START_TEST(notes_liveness_of_what_it_has)
{
    AUTO(cache_free) struct cache *cache = cache_new(8, 0);
    struct issuer_token token = token_of(1), absent = token_of(2), found;
    struct cache_key used;
    cache_insert(cache, &token, &key);
    cache_set_found(cache, token.digest, &(struct liveness_found){.until_ms = 1000, .stamp = 11});
    cache_set_found(cache, absent.digest, &(struct liveness_found){.until_ms = 1000, .stamp = 11});
    ck_assert(cache_find(cache, token.digest, &found, &used));
    ck_assert_int_eq(found.found.until_ms, 1000);
    ck_assert_uint_eq(found.found.stamp, 11);
    ck_assert(!has(cache, 2));
}
END_TEST

static const size_t sizes[] = {1, 3, 8, 9, 100, 1000};

START_TEST(never_holds_more_than_its_size)
{
    AUTO(cache_free) struct cache *cache = cache_new(sizes[_i], 0);
    size_t there = 0;
    for (uint32_t n = 0; n < 4000; n++) {
        struct issuer_token token = token_of(n);
        cache_insert(cache, &token, &key);
        ck_assert(has(cache, n));
    }
    for (uint32_t n = 0; n < 4000; n++)
        there += has(cache, n);
    ck_assert_uint_le(there, sizes[_i]);
    ck_assert_uint_ge(there, sizes[_i] * 95 / 100);
}
END_TEST

static size_t count_there(struct cache *cache, uint32_t n)
{
    size_t there = 0;
    for (uint32_t i = 0; i < n; i++)
        there += has(cache, i);
    return there;
}

/* Of caches with less room than places, the number of tokens that a byte more or less holds. */
START_TEST(never_takes_more_memory_than_it_may)
{
    const size_t bytes = 65536;
    struct cache *cache = cache_new(sizes[_i] * 100, bytes);
    for (uint32_t n = 0; n < 1000; n++) {
        struct issuer_token token = token_of(n);
        cache_insert(cache, &token, &key);
        ck_assert(has(cache, n));
        if (n % 100 == 0)
            ck_assert_int_le(support_metric("mintd_token_cache_bytes"), (long)bytes);
    }
    size_t there = count_there(cache, 1000);
    ck_assert_int_eq(support_metric("mintd_token_cache_entries"), (long)there);
    ck_assert_uint_le(there * sizeof(int64_t) * 12, bytes);
    ck_assert_uint_ge(there, sizes[_i] * 100 < 150 ? sizes[_i] * 90 : 140);
    ck_assert_int_eq(support_metric("mintd_token_cache_evictions_total"), 1000 - (long)there);
    cache_free(&cache);
    ck_assert_int_eq(support_metric("mintd_token_cache_bytes"), 0);
    ck_assert_int_eq(support_metric("mintd_token_cache_entries"), 0);
}
END_TEST

START_TEST(hits_and_misses_are_counted)
{
    AUTO(cache_free) struct cache *cache = cache_new(8, 0);
    struct issuer_token token = token_of(1);
    cache_insert(cache, &token, &key);
    ck_assert(has(cache, 1));
    ck_assert(has(cache, 1));
    ck_assert(!has(cache, 2));
    ck_assert_int_eq(support_metric("mintd_token_cache_hits_total"), 2);
    ck_assert_int_eq(support_metric("mintd_token_cache_misses_total"), 1);
}
END_TEST

/* Tokens that expire from arg on, and the key of those with an odd exp. */
static bool is_usable(int64_t exp, const struct cache_key *used, const void *arg)
{
    const int64_t *now = arg;
    return exp > *now && used->kid == key.kid;
}

START_TEST(a_tidy_forgets_what_is_not_usable)
{
    AUTO(cache_free) struct cache *cache = cache_new(1000, 0);
    const struct cache_key gone = {.kid = 8, .serial = 4};
    for (uint32_t n = 0; n < 100; n++) {
        struct issuer_token token = token_of(n);
        cache_insert(cache, &token, n % 2 == 0 ? &key : &gone);
    }
    const int64_t now = 49;
    cache_tidy(cache, is_usable, &now);
    for (uint32_t n = 0; n < 100; n++)
        ck_assert_int_eq(has(cache, n), n > 49 && n % 2 == 0);
    ck_assert_int_eq(support_metric("mintd_token_cache_entries"), 25);
    ck_assert_int_eq(support_metric("mintd_token_cache_evictions_total"), 0);
    cache_tidy(NULL, is_usable, &now);
}
END_TEST

START_TEST(what_is_asked_for_stays)
{
    AUTO(cache_free) struct cache *cache = cache_new(8, 0);
    struct issuer_token wanted = token_of(0);
    cache_insert(cache, &wanted, &key);
    for (uint32_t n = 1; n < 1000; n++) {
        struct issuer_token token = token_of(n);
        cache_insert(cache, &token, &key);
        ck_assert(has(cache, 0));
    }
}
END_TEST

START_TEST(none_remembers_nothing)
{
    struct cache *cache = cache_new(0, 0);
    ck_assert_ptr_null(cache);
    struct issuer_token token = token_of(1);
    cache_insert(cache, &token, &key);
    cache_set_found(cache, token.digest, &(struct liveness_found){.until_ms = 1, .stamp = 1});
    ck_assert(!has(cache, 1));
    cache_free(&cache);
}
END_TEST

#define THREADS 4

static struct cache *shared;
static atomic_int mixed_up;

static void *use_shared(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t n = (i * 7919 + seed * 31) % 300;
        struct issuer_token token = token_of(n), found;
        struct cache_key used;
        if (!cache_find(shared, token.digest, &found, &used))
            cache_insert(shared, &token, &key);
        else if (strcmp(found.claims.jti, token.claims.jti) != 0 || found.claims.exp != (int64_t)n)
            atomic_fetch_add(&mixed_up, 1);
        cache_set_found(shared, token.digest, &(struct liveness_found){.until_ms = i, .stamp = n});
    }
    return NULL;
}

START_TEST(threads_never_get_another_token)
{
    shared = cache_new(200, 0);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_shared, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(mixed_up, 0);
    cache_free(&shared);
    ck_assert_ptr_null(shared);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cache");
    TCase *tc = tcase_create("cache");
    suite_add_tcase(s, tc);
    tcase_add_test(tc, gives_back_what_it_was_given);
    tcase_add_test(tc, a_digest_must_match_in_every_byte);
    tcase_add_test(tc, a_second_insert_replaces_the_first);
    tcase_add_test(tc, notes_liveness_of_what_it_has);
    tcase_add_loop_test(tc, never_holds_more_than_its_size, 0, sizeof sizes / sizeof *sizes);
    tcase_add_loop_test(tc, never_takes_more_memory_than_it_may, 0, sizeof sizes / sizeof *sizes);
    tcase_add_test(tc, hits_and_misses_are_counted);
    tcase_add_test(tc, a_tidy_forgets_what_is_not_usable);
    tcase_add_test(tc, what_is_asked_for_stays);
    tcase_add_test(tc, none_remembers_nothing);
    tcase_add_test(tc, threads_never_get_another_token);
    return s;
}

int main(void)
{
    support_fork(); /* counts are from the start */
    return support_main(suite());
}
