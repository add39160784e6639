-- Schema 6: who reads the log, and what makes it searchable.

ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'caller'
CHECK (role IN ('caller', 'auditor'));

-- In which blocks of 256 records a term stands: somebody who acted, a patient, a conversation, a kind.
-- It follows from the records and can be made anew from them; nothing is proved by it. A term that
-- stands in every record costs one row a block.
CREATE TABLE terms (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    term BLOB NOT NULL,
    block INTEGER NOT NULL CHECK (block >= 0),
    PRIMARY KEY (tenant, term, block)
) STRICT, WITHOUT ROWID;

-- The position from which on records are of another minute, counted from 1970-01-01, than the record
-- before. A clock that is set back makes a new row like one that goes on.
CREATE TABLE minutes (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    minute INTEGER NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX minutes_by_minute ON minutes (tenant, minute);

-- Records before this position were written by a program that did not index: they are always read.
CREATE TABLE unindexed (
    tenant BLOB NOT NULL PRIMARY KEY CHECK (length(tenant) = 16),
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO unindexed (tenant, before) SELECT tenant, max(seq) + 1 FROM records GROUP BY tenant;
