//! `Inspect`: fetch the documents, verify, fit, plan, and write the job file.

use super::chain;
use crate::asked::{Asked, Urged};
use crate::device::{Device, DeviceError};
use crate::edges::{Difference, Feed, FeedError, Retry, SlotFacts};
use crate::job::{self, Chosen, Job};
use crate::recovery::Layout;
use engine::inspect::{DeviceFacts, HookRule, Place, Refusal, choose, fit, open};
use engine::policy::consent::Class;
use engine::{Again, Event, Locator, Order, Task};
use package::{Component, Delta, Deltas, Manifest, Program, ROOTS};
use std::collections::BTreeMap;
use std::io;
use trust::{ChunkList, Root, Verified};
use types::{
    AttemptId, Digest, Document, Effect, Elsewhere, Name, Outcome, Running, Sealed, Slot, Spent,
};

/// The pinned root's name in the store.
pub const ROOT: &str = "root.json";

/// The signatures' name in a package.
const TARGETS: &str = "targets.json";

/// The most bytes of a package's signatures.
const TARGETS_LIMIT: u64 = 1 << 20;

/// How many roots are followed at once: more changes of keys than any terminal slept
/// through.
const ROOTS_MAX: u32 = 32;

/// How many deltas of a component are tried before its full payload.
const DELTAS_TRIED: usize = 2;

/// Why an inspection ends early.
enum Stop {
    /// The terminal decides against it.
    Refused(Refusal),
    /// It may work later.
    Later(FeedError),
    /// The device itself is in the way.
    Device(DeviceError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DeviceError> for Stop {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<FeedError> for Stop {
    fn from(error: FeedError) -> Self {
        match error.retry {
            Retry::Later | Retry::Held(_) => Self::Later(error),
            _ => Self::Refused(Refusal { outcome: error.outcome, detail: error.detail }),
        }
    }
}

impl Device {
    /// Inspects an order's package.
    pub(super) fn inspect(&mut self, order: &Order) -> Result<Event, DeviceError> {
        match self.accept(order) {
            Ok(task) => {
                self.worked();
                if task.target == Some(self.edges.boot.running()?) {
                    return self.before_leaving(task, &order.locator);
                }
                Ok(Event::Accepted(task))
            }
            Err(Stop::Refused(refusal)) => Ok(Event::Refused(refusal.outcome, refusal.detail)),
            Err(Stop::Later(error)) => {
                self.set_back(error.outcome, &error.detail);
                Ok(Event::Stalled(error.outcome, error.detail, Spent::default()))
            }
            Err(Stop::Device(error)) => Err(error),
        }
    }

    /// Says whether the package at `locator` would be taken, and changes nothing.
    ///
    /// # Errors
    /// Why it would not be taken.
    pub fn would_accept(&mut self, locator: &Locator) -> Result<Manifest, Refusal> {
        let mut feed = self.edges.feeds.open(locator.as_str()).map_err(refused)?;
        let (manifest, _) = self.documents(feed.as_mut(), Elsewhere::Refuse).map_err(said)?;
        Ok(Manifest::clone(&manifest))
    }

    /// Says how the configuration would differ under the release of the package at
    /// `locator`, and changes nothing.
    ///
    /// # Errors
    /// Why the package would not be taken, or which step fails.
    pub fn rehearse(&mut self, locator: &Locator) -> Result<Vec<Difference>, Refusal> {
        let mut feed = self.edges.feeds.open(locator.as_str()).map_err(refused)?;
        let (manifest, exact) = self.documents(feed.as_mut(), Elsewhere::Refuse).map_err(said)?;
        let programs = programs(feed.as_mut(), &manifest).map_err(said)?;
        let job = Job::without_parts(&manifest, &exact, programs);
        let task = Task {
            attempt: AttemptId::default(),
            source: Name::unknown(),
            job: Digest::default(),
            version: manifest.version.clone(),
            target: None,
            spent: Spent::default(),
        };
        let found = self.rehearse_configuration(&task, &job);
        let failed = |error: &dyn std::error::Error| {
            Refusal::new(Outcome::MigrationFailed, chain("cannot rehearse", error))
        };
        found.map_err(|e| failed(&e))?.map_err(|e| failed(&e))
    }

    fn accept(&mut self, order: &Order) -> Result<Task, Stop> {
        let running = self.confirmed_slot()?;
        let locator = self.newest(order.attempt, &order.locator);
        let mut feed = self.edges.feeds.open(locator.as_str())?;
        let urged: Urged = self.read(Urged::NAME)?;
        let elsewhere = urged.elsewhere(order.attempt);
        let (manifest, exact) = self.documents(feed.as_mut(), elsewhere)?;
        let inventory = self.inventory()?;
        if inventory.failed(manifest.digest()) && order.again == Again::No {
            let why = Outcome::FailedBefore;
            return Err(Refusal::new(why, why.sentence()).into());
        }
        let runs = inventory.running(running);
        let offered = deltas(feed.as_mut())?;
        let mut chosen = Vec::new();
        for (index, component) in choose(&manifest, &runs) {
            let name = format!("chunks/{}", component.name);
            let list = feed.document(&name, component.image.list_size())?;
            let list = ChunkList::check(&component.image, list).map_err(Refusal::from)?;
            chosen.push(Chosen { index, list, deltas: self.fitting(&offered, component, &runs) });
        }
        let programs = programs(feed.as_mut(), &manifest)?;
        let banked = choose(&manifest, &runs).iter().any(|(_, c)| c.effect == Effect::Slot);
        let job = self.write_job(&exact, &programs, &chosen)?;
        self.note_asked(order, &manifest)?;
        Ok(Task {
            attempt: order.attempt,
            source: order.source.clone(),
            job,
            version: manifest.version.clone(),
            target: banked.then(|| self.options.layout.target(running)),
            spent: Spent::default(),
        })
    }

    /// From now on the owner can be asked; the time to postpone is counted from here,
    /// also when the same order is inspected again.
    fn note_asked(&mut self, order: &Order, manifest: &Manifest) -> Result<(), DeviceError> {
        let known: Asked = self.read(Asked::NAME)?;
        if known.since(order.attempt).is_some() {
            return Ok(());
        }
        let class = match manifest.class {
            package::Class::Security => Class::Security,
            package::Class::Feature => Class::Feature,
        };
        let now = self.edges.clock.now().wall;
        self.write(Asked::NAME, &Asked::new(order.attempt, now, class))
    }

    /// The deltas from what runs that this terminal has the memory for. Only what lives
    /// in banks has an old image to start from that stays as it is.
    fn fitting(&self, offered: &Deltas, component: &Component, runs: &Running) -> Vec<Delta> {
        let heap = u64::from(self.identity.memory_class_mib) << 20;
        match runs.get(&component.name) {
            Some(old)
                if component.effect == Effect::Slot && self.options.layout == Layout::Banks =>
            {
                let fitting = offered.fitting(&component.name, old.image, heap);
                fitting.into_iter().take(DELTAS_TRIED).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The running slot, which must be confirmed: it is what an update falls back to.
    fn confirmed_slot(&self) -> Result<Slot, Stop> {
        let running = self.edges.boot.running().map_err(DeviceError::from)?;
        match self.edges.boot.slot(running).map_err(DeviceError::from)? {
            SlotFacts::Good => Ok(running),
            // It proves itself before it writes.
            _ if self.options.layout.is_recovery(running) => Ok(running),
            _ => Err(Refusal::new(Outcome::NotConfirmed, Outcome::NotConfirmed.sentence()).into()),
        }
    }

    /// The package's manifest, verified and held against this terminal.
    fn documents(
        &mut self,
        feed: &mut dyn Feed,
        elsewhere: Elsewhere,
    ) -> Result<(Verified<Manifest>, Vec<u8>), Stop> {
        let root = self.root()?;
        let exact = feed.document(Manifest::ENTRY, u64::from(Manifest::LIMIT))?;
        let targets = feed.document(TARGETS, TARGETS_LIMIT)?;
        let now = self.edges.clock.now().wall;
        let manifest = match open(&exact, &targets, &root, now) {
            Err(refusal) if may_be_newer(refusal.outcome) => {
                let newer = self.newer_root(feed, root)?.ok_or(refusal)?;
                open(&exact, &targets, &newer, now)?
            }
            opened => opened?,
        };
        let slot = self.edges.boot.running().map_err(DeviceError::from)?;
        let running = self.inventory()?.running(slot);
        let facts = DeviceFacts {
            product: self.identity.product.clone(),
            hardware: self.identity.hardware.clone(),
            variant: self.identity.variant.clone(),
            region: self.identity.region.clone(),
            elsewhere,
            places: self.places()?,
            floors: self.floors(&manifest)?,
            running,
            hooks: self.edges.hooks.obstacle().map_or(HookRule::Run, HookRule::Refuse),
            protected: self.options.protected.clone(),
        };
        fit(&manifest, &facts)?;
        self.check_form(&manifest)?;
        Ok((manifest, exact))
    }

    /// The newest root that the package brings and that follows the stored one, root by
    /// root. It is stored at once: who holds the keys said so, whatever the package is.
    fn newer_root(&mut self, feed: &mut dyn Feed, stored: Root) -> Result<Option<Root>, Stop> {
        let (mut root, mut newest) = (stored, None);
        for _ in 0..ROOTS_MAX {
            let name = format!("{ROOTS}{}.root.json", root.version().saturating_add(1));
            let bytes = match feed.document(&name, Root::LIMIT.into()) {
                Ok(bytes) => bytes,
                Err(error) if error.retry.is_later() => return Err(error.into()),
                Err(_) => break,
            };
            root = root.successor(&Sealed::from(bytes.as_slice())).map_err(Refusal::from)?;
            newest = Some(bytes);
        }
        let Some(bytes) = newest else { return Ok(None) };
        let stored = self.edges.store.replace(ROOT, &bytes);
        stored.map_err(|e| DeviceError::Document(ROOT, "write", e))?;
        Ok(Some(root))
    }

    fn root(&self) -> Result<Root, Stop> {
        let stored = self.edges.store.read(ROOT);
        let bytes =
            stored.map_err(|e| DeviceError::Document(ROOT, "read", e))?.ok_or_else(|| {
                Refusal::new(
                    Outcome::UntrustedKey,
                    "no root of trust is installed on this terminal",
                )
            })?;
        Ok(Root::open(&Sealed::from(bytes.as_slice())).map_err(Refusal::from)?)
    }

    fn places(&mut self) -> Result<BTreeMap<Name, Place>, Stop> {
        let mut places = BTreeMap::new();
        for (name, bank) in &mut self.edges.banks {
            let effect = bank.effect();
            // Both banks of a slot have to hold the image; the smaller one decides.
            let sizes = Slot::BOTH.map(|slot| bank.medium(Some(slot)).geometry().map(|g| g.size));
            let [a, b] = sizes;
            let capacity = a.and_then(|a| b.map(|b| a.min(b))).map_err(|e| {
                Refusal::new(Outcome::WriteFailed, chain(&format!("cannot open `{name}`"), &e))
            })?;
            let fallback = bank.fallback();
            places.insert(name.clone(), Place { effect, capacity, fallback });
        }
        Ok(places)
    }

    fn floors(&self, manifest: &Manifest) -> Result<BTreeMap<Name, u64>, Stop> {
        let floor = |name: &Name| {
            let floor = self.edges.floors.floor(name.as_str());
            floor.map(|floor| (name.clone(), floor)).map_err(|e| {
                let what = chain("cannot read the rollback floors", &e);
                Stop::from(Refusal::new(Outcome::TrustStoreFailed, what))
            })
        };
        manifest.components.iter().map(|component| floor(&component.name)).collect()
    }

    fn write_job(
        &mut self,
        manifest: &[u8],
        programs: &[Vec<u8>],
        chosen: &[Chosen],
    ) -> Result<Digest, Stop> {
        let exact = job::encode(manifest, programs, chosen)
            .map_err(|e| Refusal::new(Outcome::Internal, chain("cannot write the job file", &e)))?;
        self.edges.store.replace(Job::NAME, &exact).map_err(|error| {
            let outcome = match error.kind() {
                io::ErrorKind::StorageFull => Outcome::StorageFull,
                _ => Outcome::WriteFailed,
            };
            Refusal::new(outcome, chain("cannot write the job file", &error))
        })?;
        Ok(Digest::of(&exact))
    }
}

/// The programs that the package brings for its hooks.
fn programs(feed: &mut dyn Feed, manifest: &Manifest) -> Result<Vec<Vec<u8>>, Stop> {
    let program = |program: &Program| {
        let bytes = feed.document(&program.entry, program.size.into())?;
        job::check_program(program, &bytes).map_err(|w| Refusal::new(Outcome::Malformed, w))?;
        Ok(bytes)
    };
    manifest.programs().map(program).collect()
}

/// Whether a newer root could change this verdict.
fn may_be_newer(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::UntrustedKey | Outcome::TooFewSignatures | Outcome::Expired)
}

/// The deltas that the package's place knows of. It need not know of any, and what it
/// says wrong costs it only the chance to save bytes.
fn deltas(feed: &mut dyn Feed) -> Result<Deltas, Stop> {
    match feed.document(Deltas::ENTRY, Deltas::LIMIT.into()) {
        Ok(bytes) => Ok(Deltas::decode(&bytes).unwrap_or_default()),
        Err(error) if error.retry.is_later() => Err(error.into()),
        Err(_) => Ok(Deltas::default()),
    }
}

/// Why an inspection that nobody ordered ended.
fn said(stop: Stop) -> Refusal {
    match stop {
        Stop::Refused(refusal) => refusal,
        Stop::Later(error) => refused(error),
        Stop::Device(error) => Refusal::new(Outcome::Internal, chain("cannot inspect", &error)),
    }
}

fn refused(error: FeedError) -> Refusal {
    Refusal { outcome: error.outcome, detail: error.detail }
}
