-- Schema 4: how far the log was delivered to each feed of a SIEM.

-- The next record to deliver, and the leaf hash of the one before it, so that a log that was rewritten
-- behind the feed's back is noticed. No row: nothing was delivered yet.
CREATE TABLE feeds (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    feed TEXT NOT NULL,
    next INTEGER NOT NULL CHECK (next >= 1),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (tenant, feed)
) STRICT, WITHOUT ROWID;

-- Defence in depth, as in schema 1: what was delivered stays delivered.
CREATE TRIGGER feeds_do_not_go_back BEFORE UPDATE ON feeds WHEN NEW.next <= OLD.next
BEGIN SELECT RAISE(ABORT, 'a feed only moves forward'); END;
