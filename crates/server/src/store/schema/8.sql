-- Version 8: the regions that a release is for, who is outside of the region that it was
-- sold for, as a word for filters, and what becomes of them unless a rollout says more.
ALTER TABLE release_rules ADD COLUMN regions TEXT NOT NULL DEFAULT '[]';

CREATE TABLE products (
    product TEXT PRIMARY KEY,
    policy TEXT NOT NULL
);

INSERT INTO device_words (device, word, name, value, rank)
SELECT home.device, 'abroad', '', 'yes', X'796573' FROM device_words home
JOIN device_words used ON used.device = home.device
WHERE home.word = 'home' AND used.word = 'region' AND home.value <> used.value;
