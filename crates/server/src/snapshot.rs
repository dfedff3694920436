//! The rollouts and the plan made of them, in memory, as one value.

use crate::catalogue::Catalogue;
use crate::roster::{Roster, Shared, lock};
use crate::store::StoredRollout;
use fleet::Plan;
use fleet::operator::{Rollout, State, exposure_limit, track};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use types::{Name, Seconds, Text, Timestamp};

/// How long a plan is good for without being checked against the store: no replica
/// goes on offering for longer after another one wrote a halt.
pub(crate) const LEASE: Seconds = Seconds(5);
/// The most started rollouts that are asked, last started first. Older ones ended
/// long ago; their terminals are served by the newer ones.
const TRACKS: usize = 256;

/// A rollout with what only people ask for.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// What the rules see.
    pub(crate) rollout: Rollout,
    /// For people.
    pub(crate) name: Text,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// Who brought it to its state.
    pub(crate) who: Text,
    /// Since when it is there.
    pub(crate) since: Timestamp,
}

impl Course {
    /// The course of a stored rollout, if its release is still published.
    pub(crate) fn of(stored: StoredRollout, catalogue: &Catalogue) -> Option<Self> {
        let published = catalogue.find(stored.manifest)?;
        let rollout = Rollout {
            id: stored.id,
            release: published.release.clone(),
            images: published.images.clone(),
            audience: stored.audience,
            waves: stored.waves,
            halt: stored.halt,
            in_flight: stored.in_flight,
            fit: published.rules.fit.clone(),
            terms: stored.terms,
            started: stored.started,
            state: stored.state,
            why: stored.why,
            wave: stored.wave,
            opened: stored.opened,
            tally: stored.tally,
        };
        let StoredRollout { name, made, who, since, .. } = stored;
        Some(Self { rollout, name, made, who, since })
    }
}

/// Everything that answers are made of, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Every rollout, by id.
    pub(crate) courses: BTreeMap<Name, Course>,
    /// How many terminals each rollout is for.
    pub(crate) audiences: BTreeMap<Name, u32>,
    /// How many terminals update at each site, of rollouts that limit sites.
    pub(crate) sites: BTreeMap<Name, BTreeMap<Text, u32>>,
    /// What follows for terminals.
    pub(crate) plan: Plan,
}

impl Snapshot {
    /// A snapshot of these rollouts that offers nothing yet.
    pub(crate) fn new(courses: Vec<Course>, generation: u64) -> Self {
        let courses = courses.into_iter().map(|c| (c.rollout.id.clone(), c)).collect();
        let good_until = Timestamp(i64::MIN);
        let plan = Plan { generation, good_until, tracks: Vec::new() };
        Self { courses, audiences: BTreeMap::new(), sites: BTreeMap::new(), plan }
    }

    /// Counts every audience. Terminals are locked meanwhile, so this is never done
    /// inside of a change to the shared snapshot.
    pub(crate) fn count(&self, roster: &Roster) -> BTreeMap<Name, u32> {
        let terminals = roster.all();
        let rollouts = self.courses.values().map(|course| &course.rollout);
        rollouts.map(|rollout| (rollout.id.clone(), audience(rollout, &terminals))).collect()
    }

    /// The started rollouts that are asked, last started first.
    pub(crate) fn started(&self) -> impl Iterator<Item = &Course> {
        let mut started: Vec<&Course> =
            self.courses.values().filter(|course| course.rollout.started.is_some()).collect();
        started.sort_by_key(|course| Reverse((course.rollout.started, course.rollout.id.clone())));
        started.into_iter().take(TRACKS)
    }

    /// Makes the plan anew from the rollouts.
    pub(crate) fn compile(&mut self) {
        self.plan.tracks = self
            .started()
            .filter_map(|course| {
                let rollout = &course.rollout;
                track(rollout, self.audience(&rollout.id), self.full_sites(rollout))
            })
            .collect();
    }

    /// The sites at which no more may start.
    fn full_sites(&self, rollout: &Rollout) -> BTreeSet<Text> {
        let limit = rollout.terms.site.as_ref().map(|site| site.in_flight);
        let sites = self.sites.get(&rollout.id).into_iter().flatten();
        let full = |(_, count): &(&Text, &u32)| limit.is_some_and(|limit| **count >= limit);
        sites.filter(full).map(|(site, _)| site.clone()).collect()
    }

    /// How many terminals `rollout` is for.
    pub(crate) fn audience(&self, rollout: &Name) -> u32 {
        self.audiences.get(rollout).copied().unwrap_or(0)
    }

    /// The most terminals that `rollout` may let out now.
    pub(crate) fn limit(&self, rollout: &Rollout) -> u32 {
        exposure_limit(rollout, self.audience(&rollout.id))
    }

    /// The plan is known to be fresh at `now`.
    pub(crate) fn renew(&mut self, now: Timestamp) {
        self.plan.good_until = now.after(LEASE);
    }
}

/// How many of `terminals` the rollout is for.
pub(crate) fn audience(rollout: &Rollout, terminals: &[Shared]) -> u32 {
    let belongs = |terminal: &&Shared| lock(terminal).ask(|device| belongs(rollout, device));
    u32::try_from(terminals.iter().filter(belongs).count()).unwrap_or(u32::MAX)
}

/// Whether a terminal counts as one of the rollout's audience: it had the offer, or
/// the rule is about it and it does not run the release by other means.
fn belongs(rollout: &Rollout, device: &fleet::DeviceFacts<'_>) -> bool {
    if rollout.state == State::Draft {
        return false;
    }
    let had = device.attempts.iter().any(|attempt| attempt.rollout == rollout.id);
    let wants =
        || rollout.mismatch(device).is_none() && !fleet::runs(&rollout.images, device.running);
    had || wants()
}
