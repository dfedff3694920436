//! The order of Debian versions (Debian Policy 5.6.12).

use std::cmp::Ordering;

/// Compares two versions as `dpkg` does.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let ((epoch_a, upstream_a, revision_a), (epoch_b, upstream_b, revision_b)) =
        (parts(a), parts(b));
    let upstream = || fragment(upstream_a, upstream_b);
    epoch_a.cmp(&epoch_b).then_with(upstream).then_with(|| fragment(revision_a, revision_b))
}

/// Epoch, upstream version, revision.
fn parts(version: &str) -> (u32, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

/// Letters and digits in turn: letters by [`weight`], digits as numbers.
fn fragment(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (word_a, word_b) =
            (take(&mut a, |c| !c.is_ascii_digit()), take(&mut b, |c| !c.is_ascii_digit()));
        let (number_a, number_b) =
            (take(&mut a, |c| c.is_ascii_digit()), take(&mut b, |c| c.is_ascii_digit()));
        let order = words(word_a, word_b).then_with(|| numbers(number_a, number_b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn take<'a>(text: &mut &'a str, wanted: impl Fn(char) -> bool) -> &'a str {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

fn words(a: &str, b: &str) -> Ordering {
    // The end of a word is 0: after `~`, before everything else.
    let weights = |word: &str| word.chars().map(weight).chain([0]).collect::<Vec<_>>();
    weights(a).cmp(&weights(b))
}

fn weight(letter: char) -> i32 {
    let code = i32::try_from(u32::from(letter)).unwrap_or(i32::MAX >> 1);
    match letter {
        '~' => -1,
        'a'..='z' | 'A'..='Z' => code,
        _ => code + 256,
    }
}

fn numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lower: &str, higher: &str) {
        assert_eq!(compare(lower, higher), Ordering::Less, "{lower} < {higher}");
        assert_eq!(compare(higher, lower), Ordering::Greater, "{higher} > {lower}");
        assert_eq!(compare(lower, lower), Ordering::Equal);
    }

    #[test]
    fn versions_are_in_the_order_of_dpkg() {
        check("6.1.9-1", "6.1.10-1");
        check("1.0~rc1-1", "1.0-1");
        check("1.0-1~deb12u1", "1.0-1");
        check("1.0-1", "1.0-1+deb12u1");
        check("1.0-1+deb12u2", "1.0-1+deb12u10");
        check("9.0-1", "1:1.0-1");
        check("1.0", "1.0a");
        check("1.0a", "1.0+b");
        check("2023.01+dfsg-2", "2023.01+dfsg-2+b1");
        check("3.0.20-1~deb12u2", "3.0.22-1~deb12u2");
        assert_eq!(compare("1.02", "1.2"), Ordering::Equal);
    }
}
