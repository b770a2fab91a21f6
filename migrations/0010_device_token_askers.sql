-- SPDX-License-Identifier: Apache-2.0
-- asker is the SHA-256 in hex of a device's id_hash, a slash and its set's key_hash: what a request is known by. So one
-- look-up answers the request of a device that was let in before: a row is there only while its set is accepted and its
-- device not being decommissioned. '' is a row from before this column, or an imported one, until it is written again.
ALTER TABLE device_tokens ADD COLUMN asker TEXT NOT NULL DEFAULT '';
CREATE INDEX device_tokens_asker ON device_tokens (asker);

-- A device that asks again may move expires_ms on. Without an index over it that is one row written where it stands.
-- What expired is found by going through the rows in the order of their ids, a part at a time.
DROP INDEX device_tokens_expiry;

-- Decommissioning deletes tokens from now on.
DELETE FROM device_tokens WHERE device_id IN (SELECT id FROM devices WHERE decommissioning = 1);
