//! The rollouts and the plan made of them, in memory, as one value.

use crate::catalogue::Catalogue;
use crate::roster::{Roster, Shared, Terminal, lock};
use crate::store::{Downloading, StoredRollout, counted};
use fleet::operator::{Rollout, State, exposure_limit, track};
use fleet::{Busy, Places, Plan, Terms, Track};
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
            prepared: stored.prepared,
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
    /// How many terminals each rollout is for, as far as they were counted.
    pub(crate) audiences: BTreeMap<Name, u32>,
    /// How many terminals update at each site, of rollouts that limit sites.
    pub(crate) sites: BTreeMap<Name, BTreeMap<Text, u32>>,
    /// Who downloads, of rollouts that bound downloads.
    pub(crate) downloads: Downloading,
    /// What follows for terminals.
    pub(crate) plan: Plan,
}

impl Snapshot {
    /// A snapshot of these rollouts that offers nothing yet.
    pub(crate) fn new(courses: Vec<Course>, generation: u64) -> Self {
        let courses = courses.into_iter().map(|c| (c.rollout.id.clone(), c)).collect();
        let good_until = Timestamp(i64::MIN);
        let plan = Plan { generation, good_until, tracks: Vec::new() };
        let (audiences, sites, downloads) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { courses, audiences, sites, downloads, plan }
    }

    /// Takes a rollout, new or changed. If it is for others than before, they are to be
    /// counted.
    pub(crate) fn take(&mut self, course: Course) {
        let known = self.courses.get(&course.rollout.id);
        if known.is_none_or(|known| !is_for_the_same(&known.rollout, &course.rollout)) {
            self.audiences.remove(&course.rollout.id);
        }
        self.courses.insert(course.rollout.id.clone(), course);
    }

    /// Counts the audiences that are not counted yet. Terminals are locked meanwhile, so
    /// this is never done inside of a change to the shared snapshot.
    pub(crate) fn count(&self, roster: &Roster) -> BTreeMap<Name, u32> {
        let missing = |rollout: &&Rollout| !self.audiences.contains_key(&rollout.id);
        let rollouts = self.courses.values().map(|course| &course.rollout).filter(missing);
        rollouts.map(|rollout| (rollout.id.clone(), audience(rollout, roster))).collect()
    }

    /// The rollouts that a terminal counts to.
    pub(crate) fn audiences_of(&self, terminal: &Terminal) -> Vec<&Name> {
        let rollouts = self.courses.values().map(|course| &course.rollout);
        terminal.ask(|device| {
            rollouts.filter(|rollout| belongs(rollout, device)).map(|r| &r.id).collect()
        })
    }

    /// Terminals changed: so many more or less count to these rollouts.
    pub(crate) fn drift(&mut self, drift: &BTreeMap<Name, i64>) {
        for (rollout, more) in drift {
            if let Some(count) = self.audiences.get_mut(rollout) {
                let new = i64::from(*count).saturating_add(*more).max(0);
                *count = u32::try_from(new).unwrap_or(u32::MAX);
            }
        }
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
                let track = track(rollout, self.audience(&rollout.id), self.full_sites(rollout))?;
                Some(Track { busy: self.busy(rollout), ..track })
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

    /// Where no more may begin to download.
    fn busy(&self, rollout: &Rollout) -> Busy {
        let places = rollout.terms.places();
        let known = self.downloads.get(&rollout.id).filter(|_| !places.is_none());
        let Some(known) = known else { return Busy::default() };
        let (all, _) = counted(known, None);
        let mut sites: BTreeSet<Text> = known.values().flatten().cloned().collect();
        sites.retain(|site| !places.room(0, counted(known, Some(site)).1));
        Busy { all: !places.room(all, 0), sites }
    }

    fn terms(&self, rollout: &Name) -> Option<&Terms> {
        self.courses.get(rollout).map(|course| &course.rollout.terms)
    }

    /// How many may download at once in `rollout`.
    pub(crate) fn places(&self, rollout: &Name) -> Places {
        self.terms(rollout).map(Terms::places).unwrap_or_default()
    }

    /// Whether any rollout bounds downloads.
    pub(crate) fn bounds_downloads(&self) -> bool {
        self.courses.values().any(|course| !course.rollout.terms.places().is_none())
    }

    /// Bytes per second for each who downloads in `rollout` at `site`, if that is bounded:
    /// an equal share of what all have, and of what the site has.
    pub(crate) fn download_rate(&self, rollout: &Name, site: Option<&Text>) -> Option<u32> {
        let terms = self.terms(rollout)?;
        let known = self.downloads.get(rollout);
        let (all, here) = known.map_or((0, 0), |known| counted(known, site));
        let at_site = terms.site.as_ref().filter(|_| site.is_some());
        let at_site = at_site.and_then(|own| own.downloads.rate(here));
        terms.downloads.rate(all).into_iter().chain(at_site).min()
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

/// For how many terminals the rollout is.
pub(crate) fn audience(rollout: &Rollout, roster: &Roster) -> u32 {
    if rollout.state == State::Draft {
        return 0;
    }
    let terminals = roster.all();
    let belongs = |terminal: &&Shared| lock(terminal).ask(|device| belongs(rollout, device));
    u32::try_from(terminals.iter().filter(belongs).count()).unwrap_or(u32::MAX)
}

/// Whether both have the same audience, whatever terminals do. What a rollout is for
/// stays as it was made, but for its start and for what its release needs.
fn is_for_the_same(one: &Rollout, other: &Rollout) -> bool {
    let known = (one.state == State::Draft, one.started, &one.fit);
    known == (other.state == State::Draft, other.started, &other.fit)
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
