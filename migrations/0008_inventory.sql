-- SPDX-License-Identifier: Apache-2.0
-- What devices say of themselves, member by member, so that devices are found by it. name and value are keys as
-- auth/attribute.h makes them: short enough for every index, however long the texts are.
CREATE TABLE device_attributes (
    tenant_id TEXT NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (device_id, name)
);

CREATE INDEX device_attributes_value ON device_attributes (tenant_id, name, value, device_id);

-- The orders in which inventory is listed besides that by status.
CREATE INDEX devices_created ON devices (tenant_id, created_ms, id);
CREATE INDEX devices_updated ON devices (tenant_id, updated_ms, id);
