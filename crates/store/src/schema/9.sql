-- Schema 9: what the planner cannot know of tables that were empty when their statements were planned.

-- Without figures SQLite takes an organisation for a handful of rows, and reads all of its units to find
-- those of a conversation or a shelf. These are figures of one organisation after a year; only their
-- order of magnitude counts. Columns: rows, rows for each value of the first column, of the first two.
ANALYZE meta;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('units', 'units', '1000000 1000000 1'),
    ('units', 'units_by_shelf', '1000000 1000000 3000'),
    ('units', 'units_by_conversation', '500000 500000 5');
-- This connection reads them; others do as the schema changed.
ANALYZE sqlite_schema;
