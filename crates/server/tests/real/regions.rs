//! Releases for some regions, and terminals that are elsewhere.

use crate::support::{Rig, Terminal, until};
use serde_json::{Value, json};

/// Terminals that are used in these regions and know of them, a release for Germany and
/// Austria, and nothing started yet.
fn fleet(regions: &[&str]) -> (Rig, Vec<Terminal>) {
    let rig = Rig::start();
    let (status, answer) = rig.upload(&rig.maker.package_for("2.0", &["DE", "AT"]));
    assert_eq!(status, 200, "{answer}");
    let terminals = rig.terminals(u32::try_from(regions.len()).unwrap());
    for (terminal, region) in terminals.iter().zip(regions) {
        assert_eq!(beat(terminal, region).0, 200);
    }
    (rig, terminals)
}

fn beat(terminal: &Terminal, region: &str) -> (u16, Value) {
    terminal.beat_with(&json!({"region": region, "abilities": ["regions"]}))
}

fn sentence(rig: &Rig, device: &str) -> String {
    let (_, answer) = rig.get(&format!("/api/v1/devices/{device}/explain"));
    answer["sentence"].as_str().unwrap().to_owned()
}

#[test]
fn who_is_elsewhere_is_kept_out_and_told_why() {
    let (rig, terminals) = fleet(&["DE", "CH"]);
    let old = Terminal::enrol(&rig, "old", &rig.tokens(1)[0]);
    assert_eq!(old.beat_with(&json!({"region": "AT"})).0, 200);
    let order = json!({"name": "spring", "release": "2.0"});
    let (_, plan) = rig.post("/api/v1/rollouts/plan", &order);
    assert_eq!((&plan["gets"]["count"], &plan["asked"]["count"]), (&json!(1), &json!(0)), "{plan}");
    let whys: Vec<&str> =
        plan["out"].as_array().unwrap().iter().map(|r| r["why"].as_str().unwrap()).collect();
    assert_eq!(whys, ["region: the release is meant for others", "unable"]);
    let id = rig.rollout(&order);
    let (_, offered) = beat(&terminals[0], "DE");
    assert!(offered["offer"].is_object() && offered["offer"]["elsewhere"].is_null(), "{offered}");
    assert!(beat(&terminals[1], "CH").1["offer"].is_null());
    assert_eq!(rig.rule("d1"), "not-for");
    assert!(sentence(&rig, "d1").ends_with("the release is meant for DE AT"));
    assert!(old.beat_with(&json!({"region": "AT"})).1["offer"].is_null());
    assert_eq!(rig.rule("old"), "unable");
    assert_eq!(rig.status(&id)["audience"]["outside"], "refuse");
    let (_, releases) = rig.get("/api/v1/releases");
    assert_eq!(releases["releases"][0]["regions"], json!(["DE", "AT"]));
    // It moves, and then it is for it.
    until(&true, || beat(&terminals[1], "AT").1["offer"].is_object());
}

#[test]
fn a_product_says_what_its_rollouts_leave_open() {
    let (rig, terminals) = fleet(&["CH", "CH", "DE"]);
    for bad in [
        json!({"product": "router", "outside": "alow"}),
        json!({"product": "router", "abroad": "refuse"}),
        json!({"product": "../etc", "outside": "ask"}),
        json!({"outside": "ask"}),
    ] {
        assert_eq!(rig.post("/api/v1/products", &bad).0, 400, "{bad}");
    }
    let rule = json!({"product": "router", "abroad": "nothing", "outside": "ask"});
    assert_eq!(rig.post("/api/v1/products", &rule), (200, rule.clone()));
    assert_eq!(rig.get("/api/v1/products"), (200, json!({"products": [rule]})));
    let home = json!({"devices": ["d2"], "set": {"home": "FR"}});
    assert_eq!(rig.post("/api/v1/labels", &home).0, 200);
    let (_, found) = rig.get("/api/v1/devices?filter=abroad==yes");
    let names: Vec<&Value> =
        found["devices"].as_array().unwrap().iter().map(|device| &device["device"]).collect();
    assert_eq!(names, [&json!("d2")]);

    let order = json!({"name": "spring", "release": "2.0"});
    let (_, plan) = rig.post("/api/v1/rollouts/plan", &order);
    assert_eq!((&plan["gets"]["count"], &plan["asked"]["count"]), (&json!(2), &json!(2)), "{plan}");
    let id = rig.rollout(&order);
    let view = rig.status(&id);
    let said = (&view["audience"]["abroad"], &view["audience"]["outside"]);
    assert_eq!(said, (&json!("nothing"), &json!("ask")));
    let (_, offered) = beat(&terminals[0], "CH");
    assert_eq!(offered["offer"]["elsewhere"], "ask", "{offered}");
    assert!(sentence(&rig, "d0").contains("its owner is asked first"));
    assert_eq!(rig.rule("d2"), "not-for");
    assert!(sentence(&rig, "d2").ends_with("use outside of its home region"));

    // A rollout says for itself what it wants, and one that is made does not change.
    let later = json!({"product": "router", "abroad": "used", "outside": "refuse"});
    assert_eq!(rig.post("/api/v1/products", &later).0, 200);
    assert_eq!(rig.status(&id)["audience"]["outside"], "ask");
    let own = json!({"name": "own", "release": "2.0", "audience": {"outside": "allow"}});
    let id = rig.rollout(&own);
    let audience = rig.status(&id)["audience"].clone();
    assert_eq!((&audience["abroad"], &audience["outside"]), (&json!("used"), &json!("allow")));
    until(&json!("allow"), || beat(&terminals[1], "CH").1["offer"]["elsewhere"].clone());
}
