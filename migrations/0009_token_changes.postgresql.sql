-- SPDX-License-Identifier: Apache-2.0
-- Tokens that may have died, in the order in which that was committed: token_id is a jti, '' stands for any. Triggers
-- write it, in the transaction that kills, so that no writer can forget it. Servers read on from the last row that they
-- know; the newest row is never deleted, and no number is used twice. The other engine's file says the same.
CREATE TABLE token_changes (
    seq      BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_id TEXT   NOT NULL
);

INSERT INTO token_changes (token_id) VALUES ('');

-- From here to the commit there is one at a time, or a row could become visible after one with a higher number. The
-- triggers are deferred: they run at the commit, which waits for nothing else by then. Notices make other transactions
-- commit one by one anyway.
CREATE FUNCTION note_token_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7883960625147);
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO token_changes (token_id) VALUES ('');
    ELSIF TG_TABLE_NAME = 'users' THEN
        INSERT INTO token_changes (token_id) SELECT id FROM tokens WHERE user_id = OLD.id;
    ELSIF TG_TABLE_NAME = 'devices' THEN
        INSERT INTO token_changes (token_id) SELECT id FROM auth_sets WHERE device_id = OLD.id AND status = 'accepted';
    ELSE
        INSERT INTO token_changes (token_id) VALUES (OLD.id);
    END IF;
    PERFORM pg_notify('mintd_token_changes', '');
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER tokens_deleted AFTER DELETE ON tokens
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_token_changes();

CREATE CONSTRAINT TRIGGER tokens_changed AFTER UPDATE OF id, tenant_id, user_id, expires_ms ON tokens
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_token_changes();

CREATE CONSTRAINT TRIGGER users_changed AFTER UPDATE OF tenant_id ON users
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_token_changes();

CREATE CONSTRAINT TRIGGER device_tokens_deleted AFTER DELETE ON device_tokens
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_token_changes();

-- A device that asks again moves expires_ms on, and nothing dies.
CREATE CONSTRAINT TRIGGER device_tokens_changed AFTER UPDATE OF id, tenant_id, issued_ms, expires_ms ON device_tokens
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.issued_ms > OLD.issued_ms
          OR NEW.expires_ms < OLD.expires_ms)
    EXECUTE FUNCTION note_token_changes();

CREATE CONSTRAINT TRIGGER auth_sets_changed AFTER UPDATE OF id, tenant_id, device_id, status ON auth_sets
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.status = 'accepted') EXECUTE FUNCTION note_token_changes();

CREATE CONSTRAINT TRIGGER devices_changed AFTER UPDATE OF decommissioning ON devices
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.decommissioning <> OLD.decommissioning)
    EXECUTE FUNCTION note_token_changes();

CREATE TRIGGER tokens_truncated AFTER TRUNCATE ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION note_token_changes();

CREATE TRIGGER device_tokens_truncated AFTER TRUNCATE ON device_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION note_token_changes();
