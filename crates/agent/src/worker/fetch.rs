//! Fetches entries of a package over HTTPS.

use super::message::{Fault, Limits};
use crate::https::{self, Address, Agent, Answer, Body, Least, Pace, Trust};
use crate::platform::clock::Stopwatch;
use engine::Throttle;
use protocols::json::{self, Message};
use protocols::native::Problem;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use types::Outcome;

/// How often an address may send on to another one of the same server.
const REDIRECTS_MAX: u8 = 3;

// RFC 9110 15.
const OK: u16 = 200;
const PARTIAL: u16 = 206;
const NOT_FOUND: u16 = 404;
const GONE: u16 = 410;
const RANGE_NOT_SATISFIABLE: u16 = 416;
const TOO_MANY_REQUESTS: u16 = 429;
const UNAVAILABLE: u16 = 503;

/// Fetches the entries of one package.
pub(super) struct Fetcher {
    agent: Agent,
    pace: Arc<Pace>,
    base: String,
    throttle: Throttle,
    watch: Stopwatch,
}

/// Bytes that are read over at once.
const SKIP: usize = 16 << 10;

/// The bytes of an answer, as they come.
pub(super) struct Stream {
    body: Body,
    /// How many bytes the server announced.
    announced: Option<u64>,
    /// How many of them come before the first one that was asked for.
    before: u64,
}

/// What an entry's bytes are asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) entry: &'a str,
    /// First byte.
    pub(super) from: u64,
    /// Bytes of the whole entry, where that is known.
    pub(super) size: Option<u64>,
}

impl Fetcher {
    /// Nothing is fetched yet.
    pub(super) fn new(base: String, trust: &Trust, limits: &Limits) -> Result<Self, Fault> {
        let no_address = || Fault::never(Outcome::Unreachable, "the package has no https address");
        if !base.starts_with("https://") || !base.ends_with('/') {
            return Err(no_address());
        }
        let tls = https::Limits {
            connect: Duration::from_millis(limits.connect),
            read: Duration::from_millis(limits.read),
            window: usize::try_from(limits.window).unwrap_or(usize::MAX),
            least: Least { rate: limits.least_rate, over: limits.least_over },
        };
        let (agent, pace) = https::agent(trust, &tls)
            .map_err(|e| Fault::later(Outcome::Unreachable, format!("no trusted roots: {e}")))?;
        let throttle = Throttle::new(limits.bandwidth);
        Ok(Self { agent, pace, base, throttle, watch: Stopwatch::start() })
    }

    /// Asks for an entry and looks at the answer's head.
    pub(super) fn get(&mut self, wanted: Wanted<'_>) -> Result<Stream, Fault> {
        let mut address = format!("{}{}", self.base, wanted.entry);
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.ask(&address, wanted.from)?;
            match redirect(&address, &answer)? {
                Some(next) => address = next,
                None => return self.at_start(accept(answer, wanted)?),
            }
        }
        Err(Fault::never(Outcome::BadRedirect, "the server redirects in circles"))
    }

    /// Reads over what comes before the first byte that was asked for: a server
    /// that knows no ranges sends everything.
    fn at_start(&mut self, mut stream: Stream) -> Result<Stream, Fault> {
        let mut piece = vec![0; SKIP];
        while stream.before > 0 {
            let len = piece.len().min(usize::try_from(stream.before).unwrap_or(SKIP));
            let got = self.read(&mut stream, piece.get_mut(..len).unwrap_or_default())?;
            if got == 0 {
                return Err(Fault::later(Outcome::Unreachable, "the answer ended too early"));
            }
            stream.before -= got as u64;
        }
        Ok(stream)
    }

    fn ask(&self, address: &str, from: u64) -> Result<Answer, Fault> {
        let range = format!("bytes={from}-");
        let lines = [("Range", range.as_str())];
        let lines = if from > 0 { lines.as_slice() } else { &[] };
        self.agent.get(address, lines).map_err(|e| self.fault(&e.to_string()))
    }

    /// The next bytes of an answer, at the allowed rate; 0 at its end.
    pub(super) fn read(&mut self, from: &mut Stream, into: &mut [u8]) -> Result<usize, Fault> {
        let got = from.body.read(into);
        let got = got.map_err(|e| self.fault(&https::HttpError::from(e).to_string()))?;
        let taken = u32::try_from(got).unwrap_or(u32::MAX);
        let wait = self.throttle.take(taken, self.watch.millis());
        if wait > 0 {
            std::thread::sleep(Duration::from_millis(wait));
        }
        Ok(got)
    }

    /// A document of at most `limit` bytes.
    pub(super) fn document(&mut self, entry: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        let mut stream = self.get(Wanted { entry, from: 0, size: None })?;
        let oversized = || Fault::never(Outcome::Oversized, format!("`{entry}` is too long"));
        if stream.announced.is_some_and(|len| len > limit) {
            return Err(oversized());
        }
        let mut bytes = Vec::new();
        let mut piece = vec![0; 16 << 10];
        loop {
            let got = self.read(&mut stream, &mut piece)?;
            bytes.extend(piece.get(..got).unwrap_or_default());
            if bytes.len() as u64 > limit {
                return Err(oversized());
            }
            if got == 0 {
                return Ok(bytes);
            }
        }
    }

    fn fault(&self, what: &str) -> Fault {
        if self.pace.too_slow() {
            return Fault::later(Outcome::TooSlow, Outcome::TooSlow.sentence());
        }
        Fault::later(Outcome::Unreachable, format!("cannot fetch from the server: {what}"))
    }
}

/// Where an answer sends on to, which may only be the same server.
fn redirect(address: &str, answer: &Answer) -> Result<Option<String>, Fault> {
    if !(300..400).contains(&answer.status()) {
        return Ok(None);
    }
    let bad = || Fault::never(Outcome::BadRedirect, Outcome::BadRedirect.sentence());
    let to = answer.line("location").ok_or_else(bad)?;
    let from = Address::read(address).ok_or_else(bad)?;
    let to = match to.strip_prefix('/') {
        Some(path) if !path.starts_with('/') => format!("https://{from}{to}"),
        _ => to.to_owned(),
    };
    let same = Address::read(&to).is_some_and(|to| to.is_beside(&from));
    if same { Ok(Some(to)) } else { Err(bad()) }
}

/// Whether the answer is what was asked for, from its head.
fn accept(answer: Answer, wanted: Wanted<'_>) -> Result<Stream, Fault> {
    let entry = wanted.entry;
    let status = answer.status();
    match status {
        OK | PARTIAL => {}
        RANGE_NOT_SATISFIABLE => return Err(truncated(entry)),
        NOT_FOUND | GONE => {
            let detail = format!("the server does not have `{entry}`");
            return Err(Fault::payload(Outcome::Unreachable, detail));
        }
        UNAVAILABLE | TOO_MANY_REQUESTS => {
            if let Some(seconds) = https::retry_after(&answer) {
                return Err(Fault::held(seconds, said(answer)));
            }
            return Err(refused(status, entry));
        }
        _ => return Err(refused(status, entry)),
    }
    let announced = answer.announced();
    let start = match status {
        PARTIAL => range_start(&answer, wanted)?,
        _ => 0,
    };
    let Some(before) = wanted.from.checked_sub(start).filter(|n| *n == 0 || status == OK) else {
        let detail = format!("the server sent byte {start} of `{entry}`, not {}", wanted.from);
        return Err(Fault::payload(Outcome::CorruptPayload, detail));
    };
    check_length(announced, Wanted { from: start, ..wanted })?;
    Ok(Stream { body: answer.into_body(), announced, before })
}

fn refused(status: u16, entry: &str) -> Fault {
    let detail = format!("the server answers with status {status} for `{entry}`");
    Fault::later(Outcome::Unreachable, detail)
}

/// Why a server has this terminal wait, as far as it says so.
fn said(mut answer: Answer) -> String {
    let bytes = answer.bytes(Problem::LIMIT as u64);
    let problem = bytes.ok().and_then(|bytes| json::decode_small::<Problem>(&bytes).ok());
    let why = problem.map_or("it is busy".into(), |problem| problem.error);
    format!("the server has this terminal wait: {why}")
}

fn truncated(entry: &str) -> Fault {
    Fault::payload(Outcome::Truncated, format!("`{entry}` is shorter than its manifest says"))
}

fn oversized(entry: &str) -> Fault {
    Fault::payload(Outcome::Oversized, format!("`{entry}` is longer than its manifest says"))
}

/// What a head announces must be what the manifest says.
fn check_length(announced: Option<u64>, wanted: Wanted<'_>) -> Result<(), Fault> {
    let Some(size) = wanted.size else { return Ok(()) };
    match announced.map(|len| len.cmp(&size.saturating_sub(wanted.from))) {
        Some(core::cmp::Ordering::Less) => Err(truncated(wanted.entry)),
        Some(core::cmp::Ordering::Greater) => Err(oversized(wanted.entry)),
        _ => Ok(()),
    }
}

/// The first byte by `Content-Range: bytes 5-9/10` (RFC 9110 14.4).
fn range_start(answer: &Answer, wanted: Wanted<'_>) -> Result<u64, Fault> {
    let text = answer.line("content-range");
    let (start, total) = text.and_then(content_range).ok_or_else(|| {
        Fault::payload(Outcome::CorruptPayload, "the server does not say which range it sent")
    })?;
    match (total, wanted.size) {
        (Some(total), Some(size)) if total < size => Err(truncated(wanted.entry)),
        (Some(total), Some(size)) if total > size => Err(oversized(wanted.entry)),
        _ => Ok(start),
    }
}

fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (start <= end && total.is_none_or(|total| end < total)).then_some((start, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        for bad in ["", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "5-9/10", "bytes */10"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
