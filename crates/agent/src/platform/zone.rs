//! The terminal's time zone, from its files: a compiled zone (TZif, RFC 8536, whose
//! last line is the rule for the future) or a line with the rule, as OpenWrt has it.

use super::files;
use engine::policy::zone::Zone;
use std::io;
use std::path::Path;

/// The largest file of a zone, in bytes.
const LIMIT: u64 = 256 << 10;

/// The zone that the file at `path` describes.
///
/// # Errors
/// There is no such file, or it has no rule that is understood.
pub fn read(path: &Path) -> io::Result<Zone> {
    rule(path)?.parse().map_err(io::Error::other)
}

/// The rule in the file at `path`, as text.
///
/// # Errors
/// There is no such file, or it has none.
pub fn rule(path: &Path) -> io::Result<String> {
    let bytes = files::read(path, LIMIT)?.ok_or(io::ErrorKind::NotFound)?;
    let rule = if bytes.starts_with(b"TZif") { footer(&bytes) } else { Some(bytes.as_slice()) };
    let rule = rule.and_then(|rule| std::str::from_utf8(rule).ok()).map(str::trim);
    let rule = rule.ok_or_else(|| io::Error::other("it has no rule of a time zone"))?;
    Ok(rule.to_string())
}

/// What is between the last two ends of lines.
fn footer(bytes: &[u8]) -> Option<&[u8]> {
    let body = bytes.strip_suffix(b"\n")?;
    let start = body.iter().rposition(|byte| *byte == b'\n')?;
    body.get(start + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Timestamp;

    fn check(bytes: &[u8], shown: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zone");
        std::fs::write(&path, bytes).unwrap();
        let zone = read(&path).ok();
        let july = Timestamp(1_782_864_000_000);
        assert_eq!(zone.map(|zone| zone.show(july)).as_deref(), shown);
    }

    #[test]
    fn rules_are_read_from_both_kinds_of_files() {
        check(b"CET-1CEST,M3.5.0,M10.5.0/3\n", Some("2026-07-01 02:00"));
        check(b"TZif2 binary \n things\n\nCET-1CEST,M3.5.0,M10.5.0/3\n", Some("2026-07-01 02:00"));
        check(b"TZif2 binary\n\nUTC0\n", Some("2026-07-01 00:00"));
        check(b"TZif1 without a rule", None);
        check(b"", None);
        assert!(read(Path::new("/no/such/zone")).is_err());
    }
}
