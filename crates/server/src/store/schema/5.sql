-- Version 5: jobs of several kinds in one queue, and deltas that servers make. The jobs
-- of earlier versions tend rollouts. Rows here are no terminal's.
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'tend';
ALTER TABLE jobs ADD COLUMN about TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN payload TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN state TEXT NOT NULL DEFAULT 'waiting';
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN done BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN total BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN words TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN error TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN made BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_turn ON jobs (kind, state, due);

-- Deltas by the digest of what they are made of: source, target, class, generator.
-- Without `blob` none was kept, and `why` says why.
CREATE TABLE deltas (
    delta TEXT PRIMARY KEY,
    component TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    class BIGINT NOT NULL,
    generator TEXT NOT NULL,
    blob TEXT,
    size BIGINT NOT NULL,
    heap BIGINT NOT NULL,
    full_size BIGINT NOT NULL,
    why TEXT NOT NULL,
    made BIGINT NOT NULL,
    used BIGINT NOT NULL
);

-- Whether a rollout still waits for its deltas: until when it did. And what the
-- terminals that succeeded fetched, where full payloads would have been so many bytes.
ALTER TABLE rollouts ADD COLUMN prepared BIGINT;
ALTER TABLE rollouts ADD COLUMN fetched BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN full_size BIGINT NOT NULL DEFAULT 0;
