-- The key store, schema 2: the keys of executed documents.

-- One key for each document, under the organisation's key, so that one document can be disposed of alone.
-- A key that was destroyed has no row.
CREATE TABLE document_keys (
    tenant BLOB NOT NULL REFERENCES tenant_keys (tenant),
    id BLOB NOT NULL CHECK (length(id) = 16),
    wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
