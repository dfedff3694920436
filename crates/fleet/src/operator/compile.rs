//! From rollouts to the plan that terminals read by themselves.

use super::tend::{EVEN_AUDIENCE, exposure_limit, track};
use super::{Rollout, Size};
use crate::filter::{Filter, Key, Node};
use crate::static_plan::{
    Aside, Asks, Coverage, FORMAT, PLAIN_FORMAT, RECOGNISED_LIMIT, Recognised, STATIC_TRACKS_LIMIT,
    StaticPlan,
};
use crate::{BUCKETS, Busy, Plan, Schedule, Track};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use types::{Abroad, DeviceId, Elsewhere, Latecomers, Name, Timestamp};

/// What a static plan is made of, beside its rollouts.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// For terminals of which product.
    pub product: Name,
    /// That follow which channel.
    pub channel: Option<Name>,
    /// When it is made.
    pub made: Timestamp,
    /// After this time it offers nothing.
    pub expires: Timestamp,
    /// The generation of the rollouts.
    pub generation: u64,
    /// How soon terminals read it again.
    pub poll_seconds: u32,
    /// The releases that terminals of the product may run, last published first.
    pub releases: Vec<Recognised>,
    /// Terminals of which only the server knows enough.
    pub aside: Vec<&'a DeviceId>,
}

/// The plan of these rollouts, each with the number of terminals that it is for. They
/// come last started first.
pub fn compile(draft: &Draft<'_>, rollouts: &[(&Rollout, u32)]) -> StaticPlan {
    let of_product = |rollout: &&Rollout| rollout.audience.product == draft.product;
    let own = rollouts.iter().filter(|(rollout, _)| of_product(rollout));
    let sheets: Vec<Sheet> =
        own.filter_map(|(rollout, audience)| Sheet::of(rollout, *audience)).collect();
    let coverage =
        if sheets.len() > STATIC_TRACKS_LIMIT { Coverage::Newest } else { Coverage::Whole };
    let (mut asks, mut uncounted, mut tracks) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for sheet in sheets.into_iter().take(STATIC_TRACKS_LIMIT) {
        let id = sheet.track.rollout.clone();
        asks.extend(sheet.asks.map(|why| (id.clone(), why)));
        uncounted.extend(sheet.uncounted.map(|share| (id, share)));
        tracks.push(sheet.track);
    }
    let recognised = draft.releases.iter().take(RECOGNISED_LIMIT);
    let regional = tracks.iter().any(|track| !track.fit.regions.is_empty());
    StaticPlan {
        format: if regional { FORMAT } else { PLAIN_FORMAT },
        version: u64::try_from(draft.made.0).unwrap_or(0).max(1),
        expires: draft.expires,
        product: draft.product.clone(),
        channel: draft.channel.clone(),
        poll_seconds: draft.poll_seconds,
        plan: Plan { generation: draft.generation, good_until: draft.expires, tracks },
        asks,
        uncounted,
        coverage,
        aside: Aside::of(draft.aside.iter().copied()),
        releases: recognised.cloned().collect(),
    }
}

/// Why terminals that start in `rollout` must ask the server, if they must.
pub fn asks(rollout: &Rollout, audience: u32) -> Option<Asks> {
    Sheet::of(rollout, audience)?.asks
}

/// One rollout of a static plan.
struct Sheet {
    track: Track,
    asks: Option<Asks>,
    uncounted: Option<u16>,
}

impl Sheet {
    /// The rollout with every rule left out that a terminal cannot judge, and the
    /// strongest reason to ask for it.
    fn of(rollout: &Rollout, audience: u32) -> Option<Self> {
        let mut track = track(rollout, audience, BTreeSet::new())?;
        let counted = !is_shared_out(rollout, audience, &track);
        let reasons = [
            leave_out_labels(&mut track),
            leave_out_freeze(&mut track),
            leave_out_site(&mut track),
            leave_out_hours(&mut track),
            leave_out_downloads(&mut track),
            counted.then_some(Asks::Counted),
        ];
        let asks = reasons.into_iter().flatten().next();
        let uncounted = (asks == Some(Asks::Counted)).then(|| share(rollout, audience));
        Some(Self { track, asks, uncounted })
    }
}

/// Whether buckets alone bound the open wave, so that nobody needs to be counted.
fn is_shared_out(rollout: &Rollout, audience: u32, track: &Track) -> bool {
    let left = audience.saturating_sub(rollout.tally.exposed);
    let everybody = audience > 0 && track.wave_room >= left;
    let flies = track.flight_room >= track.wave_room.min(left);
    let size = rollout.waves.get(rollout.wave).map(|wave| wave.size);
    let even = match size {
        Some(Size::Percent(100..)) => true,
        Some(Size::Percent(_)) => audience >= EVEN_AUDIENCE,
        _ => false,
    };
    flies && (everybody || even)
}

/// The share of terminals that nobody counts: that of the open wave.
fn share(rollout: &Rollout, audience: u32) -> u16 {
    if let Some(Size::Percent(percent)) = rollout.waves.get(rollout.wave).map(|wave| wave.size) {
        return u16::from(percent.min(100)).saturating_mul(BUCKETS / 100);
    }
    let limit = u64::from(exposure_limit(rollout, audience));
    let part = (limit * u64::from(BUCKETS)).checked_div(audience.into()).unwrap_or(0);
    u16::try_from(part).map_or(BUCKETS, |part| part.min(BUCKETS))
}

/// Terminals do not know what their operator says of them, but for their channel.
fn leave_out_labels(track: &mut Track) -> Option<Asks> {
    let audience = &mut track.audience;
    let mut left_out = take_labelled(&mut audience.filter) | take_labelled(&mut track.fit.needs);
    let regional = !audience.regions.is_empty() || !track.fit.regions.is_empty();
    if audience.abroad == Abroad::Home && regional {
        audience.regions.clear();
        left_out = true;
        // Whom the server takes for one of the release's regions is not kept out here.
        audience.outside = Elsewhere::Allow;
    }
    left_out |= matches!(audience.abroad, Abroad::Ask | Abroad::Nothing);
    audience.abroad = Abroad::Used;
    left_out.then_some(Asks::Labels)
}

fn take_labelled(filter: &mut Option<Filter>) -> bool {
    filter.take_if(|filter| is_labelled(filter.node())).is_some()
}

fn is_labelled(node: &Node) -> bool {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().any(is_labelled),
        Node::Test(key, _) => {
            matches!(key, Key::Home | Key::Abroad | Key::Tag | Key::Group | Key::Attribute(_))
        }
    }
}

/// Nor when they were enrolled.
fn leave_out_freeze(track: &mut Track) -> Option<Asks> {
    let frozen = track.terms.latecomers == Latecomers::LeftOut;
    track.terms.latecomers = Latecomers::Included;
    frozen.then_some(Asks::Frozen)
}

/// Nor at which site they are.
fn leave_out_site(track: &mut Track) -> Option<Asks> {
    track.terms.site.take().map(|_| Asks::Site)
}

/// Nor how many download.
fn leave_out_downloads(track: &mut Track) -> Option<Asks> {
    let limit = core::mem::take(&mut track.terms.downloads);
    track.busy = Busy::default();
    (!limit.is_none()).then_some(Asks::Counted)
}

/// Nor the rules of zones that are named.
fn leave_out_hours(track: &mut Track) -> Option<Asks> {
    let schedule = &mut track.terms.schedule;
    let zone = schedule.zone.as_ref();
    if !schedule.is_local() {
        schedule.zone = None;
        return None;
    }
    if zone.is_none_or(crate::Zone::is_rule) {
        return None;
    }
    *schedule = Schedule { starts: schedule.starts, ..Schedule::default() };
    Some(Asks::Hours)
}
