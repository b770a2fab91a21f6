-- SPDX-License-Identifier: Apache-2.0
-- People who log in. email is lower case. revision counts the changes of a row: by it a lost update is noticed.
CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant_id     TEXT   NOT NULL,
    email         TEXT   NOT NULL UNIQUE,
    password_hash TEXT   NOT NULL,
    revision      BIGINT NOT NULL DEFAULT 0,
    created_ms    BIGINT NOT NULL,
    updated_ms    BIGINT NOT NULL,
    login_ms      BIGINT
);

-- Tokens of people: a token is alive while its row is. id is the jti claim, kid the key that signed it. A row with a name is
-- a personal access token, one without is a login session. expires_ms NULL: never.
CREATE TABLE tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant_id    TEXT   NOT NULL,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT,
    kid          BIGINT NOT NULL,
    issued_ms    BIGINT NOT NULL,
    expires_ms   BIGINT,
    last_used_ms BIGINT
);

CREATE UNIQUE INDEX tokens_name ON tokens (tenant_id, user_id, name) WHERE name IS NOT NULL;
CREATE INDEX tokens_user ON tokens (user_id, issued_ms);
CREATE INDEX tokens_expiry ON tokens (expires_ms) WHERE expires_ms IS NOT NULL;
