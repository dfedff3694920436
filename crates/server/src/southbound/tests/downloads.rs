//! Who may download: on one server, on two, after a server died, and at which rate.

use super::replicas::two;
use super::*;
use crate::clock::Step;
use crate::downloads::{Pass, shown};
use crate::roster::lock;
use crate::southbound::Granted;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use fleet::{DownloadLimit, SiteLimit};
use std::sync::Arc;

const MUCH: u64 = 1 << 20;

fn limit(at_once: u32, megabits: Option<u32>) -> DownloadLimit {
    DownloadLimit { at_once: Some(at_once), megabits }
}

async fn tick(bench: &Bench, seconds: u32) {
    jobs::tick(&bench.server, later(seconds)).await.unwrap();
}

/// What `device` may do that was let into the rollout already.
async fn ask(bench: &Bench, device: &str, size: u64, seconds: u32) -> Reply<Option<Pass>> {
    ask_at(bench, device, size, later(seconds)).await
}

async fn ask_at(bench: &Bench, device: &str, size: u64, now: Timestamp) -> Reply<Option<Pass>> {
    let terminal = bench.server.roster.device(&name(device)).unwrap();
    let (attempt, rollout, served) = {
        let locked = lock(&terminal);
        let tried = locked.tries.last().unwrap();
        (tried.stored.attempt, tried.stored.rollout.clone(), Arc::clone(&tried.served))
    };
    let published = bench.server.catalogue.find(Digest::of(b"2")).unwrap();
    let granted = Granted { attempt, rollout, terminal, published, served };
    bench.server.download(&granted, size, now).await
}

async fn enters(bench: &Bench, device: &str, seconds: u32) -> Pass {
    ask(bench, device, MUCH, seconds).await.unwrap().unwrap()
}

async fn waits(bench: &Bench, device: &str, seconds: u32) {
    let refused = ask(bench, device, MUCH, seconds).await.unwrap_err().into_response();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let again: u32 = refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    // The offer is as old as the test.
    let expected = [(0, 30), (9, 12), (11, 8), (12, 6), (13, 5)];
    assert_eq!(Some(&(seconds, again)), expected.iter().find(|(at, _)| *at == seconds));
}

/// Both terminals have the offer, and both servers know it.
async fn offered(one: &Bench, other: &Bench, terms: Terms) {
    one.start_on("spring", terms, None).await;
    for device in ["d0", "d1"] {
        assert!(one.beat(device, "1", None, NOW).await.unwrap().unwrap().offer.is_some());
    }
    tick(other, 0).await;
}

fn said(bench: &Bench, device: &str) -> Option<String> {
    let terminal = bench.server.roster.device(&name(device)).unwrap();
    let snapshot = bench.server.snapshot();
    shown(&snapshot, &lock(&terminal), &snapshot.plan.tracks[0])
}

#[tokio::test]
async fn a_place_is_one_of_all_servers() {
    let (_place, one, other) = two().await;
    offered(&one, &other, Terms { downloads: limit(1, None), ..Terms::default() }).await;
    let first = enters(&one, "d0", 0).await;
    waits(&other, "d1", 0).await;
    assert!(ask(&other, "d1", 1000, 0).await.unwrap().is_none(), "a document is no download");
    for seconds in [4, 8, 12] {
        tick(&one, seconds).await;
        assert_eq!(first.take(1, later(seconds), u64::from(seconds) * 1000).unwrap(), 0);
    }
    tick(&other, 12).await;
    assert_eq!(said(&other, "d0").unwrap(), "it downloads");
    assert!(said(&other, "d1").unwrap().starts_with("its download waits: 1 download"));
    waits(&other, "d1", 12).await;
    drop(first);
    tick(&one, 13).await;
    tick(&other, 13).await;
    let _second = enters(&other, "d1", 13).await;
    waits(&one, "d0", 13).await;
}

#[tokio::test]
async fn what_a_server_held_that_is_cut_off_is_free_again_and_it_stops() {
    let (_place, one, other) = two().await;
    offered(&one, &other, Terms { downloads: limit(1, None), ..Terms::default() }).await;
    let stale = enters(&other, "d1", 0).await;
    waits(&one, "d0", 9).await;
    assert!(stale.take(1, later(10), 10_000).is_ok());
    assert!(stale.take(1, later(11), 11_000).is_err(), "its time is over");
    let _next = enters(&one, "d0", 11).await;
    tick(&other, 11).await;
    assert!(stale.take(1, later(9), 9000).is_err(), "its place is another one's");
    waits(&other, "d1", 11).await;
}

#[tokio::test]
async fn a_poll_without_news_and_a_second_request_need_no_statement() {
    let bench = Bench::new().await;
    bench.start_on("spring", Terms { downloads: limit(1, None), ..Terms::default() }, None).await;
    let told = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    let _pass = enters(&bench, "d0", 0).await;
    let other = bench.beat("d1", "1", None, NOW).await.unwrap().unwrap();
    assert!(other.why.as_str().starts_with("as many terminals download in"), "{}", other.why);
    let before = bench.server.store.statements();
    for (device, told) in [("d0", &told), ("d1", &other)] {
        assert_eq!(bench.beat(device, "1", Some(&told.etag), NOW).await.unwrap(), None);
    }
    let _again = enters(&bench, "d0", 1).await;
    assert_eq!(bench.server.store.statements(), before);
}

#[tokio::test]
async fn a_rate_is_shared_out_and_a_site_has_its_own() {
    let bench = Bench::new().await;
    let site = SiteLimit { by: name("olt"), in_flight: 9, downloads: limit(1, Some(4)) };
    let terms = Terms { site: Some(site), downloads: limit(9, Some(16)), ..Terms::default() };
    bench.label("d0", terms::at("olt-7")).await;
    offered(&bench, &bench, terms).await;
    let sited = enters(&bench, "d0", 0).await;
    assert_eq!(sited.piece(), 500_000 / 8, "the site has less");
    let free = enters(&bench, "d1", 0).await;
    assert_eq!((sited.piece(), free.piece()), (500_000 / 8, 1_000_000 / 8));
    assert_eq!(free.take(500_000, NOW, 1000).unwrap(), 250, "a quarter of a second may go at once");
    assert_eq!(free.take(500_000, later(1), 2000).unwrap(), 250);
    drop(sited);
    tick(&bench, 1).await;
    assert_eq!(free.piece(), 2_000_000 / 8, "what nobody uses is the others'");
    assert!(said(&bench, "d1").unwrap().contains("16000 kbit/s"));
}

#[tokio::test]
async fn who_takes_no_bytes_loses_its_place() {
    let bench = Bench::new().await;
    bench.start_on("spring", Terms { downloads: limit(1, None), ..Terms::default() }, None).await;
    bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
    let idle = enters(&bench, "d0", 0).await;
    for seconds in (4..=60).step_by(4) {
        tick(&bench, seconds).await;
    }
    assert_eq!(bench.server.snapshot().downloads[&name("spring")].len(), 1);
    tick(&bench, 61).await;
    assert!(!bench.server.snapshot().downloads.contains_key(&name("spring")));
    assert!(idle.take(1, later(61), 61_000).is_err());
}

#[tokio::test]
async fn a_place_is_one_servers_through_a_clock_that_is_set() {
    for hours in [5, -5] {
        let (_place, one, other) = two().await;
        offered(&one, &other, Terms { downloads: limit(1, None), ..Terms::default() }).await;
        let held = enters(&one, "d0", 0).await;
        let set = |second: i64| Timestamp(NOW.0 + hours * 3_600_000 + second * 1000);
        let step = Step { to: set(0), by: hours * 3_600_000 };
        // The other one notices first.
        other.server.clock_was_set(step).await.unwrap();
        assert!(ask_at(&other, "d1", MUCH, set(1)).await.is_err(), "set by {hours} h");
        one.server.clock_was_set(step).await.unwrap();
        for second in [1, 5, 9, 13] {
            assert!(held.take(1, set(second), 0).is_ok(), "set by {hours} h, {second} s");
            jobs::tick(&one.server, set(second)).await.unwrap();
            assert!(ask_at(&other, "d1", MUCH, set(second)).await.is_err());
        }
        // Nobody moves it on any more.
        jobs::tick(&other.server, set(24)).await.unwrap();
        assert!(held.take(1, set(24), 0).is_err());
        assert!(ask_at(&other, "d1", MUCH, set(24)).await.unwrap().is_some());
    }
}
