/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_BASE64_H
#define LIB_BASE64_H

#include <stddef.h>
#include <stdint.h>

/*
 * base64 (RFC 4648), strict in both alphabets: no white space, no other character, no non-zero unused bits, so that
 * each byte string has exactly one spelling. Own code because libcrypto's decoder is lax in all of these points.
 *   BASE64_URL  url alphabet, never padded (RFC 7515 section 2)
 *   BASE64_STD  standard alphabet, always padded (RFC 7617)
 */
enum base64_kind { BASE64_URL, BASE64_STD };

/* Characters that n bytes become, and room for the bytes that n characters can hold. */
#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)
#define BASE64_DECODED(n) ((n) / 4 * 3 + 3)

/* Encode len bytes to out, which has room for BASE64_ENCODED(len); no NUL is written. Returns the length. */
size_t base64_encode(enum base64_kind kind, const void *in, size_t len, char *out);

/*
 * Decode len characters to out, which has room for BASE64_DECODED(len).
 *   bad  when not NULL: set, on failure, to the position of the first character outside the alphabet, else of the
 *        last one when it stands alone in its group or has unused bits set, else (padding is missing) to len
 * Returns the number of bytes, or -1; on failure the content of out is undefined.
 */
ptrdiff_t base64_decode(enum base64_kind kind, const char *in, size_t len, uint8_t *out, size_t *bad);

/*
 * Decode BASE64_STD as the original services read signatures (contract/deviceauth 2.3): CR and LF are skipped, and
 * unused bits may be set. Padding and alphabet are as strict as above.
 */
ptrdiff_t base64_decode_lax(const char *in, size_t len, uint8_t *out);

#endif
