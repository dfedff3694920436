//! Just enough of HTTP/1.1 to serve files with ranges, or nonsense.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest head of a request.
const HEAD_MAX: usize = 16 << 10;
/// The longest body of a request.
const BODY_MAX: usize = 1 << 20;
/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;

/// What a peer asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Its body.
    pub body: Vec<u8>,
    /// First byte, and last byte where it is named, of a range of bytes.
    pub range: Option<(u64, Option<u64>)>,
}

/// Writes an answer's head and body.
pub type Wild = dyn FnOnce(&mut dyn Write) -> io::Result<()>;

/// What it is answered.
pub enum Reply {
    /// A status and a small body.
    Small(u16, Vec<u8>),
    /// A file, or the asked range of it.
    File(PathBuf),
    /// A redirection to this address.
    Elsewhere(String),
    /// Whatever this writes, head included; then the connection ends.
    Wild(Box<Wild>),
}

/// What comes after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    Close,
}

/// Reads one request; `None` when the peer has no more.
pub(super) fn read(from: &mut impl Read) -> Result<Option<Request>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if from.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.extend(byte);
        ensure!(head.len() <= HEAD_MAX, "a request's head is too long");
    }
    let head = String::from_utf8(head).context("a request's head is no text")?;
    let mut request = parse(&head)?;
    let length = field(&head, "content-length").map_or(Ok(0), str::parse)?;
    ensure!(length <= BODY_MAX, "a request's body is too long");
    request.body.resize(length, 0);
    from.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn parse(head: &str) -> Result<Request> {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let method = words.next().context("a request has no method")?.to_owned();
    let path = words.next().context("a request has no path")?.to_owned();
    let range = field(head, "range").and_then(parse_range);
    Ok(Request { method, path, body: Vec::new(), range })
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut values = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.trim())
}

fn parse_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
    Some((first.parse().ok()?, last))
}

/// Answers `request`.
pub(super) fn write(
    to: &mut impl Write,
    request: &Request,
    reply: Reply,
    served: &AtomicU64,
) -> Result<Next> {
    match reply {
        Reply::Small(status, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {length}\r\n\r\n");
            // A status without a body has no length either (RFC 9110 8.6).
            let head = if status == 204 { "HTTP/1.1 204 -\r\n\r\n".into() } else { head };
            to.write_all(&[head.as_bytes(), &body].concat())?;
        }
        Reply::Elsewhere(location) => {
            write!(to, "HTTP/1.1 302 -\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")?;
        }
        Reply::File(path) => file(to, request, &path, served)?,
        Reply::Wild(wild) => {
            wild(to)?;
            return Ok(Next::Close);
        }
    }
    to.flush()?;
    Ok(Next::Request)
}

fn file(
    to: &mut impl Write,
    request: &Request,
    path: &std::path::Path,
    served: &AtomicU64,
) -> Result<()> {
    let Ok(mut file) = File::open(path) else {
        to.write_all(b"HTTP/1.1 404 -\r\ncontent-length: 0\r\n\r\n")?;
        return Ok(());
    };
    let size = file.metadata()?.len();
    let (first, last) = match request.range {
        Some((first, last)) => (first, last.unwrap_or(u64::MAX).min(size.saturating_sub(1))),
        None => (0, size.saturating_sub(1)),
    };
    let length = (last + 1).saturating_sub(first).min(size.saturating_sub(first));
    let status = match request.range {
        Some(_) if length == 0 => "416",
        Some(_) => "206",
        None => "200",
    };
    write!(to, "HTTP/1.1 {status} -\r\ncontent-length: {length}\r\naccept-ranges: bytes\r\n")?;
    if status == "206" {
        write!(to, "content-range: bytes {first}-{last}/{size}\r\n")?;
    }
    to.write_all(b"\r\n")?;
    if request.method == "HEAD" {
        return Ok(());
    }
    file.seek(SeekFrom::Start(first))?;
    copy(&mut file.take(length), to, served)
}

fn copy(from: &mut impl Read, to: &mut impl Write, served: &AtomicU64) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let n = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else { return Ok(()) };
        to.write_all(piece)?;
        served.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(head: &str, len: usize) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, &b"0123456789"[..len]).unwrap();
        let request = read(&mut head.as_bytes()).unwrap().unwrap();
        let mut out = Vec::new();
        write(&mut out, &request, Reply::File(path), &AtomicU64::new(0)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn check(range: &str, status: &str, body: &str) {
        let text = answered(&format!("GET /f HTTP/1.1\r\nRange: {range}\r\n\r\n"), 10);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{range}: {text}");
        assert_eq!(text.split_once("\r\n\r\n").unwrap().1, body, "{range}");
    }

    #[test]
    fn ranges_are_served() {
        check("bytes=0-3", "206", "0123");
        check("bytes=7-", "206", "789");
        check("bytes=7-99", "206", "789");
        check("bytes=10-", "416", "");
        check("nonsense", "200", "0123456789");
    }

    #[test]
    fn heads_and_bodies_are_told_apart() {
        assert!(answered("HEAD /f HTTP/1.1\r\n\r\n", 10).contains("content-length: 10\r\n"));
        assert!(answered("HEAD /f HTTP/1.1\r\n\r\n", 10).ends_with("\r\n\r\n"));
        assert!(answered("GET /f HTTP/1.1\r\n\r\n", 0).contains("content-length: 0\r\n"));
        let post = "POST /x HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcd";
        let request = read(&mut post.as_bytes()).unwrap().unwrap();
        assert_eq!((request.body.as_slice(), request.path.as_str()), (&b"abc"[..], "/x"));
        assert!(read(&mut "".as_bytes()).unwrap().is_none());
    }
}
