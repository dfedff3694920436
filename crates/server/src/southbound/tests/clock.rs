//! A clock that is set while a rollout runs.

use super::replicas::two;
use super::*;
use crate::clock::Step;

const HOUR: i64 = 3_600_000;
const YEARS: i64 = 10 * 365 * 24 * HOUR;

fn by(set: i64, seconds: u32) -> Timestamp {
    Timestamp(NOW.0 + set).after(Seconds(seconds))
}

fn step(by: i64) -> Step {
    Step { to: Timestamp(NOW.0 + by), by }
}

/// A rollout whose second wave opens 20 s after the first, which `d0` is in.
async fn under_way() -> Bench {
    let bench = Bench::new().await;
    let after = |count, seconds| Wave {
        size: Size::Count(count),
        opens: Opens::After(Seconds(seconds)),
        allows: None,
    };
    bench.start("spring", vec![after(1, 0), after(2, 20)]).await;
    assert!(bench.beat("d0", "1", None, NOW).await.unwrap().unwrap().offer.is_some());
    bench
}

#[tokio::test]
async fn a_clock_that_is_set_opens_no_wave_and_loses_nobody() {
    for set in [HOUR, -HOUR, YEARS, -YEARS] {
        let bench = under_way().await;
        bench.server.clock_was_set(step(set)).await.unwrap();
        assert!(bench.beat("d1", "1", None, by(set, 0)).await.is_err(), "it checks the plan first");
        for (second, open) in [(1, false), (19, false), (21, true)] {
            jobs::tick(&bench.server, by(set, second)).await.unwrap();
            let answer = bench.beat("d1", "1", None, by(set, second)).await.unwrap().unwrap();
            assert_eq!(answer.offer.is_some(), open, "set by {set}, {second} s: {}", answer.why);
        }
        assert_eq!(standing(&bench), Standing::Offered, "set by {set}");
        for second in (30..600).step_by(30) {
            jobs::tick(&bench.server, by(set, second)).await.unwrap();
        }
        assert_eq!(standing(&bench), Standing::Offered, "set by {set}");
        for second in [603, 630] {
            jobs::tick(&bench.server, by(set, second)).await.unwrap();
        }
        assert_eq!(standing(&bench), Standing::Lost, "set by {set}: silent for 600 s since");
    }
}

#[tokio::test]
async fn a_report_is_counted_whatever_the_clock_says() {
    let bench = under_way().await;
    let answer = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    bench.server.clock_was_set(step(-YEARS)).await.unwrap();
    jobs::tick(&bench.server, by(-YEARS, 1)).await.unwrap();
    bench.report("d0", &answer, types::Outcome::Ok).await;
    bench.beat("d0", "2", None, by(-YEARS, 2)).await.unwrap();
    assert_eq!(standing(&bench), Standing::Confirmed);
}

#[tokio::test]
async fn a_server_in_another_decade_does_not_drop_the_others() {
    let (_place, one, other) = two().await;
    one.start("spring", everyone()).await;
    jobs::tick(&other.server, later(1)).await.unwrap();
    let answer = other.beat("d0", "1", None, later(1)).await.unwrap().unwrap();
    jobs::tick(&one.server, later(1)).await.unwrap();
    one.server.clock_was_set(step(YEARS)).await.unwrap();
    jobs::tick(&one.server, by(YEARS, 1)).await.unwrap();
    other.report("d0", &answer, types::Outcome::BootFailed).await;
    jobs::tick(&other.server, later(2)).await.unwrap();
    jobs::tick(&one.server, by(YEARS, 2)).await.unwrap();
    let tally = one.server.snapshot().courses[&name("spring")].rollout.tally;
    assert_eq!((tally.failed, tally.in_flight), (1, 0));
    assert_eq!(standing(&one), Standing::Failed(types::Outcome::BootFailed));
}

#[tokio::test]
async fn who_was_about_to_be_seen_is_not_lost_by_a_step() {
    for set in [HOUR, -HOUR] {
        let bench = under_way().await;
        let answer = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
        bench.report("d0", &answer, types::Outcome::Ok).await;
        bench.server.clock_was_set(step(set)).await.unwrap();
        for second in (0..=590).step_by(20) {
            jobs::tick(&bench.server, by(set, second)).await.unwrap();
            bench.beat("d0", "1.5", None, by(set, second)).await.unwrap();
            assert_eq!(standing(&bench), Standing::Reported, "set by {set}, {second} s");
        }
        for second in [610, 630] {
            jobs::tick(&bench.server, by(set, second)).await.unwrap();
        }
        assert_eq!(standing(&bench), Standing::LostReported, "set by {set}: 600 s since");
    }
}

#[tokio::test]
async fn a_correction_begins_no_wave_anew() {
    for (set, opened) in [(5000, true), (-5000, true), (HOUR, false)] {
        let bench = under_way().await;
        jobs::tick(&bench.server, later(15)).await.unwrap();
        let to = Step { to: Timestamp(later(15).0 + set), by: set };
        bench.server.clock_was_set(to).await.unwrap();
        let then = to.to.after(Seconds(11));
        jobs::tick(&bench.server, then).await.unwrap();
        let answer = bench.beat("d1", "1", None, then).await.unwrap().unwrap();
        assert_eq!(answer.offer.is_some(), opened, "set by {set}: {}", answer.why);
    }
}
