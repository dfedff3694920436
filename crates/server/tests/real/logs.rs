//! Logs over HTTP: told, searched, exported, and what is asked for wrongly.

use crate::support::{Rig, Terminal, report};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use ureq::http::Method;

/// Three terminals that failed and told why.
fn told() -> (Rig, String, Vec<Terminal>) {
    let rig = Rig::start();
    rig.publish("2.0");
    let terminals = rig.terminals(3);
    terminals.iter().for_each(|terminal| assert_eq!(terminal.beat().0, 200));
    let order = json!({"name": "spring", "release": "2.0", "halt": {"failures_count": 9}});
    let id = rig.rollout(&order);
    let texts = [
        json!(["no SPACE left, \"really\"", "=1+1"]),
        json!(["100% of nothing", "\u{1b}[2Jgone"]),
        json!(["-2 + 3", "größer"]),
    ];
    for (terminal, texts) in terminals.iter().zip(&texts) {
        let attempt = terminal.offered().unwrap();
        let mut ended = report(&attempt, 206);
        ended["version"] = json!("2.0");
        let ended = json!({"reports": [ended]});
        let (status, answer) = terminal.post("/v1/reports", &ended);
        assert_eq!((status, &answer["logs"]), (200, &json!([attempt])), "{answer}");
        let line = |text: &Value| json!({"at": "2030-01-01T00:00:00Z", "phase": "downloading", "text": text});
        let lines: Vec<Value> = texts.as_array().unwrap().iter().map(line).collect();
        let log = json!({"attempt": attempt, "lines": lines});
        let accepted = terminal.post("/v1/logs", &log);
        assert_eq!(accepted, (200, json!({"accepted": [attempt]})));
    }
    (rig, id, terminals)
}

fn logs(rig: &Rig, query: &str) -> Vec<Value> {
    let (status, answer) = rig.get(&format!("/api/v1/logs?{query}"));
    assert_eq!(status, 200, "{query}: {answer}");
    answer["logs"].as_array().unwrap().clone()
}

fn devices(rig: &Rig, query: &str) -> BTreeSet<String> {
    let name = |log: &Value| log["device"].as_str().unwrap().to_owned();
    logs(rig, query).iter().map(name).collect()
}

#[test]
fn logs_are_searched() {
    let (rig, id, _) = told();
    let check = |query: &str, expected: &[&str]| {
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(devices(&rig, query), expected, "{query}");
    };
    check("", &["d0", "d1", "d2"]);
    check("text=No%20space", &["d0"]);
    check("text=GR%C3%96%C3%9FER", &["d2"]);
    check("text=100%25", &["d1"]);
    check("text=%25", &["d1"]);
    check("text=_", &[]);
    check("text='%20OR%201=1", &[]);
    check("text=a%00b", &[]);
    check("text=%1B", &[]);
    check("text=%EF%BF%BD%5B2Jgone", &["d1"]);
    // What is no UTF-8 is read as what stands for it.
    check("text=%FF", &["d1"]);
    check(&format!("rollout={id}&release=2.0&outcome=206"), &["d0", "d1", "d2"]);
    check("outcome=207", &[]);
    check("release=1.0", &[]);
    check("rollout=other", &[]);
    check("device=d2", &["d2"]);
    assert_eq!(logs(&rig, "limit=0").len(), 1, "no page is empty");
    assert_eq!(logs(&rig, "limit=4294967295").len(), 3);
    let (mut after, mut seen) = (String::new(), BTreeSet::new());
    for _ in 0..3 {
        let (_, page) = rig.get(&format!("/api/v1/logs?limit=1{after}"));
        assert_eq!(page["logs"].as_array().unwrap().len(), 1);
        seen.insert(page["logs"][0]["device"].as_str().unwrap().to_owned());
        after = format!("&after={}", page["next"].as_str().unwrap_or_default());
    }
    assert_eq!(seen.len(), 3, "each once");
}

#[test]
fn hostile_questions_are_refused() {
    let (rig, _, terminals) = told();
    for query in [
        format!("text={}", "x".repeat(201)),
        "limit=-1".into(),
        "limit=4294967296".into(),
        "outcome=65536".into(),
        "outcome=x".into(),
        "device=../etc".into(),
        "device=".into(),
        "rollout=a%20b".into(),
        "attempt=zz".into(),
        "after=1/2/3".into(),
        "after=%00".into(),
        "after=-9223372036854775809/00112233445566778899aabbccddeeff/d0".into(),
        "format=xml".into(),
    ] {
        for path in ["/api/v1/logs", "/api/v1/export/logs"] {
            let (status, answer) = rig.get(&format!("{path}?{query}"));
            assert_eq!(status, 400, "{path}?{query}: {answer}");
            assert!(!answer["error"].as_str().unwrap_or_default().is_empty(), "{query}: {answer}");
        }
    }
    let (status, answer) = rig.get("/api/v1/devices/a%20b/timeline");
    assert!(status == 400 && answer["error"].is_string(), "{status} {answer}");
    let client = rig.client();
    for path in ["/api/v1/logs", "/api/v1/export/logs"] {
        for secret in [None, Some("wrong"), Some(terminals[0].credential.as_str())] {
            let (status, _) = client.send(Method::GET, path, secret, &[]);
            assert!([401, 403, 429].contains(&status), "{path}: {status}");
        }
    }
}

#[test]
fn logs_are_exported_for_spreadsheets_and_programs() {
    let (rig, id, _) = told();
    let bearer = format!("Bearer {}", rig.token().trim());
    let export = |query: &str| {
        let url = format!("{}/api/v1/export/logs?{query}", rig.url());
        rig.client().fetch(&url, &[("authorization", &bearer)])
    };
    let text = |query: &str| String::from_utf8(export(query).body).unwrap();
    let csv = text("format=csv");
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(rows[0], "received,device,rollout,attempt,version,outcome,at,phase,text");
    assert_eq!(rows.len(), 7, "a row for each line:\n{csv}");
    let said = |device: &str| -> Vec<&str> {
        let own = rows.iter().filter(|row| row.contains(&format!(",{device},{id},")));
        own.map(|row| row.split_once(",downloading,").unwrap().1).collect()
    };
    assert_eq!(said("d0"), ["\"no SPACE left, \"\"really\"\"\"", "'=1+1"]);
    assert_eq!(said("d1"), ["100% of nothing", "\u{fffd}[2Jgone"]);
    assert_eq!(said("d2"), ["'-2 + 3", "größer"]);
    assert!(rows[1].contains(",206,2030-01-01T00:00:00Z,"), "{}", rows[1]);

    let lines = text(&format!("rollout={id}"));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, logs(&rig, ""));

    let (mut after, mut paged) = (String::new(), String::new());
    loop {
        let page = export(&format!("format=csv&limit=1{after}"));
        paged += std::str::from_utf8(&page.body).unwrap();
        if page.next.is_empty() {
            break;
        }
        after = format!("&after={}", page.next);
    }
    assert_eq!(paged, csv, "page by page it is the same, with one head");
    assert_eq!(text("format=csv&text=nowhere"), format!("{}\r\n", rows[0]));
    assert_eq!(text("text=nowhere"), "");
}
