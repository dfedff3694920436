//! Nothing that was acknowledged is lost, whatever happens to the server.

use crate::support::{Rig, Terminal, report, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use types::AttemptId;

/// How often the server is killed in the storm.
const KILLS: usize = 5;
/// Acknowledged reports between two kills.
const BETWEEN: usize = 40;

/// Ends a storm, also where what goes on beside it panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn kill_9_in_a_storm_of_reports_loses_none_and_counts_each_once() {
    let mut rig = Rig::start();
    rig.publish("2.0");
    let rollout = rig.rollout(&json!({
        "name": "storm", "release": "2.0", "halt": {"failures_percent": 100}
    }));
    let mut terminals = rig.terminals(8);
    let offers: Vec<String> = terminals.iter().map(|t| t.offered().unwrap()).collect();
    let acknowledged: Vec<Mutex<BTreeSet<String>>> =
        terminals.iter().map(|_| Mutex::default()).collect();

    for round in 0..KILLS {
        terminals.iter_mut().for_each(|terminal| terminal.client = rig.client());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (n, terminal) in terminals.iter().enumerate() {
                let (over, mine, offer) = (&over, &acknowledged[n], &offers[n]);
                scope.spawn(move || storm(terminal, offer, round, over, mine));
            }
            // Whatever happens here, the storm ends: the scope waits for it.
            let over = Over(&over);
            let count = || acknowledged.iter().map(|set| set.lock().unwrap().len()).sum::<usize>();
            until(&true, || count() >= (round + 1) * BETWEEN);
            rig.kill_and_restart();
            drop(over);
        });
    }

    let mut total = 0;
    for (terminal, acknowledged) in terminals.iter().zip(&acknowledged) {
        let path = format!("/api/v1/devices/{}/reports", terminal.name);
        let (status, kept) = rig.get(&path);
        assert_eq!(status, 200);
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for kept in kept["reports"].as_array().unwrap() {
            *times.entry(kept["attempt"].as_str().unwrap().into()).or_default() += 1;
        }
        assert!(times.values().all(|n| *n == 1), "{times:?}");
        let acknowledged = acknowledged.lock().unwrap();
        for attempt in acknowledged.iter() {
            assert!(times.contains_key(attempt), "{attempt} of {} is lost", terminal.name);
        }
        total += acknowledged.len();
    }
    let tally = &rig.status(&rollout)["tally"];
    assert_eq!((&tally["exposed"], &tally["failed"]), (&json!(8), &json!(8)), "{tally}");
    println!("{KILLS} kills, {total} acknowledged reports, 0 lost, 0 counted twice");
}

/// Sends reports, each until it is acknowledged: the one of the offer first, then
/// those of attempts that no server ordered.
fn storm(
    terminal: &Terminal,
    offer: &str,
    round: usize,
    over: &AtomicBool,
    acknowledged: &Mutex<BTreeSet<String>>,
) {
    let own = |n: u32| {
        let name = format!("{round}-{}", terminal.name);
        AttemptId::new(&name, &terminal.name.parse().unwrap(), n).to_string()
    };
    let attempts = std::iter::once(offer.to_owned()).chain((0..).map(own));
    for attempt in attempts {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let body = json!({"reports": [report(&attempt, 209), report(&attempt, 209)]});
        let (status, answer) = terminal.post("/v1/reports", &body);
        if status == 200 {
            assert!(answer["accepted"].as_array().unwrap().contains(&json!(attempt)), "{answer}");
            acknowledged.lock().unwrap().insert(attempt);
        }
    }
}

#[test]
fn a_restart_knows_what_was_known() {
    let mut rig = Rig::start();
    rig.publish("2.0");
    let rollout = rig.rollout(&json!({
        "name": "spring", "release": "2.0", "waves": [{"count": 1}, {"count": 3, "opens": "by_hand"}]
    }));
    let mut terminals = rig.terminals(3);
    let attempt = terminals[0].offered().unwrap();
    terminals[0].updates(&attempt, "2.0");
    terminals[1].beat();
    let known = |rig: &Rig| -> (Value, Value, Value) {
        let mut device = rig.get("/api/v1/devices/d0").1;
        device.as_object_mut().unwrap().remove("seen");
        (rig.status(&rollout), device, rig.get("/api/v1/releases").1)
    };
    let before = known(&rig);
    assert_eq!(before.0["tally"]["confirmed"], 1, "{}", before.0);
    rig.kill_and_restart();
    assert_eq!(known(&rig), before);
    terminals.iter_mut().for_each(|terminal| terminal.client = rig.client());
    assert_eq!(rig.rule("d0"), "up-to-date");
    assert_eq!(terminals[1].offered(), None, "the first wave is still full");
    assert_eq!(rig.post(&format!("/api/v1/rollouts/{rollout}/advance"), &json!({})).0, 200);
    assert!(terminals[1].offered().is_some());
    assert!(rig.terminate(), "it ends in good order");
}
