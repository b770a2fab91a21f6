-- SPDX-License-Identifier: Apache-2.0
-- Devices. id_data is the canonical JSON text of what the device says it is, id_hash the SHA-256 of it in hex: by it a
-- device is known. status is the strongest of its authentication sets' (contract/deviceauth 2.7), 'noauth' without any.
CREATE TABLE devices (
    id              TEXT   NOT NULL PRIMARY KEY,
    tenant_id       TEXT   NOT NULL,
    id_hash         TEXT   NOT NULL,
    id_data         TEXT   NOT NULL,
    status          TEXT   NOT NULL,
    decommissioning BIGINT NOT NULL DEFAULT 0,
    provisioned     BIGINT NOT NULL DEFAULT 0,
    revision        BIGINT NOT NULL DEFAULT 1,
    created_ms      BIGINT NOT NULL,
    updated_ms      BIGINT NOT NULL
);

CREATE UNIQUE INDEX devices_identity ON devices (tenant_id, id_hash);
CREATE INDEX devices_status ON devices (tenant_id, status, id);

-- What a device asks to be let in with: one public key (SPKI PEM as OpenSSL writes it). id is the jti of its tokens.
CREATE TABLE auth_sets (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL,
    device_id  TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    key_hash   TEXT   NOT NULL,
    pubkey     TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX auth_sets_key ON auth_sets (device_id, key_hash);

-- One row for each authentication set that has tokens: those are alive while the row is, but for ones issued before
-- issued_ms, which were revoked.
CREATE TABLE device_tokens (
    id         TEXT   NOT NULL PRIMARY KEY REFERENCES auth_sets (id) ON DELETE CASCADE,
    tenant_id  TEXT   NOT NULL,
    device_id  TEXT   NOT NULL,
    issued_ms  BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);

CREATE INDEX device_tokens_device ON device_tokens (tenant_id, device_id);
CREATE INDEX device_tokens_expiry ON device_tokens (expires_ms);

-- When a device was last seen, written in batches; told_ms is when inventory was last told.
CREATE TABLE device_check_ins (
    device_id TEXT   NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    seen_ms   BIGINT NOT NULL,
    told_ms   BIGINT NOT NULL
);

-- Limits of a tenant; no row: unlimited.
CREATE TABLE limits (
    tenant_id TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    value     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

-- Calls of the workflow engine that are still to be made, written in the transaction that causes them; in order of seq
-- for each device. held_until_ms: somebody is sending it; due_ms: when it is to be tried again.
CREATE TABLE device_events (
    device_id     TEXT   NOT NULL,
    seq           BIGINT NOT NULL,
    workflow      TEXT   NOT NULL,
    body          TEXT   NOT NULL,
    created_ms    BIGINT NOT NULL,
    attempts      BIGINT NOT NULL DEFAULT 0,
    due_ms        BIGINT NOT NULL,
    held_until_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, seq)
);

CREATE INDEX device_events_due ON device_events (due_ms);
