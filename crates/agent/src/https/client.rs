//! Requests, one after the other: a connection is kept for the next one for a while.
//!
//! Deliberately absent: redirects (whoever asks decides about them), and repeating a
//! request by itself, which only its asker knows to be harmless.

use super::address::Address;
use super::answer::{Ahead, Extent, Head};
use super::line::Line;
use super::{HttpError, Limits, Pace};
use crate::platform::clock::Stopwatch;
use rustls::ClientConfig;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(10);

/// What a request says besides: names and values.
pub type Lines<'a> = &'a [(&'a str, &'a str)];

/// Makes requests.
#[derive(Debug, Clone)]
pub struct Agent {
    config: Arc<ClientConfig>,
    limits: Limits,
    pace: Arc<Pace>,
    kept: Kept,
}

/// The connection of the last request, if it can be used again.
type Kept = Arc<Mutex<Option<Box<Connection>>>>;

/// A connection without a request.
#[derive(Debug)]
struct Connection {
    host: String,
    port: u16,
    ahead: Ahead<Line>,
    since: Stopwatch,
}

impl Agent {
    pub(super) fn new(config: Arc<ClientConfig>, limits: Limits, pace: Arc<Pace>) -> Self {
        Self { config, limits, pace, kept: Kept::default() }
    }

    /// Asks for what is at an address.
    ///
    /// # Errors
    /// There is no answer, or none that is sound.
    pub fn get(&self, address: &str, lines: Lines<'_>) -> Result<Answer, HttpError> {
        self.ask("GET", address, lines, None)
    }

    /// Sends something to an address.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn post(&self, address: &str, lines: Lines<'_>, body: &[u8]) -> Result<Answer, HttpError> {
        self.ask("POST", address, lines, Some(body))
    }

    fn ask(
        &self,
        verb: &str,
        address: &str,
        lines: Lines<'_>,
        body: Option<&[u8]>,
    ) -> Result<Answer, HttpError> {
        let address = Address::read(address).ok_or(HttpError::Address)?;
        let request = request(verb, &address, lines, body)?;
        let mut ahead = match self.again(&address) {
            Some(ahead) => ahead,
            None => Ahead::new(Line::open(&address, &self.config, &self.limits, &self.pace)?),
        };
        ahead.peer.send(&request)?;
        let head = Head::take(&mut ahead)?;
        let (extent, keeps) = (head.extent()?, head.keeps());
        let since = Stopwatch::start();
        let connection = Connection { host: address.host.into(), port: address.port, ahead, since };
        let kept = keeps.then(|| Arc::clone(&self.kept));
        let mut body = Body { connection: Some(Box::new(connection)), left: extent, kept };
        body.end_if_done();
        Ok(Answer { head, extent, body })
    }

    /// The connection of the last request, if it leads there and is still open.
    fn again(&self, address: &Address<'_>) -> Option<Ahead<Line>> {
        let kept = self.kept.lock().ok()?.take()?;
        let same = kept.host == address.host && kept.port == address.port;
        let fresh = u128::from(kept.since.millis()) < IDLE.as_millis();
        (same && fresh && kept.ahead.peer.is_open()).then_some(kept.ahead)
    }
}

/// The bytes of a request.
fn request(
    verb: &str,
    address: &Address<'_>,
    lines: Lines<'_>,
    body: Option<&[u8]>,
) -> Result<Vec<u8>, HttpError> {
    let slash = if address.path.starts_with('/') { "" } else { "/" };
    let mut head = format!(
        "{verb} {slash}{} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: refit-agent/{}\r\nAccept: */*\r\n",
        address.path,
        env!("CARGO_PKG_VERSION"),
    );
    for (name, value) in lines {
        // What came from outside must not become a line of its own.
        if value.bytes().any(|c| c.is_ascii_control()) {
            return Err(HttpError::Address);
        }
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    Ok([head.as_bytes(), body.unwrap_or_default()].concat())
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    head: Head,
    extent: Extent,
    body: Body,
}

impl Answer {
    /// Its number, RFC 9110 15.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// What its head says under a name, if it says exactly one thing.
    pub fn line(&self, name: &str) -> Option<&str> {
        self.head.line(name)
    }

    /// How many bytes the body has, where the head says so.
    pub fn announced(&self) -> Option<u64> {
        match self.extent {
            Extent::Length(len) => Some(len),
            Extent::Chunk(_) | Extent::UntilEnd => None,
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// It has more than `limit` bytes, or does not come to its end.
    pub fn bytes(&mut self, limit: u64) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        (&mut self.body).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(HttpError::TooLong) } else { Ok(bytes) }
    }

    /// The body, to be read as it comes.
    pub fn into_body(self) -> Body {
        self.body
    }
}

/// The body of an answer. Whoever does not read it to its end closes the connection.
#[derive(Debug)]
pub struct Body {
    connection: Option<Box<Connection>>,
    left: Extent,
    /// Where the connection is kept afterwards, if it may be.
    kept: Option<Kept>,
}

impl Body {
    fn end_if_done(&mut self) {
        if self.left != Extent::Length(0) {
            return;
        }
        let Some(mut connection) = self.connection.take() else { return };
        connection.since = Stopwatch::start();
        let kept = self.kept.take().filter(|_| connection.ahead.is_empty());
        if let Some(mut kept) = kept.as_ref().and_then(|kept| kept.lock().ok()) {
            *kept = Some(connection);
        }
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let got = connection.ahead.body(&mut self.left, into)?;
        self.end_if_done();
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, lines: Lines<'_>, body: Option<&[u8]>, want: Option<&str>) {
        let address = Address::read(address).unwrap();
        let made = request("GET", &address, lines, body).ok();
        let made = made.map(|bytes| String::from_utf8(bytes).unwrap());
        let version = env!("CARGO_PKG_VERSION");
        let want = want.map(|want| want.replace("VERSION", version));
        assert_eq!(made, want);
    }

    #[test]
    fn a_request_is_what_was_asked_for() {
        let head = "GET /x?y HTTP/1.1\r\nHost: a.example:8443\r\nUser-Agent: refit-agent/VERSION\r\nAccept: */*\r\n";
        check("https://a.example:8443/x?y", &[], None, Some(&format!("{head}\r\n")));
        let want = format!("{head}Range: bytes=5-\r\nContent-Length: 2\r\n\r\nhi");
        check("https://a.example:8443/x?y", &[("Range", "bytes=5-")], Some(b"hi"), Some(&want));
    }

    #[test]
    fn a_line_stays_one_line() {
        check("https://a.example/", &[("If-None-Match", "x\r\nY: z")], None, None);
    }
}
