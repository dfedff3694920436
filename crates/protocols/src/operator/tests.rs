//! How an operator's messages are written, and what is refused.

use super::*;
use crate::json::{decode, sentence};
use alloc::string::ToString;
use serde_json::{Value, json};

fn check(wire: &Value, said: Option<&str>) {
    let result = decode::<RolloutOrder>(wire.to_string().as_bytes());
    match said {
        None => assert!(result.is_ok(), "{wire}: {result:?}"),
        Some(said) => {
            let error = sentence(&result.unwrap_err());
            assert!(error.contains(said), "{wire}: {error}");
        }
    }
}

#[test]
fn a_rollout_is_written_as_the_documentation_says() {
    let order = |waves: Value| json!({"name": "spring", "release": "2.0", "waves": waves});
    check(&json!({"name": "spring", "release": "2.0"}), None);
    check(&order(json!([{"count": 3}, {"percent": 50}, {"percent": 100}])), None);
    check(&order(json!([{"count": 3, "opens": "by_hand"}])), None);
    check(&order(json!([{"percent": 5, "opens": {"after_seconds": 60}}])), None);
    check(&order(json!([{"percent": 5, "opens": {"when_confirmed_percent": 100}}])), None);
    check(&order(json!([{"percent": 0}])), Some("exactly one"));
    check(&order(json!([{"percent": 5, "count": 5}])), Some("exactly one"));
    check(&order(json!([{"percent": 5, "opens": {"when_confirmed_percent": 0}}])), Some("opens"));
    check(&json!({"name": "x", "release": "2", "halt": {}}), Some("no halting rule"));
    check(&json!({"name": "x", "release": "2", "in_flight": 0}), Some("no terminal"));
    check(&json!({"name": "x", "release": "2", "wait_for_deltas": 60}), None);
    check(&json!({"name": "x", "release": "2", "wait_for_deltas": 0}), Some("no time at all"));
    check(&json!({"release": "2"}), Some("no rollout"));
    let abroad = |audience: Value| json!({"name": "x", "release": "2", "audience": audience});
    check(&abroad(json!({"abroad": "ask", "outside": "allow"})), None);
    check(&abroad(json!({"outside": "alow"})), Some("no rollout"));
    check(&abroad(json!({"abroad": "refuse"})), Some("no rollout"));
}

#[test]
fn what_is_left_out_has_a_safe_meaning() {
    let wire = json!({"name": "x", "release": "2", "halt": {"failures_count": 0}}).to_string();
    let order: RolloutOrder = decode(wire.as_bytes()).unwrap();
    assert_eq!(order.halt.not_back_seconds, Seconds(3600));
    assert_eq!((order.halt.failures_percent, order.in_flight), (None, None));
    assert_eq!(RolloutOrder { halt: HaltRule::default(), ..order }.halt.failures_percent, Some(5));
}

#[test]
fn an_import_is_written_as_the_documentation_says() {
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let line = json!({"device": "cpe-1", "product": "router", "hardware": "r1",
        "memory_class_mib": 0, "credential_sha256": digest});
    let order = |devices: Value| json!({ "devices": devices }).to_string();
    let read: ImportOrder = decode(order(json!([line])).as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(&read.devices[0]).unwrap(), line);
    let many = order(Value::Array(alloc::vec![line; IMPORT_LIMIT + 1]));
    let error = sentence(&decode::<ImportOrder>(many.as_bytes()).unwrap_err());
    assert!(error.contains("more than 5000"), "{error}");
    assert!(decode::<ImportOrder>(order(json!([{"device": "cpe-1"}])).as_bytes()).is_err());
}
