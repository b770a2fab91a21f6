-- SPDX-License-Identifier: Apache-2.0
-- Why the last try of a call failed, for whoever looks at what is stuck.
ALTER TABLE device_events ADD COLUMN last_error TEXT NOT NULL DEFAULT '';
