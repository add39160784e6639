-- The key store, schema 1: what everything sealed depends on, in a database of its own. It stays out of
-- backups that live longer than content may, because what is destroyed here must be gone.

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schema_version INTEGER NOT NULL,
    deployment BLOB NOT NULL CHECK (length(deployment) = 16)
) STRICT;

-- The organisation's key as the key service wrapped it, and under it the key that names are made with.
-- Both are absent once the organisation has left.
CREATE TABLE tenant_keys (
    tenant BLOB NOT NULL PRIMARY KEY CHECK (length(tenant) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    wrapped BLOB,
    service TEXT NOT NULL,
    names BLOB,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys of a day, one for each class of content. `day` counts from 1970-01-01. A key that was
-- destroyed is absent.
CREATE TABLE shelves (
    tenant BLOB NOT NULL REFERENCES tenant_keys (tenant),
    id BLOB NOT NULL CHECK (length(id) = 16),
    day INTEGER NOT NULL,
    closed INTEGER NOT NULL CHECK (closed IN (0, 1)),
    prompts BLOB,
    answers BLOB,
    surrogates BLOB,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX shelves_by_day ON shelves (tenant, day);

-- Units whose shelf is gone though they are not: beside something that was disposed of alone, or held.
CREATE TABLE moved_units (
    tenant BLOB NOT NULL REFERENCES tenant_keys (tenant),
    id BLOB NOT NULL CHECK (length(id) = 16),
    day INTEGER NOT NULL,
    prompts BLOB,
    answers BLOB,
    surrogates BLOB,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
