//! Golden vectors, limits, and the table old/new agent × old/new server.

use super::*;
use crate::json::{MessageError, decode, encode};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::ToString;
use core::fmt::Debug;
use serde_json::{Value, json};

const ATTEMPT: &str = "00112233445566778899aabbccddeeff";
const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn heartbeat() -> Value {
    json!({
        "protocol": 1, "device": "cpe-1", "product": "router", "hardware": "acme-r1",
        "variant": "blue", "region": "south", "memory_class_mib": 32, "slot": "A",
        "running": {"rootfs": {"version": "1.0", "image": DIGEST}},
        "phase": "waiting", "attempt": ATTEMPT, "seen": "abc",
        "waiting": {"rule": "battery-low", "why": "the battery has 12 %; an update needs 30 %"}
    })
}

fn answer() -> Value {
    json!({
        "etag": "abc", "poll_seconds": 60,
        "offer": {
            "attempt": ATTEMPT,
            "release": {"product": "router", "version": "2.0", "rollback_index": 2, "manifest": DIGEST},
            "base": "https://updates.example/v1/a/token/", "allow_failed": false
        },
        "withdrawn": [ATTEMPT], "standing": "stands", "why": "wave 1 is open"
    })
}

fn report() -> Value {
    json!({
        "attempt": ATTEMPT, "source": "native", "outcome": 209, "detail": "fell back",
        "version": "2.0", "spent": {"bytes": 1000, "seconds": 5}, "failed_boots": 3
    })
}

fn text(value: &Value) -> String {
    value.to_string()
}

/// The wire form decodes, and encodes to the same values again.
fn golden<M: Message + Debug>(wire: &Value) {
    let message: M = decode(text(wire).as_bytes()).unwrap();
    let back: Value = serde_json::from_slice(&encode(&message).unwrap()).unwrap();
    assert_eq!(&back, wire, "{message:?}");
}

#[test]
fn every_message_has_the_documented_form() {
    golden::<Heartbeat>(&heartbeat());
    golden::<Answer>(&answer());
    let mut regional = answer();
    regional["offer"]["elsewhere"] = json!("ask");
    golden::<Answer>(&regional);
    golden::<Reports>(&json!({"reports": [report()]}));
    golden::<Accepted>(&json!({"accepted": [ATTEMPT]}));
    golden::<Accepted>(&json!({"accepted": [ATTEMPT], "logs": [ATTEMPT]}));
    golden::<AttemptLog>(&json!({"attempt": ATTEMPT, "lines": [
        {"at": "2030-01-01T00:00:00Z", "phase": "downloading", "text": "no space left"},
        {"phase": "confirming", "text": "hook `check`: passed"},
    ]}));
    golden::<Progress>(
        &json!({"attempt": ATTEMPT, "phase": "verifying", "done": 5, "total": u64::MAX}),
    );
    golden::<Enrol>(&json!({
        "protocol": 1, "token": "t", "device": "cpe-1",
        "facts": {"product": "router", "hardware": "acme-r1", "memory_class_mib": 0}
    }));
    golden::<Enrolled>(&json!({"credential": "c", "poll_seconds": 60}));
    golden::<Problem>(&json!({"error": "no such rollout", "what_to_do": "list them"}));
}

#[test]
fn a_heartbeat_has_these_very_bytes() {
    let message: Heartbeat = decode(text(&heartbeat()).as_bytes()).unwrap();
    let bytes = encode(&message).unwrap();
    let want = concat!(
        r#"{"protocol":1,"device":"cpe-1","product":"router","hardware":"acme-r1","#,
        r#""variant":"blue","region":"south","memory_class_mib":32,"slot":"A","#,
        r#""running":{"rootfs":{"version":"1.0","#,
        r#""image":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},"#,
        r#""phase":"waiting","attempt":"00112233445566778899aabbccddeeff","#,
        r#""waiting":{"rule":"battery-low","why":"the battery has 12 %; an update needs 30 %"},"#,
        r#""seen":"abc"}"#,
    );
    assert_eq!(core::str::from_utf8(&bytes).unwrap(), want);
}

/// Adds what a later version might send.
fn newer(mut wire: Value) -> Value {
    let fields = wire.as_object_mut().unwrap();
    fields.insert("protocol".into(), json!(7));
    fields.insert("battery_percent".into(), json!({"deep": [1, 2, {"er": null}]}));
    wire
}

/// Removes what the first agents and servers did not send.
fn older(mut wire: Value, optional: &[&str]) -> Value {
    let fields = wire.as_object_mut().unwrap();
    for name in optional {
        assert!(fields.remove(*name).is_some(), "{name}");
    }
    wire
}

#[test]
fn old_and_new_peers_understand_each_other() {
    let optional = [
        "protocol",
        "variant",
        "region",
        "memory_class_mib",
        "phase",
        "attempt",
        "waiting",
        "seen",
    ];
    let plain: Heartbeat = decode(text(&older(heartbeat(), &optional)).as_bytes()).unwrap();
    assert_eq!((plain.protocol, plain.phase, plain.seen), (1, Phase::Idle, None));
    assert_eq!(plain.waiting, None);
    let late: Heartbeat = decode(text(&newer(heartbeat())).as_bytes()).unwrap();
    assert_eq!((late.protocol, late.device.as_str()), (7, "cpe-1"));

    let plain: Answer =
        decode(text(&older(answer(), &["offer", "withdrawn", "standing", "why"])).as_bytes())
            .unwrap();
    assert_eq!((plain.offer, plain.withdrawn.len(), plain.standing), (None, 0, None));
    let late: Answer = decode(text(&newer(answer())).as_bytes()).unwrap();
    assert!(late.offer.is_some());

    // An order for a terminal elsewhere: a word of later never means more than today's.
    for (word, expected) in [
        (json!("ask"), Elsewhere::Ask),
        (json!("allow"), Elsewhere::Allow),
        (json!("ask-twice"), Elsewhere::Refuse),
        (json!("refuse"), Elsewhere::Refuse),
    ] {
        let mut regional = answer();
        regional["offer"]["elsewhere"] = word;
        let late: Answer = decode(text(&regional).as_bytes()).unwrap();
        assert_eq!(late.offer.unwrap().elsewhere, expected);
    }

    let mut unknown = heartbeat();
    unknown["phase"] = json!("teleporting");
    let late: Heartbeat = decode(text(&unknown).as_bytes()).unwrap();
    assert_eq!(late.phase, Phase::Unknown);
}

fn refused<M: Message + Debug>(wire: &Value, sentence: &str) {
    let error = decode::<M>(text(wire).as_bytes()).unwrap_err();
    let said = crate::json::sentence(&error);
    assert!(said.contains(sentence), "{said:?} does not say {sentence:?}");
}

fn with(mut wire: Value, field: &str, value: Value) -> Value {
    wire[field] = value;
    wire
}

#[test]
fn what_is_too_much_is_refused() {
    let state = json!({"version": "1", "image": DIGEST});
    let crowd: Value = (0..33).map(|n| (format!("c{n}"), state.clone())).collect();
    refused::<Heartbeat>(&with(heartbeat(), "running", crowd), "more than 32 components");
    refused::<Heartbeat>(&with(heartbeat(), "protocol", json!(0)), "no longer served");
    refused::<Heartbeat>(&with(heartbeat(), "seen", json!("x".repeat(129))), "overlong");
    refused::<Heartbeat>(&with(heartbeat(), "device", json!("../etc")), "no name");
    refused::<Heartbeat>(&with(heartbeat(), "pad", json!("x".repeat(20 << 10))), "at most 16384");
    refused::<Reports>(&json!({"reports": alloc::vec![report(); 17]}), "more than 16");
    refused::<Answer>(&with(answer(), "poll_seconds", json!(0)), "number of seconds");
    for base in ["http://x/", "https://x", &format!("https://{}/", "x".repeat(256))] {
        let mut wire = answer();
        wire["offer"]["base"] = json!(base);
        refused::<Answer>(&wire, "no https address");
    }
}

#[test]
fn damaged_bytes_are_errors_and_never_panics() {
    let whole = text(&answer()).into_bytes();
    for cut in 0..whole.len() {
        assert!(decode::<Answer>(&whole[..cut]).is_err(), "{cut}");
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x80;
        assert!(matches!(decode::<Answer>(&flipped), Err(MessageError::Form { .. })), "{at}");
    }
    let deep = "[".repeat(10_000).to_owned();
    assert!(decode::<Answer>(deep.as_bytes()).is_err());
}

#[test]
fn a_log_is_harmless_and_bounded_whoever_wrote_it() {
    let log = |lines: Value| text(&json!({"attempt": ATTEMPT, "lines": lines}));
    let line = json!({"phase": "downloading", "text": "\u{1b}[2Jgone\n"});
    let read: AttemptLog = decode(log(json!([line])).as_bytes()).unwrap();
    assert_eq!(read.lines[0].text.as_str(), "\u{fffd}[2Jgone\u{fffd}");
    let many = log(Value::Array(alloc::vec![line; LOG_LINES_LIMIT + 1]));
    assert!(decode::<AttemptLog>(many.as_bytes()).is_err(), "too many lines");
    let shout = json!({"phase": "DOWN LOADING", "text": "x"});
    assert!(decode::<AttemptLog>(log(json!([shout])).as_bytes()).is_err(), "no word");
    let mut raw = log(json!([{"phase": "idle", "text": "Q"}])).into_bytes();
    raw.iter_mut().filter(|byte| **byte == b'Q').for_each(|byte| *byte = 0xff);
    assert!(decode::<AttemptLog>(&raw).is_err(), "not UTF-8");
    // The longest log that an agent can have fits, whatever its characters cost.
    let full =
        json!({"at": "2030-01-01T00:00:00Z", "phase": "x".repeat(32), "text": "\"".repeat(240)});
    let full = log(Value::Array(alloc::vec![full; LOG_LINES_LIMIT]));
    let read: AttemptLog = decode(full.as_bytes()).unwrap();
    assert!(encode(&read).unwrap().len() <= AttemptLog::LIMIT);
}
