//! Heartbeats in memory: what costs a statement, and what a stale plan says.

mod deltas;
mod downloads;
mod plans;
mod replicas;

use super::native::news;
use crate::blobs::Blobs;
use crate::catalogue::{Published, Rules, Span};
use crate::folder::Folder;
use crate::jobs;
use crate::ledger::Act;
use crate::problem::Reply;
use crate::quota::Quota;
use crate::server::{Parts, Server, Settings};
use crate::store::bench::Place;
use crate::store::{StoredDevice, StoredRollout};
use crate::ticket::Tickets;
use fleet::operator::{Allowance, Halt, Opens, Size, State, Tally, Wave};
use fleet::{Audience, Standing, Terms};
use protocols::native::{Answer, Facts, Heartbeat, Phase};
use std::ops::RangeInclusive;
use tempfile::TempDir;
use types::{
    ComponentState, Digest, Name, Release, Report, Running, Seconds, Slot, Spent, Text, Timestamp,
};

mod clock;
mod import;
mod logs;
mod terms;
mod together;

const NOW: Timestamp = Timestamp(1_900_000_000_000);

fn later(seconds: u32) -> Timestamp {
    NOW.after(Seconds(seconds))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A server without listener, clock or loops, in a folder of its own.
struct Bench {
    _folder: TempDir,
    server: Server,
}

impl Bench {
    /// A server of its own with a release and two terminals.
    async fn new() -> Self {
        let bench = Self::on(&Place::file()).await;
        bench.publish("2").await;
        bench
    }

    /// A server on the database of `place`.
    async fn on(place: &Place) -> Self {
        let own = tempfile::tempdir().unwrap();
        let folder = Folder::open(own.path()).unwrap();
        let parts = Parts {
            settings: Settings {
                public_url: "https://updates.example".into(),
                poll_seconds: 60,
                package_limit: 0,
                keep_days: 30,
                keep_log_days: 7,
                logs: crate::ledger::Logs::All,
                deltas: crate::deltas::DeltaOptions::default(),
                started: NOW,
            },
            store: place.open().await,
            blobs: Blobs::open(folder.path("blobs"), &crate::blobs::Place::Own).unwrap(),
            delta_blobs: Blobs::open_deltas(folder.path("deltas"), &crate::blobs::Place::Own)
                .unwrap(),
            tickets: Tickets::new(&[1; 32], Seconds(7200)),
            quota: Quota::new(1),
            operator: Digest::default(),
            root: None,
            folder,
        };
        Self { _folder: own, server: Server::new(parts) }
    }

    async fn publish(&self, version: &str) {
        let manifest = Digest::of(version.as_bytes());
        let published = Published {
            release: Release {
                product: name("router"),
                version: name(version),
                rollback_index: 2,
                manifest,
            },
            package: manifest,
            size: 1,
            entries: vec![Span { name: "manifest.json".into(), at: 0, size: 1 }],
            images: [(name("rootfs"), image(version))].into(),
            at: NOW,
            rules: Rules::default(),
        };
        let mut tx = self.server.store.begin().await.unwrap();
        tx.put_release(&published).await.unwrap();
        for device in ["d0", "d1"] {
            let device = StoredDevice {
                device: name(device),
                credential: Digest::of(device.as_bytes()),
                facts: facts().into(),
                slot: None,
                running: Running::new().into(),
                enrolled: NOW,
                labels: None,
            };
            tx.put_devices(&[&device], NOW).await.unwrap();
        }
        tx.commit().await.unwrap();
        drop(tx);
        self.server.load(NOW).await.unwrap();
    }

    async fn start(&self, id: &str, waves: Vec<Wave>) {
        self.put(self.draft(id, waves)).await;
    }

    fn draft(&self, id: &str, waves: Vec<Wave>) -> StoredRollout {
        StoredRollout {
            id: name(id),
            name: "spring".into(),
            manifest: Digest::of(b"2"),
            audience: Audience::everyone(name("router")),
            waves,
            halt: Halt {
                allows: Allowance { count: Some(0), ..Allowance::default() },
                not_back: Seconds(600),
            },
            terms: Terms::default(),
            in_flight: 10,
            made: NOW,
            started: None,
            state: State::Draft,
            who: "operator".into(),
            why: Text::default(),
            since: NOW,
            wave: 0,
            opened: NOW,
            prepared: None,
            tally: Tally::default(),
        }
    }

    /// Makes and starts `rollout`.
    async fn put(&self, rollout: StoredRollout) {
        let published = self.server.catalogue.find(Digest::of(b"2")).unwrap();
        let id = self.server.make_rollout(rollout, &published, NOW).await.unwrap();
        self.server.act(&id, Act::Start, "operator", &Text::default(), NOW).await.unwrap();
    }

    async fn beat(
        &self,
        device: &str,
        version: &str,
        seen: Option<&str>,
        now: Timestamp,
    ) -> Reply<Option<Answer>> {
        let terminal = self.server.roster.device(&name(device)).unwrap();
        let state = ComponentState { version: name(version), image: image(version) };
        let heartbeat = Heartbeat {
            protocol: 1,
            device: name(device),
            facts: facts(),
            slot: Slot::A,
            running: [(name("rootfs"), state)].into(),
            phase: Phase::Idle,
            attempt: None,
            waiting: None,
            seen: seen.map(str::to_owned),
            abilities: Vec::new(),
        };
        news(&self.server, &terminal, &heartbeat, now).await
    }

    async fn report(&self, device: &str, answer: &Answer, outcome: types::Outcome) {
        let terminal = self.server.roster.device(&name(device)).unwrap();
        let report = Report {
            attempt: answer.offer.as_ref().unwrap().attempt,
            source: name("native"),
            outcome,
            detail: Text::default(),
            version: None,
            spent: Spent::default(),
            failed_boots: 0,
        };
        self.server.file(&terminal, &[report], NOW).await.unwrap();
    }
}

fn facts() -> Facts {
    let (product, hardware) = (name("router"), name("r1"));
    Facts { product, hardware, variant: None, region: None, memory_class_mib: 0 }
}

fn image(version: &str) -> Digest {
    Digest::of(format!("image {version}").as_bytes())
}

fn everyone() -> Vec<Wave> {
    vec![Wave { size: Size::Percent(100), opens: Opens::ByHand, allows: None }]
}

#[tokio::test]
async fn a_heartbeat_without_news_costs_no_statement() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    let first = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    let before = bench.server.store.statements().requests;
    for second in 0..1000 {
        let now = NOW.after(Seconds(second / 250));
        let again = bench.beat("d0", "1", Some(&first.etag), now).await.unwrap();
        assert_eq!(again, None);
        let anew = bench.beat("d0", "1", None, now).await.unwrap();
        assert_eq!(anew, Some(first.clone()), "the same question has the same answer");
    }
    assert_eq!(bench.server.store.statements().requests, before);
    bench.beat("d0", "1.5", Some(&first.etag), NOW).await.unwrap();
    assert!(bench.server.store.statements().requests > before, "news are written");
}

#[tokio::test]
async fn a_plan_that_was_not_checked_offers_nothing() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    assert!(bench.beat("d0", "1", None, later(5)).await.is_ok());
    assert!(bench.beat("d0", "1", None, later(6)).await.is_err());
    jobs::tick(&bench.server, later(6)).await.unwrap();
    assert!(bench.beat("d0", "1", None, later(11)).await.is_ok());
}

#[tokio::test]
async fn what_another_server_wrote_is_seen_at_the_next_check() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    let mut tx = bench.server.store.begin().await.unwrap();
    let mut rollout = bench.server.snapshot().courses[&name("spring")].rollout.clone();
    (rollout.state, rollout.why) = (State::Halted, "smoke".into());
    tx.move_rollout(&rollout, "another", later(1)).await.unwrap();
    tx.raise_generation().await.unwrap();
    tx.commit().await.unwrap();
    drop(tx);
    jobs::tick(&bench.server, later(1)).await.unwrap();
    let answer = bench.beat("d0", "1", None, later(1)).await.unwrap().unwrap();
    assert_eq!((answer.offer, answer.why.as_str().ends_with("is halted: smoke")), (None, true));
}

#[tokio::test]
async fn an_answer_and_its_address_are_renewed_in_time() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    let first = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    for minute in 1..240 {
        let now = later(minute * 60);
        jobs::tick(&bench.server, now).await.unwrap();
        if let Some(next) = bench.beat("d0", "1", Some(&first.etag), now).await.unwrap() {
            assert_ne!(next.offer.unwrap().base, first.offer.unwrap().base);
            assert!(minute <= 60, "{minute}");
            return;
        }
    }
    panic!("the address would have expired");
}

#[tokio::test]
async fn a_halt_is_in_the_store_when_the_report_is_acknowledged() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    let answer = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    bench.report("d0", &answer, types::Outcome::BootFailed).await;
    let mut tx = bench.server.store.begin().await.unwrap();
    let stored = tx.rollouts().await.unwrap().remove(0);
    assert_eq!((stored.state, stored.tally.failed), (State::Halted, 1));
    assert_eq!(tx.generation().await.unwrap(), bench.server.snapshot().plan.generation);
    drop(tx);
    let other = bench.beat("d1", "1", None, NOW).await.unwrap().unwrap();
    assert_eq!(other.offer, None);
}

#[tokio::test]
async fn waves_open_by_time_and_the_job_waits_for_it() {
    let bench = Bench::new().await;
    let after = |count, seconds| Wave {
        size: Size::Count(count),
        opens: Opens::After(Seconds(seconds)),
        allows: None,
    };
    bench.start("spring", vec![after(1, 0), after(2, 20)]).await;
    assert!(bench.beat("d0", "1", None, NOW).await.unwrap().unwrap().offer.is_some());
    for (second, open) in [(10, false), (19, false), (21, true)] {
        jobs::tick(&bench.server, later(second)).await.unwrap();
        let answer = bench.beat("d1", "1", None, later(second)).await.unwrap().unwrap();
        assert_eq!(answer.offer.is_some(), open, "{second} s: {}", answer.why);
    }
}

#[tokio::test]
async fn a_release_that_failed_elsewhere_is_offered_as_ordered_anew() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    let first = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    assert!(!first.offer.as_ref().unwrap().allow_failed);
    bench.report("d0", &first, types::Outcome::Unhealthy).await;
    bench.start("summer", everyone()).await;
    let second = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    assert!(second.offer.unwrap().allow_failed);
}

/// Heartbeats of a terminal that runs `version`, and ticks, in these seconds.
async fn goes_on(bench: &Bench, version: &str, seconds: RangeInclusive<u32>) {
    for second in seconds.step_by(30) {
        jobs::tick(&bench.server, later(second)).await.unwrap();
        bench.beat("d0", version, None, later(second)).await.unwrap();
    }
}

fn standing(bench: &Bench) -> Standing {
    let terminal = bench.server.roster.device(&name("d0")).unwrap();
    crate::roster::lock(&terminal).tries[0].stored.standing
}

#[tokio::test]
async fn success_that_is_never_seen_is_a_failure() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    let answer = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    bench.report("d0", &answer, types::Outcome::Ok).await;
    goes_on(&bench, "1.5", 30..=600).await;
    assert_eq!(standing(&bench), Standing::Reported);
    goes_on(&bench, "1.5", 630..=660).await;
    assert_eq!(standing(&bench), Standing::LostReported);
}

#[tokio::test]
async fn who_got_the_release_from_a_card_does_not_stay_in_flight() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    bench.beat("d0", "1", None, NOW).await.unwrap();
    goes_on(&bench, "2", 30..=600).await;
    assert_eq!(standing(&bench), Standing::Offered);
    goes_on(&bench, "2", 630..=660).await;
    assert_eq!(standing(&bench), Standing::Neutral(types::Outcome::AlreadyRunning));
}
