//! Where a request goes: an `https` address, taken apart.
//!
//! Deliberately absent: user names and fragments, which an address of ours never has.

use std::fmt;

/// The longest address.
const LONGEST: usize = 4096;
/// The port of https.
const PORT: u16 = 443;

/// An address, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// Name or number, an IPv6 number without its brackets.
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// Path and query, from the slash on; without a slash it has no path.
    pub(super) path: &'a str,
}

impl<'a> Address<'a> {
    /// Reads it; nothing for what is no such address.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("https://")?;
        if text.len() > LONGEST || !text.bytes().all(|c| c.is_ascii_graphic() && c != b'#') {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(bare) => bare.split_once(']')?,
            None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?,
        };
        let port = if port.is_empty() { PORT } else { port.strip_prefix(':')?.parse().ok()? };
        let known = |c: u8| c.is_ascii_alphanumeric() || b".-_:".contains(&c);
        let sound = !host.is_empty() && host.bytes().all(known);
        sound.then_some(Self { host, port, path })
    }

    /// Whether both are the same server.
    pub(crate) fn is_beside(&self, other: &Address<'_>) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port == other.port
    }
}

/// Host and port, as the header `Host` has them.
impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (false, PORT) => f.write_str(self.host),
            (false, port) => write!(f, "{}:{port}", self.host),
            (true, PORT) => write!(f, "[{}]", self.host),
            (true, port) => write!(f, "[{}]:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let check = |text, host, port, path, shown: &str| {
            let read = Address::read(text);
            assert_eq!(read, Some(Address { host, port, path }), "{text}");
            assert_eq!(read.unwrap().to_string(), shown);
        };
        check("https://a.example/x?y", "a.example", 443, "/x?y", "a.example");
        check("https://a.example:443", "a.example", 443, "", "a.example");
        check("https://a.example:8443?y", "a.example", 8443, "?y", "a.example:8443");
        check("https://[::1]:8443/", "::1", 8443, "/", "[::1]:8443");
        check("https://[fe80::2]/x", "fe80::2", 443, "/x", "[fe80::2]");
        check("https://127.0.0.1:1/", "127.0.0.1", 1, "/", "127.0.0.1:1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("https://a.example/{}", "x".repeat(LONGEST));
        for bad in [
            "",
            "/x",
            "a:b",
            "http://a.example/",
            "//a.example/",
            "https://",
            "https:///x",
            "https://u@a.example/",
            "https://a.example:x/",
            "https://a.example:65536/",
            "https://[::1/",
            "https://[::1]x/",
            "https://a.example/x y",
            "https://a.example/x\r\nY: z",
            "https://a.example/#x",
            &long,
        ] {
            assert_eq!(Address::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn servers_are_told_apart() {
        let check = |one, other, want| {
            let (one, other) = (Address::read(one).unwrap(), Address::read(other).unwrap());
            assert_eq!(one.is_beside(&other), want);
        };
        check("https://a.example/x", "https://A.EXAMPLE:443/y", true);
        check("https://a.example/x", "https://a.example:444/x", false);
        check("https://a.example/x", "https://b.example/x", false);
    }
}
