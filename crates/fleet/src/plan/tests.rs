//! One device, one plan, one answer; and what holds for every plan.

use super::*;
use crate::{BUCKETS, DownloadLimit, Labels, Schedule, SiteLimit, Standing};
use alloc::string::ToString;
use alloc::vec;
use alloc::{format, string::String};
use proptest::prelude::*;
use types::{ComponentState, Running};

mod regions;

const NOW: Timestamp = Timestamp(1_000_000);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn release(version: &str, rollback_index: u64) -> Release {
    let manifest = Digest::of(version.as_bytes());
    Release { product: name("router"), version: name(version), rollback_index, manifest }
}

fn image(version: &str) -> Digest {
    Digest::of(format!("image of {version}").as_bytes())
}

fn running(version: &str) -> Running {
    let state = ComponentState { version: name(version), image: image(version) };
    [(name("rootfs"), state)].into()
}

fn track(rollout: &str, version: &str, index: u64) -> Track {
    Track {
        rollout: name(rollout),
        release: release(version, index),
        images: [(name("rootfs"), image(version))].into(),
        audience: Audience::everyone(name("router")),
        fit: Fit::default(),
        terms: Terms::default(),
        started: Timestamp(0),
        gate: Gate::Open,
        wave: 1,
        share: BUCKETS,
        wave_room: 10,
        flight_room: 10,
        busy: Busy::default(),
        full_sites: BTreeSet::new(),
    }
}

fn plan(tracks: Vec<Track>) -> Plan {
    Plan { generation: 1, good_until: NOW, tracks }
}

/// A device of the fleet that runs version 1, with room for one change.
#[derive(Debug)]
struct Device {
    id: Name,
    product: Name,
    region: Option<Name>,
    running: Running,
    release: Option<Release>,
    labels: Labels,
    abilities: Vec<Name>,
    enrolled: Timestamp,
    attempts: Vec<Attempt>,
}

fn device() -> Device {
    Device {
        id: name("cpe-1"),
        product: name("router"),
        region: None,
        running: running("1"),
        release: Some(release("1", 1)),
        labels: Labels::default(),
        abilities: vec![],
        enrolled: Timestamp(0),
        attempts: vec![],
    }
}

impl Device {
    fn facts<'a>(&'a self, hardware: &'a Name) -> DeviceFacts<'a> {
        DeviceFacts {
            id: &self.id,
            product: &self.product,
            hardware,
            variant: None,
            region: self.region.as_ref(),
            running: &self.running,
            release: self.release.as_ref(),
            enrolled: self.enrolled,
            labels: &self.labels,
            abilities: &self.abilities,
            attempts: &self.attempts,
        }
    }

    fn on(mut self, version: &str, index: u64) -> Self {
        self.running = running(version);
        self.release = Some(release(version, index));
        self
    }

    fn tried(mut self, rollout: &str, standing: Standing) -> Self {
        let id = AttemptId::new(rollout, &self.id, 0);
        let manifest = Digest::default();
        self.attempts.push(Attempt { rollout: name(rollout), id, manifest, retry: 0, standing });
        self
    }
}

fn check(tracks: Vec<Track>, device: &Device, rule: &str, sentence: &str) {
    let (plan, hardware) = (plan(tracks), name("r1"));
    let answer = offer(&plan, &device.facts(&hardware), NOW);
    assert_eq!(answer.rule(), rule, "{answer}");
    assert!(answer.to_string().contains(sentence), "{answer}");
    assert_eq!(offer(&plan, &device.facts(&hardware), Timestamp(NOW.0 + 1)), Offer::Stale);
}

#[test]
fn a_device_gets_what_its_rollout_brings() {
    let two = || track("r2", "2", 2);
    check(vec![], &device(), "nothing", "no rollout was started");
    check(vec![two()], &device(), "install", "wave 1 of rollout r2 of router 2 is open");
    check(vec![two()], &device().on("2", 2), "up-to-date", "runs what rollout r2");
    check(vec![two()], &device().on("3", 3), "runs-newer", "newer release than rollout r2");
}

#[test]
fn what_bounds_a_wave_is_named() {
    let with = |share, wave_room, flight_room| {
        vec![Track { share, wave_room, flight_room, ..track("r2", "2", 2) }]
    };
    check(with(0, 1, 1), &device(), "not-yet", "open up to 0.00 %");
    check(with(BUCKETS, 0, 1), &device(), "wave-full", "as many terminals as it may");
    check(with(BUCKETS, 1, 0), &device(), "flight-full", "at once");
}

#[test]
fn who_is_not_meant_learns_why() {
    let mut south = track("r2", "2", 2);
    south.audience.regions = vec![name("south")];
    check(vec![south.clone()], &device(), "not-for", "is not for its region");
    let there = Device { region: Some(name("south")), ..device() };
    check(vec![south.clone()], &there, "install", "r2");
    check(vec![south, track("r1", "1.5", 1)], &device(), "install", "r1");
    let other = Device { product: name("phone"), ..device() };
    check(vec![track("r2", "2", 2)], &other, "not-for", "is not for its product");
    let mut from = track("r2", "2", 2);
    from.audience.running = vec![name("0.9")];
    check(vec![from.clone()], &device(), "not-for", "running version");
    let mut hardware = from;
    hardware.audience.hardware = vec![name("r9")];
    check(vec![hardware], &device(), "not-for", "hardware");
}

#[test]
fn the_last_started_rollout_decides_alone() {
    let paused = Track { gate: Gate::Paused("lunch".into()), ..track("r3", "3", 3) };
    check(
        vec![paused, track("r2", "2", 2)],
        &device(),
        "paused",
        "r3 of router 3 is paused: lunch",
    );
    let later = Timestamp(NOW.0 + 1000);
    let preparing = |until| Track { gate: Gate::Preparing(until), ..track("r3", "3", 3) };
    check(vec![preparing(later)], &device(), "preparing", "waits until deltas to it are made");
    check(vec![preparing(NOW)], &device(), "install", "is open for it");
    let halted = Track { gate: Gate::Halted("smoke".into()), ..track("r3", "3", 3) };
    check(vec![halted, track("r2", "2", 2)], &device(), "halted", "smoke");
}

#[test]
fn an_attempt_under_way_binds() {
    let busy = || device().tried("r2", Standing::Offered);
    let (two, three) = (track("r2", "2", 2), track("r3", "3", 3));
    check(vec![three.clone(), two.clone()], &busy(), "continue", "under way in rollout r2");
    let paused = Track { gate: Gate::Paused(Text::default()), ..two.clone() };
    check(vec![three.clone(), paused], &busy(), "continue", "r2");
    let halted = Track { gate: Gate::Halted(Text::default()), ..two.clone() };
    check(vec![three.clone(), halted.clone()], &busy(), "withdrawn", "r2");
    check(vec![halted], &device().tried("r2", Standing::Lost), "withdrawn", "r2");
    let full = Track { wave_room: 0, flight_room: 0, share: 0, ..two };
    check(vec![full.clone()], &busy(), "continue", "r2");
    let mut elsewhere = full;
    elsewhere.audience.regions = vec![name("south")];
    check(vec![elsewhere], &busy(), "continue", "r2");
}

#[test]
fn nothing_is_tried_twice_without_a_new_order() {
    let cases = [
        (Standing::Failed(Outcome::BootFailed), "failed-before", "did not boot"),
        (Standing::Reverted, "failed-before", "was not healthy"),
        (Standing::LostReported, "failed-before", "did not come back"),
        (Standing::Neutral(Outcome::Declined), "ended", "owner declined"),
        (Standing::Reported, "ended", "booted and confirmed"),
    ];
    for (standing, rule, sentence) in cases {
        check(vec![track("r2", "2", 2)], &device().tried("r2", standing), rule, sentence);
    }
    let failed = device().tried("r2", Standing::Failed(Outcome::BootFailed));
    check(vec![track("r9", "2", 2), track("r2", "2", 2)], &failed, "install", "r9");
}

#[test]
fn the_filter_and_the_needs_of_a_release_decide() {
    let with = |filter: &str| {
        let mut track = track("r2", "2", 2);
        track.audience.filter = Some(filter.parse().unwrap());
        vec![track]
    };
    check(with("version.rootfs<2"), &device(), "install", "r2");
    check(with("tag==pilot"), &device(), "not-for", "the filter does not hold");
    let labels = Labels { tags: [name("pilot")].into(), ..Labels::default() };
    check(with("tag==pilot"), &Device { labels, ..device() }, "install", "r2");
    let needs = |needs: &str| {
        let mut track = track("r2", "2", 2);
        track.fit.needs = Some(needs.parse().unwrap());
        vec![track]
    };
    check(needs("version.modem>=7"), &device(), "not-for", "not what the release needs");
    check(needs("version.rootfs>=1"), &device(), "install", "r2");
    check(needs("version.rootfs==1"), &device().on("2", 2), "up-to-date", "r2");
}

#[test]
fn an_agent_gets_nothing_that_it_would_overdo() {
    let mut track = track("r2", "2", 2);
    track.terms.mode = Mode::DownloadOnly;
    check(vec![track.clone()], &device(), "unable", "asks for download-only");
    let able = Device { abilities: vec![name("download-only")], ..device() };
    check(vec![track.clone()], &able, "install", "r2");
    track.terms.mode = Mode::Forced;
    check(vec![track], &device(), "install", "r2");
}

#[test]
fn a_release_is_for_the_hardware_that_its_maker_names() {
    let with = |hardware: &[&str], variants: &[&str]| {
        let mut track = track("r2", "2", 2);
        track.fit.hardware = hardware.iter().map(|text| name(text)).collect();
        track.fit.variants = variants.iter().map(|text| name(text)).collect();
        vec![track]
    };
    check(with(&["r1", "r2"], &[]), &device(), "install", "r2");
    check(with(&["r2"], &[]), &device(), "not-for", "its hardware");
    check(with(&["r1"], &["blue"]), &device(), "not-for", "its variant");
}

#[test]
fn a_pin_keeps_every_other_version_out() {
    let pinned = |version: &str| Device {
        labels: Labels { pin: Some(name(version)), ..Labels::default() },
        ..device()
    };
    check(vec![track("r2", "2", 2)], &pinned("1.5"), "not-for", "pin to another version");
    check(vec![track("r2", "2", 2), track("r1", "1.5", 1)], &pinned("1.5"), "install", "r1");
}

#[test]
fn a_frozen_audience_has_no_latecomers() {
    let with = |latecomers| {
        let mut track = Track { started: Timestamp(100), ..track("r2", "2", 2) };
        track.terms.latecomers = latecomers;
        vec![track]
    };
    let joined = |at| Device { enrolled: Timestamp(at), ..device() };
    check(with(Latecomers::LeftOut), &joined(100), "install", "r2");
    check(with(Latecomers::LeftOut), &joined(101), "not-for", "enrolment after the start");
    check(with(Latecomers::Included), &joined(101), "install", "r2");
}

#[test]
fn a_schedule_is_asked_by_who_has_not_started() {
    let with = |windows: &str| {
        let mut track = track("r2", "2", 2);
        let windows = vec![windows.parse().unwrap()];
        track.terms.schedule = Schedule { windows, ..Schedule::default() };
        vec![track]
    };
    // It is 1970-01-01 00:16:40 in UTC, and a quarter past one in Berlin.
    check(with("00:00-01:00"), &device(), "install", "r2");
    check(with("01:00-02:00"), &device(), "not-now", "again at 1970-01-01T01:00:00Z");
    let labels = Labels { zone: Some("Europe/Berlin".parse().unwrap()), ..Labels::default() };
    check(with("01:00-02:00"), &Device { labels, ..device() }, "install", "r2");
    let busy = device().tried("r2", Standing::Offered);
    check(with("01:00-02:00"), &busy, "continue", "r2");
}

#[test]
fn a_site_that_is_full_waits() {
    let mut limited = track("r2", "2", 2);
    limited.terms.site =
        Some(SiteLimit { by: name("olt"), in_flight: 1, downloads: DownloadLimit::default() });
    limited.full_sites = ["olt-7/1".into()].into();
    let at = |site: &str| Device {
        labels: Labels { attributes: [(name("olt"), site.into())].into(), ..Labels::default() },
        ..device()
    };
    check(vec![limited.clone()], &at("olt-7/1"), "site-full", "of its site");
    check(vec![limited.clone()], &at("olt-7/2"), "install", "r2");
    check(vec![limited], &device(), "install", "r2");
}

#[test]
fn nobody_starts_where_as_many_download_as_may() {
    let mut limited = track("r2", "2", 2);
    let downloads = DownloadLimit { at_once: Some(1), megabits: None };
    limited.terms.site = Some(SiteLimit { by: name("olt"), in_flight: 9, downloads });
    limited.busy.sites = ["olt-7/1".into()].into();
    let at = |site: &str| Device {
        labels: Labels { attributes: [(name("olt"), site.into())].into(), ..Labels::default() },
        ..device()
    };
    check(vec![limited.clone()], &at("olt-7/1"), "downloads-full", "at its site");
    check(vec![limited.clone()], &at("olt-7/2"), "install", "r2");
    check(vec![limited.clone()], &device(), "install", "r2");
    limited.busy = Busy { all: true, sites: BTreeSet::new() };
    check(vec![limited.clone()], &device(), "downloads-full", "download in");
    let busy = device().tried("r2", Standing::Offered);
    check(vec![limited], &busy, "continue", "r2");
}

#[test]
fn what_the_network_spoilt_is_tried_again_a_few_times() {
    let mut twice = track("r2", "2", 2);
    twice.terms.retries = 2;
    let failed = |outcome, retry| {
        let mut device = device().tried("r2", Standing::Failed(outcome));
        device.attempts[0].retry = retry;
        device
    };
    let full = Track { wave_room: 0, share: 0, ..twice.clone() };
    check(vec![full], &failed(Outcome::Unreachable, 0), "install", "r2");
    check(vec![twice.clone()], &failed(Outcome::TooSlow, 1), "install", "r2");
    check(vec![twice.clone()], &failed(Outcome::Unreachable, 2), "failed-before", "fetched");
    check(vec![twice.clone()], &failed(Outcome::Unhealthy, 0), "failed-before", "healthy");
    let crowded = Track { flight_room: 0, ..twice.clone() };
    check(vec![crowded], &failed(Outcome::Unreachable, 0), "flight-full", "");
    let paused = Track { gate: Gate::Paused("p".into()), ..twice };
    check(vec![paused], &failed(Outcome::Unreachable, 0), "paused", "");
}

fn any_track() -> impl Strategy<Value = Track> {
    let gate = prop_oneof![
        4 => Just(Gate::Open),
        1 => Just(Gate::Paused("p".into())),
        1 => Just(Gate::Halted("h".into()))
    ];
    let numbers = (0..=BUCKETS, 0u32..3, 0u32..3, 1u64..5);
    (0u8..6, numbers, gate, any::<bool>()).prop_map(
        |(id, (share, wave, flight, index), gate, south)| {
            let mut track = track(&format!("r{id}"), &format!("{index}"), index);
            (track.share, track.wave_room, track.flight_room, track.gate) =
                (share, wave, flight, gate);
            track.audience.regions = if south { vec![name("south")] } else { vec![] };
            track
        },
    )
}

fn any_device() -> impl Strategy<Value = Device> {
    let standing = prop_oneof![
        Just(Standing::Offered),
        Just(Standing::Reported),
        Just(Standing::Confirmed),
        Just(Standing::Lost),
        Just(Standing::Failed(Outcome::Unhealthy))
    ];
    let tried = proptest::collection::vec((0u8..6, standing), 0..3);
    ("[a-z]{1,8}", 1u64..5, tried, any::<bool>()).prop_map(|(id, index, tried, south)| {
        let region = south.then(|| name("south"));
        let plain = Device { id: name(&id), region, ..device() }.on(&format!("{index}"), index);
        tried.into_iter().fold(plain, |d, (rollout, s)| d.tried(&format!("r{rollout}"), s))
    })
}

proptest! {
    #[test]
    fn an_answer_depends_on_its_arguments_only(
        tracks in proptest::collection::vec(any_track(), 0..6),
        device in any_device(),
    ) {
        let (one, hardware) = (plan(tracks), name("r1"));
        let copy = one.clone();
        let (a, b) = (offer(&one, &device.facts(&hardware), NOW), offer(&copy, &device.facts(&hardware), NOW));
        prop_assert_eq!(a, b);
        prop_assert!(!a.to_string().is_empty());
    }

    #[test]
    fn nobody_starts_outside_an_open_wave(
        tracks in proptest::collection::vec(any_track(), 0..6),
        device in any_device(),
    ) {
        let (plan, hardware) = (plan(tracks), name("r1"));
        let facts = device.facts(&hardware);
        if let Offer::Install(track) = offer(&plan, &facts, NOW) {
            prop_assert_eq!(&track.gate, &Gate::Open);
            prop_assert!(track.wave_room > 0 && track.flight_room > 0);
            prop_assert!(bucket(track.rollout.as_str().as_bytes(), &device.id) < track.share);
            prop_assert!(track.audience.mismatch(&facts).is_none());
            prop_assert!(!track.runs_on(&facts));
            prop_assert!(facts.attempt_in(&track.rollout).is_none());
        }
    }
}

#[test]
fn rules_have_distinct_names() {
    let track = track("r", "2", 2);
    let all = [
        Offer::Install(&track).rule(),
        Offer::Continue(&track, AttemptId::default()).rule(),
        Offer::NotYet(&track, 1).rule(),
        Offer::Nothing.rule(),
        Offer::Stale.rule(),
    ];
    let set: alloc::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(set.len(), all.len());
}
