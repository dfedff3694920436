//! What a terminal remembers of plans: the newest that it saw, and what it tried.

use crate::edges::{Heartbeat, Store};
use fleet::static_plan::StaticPlan;
use fleet::{Attempt, Event, RETRIES_LIMIT, Shows, Standing, Track, runs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use types::{AttemptId, Digest, Name, Outcome, Report, Running, tree};

/// The document's name in the store.
const NAME: &str = "plan";
/// The most tries that are remembered; the oldest is forgotten.
const TRIES_MAX: usize = 32;
/// How much newer a plan must be, in milliseconds, before that alone is written.
const STEP: u64 = 3_600_000;

/// What is remembered. JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    version: u64,
    generation: u64,
    tries: Vec<Try>,
}

/// One try, begun by the plan or by the server behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Try {
    rollout: Name,
    attempt: AttemptId,
    manifest: Digest,
    retry: u32,
    by: By,
    /// SHA-256 of the JSON of what ran.
    before: Digest,
    outcome: Option<Outcome>,
}

/// Who began a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum By {
    Plan,
    Server,
}

impl Memory {
    /// What the store holds; what does not read is as nothing: the rollback floors and
    /// the list of failed releases stand all the same.
    pub(super) fn load(store: &impl Store) -> Self {
        let bytes = store.read(NAME).ok().flatten();
        bytes.and_then(|bytes| tree::from_json(&bytes).ok()).unwrap_or_default()
    }

    pub(super) fn save(&self, store: &mut impl Store) -> io::Result<()> {
        store.replace(NAME, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// The newest plan that is known to have been seen.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// A plan was seen. Whether that is worth a write: it is for every change of the
    /// rollouts, so that none is taken back, and else once an hour.
    pub(super) fn see(&mut self, version: u64, generation: u64) -> bool {
        let worth = generation != self.generation || version.saturating_sub(self.version) >= STEP;
        if worth {
            (self.version, self.generation) = (version, generation);
        }
        worth
    }

    /// The last try of each rollout, as far as this terminal knows of it.
    pub(super) fn attempts(&self, plan: &StaticPlan, running: &Running) -> Vec<Attempt> {
        let mut known = BTreeSet::new();
        let newest_first = self.tries.iter().rev();
        let last = newest_first.filter(|tried| known.insert(&tried.rollout));
        last.map(|tried| tried.attempt(plan.track(&tried.rollout), running)).collect()
    }

    /// Begins the next try of a rollout.
    pub(super) fn begin(&mut self, track: &Track, me: &Heartbeat) -> AttemptId {
        let last = self.tries.iter().rev().find(|tried| tried.rollout == track.rollout);
        let retry = last.map_or(0, |last| last.retry.saturating_add(1));
        let attempt = AttemptId::new(track.rollout.as_str(), &me.device, retry);
        self.put(Try::new(track, retry, By::Plan, me));
        attempt
    }

    /// Takes note of what the server ordered, if it is of a rollout of the plan.
    /// Whether it was new.
    pub(super) fn note(&mut self, plan: &StaticPlan, attempt: AttemptId, me: &Heartbeat) -> bool {
        if self.by(attempt).is_some() {
            return false;
        }
        let retries = || 0..=u32::from(RETRIES_LIMIT);
        let all = plan.plan.tracks.iter().flat_map(|track| retries().map(move |n| (track, n)));
        let mut tries = all.map(|(track, retry)| Try::new(track, retry, By::Server, me));
        let Some(tried) = tries.find(|tried| tried.attempt == attempt) else { return false };
        self.put(tried);
        true
    }

    /// A try ended. Whether that was new.
    pub(super) fn end(&mut self, report: &Report) -> bool {
        let found = self.tries.iter_mut().find(|tried| tried.attempt == report.attempt);
        let Some(tried) = found.filter(|tried| tried.outcome != Some(report.outcome)) else {
            return false;
        };
        tried.outcome = Some(report.outcome);
        true
    }

    /// Who began this attempt, if it is remembered.
    pub(super) fn by(&self, attempt: AttemptId) -> Option<By> {
        self.tried(attempt).map(|tried| tried.by)
    }

    /// The rollout of this attempt.
    pub(super) fn rollout(&self, attempt: AttemptId) -> Option<&Name> {
        self.tried(attempt).map(|tried| &tried.rollout)
    }

    /// Whether this is not the first attempt in its rollout.
    pub(super) fn is_retry(&self, attempt: AttemptId) -> bool {
        self.tried(attempt).is_some_and(|tried| tried.retry > 0)
    }

    fn tried(&self, attempt: AttemptId) -> Option<&Try> {
        self.tries.iter().find(|tried| tried.attempt == attempt)
    }

    fn put(&mut self, tried: Try) {
        if self.tries.len() >= TRIES_MAX {
            self.tries.remove(0);
        }
        self.tries.push(tried);
    }
}

impl Try {
    fn new(track: &Track, retry: u32, by: By, me: &Heartbeat) -> Self {
        Self {
            rollout: track.rollout.clone(),
            attempt: AttemptId::new(track.rollout.as_str(), &me.device, retry),
            manifest: track.release.manifest,
            retry,
            by,
            before: fingerprint(&me.running),
            outcome: None,
        }
    }

    /// The try as the rules see it. They are told what a server would have been: the
    /// report, and what the next heartbeat showed.
    fn attempt(&self, track: Option<&Track>, running: &Running) -> Attempt {
        let shows = match track {
            Some(track) if runs(&track.images, running) => Shows::New,
            _ if fingerprint(running) == self.before => Shows::Old,
            _ => Shows::Other,
        };
        let events = self.outcome.map(|outcome| [Event::Report(outcome), Event::Heartbeat(shows)]);
        let standing = events.into_iter().flatten().fold(Standing::Offered, Standing::next);
        let (rollout, id, retry) = (self.rollout.clone(), self.attempt, self.retry);
        Attempt { rollout, id, manifest: self.manifest, retry, standing }
    }
}

fn fingerprint(running: &Running) -> Digest {
    Digest::of(&serde_json::to_vec(running).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::store::Directory;
    use fleet::{Audience, Busy, Fit, Gate, Plan, Terms};
    use types::{ComponentState, Release, Slot, Spent, Text, Timestamp};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn track(rollout: &str) -> Track {
        let (product, manifest) = (name("router"), Digest::of(b"2"));
        Track {
            rollout: name(rollout),
            release: Release { product, version: name("2"), rollback_index: 2, manifest },
            images: [(name("rootfs"), manifest)].into(),
            audience: Audience::everyone(name("router")),
            fit: Fit::default(),
            terms: Terms::default(),
            started: Timestamp(0),
            gate: Gate::Open,
            wave: 1,
            share: 10_000,
            wave_room: 1,
            flight_room: 1,
            busy: Busy::default(),
            full_sites: BTreeSet::new(),
        }
    }

    fn plan() -> StaticPlan {
        let tracks = vec![track("spring"), track("summer")];
        StaticPlan {
            format: 1,
            version: 1,
            expires: Timestamp(0),
            product: name("router"),
            channel: None,
            poll_seconds: 60,
            plan: Plan { generation: 1, good_until: Timestamp(0), tracks },
            asks: std::collections::BTreeMap::new(),
            uncounted: std::collections::BTreeMap::new(),
            coverage: fleet::static_plan::Coverage::Whole,
            aside: fleet::static_plan::Aside::default(),
            releases: Vec::new(),
        }
    }

    fn me(version: &str) -> Heartbeat {
        let state =
            ComponentState { version: name(version), image: Digest::of(version.as_bytes()) };
        Heartbeat {
            device: name("cpe-1"),
            product: name("router"),
            hardware: name("r1"),
            variant: None,
            region: None,
            slot: Slot::A,
            running: [(name("rootfs"), state)].into(),
            memory_class_mib: 8,
            phase: engine::Phase::Idle,
            attempt: None,
            progress: (0, 0),
            waiting: None,
        }
    }

    fn report(attempt: AttemptId, outcome: Outcome) -> Report {
        Report {
            attempt,
            source: name("plan"),
            outcome,
            detail: Text::default(),
            version: None,
            spent: Spent::default(),
            failed_boots: 0,
        }
    }

    #[test]
    fn a_plan_is_written_down_when_rollouts_change_and_once_an_hour() {
        let mut memory = Memory::default();
        let seen = [(10, 1, true), (20, 1, false), (30, 2, true), (40, 2, false)];
        for (version, generation, worth) in seen {
            assert_eq!(memory.see(version, generation), worth, "{version}");
        }
        assert!(memory.see(30 + STEP, 2));
        assert_eq!(memory.version(), 30 + STEP);
    }

    #[test]
    fn what_was_tried_survives_and_ends_as_a_server_would_see_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Directory::open(dir.path()).unwrap();
        let check = |memory: &Memory, version: &str, retry, standing| {
            let attempts = memory.attempts(&plan(), &me(version).running);
            assert_eq!(attempts.len(), 1);
            assert_eq!((attempts[0].retry, attempts[0].standing), (retry, standing), "{version}");
        };
        let mut memory = Memory::load(&store);
        let first = memory.begin(&track("spring"), &me("1"));
        assert_eq!(first, AttemptId::new("spring", &name("cpe-1"), 0));
        check(&memory, "1", 0, Standing::Offered);
        assert!(memory.end(&report(first, Outcome::Unreachable)));
        assert!(!memory.end(&report(first, Outcome::Unreachable)), "it is known already");
        check(&memory, "1", 0, Standing::Failed(Outcome::Unreachable));
        let second = memory.begin(&track("spring"), &me("1"));
        assert!(memory.is_retry(second) && !memory.is_retry(first));
        memory.end(&report(second, Outcome::Ok));
        memory.save(&mut store).unwrap();
        let memory = Memory::load(&store);
        check(&memory, "2", 1, Standing::Confirmed);
        check(&memory, "1", 1, Standing::Reverted);
        check(&memory, "3", 1, Standing::Reported);
    }

    #[test]
    fn what_the_server_orders_is_known_by_its_id() {
        let mut memory = Memory::default();
        let order = AttemptId::new("summer", &name("cpe-1"), 3);
        assert!(memory.note(&plan(), order, &me("1")));
        assert!(!memory.note(&plan(), order, &me("1")));
        assert_eq!((memory.by(order), memory.is_retry(order)), (Some(By::Server), true));
        let other = AttemptId::new("autumn", &name("cpe-1"), 0);
        assert!(!memory.note(&plan(), other, &me("1")));
    }
}
