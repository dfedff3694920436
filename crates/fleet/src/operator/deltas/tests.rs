//! What is made for which fleet, as tables.

use super::*;
use alloc::vec;
use types::ComponentState;

const LIMITS: Limits = Limits { deltas: 8, bytes: 1 << 30 };

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn image(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn running(version: &str) -> Running {
    let state = ComponentState { version: name(version), image: image(version) };
    [(name("rootfs"), state)].into()
}

/// A fleet of so many devices that run a version with so many MiB.
fn census(fleet: &[(&str, u32, u32)]) -> Census {
    let mut census = Census::default();
    for (version, mib, count) in fleet {
        (0..*count).for_each(|_| census.count(&running(version), *mib));
    }
    census
}

fn made(version: &str, class: u32, heap_mib: u64, size: u64) -> Tried {
    let made = Some((size, heap_mib << 20));
    Tried { source: image(version), target: image("3"), class, made }
}

fn dropped(version: &str, class: u32) -> Tried {
    Tried { source: image(version), target: image("3"), class, made: None }
}

/// Plans release 3 where 1 and 2 are published. What is wanted, as version and class.
fn plan(fleet: &[(&str, u32, u32)], tried: &[Tried], limits: Limits) -> DeltaPlan {
    let parts = [Part { component: name("rootfs"), image: image("3") }];
    let known = |_: &Name, source: Digest| source != image("own");
    plan_deltas(&census(fleet), &parts, &known, tried, limits)
}

fn check(fleet: &[(&str, u32, u32)], tried: &[Tried], expected: &[(&str, u32)]) {
    let wanted = plan(fleet, tried, LIMITS).wanted;
    let wanted: Vec<(Digest, u32)> = wanted.iter().map(|w| (w.source, w.class)).collect();
    let expected: Vec<_> = expected.iter().map(|(v, class)| (image(v), *class)).collect();
    assert_eq!(wanted, expected, "{fleet:?} {tried:?}");
}

#[test]
fn classes_are_the_largest_that_is_reached() {
    let of = [(0, None), (3, None), (4, Some(4)), (7, Some(4)), (63, Some(16)), (500, Some(64))];
    for (mib, expected) in of {
        assert_eq!(class(mib), expected, "{mib}");
    }
}

#[test]
fn what_most_devices_run_comes_first() {
    check(&[("1", 8, 2), ("2", 8, 5)], &[], &[("2", 8), ("1", 8)]);
    check(&[("1", 8, 4), ("1", 16, 4), ("2", 8, 5)], &[], &[("1", 16), ("2", 8)]);
}

#[test]
fn who_runs_the_release_or_has_no_memory_needs_none() {
    check(&[("3", 64, 9), ("1", 3, 9), ("2", 0, 1)], &[], &[]);
}

#[test]
fn one_delta_serves_every_class_that_it_fits() {
    let fleet = [("1", 8, 1), ("1", 64, 1)];
    check(&fleet, &[], &[("1", 64)]);
    check(&fleet, &[made("1", 64, 7, 10)], &[]);
    check(&fleet, &[made("1", 64, 40, 10)], &[("1", 8)]);
    check(&fleet, &[made("1", 64, 40, 10), made("1", 8, 8, 20)], &[]);
    // The delta that came with the package counts as one for any class.
    check(&[("1", 4, 1)], &[made("1", u32::MAX, 4, 10)], &[]);
    check(&[("1", 4, 1)], &[made("2", 64, 1, 10)], &[("1", 4)]);
}

#[test]
fn what_was_dropped_is_not_tried_with_less_memory() {
    let fleet = [("1", 8, 1), ("1", 64, 1)];
    check(&fleet, &[dropped("1", 64)], &[]);
    check(&fleet, &[made("1", 64, 40, 10), dropped("1", 8)], &[]);
    check(&fleet, &[dropped("1", 8)], &[("1", 64)]);
}

#[test]
fn a_delta_that_breaks_its_promise_is_not_made_again() {
    check(&[("1", 8, 1)], &[made("1", 8, 9, 10)], &[]);
}

#[test]
fn a_release_has_only_so_many_deltas_and_bytes() {
    let fleet = [("1", 8, 3), ("2", 8, 2), ("0", 8, 1), ("own", 8, 7)];
    let left = |limits, tried: &[Tried]| {
        let plan = plan(&fleet, tried, limits);
        (plan.wanted.len(), plan.left_out)
    };
    let unknown = (LeftOut::UnknownImage, 7);
    assert_eq!(left(LIMITS, &[]), (3, vec![unknown]));
    let two = Limits { deltas: 2, ..LIMITS };
    assert_eq!(left(two, &[]), (2, vec![unknown, (LeftOut::Number, 1)]));
    assert_eq!(left(two, &[made("1", 8, 8, 1)]), (1, vec![unknown, (LeftOut::Number, 1)]));
    let small = Limits { bytes: 100, ..LIMITS };
    assert_eq!(left(small, &[made("1", 8, 8, 99)]), (2, vec![unknown]));
    let full = [made("1", 8, 8, 100)];
    assert_eq!(left(small, &full), (0, vec![unknown, (LeftOut::Bytes, 3)]));
}

#[test]
fn a_delta_pays_below_nine_tenths() {
    for (size, full, pays) in [(0, 1, true), (899, 1000, true), (900, 1000, false), (1, 0, false)] {
        assert_eq!(unprofitable(size, full).is_none(), pays, "{size} of {full}");
    }
    let why = unprofitable(1_200, 1_000).unwrap();
    assert_eq!(why, "it does not pay: 120 % of the full payload's 1000 bytes");
}

#[test]
fn what_nobody_wants_goes_first_and_then_what_rests_longest() {
    let kept = |size, used, wanted| Kept { size, used: Timestamp(used), wanted };
    let all = [kept(10, 3, true), kept(10, 1, true), kept(10, 9, false), kept(10, 2, true)];
    for (budget, expected) in [
        (u64::MAX, vec![2]),
        (30, vec![2]),
        (29, vec![2, 1]),
        (10, vec![2, 1, 3]),
        (0, vec![2, 1, 3, 0]),
    ] {
        assert_eq!(evict(&all, budget), expected, "{budget}");
    }
    assert_eq!(evict(&[], 0), Vec::<usize>::new());
}
