-- Schema 11: a third role of keys, which reads the figures of operation and nothing else.

ALTER TABLE api_keys RENAME COLUMN role TO former_role;
ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'caller'
CHECK (role IN ('caller', 'auditor', 'monitor'));
UPDATE api_keys SET role = former_role;
ALTER TABLE api_keys DROP COLUMN former_role;
