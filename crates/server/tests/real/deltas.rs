//! Deltas that the server makes by itself, and what becomes of those it cannot.

use crate::maker::{edited, image};
use crate::support::{Rig, Terminal, until, until_within};
use delta::PatchHeader;
use package::{Deltas, Manifest};
use serde_json::{Value, json};
use std::time::Duration;
use types::{Digest, Document as _};

const OPTIONS: [&str; 4] = ["--root", "root.json", "--poll-seconds", "1"];

/// How long a delta may take on a busy machine: it is made with a low priority.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server that knows 1.0, and a terminal that runs it and has memory for deltas.
fn rig(options: &[&str], old: &str) -> (Rig, Terminal) {
    let rig = Rig::with(&[&OPTIONS, options].concat());
    rig.publish(old);
    let mut terminal = rig.terminals(1).remove(0);
    terminal.version = old.into();
    assert_eq!(beat(&terminal, 8).0, 200);
    (rig, terminal)
}

/// A heartbeat of a terminal with so many MiB for deltas.
fn beat(terminal: &Terminal, mib: u32) -> (u16, Value) {
    terminal.beat_with(&json!({"memory_class_mib": mib}))
}

/// Publishes a release with this image. Returns the digest of its manifest.
fn publish(rig: &Rig, version: &str, image: &[u8]) -> String {
    let (status, answer) = rig.upload(&rig.maker.package_of(version, image));
    assert_eq!(status, 200, "{answer}");
    answer["manifest"].as_str().unwrap().to_owned()
}

/// The one delta to a release that was made, or was not, once nothing more is to come.
fn came(rig: &Rig, manifest: &str) -> Value {
    let path = format!("/api/v1/releases/{manifest}/deltas");
    until_within(PATIENCE, &json!([0, 1]), || {
        let list = rig.get(&path).1;
        json!([list["pending"], list["deltas"].as_array().unwrap().len()])
    });
    rig.get(&path).1["deltas"][0].clone()
}

/// The job that makes the delta to a release.
fn job(rig: &Rig, manifest: &str) -> Value {
    rig.get(&format!("/api/v1/jobs?kind=delta&about={manifest}")).1["jobs"][0].clone()
}

/// The address under which a terminal is offered a release.
fn base(terminal: &Terminal, mib: u32) -> String {
    let (_, answer) = beat(terminal, mib);
    answer["offer"]["base"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn after_publishing_a_delta_is_made_from_what_the_fleet_runs_and_offered() {
    let (rig, terminal) = rig(&[], "1.0");
    let (old, new) = (image("1.0"), edited(&image("1.0")));
    let manifest = publish(&rig, "2.0", &new);
    let made = came(&rig, &manifest);
    assert_eq!(
        (&made["kept"], &made["from"], &made["class_mib"]),
        (&json!(true), &json!("1.0"), &json!(8))
    );
    assert!(made["size"].as_u64().unwrap() * 10 < made["full"].as_u64().unwrap(), "{made}");
    assert_eq!(job(&rig, &manifest)["state"], "done");
    rig.rollout(&json!({"name": "spring", "release": "2.0"}));
    let base = base(&terminal, 8);
    let get = |entry: &str, headers: &[(&str, &str)]| {
        terminal.client.fetch(&format!("{base}{entry}"), headers)
    };
    let list = get(Deltas::ENTRY, &[]);
    let deltas = Deltas::decode(&list.body).unwrap().deltas;
    assert_eq!(deltas.len(), 1, "{deltas:?}");
    assert_eq!(
        (deltas[0].source, deltas[0].size),
        (Digest::of(&old), made["size"].as_u64().unwrap())
    );
    // Conditions and ranges hold for the list and for the delta.
    for (entry, whole) in [(Deltas::ENTRY, &list), (&*deltas[0].entry, &get(&deltas[0].entry, &[]))]
    {
        assert_eq!(whole.status, 200, "{entry}");
        assert_eq!(get(entry, &[("if-none-match", &whole.tag)]).status, 304, "{entry}");
        let part = get(entry, &[("range", "bytes=3-9"), ("if-match", &whole.tag)]);
        assert_eq!((part.status, &part.body[..]), (206, &whole.body[3..10]), "{entry}");
        assert_eq!(get(entry, &[("if-match", "\"other\"")]).status, 412, "{entry}");
    }
    let delta = get(&deltas[0].entry, &[]).body;
    let header = PatchHeader::read(&delta).unwrap().unwrap().0;
    assert_eq!(
        (header.source.digest, header.target.digest),
        (Digest::of(&old).0, Digest::of(&new).0)
    );
    assert!(deltas[0].heap <= 8 << 20 && header.heap == deltas[0].heap);
    // The manifest is the maker's still.
    assert!(Manifest::decode(&get(Manifest::ENTRY, &[]).body).is_ok());
    assert_eq!(get(&format!("delta/{}", Digest::of(b"other")), &[]).status, 404);
    // Without the memory, or with another image, there is none for it.
    beat(&terminal, 0);
    assert_eq!(get(Deltas::ENTRY, &[]).status, 404);
    let other = Terminal { version: "1.1".into(), ..terminal.clone() };
    beat(&other, 8);
    assert_eq!(get(Deltas::ENTRY, &[]).status, 404);
}

#[test]
fn nothing_more_is_made_for_a_release_that_was_halted() {
    let (rig, _terminal) = rig(&["--delta-seconds", "600"], "1.0-big");
    let id = {
        let manifest = publish(&rig, "2.0", &image("2.0-big"));
        until(&json!("running"), || job(&rig, &manifest)["state"].clone());
        let id = rig.rollout(&json!({"name": "spring", "release": "2.0"}));
        assert_eq!(rig.post(&format!("/api/v1/rollouts/{id}/halt"), &json!({})).0, 200);
        id
    };
    // It is ended in the middle, or was quicker: nothing of it waits or runs any more.
    let busy = |job: &Value| job["state"] == "waiting" || job["state"] == "running";
    until_within(PATIENCE, &true, || {
        let jobs = rig.get("/api/v1/jobs?kind=delta").1["jobs"].clone();
        !jobs.as_array().unwrap().iter().any(busy)
    });
    assert_eq!(rig.status(&id)["state"], "halted");
}

#[test]
fn what_does_not_pay_is_dropped_with_its_reason() {
    let (rig, _terminal) = rig(&[], "1.0");
    let manifest = publish(&rig, "2.0", &image("2.0"));
    let dropped = came(&rig, &manifest);
    assert_eq!(dropped["kept"], false);
    assert!(dropped["why"].as_str().unwrap().starts_with("it does not pay: 1"), "{dropped}");
    let job = job(&rig, &manifest);
    assert_eq!((&job["state"], &job["error"]), (&json!("dropped"), &dropped["why"]));
    // Asked for again, it is tried again.
    let id = job["id"].as_str().unwrap();
    assert_eq!(rig.post(&format!("/api/v1/jobs/{id}/retry"), &json!({})).0, 200);
    assert_eq!(came(&rig, &manifest)["why"], dropped["why"]);
    assert_eq!(rig.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).0, 409);
}

#[test]
fn one_that_needs_too_much_memory_is_dropped_and_the_rollout_goes_on() {
    let (rig, mut terminal) = rig(&["--delta-memory-mib", "16"], "1.0");
    let manifest = publish(&rig, "2.0", &edited(&image("1.0")));
    let dropped = came(&rig, &manifest);
    let why = dropped["why"].as_str().unwrap();
    assert!(dropped["kept"] == false && why.contains("16 MiB"), "{why}");
    let id = rig.rollout(&json!({"name": "spring", "release": "2.0"}));
    let base = base(&terminal, 8);
    let status = |entry: &str| terminal.client.fetch(&format!("{base}{entry}"), &[]).status;
    assert_eq!([status(Deltas::ENTRY), status("payload/rootfs.zst")], [404, 200]);
    let attempt = terminal.offered().unwrap();
    assert_eq!(terminal.report(&attempt, 0).0, 200);
    terminal.version = "2.0".into();
    assert_eq!(rig.status(&id)["tally"]["failed"], 0);
}

#[test]
fn a_delta_job_outlives_the_server_that_was_at_it() {
    let (mut rig, _terminal) = rig(&[], "1.0-big");
    let manifest = publish(&rig, "2.0", &edited(&image("1.0-big")));
    until(&json!("running"), || job(&rig, &manifest)["state"].clone());
    rig.kill_and_restart();
    let made = came(&rig, &manifest);
    assert_eq!(made["kept"], true, "{made}");
    let job = job(&rig, &manifest);
    assert_eq!((&job["state"], &job["tries"]), (&json!("done"), &json!(2)), "{job}");
}

#[test]
fn a_server_may_leave_deltas_to_others_and_an_operator_may_do_without() {
    let (rig, _terminal) = rig(&["--delta-jobs", "0"], "1.0");
    let manifest = publish(&rig, "2.0", &edited(&image("1.0")));
    until(&json!("waiting"), || job(&rig, &manifest)["state"].clone());
    let id = job(&rig, &manifest)["id"].as_str().unwrap().to_owned();
    let (status, answer) = rig.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({"why": "no"}));
    assert_eq!((status, &answer["state"]), (200, &json!("cancelled")));
    let dropped = came(&rig, &manifest);
    assert_eq!(dropped["why"], "operator cancelled it: no");
    assert_eq!(job(&rig, &manifest)["state"], "cancelled", "it is not planned for again");
}

#[test]
fn a_rollout_waits_for_its_deltas_and_counts_what_they_saved() {
    let (rig, terminal) = rig(&[], "1.0");
    publish(&rig, "2.0", &edited(&image("1.0")));
    let order = json!({"name": "spring", "release": "2.0", "wait_for_deltas": 3600});
    beat(&terminal, 8);
    let forecast = || rig.post("/api/v1/rollouts/plan", &order).1;
    let before = forecast();
    assert!(before["waits_until"].is_string(), "{before}");
    let bytes = |plan: &Value| -> [u64; 3] {
        ["bytes", "with_deltas", "unknown"].map(|name| plan[name].as_u64().unwrap())
    };
    let [in_full, with_deltas, unknown] = bytes(&before);
    assert!(in_full > 500_000 && bytes(&before["waves"][0]) == bytes(&before), "{before}");
    // It may be made already.
    assert!((with_deltas, unknown) == (in_full, in_full) || unknown == 0, "{before}");
    let id = rig.rollout(&order);
    // Whatever it waited for is there with the first offer.
    until_within(PATIENCE, &true, || beat(&terminal, 8).1["offer"].is_object());
    let base = base(&terminal, 8);
    let list = terminal.client.fetch(&format!("{base}{}", Deltas::ENTRY), &[]).body;
    let deltas = Deltas::decode(&list).unwrap().deltas;
    assert_eq!(deltas.len(), 1);
    assert_eq!(forecast()["gets"]["count"], 1, "who has the offer is asked anew");
    assert_eq!(bytes(&forecast()), [in_full, deltas[0].size, 0]);
    beat(&terminal, 0);
    assert_eq!(bytes(&forecast()), [in_full, in_full, 0], "no memory for a delta");
    let history = rig.status(&id)["history"].clone();
    let begin = history.as_array().unwrap().iter().find(|event| event["what"] == "offers begin");
    assert_eq!(begin.unwrap()["why"], "1 deltas are made, 0 were dropped", "{history}");
    let attempt = terminal.offered().unwrap();
    assert_eq!(terminal.report(&attempt, 0).0, 200);
    assert_eq!(terminal.report(&attempt, 0).0, 200, "counted once");
    let full = terminal.client.fetch(&format!("{base}payload/rootfs.zst"), &[]);
    assert_eq!(full.status, 410, "the attempt has ended");
    let tally = rig.status(&id)["tally"].clone();
    let full = tally["full"].as_u64().unwrap();
    assert!(tally["fetched"] == 1 && full > 500_000, "{tally}");
    let path = format!("{}/api/v1/export/reports", rig.url());
    let bearer = format!("Bearer {}", rig.token().trim());
    let lines = rig.client().fetch(&path, &[("authorization", &bearer)]).body;
    let line: Value = serde_json::from_slice(&lines).unwrap();
    assert_eq!((line["bytes"].as_u64(), line["full"].as_u64()), (Some(1), Some(full)));
}

#[test]
fn a_rollout_waits_for_its_deltas_no_longer_than_it_may() {
    let (rig, terminal) = rig(&["--delta-jobs", "0"], "1.0");
    let manifest = publish(&rig, "2.0", &edited(&image("1.0")));
    let id = rig.rollout(&json!({"name": "a", "release": "2.0", "wait_for_deltas": 3600}));
    until(&json!("waiting"), || job(&rig, &manifest)["state"].clone());
    assert_eq!((rig.rule("d0").as_str(), terminal.offered()), ("preparing", None));
    let outlook = rig.status(&id)["outlook"].as_str().unwrap().to_owned();
    assert!(outlook.starts_with("it waits until deltas to it are made, until 2"), "{outlook}");
    let plan = rig.post("/api/v1/rollouts/plan", &json!({"name": "c", "release": "2.0"})).1;
    assert!(plan["with_deltas"] == plan["bytes"] && plan["unknown"] == 0, "{plan}");
    rig.rollout(&json!({"name": "b", "release": "2.0", "wait_for_deltas": 1}));
    until(&true, || beat(&terminal, 8).1["offer"].is_object());
    // The first one gives up waiting when nothing more is to come.
    let job = job(&rig, &manifest)["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({})).0, 200);
    until(&true, || rig.status(&id)["outlook"].as_str().unwrap().starts_with("wave 1 holds"));
}
