-- Schema 2: the deployment's own log, whose leaves are signed checkpoints of the tenants' logs, and who
-- outside vouches for it; and the subtrees that proofs are made of.

-- The end of the deployment's log. No row: it is empty.
CREATE TABLE deployment_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    head BLOB NOT NULL
) STRICT;

CREATE TABLE leaves (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq >= 0),
    tenant BLOB NOT NULL,
    size INTEGER NOT NULL,
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    UNIQUE (tenant, size),
    FOREIGN KEY (tenant, size) REFERENCES checkpoints (tenant, size)
) STRICT;

-- Complete subtrees of 256, 65,536, ... leaves of every log; the deployment's log has zeros for a tenant.
CREATE TABLE subtrees (
    log BLOB NOT NULL CHECK (length(log) = 16),
    level INTEGER NOT NULL CHECK (level >= 1),
    number INTEGER NOT NULL CHECK (number >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (log, level, number)
) STRICT, WITHOUT ROWID;

-- Signed checkpoints of the deployment's log: what authorities stamp and witnesses cosign.
CREATE TABLE anchors (
    size INTEGER NOT NULL PRIMARY KEY CHECK (size >= 1),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL,
    made INTEGER NOT NULL
) STRICT;

CREATE TABLE stamps (
    size INTEGER NOT NULL REFERENCES anchors (size),
    authority TEXT NOT NULL,
    stamped INTEGER NOT NULL,
    -- When the authority's certificate ends.
    ends INTEGER NOT NULL,
    token BLOB NOT NULL,
    PRIMARY KEY (size, authority)
) STRICT, WITHOUT ROWID;

CREATE TABLE cosignatures (
    size INTEGER NOT NULL REFERENCES anchors (size),
    witness TEXT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;

-- Defence in depth, as in schema 1.
CREATE TRIGGER leaves_are_not_updated BEFORE UPDATE ON leaves
BEGIN SELECT RAISE(ABORT, 'leaves are only appended'); END;
CREATE TRIGGER leaves_are_not_deleted BEFORE DELETE ON leaves
BEGIN SELECT RAISE(ABORT, 'leaves are only appended'); END;
CREATE TRIGGER subtrees_are_not_updated BEFORE UPDATE ON subtrees
BEGIN SELECT RAISE(ABORT, 'subtrees are only appended'); END;
CREATE TRIGGER subtrees_are_not_deleted BEFORE DELETE ON subtrees
BEGIN SELECT RAISE(ABORT, 'subtrees are only appended'); END;
CREATE TRIGGER anchors_are_not_updated BEFORE UPDATE ON anchors
BEGIN SELECT RAISE(ABORT, 'anchors are only appended'); END;
CREATE TRIGGER anchors_are_not_deleted BEFORE DELETE ON anchors
BEGIN SELECT RAISE(ABORT, 'anchors are only appended'); END;
CREATE TRIGGER stamps_are_not_updated BEFORE UPDATE ON stamps
BEGIN SELECT RAISE(ABORT, 'stamps are only appended'); END;
CREATE TRIGGER stamps_are_not_deleted BEFORE DELETE ON stamps
BEGIN SELECT RAISE(ABORT, 'stamps are only appended'); END;
