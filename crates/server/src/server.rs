//! The running server: store, memory, and the settings of this start.

use crate::blobs::Blobs;
use crate::catalogue::Catalogue;
use crate::deltas::{DeltaOptions, Shelf};
use crate::downloads::Downloads;
use crate::folder::Folder;
use crate::ledger::{Desk, Logs};
use crate::northbound::metrics::Counters;
use crate::plans::Press;
use crate::quota::Quota;
use crate::roster::{Roster, Shared, Terminal, Tried, lock};
use crate::snapshot::Snapshot;
use crate::store::{Store, StoredAttempt};
use crate::ticket::Tickets;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::Notify;
use trust::Root;
use types::{Digest, Name, Timestamp};

/// What a start of the server is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Address under which terminals and operators reach the server, without a slash
    /// at its end.
    pub(crate) public_url: String,
    /// Seconds between two heartbeats of a terminal.
    pub(crate) poll_seconds: u32,
    /// The most bytes of a package.
    pub(crate) package_limit: u64,
    /// Days that reports and events of terminals are kept; for ever, where 0.
    pub(crate) keep_days: u32,
    /// Days that logs of terminals are kept; as long as reports, where 0.
    pub(crate) keep_log_days: u32,
    /// Which logs are wanted.
    pub(crate) logs: Logs,
    /// How much may be spent on deltas.
    pub(crate) deltas: DeltaOptions,
    /// When the server started.
    pub(crate) started: Timestamp,
}

/// Everything that requests and jobs share.
pub(crate) struct Server {
    pub(crate) settings: Settings,
    pub(crate) folder: Folder,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    /// The deltas that servers made.
    pub(crate) delta_blobs: Blobs,
    /// What came of making deltas.
    pub(crate) shelf: Shelf,
    pub(crate) catalogue: Catalogue,
    pub(crate) roster: Roster,
    pub(crate) tickets: Tickets,
    /// What strangers may ask.
    pub(crate) quota: Quota,
    /// SHA-256 of the operator's token.
    pub(crate) operator: Digest,
    /// The maker's keys, once they are known.
    pub(crate) root: RwLock<Option<Arc<Root>>>,
    /// What makes static plans, where they are made.
    pub(crate) plans: OnceLock<Press>,
    /// Rings when a job may be due earlier than its loop believes.
    pub(crate) wake: Notify,
    /// Rings when there are deltas to make.
    pub(crate) delta_wake: Notify,
    /// How many attempts there were when the database last looked at its table of them.
    pub(crate) surveyed: AtomicU64,
    /// When, of each rollout, the first terminal in flight may have failed by its silence.
    pub(crate) expected: Mutex<BTreeMap<Name, Timestamp>>,
    /// Who downloads from here, of rollouts that bound downloads.
    pub(crate) downloads: Downloads,
    /// What is counted.
    pub(crate) counters: Counters,
    /// What terminals say that waits to be written.
    pub(crate) desk: Desk,
    snapshot: RwLock<Arc<Snapshot>>,
    /// How many terminals more or less count to rollouts than the snapshot says.
    pub(crate) drift: Mutex<BTreeMap<Name, i64>>,
    /// Since when the store was reached without a gap.
    knows_since: AtomicI64,
}

/// What a server is put together from.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) folder: Folder,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) delta_blobs: Blobs,
    pub(crate) tickets: Tickets,
    pub(crate) quota: Quota,
    pub(crate) operator: Digest,
    pub(crate) root: Option<Root>,
}

impl Server {
    /// A server that knows nobody yet.
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            knows_since: AtomicI64::new(parts.settings.started.0),
            settings: parts.settings,
            folder: parts.folder,
            store: parts.store,
            blobs: parts.blobs,
            delta_blobs: parts.delta_blobs,
            shelf: Shelf::default(),
            catalogue: Catalogue::default(),
            roster: Roster::default(),
            tickets: parts.tickets,
            quota: parts.quota,
            operator: parts.operator,
            root: RwLock::new(parts.root.map(Arc::new)),
            plans: OnceLock::new(),
            wake: Notify::new(),
            delta_wake: Notify::new(),
            surveyed: AtomicU64::new(0),
            expected: Mutex::default(),
            drift: Mutex::default(),
            downloads: Downloads::default(),
            counters: Counters::default(),
            desk: Desk::default(),
            snapshot: RwLock::new(Arc::new(Snapshot::new(Vec::new(), 0))),
        }
    }

    /// The rollouts and the plan, as they are now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Since when this server knows, of every terminal, what all servers know.
    pub(crate) fn knows_since(&self) -> Timestamp {
        Timestamp(self.knows_since.load(Ordering::Relaxed))
    }

    /// The store is reached again.
    pub(crate) fn knows_again(&self, now: Timestamp) {
        self.knows_since.store(now.0, Ordering::Relaxed);
    }

    /// Exchanges the rollouts and the plan by a changed copy. Only who holds the store
    /// does this, and `change` locks no terminal: others look at the snapshot while
    /// they hold one.
    pub(crate) fn change_snapshot(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut held = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut held));
    }

    /// The maker's keys.
    pub(crate) fn root(&self) -> Option<Arc<Root>> {
        self.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes a terminal, and with it how many count to which rollout. Only who holds
    /// the store does this.
    pub(crate) fn alter(&self, terminal: &Shared, change: impl FnOnce(&mut Terminal)) {
        let snapshot = self.snapshot();
        let mut locked = lock(terminal);
        let before = snapshot.audiences_of(&locked);
        change(&mut locked);
        let after = snapshot.audiences_of(&locked);
        if before != after {
            self.note_drift(&before, -1);
            self.note_drift(&after, 1);
        }
    }

    /// Counts a new terminal to its rollouts.
    pub(crate) fn count_in(&self, terminal: &Shared) {
        self.note_drift(&self.snapshot().audiences_of(&lock(terminal)), 1);
    }

    fn note_drift(&self, rollouts: &[&Name], more: i64) {
        let mut drift = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        for rollout in rollouts {
            *drift.entry(Name::clone(rollout)).or_default() += more;
        }
    }

    /// Takes a stored attempt, new or changed, into memory.
    pub(crate) fn show_attempt(&self, terminal: &Shared, attempt: &StoredAttempt) {
        self.roster.index(attempt, terminal);
        if let Some(tried) = lock(terminal).tried_mut(attempt.attempt) {
            // What other servers sent is added to what this one sent.
            let others = attempt.served.saturating_sub(tried.stored.served);
            tried.served.fetch_add(others, Ordering::Relaxed);
            tried.stored = attempt.clone();
            return;
        }
        let snapshot = self.snapshot();
        let Some(course) = snapshot.courses.get(&attempt.rollout) else { return };
        let tried = Tried {
            stored: attempt.clone(),
            manifest: course.rollout.release.manifest,
            version: course.rollout.release.version.clone(),
            served: Arc::new(AtomicU64::new(attempt.served)),
            progress: None,
        };
        self.alter(terminal, |terminal| terminal.tries.push(tried));
    }
}
