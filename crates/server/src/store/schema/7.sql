-- Version 7: what terminals tell of their attempts. The text is kept twice: as it is to
-- be shown, and in small letters for searches, which so mean the same on every engine.
CREATE TABLE attempt_logs (
    device TEXT NOT NULL,
    attempt TEXT NOT NULL,
    received BIGINT NOT NULL,
    rollout TEXT NOT NULL,
    version TEXT NOT NULL,
    outcome BIGINT NOT NULL,
    lines TEXT NOT NULL,
    folded TEXT NOT NULL,
    PRIMARY KEY (device, attempt)
);
CREATE INDEX attempt_logs_by_age ON attempt_logs (received, device, attempt);
CREATE INDEX attempt_logs_by_rollout ON attempt_logs (rollout, received, device, attempt);
