-- Schema 12: files that callers bring, and batches of requests made of them.

-- A file of one API key. An input has its sealed bytes here, under the prompts' key of a unit of its own; the
-- outputs of a batch have none, because each of their lines is the sealed answer of an exchange. `label` is
-- the file's name, sealed. A file that goes is deleted, and its bytes overwritten.
CREATE TABLE files (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL CHECK (length(id) = 16),
    key BLOB NOT NULL CHECK (length(key) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('input', 'output', 'errors')),
    batch BLOB CHECK (length(batch) = 16),
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    unit BLOB CHECK (length(unit) = 16),
    label BLOB,
    sealed BLOB,
    PRIMARY KEY (tenant, id),
    CHECK ((kind = 'input') = (unit IS NOT NULL AND sealed IS NOT NULL)),
    CHECK ((kind = 'input') = (batch IS NULL))
) STRICT;
CREATE INDEX files_of_key ON files (tenant, key, id);
CREATE INDEX files_by_end ON files (tenant, expires);

-- A batch of one API key. `state` is what the service knows of it, without content: which files lie where,
-- how far it is. `sealed` is what its caller says of it. It is open while there is something to be done,
-- after the moment `due`.
CREATE TABLE batches (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL CHECK (length(id) = 16),
    key BLOB NOT NULL CHECK (length(key) = 16),
    unit BLOB NOT NULL CHECK (length(unit) = 16),
    created INTEGER NOT NULL,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    due INTEGER NOT NULL,
    cancelled INTEGER,
    state BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX batches_of_key ON batches (tenant, key, id);
CREATE INDEX batches_to_do ON batches (tenant, open, due);

-- A line of a batch: the exchange that it is, and the caller's own name of it, sealed. While it waits for its
-- answer, nobody takes its intent for one that was interrupted.
CREATE TABLE batch_lines (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    exchange BLOB NOT NULL CHECK (length(exchange) = 16),
    batch BLOB NOT NULL CHECK (length(batch) = 16),
    number INTEGER NOT NULL CHECK (number >= 1),
    unit BLOB NOT NULL CHECK (length(unit) = 16),
    custom BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waits', 'answered', 'failed')),
    bytes INTEGER NOT NULL,
    code TEXT,
    message TEXT,
    PRIMARY KEY (tenant, batch, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX lines_by_exchange ON batch_lines (tenant, exchange);
