//! One connection of the load: TLS or plain, HTTP/1.1, one request at a time.
//!
//! Deliberately small: what the generator spends is taken from the server on the same
//! cores.

use anyhow::{Context as _, Result, bail, ensure};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of an answer.
const ANSWER: usize = 64 << 10;

/// Where the load goes.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// Whether a connection may be one that goes on with an earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// Each begins anew.
    Fresh,
    /// Whatever the server gave a ticket for goes on.
    Resumed,
}

impl Target {
    /// TLS 1.3 to `address`, believing the authority in the file `ca`.
    pub(crate) fn new(address: SocketAddr, ca: &Path, sessions: Sessions) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).context("no certificate")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        if sessions == Sessions::Fresh {
            config.resumption = Resumption::disabled();
        }
        Ok(Self { address, tls: Arc::new(config) })
    }
}

/// A connection.
pub(crate) struct Line {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Line {
    pub(crate) fn connect(target: &Target) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&target.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost")?;
        let tls = ClientConnection::new(Arc::clone(&target.tls), name)?;
        Ok(Self { stream: StreamOwned::new(tls, socket), buffer: Vec::new() })
    }

    /// How the connection was begun; known once something was received.
    pub(crate) fn kind(&self) -> Option<HandshakeKind> {
        self.stream.conn.handshake_kind()
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request)?;
        Ok(self.stream.flush()?)
    }

    /// The status of the next answer, and in `body` what it says.
    pub(crate) fn receive(&mut self, body: &mut Vec<u8>) -> Result<u16> {
        let end = self.head()?;
        let head = self.buffer.get(..end).unwrap_or_default();
        let (status, length) = (status(head)?, length(head));
        while self.buffer.len() < end + length {
            self.fill()?;
        }
        body.clear();
        body.extend_from_slice(self.buffer.get(end..end + length).unwrap_or_default());
        self.buffer.drain(..end + length);
        Ok(status)
    }

    /// One request and its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Heard> {
        self.send(request)?;
        let end = self.head()?;
        let head = String::from_utf8_lossy(self.buffer.get(..end).unwrap_or_default()).into_owned();
        let mut body = Vec::new();
        let status = self.receive(&mut body)?;
        Ok(Heard { status, head, body })
    }

    /// Where the head of the next answer ends.
    fn head(&mut self) -> Result<usize> {
        loop {
            let ends = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(at) = ends {
                return Ok(at + 4);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece)?;
        ensure!(count > 0, "the server ended the connection");
        ensure!(self.buffer.len() < ANSWER, "the answer has no end");
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(())
    }
}

fn status(head: &[u8]) -> Result<u16> {
    let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(status) => Ok(status),
        None => bail!("the answer is no HTTP"),
    }
}

/// The bytes of the body; none where the head says nothing.
fn length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head);
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    text.lines().find_map(field).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_head_says_what_it_is() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!((status(head).unwrap(), length(head)), (200, 12));
        let head = b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n";
        assert_eq!((status(head).unwrap(), length(head)), (304, 0));
        assert!(status(b"").is_err());
    }
}
