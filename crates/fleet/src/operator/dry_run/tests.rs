//! Whole fleets, and what they are told beforehand.

use super::*;
use crate::operator::{Allowance, Halt, Size, Tally, Wave};
use crate::{Audience, Fit, Labels, Terms};
use alloc::format;
use types::{ComponentState, Digest, Latecomers, Name, Release, Running, Seconds, Text};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn wave(size: Size, opens: Opens) -> Wave {
    Wave { size, opens, allows: None }
}

fn step(version: &str, rollback_index: u64, needs: Option<&str>) -> Step {
    let manifest = Digest::of(version.as_bytes());
    Step {
        release: Release {
            product: name("router"),
            version: name(version),
            rollback_index,
            manifest,
        },
        images: [(name("rootfs"), manifest)].into(),
        versions: BTreeMap::new(),
        fit: Fit {
            hardware: vec![name("r1")],
            needs: needs.map(|needs| needs.parse().unwrap()),
            ..Fit::default()
        },
        withdrawn: false,
    }
}

fn rollout(step: &Step, waves: Vec<Wave>) -> Rollout {
    Rollout {
        id: name("spring"),
        release: step.release.clone(),
        images: step.images.clone(),
        audience: Audience::everyone(name("router")),
        fit: step.fit.clone(),
        terms: Terms::default(),
        waves,
        halt: Halt { allows: Allowance::default(), not_back: Seconds(60) },
        in_flight: 1,
        state: State::Draft,
        why: Text::default(),
        wave: 0,
        opened: NOW,
        started: None,
        prepared: None,
        tally: Tally::default(),
    }
}

/// Asks terminals that run these versions about `rollout`.
fn ask(rollout: &Rollout, steps: &[Step], versions: &[&str], labels: &Labels) -> Forecast {
    let mut run = DryRun::new(rollout, steps, NOW);
    let cost = || Cost { full: 100, least: 40, open: 20 };
    let (product, hardware) = (name("router"), name("r1"));
    for (n, version) in versions.iter().enumerate() {
        let id = name(&format!("d{n}"));
        let image = Digest::of(version.as_bytes());
        let running: Running =
            [(name("rootfs"), ComponentState { version: name(version), image })].into();
        let release =
            steps.iter().map(|step| &step.release).find(|r| r.version.as_str() == *version);
        run.ask(
            &DeviceFacts {
                id: &id,
                product: &product,
                hardware: &hardware,
                variant: None,
                region: None,
                running: &running,
                release,
                enrolled: Timestamp(0),
                labels,
                abilities: &[],
                attempts: &[],
            },
            cost,
        );
    }
    run.forecast()
}

#[test]
fn who_gets_what_and_how_many_bytes() {
    let two = step("2", 2, None);
    let spring = rollout(
        &two,
        vec![
            wave(Size::Count(1), Opens::ByHand),
            wave(Size::Percent(50), Opens::After(Seconds(60))),
            wave(Size::Percent(75), Opens::At(NOW.after(Seconds(90)))),
            wave(Size::Percent(100), Opens::Confirmed(90)),
        ],
    );
    let all = [two.clone(), step("3", 3, None)];
    let seen = ask(&spring, &all, &["1", "1", "1", "1", "2", "3"], Labels::NONE);
    assert_eq!((seen.gets.count, seen.cost), (4, Cost { full: 400, least: 160, open: 80 }));
    let waves: Vec<_> = seen.waves.iter().map(|w| (w.count, w.cost.full, w.earliest)).collect();
    let later = Some(NOW.after(Seconds(60)));
    let at = Some(NOW.after(Seconds(90)));
    assert_eq!(waves, [(1, 100, Some(NOW)), (1, 100, later), (1, 100, at), (1, 100, None)]);
    let out: Vec<_> = seen.out.iter().map(|(why, crowd)| (why.as_str(), crowd.count)).collect();
    assert_eq!(out, [("runs-newer", 1), ("up-to-date", 1)]);
    assert_eq!(seen.out["up-to-date"].examples, [name("d4")]);
    assert_eq!(seen.opens, Some((NOW, NOW)));
}

#[test]
fn who_needs_steps_in_between_is_told_apart() {
    let three = step("3", 3, Some("version.rootfs>=2"));
    let all = [step("2", 2, Some("version.rootfs>=1")), three.clone()];
    let spring = rollout(&three, vec![wave(Size::Percent(100), Opens::ByHand)]);
    let seen = ask(&spring, &all, &["2", "1", "1", "0.5"], Labels::NONE);
    assert_eq!(seen.gets.count, 1);
    assert_eq!(seen.over.len(), 1);
    assert_eq!(seen.over[&vec![name("2"), name("3")]].count, 2);
    let why = "the release needs `version.rootfs>=2`, and no published release leads there";
    assert_eq!(seen.out[why].count, 1);
}

#[test]
fn the_schedule_says_when() {
    let two = step("2", 2, None);
    let mut spring = rollout(&two, vec![wave(Size::Percent(100), Opens::ByHand)]);
    // NOW is 2027-01-15T08:00:00Z, a Friday.
    spring.terms.schedule.windows = vec!["02:00-05:00".parse().unwrap()];
    let seen = ask(&spring, &[], &["1"], Labels::NONE);
    let opens = "2027-01-16T02:00:00Z".parse().unwrap();
    assert_eq!(seen.opens, Some((opens, opens)));
    let labels = Labels { zone: Some("Asia/Tokyo".parse().unwrap()), ..Labels::default() };
    let seen = ask(&spring, &[], &["1"], &labels);
    assert_eq!(seen.opens.unwrap().0.to_string(), "2027-01-15T17:00:00Z");
    spring.terms.schedule.quiet = vec!["00:00-24:00".parse().unwrap()];
    let seen = ask(&spring, &[], &["1"], Labels::NONE);
    assert_eq!((seen.gets.count, seen.out["schedule: it never opens"].count), (0, 1));
}

#[test]
fn a_frozen_audience_holds_who_is_there_now() {
    let two = step("2", 2, None);
    let mut spring = rollout(&two, vec![wave(Size::Percent(100), Opens::ByHand)]);
    spring.terms.latecomers = Latecomers::LeftOut;
    assert_eq!(ask(&spring, &[], &["1"], Labels::NONE).gets.count, 1);
}

#[test]
fn a_large_audience_is_drawn_by_bucket() {
    let two = step("2", 2, None);
    let spring = rollout(
        &two,
        vec![wave(Size::Percent(5), Opens::ByHand), wave(Size::Percent(100), Opens::ByHand)],
    );
    let many = vec!["1"; 12_000];
    let seen = ask(&spring, &[], &many, Labels::NONE);
    let drawn = seen.waves[0].count;
    assert!((500..=600).contains(&drawn), "{drawn}");
    assert_eq!(drawn + seen.waves[1].count, 12_000);
    assert_eq!(seen.gets.examples.len(), EXAMPLES_LIMIT);
}
