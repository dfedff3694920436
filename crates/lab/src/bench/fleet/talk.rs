//! Virtual terminals: what they say, and what they must be told.

use super::load::Talk;
use crate::terminal::{COMPONENT, HARDWARE, PRODUCT};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use types::Digest;

/// What all of them run.
const FACTORY: &[u8] = b"what the factory installed";

/// A virtual terminal: all there is to it is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Virtual(pub(crate) u32);

impl Virtual {
    fn name(self) -> String {
        format!("v{:08}", self.0)
    }

    fn credential(self) -> String {
        format!("rfd_virtual_{:08}", self.0)
    }

    fn request(self, path: &str, body: &str) -> Vec<u8> {
        let (credential, length) = (self.credential(), body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {credential}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }

    /// Its heartbeat, when the last answer it holds is `seen`.
    pub(crate) fn heartbeat(self, seen: Option<&str>) -> Vec<u8> {
        let state = json!({"version": "factory", "image": Digest::of(FACTORY)});
        let mut body = json!({
            "protocol": 1, "device": self.name(), "product": PRODUCT, "hardware": HARDWARE,
            "memory_class_mib": 32, "slot": "A", "running": {COMPONENT: state}
        });
        if let (Some(seen), Some(fields)) = (seen, body.as_object_mut()) {
            fields.insert("seen".into(), json!(seen));
        }
        self.request("/v1/heartbeat", &body.to_string())
    }

    /// Its report that `attempt` went well.
    fn report(self, attempt: &str) -> Vec<u8> {
        let report = json!({
            "attempt": attempt, "source": "native", "outcome": 0, "detail": "", "version": "2.0",
            "spent": {"bytes": 3_000_096, "seconds": 12}, "failed_boots": 0
        });
        self.request("/v1/reports", &json!({"reports": [report]}).to_string())
    }
}

/// Writes what the factory knows of the first `count` terminals, one a line.
pub(crate) fn write_factory_file(path: &Path, count: u32) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    for number in 0..count {
        let one = Virtual(number);
        let (name, digest) = (one.name(), Digest::of(one.credential().as_bytes()));
        writeln!(
            file,
            "{{\"device\":\"{name}\",\"product\":\"{PRODUCT}\",\"hardware\":\"{HARDWARE}\",\
             \"memory_class_mib\":32,\"credential_sha256\":\"{digest}\"}}"
        )?;
    }
    Ok(file.flush()?)
}

/// What stands behind `name` in `body`, up to the next quotation mark.
pub(super) fn field<'b>(body: &'b [u8], name: &str) -> Option<&'b str> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}

/// Terminals that are heard for the first time, each once: every heartbeat has news.
pub(super) struct Newcomers {
    pub(super) left: std::ops::Range<u32>,
    asked: Option<Virtual>,
    /// Who was offered what.
    pub(super) offered: Vec<(Virtual, String)>,
}

impl Newcomers {
    pub(super) fn new(left: std::ops::Range<u32>) -> Self {
        Self { left, asked: None, offered: Vec::new() }
    }
}

impl Talk for Newcomers {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        self.asked = self.left.next().map(Virtual);
        let Some(one) = self.asked else { return false };
        request.extend(one.heartbeat(None));
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()> {
        ensure!(status == 200, "a terminal was told {status}: {}", String::from_utf8_lossy(body));
        if let (Some(one), Some(attempt)) = (self.asked, field(body, "attempt")) {
            self.offered.push((one, attempt.into()));
        }
        Ok(())
    }
}

/// Terminals that report how their attempts ended, each once.
pub(super) struct Reporters {
    left: std::vec::IntoIter<(Virtual, String)>,
    asked: String,
    pub(super) acknowledged: u64,
}

impl Reporters {
    pub(super) fn new(attempts: Vec<(Virtual, String)>) -> Self {
        Self { left: attempts.into_iter(), asked: String::new(), acknowledged: 0 }
    }
}

impl Talk for Reporters {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        let Some((one, attempt)) = self.left.next() else { return false };
        request.extend(one.report(&attempt));
        self.asked = attempt;
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()> {
        let text = String::from_utf8_lossy(body);
        ensure!(status == 200 && text.contains(&self.asked), "a report was told {status}: {text}");
        self.acknowledged += 1;
        Ok(())
    }
}

/// Terminals that ask again and again and hear nothing new.
pub(super) struct Regulars {
    requests: Vec<(Virtual, Option<Vec<u8>>)>,
    next: usize,
    /// How often there was something new after all.
    pub(super) news: u64,
}

impl Regulars {
    pub(super) fn new(all: impl Iterator<Item = u32>) -> Self {
        let requests = all.map(|number| (Virtual(number), None)).collect();
        Self { requests, next: 0, news: 0 }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.requests.len()
    }
}

impl Talk for Regulars {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        let Some((one, known)) = self.requests.get(self.next) else { return false };
        match known {
            Some(known) => request.extend_from_slice(known),
            None => request.extend(one.heartbeat(None)),
        }
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()> {
        let at = self.next;
        self.next = (at + 1) % self.requests.len().max(1);
        let Some((one, known)) = self.requests.get_mut(at) else { return Ok(()) };
        match (status, field(body, "etag")) {
            (204, _) => {}
            (200, Some(etag)) => {
                self.news += 1;
                *known = Some(one.heartbeat(Some(etag)));
            }
            _ => bail!("a heartbeat was told {status}: {}", String::from_utf8_lossy(body)),
        }
        Ok(())
    }
}

/// The same request again and again, for other servers than ours.
pub(super) struct Same {
    pub(super) request: Vec<u8>,
    pub(super) status: u16,
}

impl Talk for Same {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        request.extend_from_slice(&self.request);
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()> {
        let said = String::from_utf8_lossy(body);
        ensure!(status == self.status, "another server said {status}: {said}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_says_is_what_the_protocol_asks() {
        let request = Virtual(7).heartbeat(Some("abc"));
        let at = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let heartbeat: protocols::native::Heartbeat =
            protocols::json::decode(&request[at..]).unwrap();
        assert_eq!(
            (heartbeat.device.as_str(), heartbeat.seen.as_deref()),
            ("v00000007", Some("abc"))
        );
        let request = Virtual(7).report(&"0".repeat(32));
        let at = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let reports: protocols::native::Reports = protocols::json::decode(&request[at..]).unwrap();
        assert_eq!(reports.reports.len(), 1);
    }

    #[test]
    fn the_factory_file_is_one_that_is_imported() {
        let place = tempfile::NamedTempFile::new().unwrap();
        write_factory_file(place.path(), 3).unwrap();
        let text = std::fs::read_to_string(place.path()).unwrap();
        let made: Vec<protocols::operator::Made> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(made.len(), 3);
        assert_eq!(made[2].device.as_str(), "v00000002");
    }

    #[test]
    fn a_regular_takes_up_what_is_new_once() {
        let mut regulars = Regulars::new(0..1);
        let mut request = Vec::new();
        assert!(regulars.ask(&mut request));
        regulars.hear(200, br#"{"etag":"e1","poll_seconds":60}"#).unwrap();
        request.clear();
        regulars.ask(&mut request);
        assert!(String::from_utf8_lossy(&request).contains(r#""seen":"e1""#));
        regulars.hear(204, b"").unwrap();
        assert_eq!(regulars.news, 1);
        assert!(regulars.hear(503, b"").is_err());
    }
}
