-- Version 6: who downloads, of rollouts that bound it. A row holds its place until its
-- time, which the server that serves the bytes moves on.
CREATE TABLE downloads (
    rollout TEXT NOT NULL,
    attempt TEXT NOT NULL,
    site TEXT,
    until BIGINT NOT NULL,
    PRIMARY KEY (rollout, attempt)
);
