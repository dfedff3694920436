//! The real program and a card: found, asked about, pulled, put back, installed.

use crate::bench::{Bench, image};
use std::path::PathBuf;
use std::process::Child;
use types::Effect;

const IMAGE: usize = 70 * (64 << 10) + 777;

struct Slot {
    bench: Bench,
    agent: Child,
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.agent.kill());
        self.agent.wait().unwrap();
    }
}

impl Slot {
    fn new(more: &str) -> Self {
        let bench = Bench::new();
        let card = bench.path("card");
        std::fs::create_dir(&card).unwrap();
        bench.configure(&format!("[media]\nmounts = [\"{}\"]\n{more}", card.display()));
        let agent = bench.daemon();
        Self { bench, agent }
    }

    fn card(&self) -> PathBuf {
        self.bench.path("card/update.zip")
    }

    fn put(&self, package: &PathBuf) {
        std::fs::copy(package, self.card()).unwrap();
        self.look();
    }

    fn look(&self) {
        assert_eq!(self.bench.agent(&["check"]).code, Some(0));
    }

    fn until(&self, what: &str, is: impl Fn(&serde_json::Value) -> bool) {
        loop {
            let status = self.bench.status();
            if is(&status) {
                return;
            }
            assert_eq!(status["agent_runs"], true, "waiting for {what}: {status}");
        }
    }
}

#[test]
fn a_card_is_found_asked_about_pulled_put_back_and_installed() {
    let mut slot = Slot::new("");
    let image = image(IMAGE, 1);
    let package = slot.bench.package("2.0", Effect::Slot, &image);
    assert_eq!(slot.bench.agent(&["automatic", "install", "off"]).code, Some(0));
    slot.put(&package);
    slot.until("the question", |status| status["why"] == "consent");
    assert_eq!(slot.bench.status()["version"], "2.0");
    std::fs::remove_file(slot.card()).unwrap();
    assert_eq!(slot.bench.agent(&["agree"]).code, Some(0));
    slot.until("the card", |status| status["why"] == "medium-gone");
    let told = slot.bench.agent(&["status", "--why"]).out;
    assert!(told.contains("was taken out; put it back"), "{told}");
    slot.put(&package);
    assert_eq!(slot.agent.wait().unwrap().code(), Some(100));
    assert!(std::fs::read(slot.bench.path("slot-b")).unwrap().starts_with(&image));
    slot.bench.boot("B", 2);
    slot.agent = slot.bench.daemon();
    slot.until("the end", |status| status["last"]["outcome"] == 0);
    assert_eq!(slot.bench.status()["last"]["source"], "media");
    slot.look();
    slot.until("rest", |status| status["phase"] == "idle");
    assert_eq!(slot.bench.status()["last"]["outcome"], 0, "the card is not begun again");
}

#[test]
fn a_release_that_failed_is_not_installed_from_a_card_again() {
    let mut slot = Slot::new("");
    let package = slot.bench.package("2.0", Effect::Slot, &image(IMAGE, 2));
    slot.put(&package);
    assert_eq!(slot.agent.wait().unwrap().code(), Some(100));
    // The bootloader tried it three times and returned.
    let boot = agent::platform::boot::file::BootFile::new(&slot.bench.path("boot"));
    let tried: Vec<String> = (0..4).map(|_| boot.decide().unwrap().to_string()).collect();
    assert_eq!(tried, ["B", "B", "B", "A"]);
    slot.bench.boot("A", 2);
    slot.agent = slot.bench.daemon();
    slot.until("the end", |status| status["last"]["outcome"] == 209);
    // Two calls may become one look: pulled and put back until the agent saw it gone.
    while slot.bench.status()["last"]["outcome"] != 108 {
        std::fs::remove_file(slot.card()).unwrap();
        slot.look();
        slot.bench.status();
        slot.put(&package);
    }
}

#[test]
fn a_card_for_another_terminal_is_explained() {
    let slot = Slot::new("");
    std::fs::write(slot.card(), [7; 5000]).unwrap();
    slot.look();
    slot.until("the refusal", |status| status["last"]["outcome"] == 107);
    let told = slot.bench.agent(&["status", "--why"]).out;
    assert!(told.contains("damaged or not a package"), "{told}");
}

#[test]
fn the_terminals_own_screen_answers() {
    let screen = "printf '%s %s' \"$REFIT_VERSION\" \"$REFIT_CLASS\" > \"$0\"; echo now";
    let bench = Bench::new();
    let heard = bench.path("heard");
    let script = bench.path("screen");
    std::fs::write(&script, screen.replace("$0", heard.to_str().unwrap())).unwrap();
    let mut slot =
        Slot::new(&format!("[senses]\nconsent = [\"/bin/sh\", \"{}\"]\n", script.display()));
    assert_eq!(slot.bench.agent(&["automatic", "install", "off"]).code, Some(0));
    let package = slot.bench.package("2.0", Effect::Slot, &image(IMAGE, 3));
    slot.put(&package);
    assert_eq!(slot.agent.wait().unwrap().code(), Some(100));
    assert_eq!(std::fs::read_to_string(heard).unwrap(), "2.0 feature");
}
