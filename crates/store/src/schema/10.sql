-- Schema 10: what was spent, where the configuration has a limit of a day or a month.

-- Tokens, and millionths of a unit of a currency, of the exchanges that one API key began on one day (since
-- 1970-01-01, UTC) over one route. What an exchange may use is added with its intent, and corrected with
-- its outcome to what it did use, in the transaction of the record; so a program that is killed between
-- the two has spent too much rather than too little. A few rows for each key and day.
CREATE TABLE spent (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    day INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 16),
    route TEXT NOT NULL,
    currency TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, key, route, currency)
) STRICT, WITHOUT ROWID;
