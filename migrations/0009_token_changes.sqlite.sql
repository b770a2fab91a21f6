-- SPDX-License-Identifier: Apache-2.0
-- Tokens that may have died, in the order in which that was committed: token_id is a jti, '' stands for any. Triggers
-- write it, in the transaction that kills, so that no writer can forget it. Servers read on from the last row that they
-- know; the newest row is never deleted, and no number is used twice. The other engine's file says the same.
CREATE TABLE token_changes (
    seq      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    token_id TEXT    NOT NULL
);

INSERT INTO token_changes (token_id) VALUES ('');

CREATE TRIGGER tokens_deleted AFTER DELETE ON tokens BEGIN
    INSERT INTO token_changes (token_id) VALUES (OLD.id);
END;

CREATE TRIGGER tokens_changed AFTER UPDATE OF id, tenant_id, user_id, expires_ms ON tokens BEGIN
    INSERT INTO token_changes (token_id) VALUES (OLD.id);
END;

-- Whoever deletes without foreign keys leaves rows behind.
CREATE TRIGGER users_deleted AFTER DELETE ON users BEGIN
    INSERT INTO token_changes (token_id) SELECT id FROM tokens WHERE user_id = OLD.id;
END;

CREATE TRIGGER users_changed AFTER UPDATE OF tenant_id ON users BEGIN
    INSERT INTO token_changes (token_id) SELECT id FROM tokens WHERE user_id = OLD.id;
END;

CREATE TRIGGER device_tokens_deleted AFTER DELETE ON device_tokens BEGIN
    INSERT INTO token_changes (token_id) VALUES (OLD.id);
END;

-- A device that asks again moves expires_ms on, and nothing dies.
CREATE TRIGGER device_tokens_changed AFTER UPDATE OF id, tenant_id, issued_ms, expires_ms ON device_tokens
WHEN NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.issued_ms > OLD.issued_ms
    OR NEW.expires_ms < OLD.expires_ms
BEGIN
    INSERT INTO token_changes (token_id) VALUES (OLD.id);
END;

CREATE TRIGGER auth_sets_deleted AFTER DELETE ON auth_sets WHEN OLD.status = 'accepted' BEGIN
    INSERT INTO token_changes (token_id) VALUES (OLD.id);
END;

CREATE TRIGGER auth_sets_changed AFTER UPDATE OF id, tenant_id, device_id, status ON auth_sets
WHEN OLD.status = 'accepted'
BEGIN
    INSERT INTO token_changes (token_id) VALUES (OLD.id);
END;

CREATE TRIGGER devices_deleted AFTER DELETE ON devices BEGIN
    INSERT INTO token_changes (token_id) SELECT id FROM auth_sets WHERE device_id = OLD.id AND status = 'accepted';
END;

CREATE TRIGGER devices_changed AFTER UPDATE OF decommissioning ON devices
WHEN NEW.decommissioning <> OLD.decommissioning
BEGIN
    INSERT INTO token_changes (token_id) SELECT id FROM auth_sets WHERE device_id = OLD.id AND status = 'accepted';
END;
