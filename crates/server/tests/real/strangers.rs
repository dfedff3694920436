//! Who may ask what.

use crate::support::{Rig, Terminal, enrol};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use ureq::http::Method;

#[test]
fn nothing_is_open_but_health_the_document_and_enrolment() {
    let rig = Rig::with(&["--stranger-quota", "1000"]);
    let document = rig.client().send(Method::GET, "/v1/openapi.json", None, &[]).1;
    let terminal = rig.terminals(1).remove(0);
    let open = [
        "/health",
        "/v1/openapi.json",
        "/v1/enrol",
        "/v1/a/{ticket}/{entry}",
        // What a network of caches serves: signed, and the same for everybody.
        "/v1/static/p/{product}/{file}",
        "/v1/static/r/{manifest}/{entry}",
    ];
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let method: Method = method.to_uppercase().parse().unwrap();
            let real = path.replace("{id}", "d0");
            for secret in [None, Some("rfo_guess"), Some(wrong_kind(&rig, &terminal, path))] {
                let (status, answer) = rig.client().send(method.clone(), &real, secret, b"{}");
                let is_open = open.contains(&path.as_str());
                assert_eq!(status != 401, is_open, "{method} {path} {secret:?}: {status} {answer}");
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "{asked}");
}

/// The operator's token where a terminal's credential is asked for, and the other
/// way round.
fn wrong_kind<'a>(rig: &'a Rig, terminal: &'a Terminal, path: &str) -> &'a str {
    let is_operators = path.starts_with("/api/") || path == "/metrics";
    if is_operators { &terminal.credential } else { rig.token() }
}

#[test]
fn a_credential_speaks_for_its_terminal_only() {
    let rig = Rig::start();
    let terminals = rig.terminals(2);
    let stolen = Terminal { name: "d1".into(), ..terminals[0].clone() };
    assert_eq!(stolen.beat().0, 403);
}

#[test]
fn a_token_is_good_for_one_terminal() {
    let rig = Rig::start();
    let tokens = rig.tokens(3);
    let client = rig.client();
    let first = Terminal::enrol(&rig, "d0", &tokens[0]);
    let again = Terminal::enrol(&rig, "d0", &tokens[0]);
    assert_eq!(first.beat().0, 401, "the answer to the first try was lost");
    assert_eq!(again.beat().0, 200);
    let refused = |name: &str, token: &str, status: u16| {
        let (got, answer) = enrol(&client, name, token);
        assert_eq!(got, status, "{name}: {answer}");
    };
    refused("d0", &tokens[0], 403);
    refused("d1", &tokens[0], 403);
    refused("d0", &tokens[1], 409);
    refused("d1", "rfe_guess", 403);
    let own = rig.post("/api/v1/enrolment-tokens", &json!({"count": 1, "device": "d0"})).1;
    let own = own["tokens"][0].as_str().unwrap();
    refused("d2", own, 403);
    let anew = Terminal::enrol(&rig, "d0", own);
    assert_eq!((anew.beat().0, again.beat().0), (200, 401), "the old credential ended");
}

#[test]
fn strangers_have_a_quota_and_others_do_not_suffer() {
    let rig = Rig::with(&["--stranger-quota", "5", "--root", "root.json"]);
    let terminal = rig.terminals(1).remove(0);
    let statuses: Vec<u16> = (0..20).map(|_| enrol(&rig.client(), "x", "rfe_guess").0).collect();
    assert!(statuses.contains(&403) && statuses.ends_with(&[429]), "{statuses:?}");
    assert_eq!(terminal.beat().0, 200);
    assert_eq!(rig.client().send(Method::GET, "/api/v1/devices", Some("guess"), &[]).0, 429);
    assert_eq!(rig.get("/api/v1/devices").0, 200);
}

#[test]
fn messages_are_bounded_and_poison_is_harmless() {
    let mut rig = Rig::start();
    let terminal = rig.terminals(1).remove(0);
    let padded = json!({"seen": "x".repeat(20_000)});
    assert!([413, 0].contains(&terminal.beat_with(&padded).0));
    let poison: [&[u8]; 5] = [b"", b"{", b"[[[[[[", b"\xff\xfe", b"{\"device\":1e999}"];
    for bytes in poison {
        for path in ["/v1/heartbeat", "/v1/reports", "/v1/progress"] {
            let secret = Some(terminal.credential.as_str());
            let (status, answer) = terminal.client.send(Method::POST, path, secret, bytes);
            assert_eq!(status, 400, "{path} {bytes:?}: {answer}");
        }
    }
    rig.kill_and_restart();
    let terminal = Terminal { client: rig.client(), ..terminal };
    assert_eq!(terminal.beat().0, 200);
}

#[test]
fn secrets_lie_readable_to_the_owner_only_and_are_made_once() {
    let mut rig = Rig::start();
    let read =
        |rig: &Rig, name: &str| std::fs::read(rig.place.path().join("data").join(name)).unwrap();
    let before: Vec<_> = ["operator.token", "ca.pem"].iter().map(|n| read(&rig, n)).collect();
    for entry in std::fs::read_dir(rig.place.path().join("data")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
        let public = entry.file_name() == "ca.pem";
        assert_eq!(mode != 0, public, "{:?} {mode:o}", entry.file_name());
    }
    rig.kill_and_restart();
    let after: Vec<_> = ["operator.token", "ca.pem"].iter().map(|n| read(&rig, n)).collect();
    assert_eq!(before, after);
    let health = rig.client().send(Method::GET, "/health", None, &[]);
    assert_eq!((health.0, &health.1["status"]), (200, &Value::from("ok")));
}

#[test]
fn plain_http_is_not_spoken() {
    let rig = Rig::start();
    let address = rig.url().strip_prefix("https://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn a_given_certificate_is_used() {
    let place = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (place.path().join("cert.pem"), place.path().join("key.pem"));
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let paths = [&cert, &key].map(|path| path.to_str().unwrap());
    let rig = Rig::with_certificate(&["--cert", paths[0], "--key", paths[1]], &cert);
    let health = rig.client().send(Method::GET, "/health", None, &[]);
    assert_eq!(health.0, 200);
    assert!(!rig.place.path().join("data/ca.key").exists(), "no authority was made");
}
