-- Schema 7: records whose time is over.

-- How many of a log's first records a record says are pruned, record 0 counted, which never goes itself;
-- and how far they are gone.
CREATE TABLE prunings (
    tenant BLOB NOT NULL PRIMARY KEY REFERENCES tenants (id),
    size INTEGER NOT NULL CHECK (size >= 2),
    done INTEGER NOT NULL CHECK (done >= 1 AND done <= size)
) STRICT, WITHOUT ROWID;

-- What stays of a record that was pruned, and with it every root and proof.
CREATE TABLE pruned (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

-- Defence in depth, as in schema 3: nothing goes that no record prunes, and no leaf hash goes at all.
CREATE TRIGGER prunings_do_not_go_back BEFORE UPDATE ON prunings
WHEN NEW.size < OLD.size OR NEW.done < OLD.done OR NEW.tenant <> OLD.tenant
BEGIN SELECT RAISE(ABORT, 'what is pruned stays pruned'); END;
CREATE TRIGGER prunings_are_not_deleted BEFORE DELETE ON prunings
BEGIN SELECT RAISE(ABORT, 'what is pruned stays pruned'); END;
CREATE TRIGGER pruned_are_not_updated BEFORE UPDATE ON pruned
BEGIN SELECT RAISE(ABORT, 'leaf hashes are only appended'); END;
CREATE TRIGGER pruned_are_not_deleted BEFORE DELETE ON pruned
BEGIN SELECT RAISE(ABORT, 'leaf hashes are only appended'); END;
DROP TRIGGER records_are_not_deleted;
CREATE TRIGGER records_are_not_deleted BEFORE DELETE ON records
WHEN NOT EXISTS (SELECT 1 FROM prunings p JOIN pruned l ON l.tenant = p.tenant
    WHERE p.tenant = OLD.tenant AND OLD.seq < p.size AND l.seq = OLD.seq AND l.leaf = OLD.leaf)
BEGIN SELECT RAISE(ABORT, 'records are only appended'); END;
