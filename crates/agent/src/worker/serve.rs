//! The worker's side: gives up its rights, then answers questions until its parent
//! is gone.

use super::decode::Sources;
use super::fetch::Fetcher;
use super::local::LocalPackage;
use super::message::{ASK_MAX, Ask, Coding, Fault, Place, Seek, Setup, Tell, receive, send};
use super::payload::{Origin, Unpacked, Unpacking};
use crate::edges::Reset;
use crate::https::Trust;
use crate::platform::clock::Stopwatch;
use crate::platform::confine::{Rights, confine};
use crate::platform::contain::{Reach, limit_reach};
use crate::platform::descriptors;
use crate::platform::resident;
use crate::platform::shared::Mapping;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use types::{Outcome, Timestamp};

/// Milliseconds after which the parent is told that a long question is still worked on.
const ALIVE: u64 = 1000;

/// What the worker holds.
struct Worker {
    parent: UnixStream,
    origin: Origin,
    shared: OwnedFd,
    memory: Option<Mapping>,
    payload: Option<Unpacking>,
    /// Payload bytes fetched by payloads before this one.
    fetched: u64,
}

/// Runs this process as a worker: descriptor 0 is its parent, 1 the shared memory, 2
/// the package, if it is a file.
///
/// # Errors
/// It could not give up its rights, or its parent is gone.
pub(super) fn run(rights: Rights) -> io::Result<()> {
    confine(rights)?;
    let mut parent = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let shared = io::stdout().as_fd().try_clone_to_owned()?;
    let Ask::Setup(setup) = receive(&mut parent, ASK_MAX)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    limit_reach(reach(&setup.place))?;
    match origin(setup) {
        Ok(origin) => {
            send(&mut parent, &Tell::Ready)?;
            Worker { parent, origin, shared, memory: None, payload: None, fetched: 0 }.serve()
        }
        Err(fault) => send(&mut parent, &Tell::Failed { fault, fetched: 0 }),
    }
}

/// Whom this worker has to reach: its server, or nobody.
fn reach(place: &Place) -> Reach {
    let Place::Https(base) = place else { return Reach::Nobody };
    let host = base.strip_prefix("https://").unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    // What is behind the last colon, unless that is inside an IPv6 address.
    let port = host.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    Reach::Port(port.and_then(|(_, port)| port.parse().ok()).unwrap_or(443))
}

fn origin(setup: Setup) -> Result<Origin, Fault> {
    match setup.place {
        Place::Https(base) => {
            let trust = Trust { roots: setup.roots, floor: Timestamp(setup.floor) };
            Fetcher::new(base, &trust, &setup.limits).map(|f| Origin::Https(Box::new(f)))
        }
        Place::Archive => {
            let package = io::stderr().as_fd().try_clone_to_owned();
            let package = package.map_err(|_| Fault::never(Outcome::Unreachable, "no package"))?;
            LocalPackage::open(File::from(package)).map(Origin::Local)
        }
    }
}

impl Worker {
    /// Answers until the parent closes the socket.
    fn serve(mut self) -> io::Result<()> {
        loop {
            let ask = match receive(&mut self.parent, ASK_MAX) {
                Ok(ask) => ask,
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(e) => return Err(e),
            };
            if let Err(fault) = self.answer(ask)? {
                let fetched = self.fetched();
                send(&mut self.parent, &Tell::Failed { fault, fetched })?;
            }
        }
    }

    /// The outer error is the parent's absence, the inner one the answer.
    fn answer(&mut self, ask: Ask) -> io::Result<Result<(), Fault>> {
        match ask {
            Ask::Setup(_) => Err(io::ErrorKind::InvalidData.into()),
            Ask::Document { name, limit } => self.document(&name, limit),
            Ask::Seek(seek) => self.seek(seek),
            Ask::Next => self.next(),
        }
    }

    fn document(&mut self, name: &str, limit: u64) -> io::Result<Result<(), Fault>> {
        let bytes = match self.origin.document(name, limit) {
            Ok(bytes) => bytes,
            Err(fault) => return Ok(Err(fault)),
        };
        send(&mut self.parent, &Tell::Document { len: bytes.len() as u64 })?;
        self.parent.write_all(&bytes).map(Ok)
    }

    fn seek(&mut self, seek: Seek) -> io::Result<Result<(), Fault>> {
        self.fetched = self.fetched();
        self.payload = None;
        let len = usize::try_from(seek.chunk_size).map_err(io::Error::other)?;
        self.memory = Some(Mapping::of(&self.shared, len)?);
        let sources = match seek.coding {
            Coding::Frames | Coding::Plain => None,
            Coding::Delta { .. } => Some(Sources::from(descriptors::receive(&self.parent)?)),
        };
        match Unpacking::start(&mut self.origin, seek, sources) {
            Ok(payload) => self.payload = Some(payload),
            Err(fault) => return Ok(Err(fault)),
        }
        resident::give_program_back();
        send(&mut self.parent, &Tell::Ready).map(Ok)
    }

    fn next(&mut self) -> io::Result<Result<(), Fault>> {
        let mut watch = Stopwatch::start();
        loop {
            let (Some(payload), Some(memory)) = (&mut self.payload, &mut self.memory) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            match payload.next(&mut self.origin, memory.bytes()) {
                Ok(Unpacked::Before) if watch.millis() < ALIVE => {}
                Ok(Unpacked::Before) => {
                    send(&mut self.parent, &Tell::Alive)?;
                    watch = Stopwatch::start();
                }
                Ok(Unpacked::Chunk(len)) => return self.tell_chunk(len).map(Ok),
                Ok(Unpacked::End) => {
                    let fetched = self.fetched();
                    return send(&mut self.parent, &Tell::End { fetched }).map(Ok);
                }
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }

    fn tell_chunk(&mut self, len: usize) -> io::Result<()> {
        let len = u32::try_from(len).map_err(io::Error::other)?;
        let reset = self.payload.as_ref().map_or(Reset { out: 0, input: 0 }, Unpacking::reset);
        let (fetched, Reset { out, input }) = (self.fetched(), reset);
        send(&mut self.parent, &Tell::Chunk { len, out, input, fetched })
    }

    fn fetched(&self) -> u64 {
        self.fetched + self.payload.as_ref().map_or(0, Unpacking::fetched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(place: &Place, reached: Reach) {
        assert_eq!(reach(place), reached, "{place:?}");
    }

    #[test]
    fn a_worker_reaches_its_server_only() {
        let at = |address: &str| Place::Https(address.into());
        check(&at("https://updates.example/a/b:9"), Reach::Port(443));
        check(&at("https://updates.example:8443/a/"), Reach::Port(8443));
        check(&at("https://[2001:db8::1]/a"), Reach::Port(443));
        check(&at("https://[2001:db8::1]:444"), Reach::Port(444));
        check(&at("https://host:none/"), Reach::Port(443));
        check(&Place::Archive, Reach::Nobody);
    }
}
