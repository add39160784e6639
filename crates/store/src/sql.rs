//! Every SQL text of the crate, one list.
//!
//! Parameters are written `$1`, which SQLite and PostgreSQL both read. SQLite numbers them in the
//! order in which they first appear, so INVARIANT: in each text `$1` appears first before `$2`, and
//! so on; a test holds every text to it. What only SQLite understands is in [`dialect`].

/// The version of the schema that the first of [`MIGRATIONS`] makes out of nothing. The versions before
/// it were never released.
pub(crate) const FIRST_SCHEMA: i64 = 3;

/// The schema, one step per version, forward only. A step is never edited once released; a change
/// is a further step.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
    include_str!("schema/11.sql"),
    include_str!("schema/12.sql"),
];

/// What a PostgreSQL back end would say differently.
pub(crate) mod dialect {
    /// Takes the write lock at once, so that a transaction never fails half-way for want of it.
    pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
    /// Changes when another connection committed.
    pub(crate) const DATA_VERSION: &str = "PRAGMA data_version";
    /// Everything but that indexes and tables agree; the first complaint, or `ok`.
    pub(crate) const QUICK_CHECK: &str = "PRAGMA quick_check(1)";
    /// Copies the write-ahead log into the database as far as no reader is in the way.
    pub(crate) const CHECKPOINT_WAL: &str = "PRAGMA wal_checkpoint(PASSIVE)";
}

macro_rules! texts {
    ($($name:ident = $text:literal;)*) => {
        $(pub(crate) const $name: &str = $text;)*
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $text)),*];
    };
}

texts! {
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";

    ADD_META = "INSERT INTO meta (one, schema_version, deployment, governed) VALUES (1, $1, $2, 0)";
    META = "SELECT schema_version, deployment FROM meta";
    SET_SCHEMA_VERSION = "UPDATE meta SET schema_version = $1";
    GOVERNED = "SELECT governed FROM meta";
    BUMP_GOVERNED = "UPDATE meta SET governed = governed + 1";
    ADD_PROBE = "INSERT INTO probe (one, writes, filler) VALUES (1, 0, $1)";
    PROBE_WRITES = "SELECT writes FROM probe";
    WRITE_PROBE = "UPDATE probe SET writes = writes + 1, filler = $1";

    ADD_TENANT = "INSERT INTO tenants (id, name, created) VALUES ($1, $2, $3)";
    TENANTS = "SELECT id, name, created FROM tenants ORDER BY created, id";

    ADD_HEAD = "INSERT INTO heads (tenant, head) VALUES ($1, $2)";
    HEAD = "SELECT head FROM heads WHERE tenant = $1";
    SET_HEAD = "UPDATE heads SET head = $1 WHERE tenant = $2";

    ADD_RECORD = "INSERT INTO records (tenant, seq, leaf, bytes) VALUES ($1, $2, $3, $4)";
    RECORDS = "SELECT seq, bytes FROM records WHERE tenant = $1 AND seq >= $2 ORDER BY seq LIMIT $3";
    RECORD = "SELECT bytes FROM records WHERE tenant = $1 AND seq = $2";
    RECORDS_END = "SELECT coalesce(max(seq) + 1, 0) FROM records WHERE tenant = $1";

    PRUNED = "SELECT size, done FROM prunings WHERE tenant = $1";
    BEGIN_PRUNING = "INSERT INTO prunings (tenant, size, done) VALUES ($1, $2, 1)
        ON CONFLICT (tenant) DO UPDATE SET size = excluded.size WHERE excluded.size > prunings.size";
    KEEP_LEAVES = "INSERT INTO pruned (tenant, seq, leaf)
        SELECT tenant, seq, leaf FROM records WHERE tenant = $1 AND seq >= $2 AND seq < $3";
    PRUNE_RECORDS = "DELETE FROM records WHERE tenant = $1 AND seq >= $2 AND seq < $3";
    PRUNE_BLOBS = "DELETE FROM blobs WHERE tenant = $1 AND exchange = $2";
    PRUNE_TERMS = "DELETE FROM terms WHERE tenant = $1 AND block < $2";
    PRUNE_MINUTES = "DELETE FROM minutes WHERE tenant = $1
        AND seq < (SELECT max(seq) FROM minutes WHERE tenant = $1 AND seq <= $2)";
    SET_PRUNED = "UPDATE prunings SET done = $1 WHERE tenant = $2";

    ADD_BLOB = "INSERT INTO blobs (tenant, exchange, part, key, commitment, sealed)
        SELECT $1, $2, $3, $4, $5, $6
        WHERE EXISTS (SELECT 1 FROM units WHERE tenant = $1 AND id = $4
            AND iif($3 = 0, prompts, answers) IS NOT NULL)";
    BLOBS = "SELECT part, key, commitment, sealed FROM blobs
        WHERE tenant = $1 AND exchange = $2 ORDER BY part";

    ADD_UNIT = "INSERT INTO units (tenant, id, shelf, conversation, prompts, answers, surrogates)
        SELECT $1, $2, $3, $4, $5, $6, $7
        WHERE NOT EXISTS (SELECT 1 FROM closed_shelves WHERE tenant = $1 AND shelf = $3)";
    UNIT = "SELECT id, shelf, conversation, prompts, answers, surrogates FROM units
        WHERE tenant = $1 AND id = $2";
    UNITS_OF_CONVERSATION = "SELECT id, shelf, conversation, prompts, answers, surrogates FROM units
        WHERE tenant = $1 AND conversation = $2 ORDER BY id DESC LIMIT $3";
    UNITS_ON_SHELF = "SELECT id, shelf, conversation, prompts, answers, surrogates FROM units
        WHERE tenant = $1 AND shelf = $2 AND id > $3 ORDER BY id LIMIT $4";
    UNIT_OF_EXCHANGE = "SELECT u.id, u.shelf, u.conversation, u.prompts, u.answers, u.surrogates
        FROM blobs b JOIN units u ON u.tenant = b.tenant AND u.id = b.key
        WHERE b.tenant = $1 AND b.exchange = $2 LIMIT 1";
    CLOSE_SHELF = "INSERT INTO closed_shelves (tenant, shelf) VALUES ($1, $2)
        ON CONFLICT DO NOTHING";
    FORGET_CONVERSATION = "UPDATE units SET prompts = iif($1, NULL, prompts),
        answers = iif($2, NULL, answers), surrogates = iif($3, NULL, surrogates)
        WHERE tenant = $4 AND conversation = $5";
    FORGET_EXCHANGE = "UPDATE units SET prompts = iif($1, NULL, prompts),
        answers = iif($2, NULL, answers), surrogates = iif($3, NULL, surrogates)
        WHERE tenant = $4 AND conversation IS NULL
        AND id = (SELECT key FROM blobs WHERE tenant = $4 AND exchange = $5 LIMIT 1)";
    FORGET_UNIT = "UPDATE units SET prompts = iif($1, NULL, prompts),
        answers = iif($2, NULL, answers), surrogates = iif($3, NULL, surrogates)
        WHERE tenant = $4 AND id = $5";
    FORGET_SHELF = "UPDATE units SET prompts = iif($1, NULL, prompts),
        answers = iif($2, NULL, answers), surrogates = iif($3, NULL, surrogates)
        WHERE tenant = $4 AND shelf = $5";

    ADD_DOCUMENT = "INSERT INTO documents (tenant, seq, agreement, key, sha256, record, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    DOCUMENTS = "SELECT seq, agreement, key, sha256, record, sealed IS NOT NULL FROM documents
        WHERE tenant = $1 ORDER BY seq LIMIT $2";
    DOCUMENT = "SELECT sealed FROM documents WHERE tenant = $1 AND seq = $2";
    FORGET_DOCUMENT = "UPDATE documents SET sealed = NULL WHERE tenant = $1 AND key = $2";

    ADD_HOLD = "INSERT INTO holds (tenant, name, exchange, conversation, authority, placed)
        VALUES ($1, $2, $3, $4, $5, $6)";
    RELEASE_HOLD = "UPDATE holds SET released = $1
        WHERE tenant = $2 AND name = $3 AND released IS NULL";
    HOLDS = "SELECT name, exchange, conversation, authority, placed, released FROM holds
        WHERE tenant = $1 ORDER BY placed, name LIMIT $2";
    HOLD_COUNT = "SELECT count(*) FROM holds WHERE tenant = $1 AND released IS NULL";
    HOLDS_OVER_ALL = "SELECT count(*) FROM holds
        WHERE tenant = $1 AND released IS NULL AND exchange IS NULL AND conversation IS NULL";
    HOLDS_OVER_UNIT = "SELECT count(*) FROM holds
        WHERE tenant = $1 AND released IS NULL AND (exchange = $2 OR conversation = $3)";

    ADD_DISPOSAL = "INSERT INTO disposals (tenant, seq) VALUES ($1, $2)";
    END_DISPOSAL = "DELETE FROM disposals WHERE tenant = $1 AND seq = $2";
    OPEN_DISPOSALS = "SELECT d.seq, r.bytes FROM disposals d
        JOIN records r ON r.tenant = d.tenant AND r.seq = d.seq
        WHERE d.tenant = $1 ORDER BY d.seq LIMIT $2";
    DROP_SURROGATES = "DELETE FROM surrogates WHERE tenant = $1 AND conversation = $2";

    ADD_SURROGATE = "INSERT INTO surrogates (tenant, conversation, unit, expires, sealed)
        VALUES ($1, $2, $3, $4, $5)";
    SURROGATES = "SELECT sealed FROM surrogates
        WHERE tenant = $1 AND conversation = $2 AND expires > $3 AND unit = $4 LIMIT $5";
    PURGE_SURROGATES = "DELETE FROM surrogates WHERE tenant = $1 AND expires <= $2";

    ADD_INTENT = "INSERT INTO intents (tenant, exchange, seq) VALUES ($1, $2, $3)";
    END_INTENT = "DELETE FROM intents WHERE tenant = $1 AND exchange = $2 AND seq = $3";
    OPEN_INTENTS = "SELECT i.exchange, i.seq, r.bytes FROM intents i
        JOIN records r ON r.tenant = i.tenant AND r.seq = i.seq
        WHERE i.tenant = $1 AND NOT EXISTS (SELECT 1 FROM batch_lines b
            WHERE b.tenant = i.tenant AND b.exchange = i.exchange AND b.state = 'waits')
        ORDER BY i.seq LIMIT $2";
    OPEN_INTENT = "SELECT i.seq, r.bytes FROM intents i
        JOIN records r ON r.tenant = i.tenant AND r.seq = i.seq
        WHERE i.tenant = $1 AND i.exchange = $2";

    ADD_API_KEY = "INSERT INTO api_keys
        (id, tenant, secret_hash, owner, purpose, created, expires, role)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    REVOKE_API_KEY = "UPDATE api_keys SET revoked_at = $1
        WHERE tenant = $2 AND id = $3 AND revoked_at IS NULL";
    API_KEYS = "SELECT id, secret_hash, owner, purpose, created, expires, revoked_at, role
        FROM api_keys
        WHERE tenant = $1 ORDER BY created, id LIMIT $2";

    ADD_CONFIGURATION = "INSERT INTO configurations (tenant, version, sha256, applied_at, bytes)
        VALUES ($1, $2, $3, $4, $5)";
    LAST_CONFIGURATION_VERSION = "SELECT coalesce(max(version), 0) FROM configurations
        WHERE tenant = $1";
    CONFIGURATION = "SELECT version, sha256, applied_at, bytes FROM configurations
        WHERE tenant = $1 ORDER BY version DESC LIMIT 1";
    CONFIGURATION_VERSION = "SELECT version, sha256, applied_at, bytes FROM configurations
        WHERE tenant = $1 AND version = $2";
    CONFIGURATIONS = "SELECT version, sha256, applied_at FROM configurations
        WHERE tenant = $1 ORDER BY version";

    FEED = "SELECT next, leaf FROM feeds WHERE tenant = $1 AND feed = $2";
    MOVE_FEED = "INSERT INTO feeds (tenant, feed, next, leaf) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant, feed) DO UPDATE SET next = excluded.next, leaf = excluded.leaf
        WHERE excluded.next > feeds.next";

    COPY = "SELECT next, leaf FROM copies WHERE tenant = $1 AND copy = $2";
    MOVE_COPY = "INSERT INTO copies (tenant, copy, next, leaf) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant, copy) DO UPDATE SET next = excluded.next, leaf = excluded.leaf
        WHERE excluded.next > copies.next";

    ADD_CHECKPOINT = "INSERT INTO checkpoints (tenant, size, root, note) VALUES ($1, $2, $3, $4)";
    CHECKPOINT_AT = "SELECT root, note FROM checkpoints WHERE tenant = $1 AND size = $2";
    LAST_CHECKPOINT = "SELECT size, root, note FROM checkpoints
        WHERE tenant = $1 ORDER BY size DESC LIMIT 1";
    CHECKPOINTS_UP_TO_TWO = "SELECT count(*) FROM (SELECT 1 FROM checkpoints WHERE tenant = $1 LIMIT 2)";

    DEPLOYMENT_HEAD = "SELECT head FROM deployment_head";
    SET_DEPLOYMENT_HEAD = "INSERT INTO deployment_head (one, head) VALUES (1, $1)
        ON CONFLICT (one) DO UPDATE SET head = excluded.head";
    NEW_LEAVES = "SELECT c.tenant, c.size, c.note FROM checkpoints c
        WHERE (c.tenant, c.size) IN
            (SELECT id, (SELECT max(size) FROM checkpoints WHERE tenant = id) FROM tenants)
        AND NOT EXISTS (SELECT 1 FROM leaves l WHERE l.tenant = c.tenant AND l.size = c.size)
        ORDER BY c.tenant";
    ADD_LEAF = "INSERT INTO leaves (seq, tenant, size, leaf) VALUES ($1, $2, $3, $4)";
    LEAF_HASHES = "SELECT leaf FROM leaves WHERE seq >= $1 ORDER BY seq LIMIT $2";
    LEAF_UNDER = "SELECT seq, size FROM leaves WHERE tenant = $1 AND seq < $2
        ORDER BY size DESC LIMIT 1";
    RECORD_LEAVES = "SELECT leaf FROM (
            SELECT seq, leaf FROM pruned WHERE tenant = $1 AND seq >= $2 AND seq < $2 + $3
            UNION ALL SELECT seq, leaf FROM records WHERE tenant = $1 AND seq >= $2 AND seq < $2 + $3)
        ORDER BY seq";
    ADD_SUBTREE = "INSERT INTO subtrees (log, level, number, hash) VALUES ($1, $2, $3, $4)";
    SUBTREES = "SELECT hash FROM subtrees
        WHERE log = $1 AND level = $2 AND number >= $3 ORDER BY number LIMIT $4";

    ADD_ANCHOR = "INSERT INTO anchors (size, root, note, made) VALUES ($1, $2, $3, $4)";
    LAST_ANCHOR = "SELECT size, root, note, made FROM anchors ORDER BY size DESC LIMIT 1";
    ANCHOR_AT = "SELECT size, root, note, made FROM anchors WHERE size = $1";
    ANCHORS_UP_TO_TWO = "SELECT count(*) FROM (SELECT 1 FROM anchors LIMIT 2)";
    UNSTAMPED = "SELECT a.size, a.root, a.note, a.made FROM anchors a
        WHERE a.size > coalesce((SELECT max(size) FROM stamps WHERE authority = $1), 0)
        ORDER BY a.size DESC LIMIT 1";
    ADD_STAMP = "INSERT INTO stamps (size, authority, stamped, ends, token)
        VALUES ($1, $2, $3, $4, $5)";
    STAMPS_AT = "SELECT authority, stamped, ends, token FROM stamps
        WHERE size = $1 ORDER BY authority";
    FIRST_ANCHOR_OVER = "SELECT a.size, a.root, a.note, a.made FROM anchors a
        WHERE a.size > (SELECT min(seq) FROM leaves WHERE tenant = $1 AND size > $2)
        AND (EXISTS (SELECT 1 FROM stamps s WHERE s.size = a.size)
            OR EXISTS (SELECT 1 FROM cosignatures c WHERE c.size = a.size))
        ORDER BY a.size LIMIT 1";
    LAST_STAMPED = "SELECT a.size, a.root, a.note, a.made FROM anchors a
        WHERE a.size = (SELECT max(size) FROM stamps)";
    NEWEST_ANCHORS = "SELECT size, root, note, made FROM anchors WHERE size IN (
            SELECT max(size) FROM stamps GROUP BY authority
            UNION SELECT max(size) FROM cosignatures GROUP BY witness)
        ORDER BY size";
    SHOWN_ANCHORS = "SELECT a.size, a.root, a.note, a.made FROM anchors a
        WHERE a.size IN (
            SELECT max(v.size) FROM (SELECT size FROM stamps UNION SELECT size FROM cosignatures) v
            JOIN anchors d ON d.size = v.size GROUP BY d.made / 86400000000)
        OR a.size IN (
            SELECT size FROM (SELECT size FROM stamps UNION SELECT size FROM cosignatures)
            ORDER BY size DESC LIMIT 100)
        ORDER BY a.size";
    ADD_COSIGNATURE = "INSERT INTO cosignatures (size, witness, line) VALUES ($1, $2, $3)";
    COSIGNATURES_AT = "SELECT witness, line FROM cosignatures
        WHERE size = $1 ORDER BY witness";
    LAST_COSIGNED = "SELECT coalesce(max(size), 0) FROM cosignatures WHERE witness = $1";

    ADD_TERM = "INSERT INTO terms (tenant, term, block) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    NEXT_BLOCK = "SELECT min(block) FROM terms WHERE tenant = $1 AND term = $2 AND block >= $3";
    ADD_MINUTE = "INSERT INTO minutes (tenant, seq, minute) VALUES ($1, $2, $3)";
    LAST_MINUTE = "SELECT minute FROM minutes WHERE tenant = $1 ORDER BY seq DESC LIMIT 1";
    MINUTES_BETWEEN = "SELECT min(seq), max(seq) FROM minutes
        WHERE tenant = $1 AND minute BETWEEN $2 AND $3";
    NEXT_MINUTE = "SELECT min(seq) FROM minutes WHERE tenant = $1 AND seq > $2";
    UNINDEXED = "SELECT before FROM unindexed WHERE tenant = $1";

    ADD_FILE = "INSERT INTO files
        (tenant, id, key, kind, batch, created, expires, bytes, unit, label, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    FILE = "SELECT id, key, kind, batch, created, expires, bytes, unit, label FROM files
        WHERE tenant = $1 AND id = $2";
    FILE_BYTES = "SELECT sealed FROM files WHERE tenant = $1 AND id = $2";
    FILES = "SELECT id, key, kind, batch, created, expires, bytes, unit, label FROM files
        WHERE tenant = $1 AND key = $2 AND id < $3 ORDER BY id DESC LIMIT $4";
    DROP_FILE = "DELETE FROM files WHERE tenant = $1 AND id = $2 AND key = $3";
    PURGE_FILES = "DELETE FROM files WHERE tenant = $1 AND expires <= $2";
    ADD_BATCH = "INSERT INTO batches (tenant, id, key, unit, created, open, due, state, sealed)
        VALUES ($1, $2, $3, $4, $5, 1, 0, $6, $7)";
    BATCH = "SELECT id, key, unit, created, cancelled, state, sealed FROM batches
        WHERE tenant = $1 AND id = $2";
    BATCHES = "SELECT id, key, unit, created, cancelled, state, sealed FROM batches
        WHERE tenant = $1 AND key = $2 AND id < $3 ORDER BY id DESC LIMIT $4";
    BATCHES_DUE = "SELECT id, key, unit, created, cancelled, state, sealed FROM batches
        WHERE tenant = $1 AND open = 1 AND due <= $2 ORDER BY due LIMIT $3";
    OPEN_BATCHES = "SELECT coalesce(sum(key = $1), 0), count(*) FROM batches
        WHERE tenant = $2 AND open = 1";
    SET_BATCH = "UPDATE batches SET open = $1, due = $2, state = $3 WHERE tenant = $4 AND id = $5";
    CANCEL_BATCH = "UPDATE batches SET cancelled = coalesce(cancelled, $1), due = 0
        WHERE tenant = $2 AND id = $3 AND key = $4";
    PURGE_BATCHES = "DELETE FROM batches WHERE tenant = $1 AND open = 0 AND created <= $2";
    PURGE_LINES = "DELETE FROM batch_lines WHERE tenant = $1 AND batch IN
        (SELECT id FROM batches WHERE tenant = $1 AND open = 0 AND created <= $2)";
    ADD_LINE = "INSERT INTO batch_lines
        (tenant, exchange, batch, number, unit, custom, state, bytes, code, message)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    END_LINE = "UPDATE batch_lines SET state = $1, bytes = $2, code = $3, message = $4
        WHERE tenant = $5 AND exchange = $6 AND state = 'waits'";
    LINES = "SELECT exchange, batch, number, unit, custom, state, bytes, code, message
        FROM batch_lines WHERE tenant = $1 AND batch = $2 AND number > $3 ORDER BY number LIMIT $4";
    LINE = "SELECT exchange, batch, number, unit, custom, state, bytes, code, message
        FROM batch_lines WHERE tenant = $1 AND exchange = $2";
    LINE_COUNTS = "SELECT state, count(*), sum(bytes) FROM batch_lines
        WHERE tenant = $1 AND batch = $2 GROUP BY state";
    DROP_LINES = "DELETE FROM batch_lines WHERE tenant = $1 AND batch = $2";

    ADD_SPENT = "INSERT INTO spent (tenant, day, key, route, currency, tokens, micros)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (tenant, day, key, route, currency) DO UPDATE SET
        tokens = min(tokens + excluded.tokens, 4611686018427387904),
        micros = min(micros + excluded.micros, 4611686018427387904)";
    SPENT = "SELECT s.day, s.key, k.owner, s.route, s.currency, s.tokens, s.micros
        FROM spent s JOIN api_keys k ON k.id = s.key
        WHERE s.tenant = $1 AND s.day >= $2";
    PURGE_SPENT = "DELETE FROM spent WHERE tenant = $1 AND day < $2";

    ADD_NOTICE = "INSERT INTO notices (tenant, name) VALUES ($1, $2)";
    NOTICE = "SELECT 1 FROM notices WHERE tenant = $1 AND name = $2";
}

/// The texts of the key store.
pub(crate) mod keys {
    /// Its schema, one step per version from 1 on, forward only.
    pub(crate) const MIGRATIONS: &[&str] =
        &[include_str!("schema/keys-1.sql"), include_str!("schema/keys-2.sql")];

    texts! {
        ADD_META = "INSERT INTO meta (one, schema_version, deployment) VALUES (1, $1, $2)";
        META = "SELECT schema_version, deployment FROM meta";
        SET_SCHEMA_VERSION = "UPDATE meta SET schema_version = $1";

        TENANT_KEY = "SELECT id, wrapped, service, names, created FROM tenant_keys
            WHERE tenant = $1 AND wrapped IS NOT NULL";
        TENANT_KEY_ID = "SELECT id FROM tenant_keys WHERE tenant = $1 AND wrapped IS NOT NULL";
        ADD_TENANT_KEY = "INSERT INTO tenant_keys (tenant, id, wrapped, service, names, created)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        REWRAP_TENANT_KEY = "UPDATE tenant_keys SET wrapped = $1, service = $2
            WHERE tenant = $3 AND id = $4 AND wrapped IS NOT NULL";
        REPLACE_TENANT_KEY = "UPDATE tenant_keys
            SET id = $1, wrapped = $2, service = $3, names = $4, created = $5
            WHERE tenant = $6 AND id = $7 AND wrapped IS NOT NULL";
        DESTROY_TENANT_KEY = "UPDATE tenant_keys SET wrapped = NULL, names = NULL
            WHERE tenant = $1";

        OPEN_SHELF = "SELECT id, day, closed, prompts, answers, surrogates FROM shelves
            WHERE tenant = $1 AND day = $2 AND closed = 0 AND prompts IS NOT NULL
            AND answers IS NOT NULL AND surrogates IS NOT NULL ORDER BY id LIMIT 1";
        ADD_SHELF = "INSERT INTO shelves (tenant, id, day, closed, prompts, answers, surrogates)
            SELECT $1, $2, $3, 0, $4, $5, $6
            WHERE EXISTS (SELECT 1 FROM tenant_keys
                WHERE tenant = $1 AND id = $7 AND wrapped IS NOT NULL)";
        SHELF = "SELECT id, day, closed, prompts, answers, surrogates FROM shelves
            WHERE tenant = $1 AND id = $2";
        SHELVES = "SELECT id, day, closed, prompts, answers, surrogates FROM shelves
            WHERE tenant = $1 ORDER BY day, id";
        SHELF_COUNT = "SELECT count(*) FROM shelves WHERE tenant = $1";
        SET_SHELF = "UPDATE shelves SET prompts = $1, answers = $2, surrogates = $3
            WHERE tenant = $4 AND id = $5";
        CLOSE_SHELF = "UPDATE shelves SET closed = 1 WHERE tenant = $1 AND id = $2";
        DESTROY_SHELF_KEYS = "UPDATE shelves SET closed = 1, prompts = iif($1, NULL, prompts),
            answers = iif($2, NULL, answers), surrogates = iif($3, NULL, surrogates)
            WHERE tenant = $4 AND id = $5";
        DELETE_SHELVES = "DELETE FROM shelves WHERE tenant = $1";

        MOVED_UNIT = "SELECT id, day, prompts, answers, surrogates FROM moved_units
            WHERE tenant = $1 AND id = $2";
        MOVED_UNITS = "SELECT id, day, prompts, answers, surrogates FROM moved_units
            WHERE tenant = $1 ORDER BY id";
        MOVED_UNIT_COUNT = "SELECT count(*) FROM moved_units WHERE tenant = $1";
        SET_MOVED_UNIT = "UPDATE moved_units SET prompts = $1, answers = $2, surrogates = $3
            WHERE tenant = $4 AND id = $5";
        SAVE_UNIT = "INSERT INTO moved_units (tenant, id, day, prompts, answers, surrogates)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant, id) DO UPDATE SET
            prompts = coalesce(excluded.prompts, prompts),
            answers = coalesce(excluded.answers, answers),
            surrogates = coalesce(excluded.surrogates, surrogates)";
        DESTROY_UNIT_KEYS = "UPDATE moved_units SET prompts = iif($1, NULL, prompts),
            answers = iif($2, NULL, answers), surrogates = iif($3, NULL, surrogates)
            WHERE tenant = $4 AND id = $5";
        DELETE_EMPTY_UNITS = "DELETE FROM moved_units
            WHERE tenant = $1 AND prompts IS NULL AND answers IS NULL AND surrogates IS NULL";
        DELETE_MOVED_UNITS = "DELETE FROM moved_units WHERE tenant = $1";

        ADD_DOCUMENT_KEY = "INSERT INTO document_keys (tenant, id, wrapped)
            SELECT $1, $2, $3 WHERE EXISTS (SELECT 1 FROM tenant_keys
                WHERE tenant = $1 AND id = $4 AND wrapped IS NOT NULL)";
        DOCUMENT_KEY = "SELECT wrapped FROM document_keys WHERE tenant = $1 AND id = $2";
        DOCUMENT_KEYS = "SELECT id, wrapped FROM document_keys WHERE tenant = $1 ORDER BY id";
        DOCUMENT_KEY_COUNT = "SELECT count(*) FROM document_keys WHERE tenant = $1";
        SET_DOCUMENT_KEY = "UPDATE document_keys SET wrapped = $1 WHERE tenant = $2 AND id = $3";
        DESTROY_DOCUMENT_KEY = "DELETE FROM document_keys WHERE tenant = $1 AND id = $2";
        DELETE_DOCUMENT_KEYS = "DELETE FROM document_keys WHERE tenant = $1";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_first_appear_in_the_order_of_their_numbers() {
        for (name, text) in ALL.iter().chain(keys::ALL) {
            let mut highest = 0;
            for rest in text.split('$').skip(1) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let number: u32 = digits.parse().unwrap();
                assert!(number <= highest + 1, "{name}: ${number} before ${}", highest + 1);
                highest = highest.max(number);
            }
        }
    }

    fn empty(migrations: &[&str]) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for step in migrations {
            connection.execute_batch(step).unwrap();
        }
        connection
    }

    /// Tables with a row for each record, exchange, checkpoint or stamp: whatever reads one of them, or an
    /// organisation's part of it, from end to end takes longer with every year.
    const GROWING: [&str; 18] = [
        "anchors",
        "batch_lines",
        "batches",
        "blobs",
        "checkpoints",
        "cosignatures",
        "files",
        "intents",
        "leaves",
        "minutes",
        "pruned",
        "records",
        "spent",
        "stamps",
        "subtrees",
        "surrogates",
        "terms",
        "units",
    ];

    /// Texts that may, and why.
    const MAY_READ_ALL: &[(&str, &str)] = &[
        ("OPEN_INTENTS", "intents are those that are open"),
        ("HOLDS", "a few"),
        ("API_KEYS", "a few, and all of them"),
        ("PRUNE_TERMS", "once, as years of records go"),
        ("NEWEST_ANCHORS", "a command's, and an anchor a minute"),
        ("SHOWN_ANCHORS", "an export's, and an anchor a minute"),
    ];

    #[test]
    fn no_text_reads_a_table_that_grows_from_end_to_end() {
        let connection = empty(MIGRATIONS);
        let mut slow = Vec::new();
        for (name, text) in ALL {
            let may = MAY_READ_ALL.iter().any(|(may, _)| may == name);
            // What a row that is added does to references is looked at only while one is broken.
            if may || text.starts_with("INSERT") || matches!(*name, "COMMIT" | "ROLLBACK") {
                continue;
            }
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            for at in 1..=plan.parameter_count() {
                plan.raw_bind_parameter(at, 1).unwrap();
            }
            let mut rows = plan.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let step: String = row.get(3).unwrap();
                let of = step.split(' ').nth(1).unwrap_or_default();
                let grows =
                    |table: &&str| **table == *of || text.contains(&format!(" {table} {of}"));
                let all = step.starts_with("SCAN") || step.ends_with("(tenant=?)");
                // The largest and the smallest of an index are at its ends.
                let ends = ["max(", "LIMIT 1", "LIMIT 2"].iter().any(|it| text.contains(it));
                let sorts = step.starts_with("USE TEMP B-TREE") && text.contains("LIMIT");
                if sorts || (all && !ends && GROWING.iter().any(grows)) {
                    slow.push(format!("{name}: {step}"));
                }
            }
        }
        assert_eq!(slow, Vec::<String>::new());
    }

    #[test]
    fn every_text_is_valid_on_the_schema() {
        let (connection, key_store) = (empty(MIGRATIONS), empty(keys::MIGRATIONS));
        for (connection, texts) in [(&connection, ALL), (&key_store, keys::ALL)] {
            for (name, text) in texts {
                connection.prepare(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}
