//! The local page: what runs, what is offered, why not, and the owner's answer, for a
//! browser in the terminal's own network. Off unless it is configured.
//!
//! It reads and leaves what lies on the owner's desk (`desk.rs`), and nothing else but the
//! files that are uploaded.

mod html;
mod request;
mod routes;
mod session;
mod upload;

use crate::desk::Desk;
use request::{Answer, Refused, Request};
use session::Sessions;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
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
/// Bytes of a thread's stack.
const STACK: usize = 128 << 10;

/// What a page needs to know of its terminal.
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
}

/// The page and who is signed in.
struct Page {
    setup: Setup,
    hosts: Vec<String>,
    sessions: Mutex<Sessions>,
    open: AtomicUsize,
}

/// Serves the page from threads of its own, until the process ends; returns where.
///
/// # Errors
/// The password is missing or one that everybody knows, or the address is taken.
pub fn serve(setup: Setup) -> io::Result<SocketAddr> {
    let sessions = Mutex::new(Sessions::open(&setup.password_file)?);
    let listener = TcpListener::bind(setup.listen)?;
    let address = listener.local_addr()?;
    let mut hosts = setup.hosts.clone();
    hosts.push(address.to_string());
    if address.port() == 80 {
        hosts.push(address.ip().to_string());
    }
    let page = Arc::new(Page { setup, hosts, sessions, open: AtomicUsize::new(0) });
    thread::Builder::new().name("page".into()).stack_size(STACK).spawn(move || {
        for stream in listener.incoming().flatten() {
            page.accept(stream);
        }
    })?;
    Ok(address)
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
