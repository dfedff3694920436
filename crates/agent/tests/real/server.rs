//! A TLS server that misbehaves as told, and payloads for it to serve.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How one request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// As it should be.
    Serve,
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// The body has no announced length and ends after so many bytes.
    Unannounced(usize),
    /// A body without end, and without announced length.
    Endless,
    /// One byte a second.
    Trickle,
    /// Nothing at all is said.
    Silent,
    /// The range sent starts one byte too early.
    WrongRange,
    /// Ranges are not known: everything is sent.
    NoRanges,
    /// Only this status.
    Status(&'static str),
    /// Sends on to this address.
    Redirect(String),
    /// Bytes that are no HTTP.
    Noise,
    /// This status and this body.
    Answer(&'static str, String),
}

/// The server; it serves until the test ends.
pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) root: Vec<u8>,
    /// The same as text.
    pub(crate) pem: String,
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    acts: Mutex<VecDeque<Act>>,
    served: AtomicU64,
    requests: Mutex<Vec<String>>,
    bodies: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
        let (root, pem) = (certified.cert.der().to_vec(), certified.cert.pem());
        let key =
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let (config, state) = (Arc::new(config), Arc::clone(&shared));
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (config, state) = (Arc::clone(&config), Arc::clone(&state));
                std::thread::spawn(move || drop(connection(tcp, config, &state)));
            }
        });
        Self { base: format!("https://127.0.0.1:{port}/p/"), root, pem, port, shared }
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        self.shared.files.lock().unwrap().insert(format!("/p/{name}"), bytes.into());
    }

    /// Every request for `path` is answered with `bytes`.
    pub(crate) fn put_at(&self, path: &str, bytes: &[u8]) {
        self.shared.files.lock().unwrap().insert(path.into(), bytes.into());
    }

    /// The next requests are answered so; all others as they should be.
    pub(crate) fn will(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.acts.lock().unwrap().extend(acts);
    }

    /// Bytes of bodies that were handed to the connection.
    pub(crate) fn served(&self) -> u64 {
        self.shared.served.load(Ordering::SeqCst)
    }

    /// Bodies of all requests so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.shared.bodies.lock().unwrap().clone()
    }

    /// First lines and ranges of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

fn connection(tcp: TcpStream, config: Arc<ServerConfig>, shared: &Shared) -> io::Result<()> {
    // As a server does that does not want to send what nobody takes.
    rustix::net::sockopt::set_socket_send_buffer_size(&tcp, 128 << 10)?;
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
    while let Some((path, from, body)) = request(&mut tls)? {
        shared.bodies.lock().unwrap().push(body);
        let noted = from.map_or_else(|| path.clone(), |from| format!("{path} {from}-"));
        shared.requests.lock().unwrap().push(noted);
        let act = shared.acts.lock().unwrap().pop_front().unwrap_or(Act::Serve);
        let file = shared.files.lock().unwrap().get(&path).cloned();
        if answer(&mut tls, &act, file, from, shared)? == After::Close {
            return Ok(());
        }
    }
    Ok(())
}

#[derive(PartialEq)]
enum After {
    Next,
    Close,
}

/// The path, first byte and body of the next request.
fn request(tls: &mut Tls) -> io::Result<Option<(String, Option<usize>, String)>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if tls.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_string();
    let lines = || head.lines().map(str::to_ascii_lowercase);
    let range = lines()
        .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    let len = lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; len.unwrap_or(0)];
    tls.read_exact(&mut body)?;
    Ok(Some((path, range, String::from_utf8(body).unwrap())))
}

fn answer(
    tls: &mut Tls,
    act: &Act,
    file: Option<Vec<u8>>,
    from: Option<usize>,
    shared: &Shared,
) -> io::Result<After> {
    match (act, file) {
        (Act::Status(status), _) => {
            write!(tls, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
            Ok(After::Next)
        }
        (Act::Redirect(to), _) => {
            write!(tls, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")?;
            Ok(After::Next)
        }
        (Act::Answer(status, body), _) => {
            let len = body.len();
            write!(tls, "HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n{body}")?;
            Ok(After::Next)
        }
        (Act::Noise, _) => tls.write_all(&[0x16; 5000]).map(|()| After::Close),
        (Act::Silent, _) => {
            // Until the other side gives up.
            tls.read_exact(&mut [0]).map(|()| After::Close)
        }
        (_, None) => {
            write!(tls, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            Ok(After::Next)
        }
        (act, Some(file)) => body(tls, act, &file, from, shared),
    }
}

fn body(
    tls: &mut Tls,
    act: &Act,
    file: &[u8],
    from: Option<usize>,
    shared: &Shared,
) -> io::Result<After> {
    let from = if matches!(act, Act::NoRanges) { None } else { from };
    let start = from.unwrap_or(0);
    if start >= file.len() && start > 0 {
        write!(tls, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(After::Next);
    }
    let part = &file[start..];
    let told = start - usize::from(matches!(act, Act::WrongRange));
    match from {
        Some(_) => write!(
            tls,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {told}-{}/{}\r\n",
            file.len() - 1,
            file.len()
        )?,
        None => write!(tls, "HTTP/1.1 200 OK\r\n")?,
    }
    match act {
        Act::Cut(after) => {
            write!(tls, "Content-Length: {}\r\n\r\n", part.len())?;
            send(tls, &part[..(*after).min(part.len())], shared)?;
            Ok(After::Close)
        }
        Act::Unannounced(len) => {
            write!(tls, "Connection: close\r\n\r\n")?;
            let all: Vec<u8> =
                part.iter().copied().chain(std::iter::repeat(0)).take(*len).collect();
            send(tls, &all, shared)?;
            tls.conn.send_close_notify();
            tls.flush().map(|()| After::Close)
        }
        Act::Endless => {
            write!(tls, "Connection: close\r\n\r\n")?;
            send(tls, part, shared)?;
            loop {
                send(tls, &[0; 4096], shared)?;
            }
        }
        Act::Trickle => {
            write!(tls, "Content-Length: {}\r\n\r\n", part.len())?;
            for byte in part {
                send(tls, &[*byte], shared)?;
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            Ok(After::Next)
        }
        _ => {
            write!(tls, "Content-Length: {}\r\n\r\n", part.len())?;
            send(tls, part, shared).map(|()| After::Next)
        }
    }
}

fn send(tls: &mut Tls, bytes: &[u8], shared: &Shared) -> io::Result<()> {
    for piece in bytes.chunks(16 << 10) {
        tls.write_all(piece)?;
        tls.flush()?;
        shared.served.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
    Ok(())
}

/// An image of `len` bytes that packs to about a half, and its payload.
pub(crate) fn image(len: usize, chunk_size: usize) -> (Vec<u8>, Vec<u8>) {
    let mut state = 0x9e37_79b9_u32;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let image: Vec<u8> = (0..len).map(|n| if n % 2 == 0 { random() } else { 7 }).collect();
    let mut encoder = delta::FrameEncoder::new(1).unwrap();
    let frames = image.chunks(chunk_size).map(|chunk| encoder.encode(chunk).unwrap());
    let payload = frames.flatten().collect();
    (image, payload)
}
