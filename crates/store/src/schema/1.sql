-- Schema 1, in SQLite's dialect. Times are microseconds since 1970-01-01T00:00:00Z.
-- Tables that grow with the traffic carry no foreign key to `tenants`: a record is inserted only
-- after the tenant's row in `heads` was read, and a blob names a content key of the same tenant.

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

-- Disposal destroys a key: the sealed bytes go, the row stays as the proof that it existed.
CREATE TABLE content_keys (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL CHECK (length(id) = 16),
    parent BLOB NOT NULL CHECK (length(parent) = 16),
    created INTEGER NOT NULL,
    destroyed_at INTEGER,
    sealed BLOB,
    CHECK ((sealed IS NULL) = (destroyed_at IS NOT NULL)),
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    tenant BLOB NOT NULL,
    exchange BLOB NOT NULL CHECK (length(exchange) = 16),
    part INTEGER NOT NULL CHECK (part >= 0),
    key BLOB NOT NULL,
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    sealed BLOB NOT NULL,
    UNIQUE (tenant, exchange, part),
    FOREIGN KEY (tenant, key) REFERENCES content_keys (tenant, id)
) STRICT;

CREATE TABLE conversations (
    tenant BLOB NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    key BLOB NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, key) REFERENCES content_keys (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE surrogates (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    conversation BLOB NOT NULL CHECK (length(conversation) = 16),
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

CREATE TABLE notices (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
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
