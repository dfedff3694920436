-- Version 1. TEXT, BIGINT and BYTEA/BLOB only, no serial columns, times in
-- milliseconds since 1970, JSON as TEXT: the same statements are to run on
-- PostgreSQL. The device comes first in the keys of what is kept per device.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO settings (name, value) VALUES ('generation', 1);

CREATE TABLE enrolment_tokens (
    digest BLOB PRIMARY KEY,
    device TEXT,
    made BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used_by TEXT
);

CREATE TABLE devices (
    device TEXT PRIMARY KEY,
    credential BLOB NOT NULL,
    facts TEXT NOT NULL,
    slot TEXT,
    running TEXT NOT NULL,
    enrolled BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE releases (
    manifest TEXT PRIMARY KEY,
    product TEXT NOT NULL,
    version TEXT NOT NULL,
    rollback_index TEXT NOT NULL,
    package TEXT NOT NULL,
    size BIGINT NOT NULL,
    entries TEXT NOT NULL,
    images TEXT NOT NULL,
    published BIGINT NOT NULL
);
CREATE UNIQUE INDEX releases_by_version ON releases (product, version);

CREATE TABLE rollouts (
    rollout TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    manifest TEXT NOT NULL,
    audience TEXT NOT NULL,
    waves TEXT NOT NULL,
    halt TEXT NOT NULL,
    in_flight_limit BIGINT NOT NULL,
    made BIGINT NOT NULL,
    started BIGINT,
    state TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    since BIGINT NOT NULL,
    wave BIGINT NOT NULL,
    opened BIGINT NOT NULL,
    exposed BIGINT NOT NULL,
    in_flight BIGINT NOT NULL,
    confirmed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    neutral BIGINT NOT NULL
);

CREATE TABLE attempts (
    device TEXT NOT NULL,
    attempt TEXT NOT NULL,
    rollout TEXT NOT NULL,
    retry BIGINT NOT NULL,
    before TEXT NOT NULL,
    standing TEXT NOT NULL,
    detail TEXT NOT NULL,
    spent TEXT NOT NULL,
    served BIGINT NOT NULL,
    offered BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (device, attempt)
);

CREATE TABLE reports (
    device TEXT NOT NULL,
    attempt TEXT NOT NULL,
    report TEXT NOT NULL,
    received BIGINT NOT NULL,
    PRIMARY KEY (device, attempt)
);

CREATE TABLE rollout_events (
    rollout TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (rollout, number)
);

CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    due BIGINT NOT NULL,
    lease BIGINT NOT NULL,
    tries BIGINT NOT NULL
);
