//! The local page: what runs, what is offered, why not, and the owner's answer, for a
//! browser in the terminal's own network. Off unless it is configured.
//!
//! It reads and leaves what lies on the owner's desk (`desk.rs`), and nothing else but the
//! files that are uploaded. It is the way in when no release works: what keeps it from
//! opening is told and tried again, and never ends the agent.

mod html;
mod request;
mod routes;
mod session;
mod upload;

use crate::desk::Desk;
use crate::platform::watchdog::Pulse;
use request::{Answer, Refused, Request};
use session::Sessions;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The most browsers at once; more are hung up on.
const CONNECTIONS_MAX: usize = 8;
/// How long a browser may keep silent.
const SILENCE: Duration = Duration::from_secs(15);
/// Pieces of 4 KiB that are taken from a browser that goes on after its answer.
const DRAINED_MAX: u32 = 16 << 10;
/// Between two tries to open the page.
const AGAIN: Duration = Duration::from_secs(30);
/// Bytes of a thread's stack.
const STACK: usize = 128 << 10;

/// What a page needs to know of its terminal.
#[derive(Clone)]
pub struct Setup {
    /// What it reads and leaves.
    pub desk: Desk,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The names and addresses, with ports where they are not 80, by which browsers may
    /// call it. Its own address is always one.
    pub hosts: Vec<String>,
    /// The file with this terminal's password.
    pub password_file: PathBuf,
    /// Where an uploaded package is put.
    pub upload: PathBuf,
    /// Its most bytes.
    pub upload_limit: u64,
    /// Where it is told that a person asks for something.
    pub pulse: Pulse,
}

/// The page and who is signed in.
struct Page {
    setup: Setup,
    hosts: Vec<String>,
    sessions: Mutex<Sessions>,
    open: AtomicUsize,
}

/// Whether the password in the file at `path` can be used.
///
/// # Errors
/// It cannot be read, or its password is too short, too long or known to all.
pub fn usable(path: &Path) -> io::Result<()> {
    Sessions::open(path).map(drop)
}

/// Serves the page from threads of its own, until the process ends, and says where. An
/// address that the terminal does not have yet, or a password that cannot be used, is tried
/// again.
///
/// # Errors
/// A thread cannot be started.
pub fn serve(setup: Setup) -> io::Result<()> {
    serve_with(setup, AGAIN)
}

fn serve_with(setup: Setup, again: Duration) -> io::Result<()> {
    let work = move || {
        let (page, listener) = loop {
            match open(&setup) {
                Ok(opened) => break opened,
                Err(error) => eprintln!("refit-agent: cannot open the local page: {error}"),
            }
            thread::sleep(again);
        };
        for stream in listener.incoming().flatten() {
            page.accept(stream);
        }
    };
    thread::Builder::new().name("page".into()).stack_size(STACK).spawn(work)?;
    Ok(())
}

fn open(setup: &Setup) -> io::Result<(Arc<Page>, TcpListener)> {
    let sessions = Mutex::new(Sessions::open(&setup.password_file)?);
    let listener = TcpListener::bind(setup.listen)?;
    let address = listener.local_addr()?;
    eprintln!("refit-agent: the local page is at http://{address}/");
    let mut hosts = setup.hosts.clone();
    hosts.push(address.to_string());
    if address.port() == 80 {
        hosts.push(address.ip().to_string());
    }
    let page = Page { setup: setup.clone(), hosts, sessions, open: AtomicUsize::new(0) };
    Ok((Arc::new(page), listener))
}

/// Counts one browser, as long as it lives.
struct Seat(Arc<Page>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Page {
    fn accept(self: &Arc<Self>, stream: TcpStream) {
        let seat = Seat(Arc::clone(self));
        if self.open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            return;
        }
        let builder = thread::Builder::new().name("page".into()).stack_size(STACK);
        // Without a thread the browser is hung up on.
        drop(builder.spawn(move || seat.0.attend(stream)));
    }

    fn attend(&self, mut stream: TcpStream) {
        let timed = stream
            .set_read_timeout(Some(SILENCE))
            .and_then(|()| stream.set_write_timeout(Some(SILENCE)));
        if timed.is_err() {
            return;
        }
        let answer = match Request::read(&mut stream) {
            Ok(request) => self.answer(request, &mut stream),
            Err(refused) => refused.answer(),
        };
        if let Some(answer) = answer {
            // A browser that is gone needs no answer.
            drop(answer.send(&mut stream));
            finish(&mut stream);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another site's name that leads here (DNS rebinding) is not this page.
    fn is_ours(&self, host: Option<&str>) -> bool {
        host.is_some_and(|host| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
    }

    /// Forms come from this page itself.
    fn is_from_here(&self, request: &Request) -> bool {
        match &request.origin {
            None => true,
            Some(origin) => origin.strip_prefix("http://").is_some_and(|o| self.is_ours(Some(o))),
        }
    }

    fn answer(&self, request: Request, stream: &mut TcpStream) -> Option<Answer> {
        if !self.is_ours(request.host.as_deref()) {
            let why = "this page is not served under that name";
            return Some(Answer::plain("421 Misdirected Request", why));
        }
        if request.method == request::Method::Post && !self.is_from_here(&request) {
            return Some(Answer::plain("403 Forbidden", "this form is another site's"));
        }
        routes::route(self, request, stream).map_or_else(Refused::answer, Some)
    }
}

/// Lets the browser read the answer before the connection goes: what it still sends is
/// taken, for a while.
fn finish(stream: &mut TcpStream) {
    drop(stream.shutdown(std::net::Shutdown::Write));
    drop(stream.set_read_timeout(Some(Duration::from_secs(1))));
    let mut rest = [0; 4096];
    for _ in 0..DRAINED_MAX {
        if !matches!(io::Read::read(stream, &mut rest), Ok(1..)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::store::Directory;
    use crate::platform::watchdog::Vigil;
    use std::io::{Read, Write};

    /// A page on a port that somebody else has until it is asked for, with a password that
    /// comes late; and the pulse that it tells of people.
    #[test]
    fn what_keeps_it_from_opening_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let pulse = Pulse::default();
        let password_file = dir.path().join("password");
        let setup = Setup {
            desk: Desk {
                device: "bench".parse().unwrap(),
                rules: Default::default(),
                store: Directory::open(dir.path()).unwrap(),
                status: dir.path().join("status"),
                wake: dir.path().join("wake"),
                floor: types::Timestamp(0),
            },
            listen,
            hosts: Vec::new(),
            password_file: password_file.clone(),
            upload: dir.path().join("upload.zip"),
            upload_limit: 1,
            pulse: pulse.clone(),
        };
        serve_with(setup, Duration::from_millis(5)).unwrap();
        std::fs::write(password_file, "k7-otter-lamp").unwrap();
        drop(taken);
        let body = "password=k7-otter-lamp";
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: {listen}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = loop {
            if let Ok(stream) = TcpStream::connect(listen) {
                break stream;
            }
        };
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        let failing = crate::platform::health::Check::command(vec![], types::Seconds(0));
        let mut vigil = Vigil::new(vec![failing], pulse);
        assert_eq!(vigil.fault(0), None);
        assert_eq!(vigil.fault(10_000), None, "a person is at it");
        assert!(vigil.fault(10_000_000).is_some());
    }
}
