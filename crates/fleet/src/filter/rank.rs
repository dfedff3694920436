//! The order of values: numbers inside of a text count as numbers.

use alloc::vec::Vec;

/// Bytes that sort as the text should: a run of digits sorts by its number and, beside
/// other characters, as the digit 0; everything else by its bytes; a text before its
/// continuations. So 2.9 < 2.10 < 2.10.1 and olt-2 < olt-10; 2.0-rc1 comes behind 2.0.
/// Any database compares such bytes alike.
pub fn rank(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 4);
    let mut rest = text.as_bytes();
    while let Some(first) = rest.first() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            out.push(*first);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let (run, behind) = rest.split_at(digits);
        let zeros = run.iter().take_while(|byte| **byte == b'0').count();
        let number = run.get(zeros..).unwrap_or_default();
        out.push(b'0');
        // No value is long enough for more than 65 535 digits.
        out.extend(u16::try_from(number.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(number);
        rest = behind;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sorted: &[&str]) {
        for pair in sorted.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn numbers_in_a_text_count_as_numbers() {
        check(&["", "1", "2", "10", "99", "100", "1000000000000000000000"]);
        check(&["2.9", "2.10", "2.10.1", "2.11"]);
        check(&["olt-2", "olt-10", "olt-10/1", "olt-10/3", "olt-10/20"]);
        check(&["2.0", "2.0-rc1", "2.0-rc2", "2.0.1"]);
        check(&["a", "b", "ä"]);
        assert_eq!(rank("007"), rank("7"));
    }
}
