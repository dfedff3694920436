//! `doctor`: is this terminal put together so that updates can work? It looks and
//! changes nothing; each finding says what to do.
//!
//! Deliberately absent: the watchdog's device is not opened, because that starts it,
//! and no slot is written.

use super::End;
use super::held;
use super::terminal;
use agent::config::{Component, Config, LayoutWord, StagingWord};
use agent::edges::{BootControl, Flash, SlotFacts, Stage as _, Store};
#[cfg(feature = "upkeep")]
use agent::edges::{Configuration as _, Hooks as _};
use agent::platform::clock::{self, TimeFloor};
use agent::platform::confine;
use agent::platform::contain;
use agent::platform::flash::SlotMedium;
#[cfg(feature = "upkeep")]
use agent::platform::partition::locate;
use agent::platform::places::same_place;
use agent::platform::stage::StageFile;
use agent::{RECOVERY, ROOT};
use serde::Serialize;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use trust::Root;
use types::{Name, Sealed, Slot, Timestamp};

/// MiB that should be free where the agent keeps what survives.
const ROOM_MIB: u64 = 16;
/// Milliseconds before its end at which a root of trust is worth a word.
const SOON: i64 = 90 * 24 * 3600 * 1000;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    what: String,
    state: State,
    says: String,
    /// What to do.
    advice: Option<&'static str>,
}

fn ok(what: &str, says: impl Into<String>) -> Finding {
    Finding { what: what.into(), state: State::Ok, says: says.into(), advice: None }
}

fn warn(what: &str, says: impl Into<String>, advice: &'static str) -> Finding {
    Finding { what: what.into(), state: State::Warn, says: says.into(), advice: Some(advice) }
}

fn fail(what: &str, says: impl Into<String>, advice: &'static str) -> Finding {
    Finding { what: what.into(), state: State::Fail, says: says.into(), advice: Some(advice) }
}

/// An error and its causes.
fn told(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// Examines the terminal.
pub(super) fn examine(path: &Path, json: bool) -> anyhow::Result<End> {
    let findings = match Config::load(path) {
        Ok(config) => all(&config, path),
        Err(error) => {
            let advice = "`refit-agent config example` prints one that names every key";
            vec![fail("configuration", told(error), advice)]
        }
    };
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    if json {
        println!("{}", serde_json::json!({ "fit": !failed, "findings": findings }));
    } else {
        findings.iter().for_each(show);
    }
    Ok(if failed { End::Unfit } else { End::Done })
}

fn show(finding: &Finding) {
    let state = match finding.state {
        State::Ok => "ok  ",
        State::Warn => "warn",
        State::Fail => "FAIL",
    };
    println!("{state}  {}: {}", finding.what, finding.says);
    if let Some(advice) = finding.advice {
        println!("      {advice}");
    }
}

fn all(config: &Config, path: &Path) -> Vec<Finding> {
    let mut findings = vec![ok("configuration", format!("{} can be used", path.display()))];
    findings.extend(config.components.iter().flat_map(|(name, c)| component(name, c)));
    findings.extend(twice(config));
    findings.extend(boot(config));
    findings.push(watchdog(config));
    #[cfg(feature = "page")]
    findings.extend(page(config));
    findings.push(health(config));
    findings.extend(trust(config));
    findings.extend(factory_trust(config));
    findings.extend(stage(config));
    findings.push(time(config));
    findings.push(room(config));
    findings.extend(server(config));
    findings.extend(confine::is_root().then(|| user("worker", &config.worker.user)));
    findings.extend(sandbox());
    #[cfg(feature = "upkeep")]
    findings.extend(hooks(config));
    #[cfg(feature = "upkeep")]
    findings.extend(kept(config));
    findings
}

const SLOT: &str = "check its path, and that the agent may write to it";

fn component(name: &Name, component: &Component) -> Vec<Finding> {
    let place = |what: &str, place: &Path, size: u64| {
        let what = format!("component {name}{what}");
        let medium = SlotMedium::new(place, size);
        match medium.usable().and(medium.geometry()) {
            Ok(geometry) => ok(&what, format!("{}, {} bytes", place.display(), geometry.size)),
            Err(e) => fail(&what, format!("{}: {e}", place.display()), SLOT),
        }
    };
    match component {
        Component::Slot { a, b: None, size } => vec![place(", the system", a, *size)],
        Component::Slot { a, b: Some(b), size } => {
            let mut findings = vec![place(", slot A", a, *size), place(", slot B", b, *size)];
            let size = |path: &Path| SlotMedium::new(path, *size).geometry().map_or(0, |g| g.size);
            let (a, b) = (size(a), size(b));
            if a != b {
                let says = format!("slot A has {a} bytes, slot B {b}");
                let advice = "the smaller one decides how large a release may be";
                findings.push(warn(&format!("component {name}"), says, advice));
            }
            findings
        }
        #[cfg(feature = "components")]
        Component::Copies { a, b, size, .. } => {
            vec![place(", copy A", a, *size), place(", copy B", b, *size)]
        }
        #[cfg(feature = "components")]
        Component::Live { directory, .. } => {
            let above = directory.parent().unwrap_or(directory);
            let there = directory.is_dir() || above.is_dir();
            let what = format!("component {name}");
            vec![match there {
                true => ok(&what, directory.display().to_string()),
                false => fail(&what, format!("{} is nowhere", directory.display()), SLOT),
            }]
        }
        #[cfg(feature = "components")]
        Component::Direct { place: at, staging, size } => {
            vec![place("", at, *size), place(", staging", staging, *size)]
        }
    }
}

/// Two components, or slots, in one place.
fn twice(config: &Config) -> Vec<Finding> {
    let named = |(name, component): (&Name, &Component)| {
        let paths = component.media().into_iter().map(Path::to_path_buf);
        paths.map(|path| (name.clone(), path)).collect::<Vec<_>>()
    };
    let all: Vec<_> = config.components.iter().flat_map(named).collect();
    let mut findings = Vec::new();
    for (index, (name, path)) in all.iter().enumerate() {
        for (other, place) in all.iter().skip(index + 1) {
            if same_place(path, place) {
                let says = format!("{} and {} are one place", path.display(), place.display());
                let what = format!("components {name} and {other}");
                findings.push(fail(&what, says, "each slot needs a place of its own"));
            }
        }
    }
    findings
}

const BOOT: &str = "see docs/bootloaders.md: the convention, its places and its tools";

fn boot(config: &Config) -> Vec<Finding> {
    let control: Box<dyn BootControl> = config.boot_control();
    let running = match control.running() {
        Ok(slot) => slot,
        Err(e) => return vec![fail("bootloader", told(e), BOOT)],
    };
    let facts = Slot::BOTH.map(|slot| control.slot(slot));
    let [a, b] = match facts {
        [Ok(a), Ok(b)] => [a, b],
        [Err(e), _] | [_, Err(e)] => return vec![fail("bootloader", told(e), BOOT)],
    };
    let says = format!("slot {running} runs; A is {}, B is {}", word(a), word(b));
    let runs = if running == Slot::A { a } else { b };
    vec![match runs {
        SlotFacts::Good => ok("bootloader", says),
        SlotFacts::Trial { .. } => {
            warn("bootloader", says, "a release is on trial; no update is taken until it has ended")
        }
        SlotFacts::Unbootable => fail(
            "bootloader",
            says,
            "the slot that runs is not known to be good: its marks and the slot's name disagree",
        ),
    }]
}

fn word(facts: SlotFacts) -> String {
    match facts {
        SlotFacts::Good => "good".into(),
        SlotFacts::Trial { left } => format!("on trial with {left} tries"),
        SlotFacts::Unbootable => "never started".into(),
    }
}

fn watchdog(config: &Config) -> Finding {
    let Some(watchdog) = &config.watchdog else {
        let advice = "a release that hangs is left only when something resets the terminal";
        return warn("watchdog", "none is fed", advice);
    };
    let path = &watchdog.device;
    match std::fs::metadata(path) {
        Ok(facts) if facts.file_type().is_char_device() => match held::by_another(path) {
            None => ok("watchdog", format!("{}, {} s", path.display(), watchdog.timeout_seconds)),
            Some(who) => {
                let says = format!("{} is held by {who}", path.display());
                fail("watchdog", says, "end what feeds it: the agent goes on trying to take it")
            }
        },
        Ok(_) => fail("watchdog", format!("{} is no device", path.display()), "name the device"),
        Err(e) => {
            let says = format!("{}: {e}", path.display());
            fail("watchdog", says, "load its driver, or name another device")
        }
    }
}

fn health(config: &Config) -> Finding {
    let checks = config.health.checks.len();
    if checks == 0 && config.health.by_hand_within == 0 {
        let advice = "say in `[health]` what the terminal is for";
        return warn("health", "a release is healthy when the agent runs", advice);
    }
    ok("health", format!("{checks} checks"))
}

fn trust(config: &Config) -> Vec<Finding> {
    let stored = terminal::store(config).ok().and_then(|store| store.read(ROOT).ok().flatten());
    let bytes = stored.map_or_else(|| std::fs::read(&config.root), Ok);
    let advice = "the maker's root.json, made by `refit keygen`, belongs where `root` says";
    let root = match bytes.map(|bytes| Root::open(&Sealed::from(bytes.as_slice()))) {
        Ok(Ok(root)) => root,
        Ok(Err(e)) => return vec![fail("root of trust", told(e), advice)],
        Err(e) => {
            return vec![fail("root of trust", format!("{}: {e}", config.root.display()), advice)];
        }
    };
    let (now, until) = (terminal::now(config), root.expires());
    let (keys, least) = (root.targets_role().key_ids().len(), root.targets_role().threshold());
    let says = format!("{least} of {keys} keys, until {until}");
    vec![match until.0.saturating_sub(now.0) {
        ..=0 => fail("root of trust", says, "it has expired: nothing is installed; renew it"),
        1..SOON => warn("root of trust", says, "it expires soon; renew it"),
        _ => ok("root of trust", says),
    }]
}

/// What a terminal begins with that lost its state: the root and the certificates in the
/// image that runs, be it the system or the recovery. Each has its own.
fn factory_trust(config: &Config) -> Vec<Finding> {
    let running = config.boot_control().running().ok();
    let whose = match running {
        Some(slot) if config.layout == LayoutWord::Recovery && slot == RECOVERY => "the recovery",
        Some(_) if config.layout == LayoutWord::Recovery => "the system",
        _ => "this image",
    };
    let what = format!("trust files of {whose}");
    let advice = "each image, the recovery's too, brings the newest root.json and the \
                  operator's certificates: without its state a terminal has nothing else";
    let mut faults = Vec::new();
    let opened = std::fs::read(&config.root).map_err(anyhow::Error::from);
    let opened = opened.and_then(|bytes| Ok(Root::open(&Sealed::from(bytes.as_slice()))?));
    match opened {
        Err(e) => faults.push(format!("{}: {}", config.root.display(), told(e))),
        Ok(root) if root.expires() <= terminal::now(config) => {
            faults.push(format!("{}: expired {}", config.root.display(), root.expires()));
        }
        Ok(_) => {}
    }
    for ca in config.authorities() {
        if let Err(e) = terminal::roots(ca) {
            faults.push(told(e));
        }
    }
    vec![match faults.as_slice() {
        [] => ok(&what, format!("{} and the certificates can be used", config.root.display())),
        _ => warn(&what, faults.join("; "), advice),
    }]
}

/// The place where packages are kept before the only system is given up for them.
fn stage(config: &Config) -> Option<Finding> {
    if config.layout != LayoutWord::Recovery || config.staging.mode == StagingWord::Never {
        return None;
    }
    let path = config.stage();
    let says = |room: u64| format!("{} MiB for a package in {}", room >> 20, path.display());
    let advice = "a package needs as many bytes as it has: without them it is fetched while \
                  the recovery writes, or refused";
    Some(match StageFile::new(&path).room() {
        Ok(room) if room >> 20 >= ROOM_MIB => ok("stage", says(room)),
        Ok(room) => warn("stage", says(room), advice),
        Err(e) => fail("stage", format!("{}: {e}", path.display()), "check `staging.path`"),
    })
}

fn time(config: &Config) -> Finding {
    let floor = TimeFloor::load(&config.state_dir.join("time")).at();
    let clock = clock::wall(Timestamp(i64::MIN));
    if clock < floor {
        let says = format!("the clock says {clock}, and {floor} has passed");
        let advice = "the later one counts until the clock is set: NTP, or a battery for it";
        return warn("time", says, advice);
    }
    ok("time", format!("the clock says {clock}; at least {floor} has passed"))
}

fn room(config: &Config) -> Finding {
    let dir = &config.state_dir;
    let there = dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(facts) => {
            let free = facts.f_bavail.saturating_mul(facts.f_frsize) >> 20;
            let says = format!("{free} MiB are free for {}", dir.display());
            match free {
                ROOM_MIB.. => ok("storage", says),
                1.. => warn("storage", says, "16 MiB are plenty"),
                0 => fail("storage", says, "make room: reports and jobs are kept there"),
            }
        }
        Err(e) => fail("storage", format!("{}: {e}", dir.display()), "check `state_dir`"),
    }
}

#[cfg(feature = "page")]
fn page(config: &Config) -> Option<Finding> {
    let page = config.page.as_ref()?;
    let says = format!("{}: {}", page.listen, page.password_file.display());
    Some(match agent::page::usable(&page.password_file) {
        Ok(()) => ok("local page", says),
        Err(e) => fail("local page", format!("{says}: {e}"), "give each terminal its own password"),
    })
}

fn server(config: &Config) -> Vec<Finding> {
    let Some(server) = &config.server else {
        let advice = "packages come by `install`, by card or by the local page only";
        return vec![warn("server", "none is configured", advice)];
    };
    let known = terminal::store(config).ok().and_then(|s| s.read("credential").ok().flatten());
    let token = server.token_file.as_ref().is_some_and(|path| path.exists());
    let identity = match (known, token) {
        (Some(_), _) => ok("identity", "enrolled"),
        (None, true) => ok("identity", "a token to enrol with"),
        (None, false) => fail(
            "identity",
            "neither enrolled nor with a token",
            "`refit enrol-token` makes one; it belongs where `server.token_file` says",
        ),
    };
    let advice = "the address, the network, or the certificates in `server.ca`";
    let asked = terminal::server_agent(config, server).map(|agent| {
        let url = format!("{}/health", server.url.trim_end_matches('/'));
        agent.get(&url, &[]).map(|answer| answer.status())
    });
    let reached = match asked {
        Err(e) => fail("server", format!("{e:#}"), advice),
        Ok(Err(e)) => fail("server", format!("{}: {e}", server.url), advice),
        Ok(Ok(200)) => ok("server", format!("{} answers", server.url)),
        Ok(Ok(status)) => {
            warn("server", format!("{} answers with status {status}", server.url), advice)
        }
    };
    vec![identity, reached]
}

/// Who `what` becomes where the agent is root.
fn user(what: &str, name: &str) -> Finding {
    match confine::user(name) {
        Ok(found) => ok(what, format!("becomes {name} ({}:{})", found.uid, found.gid)),
        Err(e) => fail(what, told(e), "a user of /etc/passwd that is not root"),
    }
}

fn sandbox() -> Vec<Finding> {
    let advice = "a kernel with Landlock (6.7 or newer) and seccomp, on x86_64 or aarch64";
    let mut findings: Vec<_> =
        contain::gaps().into_iter().map(|gap| warn("sandbox", gap, advice)).collect();
    if findings.is_empty() {
        findings.push(ok("sandbox", "Landlock and seccomp contain worker and hooks"));
    }
    findings
}

#[cfg(feature = "upkeep")]
fn hooks(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if confine::is_root() {
        findings.push(user("hooks", &config.hooks.user));
    }
    let obstacle = terminal::runner(config).map(|runner| runner.obstacle());
    if let Ok(Some(why)) = obstacle {
        let advice = "`hooks.uncontained = \"run\"` runs them all the same";
        findings.push(warn("hooks", why.as_str(), advice));
    }
    findings
}

#[cfg(feature = "upkeep")]
/// The configuration that is carried over, and the named partitions.
fn kept(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(kept) = &config.configuration {
        let running = config.boot_control().running().ok();
        let form = terminal::folders(config).ok().zip(running);
        let form = form.and_then(|(folders, slot)| folders.version(slot).ok().flatten());
        findings.push(match form {
            Some(form) => ok("own configuration", format!("form {form}")),
            None => warn(
                "own configuration",
                format!("the running slot has no copy in {}", kept.folder.display()),
                "the factory writes it into the folder `A` or `B`; without one none is carried over",
            ),
        });
    }
    for (name, partition) in &config.partitions {
        let what = format!("partition {name}");
        findings.push(match locate(&partition.path).and_then(std::fs::File::open) {
            Ok(_) => ok(&what, partition.path.display().to_string()),
            Err(e) => fail(&what, format!("{}: {e}", partition.path.display()), "check its path"),
        });
    }
    findings
}
