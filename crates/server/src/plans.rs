//! Static plans: made when rollouts change and long before the last ones end, signed,
//! and kept ready. Nothing is done per terminal that reads one.
//!
//! Plans are made from memory that is fresh only: a server that does not reach its
//! database signs nothing new, and what it signed ends by itself.

use crate::catalogue::Published;
use crate::roster::lock;
use crate::server::Server;
use crate::snapshot::Snapshot;
use fleet::filter::{Ask, Filter, Key, Node};
use fleet::operator::{Draft, Rollout, compile};
use fleet::static_plan::{Asks, Recognised, StaticPlan};
use fleet::{Gate, Track};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use trust::{SigningKey, TrustError, seal_statement};
use types::{DeviceId, Digest, Name, Seconds, Timestamp};

/// How often plans are made anew, at most and at least.
const RENEWED: std::ops::RangeInclusive<u32> = 1..=60;
/// A plan is renewed when this part of its time is over.
const PART: u32 = 4;
/// The most cohorts: each costs a signature, and may come from what operators type.
const COHORTS: usize = 1024;

/// Everybody whom one plan is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cohort {
    /// Of which product they are.
    pub(crate) product: Name,
    /// Which channel they follow, if one.
    pub(crate) channel: Option<Name>,
}

impl Cohort {
    /// The name of its plan among files.
    pub(crate) fn path(&self) -> String {
        let channel = self.channel.as_ref().map_or("-", Name::as_str);
        format!("p/{}/{channel}.json", self.product)
    }
}

/// A signed plan.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// For whom.
    pub(crate) cohort: Cohort,
    /// Its exact bytes.
    pub(crate) bytes: bytes::Bytes,
    /// Names its content.
    pub(crate) etag: String,
    /// After this time it offers nothing.
    pub(crate) expires: Timestamp,
    /// Its rollouts, each with the reason to ask the server for it.
    pub(crate) rollouts: Vec<(Name, Option<Asks>)>,
}

/// The published releases.
type Known = Arc<[Arc<Published>]>;

/// The plans that are ready.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    made: Option<Timestamp>,
    generation: u64,
    /// The published releases that they know of.
    known: Option<Known>,
    leaves: BTreeMap<String, Leaf>,
    releases: BTreeSet<Digest>,
}

impl Shelf {
    /// The plan of this path.
    pub(crate) fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.get(path)
    }

    /// All of them.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.values()
    }

    /// Whether it is made of these rollouts and releases.
    fn shows(&self, snapshot: &Snapshot, known: &Known) -> bool {
        let same = self.known.as_ref().is_some_and(|own| Arc::ptr_eq(own, known));
        same && self.generation == snapshot.plan.generation
    }

    /// Whether a plan offers the release with this manifest.
    pub(crate) fn offers(&self, manifest: Digest) -> bool {
        self.releases.contains(&manifest)
    }

    /// The releases that plans offer.
    pub(crate) fn releases(&self) -> impl Iterator<Item = Digest> {
        self.releases.iter().copied()
    }
}

/// What makes plans.
#[derive(Debug)]
pub(crate) struct Press {
    key: SigningKey,
    good_for: Seconds,
    shelf: RwLock<Arc<Shelf>>,
}

impl Press {
    /// Signs with `key` plans that are good for so long.
    pub(crate) fn new(key: SigningKey, good_for: Seconds) -> Self {
        Self { key, good_for, shelf: RwLock::default() }
    }

    /// The public half of its key, in hex digits.
    pub(crate) fn key(&self) -> String {
        self.key.public().to_string()
    }

    /// How long a plan is good for.
    pub(crate) fn good_for(&self) -> Seconds {
        self.good_for
    }

    /// How often plans are made anew.
    pub(crate) fn every(&self) -> Seconds {
        Seconds((self.good_for.0 / PART).clamp(*RENEWED.start(), *RENEWED.end()))
    }

    /// The plans that are ready.
    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// When plans that are made at `now` say they were made, if they are due. Servers
    /// that share a fleet say the same, but for changes.
    fn due(&self, snapshot: &Snapshot, known: &Known, now: Timestamp) -> Option<Timestamp> {
        let every = i64::from(self.every().0) * 1000;
        let turn = Timestamp(now.0.div_euclid(every) * every);
        let shelf = self.shelf();
        match shelf.made {
            Some(made) if made >= turn && shelf.shows(snapshot, known) => None,
            Some(made) if made >= turn => Some(now.max(Timestamp(made.0.saturating_add(1)))),
            _ => Some(turn),
        }
    }
}

impl Server {
    /// Makes the plans anew, when that is due.
    pub(crate) fn renew_plans(&self, now: Timestamp) -> Result<(), TrustError> {
        let Some(press) = self.plans.get() else { return Ok(()) };
        let snapshot = self.snapshot();
        if now > snapshot.plan.good_until {
            return Ok(());
        }
        let known = self.catalogue.all();
        let Some(made) = press.due(&snapshot, &known, now) else { return Ok(()) };
        let courses = snapshot.started();
        let rollouts: Vec<(&Rollout, u32)> =
            courses.map(|c| (&c.rollout, snapshot.audience(&c.rollout.id))).collect();
        let mut leaves = BTreeMap::new();
        for (cohort, aside) in self.cohorts(&rollouts).into_iter().take(COHORTS) {
            let draft = Draft {
                product: cohort.product.clone(),
                channel: cohort.channel.clone(),
                made,
                expires: made.after(press.good_for),
                generation: snapshot.plan.generation,
                poll_seconds: self.settings.poll_seconds,
                releases: self.recognised(&cohort.product),
                aside: aside.iter().collect(),
            };
            let plan = compile(&draft, &rollouts);
            leaves.insert(cohort.path(), leaf(cohort, &plan, &press.key)?);
        }
        let tracks = snapshot.plan.tracks.iter();
        let offered = tracks.filter(|track: &&Track| !matches!(track.gate, Gate::Halted(_)));
        let releases = offered.map(|track| track.release.manifest).collect();
        let generation = snapshot.plan.generation;
        let shelf = Shelf { made: Some(made), generation, known: Some(known), leaves, releases };
        *press.shelf.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shelf);
        Ok(())
    }

    /// Who reads plans, with those of whom only this server knows enough: the pinned
    /// ones, and who is to try anew.
    fn cohorts(&self, rollouts: &[(&Rollout, u32)]) -> BTreeMap<Cohort, Vec<DeviceId>> {
        let mut cohorts: BTreeMap<Cohort, Vec<DeviceId>> = BTreeMap::new();
        for published in self.catalogue.all().iter() {
            let product = published.release.product.clone();
            cohorts.entry(Cohort { product, channel: None }).or_default();
        }
        for (rollout, _) in rollouts {
            for channel in channels(rollout.audience.filter.as_ref()) {
                let product = rollout.audience.product.clone();
                cohorts.entry(Cohort { product, channel: Some(channel) }).or_default();
            }
        }
        for terminal in self.roster.all() {
            let locked = lock(&terminal);
            let labels = locked.stored.labels();
            let product = locked.stored.facts.product.clone();
            let cohort = Cohort { product, channel: labels.channel.clone() };
            let again =
                |t: &crate::roster::Tried| t.stored.retry > 0 && t.stored.standing.is_open();
            let aside = cohorts.entry(cohort).or_default();
            if labels.pin.is_some() || locked.tries.iter().any(again) {
                aside.push(locked.stored.device.clone());
            }
        }
        cohorts
    }

    /// The releases that terminals of `product` may run.
    fn recognised(&self, product: &Name) -> Vec<Recognised> {
        let all = self.catalogue.all();
        let own = all.iter().filter(|published| published.release.product == *product);
        let known = own.map(|published| Recognised {
            release: published.release.clone(),
            images: published.images.clone(),
        });
        known.collect()
    }
}

fn leaf(cohort: Cohort, plan: &StaticPlan, key: &SigningKey) -> Result<Leaf, TrustError> {
    let sealed = seal_statement(plan, key)?;
    let etag: String = Digest::of(sealed.bytes()).to_string().chars().take(32).collect();
    let asks = |track: &Track| (track.rollout.clone(), plan.asks.get(&track.rollout).copied());
    Ok(Leaf {
        cohort,
        etag: format!("\"{etag}\""),
        expires: plan.expires,
        rollouts: plan.plan.tracks.iter().map(asks).collect(),
        bytes: sealed.0.into_vec().into(),
    })
}

/// The channels that a filter names: terminals may follow them whom nobody knows yet.
fn channels(filter: Option<&Filter>) -> Vec<Name> {
    let mut out = Vec::new();
    let mut rest: Vec<&Node> = filter.map(Filter::node).into_iter().collect();
    while let Some(node) = rest.pop() {
        match node {
            Node::All(nodes) | Node::Any(nodes) => rest.extend(nodes),
            Node::Test(Key::Channel, Ask::In(patterns)) => {
                let whole = patterns.iter().filter_map(|pattern| match &pattern.0[..] {
                    [only] => only.parse().ok(),
                    _ => None,
                });
                out.extend(whole);
            }
            Node::Test(..) => {}
        }
    }
    out
}
