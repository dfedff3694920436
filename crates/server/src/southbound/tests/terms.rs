//! What operators say of terminals and releases, and what terminals are told then.

use super::*;
use fleet::filter::Filter;
use fleet::{Schedule, SiteLimit};
use protocols::operator::{LabelOrder, LabelsView};
use types::{Latecomers, Mode, Outcome};

impl Bench {
    /// Starts a rollout on these terms.
    pub(super) async fn start_on(&self, id: &str, terms: Terms, filter: Option<&str>) {
        let mut rollout = self.draft(id, everyone());
        rollout.terms = terms;
        rollout.audience.filter = filter.map(|text| text.parse().unwrap());
        self.put(rollout).await;
    }

    /// Says of `device` what `set` says.
    pub(super) async fn label(&self, device: &str, set: LabelsView) {
        let order = LabelOrder { devices: vec![name(device)], set, ..LabelOrder::default() };
        self.server.relabel(&order, None, NOW).await.unwrap();
    }

    /// What a heartbeat of `device` in `version` is answered: the rule's sentence, behind
    /// `offer: ` where there is an offer.
    async fn told(&self, device: &str, version: &str, now: Timestamp) -> String {
        jobs::tick(&self.server, now).await.unwrap();
        let answer = self.beat(device, version, None, now).await.unwrap().unwrap();
        let offer = if answer.offer.is_some() { "offer: " } else { "" };
        format!("{offer}{}", answer.why)
    }

    async fn check(&self, device: &str, expected: &str) {
        let told = self.told(device, "1", NOW).await;
        assert!(told.contains(expected), "{told}");
        assert_eq!(told.starts_with("offer"), expected.starts_with("offer"), "{told}");
    }
}

pub(super) fn tags(tags: &[&str]) -> LabelsView {
    LabelsView { tags: tags.iter().map(|tag| name(tag)).collect(), ..LabelsView::default() }
}

pub(super) fn at(site: &str) -> LabelsView {
    let attributes = [(name("olt"), site.into())].into();
    LabelsView { attributes, ..LabelsView::default() }
}

#[tokio::test]
async fn labels_decide_as_soon_as_they_are_said() {
    let bench = Bench::new().await;
    bench.start_on("spring", Terms::default(), Some("tag==pilot")).await;
    bench.check("d0", "the filter does not hold").await;
    bench.label("d0", tags(&["pilot"])).await;
    bench.check("d0", "offer: ").await;
    bench.check("d1", "the filter does not hold").await;
    let filter: Filter = "device==d1".parse().unwrap();
    let order = LabelOrder { set: tags(&["pilot"]), ..LabelOrder::default() };
    let done = bench.server.relabel(&order, Some(&filter), NOW).await.unwrap();
    assert_eq!((done.devices, done.changed), (1, 1));
    bench.check("d1", "offer: ").await;
}

#[tokio::test]
async fn labels_survive_a_start_of_the_server() {
    let bench = Bench::new().await;
    bench.label("d0", tags(&["pilot"])).await;
    bench.server.load(later(1)).await.unwrap();
    let terminal = bench.server.roster.device(&name("d0")).unwrap();
    assert!(crate::roster::lock(&terminal).stored.labels().tags.contains(&name("pilot")));
    let mut tx = bench.server.store.begin().await.unwrap();
    let found = tx.find_devices(&"tag==pilot".parse().unwrap(), None, 9).await.unwrap();
    assert_eq!(found, [name("d0")]);
}

#[tokio::test]
async fn a_site_lets_one_in_after_the_other() {
    let bench = Bench::new().await;
    let site = Some(SiteLimit {
        by: name("olt"),
        in_flight: 1,
        downloads: fleet::DownloadLimit::default(),
    });
    bench.label("d0", at("olt-7")).await;
    bench.label("d1", at("olt-7")).await;
    bench.start_on("spring", Terms { site, ..Terms::default() }, None).await;
    let first = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    assert!(first.offer.is_some());
    bench.check("d1", "as many terminals of its site").await;
    bench.report("d0", &first, Outcome::Declined).await;
    bench.check("d1", "offer: ").await;
    bench.server.load(later(1)).await.unwrap();
    let sites = bench.server.snapshot().sites.clone();
    assert_eq!(sites[&name("spring")][&Text::from("olt-7")], 1);
}

#[tokio::test]
async fn a_schedule_opens_by_the_terminals_clock() {
    let bench = Bench::new().await;
    // NOW is 2030-03-17T17:46:40Z.
    let windows = vec!["02:00-05:00".parse().unwrap()];
    let schedule = Schedule { windows, ..Schedule::default() };
    bench.start_on("spring", Terms { schedule, ..Terms::default() }, None).await;
    bench.check("d0", "open for it again at 2030-03-18T02:00:00Z").await;
    let zone = Some("Asia/Shanghai".into());
    bench.label("d0", LabelsView { zone, ..LabelsView::default() }).await;
    bench.check("d0", "open for it again at 2030-03-17T18:00:00Z").await;
    bench
        .label("d0", LabelsView { zone: Some("Asia/Dhaka".into()), ..LabelsView::default() })
        .await;
    bench.check("d0", "open for it again at 2030-03-17T20:00:00Z").await;
    assert!(bench.told("d0", "1", later(9000)).await.starts_with("offer: "));
}

#[tokio::test]
async fn a_failure_of_the_network_is_tried_again_by_itself() {
    let bench = Bench::new().await;
    let mut rollout = bench.draft("spring", everyone());
    rollout.terms.retries = 1;
    rollout.halt.allows.count = Some(1);
    bench.put(rollout).await;
    let first = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    bench.report("d0", &first, Outcome::Unreachable).await;
    let second = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    let offer = second.offer.clone().unwrap();
    assert_ne!(offer.attempt, first.offer.unwrap().attempt);
    assert!(offer.allow_failed);
    let tally = || bench.server.snapshot().courses[&name("spring")].rollout.tally;
    assert_eq!((tally().exposed, tally().in_flight, tally().failed), (1, 1, 0));
    bench.report("d0", &second, Outcome::Unreachable).await;
    bench.check("d0", "failed on it and needs a new order").await;
    assert_eq!((tally().exposed, tally().in_flight, tally().failed), (1, 0, 1));
    let failures =
        bench.server.store.begin().await.unwrap().failures(&name("spring")).await.unwrap();
    assert_eq!((failures[0].outcome, failures[0].devices, failures[0].wave), (200, 2, 1));
    assert_eq!(failures[0].origin.as_str(), "1");
}

#[tokio::test]
async fn a_lost_terminal_that_comes_back_is_no_failure_any_more() {
    let bench = Bench::new().await;
    let mut rollout = bench.draft("spring", everyone());
    rollout.halt.allows.count = Some(1);
    bench.put(rollout).await;
    let first = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    for second in (30..=720).step_by(30) {
        jobs::tick(&bench.server, later(second)).await.unwrap();
    }
    let tally = || bench.server.snapshot().courses[&name("spring")].rollout.tally;
    let failures =
        async || bench.server.store.begin().await.unwrap().failures(&name("spring")).await.unwrap();
    assert_eq!((tally().failed, tally().lost, failures().await[0].outcome), (1, 1, 400));
    bench.report("d0", &first, Outcome::Ok).await;
    bench.beat("d0", "2", None, later(721)).await.unwrap();
    assert_eq!((tally().confirmed, tally().failed, tally().lost), (1, 0, 0));
    assert!(failures().await.is_empty());
    let events = bench.server.store.begin().await.unwrap().events(&name("d0"), 9).await.unwrap();
    let said: Vec<_> = events.iter().map(|(_, what)| what.as_str()).collect();
    assert!(said.iter().any(|what| what.contains("did not come back in time")), "{said:?}");
    assert!(said.iter().any(|what| what.contains("seen running the release")), "{said:?}");
    assert!(said.iter().any(|what| what.contains("+version.rootfs=2")), "{said:?}");
}

#[tokio::test]
async fn a_withdrawn_release_ends_everywhere() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    bench.beat("d0", "1", None, NOW).await.unwrap();
    let why = Text::from("it eats batteries");
    let halted = bench.server.withdraw(Digest::of(b"2"), "operator", &why, NOW).await.unwrap();
    assert_eq!(halted, 1);
    let told = bench.told("d1", "1", NOW).await;
    assert!(told.contains("halted: the release was withdrawn: it eats batteries"), "{told}");
    let draft = bench.draft("summer", everyone());
    let published = bench.server.catalogue.find(Digest::of(b"2")).unwrap();
    let id = bench.server.make_rollout(draft, &published, NOW).await.unwrap();
    let started = bench.server.act(&id, Act::Start, "operator", &Text::default(), NOW).await;
    assert!(started.unwrap_err().to_string().contains("was withdrawn"));
    bench.server.load(later(1)).await.unwrap();
    let kept = bench.server.catalogue.find(Digest::of(b"2")).unwrap();
    assert_eq!(kept.rules.withdrawn, Some(why));
}

#[tokio::test]
async fn an_emergency_stop_halts_everything() {
    let bench = Bench::new().await;
    bench.start("spring", everyone()).await;
    bench.start("summer", everyone()).await;
    let other = Some(name("phone"));
    let why = Text::from("smoke");
    assert_eq!(bench.server.stop(other.as_ref(), "operator", &why, NOW).await.unwrap(), 0);
    assert_eq!(bench.server.stop(None, "operator", &why, NOW).await.unwrap(), 2);
    assert_eq!(bench.server.stop(None, "operator", &why, NOW).await.unwrap(), 0);
    bench.check("d0", "is halted: smoke").await;
}

#[tokio::test]
async fn what_a_release_needs_is_asked_before_it_is_offered() {
    let bench = Bench::new().await;
    let needs = "version.rootfs>=1.5".parse().unwrap();
    bench.server.set_needs(Digest::of(b"2"), Some(&needs), NOW).await.unwrap();
    bench.start("spring", everyone()).await;
    bench.check("d0", "not what the release needs").await;
    assert!(bench.told("d1", "1.5", NOW).await.starts_with("offer: "));
    bench.server.set_needs(Digest::of(b"2"), None, NOW).await.unwrap();
    bench.check("d0", "offer: ").await;
}

#[tokio::test]
async fn a_frozen_audience_stays_as_it_was() {
    let bench = Bench::new().await;
    let latecomers = Latecomers::LeftOut;
    bench.start_on("spring", Terms { latecomers, ..Terms::default() }, None).await;
    bench.check("d0", "offer: ").await;
    let late = StoredDevice {
        device: name("d9"),
        credential: Digest::of(b"d9"),
        facts: facts().into(),
        slot: None,
        running: Running::new().into(),
        enrolled: later(1),
        labels: None,
    };
    bench.server.show_device(late);
    bench.check("d9", "enrolment after the start").await;
}

#[tokio::test]
async fn a_mode_reaches_the_agents_that_know_it() {
    let bench = Bench::new().await;
    bench.start_on("spring", Terms { mode: Mode::Forced, ..Terms::default() }, None).await;
    let forced = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    assert_eq!(forced.offer.unwrap().mode, protocols::native::Mode::Forced);
    bench.start_on("summer", Terms { mode: Mode::DownloadOnly, ..Terms::default() }, None).await;
    bench.check("d1", "asks for download-only").await;
}
