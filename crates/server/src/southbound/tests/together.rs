//! What several terminals say at the same time.

use super::*;
use crate::store::bench::{on_both, refuse_reports_of};

/// A server on `place` whose two terminals have an offer each, of a rollout in which
/// any number may fail.
async fn offered(place: &Place) -> (Bench, Answer, Answer) {
    let bench = Bench::on(place).await;
    bench.publish("2").await;
    let mut draft = bench.draft("spring", everyone());
    draft.halt.allows = Allowance { percent: Some(100), ..Allowance::default() };
    bench.put(draft).await;
    let first = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    let second = bench.beat("d1", "1", None, NOW).await.unwrap().unwrap();
    (bench, first, second)
}

fn failed(answer: &Answer) -> Report {
    Report {
        attempt: answer.offer.as_ref().unwrap().attempt,
        source: name("native"),
        outcome: types::Outcome::BootFailed,
        detail: Text::default(),
        version: None,
        spent: Spent::default(),
        failed_boots: 3,
    }
}

async fn kept(bench: &Bench) -> [usize; 2] {
    let mut tx = bench.server.store.begin().await.unwrap();
    let mut counts = [0; 2];
    for (count, device) in counts.iter_mut().zip(["d0", "d1"]) {
        *count = tx.reports(&name(device), 100).await.unwrap().len();
    }
    counts
}

#[tokio::test]
async fn reports_that_come_together_are_each_counted_once() {
    on_both(async |place| {
        let (bench, first, second) = offered(place).await;
        let (one, two) = ([failed(&first)], [failed(&second)]);
        let d0 = bench.server.roster.device(&name("d0")).unwrap();
        let d1 = bench.server.roster.device(&name("d1")).unwrap();
        // Whoever comes first waits for the store; the others wait for whoever is first.
        let held = bench.server.store.begin().await.unwrap();
        let server = &bench.server;
        let (a, b, c, d, ()) = tokio::join!(
            server.file(&d0, &one, NOW),
            server.file(&d1, &two, NOW),
            server.file(&d0, &one, NOW),
            server.file(&d1, &two, NOW),
            async {
                drop(held);
            },
        );
        for accepted in [a, b, c, d] {
            assert_eq!(accepted.unwrap().len(), 1);
        }
        assert_eq!(kept(&bench).await, [1, 1]);
        let tally = bench.server.snapshot().courses[&name("spring")].rollout.tally;
        assert_eq!((tally.failed, tally.in_flight), (2, 0));
        let mut tx = bench.server.store.begin().await.unwrap();
        assert_eq!(tx.rollouts().await.unwrap()[0].tally, tally);
        assert_eq!(tx.failures(&name("spring")).await.unwrap()[0].devices, 2);
    })
    .await;
}

#[tokio::test]
async fn nobody_fails_because_of_another() {
    let (bench, first, second) = offered(&Place::file()).await;
    refuse_reports_of(&bench.server.store, "d0").await;
    let (one, two) = ([failed(&first)], [failed(&second)]);
    let d0 = bench.server.roster.device(&name("d0")).unwrap();
    let d1 = bench.server.roster.device(&name("d1")).unwrap();
    let held = bench.server.store.begin().await.unwrap();
    let server = &bench.server;
    let beat = bench.beat("d1", "1.5", None, NOW);
    let (beaten, bad, good, ()) =
        tokio::join!(beat, server.file(&d0, &one, NOW), server.file(&d1, &two, NOW), async {
            drop(held);
        },);
    assert!(beaten.is_ok() && bad.is_err() && good.is_ok(), "{bad:?} {good:?}");
    assert_eq!(kept(&bench).await, [0, 1]);
    let tally = bench.server.snapshot().courses[&name("spring")].rollout.tally;
    assert_eq!((tally.failed, tally.in_flight), (1, 1));
}

#[tokio::test]
async fn who_may_start_is_decided_for_all_that_ask_together() {
    on_both(async |place| {
        let bench = Bench::on(place).await;
        bench.publish("2").await;
        let one = Wave { size: Size::Count(1), opens: Opens::ByHand, allows: None };
        bench.put(bench.draft("spring", vec![one])).await;
        let held = bench.server.store.begin().await.unwrap();
        let (a, b, c, ()) = tokio::join!(
            bench.beat("d0", "1", None, NOW),
            bench.beat("d1", "1", None, NOW),
            bench.beat("d1", "1", None, NOW),
            async {
                drop(held);
            },
        );
        let offers = [a, b, c].map(|answer| answer.unwrap().unwrap().offer);
        let attempts: std::collections::BTreeSet<_> =
            offers.iter().flatten().map(|offer| offer.attempt).collect();
        assert_eq!(attempts.len(), 1, "one wave of one terminal");
        let tally = bench.server.snapshot().courses[&name("spring")].rollout.tally;
        assert_eq!((tally.exposed, tally.in_flight), (1, 1));
    })
    .await;
}
