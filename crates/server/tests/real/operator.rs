//! What operators say and ask of a fleet, through the real server.

use crate::support::{Rig, Terminal};
use serde_json::{Value, json};

/// A server with two releases and four terminals that run 1.0.
fn rig() -> (Rig, Vec<Terminal>) {
    let rig = Rig::start();
    rig.publish("2.0");
    let terminals = rig.terminals(4);
    terminals.iter().for_each(|terminal| assert_eq!(terminal.beat().0, 200));
    (rig, terminals)
}

fn names(list: &Value) -> Vec<&str> {
    list["devices"].as_array().unwrap().iter().map(|d| d["device"].as_str().unwrap()).collect()
}

#[test]
fn terminals_are_labelled_and_found_by_filter() {
    let (rig, _) = rig();
    let set = json!({"tags": ["pilot"], "attributes": {"olt": "olt-7/1"}, "zone": "Europe/Berlin"});
    let order = json!({"devices": ["d0", "d2"], "set": set});
    assert_eq!(rig.post("/api/v1/labels", &order), (200, json!({"devices": 2, "changed": 2})));
    assert_eq!(rig.post("/api/v1/labels", &order), (200, json!({"devices": 2, "changed": 0})));
    let find = |filter: &str| rig.get(&format!("/api/v1/devices?filter={filter}"));
    assert_eq!(names(&find("tag==pilot").1), ["d0", "d2"]);
    assert_eq!(names(&find("attribute.olt==%27olt-7/*%27;device!=d0").1), ["d2"]);
    assert_eq!(names(&find("tag!=pilot").1), ["d1", "d3"]);
    let (status, wrong) = find("tag==pilot;regoin==x");
    assert_eq!(status, 422);
    assert!(wrong["error"].as_str().unwrap().starts_with("column 12 of the filter"), "{wrong}");
    let by_filter = json!({"filter": "tag==pilot", "drop_tags": ["pilot"], "clear": ["zone"]});
    assert_eq!(rig.post("/api/v1/labels", &by_filter).1["changed"], 2);
    assert!(names(&find("tag==pilot").1).is_empty());
    for (bad, status) in [
        (json!({"devices": ["d9"]}), 404),
        (json!({"devices": ["d0"], "set": {"zone": "Mars/North"}}), 422),
        (json!({"set": {}}), 400),
    ] {
        assert_eq!(rig.post("/api/v1/labels", &bad).0, status, "{bad}");
    }
    let (_, line) = rig.get("/api/v1/devices/d0/timeline");
    let said: Vec<&str> =
        line["moments"].as_array().unwrap().iter().map(|m| m["what"].as_str().unwrap()).collect();
    assert!(said[0].contains("-tag=pilot"), "{said:?}");
    assert!(said.contains(&"enrolled"), "{said:?}");
}

#[test]
fn a_plan_is_what_then_happens() {
    let (mut rig, terminals) = rig();
    rig.post("/api/v1/labels", &json!({"devices": ["d1"], "set": {"pin": "1.0"}}));
    let group = json!({"name": "most", "filter": "device!=d3"});
    assert_eq!(rig.post("/api/v1/groups", &group), (200, group.clone()));
    let order = json!({
        "name": "spring", "release": "2.0", "audience": {"group": "most"},
        "waves": [{"count": 1}, {"percent": 100, "opens": {"after_seconds": 60}}],
    });
    let (status, plan) = rig.post("/api/v1/rollouts/plan", &order);
    assert_eq!(status, 200, "{plan}");
    assert_eq!(plan["gets"], json!({"count": 2, "examples": ["d0", "d2"]}));
    let counts: Vec<u64> =
        plan["waves"].as_array().unwrap().iter().map(|w| w["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 1]);
    let out: Vec<_> = plan["out"].as_array().unwrap().iter().map(|r| &r["examples"]).collect();
    assert_eq!(out, [&json!(["d3"]), &json!(["d1"])], "{plan}");
    assert!(rig.get("/api/v1/rollouts").1["rollouts"].as_array().unwrap().is_empty());
    let id = rig.rollout(&order);
    let offered =
        |terminals: &[Terminal]| terminals.iter().filter(|t| t.offered().is_some()).count();
    assert_eq!(offered(&terminals), 1);
    assert!(rig.status(&id)["outlook"].as_str().unwrap().contains("wave 2 opens at"));
    assert_eq!((rig.rule("d1"), rig.rule("d3")), ("not-for".into(), "not-for".into()));
    rig.kill_and_restart();
    assert_eq!((rig.rule("d1"), rig.rule("d3")), ("not-for".into(), "not-for".into()));
    assert_eq!(rig.get("/api/v1/groups").1["groups"], json!([group]));
    let inside = rig.get("/api/v1/devices?filter=group%3D%3Dmost").1["devices"].clone();
    let outside = rig.get("/api/v1/devices?filter=group!%3Dmost").1["devices"].clone();
    assert_eq!(outside.as_array().unwrap().len(), 1, "{outside}");
    assert_eq!(outside[0]["device"], "d3");
    assert!(inside.as_array().unwrap().iter().all(|one| one["device"] != "d3"), "{inside}");
    for (key, value, status) in [
        ("schedule", json!({"windows": ["2-5"]}), 422),
        ("schedule", json!({"zone": "Mars/North"}), 422),
        ("schedule", json!({"starts": "2030-03-31T02:30[Europe/Berlin]"}), 422),
        ("waves", json!([{"count": 1, "opens": {"at": "soon"}}]), 422),
        ("downloads", json!({"at_once": 0}), 400),
        ("audience", json!({"filter": "tag=="}), 422),
        ("audience", json!({"group": "nobody"}), 404),
        ("retries", json!(11), 400),
        ("site", json!({"by": "olt", "in_flight": 0}), 400),
    ] {
        let mut bad = order.clone();
        bad[key] = value;
        assert_eq!(rig.post("/api/v1/rollouts/plan", &bad).0, status, "{bad}");
    }
}

#[test]
fn failures_are_counted_exported_and_searched() {
    let (rig, terminals) = rig();
    let id = rig.rollout(&json!({"name": "x", "release": "2.0", "halt": {"failures_count": 9}}));
    for (terminal, outcome) in terminals.iter().zip([209, 209, 204, 109]) {
        let attempt = terminal.offered().unwrap();
        assert_eq!(terminal.report(&attempt, outcome).0, 200);
    }
    let (_, failures) = rig.get(&format!("/api/v1/rollouts/{id}/failures"));
    let seen: Vec<_> = failures["failures"].as_array().unwrap().iter().collect();
    let kinds: Vec<_> = seen.iter().map(|f| (&f["outcome"], &f["devices"], &f["from"])).collect();
    let version = json!("1.0");
    let expected = [(&json!(209), &json!(2), &version), (&json!(204), &json!(1), &version)];
    assert_eq!(kinds, expected);
    let export = |query: &str| {
        let bearer = format!("Bearer {}", rig.token().trim());
        let url = format!("{}/api/v1/export/reports?{query}", rig.url());
        let fetched = rig.client().fetch(&url, &[("authorization", &bearer)]);
        assert_eq!(fetched.status, 200);
        String::from_utf8(fetched.body).unwrap()
    };
    let csv = export("format=csv");
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(csv.starts_with("received,device,rollout,attempt,"), "{csv}");
    assert_eq!(export("outcome=209").lines().count(), 2);
    assert_eq!(export(&format!("rollout={id}")).lines().count(), 4);
    assert_eq!(export("rollout=other").lines().count(), 0);
    let first: Value = serde_json::from_str(export("outcome=204").trim()).unwrap();
    assert_eq!((&first["device"], &first["outcome"]), (&json!("d2"), &json!(204)));
    assert_eq!(export("text=no%20such%20text"), "");
}

#[test]
fn a_release_is_withdrawn_and_everything_is_stopped() {
    let (rig, terminals) = rig();
    rig.rollout(&json!({"name": "x", "release": "2.0"}));
    assert!(terminals[0].offered().is_some());
    let (_, list) = rig.get("/api/v1/releases");
    let manifest = list["releases"][0]["manifest"].as_str().unwrap().to_owned();
    let needs = format!("/api/v1/releases/{manifest}/needs");
    let (_, view) = rig.post(&needs, &json!({"needs": "version.rootfs>=1.5"}));
    assert_eq!(view["needs"], "version.rootfs>=1.5");
    assert_eq!((rig.rule("d0"), rig.rule("d1")), ("continue".into(), "not-for".into()));
    assert_eq!(rig.post(&needs, &json!({"needs": "version.rootfs"})).0, 422);
    let why = json!({"why": "it eats batteries"});
    let withdraw = format!("/api/v1/releases/{manifest}/withdraw");
    assert_eq!(rig.post(&withdraw, &why), (200, json!({"rollouts": 1})));
    assert_eq!(rig.rule("d0"), "withdrawn");
    assert_eq!(rig.post("/api/v1/rollouts", &json!({"name": "y", "release": "2.0"})).0, 409);
    assert_eq!(rig.post("/api/v1/stop", &why), (200, json!({"rollouts": 0})));
}
