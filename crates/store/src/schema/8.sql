-- Schema 8: the executed documents of agreements.

-- A document as it was filed at position `seq`, sealed under a key of its own that lies in the key store.
-- The bytes of its record stand here too, because an agreement may outlive the records of its time: with
-- the leaf hashes, which stay, they still prove what was filed. A document that was disposed of has no
-- sealed bytes.
CREATE TABLE documents (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    agreement TEXT NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 16),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    record BLOB NOT NULL,
    sealed BLOB,
    PRIMARY KEY (tenant, seq)
) STRICT;

-- Defence in depth, as in schema 3: a document is only forgotten, never changed.
CREATE TRIGGER documents_are_only_forgotten BEFORE UPDATE ON documents
WHEN NEW.sealed IS NOT NULL
    OR (NEW.tenant, NEW.seq, NEW.agreement, NEW.key, NEW.sha256, NEW.record)
        IS NOT (OLD.tenant, OLD.seq, OLD.agreement, OLD.key, OLD.sha256, OLD.record)
BEGIN SELECT RAISE(ABORT, 'documents are only filed and forgotten'); END;
CREATE TRIGGER documents_are_not_replaced BEFORE INSERT ON documents
WHEN EXISTS (SELECT 1 FROM documents WHERE tenant = NEW.tenant AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'documents are only filed and forgotten'); END;
CREATE TRIGGER documents_are_not_deleted BEFORE DELETE ON documents
BEGIN SELECT RAISE(ABORT, 'documents are only filed and forgotten'); END;
