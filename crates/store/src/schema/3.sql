-- Schema 3, the first that was released, in SQLite's dialect. Times are microseconds since 1970-01-01T00:00:00Z.
-- Tables that grow with the traffic carry no foreign key to `tenants`: a record is inserted only
-- after the tenant's row in `heads` was read, and a blob names a unit of the same tenant.

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schema_version INTEGER NOT NULL,
    deployment BLOB NOT NULL CHECK (length(deployment) = 16),
    -- Grows by one with each change of tenants, API keys or configuration.
    governed INTEGER NOT NULL
) STRICT;

-- One row that the readiness probe rewrites, as large as the trace of a small exchange.
CREATE TABLE probe (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    writes INTEGER NOT NULL,
    filler BLOB NOT NULL
) STRICT;

CREATE TABLE tenants (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE heads (
    tenant BLOB NOT NULL PRIMARY KEY REFERENCES tenants (id),
    head BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    bytes BLOB NOT NULL,
    UNIQUE (tenant, seq)
) STRICT;

-- The keys of what is disposed of alone: a conversation, or one exchange outside of any. Each is sealed
-- under its shelf's key, which lies in the key store, so that what is destroyed there is unreadable here
-- and in every old copy of this database. A key that was destroyed is absent.
CREATE TABLE units (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL CHECK (length(id) = 16),
    shelf BLOB NOT NULL CHECK (length(shelf) = 16),
    conversation BLOB CHECK (length(conversation) = 16),
    prompts BLOB,
    answers BLOB,
    surrogates BLOB,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX units_by_shelf ON units (tenant, shelf);
CREATE INDEX units_by_conversation ON units (tenant, conversation)
WHERE conversation IS NOT NULL;

-- Shelves that no unit is put on any more, because what is on them is being moved or destroyed.
CREATE TABLE closed_shelves (
    tenant BLOB NOT NULL,
    shelf BLOB NOT NULL CHECK (length(shelf) = 16),
    PRIMARY KEY (tenant, shelf)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    tenant BLOB NOT NULL,
    exchange BLOB NOT NULL CHECK (length(exchange) = 16),
    part INTEGER NOT NULL CHECK (part >= 0),
    key BLOB NOT NULL,
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    sealed BLOB NOT NULL,
    UNIQUE (tenant, exchange, part),
    FOREIGN KEY (tenant, key) REFERENCES units (tenant, id)
) STRICT;

CREATE TABLE surrogates (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    conversation BLOB NOT NULL CHECK (length(conversation) = 16),
    -- The unit under whose key it is sealed.
    unit BLOB NOT NULL CHECK (length(unit) = 16),
    expires INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX surrogates_by_conversation ON surrogates (tenant, conversation, expires);
CREATE INDEX surrogates_by_expiry ON surrogates (tenant, expires);

-- The intents that have no outcome yet: what the start-up sweep ends. Their outcome deletes them.
CREATE TABLE intents (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    exchange BLOB NOT NULL CHECK (length(exchange) = 16),
    seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, exchange)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant BLOB NOT NULL REFERENCES tenants (id),
    secret_hash BLOB NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    owner TEXT NOT NULL,
    purpose TEXT,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE configurations (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    version INTEGER NOT NULL CHECK (version >= 1),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    applied_at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (tenant, version)
) STRICT;

CREATE TABLE checkpoints (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL,
    PRIMARY KEY (tenant, size)
) STRICT, WITHOUT ROWID;

-- What is not disposed of until it is released; everything when no unit is named.
CREATE TABLE holds (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    exchange BLOB CHECK (length(exchange) = 16),
    conversation BLOB CHECK (length(conversation) = 16),
    authority TEXT NOT NULL,
    placed INTEGER NOT NULL,
    released INTEGER,
    CHECK (exchange IS NULL OR conversation IS NULL),
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Disposals whose record is durable and whose keys may not all be destroyed yet.
CREATE TABLE disposals (
    tenant BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- The deployment's own log, whose leaves are signed checkpoints of the tenants' logs, and who outside
-- vouches for it; and the subtrees that proofs are made of.

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

-- Defence in depth, not proof: whoever can write the file can drop a trigger. The proof is the
-- chain, the tree and the checkpoints that lie elsewhere. The insert trigger is there because
-- INSERT OR REPLACE deletes without firing a delete trigger.
CREATE TRIGGER records_are_not_replaced BEFORE INSERT ON records
WHEN EXISTS (SELECT 1 FROM records WHERE tenant = NEW.tenant AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are only appended'); END;
CREATE TRIGGER records_are_not_updated BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'records are only appended'); END;
CREATE TRIGGER records_are_not_deleted BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'records are only appended'); END;
CREATE TRIGGER checkpoints_are_not_updated BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are only appended'); END;
CREATE TRIGGER checkpoints_are_not_deleted BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are only appended'); END;
CREATE TRIGGER configurations_are_not_updated BEFORE UPDATE ON configurations
BEGIN SELECT RAISE(ABORT, 'configurations are only appended'); END;
CREATE TRIGGER configurations_are_not_deleted BEFORE DELETE ON configurations
BEGIN SELECT RAISE(ABORT, 'configurations are only appended'); END;
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
