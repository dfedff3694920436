//! A small HTTPS server that does what a test says: serves files as a good one does,
//! or anything else as a hostile one might.
//!
//! HTTP/1.1, one thread per connection, on a port that the system picks.

mod authority;
mod http;

pub use authority::Authority;
pub use http::{Reply, Request, Wild};

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// What answers a request.
pub type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server; stops when dropped.
pub struct Web {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    tls: Arc<ServerConfig>,
    answer: Box<Answer>,
    stopped: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    served: AtomicU64,
}

impl Web {
    /// Serves `answer` with a certificate of `authority`.
    ///
    /// # Errors
    /// There is no port.
    pub fn start(
        authority: &Authority,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            tls: authority.server()?,
            answer: Box::new(answer),
            stopped: AtomicBool::new(false),
            open: Mutex::default(),
            served: AtomicU64::new(0),
        });
        let inside = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || inside.accept(&listener));
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// The server's address, without a slash at its end.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Bytes of bodies sent so far.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::SeqCst)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; it looks before it serves.
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.open().drain(..) {
            // One that is closed already is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            // A thread that panicked has told so on standard error.
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            if let Ok(handle) = stream.try_clone() {
                self.open().push(handle);
            }
            let inside = Arc::clone(self);
            // A peer that goes away in the middle is what this server is for.
            std::thread::spawn(move || inside.serve(stream).ok());
        }
    }

    fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        let mut connection = ServerConnection::new(Arc::clone(&self.tls))?;
        connection.set_buffer_limit(Some(256 << 10));
        let mut stream = StreamOwned::new(connection, stream);
        while let Some(request) = http::read(&mut stream)? {
            let reply = (self.answer)(&request);
            if http::write(&mut stream, &request, reply, &self.served)? == http::Next::Close {
                stream.conn.send_close_notify();
                stream.flush()?;
                return Ok(());
            }
        }
        Ok(())
    }
}
