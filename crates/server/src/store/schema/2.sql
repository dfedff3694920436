-- Version 2: several servers on one database. Each server numbers its own changes,
-- so that no counter is shared between them; the others read what they have not read.
CREATE TABLE replicas (
    replica TEXT PRIMARY KEY,
    kept_from BIGINT NOT NULL,
    seen BIGINT NOT NULL
);

CREATE TABLE changes (
    replica TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    devices TEXT NOT NULL,
    rollouts TEXT NOT NULL,
    PRIMARY KEY (replica, number)
);

-- What all servers have in common besides the fleet: secrets and the maker's keys.
CREATE TABLE kept (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE INDEX devices_by_credential ON devices (credential);
CREATE INDEX attempts_by_id ON attempts (attempt);
ALTER TABLE attempts ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
