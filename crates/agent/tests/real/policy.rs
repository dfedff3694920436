//! The real program and what stands in its way: battery, line, people, owner.

use crate::bench::{Bench, image, night_in_some_hours};
use crate::server::Server;
use std::process::Child;
use types::Effect;

/// 70 chunks and a rest: more than one checkpoint.
const IMAGE: usize = 70 * (64 << 10) + 777;

/// A terminal whose moment is made of files.
struct Moment {
    bench: Bench,
    agent: Child,
    install: Child,
}

impl Drop for Moment {
    fn drop(&mut self) {
        drop(self.agent.kill());
        drop(self.install.kill());
        self.agent.wait().unwrap();
        self.install.wait().unwrap();
    }
}

impl Moment {
    /// An agent that was given a package by hand, and this moment.
    fn new(battery: &str, line: &str, people: &str, policy: &str) -> Self {
        let bench = Bench::new();
        let dir = bench.path("moment");
        std::fs::create_dir_all(dir.join("power/BAT0")).unwrap();
        let at = dir.display();
        bench.configure(&format!(
            "[policy]\nbattery_percent = 30\n{policy}\n[senses]\npower_supply = \"{at}/power\"\n\
             line = [\"/bin/cat\", \"{at}/line\"]\nactivity = [\"/bin/cat\", \"{at}/people\"]\n\
             every_seconds = 0\n"
        ));
        std::fs::write(dir.join("power/BAT0/type"), "Battery\n").unwrap();
        let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
        Self::write(&bench, battery, line, people);
        let agent = bench.daemon();
        let install = bench.start(&["install", package.to_str().unwrap()]);
        Self { bench, agent, install }
    }

    fn write(bench: &Bench, battery: &str, line: &str, people: &str) {
        let dir = bench.path("moment");
        std::fs::write(dir.join("power/BAT0/capacity"), battery).unwrap();
        std::fs::write(dir.join("line"), line).unwrap();
        std::fs::write(dir.join("people"), people).unwrap();
    }

    /// The moment changes, and the agent looks.
    fn becomes(&self, battery: &str, line: &str, people: &str) {
        Self::write(&self.bench, battery, line, people);
        assert_eq!(self.bench.agent(&["check"]).code, Some(0));
    }

    /// Waits until it waits for `rule`, and checks that a person is told `sentence`.
    fn waits_for(&self, phase: &str, rule: &str, sentence: &str) {
        let mut silent = 0;
        loop {
            let status = self.bench.status();
            if status["why"] == rule && status["phase"] == phase {
                let told = self.bench.agent(&["status", "--why"]).out;
                if told.contains(sentence) {
                    return;
                }
                // Both are asked one after the other, and the agent may say more in between.
                silent += 1;
                assert!(silent < 20, "{told}");
            }
            assert_eq!(status["agent_runs"], true, "waiting for {rule}: {status}");
        }
    }

    /// The terminal restarts into the new release.
    fn restarts(&mut self) {
        assert_eq!(self.agent.wait().unwrap().code(), Some(100));
        assert_eq!(self.install.wait().unwrap().code(), Some(100));
    }

    /// How often the new slot may be started.
    fn armed(&self) -> bool {
        let boot = agent::platform::boot::file::BootFile::new(&self.bench.path("boot"));
        let facts = boot.slot(types::Slot::B).unwrap();
        matches!(facts, agent::edges::SlotFacts::Trial { .. })
    }
}

#[test]
fn what_stands_in_the_way_is_told_and_waited_for() {
    let mut moment = Moment::new("12", "free", "idle", "");
    moment.waits_for("downloading", "battery-low", "the battery has 12 %; an update needs 30 %");
    assert!(!moment.bench.path("slot-b").exists(), "nothing is written");
    // A file needs no line, and what is not known stands in the way.
    moment.becomes("80", "what", "nobody knows");
    moment.waits_for("verifying", "activity-unknown", "whether the terminal is in use");
    moment.becomes("80", "what", "call");
    moment.waits_for("verifying", "call", "a call is in progress");
    assert!(std::fs::read(moment.bench.path("slot-b")).unwrap().starts_with(&image(IMAGE, 1)));
    assert!(!moment.armed());
    moment.becomes("80", "what", "idle");
    moment.restarts();
    assert!(moment.armed());
}

#[test]
fn an_owner_postpones_chooses_a_time_and_changes_their_mind() {
    let (from, night) = night_in_some_hours();
    let policy = format!("{night}postponements = 2");
    let mut moment = Moment::new("12", "free", "idle", &policy);
    moment.waits_for("downloading", "battery-low", "12 %");
    let says = |words: &[&str], code: i32, part: &str| {
        let ended = moment.bench.agent(words);
        let all = format!("{}{}", ended.out, ended.err);
        assert_eq!(ended.code, Some(code), "{all}");
        assert!(all.contains(part), "{all}");
    };
    says(&["postpone", "--hours", "8"], 0, "postponed until");
    says(&["agree", "2001-01-01 03:00"], 1, "not within the next year");
    says(&["agree", "whenever"], 1, "say `now`");
    moment.waits_for("downloading", "battery-low", "12 %");
    moment.becomes("80", "free", "idle");
    moment.waits_for("verifying", "postponed", "the owner postponed it until");
    says(&["postpone"], 0, "postponed until");
    says(&["postpone"], 1, "cannot be postponed any more");
    says(&["agree", "tonight"], 0, &from);
    moment.waits_for("verifying", "scheduled", "the owner chose");
    assert!(!moment.armed());
    says(&["agree", "now"], 0, "installed now");
    moment.restarts();
}

#[test]
fn an_owner_declines() {
    let moment = Moment::new("12", "free", "idle", "");
    moment.waits_for("downloading", "battery-low", "12 %");
    assert_eq!(moment.bench.agent(&["decline"]).code, Some(0));
    while moment.bench.status()["phase"] != "idle" {}
    assert_eq!(moment.bench.status()["last"]["outcome"], 109);
    assert_eq!(moment.bench.agent(&["agree"]).code, Some(3));
}

/// A terminal whose server orders a package with this mode, and what it said last.
struct Ordered {
    bench: Bench,
    server: Server,
    agent: Child,
}

impl Drop for Ordered {
    fn drop(&mut self) {
        drop(self.agent.kill());
        self.agent.wait().unwrap();
    }
}

impl Ordered {
    fn new(mode: &str, before: &[&str]) -> Self {
        Self::with(mode, before, |_| String::new())
    }

    /// With what `prepare` adds to the configuration.
    fn with(mode: &str, before: &[&str], prepare: impl Fn(&Bench) -> String) -> Self {
        let (bench, server) = Self::terminal(mode, before, prepare);
        let agent = bench.daemon();
        Self { bench, server, agent }
    }

    /// The terminal, whose agent does not run yet.
    fn terminal(
        mode: &str,
        before: &[&str],
        prepare: impl Fn(&Bench) -> String,
    ) -> (Bench, Server) {
        let (bench, server) = (Bench::new(), Server::start());
        let zip = std::fs::read(bench.package("2.0", Effect::Slot, &image(IMAGE, 1))).unwrap();
        let archive = package::Archive::open(&zip[..]).unwrap();
        for entry in archive.entries() {
            let (at, size) = (entry.at as usize, entry.size as usize);
            server.put(&entry.name, &zip[at..at + size]);
        }
        let ca = bench.path("ca.pem");
        std::fs::write(&ca, &server.pem).unwrap();
        let (port, ca) = (server.port, ca.display());
        let more = prepare(&bench);
        bench.configure(&format!(
            "{more}[server]\nurl = \"https://127.0.0.1:{port}\"\nca = \"{ca}\"\npoll_seconds = 1\n"
        ));
        assert_eq!(bench.agent(before).code, Some(0));
        std::fs::write(bench.path("state/documents/credential"), "secret").unwrap();
        Self::order(&server, mode);
        (bench, server)
    }

    fn order(server: &Server, mode: &str) {
        let answer = serde_json::json!({
            "etag": mode, "poll_seconds": 1, "standing": "stands", "why": "because",
            "offer": {
                "attempt": "07".repeat(16), "base": server.base, "mode": mode,
                "release": {"product": "router", "version": "2.0", "rollback_index": 1,
                            "manifest": "00".repeat(32)},
            },
        });
        server.put_at("/v1/heartbeat", answer.to_string().as_bytes());
    }

    fn waits_for(&mut self, phase: &str, rule: &str) {
        loop {
            let status = self.bench.status();
            if status["why"] == rule && status["phase"] == phase {
                return;
            }
            assert!(self.agent.try_wait().unwrap().is_none(), "{status}");
        }
    }

    fn armed(&self) -> bool {
        let boot = agent::platform::boot::file::BootFile::new(&self.bench.path("boot"));
        let facts = boot.slot(types::Slot::B).unwrap();
        matches!(facts, agent::edges::SlotFacts::Trial { .. })
    }
}

#[test]
fn what_is_to_be_written_only_waits_until_someone_says_so() {
    let mut ordered = Ordered::new("download-only", &["automatic", "install", "on"]);
    ordered.waits_for("verifying", "download-only");
    assert!(std::fs::read(ordered.bench.path("slot-b")).unwrap().starts_with(&image(IMAGE, 1)));
    assert!(!ordered.armed());
    assert!(ordered.server.bodies().iter().any(|body| body.contains("\"download-only\"")));
    // An agent that starts anew knows it still.
    drop(ordered.agent.kill());
    ordered.agent.wait().unwrap();
    ordered.agent = ordered.bench.daemon();
    ordered.waits_for("verifying", "download-only");
    // Whoever ordered it says so, by another mode for the same attempt.
    Ordered::order(&ordered.server, "soft");
    assert_eq!(ordered.agent.wait().unwrap().code(), Some(100));
    assert!(ordered.armed());
}

#[test]
fn what_is_to_be_written_only_is_started_by_the_owner() {
    let mut ordered = Ordered::new("download-only", &["automatic", "install", "on"]);
    ordered.waits_for("verifying", "download-only");
    assert_eq!(ordered.bench.agent(&["agree"]).code, Some(0));
    assert_eq!(ordered.agent.wait().unwrap().code(), Some(100));
}

#[test]
fn what_is_forced_asks_no_owner() {
    let mut asked = Ordered::new("soft", &["automatic", "install", "off"]);
    asked.waits_for("downloading", "consent");
    Ordered::order(&asked.server, "forced");
    assert_eq!(asked.agent.wait().unwrap().code(), Some(100));
    assert!(asked.armed());
}

#[test]
fn no_full_image_is_fetched_over_a_line_that_costs() {
    let mut ordered = Ordered::with("soft", &["automatic", "install", "on"], |bench| {
        let line = bench.path("line");
        std::fs::write(&line, "metered").unwrap();
        let line = line.display();
        format!("[senses]\nline = [\"/bin/cat\", \"{line}\"]\nevery_seconds = 0\n")
    });
    ordered.waits_for("downloading", "full-on-metered");
    assert!(!ordered.bench.path("slot-b").exists(), "nothing is written");
    let told = |word: &str| ordered.server.bodies().iter().any(|body| body.contains(word));
    while !told("\"full-on-metered\"") {}
    let asked = ordered.server.requests();
    assert!(!asked.iter().any(|request| request.contains("payload/")), "{asked:?}");
    std::fs::write(ordered.bench.path("line"), "free").unwrap();
    assert_eq!(ordered.bench.agent(&["check"]).code, Some(0));
    assert_eq!(ordered.agent.wait().unwrap().code(), Some(100));
}

/// What is known for longer than the owner may postpone it: a security update is installed
/// unasked, another one still waits for the answer.
#[test]
fn a_security_update_is_forced_when_its_time_is_over() {
    for security in [true, false] {
        let (bench, server) = Ordered::terminal(
            "soft",
            &["automatic", "install", "off"],
            |bench| {
                let asked = serde_json::json!({
                    "attempt": "07".repeat(16), "since": "2025-01-01T00:00:00Z", "security": security,
                });
                std::fs::create_dir_all(bench.path("state/documents")).unwrap();
                std::fs::write(bench.path("state/documents/asked"), asked.to_string()).unwrap();
                "[policy]\nforced_security = true\npostpone_days = 3\n".into()
            },
        );
        if security {
            assert_eq!(bench.agent(&["run"]).code, Some(100));
        } else {
            let agent = bench.daemon();
            let mut ordered = Ordered { bench, server, agent };
            ordered.waits_for("downloading", "consent");
            let ended = ordered.bench.agent(&["postpone"]);
            assert_eq!(ended.code, Some(1), "{}", ended.out);
        }
    }
}
