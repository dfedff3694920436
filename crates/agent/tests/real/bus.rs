//! The owner's desk on a real bus, called by D-Bus' own tool and by a program that listens.

use crate::bench::{Bench, image, night_in_some_hours};
use agent::platform::clock::Stopwatch;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use types::Effect;
use zbus::blocking::{Connection, Proxy, connection::Builder};

const IMAGE: usize = 70 * (64 << 10) + 777;

/// Milliseconds that an agent may take to be on the bus: it tries again after a minute.
const SOON: u64 = 120_000;

/// A bus of its own, and an agent on it whose battery is almost empty.
struct Screen {
    bench: Bench,
    bus: Child,
    agent: Child,
    install: Child,
    address: String,
}

impl Drop for Screen {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.install, &mut self.bus] {
            drop(child.kill());
            child.wait().unwrap();
        }
    }
}

impl Screen {
    fn new() -> Self {
        let bench = Bench::new();
        bench.drain_battery();
        let at = format!("--address=unix:path={}", bench.path("bus").display());
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address", &at])
            .stdout(Stdio::piped())
            .spawn()
            .expect("`dbus-daemon` is in the package `dbus`");
        let mut address = String::new();
        BufReader::new(bus.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_string();
        let (_, night) = night_in_some_hours();
        bench.configure(&format!(
            "[dbus]\nbus = \"{address}\"\n[policy]\nbattery_percent = 30\n{night}\
             postponements = 2\n[senses]\npower_supply = \"{}\"\n",
            bench.path("power").display(),
        ));
        let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
        let agent = bench.daemon();
        let install = bench.start(&["install", package.to_str().unwrap()]);
        while bench.status()["why"] != "battery-low" {}
        Self { bench, bus, agent, install, address }
    }

    fn connect(&self) -> Connection {
        Builder::address(self.address.as_str()).unwrap().build().unwrap()
    }

    /// The agent's desk. Its name may come a moment after the agent's first word, and a proxy
    /// keeps what it was told when it asked first: each try has its own.
    fn desk<'a>(&self, connection: &'a Connection) -> Proxy<'a> {
        let [name, path] = ["io.refit.Agent1", "/io/refit/Agent1"];
        let watch = Stopwatch::start();
        loop {
            let agent = Proxy::new(connection, name, path, name).unwrap();
            match agent.get_property::<String>("Phase") {
                Ok(_) => return agent,
                Err(error) => assert!(watch.millis() < SOON, "{error}"),
            }
        }
    }

    /// What D-Bus' own tool prints for a call with `words`.
    fn send(&self, member: &str, words: &[&str]) -> String {
        let ended = Command::new("dbus-send")
            .arg(format!("--bus={}", self.address))
            .args(["--print-reply", "--dest=io.refit.Agent1", "/io/refit/Agent1"])
            .arg(member)
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()
    }
}

#[test]
fn a_screen_of_the_device_speaks_for_the_owner_by_dbus() {
    let mut screen = Screen::new();
    let connection = screen.connect();
    let agent = screen.desk(&connection);
    let word = |name: &str| agent.get_property::<String>(name).unwrap();
    assert_eq!((word("Phase"), word("Version")), ("downloading".into(), "2.0".into()));
    assert!(word("Waiting").contains("12 %"), "{}", word("Waiting"));
    let choices: (bool, bool, i64) = agent.call("Choices", &()).unwrap();
    assert!(choices.0 && choices.1, "{choices:?}");

    let member = |name: &str| format!("io.refit.Agent1.{name}");
    let attempt = format!("string:{}", word("Attempt"));
    let said = screen.send(&member("Answer"), &[&attempt, "string:tonight"]);
    assert!(said.contains("the update is started at"), "{said}");
    for (attempt, words, want) in [
        (attempt.as_str(), "string:whenever", "say `now`"),
        ("string:none", "string:now", "is over"),
        ("string:00000000000000000000000000000000", "string:now", "is over"),
    ] {
        let said = screen.send(&member("Answer"), &[attempt, words]);
        assert!(said.contains("InvalidArgs") && said.contains(want), "{said}");
    }
    screen.send(&member("Pause"), &["boolean:true"]);
    let status: String = agent.call("Status", &()).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["version"], "2.0");
    assert_eq!(screen.bench.status()["switches"]["paused"], true);
    screen.send(&member("Pause"), &["boolean:false"]);

    let mut phases = agent.receive_property_changed::<String>("Phase");
    std::fs::write(screen.bench.path("power/BAT0/capacity"), "90").unwrap();
    agent.call::<_, _, ()>("Check", &()).unwrap();
    // The first word is what was there already.
    while phases.next().unwrap().get().unwrap() != "verifying" {}
    screen.send(&member("Answer"), &[&attempt, "string:now"]);
    assert_eq!(screen.agent.wait().unwrap().code(), Some(100));
}
