//! Static plans: when they are made, what of them is kept, and who is counted.

use super::*;
use crate::plans::Press;
use fleet::static_plan::StaticPlan;
use std::sync::Arc;
use trust::{SigningKey, verify_statement};
use types::{AttemptId, Outcome, Sealed};

const PATH: &str = "p/router/-.json";

fn key() -> SigningKey {
    SigningKey::from_seed([5; 32]).unwrap()
}

impl Bench {
    /// A server that makes plans which are good for an hour.
    async fn with_plans() -> Self {
        let bench = Self::new().await;
        bench.server.plans.get_or_init(|| Press::new(key(), Seconds(3600)));
        bench
    }

    /// The plan, as it is after a tick at `now`.
    async fn plan(&self, now: Timestamp) -> StaticPlan {
        jobs::tick(&self.server, now).await.unwrap();
        let shelf = self.server.plans.get().unwrap().shelf();
        let leaf = shelf.leaf(PATH).unwrap();
        let plan = verify_statement(&[key().public()], &Sealed::from(&leaf.bytes[..]), now);
        StaticPlan::clone(&plan.unwrap())
    }
}

#[tokio::test]
async fn plans_are_renewed_each_minute_and_with_each_change() {
    let bench = Bench::with_plans().await;
    // Forty seconds of its minute are over: all servers begin the next one together.
    let first = bench.plan(NOW).await;
    assert_eq!((first.plan.tracks.len(), first.expires), (0, later(3560)));
    assert_eq!(bench.plan(later(19)).await, first);
    let renewed = bench.plan(later(20)).await;
    assert_eq!((renewed.expires, renewed.version), (later(3620), first.version + 60_000));
    bench.start("spring", everyone()).await;
    let started = bench.plan(later(21)).await;
    assert!(started.version > renewed.version);
    assert_eq!((started.plan.tracks.len(), started.asks.len()), (1, 0));
    let shelf = bench.server.plans.get().unwrap().shelf();
    assert!(shelf.offers(Digest::of(b"2")));
    let (id, why) = (name("spring"), Text::from("smoke"));
    bench.server.act(&id, Act::Halt, "operator", &why, later(21)).await.unwrap();
    let halted = bench.plan(later(21)).await;
    assert!(halted.version > started.version && halted.plan.generation > started.plan.generation);
    assert!(!bench.server.plans.get().unwrap().shelf().offers(Digest::of(b"2")));
}

#[tokio::test]
async fn nothing_is_signed_from_what_may_be_stale() {
    let bench = Bench::with_plans().await;
    bench.plan(NOW).await;
    let press = bench.server.plans.get().unwrap();
    let before = press.shelf();
    bench.server.renew_plans(later(120)).unwrap();
    assert!(Arc::ptr_eq(&before, &press.shelf()));
    bench.plan(later(120)).await;
    assert!(!Arc::ptr_eq(&before, &press.shelf()));
}

#[tokio::test]
async fn who_began_by_a_plan_is_counted_once_and_into_its_own_rollout_only() {
    let bench = Bench::with_plans().await;
    bench.start("spring", everyone()).await;
    let terminal = bench.server.roster.device(&name("d0")).unwrap();
    let report = |origin: &str, device: &str| Report {
        attempt: AttemptId::new(origin, &name(device), 0),
        source: name("plan"),
        outcome: Outcome::Ok,
        detail: Text::default(),
        version: None,
        spent: Spent::default(),
        failed_boots: 0,
    };
    bench.beat("d1", "2", None, NOW).await.unwrap();
    let tally = || bench.server.snapshot().courses[&name("spring")].rollout.tally;
    for strange in [report("autumn", "d0"), report("spring", "d1")] {
        bench.server.file(&terminal, &[strange], NOW).await.unwrap();
        assert_eq!(tally(), Tally::default());
    }
    for _ in 0..2 {
        bench.server.file(&terminal, &[report("spring", "d0")], NOW).await.unwrap();
        assert_eq!(tally(), Tally { exposed: 1, in_flight: 1, ..Tally::default() });
    }
    bench.beat("d0", "2", None, NOW).await.unwrap();
    assert_eq!(tally(), Tally { exposed: 1, confirmed: 1, ..Tally::default() });
    // What it showed before its report counts as well.
    let terminal = bench.server.roster.device(&name("d1")).unwrap();
    bench.server.file(&terminal, &[report("spring", "d1")], NOW).await.unwrap();
    assert_eq!(tally(), Tally { exposed: 2, confirmed: 2, ..Tally::default() });
}
