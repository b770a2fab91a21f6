-- SPDX-License-Identifier: Apache-2.0
-- Operators name devices by the digest of their key.
CREATE INDEX auth_sets_hash ON auth_sets (key_hash);
