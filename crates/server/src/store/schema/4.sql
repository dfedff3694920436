-- Version 4: reports in the order in which they came, for exports and for retention.
CREATE INDEX reports_by_age ON reports (received, device, attempt);
