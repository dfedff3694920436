//! One TLS connection.

use super::address::Address;
use super::answer::Peer;
use super::{HttpError, Limits, Pace};
use crate::platform::clock::Stopwatch;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

/// Bytes that are taken from the system at once: four full TLS records.
const TAKE: usize = 64 << 10;

/// Connects to the first of a host's addresses that answers.
fn tcp(address: &Address<'_>, limits: &Limits) -> Result<TcpStream, HttpError> {
    let all = (address.host, address.port).to_socket_addrs().map_err(|_| HttpError::NoSuchHost)?;
    let mut last = HttpError::NoSuchHost;
    for one in all {
        match TcpStream::connect_timeout(&one, limits.connect) {
            Ok(tcp) => return Ok(prepared(tcp, limits)?),
            Err(e) => last = e.into(),
        }
    }
    Err(last)
}

fn prepared(tcp: TcpStream, limits: &Limits) -> io::Result<TcpStream> {
    rustix::net::sockopt::set_socket_recv_buffer_size(&tcp, limits.window)?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(limits.read))?;
    tcp.set_write_timeout(Some(limits.read))?;
    Ok(tcp)
}

/// A connection.
pub(super) struct Line {
    tcp: TcpStream,
    tls: ClientConnection,
    /// What was taken from the system and not yet given to TLS.
    taken: Vec<u8>,
    unread: std::ops::Range<usize>,
    pace: Arc<Pace>,
}

impl Line {
    /// Connects, and is sure of whom it talks to.
    pub(super) fn open(
        address: &Address<'_>,
        config: &Arc<ClientConfig>,
        limits: &Limits,
        pace: &Arc<Pace>,
    ) -> Result<Self, HttpError> {
        let name = ServerName::try_from(address.host.to_string());
        let name = name.map_err(|_| HttpError::Address)?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let tcp = tcp(address, limits)?;
        let (taken, pace) = (vec![0; TAKE], Arc::clone(pace));
        let mut line = Self { tcp, tls, taken, unread: 0..0, pace };
        while line.tls.is_handshaking() {
            line.exchange()?;
        }
        line.flush()?;
        Ok(line)
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = self.tls.writer().write(bytes)?;
            bytes = bytes.get(sent..).unwrap_or_default();
            self.flush()?;
        }
        Ok(())
    }

    /// Whether the peer has neither ended the connection nor said something unasked.
    pub(super) fn is_open(&self) -> bool {
        let mut byte = [0];
        let silent = self.tcp.set_nonblocking(true).and_then(|()| self.tcp.peek(&mut byte));
        let silent = matches!(silent, Err(e) if e.kind() == io::ErrorKind::WouldBlock);
        silent && self.tcp.set_nonblocking(false).is_ok()
    }

    /// Sends what TLS has to say, then takes what the peer says.
    fn exchange(&mut self) -> io::Result<()> {
        self.flush()?;
        if self.unread.is_empty() {
            self.take()?;
        }
        let mut unread = self.taken.get(self.unread.clone()).unwrap_or_default();
        // Nothing unread is the peer's end, and TLS is told so.
        self.unread.start += self.tls.read_tls(&mut unread)?;
        let state = self.tls.process_new_packets();
        if let Err(e) = state {
            // The peer is told why, if it still listens; the error itself is what counts.
            drop(self.flush());
            return Err(io::Error::new(io::ErrorKind::InvalidData, e));
        }
        if self.unread.is_empty() && self.taken.is_empty() { self.end() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }

    /// Takes the next bytes from the system; none when the peer is done.
    fn take(&mut self) -> io::Result<()> {
        let watch = Stopwatch::start();
        let got = loop {
            match self.tcp.read(&mut self.taken) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                got => break got,
            }
        };
        let kept = self.pace.arrived(got.as_ref().copied().unwrap_or(0), watch.millis());
        self.unread = 0..got?;
        if !kept {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it is too slow"));
        }
        if self.unread.is_empty() {
            self.taken = Vec::new();
        }
        Ok(())
    }

    /// The peer's end, in the middle of a handshake, is an error.
    fn end(&self) -> io::Result<()> {
        if self.tls.is_handshaking() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl Peer for Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(into) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.exchange()?,
                got => return got,
            }
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}
