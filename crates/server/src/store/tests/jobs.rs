//! The queue of jobs, and what came of making deltas, on either engine.

use super::super::bench::{Place, on_both};
use super::super::*;
use super::name;
use types::{Digest, Name, Seconds, Timestamp};

const LEASE: Seconds = Seconds(5);

fn job(id: &str, kind: Kind, priority: i64, due: i64) -> NewJob {
    let (about, payload) = ("release".into(), format!("payload of {id}"));
    NewJob { job: name(id), kind, about, payload, priority, due: Timestamp(due) }
}

/// Adds a delta job.
async fn add(tx: &mut Tx, id: &str, priority: i64, due: i64) {
    tx.add_job(&job(id, Kind::Delta, priority, due), Timestamp(1)).await.unwrap();
}

/// The delta job that `owner` gets.
async fn claim(tx: &mut Tx, owner: &str, at: i64) -> Option<Claim> {
    tx.claim_job(Kind::Delta, &name(owner), Timestamp(at), LEASE).await.unwrap()
}

async fn claimed(tx: &mut Tx, owner: &str, at: i64) -> Option<String> {
    claim(tx, owner, at).await.map(|claim| claim.job.to_string())
}

async fn state(tx: &mut Tx, id: &str) -> StoredJob {
    tx.job(&name(id)).await.unwrap().unwrap()
}

async fn end(tx: &mut Tx, claim: &Claim, state: JobState, due: i64) -> bool {
    let (due, now) = (Timestamp(due), Timestamp(50));
    tx.end_job(claim, state, ["words", "error"], due, now).await.unwrap()
}

#[tokio::test]
async fn a_job_is_claimed_once_and_comes_back_when_its_worker_dies() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        add(&mut tx, "b", 0, 20).await;
        add(&mut tx, "a", 0, 10).await;
        assert_eq!(claimed(&mut tx, "w1", 5).await, None, "none is due");
        let first = claim(&mut tx, "w1", 30).await.unwrap();
        assert_eq!((first.job.as_str(), first.tries), ("a", 1));
        assert_eq!(first.payload, "payload of a");
        assert_eq!(claimed(&mut tx, "w2", 30).await.as_deref(), Some("b"));
        assert_eq!(claimed(&mut tx, "w3", 30).await, None, "both are claimed");
        let again = claim(&mut tx, "w3", 5_030).await.unwrap();
        assert_eq!((again.job.as_str(), again.tries), ("a", 2), "its worker died");
        let far = Far { done: 1, total: 2, words: "sorting".into() };
        let mut renew = async |claim| tx.renew_job(claim, &far, Timestamp(6_000), LEASE).await;
        assert!(!renew(&first).await.unwrap(), "it is the next one's");
        assert!(renew(&again).await.unwrap());
        assert!(!end(&mut tx, &first, JobState::Done, 0).await, "nor can it be ended");
        assert_eq!(state(&mut tx, "a").await.far, far);
        assert_eq!(claimed(&mut tx, "w4", 10_999).await.as_deref(), Some("b"), "a is renewed");
        tx.give_back_job(&again).await.unwrap();
        let last = claim(&mut tx, "w5", 6_000).await.unwrap();
        assert_eq!((last.job.as_str(), last.tries), ("a", 2), "as if it had not been begun");
    })
    .await;
}

#[tokio::test]
async fn what_matters_more_comes_first_and_kinds_do_not_mix() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        add(&mut tx, "low", 1, 10).await;
        add(&mut tx, "high", 1 << 40, 20).await;
        tx.put_job(&job("r1", Kind::Tend, 0, 10), Timestamp(1)).await.unwrap();
        assert_eq!(claimed(&mut tx, "w1", 30).await.as_deref(), Some("high"));
        assert_eq!(claimed(&mut tx, "w1", 30).await.as_deref(), Some("low"));
        assert_eq!(claimed(&mut tx, "w1", 30).await, None);
        let tend = tx.claim_job(Kind::Tend, &name("w"), Timestamp(30), LEASE).await.unwrap();
        assert_eq!(tend.unwrap().job, name("r1"));
        // What is put anew is due anew, though somebody has it.
        tx.put_job(&job("r1", Kind::Tend, 0, 40), Timestamp(1)).await.unwrap();
        let mut tend = async |at| {
            tx.claim_job(Kind::Tend, &name("w"), Timestamp(at), LEASE).await.unwrap().is_some()
        };
        assert_eq!([tend(39).await, tend(40).await, tend(40).await], [false, true, false]);
        tx.drop_job(&name("r1")).await.unwrap();
        assert_eq!(tx.job(&name("r1")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn the_same_job_twice_is_one() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        add(&mut tx, "a", 1, 10).await;
        let first = claim(&mut tx, "w1", 10).await.unwrap();
        add(&mut tx, "a", 9, 10).await;
        assert_eq!(claimed(&mut tx, "w2", 10).await, None, "it is being done");
        assert!(end(&mut tx, &first, JobState::Waiting, 100).await);
        add(&mut tx, "a", 9, 10).await;
        assert_eq!(claimed(&mut tx, "w2", 99).await, None, "it waits before its next try");
        let next = claim(&mut tx, "w2", 100).await.unwrap();
        assert_eq!(next.tries, 2);
        assert!(end(&mut tx, &next, JobState::Dropped, 100).await);
        let ended = state(&mut tx, "a").await;
        assert_eq!((ended.state, ended.error.as_str()), (JobState::Dropped, "error"));
        assert_eq!((ended.new.priority, ended.far.words.as_str()), (9, "words"));
        assert_eq!(claimed(&mut tx, "w3", 1_000_000).await, None);
        add(&mut tx, "a", 1, 200).await;
        let anew = claim(&mut tx, "w3", 200).await.unwrap();
        assert_eq!(anew.tries, 1, "what had ended begins anew");
    })
    .await;
}

#[tokio::test]
async fn operators_end_jobs_and_begin_them_anew() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        add(&mut tx, "a", 1, 10).await;
        tx.put_job(&job("r1", Kind::Tend, 0, 10), Timestamp(1)).await.unwrap();
        let now = Timestamp(20);
        let running = claim(&mut tx, "w1", 10).await.unwrap();
        assert!(!tx.retry_job(&running.job, now).await.unwrap(), "somebody is at it");
        assert!(tx.cancel_job(&running.job, "why", now).await.unwrap());
        assert!(!end(&mut tx, &running, JobState::Done, 0).await, "who was at it has lost it");
        assert!(!tx.cancel_job(&running.job, "why", now).await.unwrap());
        assert!(!tx.cancel_job(&name("r1"), "why", now).await.unwrap(), "rollouts need it");
        assert_eq!(state(&mut tx, "a").await.state, JobState::Cancelled);
        assert!(tx.retry_job(&running.job, now).await.unwrap());
        assert_eq!(claimed(&mut tx, "w2", 20).await.as_deref(), Some("a"));
        let all: Vec<Name> = tx.jobs().await.unwrap().into_iter().map(|j| j.new.job).collect();
        assert_eq!(all, [name("a"), name("r1")]);
    })
    .await;
}

#[tokio::test]
async fn a_release_waits_for_its_plan_and_its_deltas() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let now = Timestamp(100);
        let pending = async |tx: &mut Tx| tx.pending_deltas("release", now).await.unwrap();
        assert_eq!(pending(&mut tx).await, 0);
        tx.put_job(&job("p", Kind::Plan, 0, 100), now).await.unwrap();
        add(&mut tx, "a", 1, 500).await;
        assert_eq!(pending(&mut tx).await, 2, "also one that waits for its next try");
        tx.put_job(&job("p", Kind::Plan, 0, 700), now).await.unwrap();
        assert_eq!(pending(&mut tx).await, 1, "the next plan is not waited for");
        let delta = claim(&mut tx, "w1", 500).await.unwrap();
        assert!(end(&mut tx, &delta, JobState::Done, 0).await);
        assert_eq!(pending(&mut tx).await, 0);
        tx.forget_jobs(Timestamp(50)).await.unwrap();
        assert!(tx.job(&name("a")).await.unwrap().is_some());
        tx.forget_jobs(Timestamp(51)).await.unwrap();
        assert!(tx.job(&name("a")).await.unwrap().is_none());
        assert!(tx.job(&name("p")).await.unwrap().is_some(), "it has not ended");
    })
    .await;
}

#[tokio::test]
async fn what_came_of_deltas_is_read_back() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let blob = Digest([4; 32]);
        let made = StoredDelta {
            key: Digest([1; 32]),
            component: name("rootfs"),
            source: Digest([2; 32]),
            target: Digest([3; 32]),
            class: 64,
            generator: "refit-0".into(),
            made: Some(MadeDelta { blob, size: 1 << 40, heap: 8 << 20 }),
            full: u64::MAX >> 1,
            why: String::new(),
            at: Timestamp(5),
            used: Timestamp(5),
        };
        let key = Digest([9; 32]);
        let why = "it does not pay".to_owned();
        let dropped = StoredDelta { key, made: None, why, at: Timestamp(6), ..made.clone() };
        tx.put_delta(&made).await.unwrap();
        tx.put_delta(&dropped).await.unwrap();
        assert_eq!(tx.deltas().await.unwrap(), [made.clone(), dropped.clone()]);
        for at in [9, 7] {
            tx.use_delta(made.key, Timestamp(at)).await.unwrap();
        }
        tx.drop_delta(dropped.key).await.unwrap();
        assert_eq!(tx.deltas().await.unwrap(), [StoredDelta { used: Timestamp(9), ..made }]);
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_is_set_gives_no_job_away_and_lets_none_wait() {
    const HOUR: i64 = 3_600_000;
    for set in [5 * HOUR, -5 * HOUR] {
        on_both(async |place| {
            let store = place.open().await;
            let mut tx = store.begin().await.unwrap();
            let at = |seconds: i64| 10 * HOUR + seconds * 1000;
            add(&mut tx, "held", 0, at(0)).await;
            let held = claim(&mut tx, "w1", at(0)).await.unwrap();
            add(&mut tx, "later", 0, at(100)).await;
            tx.hold_jobs_anew(Timestamp(at(1) + set)).await.unwrap();
            let next = claimed(&mut tx, "w2", at(2) + set).await;
            assert_eq!(next.as_deref(), Some("later"), "set by {set}: it waits no longer");
            assert_eq!(claimed(&mut tx, "w2", at(60) + set).await.as_deref(), Some("later"));
            let ours = tx.renew_job(&held, &Far::default(), Timestamp(at(60) + set), LEASE).await;
            assert!(ours.unwrap(), "set by {set}: its worker lives");
            tx.give_back_job(&held).await.unwrap();
            assert_eq!(claimed(&mut tx, "w2", at(60) + set).await.as_deref(), Some("held"));
        })
        .await;
    }
}

#[tokio::test]
async fn the_time_is_the_databases_even_where_it_was_away() {
    let place = Place::postgres();
    let store = place.open().await;
    let near = async || {
        let told = crate::clock::told(store.time()).await.unwrap();
        told.step().is_none()
    };
    assert!(near().await, "this machine has one clock");
    let mut tx = store.begin().await.unwrap();
    tx.raise_generation().await.unwrap();
    drop(tx);
    assert!(near().await, "a transaction that was dropped is not in the way");
    place.hang_up();
    assert!(near().await, "nor is a connection that broke");
}
