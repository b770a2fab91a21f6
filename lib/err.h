/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

/*
 * Every way in which a call can fail, in one list: name, HTTP status, text for the client or the operator.
 * Texts of the wire contract stand here to the letter. Where a text needs a value (a position, a field), the row holds
 * the general form and the place that knows the value says more: call_fail() over HTTP, a log field elsewhere.
 *
 * enum err is must-check: ignoring one does not compile.
 */
#define ERR_LIST(X)                                                                                                    \
    X(OK, 200, "ok")                                                                                                   \
    /* general */                                                                                                      \
    X(INTERNAL, 500, "internal error")                                                                                 \
    X(WOULD_BLOCK, 500, "internal error") /* repeat it where blocking is allowed; never reaches a client */            \
    X(BUSY, 503, "service unavailable")   /* a queue is full; comes with Retry-After */                                \
    X(UNAVAILABLE, 503, "service unavailable")                                                                         \
    X(BAD_REQUEST, 400, "bad request")                                                                                 \
    X(NOT_FOUND, 404, "not found")                                                                                     \
    X(METHOD, 405, "method not allowed")                                                                               \
    X(ETAG, 412, "ETag doesn't match")                                                                                 \
    X(TOO_LARGE, 413, "http: request body too large")                                                                  \
    X(MEDIA_TYPE, 415, "Bad Content-Type, expected 'application/json'")                                                \
    X(RATE_LIMIT, 429, "too many requests") /* comes with Retry-After */                                               \
    X(NO_MEDIA_TYPE, 400, "Invalid value for Content-Type header: mime: no media type")                                \
    X(JSON, 400, "failed to decode request body")                                                                      \
    X(IO, 500, "input/output error")                                                                                   \
    X(CONFIG, 500, "invalid configuration")                                                                            \
    X(PATTERN, 500, "the pattern does not compile")                                                                    \
    X(PATTERN_GROUP, 500, "the pattern has no capture group for the key id")                                           \
    X(PATTERN_LIMIT, 500, "matching the pattern took too much work")                                                   \
    /* who is calling: contract/useradm 1.1, 1.2, 4 */                                                                 \
    X(NO_AUTHORIZATION, 401, "Authorization not present in header")                                                    \
    X(AUTHORIZATION_FORM, 401, "malformed Authorization header")                                                       \
    X(AUTHORIZATION_SCHEME, 401, "unknown Authorization method")                                                       \
    X(BASIC_AUTH, 401, "invalid or missing auth header")                                                               \
    X(TOKEN_FORM, 401, "identity: incorrect token format")                                                             \
    X(TOKEN_BASE64, 401, "identity: failed to decode base64 JWT claims: illegal base64 data")                          \
    X(TOKEN_JSON, 401, "identity: failed to decode JSON JWT claims")                                                   \
    X(TOKEN_SUBJECT, 401, "identity: claim \"sub\" is required")                                                       \
    X(TOKEN_INVALID, 401, "invalid jwt")                                                                               \
    X(UNAUTHORIZED, 401, "unauthorized")                                                                               \
    X(FORBIDDEN, 403, "unauthorized")                                                                                  \
    X(FORWARDED, 500, "the gateway must send X-Forwarded-Method, and X-Forwarded-Uri with a path of three parts")      \
    /* users and passwords: contract/useradm 5 */                                                                      \
    X(INVALID, 400, "invalid value") /* the text names the field */                                                    \
    X(PASSWORD_SHORT, 422, "password: must be minimum 8 characters long")                                              \
    X(PASSWORD_LONG, 422, "password: must be no longer than 72 bytes")                                                 \
    X(PASSWORD_SIMILAR, 422, "password is too similar to the email")                                                   \
    X(PASSWORD_HASH, 500, "the password could not be hashed")                                                          \
    X(PASSWORD_FIXED, 422, "password cannot be modified")                                                              \
    X(PASSWORD_CURRENT, 422, "current password mismatch")                                                              \
    X(EMAIL_TAKEN, 422, "user with a given email already exists")                                                      \
    X(USER_CHANGED, 409, "entity tag did not match any records") /* somebody else wrote it meanwhile */                \
    X(USER_NOT_FOUND, 404, "user not found")                                                                           \
    /* personal access tokens: contract/useradm 1.2 */                                                                 \
    X(TOKEN_LIMIT, 422, "maximum number of personal acess tokens reached for this user")                               \
    X(TOKEN_NAME, 409, "Personal Access Token with a given name already exists")                                       \
    /* public keys and requests of devices: contract/deviceauth 2.4, 2.6 */                                            \
    X(PUBKEY_PEM, 400, "cannot decode public key")                                                                     \
    X(PUBKEY_FORM, 400, "cannot decode public key: malformed")                                                         \
    X(PUBKEY_TYPE, 400, "unrecognized public key type")                                                                \
    X(PUBKEY_CURVE, 400, "cannot decode public key: x509: unsupported elliptic curve")                                 \
    X(PUBKEY_SIZE, 400, "cannot decode public key: the RSA key is too small, too large or weak")                       \
    X(SIGNATURE_MISSING, 400, "missing request signature header")                                                      \
    X(SIGNATURE, 401, "signature verification failed")                                                                 \
    /* devices: contract/deviceauth 1.4, 2.6, 5.2 */                                                                   \
    X(DEVICE_NOT_FOUND, 404, "device not found")                                                                       \
    X(AUTH_SET_NOT_FOUND, 404, "authorization set not found")                                                          \
    X(NO_DEVICE, 401, "")                          /* no text, no body: contract/deviceauth 3.3 */                     \
    X(NOTHING_THERE, 404, "")                      /* the same: 1.4, "bare" */                                         \
    X(DEVICE_EXISTS, 409, "device already exists") /* the reply is that device */                                      \
    X(DEVICE_UNAUTHORIZED, 401, "dev auth: unauthorized")                                                              \
    X(DEVICE_MISMATCH, 400, "dev auth: dev ID and auth ID mismatch")                                                   \
    X(DEVICE_TRANSITION, 400, "dev auth: bad request")                                                                 \
    X(DEVICE_LIMIT, 422, "maximum number of accepted devices reached")                                                 \
    X(WORKFLOW, 500, "the workflow engine did not take a call; it stays queued")                                       \
    /* tenants and their add-ons: contract/deviceauth 2.8, 3.3 */                                                      \
    X(TENANT, 401, "tenant token missing") /* or what the tenant service says */                                       \
    X(TENANT_SERVICE, 500, "the tenant service does not answer as it should")                                          \
    X(ADDON, 403, "operation requires addon") /* the text names it */                                                  \
    /* storage */                                                                                                      \
    X(DB, 500, "database error")                                                                                       \
    X(DB_UNREACHABLE, 503, "service unavailable")                                                                      \
    X(DB_RETRY, 503, "service unavailable") /* lost a race for the database; db_tx() repeats it */                     \
    X(DB_URL, 500, "the database address must start with sqlite: or postgresql://")                                    \
    X(SCHEMA_NEWER, 500, "the database schema is newer than this program")                                             \
    X(SCHEMA_OLD, 500, "the database schema is older than this program: run migrate, or start with --automigrate")     \
    /* other services: lib/http.h */                                                                                   \
    X(HTTP_URL, 500, "the address must be a URL with http:// or https://")                                             \
    X(HTTP_UNREACHABLE, 500, "the service does not answer")                                                            \
    X(HTTP_TIMEOUT, 500, "the service does not answer in time")                                                        \
    X(HTTP_TOO_LARGE, 500, "the service's answer is too large")                                                        \
    /* key files */                                                                                                    \
    X(KEY_DIR, 500, "the key directory cannot be read")                                                                \
    X(KEY_NONE, 500, "there is no usable signing key")                                                                 \
    X(KEY_MISSING, 500, "no such key file")                                                                            \
    X(KEY_UNREADABLE, 500, "the key file cannot be read")                                                              \
    X(KEY_NOT_FILE, 500, "not a regular file")                                                                         \
    X(KEY_OUTSIDE, 500, "the link leads out of the key directory")                                                     \
    X(KEY_FILE_SIZE, 500, "the key file is larger than 64 KiB")                                                        \
    X(KEY_MODE, 500, "the key file is accessible to others (strict_key_permissions)")                                  \
    X(KEY_ID, 500, "the key id in the file name is not a number from 0 to 2147483647")                                 \
    X(KEY_DUPLICATE, 500, "another file has the same key id")                                                          \
    X(KEY_LIMIT, 500, "too many key files")                                                                            \
    X(KEY_NOT_PEM, 500, "no PEM private key in the file")                                                              \
    X(KEY_TRAILING, 500, "more than one PEM block, or data around it, in the file")                                    \
    X(KEY_ENCRYPTED, 500, "the key is encrypted; mintd takes unencrypted keys only")                                   \
    X(KEY_TYPE, 500, "unsupported key type or form (RSA, P-256, P-384, P-521, Ed25519 as PKCS#1, SEC1 or PKCS#8)")     \
    X(KEY_WEAK, 500, "RSA keys need 2048 to 8192 bits, an odd exponent from 65537 up, and no ROCA modulus")            \
    X(KEY_ALG, 500, "the configured algorithm does not fit the key type")                                              \
    X(KEY_INCONSISTENT, 500, "the key is damaged: its private and public parts do not belong together")                \
    X(KEY_EXISTS, 500, "the key file exists already")                                                                  \
    X(SIGN, 500, "signing failed")

enum [[nodiscard]] err{
#define ERR_MEMBER(name, status, text) ERR_##name,
    ERR_LIST(ERR_MEMBER)
#undef ERR_MEMBER
};

/* The member's name without its prefix, "KEY_WEAK": for logs, metrics and tests. */
const char *err_name(enum err e);

/* The HTTP status that e becomes. */
int err_status(enum err e);

/* The client's or operator's text. A client never sees the text of a 500: the reply says "internal error" instead. */
const char *err_text(enum err e);

#endif
