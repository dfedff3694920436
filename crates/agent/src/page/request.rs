//! One HTTP/1.1 request, read strictly and within limits; one answer per connection.
//!
//! Deliberately absent: keeping connections, chunked bodies, upgrades. A request that
//! has both lengths or an unknown way of sending its body is refused.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// The most bytes of a request's head.
const HEAD_MAX: usize = 8 << 10;
/// The most header lines.
const HEADERS_MAX: usize = 64;
/// The most bytes of a form.
pub(super) const FORM_MAX: u64 = 4 << 10;

/// What a page is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Look.
    Get,
    /// Do.
    Post,
}

/// A request whose body has not been read yet.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) host: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) cookie: Option<String>,
    pub(super) content_type: String,
    pub(super) length: Option<u64>,
    /// Bytes of the body that came with the head.
    pub(super) early: Vec<u8>,
}

/// Why a request is not answered as it wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no request of HTTP/1.1.
    Bad,
    /// Its head is too long.
    TooLong,
    /// There is no such method.
    Method,
    /// Its body's length is not told.
    NoLength,
    /// The connection is gone.
    Gone,
}

impl Request {
    /// Reads a head.
    pub(super) fn read(from: &mut impl Read) -> Result<Self, Refused> {
        let mut bytes = Vec::with_capacity(1024);
        let mut piece = [0; 1024];
        loop {
            let len = from.read(&mut piece).map_err(|_| Refused::Gone)?;
            if len == 0 {
                return Err(Refused::Gone);
            }
            bytes.extend(piece.get(..len).unwrap_or_default());
            if let Some(request) = parse(&bytes)? {
                return Ok(request);
            }
            if bytes.len() >= HEAD_MAX {
                return Err(Refused::TooLong);
            }
        }
    }

    /// The body of a form.
    pub(super) fn form(&mut self, from: &mut impl Read) -> Result<Form, Refused> {
        let length = self.length.ok_or(Refused::NoLength)?;
        if length > FORM_MAX || !self.content_type.starts_with("application/x-www-form-urlencoded")
        {
            return Err(Refused::Bad);
        }
        let mut body = std::mem::take(&mut self.early);
        let missing = length.saturating_sub(body.len() as u64);
        from.take(missing).read_to_end(&mut body).map_err(|_| Refused::Gone)?;
        if body.len() as u64 != length {
            return Err(Refused::Bad);
        }
        Form::read(&body).ok_or(Refused::Bad)
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Request>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLong),
        Err(_) => return Err(Refused::Bad),
    };
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        _ => return Err(Refused::Method),
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| -> Result<Option<String>, Refused> {
        let mut of_name = parsed.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        let value = of_name.next().map(|header| std::str::from_utf8(header.value));
        match (value, of_name.next()) {
            (None, _) => Ok(None),
            (Some(Ok(value)), None) => Ok(Some(value.trim().to_string())),
            // Said twice, or no text: two readers would understand different things.
            _ => Err(Refused::Bad),
        }
    };
    if header("transfer-encoding")?.is_some() {
        return Err(Refused::NoLength);
    }
    let length = header("content-length")?;
    let digits = |text: &String| text.bytes().all(|c| c.is_ascii_digit());
    let length = match length {
        None => None,
        Some(text) if digits(&text) => Some(text.parse().map_err(|_| Refused::Bad)?),
        Some(_) => return Err(Refused::Bad),
    };
    Ok(Some(Request {
        method,
        path: path.into(),
        query: query.into(),
        host: header("host")?,
        origin: header("origin")?,
        cookie: header("cookie")?,
        content_type: header("content-type")?.unwrap_or_default(),
        length,
        early: bytes.get(head..).unwrap_or_default().to_vec(),
    }))
}

/// A form's fields.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=b&c=d`.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(name)?, unescape(value)?))
        });
        fields.collect::<Option<_>>().map(Self)
    }

    /// The field's value; nothing where it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        let field = self.0.iter().find(|(known, _)| known == name);
        field.map_or("", |(_, value)| value.as_str())
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) kind: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// What a browser may do with a page: nothing but show it, style it with its own sheet
/// and send its forms back.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src \
                      'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

impl Answer {
    pub(super) fn page(html: String) -> Self {
        Self::new("200 OK", "text/html; charset=utf-8", html.into_bytes())
    }

    pub(super) fn new(status: &'static str, kind: &'static str, body: Vec<u8>) -> Self {
        Self { status, kind, headers: Vec::new(), body }
    }

    /// Look there instead.
    pub(super) fn see(path: &str) -> Self {
        let mut answer = Self::new("303 See Other", "text/plain; charset=utf-8", Vec::new());
        answer.headers.push(("location", path.into()));
        answer
    }

    pub(super) fn plain(status: &'static str, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes())
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn send(&self, to: &mut TcpStream) -> io::Result<()> {
        let mut head = format!(
            "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\
             cache-control: no-store\r\ncontent-security-policy: {POLICY}\r\n\
             x-content-type-options: nosniff\r\nreferrer-policy: same-origin\r\n\
             cross-origin-opener-policy: same-origin\r\n\
             cross-origin-resource-policy: same-origin\r\n",
            self.status,
            self.kind,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        to.write_all(head.as_bytes())?;
        to.write_all(&self.body)?;
        to.flush()
    }
}

impl Refused {
    pub(super) fn answer(self) -> Option<Answer> {
        Some(match self {
            Self::Bad => Answer::plain("400 Bad Request", "this is no request of HTTP/1.1"),
            Self::TooLong => {
                Answer::plain("431 Request Header Fields Too Large", "the request is too long")
            }
            Self::Method => Answer::plain("405 Method Not Allowed", "only GET and POST")
                .with("allow", "GET, POST".into()),
            Self::NoLength => Answer::plain("411 Length Required", "say how long it is"),
            Self::Gone => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, Refused> {
        Request::read(&mut text.as_bytes())
    }

    #[test]
    fn requests_are_read_strictly() {
        let request = read("POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        let request = request.unwrap();
        assert_eq!((request.method, request.path.as_str()), (Method::Post, "/a"));
        assert_eq!((request.query.as_str(), request.length), ("b=c", Some(3)));
        assert_eq!(request.early, b"abc");
        for (text, expected) in [
            ("", Refused::Gone),
            ("GET / HTTP/1.1\r\n", Refused::Gone),
            ("PUT / HTTP/1.1\r\n\r\n", Refused::Method),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refused::Bad),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Refused::Bad),
            ("GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", Refused::Bad),
            ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", Refused::Bad),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Refused::NoLength),
            ("\u{0}\u{1}\r\n\r\n", Refused::Bad),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text:?}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000));
        assert_eq!(read(&long).unwrap_err(), Refused::TooLong);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
        assert_eq!(read(&many).unwrap_err(), Refused::TooLong);
    }

    #[test]
    fn forms_are_as_long_as_they_say() {
        let head = |len: &str| {
            format!(
                "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 {len}\r\n\r\n"
            )
        };
        let form = |head: &str, body: &str| {
            let mut request = read(head).unwrap();
            request.form(&mut body.as_bytes())
        };
        let good = form(&head("Content-Length: 17"), "a=b+c%2F%C3%BC&d=").unwrap();
        assert_eq!((good.get("a"), good.get("d"), good.get("e")), ("b c/ü", "", ""));
        assert_eq!(form(&head("Content-Length: 18"), "a=b").unwrap_err(), Refused::Bad);
        assert_eq!(form(&head("Content-Length: 9999"), "a=b").unwrap_err(), Refused::Bad);
        assert_eq!(form(&head("X: y"), "a=b").unwrap_err(), Refused::NoLength);
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff"] {
            assert!(Form::read(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
