//! Releases on their way through a fleet, and what stops them.

use crate::support::{Rig, Terminal, until};
use serde_json::{Value, json};

/// A published release, a started rollout with these rules, and terminals.
fn started(count: u32, rules: &Value) -> (Rig, String, Vec<Terminal>) {
    let rig = Rig::start();
    rig.publish("2.0");
    let terminals = rig.terminals(count);
    // They were all seen, so that shares of the audience are known.
    terminals.iter().for_each(|terminal| assert_eq!(terminal.beat().0, 200));
    let mut order = json!({"name": "spring", "release": "2.0"});
    order.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    let id = rig.rollout(&order);
    (rig, id, terminals)
}

fn tally(rig: &Rig, id: &str) -> [u64; 5] {
    let view = rig.status(id);
    let of = |name: &str| view["tally"][name].as_u64().unwrap();
    ["exposed", "in_flight", "confirmed", "failed", "neutral"].map(of)
}

#[test]
fn a_terminal_is_updated_when_it_reported_and_was_seen() {
    let (rig, id, mut terminals) = started(1, &json!({}));
    let attempt = terminals[0].offered().unwrap();
    assert_eq!(terminals[0].offered(), Some(attempt.clone()), "asking again changes nothing");
    assert_eq!(tally(&rig, &id), [1, 1, 0, 0, 0]);
    terminals[0].report(&attempt, 0);
    assert_eq!((rig.state("d0"), tally(&rig, &id)), ("reported".into(), [1, 1, 0, 0, 0]));
    terminals[0].version = "2.0".into();
    terminals[0].beat();
    assert_eq!((rig.state("d0"), tally(&rig, &id)), ("confirmed".into(), [1, 0, 1, 0, 0]));
    assert_eq!(
        (rig.rule("d0"), &rig.status(&id)["state"]),
        ("up-to-date".into(), &json!("finished"))
    );
    assert_eq!(terminals[0].offered(), None);
}

/// What a terminal waits for is shown as long as it says so, without a write.
#[test]
fn what_a_terminal_waits_for_is_explained() {
    let (rig, _, terminals) = started(1, &json!({}));
    let attempt = terminals[0].offered().unwrap();
    let explain = || rig.get("/api/v1/devices/d0/explain").1;
    assert!(explain()["waiting"].is_null());
    let waiting = json!({"rule": "battery-low", "why": "the battery has 12 %"});
    let beat = json!({"attempt": attempt, "phase": "waiting", "waiting": waiting});
    assert_eq!(terminals[0].beat_with(&beat).0, 200);
    let answer = explain();
    assert_eq!((&answer["rule"], &answer["waiting"]), (&json!("continue"), &waiting));
    let sentence = answer["sentence"].as_str().unwrap();
    assert!(sentence.ends_with("the terminal waits: the battery has 12 %"), "{sentence}");
    for bad in [json!({"rule": "", "why": ""}), json!({"rule": "<b>", "why": "x"})] {
        assert_eq!(terminals[0].beat_with(&json!({"waiting": bad})).0, 400);
    }
    assert_eq!(terminals[0].beat_with(&json!({"attempt": attempt})).0, 200);
    assert!(explain()["waiting"].is_null());
}

#[test]
fn a_heartbeat_of_the_old_release_corrects_the_view() {
    let (rig, id, mut terminals) = started(1, &json!({"halt": {"failures_count": 5}}));
    let attempt = terminals[0].offered().unwrap();
    terminals[0].updates(&attempt, "2.0");
    assert_eq!(rig.state("d0"), "confirmed");
    terminals[0].version = "1.0".into();
    assert_eq!(terminals[0].offered(), None, "not again without a new order");
    assert_eq!((rig.state("d0"), tally(&rig, &id)), ("reverted".into(), [1, 0, 0, 1, 0]));
    assert_eq!(rig.rule("d0"), "failed-before");
}

#[test]
fn a_failed_terminal_gets_the_release_again_by_order_only() {
    let (rig, id, mut terminals) = started(1, &json!({"halt": {"failures_count": 5}}));
    let first = terminals[0].offered().unwrap();
    terminals[0].report(&first, 209);
    assert_eq!((terminals[0].offered(), rig.rule("d0")), (None, "failed-before".into()));
    let retry = format!("/api/v1/rollouts/{id}/retry");
    assert_eq!(rig.post(&retry, &json!({"device": "d0"})).0, 200);
    let (_, answer) = terminals[0].beat();
    let second = answer["offer"]["attempt"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(answer["offer"]["allow_failed"], true);
    assert_eq!(tally(&rig, &id), [1, 1, 0, 0, 0], "it is exposed once");
    terminals[0].report(&first, 0);
    assert_eq!(rig.state("d0"), "offered", "a late report of the first changes nothing");
    terminals[0].updates(&second, "2.0");
    assert_eq!(tally(&rig, &id), [1, 0, 1, 0, 0]);
    assert_eq!(rig.post(&retry, &json!({"device": "d0"})).0, 409);
}

#[test]
fn waves_and_the_flight_limit_bound_who_has_it() {
    let rules = json!({
        "waves": [{"percent": 25}, {"percent": 50, "opens": "by_hand"}, {"percent": 100}],
        "in_flight": 2
    });
    let (rig, id, mut terminals) = started(12, &rules);
    let offered = |terminals: &[Terminal]| -> Vec<Option<String>> {
        terminals.iter().map(Terminal::offered).collect()
    };
    let first = offered(&terminals);
    assert_eq!(first.iter().flatten().count(), 2, "two at once");
    assert_eq!(rig.rule("d11"), "flight-full");
    terminals[0].updates(first[0].as_ref().unwrap(), "2.0");
    let second = offered(&terminals);
    assert_eq!((second.iter().flatten().count(), tally(&rig, &id)[0]), (2, 3), "a quarter of 12");
    for (terminal, attempt) in terminals.iter_mut().zip(&second).skip(1) {
        attempt.iter().for_each(|attempt| terminal.updates(attempt, "2.0"));
    }
    assert_eq!(offered(&terminals).iter().flatten().count(), 0);
    assert_eq!((rig.rule("d11"), tally(&rig, &id)), ("wave-full".into(), [3, 0, 3, 0, 0]));
    assert_eq!(rig.post(&format!("/api/v1/rollouts/{id}/advance"), &json!({})).0, 200);
    while let Some((n, attempt)) =
        offered(&terminals).iter().enumerate().find_map(|(n, a)| Some((n, a.clone()?)))
    {
        terminals[n].updates(&attempt, "2.0");
    }
    let view = rig.status(&id);
    assert_eq!((&view["state"], &view["wave"]), (&json!("finished"), &json!(3)), "{view}");
    assert_eq!(tally(&rig, &id), [12, 0, 12, 0, 0]);
    let history: Vec<&str> =
        view["history"].as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap()).collect();
    assert_eq!(history[1..], ["started", "wave 2 opened", "wave 3 opened", "finished"]);
    assert_eq!(view["history"][3]["who"], "refit-server");
}

#[test]
fn failures_halt_the_rollout_and_withdraw_it() {
    let rules = json!({"waves": [{"count": 3}, {"percent": 100}], "halt": {"failures_count": 1}});
    let (rig, id, terminals) = started(5, &rules);
    let offers: Vec<_> = terminals.iter().map(Terminal::offered).collect();
    assert_eq!(offers.iter().flatten().count(), 3);
    terminals[0].report(offers[0].as_ref().unwrap(), 209);
    assert_eq!(rig.status(&id)["state"], "running");
    terminals[1].report(offers[1].as_ref().unwrap(), 210);
    let view = rig.status(&id);
    assert_eq!((&view["state"], &view["who"]), (&json!("halted"), &json!("refit-server")));
    assert_eq!(view["why"], "2 terminals failed; 1 are allowed");
    assert_eq!((terminals[4].offered(), rig.rule("d4")), (None, "halted".into()));
    let (_, answer) = terminals[2].beat_with(&json!({"attempt": offers[2], "phase": "verifying"}));
    assert_eq!(
        (&answer["standing"], &answer["withdrawn"]),
        (&json!("withdrawn"), &json!([offers[2]]))
    );
    assert_eq!(rig.rule("d2"), "withdrawn");
    terminals[2].report(offers[2].as_ref().unwrap(), 110);
    assert_eq!(tally(&rig, &id), [3, 0, 0, 2, 1], "{:?}", rig.status(&id));
}

#[test]
fn a_withdrawn_attempt_that_never_arrived_ends_by_itself() {
    let (rig, id, terminals) = started(1, &json!({}));
    terminals[0].offered().unwrap();
    assert_eq!(rig.post(&format!("/api/v1/rollouts/{id}/halt"), &json!({"why": "smoke"})).0, 200);
    assert_eq!(terminals[0].offered(), None);
    assert_eq!((rig.rule("d0"), tally(&rig, &id)), ("ended".into(), [1, 0, 0, 0, 1]));
    let view = rig.status(&id);
    assert_eq!((&view["who"], &view["why"]), (&json!("operator"), &json!("smoke")));
}

#[test]
fn who_does_not_come_back_has_failed_until_it_proves_otherwise() {
    let rules = json!({"halt": {"failures_count": 0, "not_back_seconds": 1}});
    let (rig, id, mut terminals) = started(2, &rules);
    let offers: Vec<_> = terminals.iter().map(Terminal::offered).collect();
    until(&"lost".to_owned(), || rig.state("d0"));
    until(&json!("halted"), || rig.status(&id)["state"].clone());
    until(&[2, 0, 0, 2, 0], || tally(&rig, &id));
    terminals[1].updates(offers[1].as_ref().unwrap(), "2.0");
    assert_eq!((rig.state("d1"), tally(&rig, &id)), ("confirmed".into(), [2, 0, 1, 1, 0]));
    assert_eq!((terminals[0].offered(), rig.rule("d0")), (None, "failed-before".into()));
}

#[test]
fn a_sign_of_life_keeps_a_slow_terminal_in_flight() {
    let rules = json!({"halt": {"failures_count": 0, "not_back_seconds": 4}});
    let (rig, _, terminals) = started(2, &rules);
    let offers: Vec<_> = terminals.iter().map(Terminal::offered).collect();
    let slow = json!({"attempt": offers[0], "phase": "downloading", "done": 1, "total": 2});
    until(&"lost".to_owned(), || {
        assert_eq!(terminals[0].post("/v1/progress", &slow).0, 204);
        assert_eq!(rig.state("d0"), "offered");
        rig.state("d1")
    });
    let (_, detail) = rig.get("/api/v1/devices/d0");
    assert_eq!(detail["attempt"]["progress"]["done"], 1);
}

#[test]
fn a_pause_keeps_who_has_it_and_lets_nobody_in() {
    let (rig, id, terminals) = started(2, &json!({}));
    let attempt = terminals[0].offered().unwrap();
    let act = |what: &str| rig.post(&format!("/api/v1/rollouts/{id}/{what}"), &json!({})).0;
    assert_eq!((act("pause"), act("pause"), act("start")), (200, 409, 409));
    assert_eq!(terminals[0].offered(), Some(attempt.clone()));
    let (_, answer) = terminals[0].beat_with(&json!({"attempt": attempt}));
    assert_eq!(answer["standing"], "stands");
    assert_eq!((terminals[1].offered(), rig.rule("d1")), (None, "paused".into()));
    assert_eq!(act("resume"), 200);
    assert!(terminals[1].offered().is_some());
    assert_eq!((act("halt"), act("resume"), act("halt")), (200, 409, 409));
}

#[test]
fn an_audience_is_a_rule_and_includes_who_joins_later() {
    let (rig, id, terminals) = started(1, &json!({"audience": {"regions": ["south"]}}));
    assert_eq!((terminals[0].offered(), rig.rule("d0")), (None, "not-for".into()));
    let south = json!({"region": "south"});
    let (_, answer) = terminals[0].beat_with(&south);
    until(&true, || terminals[0].beat_with(&south).1["offer"].is_object());
    assert!(answer["offer"].is_null() || answer["offer"].is_object());
    assert_eq!(tally(&rig, &id)[0], 1);
    let late = Terminal::enrol(&rig, "late", &rig.tokens(1)[0]);
    until(&true, || late.beat_with(&south).1["offer"].is_object());
}

#[test]
fn what_is_asked_for_wrongly_is_explained() {
    let (rig, id, _) = started(0, &json!({}));
    let check = |path: &str, body: Value, status: u16, said: &str| {
        let (got, answer) = rig.post(path, &body);
        assert_eq!(got, status, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(said), "{answer}");
        assert!(!answer["what_to_do"].as_str().unwrap().is_empty(), "{answer}");
    };
    check("/api/v1/rollouts", json!({"name": "x", "release": "9.9"}), 404, "no release 9.9");
    check("/api/v1/rollouts", json!({"name": "x"}), 400, "missing field `release`");
    let other = json!({"name": "x", "release": "2.0", "audience": {"product": "phone"}});
    check("/api/v1/rollouts", other, 404, "no release");
    check("/api/v1/rollouts/r0/start", json!({}), 404, "no rollout r0");
    check(&format!("/api/v1/rollouts/{id}/advance"), json!({}), 409, "last wave");
    check(&format!("/api/v1/rollouts/{id}/retry"), json!({"device": "d9"}), 404, "no terminal d9");
    check("/api/v1/nothing", json!({}), 404, "no such path");
    check("/api/v1/devices", json!({}), 405, "no such method");
}
