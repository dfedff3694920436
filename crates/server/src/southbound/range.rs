//! `Range` of RFC 9110, 14.2: one range of bytes. Anything else asks for the whole.

/// Which part of an entry is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// These bytes, the last one included.
    Some {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// None that are there.
    None,
}

/// Reads a `Range` header for an entry of `size` bytes.
pub(super) fn part(header: Option<&str>, size: u64) -> Part {
    let range = header.and_then(|value| value.strip_prefix("bytes=")).and_then(bounds);
    match range {
        None => Part::Whole,
        Some((None, None)) => Part::Whole,
        Some((None, Some(0))) => Part::None,
        Some((None, Some(_))) if size == 0 => Part::None,
        Some((None, Some(suffix))) => {
            Part::Some { first: size.saturating_sub(suffix), last: size.saturating_sub(1) }
        }
        Some((Some(first), _)) if first >= size => Part::None,
        Some((Some(first), last)) => {
            Part::Some { first, last: last.unwrap_or(u64::MAX).min(size.saturating_sub(1)) }
        }
    }
}

/// The two numbers around the dash; nothing for what is no single range.
fn bounds(range: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| -> Option<Option<u64>> {
        if text.is_empty() {
            return Some(None);
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().map(Some)
    };
    let (first, last) = (number(first)?, number(last)?);
    match (first, last) {
        (Some(first), Some(last)) if last < first => None,
        bounds => Some(bounds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, size: u64, expected: Part) {
        assert_eq!(part(Some(header), size), expected, "{header} of {size}");
    }

    #[test]
    fn one_range_is_served_and_anything_else_is_the_whole() {
        let some = |first, last| Part::Some { first, last };
        assert_eq!(part(None, 10), Part::Whole);
        check("bytes=0-", 10, some(0, 9));
        check("bytes=3-5", 10, some(3, 5));
        check("bytes=9-9", 10, some(9, 9));
        check("bytes=3-99", 10, some(3, 9));
        check("bytes=-4", 10, some(6, 9));
        check("bytes=-99", 10, some(0, 9));
        check("bytes=10-", 10, Part::None);
        check("bytes=-0", 10, Part::None);
        check("bytes=0-", 0, Part::None);
        check("bytes=-1", 0, Part::None);
        for odd in ["bytes=5-3", "bytes=0-1,3-4", "bytes=a-b", "bytes=-", "bytes=+1-2", "items=0-1"]
        {
            check(odd, 10, Part::Whole);
        }
        check("bytes=0-99999999999999999999", 10, Part::Whole);
    }
}
