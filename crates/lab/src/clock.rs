//! The lab's clock: what the real world takes, and waiting with a deadline.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often something is looked at that nobody tells about.
const LOOK: Duration = Duration::from_millis(20);

/// Now.
#[expect(clippy::disallowed_methods, reason = "the one place of the lab that reads a clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks at `seen` again and again until it gives something.
///
/// # Errors
/// `seen` fails, or the time is over; then the text says what was waited for.
pub fn until<T>(
    limit: Duration,
    what: &str,
    mut seen: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = now();
    loop {
        if let Some(found) = seen()? {
            return Ok(found);
        }
        if now() - began > limit {
            bail!("{what} did not happen within {} s", limit.as_secs_f32());
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends() {
        let mut left = 3;
        let counted = until(Duration::from_secs(60), "counting", || {
            left -= 1;
            Ok((left == 0).then_some("done"))
        });
        assert_eq!(counted.unwrap(), "done");
        let error = until(Duration::ZERO, "the impossible", || Ok(None::<()>)).unwrap_err();
        assert!(error.to_string().contains("the impossible did not happen"), "{error}");
        assert!(until::<()>(Duration::from_secs(60), "x", || bail!("broken")).is_err());
    }
}
