//! The terminals, in memory: what polls are answered from.

use crate::catalogue::Published;
use crate::store::{Sign, StoredAttempt, StoredDevice};
use fleet::{Attempt, Class, DeviceFacts, Shows};
use protocols::native::{Heartbeat, Phase, Progress, Waiting};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use types::{AttemptId, DeviceId, Digest, Name, Running, Timestamp, Version};

/// One terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// What the store keeps of it.
    pub(crate) stored: StoredDevice,
    /// The published release that it runs, if it is one.
    pub(crate) release: Option<Arc<Published>>,
    /// What it is doing.
    pub(crate) phase: Phase,
    /// Why it does not go on, if it said so.
    pub(crate) waiting: Option<Box<Waiting>>,
    /// Its last sign of life since the server started.
    pub(crate) seen: Option<Timestamp>,
    /// What its agent can do beside what every agent can.
    pub(crate) abilities: Box<[Name]>,
    /// Its attempts, first offered first.
    pub(crate) tries: Vec<Tried>,
}

/// One attempt of a terminal.
#[derive(Debug)]
pub(crate) struct Tried {
    /// What the store keeps of it.
    pub(crate) stored: StoredAttempt,
    /// Its release: digest of the manifest.
    pub(crate) manifest: Digest,
    /// Its release's version.
    pub(crate) version: Version,
    /// Bytes sent for it; counted by the bodies that send them.
    pub(crate) served: Arc<AtomicU64>,
    /// How far it has come, if the terminal said so.
    pub(crate) progress: Option<Progress>,
}

/// A terminal that several requests may look at.
pub(crate) type Shared = Arc<Mutex<Terminal>>;

/// Locks a terminal. Never held across an `await`.
pub(crate) fn lock(terminal: &Shared) -> MutexGuard<'_, Terminal> {
    terminal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SHA-256 of the JSON of what runs: enough to see that it is the same again.
pub(crate) fn fingerprint(running: &Running) -> Digest {
    Digest::of(&serde_json::to_vec(running).unwrap_or_default())
}

impl Terminal {
    /// A terminal without history.
    pub(crate) fn new(stored: StoredDevice, release: Option<Arc<Published>>) -> Shared {
        let (phase, seen, abilities, tries) = (Phase::Idle, None, Box::default(), Vec::new());
        let waiting = None;
        Arc::new(Mutex::new(Self { stored, release, phase, waiting, seen, abilities, tries }))
    }

    /// Asks `question` about the terminal as the rules see it.
    pub(crate) fn ask<R>(&self, question: impl FnOnce(&DeviceFacts<'_>) -> R) -> R {
        let attempts = self.last_attempts();
        let facts = &self.stored.facts;
        question(&DeviceFacts {
            id: &self.stored.device,
            product: &facts.product,
            hardware: &facts.hardware,
            variant: facts.variant.as_ref(),
            region: facts.region.as_ref(),
            running: &self.stored.running,
            release: self.release.as_ref().map(|published| &published.release),
            enrolled: self.stored.enrolled,
            labels: self.stored.labels(),
            abilities: &self.abilities,
            attempts: &attempts,
        })
    }

    /// Its last attempt in each rollout.
    fn last_attempts(&self) -> Vec<Attempt> {
        let mut known = BTreeSet::new();
        let newest_first = self.tries.iter().rev();
        newest_first.filter(|t| known.insert(&t.stored.rollout)).map(Tried::attempt).collect()
    }

    /// The attempt of this id.
    pub(crate) fn tried(&self, attempt: AttemptId) -> Option<&Tried> {
        self.tries.iter().find(|tried| tried.stored.attempt == attempt)
    }

    /// The attempt of this id, to change it.
    pub(crate) fn tried_mut(&mut self, attempt: AttemptId) -> Option<&mut Tried> {
        self.tries.iter_mut().find(|tried| tried.stored.attempt == attempt)
    }

    /// What the store does not know of an attempt: bytes sent, and when the terminal
    /// was seen.
    pub(crate) fn sign(&self, attempt: AttemptId, now: Timestamp) -> Option<Sign> {
        let tried = self.tried(attempt)?;
        let served = tried.served.load(Ordering::Relaxed).saturating_sub(tried.stored.served);
        // What is to come was noted before the clock was set back.
        let seen = self.seen.filter(|seen| *seen <= now).unwrap_or(tried.stored.seen);
        Some(Sign { device: self.stored.device.clone(), attempt, served, seen })
    }

    /// The terminal as the store should keep it after `heartbeat`, if that differs.
    pub(crate) fn changed_by(&self, heartbeat: &Heartbeat) -> Option<StoredDevice> {
        let StoredDevice { facts, slot, running, .. } = &self.stored;
        let same_facts = **facts == heartbeat.facts;
        let same_running = **running == heartbeat.running;
        if same_facts && same_running && *slot == Some(heartbeat.slot) {
            return None;
        }
        let mut now = self.stored.clone();
        now.slot = Some(heartbeat.slot);
        if !same_facts {
            now.facts = Arc::new(heartbeat.facts.clone());
        }
        if !same_running {
            now.running = Arc::new(heartbeat.running.clone());
        }
        Some(now)
    }

    /// Whether `manifest` was tried before the attempt `but`.
    pub(crate) fn tried_before(&self, manifest: Digest, but: AttemptId) -> bool {
        let ended = |tried: &Tried| tried.stored.standing.class() != Class::InFlight;
        let before = |tried: &&Tried| tried.manifest == manifest && tried.stored.attempt != but;
        self.tries.iter().filter(before).any(ended)
    }
}

impl Tried {
    fn attempt(&self) -> Attempt {
        Attempt {
            rollout: self.stored.rollout.clone(),
            id: self.stored.attempt,
            manifest: self.manifest,
            retry: self.stored.retry,
            standing: self.stored.standing,
        }
    }

    /// What `running` shows of it, when `images` are its release's.
    pub(crate) fn shows(&self, images: &BTreeMap<Name, Digest>, running: &Running) -> Shows {
        if fleet::runs(images, running) {
            Shows::New
        } else if fingerprint(running) == self.stored.before {
            Shows::Old
        } else {
            Shows::Other
        }
    }
}

/// All terminals.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    devices: RwLock<BTreeMap<DeviceId, Shared>>,
    credentials: RwLock<HashMap<Digest, Shared>>,
    attempts: RwLock<HashMap<AttemptId, Shared>>,
    /// The attempts in flight, by rollout.
    in_flight: Mutex<BTreeMap<Name, BTreeMap<AttemptId, Shared>>>,
}

impl Roster {
    /// Adds a terminal; `old` is the credential that it no longer has.
    pub(crate) fn add(&self, terminal: &Shared, old: Option<Digest>) {
        let (device, credential) = {
            let locked = lock(terminal);
            (locked.stored.device.clone(), locked.stored.credential)
        };
        let mut credentials = self.credentials.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = old {
            credentials.remove(&old);
        }
        credentials.insert(credential, Arc::clone(terminal));
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        devices.insert(device, Arc::clone(terminal));
    }

    /// Takes note of an attempt, new or changed, of `terminal`.
    pub(crate) fn index(&self, attempt: &StoredAttempt, terminal: &Shared) {
        let id = attempt.attempt;
        let mut attempts = self.attempts.write().unwrap_or_else(PoisonError::into_inner);
        attempts.insert(id, Arc::clone(terminal));
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let of_rollout = in_flight.entry(attempt.rollout.clone()).or_default();
        if attempt.standing.class() == Class::InFlight {
            of_rollout.insert(id, Arc::clone(terminal));
        } else {
            of_rollout.remove(&id);
        }
    }

    /// The terminal of this name.
    pub(crate) fn device(&self, device: &DeviceId) -> Option<Shared> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }

    /// The terminal whose credential has this digest.
    pub(crate) fn holder(&self, credential: Digest) -> Option<Shared> {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner).get(&credential).cloned()
    }

    /// The terminal of this attempt.
    pub(crate) fn of_attempt(&self, attempt: AttemptId) -> Option<Shared> {
        self.attempts.read().unwrap_or_else(PoisonError::into_inner).get(&attempt).cloned()
    }

    /// The attempts in flight of `rollout`.
    pub(crate) fn in_flight(&self, rollout: &Name) -> Vec<(AttemptId, Shared)> {
        let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let all = in_flight.get(rollout).into_iter().flatten();
        all.map(|(attempt, terminal)| (*attempt, Arc::clone(terminal))).collect()
    }

    /// Up to `limit` terminals by name, behind `after`.
    pub(crate) fn page(&self, after: Option<&DeviceId>, limit: usize) -> Vec<Shared> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = devices.range((start, Bound::Unbounded));
        range.take(limit).map(|(_, terminal)| Arc::clone(terminal)).collect()
    }

    /// How many terminals there are.
    pub(crate) fn count(&self) -> u64 {
        let count = self.devices.read().unwrap_or_else(PoisonError::into_inner).len();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// How many attempts there are.
    pub(crate) fn attempts(&self) -> u64 {
        let count = self.attempts.read().unwrap_or_else(PoisonError::into_inner).len();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// All terminals.
    pub(crate) fn all(&self) -> Vec<Shared> {
        self.page(None, usize::MAX)
    }
}
