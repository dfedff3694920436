//! Several servers on one database: the same answers, and limits that hold together.

use super::*;
use types::Outcome;

/// Two servers on one PostgreSQL that know the same release and terminals.
pub(super) async fn two() -> (Place, Bench, Bench) {
    let place = Place::postgres();
    let one = Bench::on(&place).await;
    one.publish("2").await;
    let other = Bench::on(&place).await;
    other.server.load(NOW).await.unwrap();
    (place, one, other)
}

async fn tick(bench: &Bench, seconds: u32) {
    jobs::tick(&bench.server, later(seconds)).await.unwrap();
}

fn tally(bench: &Bench) -> Tally {
    bench.server.snapshot().courses[&name("spring")].rollout.tally
}

#[tokio::test]
async fn a_rollout_of_one_server_is_offered_by_the_other() {
    let (_place, one, other) = two().await;
    one.start("spring", everyone()).await;
    tick(&other, 1).await;
    let first = other.beat("d0", "1", None, later(1)).await.unwrap().unwrap();
    assert!(first.offer.is_some());
    // The first server does not know of the attempt yet, and finds it when it decides.
    let same = one.beat("d0", "1", None, later(1)).await.unwrap().unwrap();
    assert_eq!(same, first, "the same answer, word for word");
    tick(&one, 2).await;
    assert_eq!((tally(&one).exposed, tally(&one).in_flight), (1, 1));
    let before = (one.server.store.statements(), other.server.store.statements());
    for bench in [&one, &other] {
        let again = bench.beat("d0", "1", Some(&first.etag), later(1)).await.unwrap();
        assert_eq!(again, None);
    }
    let after = (one.server.store.statements(), other.server.store.statements());
    assert_eq!(after, before, "a poll without news needs no statement");
}

#[tokio::test]
async fn limits_hold_for_all_servers_together() {
    let (_place, one, other) = two().await;
    one.start("spring", vec![Wave { size: Size::Count(1), opens: Opens::ByHand, allows: None }])
        .await;
    tick(&other, 1).await;
    let answers =
        tokio::join!(one.beat("d0", "1", None, later(1)), other.beat("d1", "1", None, later(1)),);
    let offers = [answers.0, answers.1].map(|answer| answer.unwrap().unwrap().offer);
    assert_eq!(offers.iter().flatten().count(), 1, "{offers:?}");
    for bench in [&one, &other] {
        tick(bench, 2).await;
        assert_eq!(tally(bench).exposed, 1);
    }
}

#[tokio::test]
async fn one_terminal_is_admitted_once_by_whomever_it_asks() {
    let (_place, one, other) = two().await;
    one.start("spring", everyone()).await;
    tick(&other, 1).await;
    let answers =
        tokio::join!(one.beat("d0", "1", None, later(1)), other.beat("d0", "1", None, later(1)),);
    assert_eq!(answers.0.unwrap(), answers.1.unwrap());
    tick(&one, 2).await;
    assert_eq!(tally(&one).exposed, 1);
}

#[tokio::test]
async fn a_halt_by_a_report_to_one_server_is_known_to_the_other_at_its_next_check() {
    let (_place, one, other) = two().await;
    one.start("spring", everyone()).await;
    tick(&other, 1).await;
    let answer = other.beat("d0", "1", None, later(1)).await.unwrap().unwrap();
    tick(&one, 1).await;
    one.report("d0", &answer, Outcome::BootFailed).await;
    // Even before it: the row decides about whoever would start.
    let refused = other.beat("d1", "1", None, later(1)).await.unwrap().unwrap();
    assert_eq!(refused.offer, None, "{}", refused.why);
    tick(&other, 2).await;
    let courses = &other.server.snapshot().courses;
    assert_eq!(courses[&name("spring")].rollout.state, State::Halted);
    assert_eq!((tally(&other).failed, tally(&other).in_flight), (1, 0));
}

#[tokio::test]
async fn a_report_is_counted_once_by_whomever_it_reaches() {
    let (_place, one, other) = two().await;
    one.start("spring", everyone()).await;
    let answer = one.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    tick(&other, 1).await;
    tokio::join!(one.report("d0", &answer, Outcome::Ok), other.report("d0", &answer, Outcome::Ok),);
    one.beat("d0", "2", None, later(1)).await.unwrap();
    tick(&other, 2).await;
    for bench in [&one, &other] {
        let Tally { exposed, in_flight, confirmed, .. } = tally(bench);
        assert_eq!((exposed, in_flight, confirmed), (1, 0, 1));
    }
}

#[tokio::test]
async fn who_asks_one_server_is_not_lost_to_the_other() {
    let (_place, one, other) = two().await;
    one.start("spring", everyone()).await;
    one.beat("d0", "1", None, NOW).await.unwrap();
    for minute in 1..=20 {
        let now = minute * 30;
        tick(&one, now).await;
        one.beat("d0", "1", None, later(now)).await.unwrap();
        // This one never hears the terminal, and does all the tending.
        tick(&other, now + 1).await;
    }
    tick(&one, 602).await;
    assert_eq!(standing(&one), Standing::Offered);
    for minute in 21..=42 {
        tick(&other, minute * 30).await;
    }
    assert_eq!(standing(&other), Standing::Lost, "it asked nobody for 600 s");
}

#[tokio::test]
async fn a_server_that_missed_too_much_reads_everything() {
    let (_place, one, other) = two().await;
    one.start("spring", everyone()).await;
    one.beat("d0", "1", None, NOW).await.unwrap();
    tick(&one, 2000).await;
    tick(&other, 2001).await;
    assert_eq!(standing(&other), Standing::Offered, "it knows of the attempt");
    assert_eq!(tally(&other).exposed, 1);
}

#[tokio::test]
async fn what_is_said_on_one_server_decides_on_the_other() {
    let (_place, one, other) = two().await;
    one.start_on("spring", Terms::default(), Some("tag==pilot")).await;
    tick(&other, 1).await;
    assert_eq!(other.beat("d0", "1", None, later(1)).await.unwrap().unwrap().offer, None);
    one.label("d0", terms::tags(&["pilot"])).await;
    tick(&other, 2).await;
    assert!(other.beat("d0", "1", None, later(2)).await.unwrap().unwrap().offer.is_some());
    one.server.withdraw(Digest::of(b"2"), "operator", &"smoke".into(), later(3)).await.unwrap();
    tick(&other, 3).await;
    let told = other.beat("d1", "1", None, later(3)).await.unwrap().unwrap();
    assert_eq!(told.offer, None);
    let known = other.server.catalogue.find(Digest::of(b"2")).unwrap();
    assert_eq!(known.rules.withdrawn, Some("smoke".into()));
}

#[tokio::test]
async fn a_site_holds_for_all_servers_together() {
    let (_place, one, other) = two().await;
    let site = Some(fleet::SiteLimit {
        by: name("olt"),
        in_flight: 1,
        downloads: fleet::DownloadLimit::default(),
    });
    for device in ["d0", "d1"] {
        one.label(device, terms::at("olt-7")).await;
    }
    one.start_on("spring", Terms { site, ..Terms::default() }, None).await;
    tick(&other, 1).await;
    let answers =
        tokio::join!(one.beat("d0", "1", None, later(1)), other.beat("d1", "1", None, later(1)),);
    let offers = [answers.0, answers.1].map(|answer| answer.unwrap().unwrap().offer);
    assert_eq!(offers.iter().flatten().count(), 1, "{offers:?}");
}
