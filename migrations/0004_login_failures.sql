-- SPDX-License-Identifier: Apache-2.0
-- Failed logins by account and client network; the row with network '' is that of the account from everywhere. account
-- is a digest of the e-mail, so that names which nobody has are not kept. failures count until forget_ms; until_ms is
-- the end of a delay or lock, refused counts the attempts that met one. Until trusted_ms the network is known as one
-- that its owner has logged in from. After expires_ms the row says nothing any more.
CREATE TABLE login_failures (
    account    TEXT   NOT NULL,
    network    TEXT   NOT NULL,
    failures   BIGINT NOT NULL,
    refused    BIGINT NOT NULL,
    forget_ms  BIGINT NOT NULL,
    until_ms   BIGINT NOT NULL,
    trusted_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (account, network)
);

CREATE INDEX login_failures_expiry ON login_failures (expires_ms);
