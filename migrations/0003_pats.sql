-- SPDX-License-Identifier: Apache-2.0
-- A name may have 4096 bytes, which is more than an entry of PostgreSQL's indexes holds. The serializable transaction
-- that inserts a personal access token keeps names unique.
DROP INDEX tokens_name;
