//! What a server answers: a head, and a body as it comes (RFC 9112).
//!
//! Nothing here trusts the peer: a head has a limit, a chunk's line and what follows the
//! last chunk have one, and two lengths that could differ are refused. Deliberately
//! absent: compression, and whatever a head says that nobody here asks for.

use super::HttpError;
use std::io;

/// Bytes of a head.
pub(super) const HEAD_MAX: usize = 16 << 10;
/// Lines of a head.
const LINES_MAX: usize = 64;
/// Heads that say "still at work" before the answer itself (RFC 9110 15.2).
const INTERIM_MAX: u8 = 4;
/// Bytes that are read at once where it is not known how many there are.
const PIECE: usize = 16 << 10;
/// Bytes of the line before a chunk, and of all lines behind the last.
const CHUNK_LINES_MAX: usize = 4 << 10;

/// Where the bytes come from: a connection.
pub(super) trait Peer {
    /// The next bytes; 0 at an orderly end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    /// RFC 9110 15.
    pub(super) status: u16,
    /// Names and values; names as the peer wrote them.
    lines: Vec<(String, String)>,
    /// Whether it is of HTTP/1.1, which keeps connections.
    current: bool,
}

impl Head {
    /// Takes the head from the front of what the peer sends.
    pub(super) fn take<P: Peer>(from: &mut Ahead<P>) -> Result<Self, HttpError> {
        for _ in 0..=INTERIM_MAX {
            let head = Self::one(from)?;
            if !(100..200).contains(&head.status) {
                return Ok(head);
            }
        }
        Err(HttpError::NotHttp)
    }

    fn one<P: Peer>(from: &mut Ahead<P>) -> Result<Self, HttpError> {
        loop {
            let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
            let mut parsed = httparse::Response::new(&mut lines);
            let found = parsed.parse(from.bytes()).map_err(|_| HttpError::NotHttp)?;
            if let httparse::Status::Complete(len) = found {
                let head = Self::owned(&parsed).ok_or(HttpError::NotHttp)?;
                from.skip(len);
                return Ok(head);
            }
            if from.bytes().len() >= HEAD_MAX {
                return Err(HttpError::TooLong);
            }
            if from.more()? == 0 {
                return Err(HttpError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn owned(parsed: &httparse::Response<'_, '_>) -> Option<Self> {
        let line = |line: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(line.value).trim().to_owned();
            (line.name.to_owned(), value)
        };
        let lines = parsed.headers.iter().map(line).collect();
        Some(Self { status: parsed.code?, lines, current: parsed.version? == 1 })
    }

    /// A line's value, if there is exactly one with this name.
    pub(super) fn line(&self, name: &str) -> Option<&str> {
        let mut all = self.lines.iter().filter(|(of, _)| of.eq_ignore_ascii_case(name));
        let (_, value) = all.next()?;
        all.next().is_none().then_some(value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|(of, _)| of.eq_ignore_ascii_case(name))
    }

    /// How the body's end is known (RFC 9112 6.3).
    pub(super) fn extent(&self) -> Result<Extent, HttpError> {
        if matches!(self.status, 204 | 304) {
            return Ok(Extent::Length(0));
        }
        match (self.has("transfer-encoding"), self.has("content-length")) {
            (false, false) => Ok(Extent::UntilEnd),
            (false, true) => {
                let len = self.line("content-length").filter(|len| {
                    !len.is_empty() && len.bytes().all(|digit| digit.is_ascii_digit())
                });
                let len = len.and_then(|len| len.parse().ok());
                len.map(Extent::Length).ok_or(HttpError::NotHttp)
            }
            (true, false) => {
                let chunked = self.line("transfer-encoding");
                let chunked = chunked.is_some_and(|how| how.eq_ignore_ascii_case("chunked"));
                if chunked { Ok(Extent::Chunk(0)) } else { Err(HttpError::NotHttp) }
            }
            (true, true) => Err(HttpError::NotHttp),
        }
    }

    /// Whether another request may follow on the same connection.
    pub(super) fn keeps(&self) -> bool {
        let close = self.lines.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("connection") && value.to_ascii_lowercase().contains("close")
        });
        self.current && !close
    }
}

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// So many bytes.
    Length(u64),
    /// So many bytes of a chunk, and after it the line of the next.
    Chunk(u64),
    /// What comes until the connection ends.
    UntilEnd,
}

/// Bytes of a connection, some of them read ahead of their use.
#[derive(Debug)]
pub(super) struct Ahead<P> {
    pub(super) peer: P,
    bytes: Vec<u8>,
    used: usize,
}

impl<P: Peer> Ahead<P> {
    pub(super) fn new(peer: P) -> Self {
        Self { peer, bytes: Vec::new(), used: 0 }
    }

    /// What is at hand.
    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    fn skip(&mut self, len: usize) {
        self.used += len;
        if self.is_empty() {
            // A body is read past this, so that the room is not needed meanwhile.
            (self.bytes, self.used) = (Vec::new(), 0);
        }
    }

    /// Reads further bytes behind those at hand; how many.
    fn more(&mut self) -> io::Result<usize> {
        self.bytes.drain(..self.used);
        self.used = 0;
        let at = self.bytes.len();
        self.bytes.resize(at + PIECE, 0);
        let got = self.peer.read(self.bytes.get_mut(at..).unwrap_or_default());
        self.bytes.truncate(at + got.as_ref().copied().unwrap_or(0));
        got
    }

    /// Some bytes, from what is at hand if there is something.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.is_empty() {
            return self.peer.read(into);
        }
        let len = into.len().min(self.bytes().len());
        let (Some(to), Some(from)) = (into.get_mut(..len), self.bytes().get(..len)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.skip(len);
        Ok(len)
    }

    /// A line without its end; an error when it is longer than `limit`.
    fn line(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.bytes().iter().position(|byte| *byte == b'\n') {
                let mut line = self.bytes().get(..at).unwrap_or_default().to_vec();
                self.skip(at + 1);
                if line.pop_if(|last| *last == b'\r').is_none() || line.len() > limit {
                    return Err(nonsense());
                }
                return Ok(line);
            }
            if self.bytes().len() > limit.saturating_add(1) {
                return Err(nonsense());
            }
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads from a body of this extent, and says what is left of it; 0 bytes at its end.
    pub(super) fn body(&mut self, left: &mut Extent, into: &mut [u8]) -> io::Result<usize> {
        if let Extent::Chunk(0) = left {
            *left = match self.chunk()? {
                0 => Extent::Length(0),
                len => Extent::Chunk(len),
            };
        }
        let most = match *left {
            Extent::Length(left) | Extent::Chunk(left) => usize::try_from(left),
            Extent::UntilEnd => Ok(usize::MAX),
        };
        let most = into.len().min(most.unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let got = self.read(into.get_mut(..most).unwrap_or_default())?;
        match left {
            Extent::UntilEnd if got == 0 => *left = Extent::Length(0),
            Extent::UntilEnd => {}
            Extent::Length(_) | Extent::Chunk(_) if got == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Extent::Length(left) => *left -= got as u64,
            Extent::Chunk(left) => {
                *left -= got as u64;
                if *left == 0 && !self.line(0)?.is_empty() {
                    return Err(nonsense());
                }
            }
        }
        Ok(got)
    }

    /// The next chunk's length; after the last one its trailing lines are read over.
    fn chunk(&mut self) -> io::Result<u64> {
        let line = self.line(CHUNK_LINES_MAX)?;
        let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next();
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default();
        let sound = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let len = if sound { u64::from_str_radix(digits, 16).ok() } else { None };
        let len = len.ok_or_else(nonsense)?;
        if len == 0 {
            self.trailers()?;
        }
        Ok(len)
    }

    /// Reads over the lines behind the last chunk.
    fn trailers(&mut self) -> io::Result<()> {
        let mut left = CHUNK_LINES_MAX;
        loop {
            let line = self.line(left)?;
            if line.is_empty() {
                return Ok(());
            }
            left = left.saturating_sub(line.len());
        }
    }
}

/// What the peer sent is no HTTP.
fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, HttpError::NotHttp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that sends this, so many bytes at a time, and ends.
    struct Sends(Vec<u8>, usize);

    impl Peer for Sends {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(into.len()).min(self.0.len());
            into[..len].copy_from_slice(&self.0[..len]);
            self.0.drain(..len);
            Ok(len)
        }
    }

    /// Status, body and whether the connection is kept, however the bytes come.
    fn check(sent: &str, want: Result<(u16, &str, bool), &str>) {
        for at_once in [1, 7, 1 << 20] {
            let mut ahead = Ahead::new(Sends(sent.into(), at_once));
            let got = whole(&mut ahead).map_err(|error| error.to_string());
            let want = want.map(|(status, body, kept)| (status, body.to_owned(), kept));
            assert_eq!(got, want.map_err(Into::into), "{sent:?} by {at_once}");
        }
    }

    fn whole(ahead: &mut Ahead<Sends>) -> Result<(u16, String, bool), HttpError> {
        let head = Head::take(ahead)?;
        let mut left = head.extent()?;
        let (mut body, mut piece) = (Vec::new(), [0; 5]);
        loop {
            let got = ahead.body(&mut left, &mut piece)?;
            if got == 0 {
                let kept = head.keeps() && head.extent()? != Extent::UntilEnd && ahead.is_empty();
                return Ok((head.status, String::from_utf8(body).unwrap(), kept));
            }
            body.extend(&piece[..got]);
        }
    }

    #[test]
    fn bodies_end_where_their_head_says() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
            Ok((200, "hello world", true)),
        );
        check("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Ok((200, "", true)));
        check("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Ok((200, "hi", false)));
        check(
            "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi",
            Ok((200, "hi", false)),
        );
        check("HTTP/1.1 200 OK\r\n\r\nto the end", Ok((200, "to the end", false)));
        check("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", Ok((304, "", true)));
        check("HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "", true)));
        check(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            Ok((200, "hi", true)),
        );
    }

    #[test]
    fn chunks_are_put_together() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let ok = |body: &str, want| check(&format!("{head}{body}"), Ok((200, want, true)));
        ok("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world");
        ok("b;name=value\r\nhello world\r\n0\r\nTrailer: x\r\n\r\n", "hello world");
        ok("0\r\n\r\n", "");
        let bad = |body: &str, want| check(&format!("{head}{body}"), Err(want));
        bad("5\r\nhel", "the connection was cut");
        bad("5\r\nhello\r\n", "the connection was cut");
        bad("5\r\nhelloworld\r\n0\r\n\r\n", "it does not speak HTTP/1.1");
        bad("\r\nhello", "it does not speak HTTP/1.1");
        bad("-5\r\nhello\r\n", "it does not speak HTTP/1.1");
        bad("11111111111111111\r\nhello\r\n", "it does not speak HTTP/1.1");
        bad(&"1".repeat(9000), "it does not speak HTTP/1.1");
        bad(&format!("0\r\n{}", "a: b\r\n".repeat(2000)), "it does not speak HTTP/1.1");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        check("", Err("the connection was cut"));
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", Err("the connection was cut"));
        check("SSH-2.0-x\r\n\r\n", Err("it does not speak HTTP/1.1"));
        let two = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
        check(two, Err("it does not speak HTTP/1.1"));
        let both =
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello";
        check(both, Err("it does not speak HTTP/1.1"));
        let packed = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
        check(packed, Err("it does not speak HTTP/1.1"));
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
            Err("it does not speak HTTP/1.1"),
        );
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(HEAD_MAX + PIECE));
        check(&long, Err("it answers more than it may"));
        check(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(9), Err("it does not speak HTTP/1.1"));
    }
}
