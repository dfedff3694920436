//! A feed of the new release. A full payload's bytes are the image itself; a delta is
//! a real one, decoded by the real decoder with what the banks hold.

use super::server::address_of;
use super::stage::LOCATOR;
use crate::medium::Medium;
use crate::release::Release;
use crate::world::{Shared, World};
use agent::edges::{Encoding, Feed, FeedError, Feeds, PayloadSpec, Reset, Retry};
use delta::{Applier, Limits, PatchHeader, ReadAt, ReadFault};
use engine::Cursor;
use package::Archive;
use std::collections::BTreeMap;
use std::rc::Rc;
use types::{Outcome, Slot};

/// Opens feeds of the world's release.
pub struct FakeFeeds(pub Shared);

impl Feeds for FakeFeeds {
    fn open(&mut self, locator: &str) -> Result<Box<dyn Feed>, FeedError> {
        let kept = match locator {
            LOCATOR => Some(kept(&self.0.borrow())?),
            address if address == address_of(self.0.borrow().address) => None,
            _ => return Err(unreachable("the address has expired")),
        };
        let release = Rc::clone(&self.0.borrow().release);
        let world = Rc::clone(&self.0);
        let payload = Payload::Full { entry: String::new(), at: 0 };
        Ok(Box::new(FakeFeed { world, release, kept, payload, fetched: 0 }))
    }
}

/// What is kept in the stage, as an archive's reader finds it.
fn kept(world: &World) -> Result<BTreeMap<String, Vec<u8>>, FeedError> {
    let mut bytes = vec![0; world.stage.extent()];
    let no_package = |why: &dyn std::fmt::Display| FeedError {
        outcome: Outcome::Malformed,
        detail: why.to_string().as_str().into(),
        retry: Retry::Never,
    };
    world.stage.peek(0, &mut bytes).ok_or_else(|| no_package(&"it cannot be read"))?;
    let archive = Archive::open(bytes.as_slice()).map_err(|e| no_package(&e))?;
    let entries = archive.entries().iter();
    entries
        .map(|entry| {
            let read = archive.read(bytes.as_slice(), &entry.name, entry.size);
            Ok((entry.name.clone(), read.map_err(|e| no_package(&e))?))
        })
        .collect()
}

struct FakeFeed {
    world: Shared,
    release: Rc<Release>,
    /// The entries of a package that is kept on the terminal.
    kept: Option<BTreeMap<String, Vec<u8>>>,
    payload: Payload,
    fetched: u64,
}

/// What is decoded, and where.
enum Payload {
    /// The image itself, from a byte of it on.
    Full { entry: String, at: usize },
    /// A delta.
    Delta(Box<Decoding>),
}

struct Decoding {
    applier: Applier,
    /// Bytes of the image that it starts from.
    source: u64,
    spec: PayloadSpec,
    /// The next byte of the delta.
    at: usize,
    /// Bytes of the image that are decoded.
    out: u64,
    /// The chunk that is wanted next.
    chunk: u32,
}

fn unreachable(what: &str) -> FeedError {
    FeedError { outcome: Outcome::Unreachable, detail: what.into(), retry: Retry::Later }
}

fn unsound(what: &str) -> FeedError {
    FeedError { outcome: Outcome::CorruptPayload, detail: what.into(), retry: Retry::OtherPayload }
}

impl Feed for FakeFeed {
    fn document(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FeedError> {
        if self.world.borrow_mut().chance.one_in(24) {
            return Err(unreachable("the connection was lost"));
        }
        let document = self.release.documents.get(name).filter(|d| d.len() as u64 <= limit);
        document.cloned().ok_or_else(|| unreachable("there is no such document"))
    }

    fn seek(&mut self, payload: &PayloadSpec, at: Cursor) -> Result<(), FeedError> {
        let is_delta = matches!(payload.encoding, Encoding::Delta { .. });
        self.world.borrow_mut().is_cheap = is_delta || self.kept.is_some();
        self.payload = match payload.encoding {
            // A full payload's bytes are the image itself.
            Encoding::Frames | Encoding::Plain => Payload::Full {
                entry: payload.entry.clone(),
                at: (at.chunk * payload.chunk_size) as usize,
            },
            Encoding::Delta { heap } => {
                let patch = payload_bytes(None, &self.release, &payload.entry);
                let decoding = Decoding::start(patch, payload, at, heap)?;
                self.fetched += decoding.at as u64;
                self.world.borrow_mut().served += decoding.at as u64;
                Payload::Delta(Box::new(decoding))
            }
        };
        Ok(())
    }

    fn chunk(&mut self, into: &mut [u8]) -> Result<usize, FeedError> {
        let mut world = self.world.borrow_mut();
        if self.kept.is_none() && world.chance.one_in(256) {
            return Err(unreachable("the connection was lost"));
        }
        let (len, read) = match &mut self.payload {
            Payload::Full { entry, at } => {
                let rest = payload_bytes(self.kept.as_ref(), &self.release, entry)
                    .get(*at..)
                    .unwrap_or_default();
                let len = rest.len().min(into.len());
                for (to, from) in into.iter_mut().zip(rest) {
                    *to = *from;
                }
                *at += len;
                (len, len)
            }
            Payload::Delta(decoding) => {
                let patch = payload_bytes(None, &self.release, &decoding.spec.entry);
                let before = decoding.at;
                let len = decoding.chunk(patch, &world, into)?;
                (len, decoding.at - before)
            }
        };
        self.fetched += read as u64;
        if self.kept.is_none() {
            world.served += read as u64;
        }
        Ok(len)
    }

    fn reset(&self) -> Reset {
        match &self.payload {
            Payload::Full { at, .. } => Reset { out: *at as u64, input: *at as u64 },
            Payload::Delta(decoding) => {
                let delta::Reset { out, input } = decoding.applier.reset();
                Reset { out, input }
            }
        }
    }

    fn fetched(&self) -> u64 {
        self.fetched
    }
}

fn payload_bytes<'a>(
    kept: Option<&'a BTreeMap<String, Vec<u8>>>,
    release: &'a Release,
    entry: &str,
) -> &'a [u8] {
    kept.unwrap_or(&release.payloads).get(entry).map_or(&[][..], Vec::as_slice)
}

impl Decoding {
    fn start(patch: &[u8], spec: &PayloadSpec, at: Cursor, heap: u64) -> Result<Self, FeedError> {
        let header = PatchHeader::read(patch).map_err(|e| unsound(&e.to_string()))?;
        let (header, len) = header.ok_or_else(|| unsound("it is cut short"))?;
        let (limits, source) = (Limits { heap }, header.source.size);
        let reset = delta::Reset { out: at.out, input: at.input.max(len as u64) };
        let applier = Applier::resume(header, &limits, reset);
        let applier = applier.map_err(|e| unsound(&e.to_string()))?;
        let from = usize::try_from(reset.input).unwrap_or(usize::MAX);
        Ok(Self { applier, source, spec: spec.clone(), at: from, out: reset.out, chunk: at.chunk })
    }

    /// Decodes the wanted chunk.
    fn chunk(&mut self, patch: &[u8], world: &World, into: &mut [u8]) -> Result<usize, FeedError> {
        let wanted = u64::from(self.chunk) * u64::from(self.spec.chunk_size);
        let wanted = wanted.min(self.spec.image_size);
        while self.out < wanted {
            let before = usize::try_from(wanted - self.out).unwrap_or(usize::MAX);
            let piece = into.get_mut(..before.min(into.len())).unwrap_or_default();
            self.fill(patch, world, piece)?;
        }
        let left = self.spec.image_size.saturating_sub(self.out);
        let len = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.fill(patch, world, into.get_mut(..len).unwrap_or_default())?;
        self.chunk += 1;
        Ok(len)
    }

    fn fill(&mut self, patch: &[u8], world: &World, into: &mut [u8]) -> Result<(), FeedError> {
        let Some((_, target)) = &self.spec.bank else { return Err(unsound("it has no bank")) };
        let bank =
            |slot: Slot| world.banks.get(&slot).ok_or_else(|| unsound("there is no such bank"));
        let mut old = Bank { medium: bank(target.other())?, size: self.source };
        let mut bank = Bank { medium: bank(*target)?, size: self.spec.image_size };
        let mut filled = 0;
        while filled < into.len() {
            let rest = patch.get(self.at..).unwrap_or_default();
            let (chunk, room) = into.split_at_mut(filled);
            let mut new = Finished { bank: &mut bank, at: self.out, chunk };
            let step = self.applier.step(rest, room, &mut old, &mut new);
            let step = step.map_err(|e| unsound(&e.to_string()))?;
            if step.consumed == 0 && step.filled == 0 {
                return Err(unsound("it ends too early"));
            }
            self.at += step.consumed;
            filled += step.filled;
        }
        self.out += filled as u64;
        Ok(())
    }
}

/// A bank's first bytes, as they are read by who did not write them.
struct Bank<'a> {
    medium: &'a Medium,
    size: u64,
}

impl ReadAt for Bank<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadFault> {
        let at = usize::try_from(at).map_err(|_| ReadFault)?;
        self.medium.peek(at, into).ok_or(ReadFault)
    }
}

/// What is in a bank, and the bytes behind it that are not written yet.
struct Finished<'a, 'b> {
    bank: &'a mut Bank<'b>,
    at: u64,
    chunk: &'a [u8],
}

impl ReadAt for Finished<'_, '_> {
    fn size(&self) -> u64 {
        self.bank.size
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadFault> {
        self.bank.read_at(at, into)?;
        for (place, byte) in (at..).zip(into) {
            let behind = place.checked_sub(self.at).and_then(|n| usize::try_from(n).ok());
            if let Some(made) = behind.and_then(|n| self.chunk.get(n)) {
                *byte = *made;
            }
        }
        Ok(())
    }
}
