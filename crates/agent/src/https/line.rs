//! One TLS connection, as a transport of ureq.

use super::{INPUT, Limits, OUTPUT, Pace};
use crate::platform::clock::Stopwatch;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// Bytes that are taken from the system at once: four full TLS records.
const TAKE: usize = 64 << 10;

/// Makes connections.
pub(super) struct Dial {
    config: Arc<ClientConfig>,
    limits: Limits,
    pace: Arc<Pace>,
}

impl Dial {
    pub(super) fn new(config: Arc<ClientConfig>, limits: Limits, pace: Arc<Pace>) -> Self {
        Self { config, limits, pace }
    }

    fn tcp(&self, details: &ConnectionDetails) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &details.addrs {
            match TcpStream::connect_timeout(address, self.limits.connect) {
                Ok(tcp) => return self.prepared(tcp),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn prepared(&self, tcp: TcpStream) -> io::Result<TcpStream> {
        rustix::net::sockopt::set_socket_recv_buffer_size(&tcp, self.limits.window)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(self.limits.read))?;
        tcp.set_write_timeout(Some(self.limits.read))?;
        Ok(tcp)
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

impl Connector<()> for Dial {
    type Out = Line;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _chained: Option<()>,
    ) -> Result<Option<Line>, Error> {
        if !details.needs_tls() {
            return Err(Error::RequireHttpsOnly(details.uri.to_string()));
        }
        let host = details.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_string());
        let name = name.map_err(|_| Error::BadUri("it has no host name".into()))?;
        let tls = ClientConnection::new(Arc::clone(&self.config), name)?;
        let tcp = self.tcp(details)?;
        let mut line = Line {
            tcp,
            tls,
            buffers: LazyBuffers::new(INPUT, OUTPUT),
            taken: vec![0; TAKE],
            unread: 0..0,
            pace: Arc::clone(&self.pace),
        };
        while line.tls.is_handshaking() {
            line.exchange()?;
        }
        line.send()?;
        Ok(Some(line))
    }
}

/// A connection.
pub(super) struct Line {
    tcp: TcpStream,
    tls: ClientConnection,
    buffers: LazyBuffers,
    /// What was taken from the system and not yet given to TLS.
    taken: Vec<u8>,
    unread: std::ops::Range<usize>,
    pace: Arc<Pace>,
}

impl Line {
    /// Sends what TLS has to say, then takes what the peer says.
    fn exchange(&mut self) -> io::Result<()> {
        self.send()?;
        if self.unread.is_empty() {
            self.take()?;
        }
        let mut unread = self.taken.get(self.unread.clone()).unwrap_or_default();
        // Nothing unread is the peer's end, and TLS is told so.
        self.unread.start += self.tls.read_tls(&mut unread)?;
        let state = self.tls.process_new_packets();
        if let Err(e) = state {
            // The peer is told why, if it still listens; the error itself is what counts.
            drop(self.send());
            return Err(io::Error::new(io::ErrorKind::InvalidData, e));
        }
        if self.unread.is_empty() && self.taken.is_empty() { self.end() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
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

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _timeout: NextTimeout) -> Result<(), Error> {
        let mut rest = self.buffers.output().get(..amount).unwrap_or_default().to_vec();
        while !rest.is_empty() {
            let sent = self.tls.writer().write(&rest)?;
            rest.drain(..sent);
            self.send()?;
        }
        Ok(())
    }

    fn await_input(&mut self, _timeout: NextTimeout) -> Result<bool, Error> {
        loop {
            let into = self.buffers.input_append_buf();
            match self.tls.reader().read(into) {
                Ok(got) => {
                    self.buffers.input_appended(got);
                    return Ok(got > 0);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.exchange()?,
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let silent = self.tcp.set_nonblocking(true).and_then(|()| self.tcp.peek(&mut byte));
        let silent = matches!(silent, Err(e) if e.kind() == io::ErrorKind::WouldBlock);
        silent && self.tcp.set_nonblocking(false).is_ok()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}
