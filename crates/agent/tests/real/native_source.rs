//! The server as a source of orders, against a server that answers as told.

use crate::server::{Act, Server};
use agent::edges::{Delivered, Heard, Heartbeat, Now, Source, SourceError, Store};
use agent::https::{self, Least, Limits, Trust};
use agent::platform::clock::TimeFloor;
use agent::platform::store::Directory;
use agent::sources::{NativeSource, native};
use engine::{Again, Phase, Standing};
use std::time::Duration;
use types::{AttemptId, Name, Outcome, Report, Running, Seconds, Slot, Spent, Text, Timestamp};

/// A terminal and its server.
struct Pair {
    dir: tempfile::TempDir,
    server: Server,
    logs: native::Logs,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "the-token\n").unwrap();
        Self { dir, server: Server::start(), logs: native::Logs::Told }
    }

    fn store(&self) -> Directory {
        Directory::open(&self.dir.path().join("documents")).unwrap()
    }

    /// The source, as after a restart.
    fn source(&self) -> NativeSource<Directory> {
        let limits = Limits {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(5),
            window: 32 << 10,
            least: Least { rate: 1, over: 60_000 },
        };
        let trust = Trust { roots: vec![self.server.root.clone()], floor: Timestamp(0) };
        let (agent, _) = https::agent(&trust, &limits).unwrap();
        let url = format!("https://127.0.0.1:{}", self.server.port);
        let token_file = Some(self.dir.path().join("token"));
        let address = native::Address { url, token_file, logs: self.logs };
        let floor = TimeFloor::load(&self.dir.path().join("time"));
        NativeSource::new("native".parse().unwrap(), address, agent, self.store(), floor)
    }

    fn enrolled(&self) -> NativeSource<Directory> {
        self.store().replace("credential", b"the-credential").unwrap();
        self.source()
    }

    fn answers(&self, answers: &[(&'static str, &str)]) {
        let act = |(status, body): &(&'static str, &str)| Act::Answer(status, (*body).into());
        self.server.will(answers.iter().map(act));
    }
}

const NOW: Now = Now { wall: Timestamp(2_000_000_000_000), monotonic: 0 };
const ATTEMPT: AttemptId = AttemptId([0xab; 16]);

fn me(attempt: Option<AttemptId>) -> Heartbeat {
    let name = |text: &str| -> Name { text.parse().unwrap() };
    Heartbeat {
        device: name("d-1"),
        product: name("router"),
        hardware: name("rev-a"),
        variant: None,
        region: None,
        slot: Slot::A,
        running: Running::new(),
        memory_class_mib: 8,
        phase: Phase::Idle,
        attempt,
        progress: (0, 0),
        waiting: None,
    }
}

fn listen(source: &mut impl Source, attempt: Option<AttemptId>) -> Result<Heard, SourceError> {
    source.listen(NOW, &me(attempt))
}

fn offer() -> String {
    let release = format!(
        r#"{{"product":"router","version":"2.0","rollback_index":1,"manifest":"{}"}}"#,
        "0".repeat(64)
    );
    format!(
        r#"{{"etag":"e1","poll_seconds":300,"why":"wave 1","offer":{{"attempt":"{ATTEMPT}",
        "release":{release},"base":"https://127.0.0.1/x/","allow_failed":true}}}}"#
    )
}

#[test]
fn a_terminal_enrols_once() {
    let pair = Pair::new();
    let enrolled = r#"{"credential":"the-credential","poll_seconds":1}"#;
    pair.answers(&[("200 OK", enrolled), ("204 No Content", ""), ("204 No Content", "")]);
    assert_eq!(listen(&mut pair.source(), None).unwrap(), Heard::default());
    assert_eq!(listen(&mut pair.source(), None).unwrap(), Heard::default());
    assert_eq!(pair.server.requests(), ["/v1/enrol", "/v1/heartbeat", "/v1/heartbeat"]);
    let bodies = pair.server.bodies();
    assert!(bodies[0].contains(r#""token":"the-token""#), "{}", bodies[0]);
    assert!(!bodies[1].contains("the-token"));
    assert_eq!(pair.store().read("credential").unwrap().as_deref(), Some(&b"the-credential"[..]));
}

#[test]
fn a_terminal_says_what_it_waits_for() {
    let pair = Pair::new();
    pair.answers(&[("204 No Content", ""), ("204 No Content", "")]);
    let mut source = pair.enrolled();
    let waiting = Some(("metered", Text::from("bytes cost on this line")));
    source.listen(NOW, &Heartbeat { waiting, ..me(Some(ATTEMPT)) }).unwrap();
    source.listen(NOW, &me(Some(ATTEMPT))).unwrap();
    let bodies = pair.server.bodies();
    let said = r#""waiting":{"rule":"metered","why":"bytes cost on this line"}"#;
    assert!(
        bodies[0].contains(said) && bodies[0].contains(r#""phase":"waiting""#),
        "{}",
        bodies[0]
    );
    assert!(!bodies[1].contains("waiting"), "{}", bodies[1]);
}

#[test]
fn nothing_new_means_what_was_said_last() {
    let pair = Pair::new();
    pair.answers(&[("200 OK", &offer()), ("204 No Content", "")]);
    let mut source = pair.enrolled();
    let heard = listen(&mut source, None).unwrap();
    let order = heard.order.clone().unwrap();
    assert_eq!((order.attempt, order.again), (ATTEMPT, Again::Yes));
    assert_eq!(order.locator.as_str(), "https://127.0.0.1/x/");
    assert_eq!((heard.poll, heard.why.as_str()), (Some(Seconds(300)), "wave 1"));
    assert_eq!(listen(&mut source, None).unwrap(), heard);
    let bodies = pair.server.bodies();
    assert!(!bodies[0].contains("seen"));
    assert!(bodies[1].contains(r#""seen":"e1""#));
}

#[test]
fn withdrawn_attempts_are_heard_of() {
    let check = |answer: &str, attempt: Option<AttemptId>, standing: Standing| {
        let pair = Pair::new();
        pair.answers(&[("200 OK", answer)]);
        let heard = listen(&mut pair.enrolled(), attempt).unwrap();
        assert_eq!(heard.standing, standing, "{answer}");
    };
    let withdrawn = format!(r#"{{"etag":"e","poll_seconds":1,"withdrawn":["{ATTEMPT}"]}}"#);
    check(&withdrawn, Some(ATTEMPT), Standing::Withdrawn);
    check(&withdrawn, Some(AttemptId([1; 16])), Standing::Stands);
    check(&withdrawn, None, Standing::Stands);
    let gone = r#"{"etag":"e","poll_seconds":1,"standing":"withdrawn"}"#;
    check(gone, Some(ATTEMPT), Standing::Withdrawn);
    let stands = r#"{"etag":"e","poll_seconds":1,"standing":"stands"}"#;
    check(stands, Some(ATTEMPT), Standing::Stands);
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let check = |status: &'static str, body: &str, kind: fn(&SourceError) -> bool| {
        let pair = Pair::new();
        pair.answers(&[(status, body)]);
        let error = listen(&mut pair.enrolled(), None).unwrap_err();
        assert!(kind(&error), "{status} {body}: {error:?}");
    };
    let nonsense = |e: &SourceError| matches!(e, SourceError::Nonsense(..));
    check("200 OK", "", nonsense);
    check("200 OK", "{}", nonsense);
    check("200 OK", &"[".repeat(1000), nonsense);
    check("200 OK", r#"{"etag":"e","poll_seconds":0}"#, nonsense);
    check("200 OK", &offer().replace("https://127", "http://127"), nonsense);
    check("404 Not Found", "", nonsense);
    check("301 Moved", "", nonsense);
    check("403 Forbidden", "", |e| matches!(e, SourceError::Unknown(_)));
    check("503 Busy\r\nRetry-After: 7", "", |e| matches!(e, SourceError::Busy(_, Seconds(7))));
    check("200 OK", &" ".repeat(100_000), |e| matches!(e, SourceError::Unreachable(..)));
}

#[test]
fn reports_are_delivered_when_the_server_says_so() {
    let report = Report {
        attempt: ATTEMPT,
        source: "native".parse().unwrap(),
        outcome: Outcome::Ok,
        detail: Text::default(),
        version: None,
        spent: Spent::default(),
        failed_boots: 0,
    };
    let mut pair = Pair::new();
    let accepted = format!(r#"{{"accepted":["{ATTEMPT}"]}}"#);
    pair.answers(&[("200 OK", r#"{"accepted":[]}"#), ("503 Busy", ""), ("200 OK", &accepted)]);
    assert_eq!(pair.source().deliver(&report).unwrap(), Delivered::Later, "not enrolled yet");
    let mut source = pair.enrolled();
    assert_eq!(source.deliver(&report).unwrap(), Delivered::Later);
    assert!(source.deliver(&report).is_err());
    assert_eq!(source.deliver(&report).unwrap(), Delivered::Yes);
    let asks = format!(r#"{{"accepted":["{ATTEMPT}"],"logs":["{ATTEMPT}"]}}"#);
    pair.answers(&[("200 OK", &asks), ("200 OK", &asks)]);
    assert_eq!(source.deliver(&report).unwrap(), Delivered::AndTell);
    pair.logs = native::Logs::Kept;
    assert_eq!(pair.source().deliver(&report).unwrap(), Delivered::Yes, "it says nothing of it");
}

#[test]
fn a_log_is_told_as_long_as_the_server_may_take_it() {
    let pair = Pair::new();
    let said = |said: &str, name: &str| agent::Said {
        at: Some(NOW.wall),
        phase: "health".into(),
        name: name.into(),
        said: said.into(),
        ..agent::Said::default()
    };
    let log = [said("started in slot B", ""), said("one\n\u{1b}two", "check")];
    let mut source = pair.enrolled();
    pair.answers(&[("503 Busy\r\nRetry-After: 7", ""), ("200 OK", r#"{"accepted":[]}"#)]);
    assert!(matches!(source.tell(ATTEMPT, &log), Err(SourceError::Busy(_, Seconds(7)))));
    assert_eq!(source.tell(ATTEMPT, &log).unwrap(), Delivered::Yes);
    // A server that cannot read it would not read it the next time either.
    pair.answers(&[("400 Bad Request", "")]);
    assert_eq!(source.tell(ATTEMPT, &log).unwrap(), Delivered::Yes);
    let bodies = pair.server.bodies();
    let line =
        |text: &str| format!(r#"{{"at":"2033-05-18T03:33:20Z","phase":"health","text":"{text}"}}"#);
    let lines = ["started in slot B", "hook `check`: passed", "  one", "  \u{fffd}two"].map(line);
    let whole = format!(r#"{{"attempt":"{ATTEMPT}","lines":[{}]}}"#, lines.join(","));
    assert_eq!(bodies.last().unwrap(), &whole);
}

#[test]
fn a_terminal_without_token_says_what_to_do() {
    let pair = Pair::new();
    std::fs::remove_file(pair.dir.path().join("token")).unwrap();
    let error = listen(&mut pair.source(), None).unwrap_err();
    assert!(error.to_string().contains("enrol"), "{error}");
    assert!(pair.server.requests().is_empty());
}

#[test]
fn a_reached_server_moves_the_floor_of_time() {
    let pair = Pair::new();
    pair.answers(&[("204 No Content", "")]);
    listen(&mut pair.enrolled(), None).unwrap();
    let floor = TimeFloor::load(&pair.dir.path().join("time")).at();
    assert_eq!(floor, NOW.wall);
}
