//! The only place of the server that reads a clock. Everything else takes `now`.

use std::time::{SystemTime, UNIX_EPOCH};
use types::Timestamp;

/// What time it is; 1970 where the clock is set to before that.
#[expect(clippy::disallowed_methods, reason = "the server's one clock")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
