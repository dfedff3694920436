//! A way to a store of objects that can be unwell: it says nothing, fails, or breaks off
//! in the middle of what it sends.
//!
//! Deliberately absent: anything of HTTP but what tells one request and one answer. Each
//! connection carries one of them, which every client takes for a server's choice.

use anyhow::Result;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

/// How often a silent connection looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// How late a store answers that breaks off.
const LATE: Duration = Duration::from_millis(150);
/// The most bytes of a head.
const HEAD: u64 = 64 << 10;
/// Only what is longer breaks off: a piece of a package.
const LONG: usize = 64 << 10;
/// The answer of a store that fails.
const FAILED: &[u8] = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers.
    Well,
    /// It accepts requests and says nothing.
    Silent,
    /// It answers with an error.
    Failing,
    /// It answers late, and every second long answer breaks off half-way.
    Breaking,
}

const ALL: [Health; 4] = [Health::Well, Health::Silent, Health::Failing, Health::Breaking];

/// A port of this machine that leads to a store.
#[derive(Debug)]
pub(super) struct BadStore {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    health: AtomicU8,
    over: AtomicBool,
    /// Requests that came while it was so.
    requests: [AtomicUsize; ALL.len()],
    broken: AtomicUsize,
}

impl State {
    fn health(&self) -> Health {
        let number = usize::from(self.health.load(Ordering::Relaxed));
        ALL.get(number).copied().unwrap_or(Health::Well)
    }

    fn count(&self, health: Health) -> usize {
        let counted = ALL.iter().position(|other| *other == health);
        let counter = counted.and_then(|number| self.requests.get(number));
        counter.map_or(0, |counter| counter.fetch_add(1, Ordering::Relaxed))
    }
}

impl BadStore {
    /// A way to the store at `port`, which is well.
    pub(super) fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let own = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&shared);
                // What breaks here is the client's to notice.
                std::thread::spawn(move || serve(&near, port, &state));
            }
        });
        Ok(Self { port: own, state })
    }

    /// Its own port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// From now on it is so.
    pub(super) fn becomes(&self, health: Health) {
        let number = ALL.iter().position(|other| *other == health).unwrap_or(0);
        self.state.health.store(u8::try_from(number).unwrap_or(0), Ordering::Relaxed);
    }

    /// How many requests it left without an answer, answered with an error, and broke off.
    pub(super) fn made(&self) -> [usize; 3] {
        let of = |counter: Option<&AtomicUsize>| counter.map_or(0, |c| c.load(Ordering::Relaxed));
        let [_, silent, failing, _] = &self.state.requests;
        [of(Some(silent)), of(Some(failing)), of(Some(&self.state.broken))]
    }
}

impl Drop for BadStore {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends; there is nobody else to tell.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One request and its answer, whatever becomes of them.
fn serve(near: &TcpStream, port: u16, state: &State) {
    let _broken = exchange(near, port, state);
    let _closed = near.shutdown(Shutdown::Both);
}

fn exchange(near: &TcpStream, port: u16, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(near);
    let (head, body) = request(&mut reader)?;
    let health = state.health();
    let number = state.count(health);
    while state.health() == Health::Silent && health == Health::Silent {
        if state.over.load(Ordering::Relaxed) {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    let mut near = near;
    match health {
        Health::Silent => return Ok(()),
        Health::Failing => return near.write_all(FAILED),
        Health::Breaking => std::thread::sleep(LATE),
        Health::Well => {}
    }
    let mut far = TcpStream::connect(("127.0.0.1", port))?;
    far.write_all(&head)?;
    far.write_all(&body)?;
    let mut answer = Vec::new();
    far.read_to_end(&mut answer)?;
    let breaks = health == Health::Breaking && answer.len() > LONG && number.is_multiple_of(2);
    let sent = if breaks { answer.len() / 2 } else { answer.len() };
    state.broken.fetch_add(usize::from(breaks), Ordering::Relaxed);
    near.write_all(answer.get(..sent).unwrap_or_default())
}

/// Reads a request. Its head asks for an answer that ends with the connection.
fn request(reader: &mut BufReader<&TcpStream>) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut head, mut len) = (Vec::new(), 0);
    let mut limited = reader.take(HEAD);
    loop {
        let mut line = Vec::new();
        limited.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).to_ascii_lowercase();
        if text.trim().is_empty() {
            break;
        }
        if let Some(value) = text.strip_prefix("content-length:") {
            len = value.trim().parse().map_err(std::io::Error::other)?;
        }
        if !text.starts_with("connection:") {
            head.extend(line);
        }
    }
    head.extend(b"connection: close\r\n\r\n");
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for `path` of a store with an answer of so many bytes; what came.
    fn check(health: Health, len: usize, expected: impl Fn(&[u8])) {
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = BadStore::to(store.local_addr().unwrap().port()).unwrap();
        way.becomes(health);
        if health != Health::Failing {
            std::thread::spawn(move || {
                let (mut stream, _) = store.accept().unwrap();
                let mut reader = BufReader::new(&stream);
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                stream.write_all(&vec![b'x'; len]).unwrap();
            });
        }
        let mut near = TcpStream::connect(("127.0.0.1", way.port())).unwrap();
        near.write_all(b"GET /a HTTP/1.1\r\nhost: b\r\n\r\n").unwrap();
        let mut came = Vec::new();
        near.read_to_end(&mut came).unwrap();
        expected(&came);
    }

    #[test]
    fn it_answers_fails_and_breaks_off() {
        check(Health::Well, 100_000, |came| assert_eq!(came.len(), 100_000));
        check(Health::Failing, 0, |came| assert!(came.starts_with(b"HTTP/1.1 503")));
        check(Health::Breaking, 100_000, |came| assert_eq!(came.len(), 50_000));
        check(Health::Breaking, 1000, |came| assert_eq!(came.len(), 1000));
    }
}
