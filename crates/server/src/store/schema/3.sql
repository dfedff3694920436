-- Version 3: what operators say of terminals and releases, terms of rollouts, sites,
-- and what happened, counted as it happens.
ALTER TABLE rollouts ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
ALTER TABLE rollouts ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN wave BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN site TEXT;
ALTER TABLE attempts ADD COLUMN origin TEXT NOT NULL DEFAULT '';

-- What a release needs, and whether it was withdrawn.
CREATE TABLE release_rules (
    manifest TEXT PRIMARY KEY,
    hardware TEXT NOT NULL,
    variants TEXT NOT NULL,
    versions TEXT NOT NULL,
    needs TEXT,
    withdrawn TEXT
);

ALTER TABLE devices ADD COLUMN labels TEXT NOT NULL DEFAULT '';

-- What filters ask about: one row per value. The name is that of a component or an
-- attribute, empty otherwise; ranks are compared byte by byte.
CREATE TABLE device_words (
    device TEXT NOT NULL,
    word TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    rank BLOB NOT NULL,
    PRIMARY KEY (device, word, name, value)
);
CREATE INDEX device_words_by_value ON device_words (word, name, value);
INSERT INTO settings (name, value) VALUES ('words', 0);

-- Dynamic groups: filters with a name.
CREATE TABLE fleet_groups (
    name TEXT PRIMARY KEY,
    filter TEXT NOT NULL
);

CREATE TABLE rollout_sites (
    rollout TEXT NOT NULL,
    site TEXT NOT NULL,
    in_flight BIGINT NOT NULL,
    PRIMARY KEY (rollout, site)
);

CREATE TABLE rollout_failures (
    rollout TEXT NOT NULL,
    wave BIGINT NOT NULL,
    outcome BIGINT NOT NULL,
    hardware TEXT NOT NULL,
    origin TEXT NOT NULL,
    devices BIGINT NOT NULL,
    PRIMARY KEY (rollout, wave, outcome, hardware, origin)
);

-- What happened to a terminal beside attempts and reports, which have rows of their own.
CREATE TABLE device_events (
    device TEXT NOT NULL,
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (device, at, what)
);
CREATE INDEX device_events_by_age ON device_events (at);
