//! Rollouts that come from a web server that knows nothing, and what becomes of plans
//! that somebody meddled with.

use crate::world::{FACTORY, SIZE, SOON, World, wait_for_status, wait_for_version};
use fleet::static_plan::StaticPlan;
use lab::bench::nginx::Nginx;
use lab::boot::BootLoop;
use lab::clock::until;
use lab::operator::Operator;
use lab::terminal::{PRODUCT, Server, Settings, Terminal};
use lab::web::Authority;
use protocols::operator::plans::PlanList;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trust::{SigningKey, seal_statement};
use types::Timestamp;

const OPTIONS: &[&str] = &["--plan-seconds", "3600"];

/// Adds the table `plan` to a terminal's configuration.
fn read_plan(terminal: &Terminal, url: &str, ca: &Path, key: &str) {
    let config = fs::File::options().append(true).open(terminal.config());
    let table = format!("[plan]\nurl = {url:?}\nca = {ca:?}\nkeys = [{key:?}]\n");
    config.unwrap().write_all(table.as_bytes()).unwrap();
}

/// A web server's files, and the plan among them.
struct Tree {
    folder: PathBuf,
    key: SigningKey,
}

impl Tree {
    fn plan(&self) -> PathBuf {
        self.folder.join(format!("p/{PRODUCT}/-.json"))
    }

    /// Puts `plan` there, with another time than the one before: nginx tells files of
    /// one length apart by the second.
    fn put(&self, plan: &[u8]) {
        let before = fs::metadata(self.plan()).unwrap().modified().unwrap();
        fs::write(self.plan(), plan).unwrap();
        let file = fs::File::options().write(true).open(self.plan()).unwrap();
        file.set_modified(before + Duration::from_secs(1)).unwrap();
    }

    /// Puts `plan` there and lets the terminal ask: it refuses it and says why.
    fn check_refused(&self, terminal: &Terminal, plan: &[u8], why: &str) {
        self.put(plan);
        let asked = terminal.agent(&["check"]).unwrap();
        assert!(asked.status.success());
        let refused = |status: &Value| status["trouble"].as_str().is_some_and(|t| t.contains(why));
        let status = wait_for_status(terminal, why, refused);
        assert_eq!(status["phase"], "idle", "{status}");
        let said = terminal.agent(&["status", "--why"]).unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains(why) && said.contains("the plan of https://"), "{said}");
    }

    /// The plan in `sealed`, changed and signed again.
    fn forge(
        &self,
        sealed: &[u8],
        key: &SigningKey,
        change: impl FnOnce(&mut StaticPlan),
    ) -> Vec<u8> {
        let envelope: Value = serde_json::from_slice(sealed).unwrap();
        let mut plan: StaticPlan = serde_json::from_value(envelope["signed"].clone()).unwrap();
        change(&mut plan);
        seal_statement(&plan, key).unwrap().bytes().to_vec()
    }
}

#[test]
fn a_release_comes_from_files_alone_and_plans_are_not_meddled_with() {
    let world = World::new();
    let root = world.maker.root();
    let mut server =
        Operator::start_with(&world.programs, &world.file("server"), &root, OPTIONS).unwrap();
    server.publish(&world.package("2.0.0", 2)).unwrap();
    let tree = Tree {
        folder: world.file("tree"),
        key: SigningKey::read(&fs::read(world.file("server/plan.key")).unwrap()).unwrap(),
    };
    server.export_plans(&tree.folder).unwrap();
    let before = fs::read(tree.plan()).unwrap();
    let rollout = server.roll_out("spring", "2.0.0", &["--wave", "100%"]).unwrap();
    let list: PlanList = server.export_plans(&tree.folder).unwrap();
    assert_eq!(list.plans[0].rollouts[0].rollout, rollout.id);
    assert_eq!(list.plans[0].rollouts[0].asks, None);
    server.kill().unwrap();

    let authority = Authority::new().unwrap();
    let ca = world.file("cdn.pem");
    fs::write(&ca, authority.ca_pem()).unwrap();
    let nginx = Nginx::start(&world.file("nginx"), &tree.folder, &authority).unwrap();
    let terminal = world.terminal_with("cpe-1", &root, None, &Settings::default(), SIZE);
    read_plan(&terminal, &nginx.url(""), &ca, &list.key.unwrap());
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    wait_for_version(terminal, "2.0.0");
    // The same attempt as a server would have made, and nobody to report it to.
    let status = wait_for_status(terminal, "the report", |status| status["undelivered"] == 1);
    let attempt = types::AttemptId::new(rollout.id.as_str(), &"cpe-1".parse().unwrap(), 0);
    assert_eq!(status["last"]["attempt"], attempt.to_string());

    let good = fs::read(tree.plan()).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let other = text.replace("\"poll_seconds\":1,", "\"poll_seconds\":2,");
    assert_ne!(text, other);
    tree.check_refused(terminal, other.as_bytes(), "it was changed after signing");
    tree.check_refused(terminal, &before, "it was made at");
    let past = Timestamp(1_768_000_000_000);
    let expired = tree.forge(&good, &tree.key, |plan| {
        (plan.expires, plan.plan.good_until) = (past, past);
    });
    tree.check_refused(terminal, &expired, "plan expired at 2026-01-09");
    let stranger = SigningKey::from_seed([7; 32]).unwrap();
    let forged = tree.forge(&good, &stranger, |_| {});
    tree.check_refused(terminal, &forged, "no trusted key signed plan");
    let product = |plan: &mut StaticPlan| plan.product = "lab-r2".parse().unwrap();
    let misplaced = tree.forge(&good, &tree.key, product);
    tree.check_refused(terminal, &misplaced, "another product or channel");
    // Whoever holds the operator's key chooses among what the maker signed, no more.
    let manifest = rollout.release.manifest;
    let entry = tree.folder.join(format!("r/{manifest}/manifest.json"));
    let mut evil = fs::read(&entry).unwrap();
    let last = evil.len() - 2;
    evil[last] ^= 1;
    fs::write(&entry, evil).unwrap();
    let again = tree.forge(&good, &tree.key, |plan| {
        plan.version += 1;
        plan.plan.tracks[0].rollout = "summer".parse().unwrap();
        plan.plan.tracks[0].images.values_mut().for_each(|image| *image = types::Digest::default());
    });
    tree.put(&again);
    assert!(terminal.agent(&["check"]).unwrap().status.success());
    let summer = types::AttemptId::new("summer", &"cpe-1".parse().unwrap(), 0).to_string();
    let ended = |status: &Value| status["last"]["attempt"] == summer && status["phase"] == "idle";
    let status = wait_for_status(terminal, "the refusal of what no maker signed", ended);
    assert_ne!(status["last"]["outcome"], 0, "{status}");
    assert_eq!(status["running"]["rootfs"]["version"], "2.0.0");
}

#[test]
fn a_server_behind_the_plan_counts_and_is_otherwise_left_alone() {
    let world = World::new();
    let root = world.maker.root();
    let server =
        Operator::start_with(&world.programs, &world.file("server"), &root, OPTIONS).unwrap();
    server.publish(&world.package("2.0.0", 2)).unwrap();
    let list = server.export_plans(&world.file("tree")).unwrap();
    let token = server.tokens(1).unwrap().remove(0);
    let ca = server.ca();
    let known = Server { url: server.address(), ca: &ca, token: &token };
    let settings = Settings::default();
    let terminal = world.terminal_with("cpe-1", &root, Some(known), &settings, SIZE);
    let url = format!("{}/v1/static", server.address());
    read_plan(&terminal, &url, &ca, &list.key.unwrap());
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    let nothing = |status: &Value| status["rule"] == "no rollout was started";
    let status = wait_for_status(terminal, "the plan", nothing);
    assert_eq!(status["running"]["rootfs"]["version"], FACTORY);
    let rollout = server.roll_out("spring", "2.0.0", &["--wave", "100%"]).unwrap();
    wait_for_version(terminal, "2.0.0");
    let confirmed = || {
        let tally = server.rollout(rollout.id.as_str())?.tally;
        Ok((tally.confirmed == 1 && tally.exposed == 1).then_some(()))
    };
    until(SOON, "the count", confirmed).unwrap_or_else(|e| {
        panic!("{e}: {:?} {}", server.device("cpe-1"), crate::world::status(terminal))
    });
    // It began by itself, and every byte came from the address that is everybody's.
    let detail = server.device("cpe-1").unwrap();
    let attempt = &detail.attempts[0];
    assert_eq!(attempt.bytes_served, 0, "{attempt:?}");
}
