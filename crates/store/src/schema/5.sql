-- Schema 5: how far the log was copied to each object storage.

-- The next record to copy, and the leaf hash of the one before it. The copy itself says more, and is asked
-- at each start; this says what must be there. No row: nothing was copied yet.
CREATE TABLE copies (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    copy TEXT NOT NULL,
    next INTEGER NOT NULL CHECK (next >= 1),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (tenant, copy)
) STRICT, WITHOUT ROWID;

-- Defence in depth, as in schema 1: what was copied stays copied.
CREATE TRIGGER copies_do_not_go_back BEFORE UPDATE ON copies WHEN NEW.next <= OLD.next
BEGIN SELECT RAISE(ABORT, 'a copy only moves forward'); END;
