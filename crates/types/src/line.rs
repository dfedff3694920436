//! One line of what a terminal tells, harmless wherever it is shown.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The longest line, in bytes.
const LINE_LIMIT: usize = 240;

/// What takes the place of a character that a screen would obey.
const SHOWN: char = '\u{FFFD}';

/// One line of a log, cut to 240 bytes at a character's end. Characters that a screen
/// obeys and does not show (control characters, line ends, changes of the direction of
/// writing) are replaced by U+FFFD, so that a line stays one line and shows as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Line(String);

impl Line {
    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a screen obeys `c` (Unicode's line and paragraph separators and its
/// bidirectional controls, UAX 9 2, beside the control characters).
fn is_obeyed(c: char) -> bool {
    let directs = matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}');
    c.is_control()
        || directs
        || matches!(c, '\u{061C}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        let mut out = String::new();
        for c in text.chars() {
            let c = match c {
                '\t' => ' ',
                c if is_obeyed(c) => SHOWN,
                c => c,
            };
            if out.len() + c.len_utf8() > LINE_LIMIT {
                break;
            }
            out.push(c);
        }
        Self(out)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        assert_eq!(Line::from(text).as_str(), shown);
    }

    #[test]
    fn a_screen_shows_it_and_obeys_nothing() {
        check("no space left on device", "no space left on device");
        check("größer als 8\tMiB", "größer als 8 MiB");
        check("\u{1b}[2J\u{1b}]0;owned\u{7}", "\u{fffd}[2J\u{fffd}]0;owned\u{fffd}");
        check("one\r\ntwo\u{2028}three\0", "one\u{fffd}\u{fffd}two\u{fffd}three\u{fffd}");
        check("\u{202e}cod.exe\u{2066}\u{9b}31m", "\u{fffd}cod.exe\u{fffd}\u{fffd}31m");
        let long = Line::from("ä".repeat(1000).as_str());
        assert_eq!(long.as_str().len(), LINE_LIMIT);
    }
}
