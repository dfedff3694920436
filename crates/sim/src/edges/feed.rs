//! A feed of the new release; its payload's bytes are the image itself.

use super::server::address_of;
use crate::release::Release;
use crate::world::Shared;
use agent::edges::{Feed, FeedError, Feeds, PayloadSpec, Reset, Retry};
use engine::Cursor;
use std::rc::Rc;
use types::Outcome;

/// Opens feeds of the world's release.
pub struct FakeFeeds(pub Shared);

impl Feeds for FakeFeeds {
    fn open(&mut self, locator: &str) -> Result<Box<dyn Feed>, FeedError> {
        if locator != address_of(self.0.borrow().address) {
            return Err(unreachable("the address has expired"));
        }
        let release = Rc::clone(&self.0.borrow().release);
        let world = Rc::clone(&self.0);
        Ok(Box::new(FakeFeed { world, release, entry: String::new(), at: 0, fetched: 0 }))
    }
}

struct FakeFeed {
    world: Shared,
    release: Rc<Release>,
    entry: String,
    at: usize,
    fetched: u64,
}

fn unreachable(what: &str) -> FeedError {
    FeedError { outcome: Outcome::Unreachable, detail: what.into(), retry: Retry::Later }
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
        self.entry.clone_from(&payload.entry);
        self.at = (at.chunk * payload.chunk_size) as usize;
        Ok(())
    }

    fn chunk(&mut self, into: &mut [u8]) -> Result<usize, FeedError> {
        let mut world = self.world.borrow_mut();
        if world.chance.one_in(256) {
            return Err(unreachable("the connection was lost"));
        }
        let payload = self.release.payloads.get(&self.entry).map_or(&[][..], Vec::as_slice);
        let rest = payload.get(self.at..).unwrap_or_default();
        let len = rest.len().min(into.len());
        for (to, from) in into.iter_mut().zip(rest) {
            *to = *from;
        }
        self.at += len;
        self.fetched += len as u64;
        world.served += len as u64;
        Ok(len)
    }

    fn reset(&self) -> Reset {
        Reset { out: self.at as u64, input: self.at as u64 }
    }

    fn fetched(&self) -> u64 {
        self.fetched
    }
}
