-- SPDX-License-Identifier: Apache-2.0
-- What the user interface keeps: one JSON object for each user and, with user_id '', one for the tenant. etag changes
-- with every save. No foreign key: the settings of a deleted user stay, as with the original service.
CREATE TABLE settings (
    tenant_id TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    etag      TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
