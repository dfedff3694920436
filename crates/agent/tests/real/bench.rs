//! One terminal on the bench: its configuration, its slots as files, packages for it,
//! and the real program.

use package::{
    Class, Codec, Component, ComponentKind, Hook, Manifest, Payload, Phase, Program, Step,
};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use trust::{RootDraft, SigningKey, Target, TargetsDraft, sign};
use types::{Digest, Effect, Image, Timestamp};

/// Bytes of a chunk.
const CHUNK: usize = 64 << 10;
/// 2100-01-01.
const FAR: Timestamp = Timestamp(4_102_444_800_000);

/// The terminal.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// What a maker adds to a package.
#[derive(Default)]
pub(crate) struct Brought {
    /// Which key signs; the bench's own where it is 0.
    pub(crate) signer: u8,
    /// Until when that counts; far away where it is 0.
    pub(crate) expires: i64,
    /// Roots that the package brings, by version.
    pub(crate) roots: Vec<(u64, Vec<u8>)>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) programs: Vec<(String, Vec<u8>)>,
    pub(crate) configuration: Option<u32>,
    /// What the first of two payloads is like; where nothing is said there is one.
    pub(crate) first: Option<First>,
}

/// What is wrong with a payload that has another one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// A byte in its middle is another one.
    Damaged,
    /// It is not in the package.
    Missing,
}

impl Brought {
    /// A hook of the terminal's own programs.
    pub(crate) fn hook(mut self, phase: Phase, command: &[&str], limit_seconds: u32) -> Self {
        let command = command.iter().map(ToString::to_string).collect();
        self.hooks.push(Hook { phase, command, limit_seconds, program: None, step: None });
        self
    }

    /// A hook whose program is this script, which the package brings.
    pub(crate) fn script(self, phase: Phase, script: &str) -> Self {
        self.step(phase, script, None)
    }

    /// A step of the configuration by this script.
    pub(crate) fn migration(self, from: u32, to: u32, script: &str) -> Self {
        self.step(Phase::Migrate, script, Some(Step { from, to }))
    }

    fn step(mut self, phase: Phase, script: &str, step: Option<Step>) -> Self {
        let bytes = format!("#!/bin/sh\n{script}\n").into_bytes();
        let entry = format!("hooks/{}", self.hooks.len());
        let (size, sha256) = (u32::try_from(bytes.len()).unwrap(), Digest::of(&bytes));
        let program = Some(Program { entry: entry.clone(), size, sha256 });
        let command = vec![entry.clone(), "argument".into()];
        self.hooks.push(Hook { phase, command, limit_seconds: 30, program, step });
        self.programs.push((entry, bytes));
        self
    }

    /// One bit of the first program is another one than the maker signed.
    pub(crate) fn damaged(mut self) -> Self {
        self.programs[0].1[0] ^= 1;
        self
    }
}

/// What a command came to.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        let root = RootDraft { version: 1, expires: FAR, keys: &[key()], threshold: 1 };
        std::fs::write(bench.path("root.json"), root.sign().unwrap().bytes()).unwrap();
        bench.configure("");
        bench.boot("A", 1);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A battery of 12 percent, in the folder `power`.
    pub(crate) fn drain_battery(&self) {
        let power = self.path("power/BAT0");
        std::fs::create_dir_all(&power).unwrap();
        std::fs::write(power.join("type"), "Battery").unwrap();
        std::fs::write(power.join("capacity"), "12").unwrap();
    }

    /// Writes the configuration, with `more` at its end.
    pub(crate) fn configure(&self, more: &str) {
        let dir = self.dir.path().display();
        let text = format!(
            r#"device = "bench"
product = "router"
hardware = "rev-a"
state_dir = "{dir}/state"
root = "{dir}/root.json"
[boot]
control = "file"
path = "{dir}/boot"
running_file = "{dir}/running"
[components.rootfs]
effect = "slot"
a = "{dir}/slot-a"
b = "{dir}/slot-b"
size = 8388608
[components.application]
effect = "live"
directory = "{dir}/application"
size = 8388608
[power]
boot_id_file = "{dir}/boot_id"
{more}"#
        );
        std::fs::write(self.path("agent.toml"), text).unwrap();
    }

    /// As [`configure`](Self::configure), and the component `application` is the agent.
    pub(crate) fn configure_agent(&self) {
        self.configure("");
        let path = self.path("agent.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let size = "directory = \"";
        let text = text.replacen(size, &format!("agent = true\n{size}"), 1);
        // A program of development has all that helps to debug it.
        let (before, after) = text.split_once("[components.application]").unwrap();
        let after = after.replacen("size = 8388608", "size = 1073741824", 1);
        std::fs::write(path, format!("{before}[components.application]{after}")).unwrap();
    }

    /// As if the bootloader had started `slot`, for the `n`th time.
    pub(crate) fn boot(&self, slot: &str, n: u8) {
        std::fs::write(self.path("running"), slot).unwrap();
        std::fs::write(self.path("boot_id"), format!("{n:032x}")).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refit-agent"));
        command.arg("--config").arg(self.path("agent.toml")).args(words).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn agent(&self, words: &[&str]) -> Ended {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        Ended {
            code: status.code(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Starts the program.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Starts the program and listens to what it says on standard error.
    pub(crate) fn start_with(&self, words: &[&str], err: Stdio) -> Child {
        self.command(words).stdout(Stdio::null()).stderr(err).spawn().unwrap()
    }

    /// Starts the agent and waits until it listens.
    pub(crate) fn daemon(&self) -> Child {
        let mut child = self.start(&["run"]);
        while self.agent(&["check"]).code != Some(0) {
            assert!(child.try_wait().unwrap().is_none(), "the agent ended");
        }
        child
    }

    /// The status, as scripts get it.
    pub(crate) fn status(&self) -> serde_json::Value {
        loop {
            let ended = self.agent(&["status", "--json"]);
            match serde_json::from_str(&ended.out) {
                Ok(status) => return status,
                Err(_) => assert!(ended.err.contains("not said anything yet"), "{}", ended.err),
            }
        }
    }

    /// Makes a package of version `version` and returns its path.
    pub(crate) fn package(&self, version: &str, effect: Effect, image: &[u8]) -> PathBuf {
        self.package_with(version, effect, image, &Brought::default())
    }

    /// The same, with what a maker adds to it.
    pub(crate) fn package_with(
        &self,
        version: &str,
        effect: Effect,
        image: &[u8],
        brought: &Brought,
    ) -> PathBuf {
        let path = self.path(&format!("{version}.zip"));
        write_package(&path, version, effect, image, brought);
        path
    }
}

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32]).unwrap()
}

/// Bytes that pack to about a half.
pub(crate) fn image(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..len).map(|n| if n % 2 == 0 { random() } else { 7 }).collect()
}

fn write_package(path: &Path, version: &str, effect: Effect, image: &[u8], brought: &Brought) {
    let mut encoder = delta::FrameEncoder::new(1).unwrap();
    let chunks = || image.chunks(CHUNK);
    let mut payload: Vec<u8> = chunks().flat_map(|chunk| encoder.encode(chunk).unwrap()).collect();
    let list: Vec<u8> = chunks().flat_map(|chunk| Digest::of(chunk).0).collect();
    let payload_len = payload.len();
    let name = if effect == Effect::Slot { "rootfs" } else { "application" };
    let entry = format!("payload/{name}.zst");
    let component = Component {
        name: name.parse().unwrap(),
        kind: ComponentKind::Rootfs,
        effect,
        version: None,
        image: Image {
            size: image.len() as u64,
            sha256: Digest::of(image),
            chunk_size: CHUNK as u32,
            chunks: Digest::of(&list),
        },
        payloads: [Some(entry.clone()), brought.first.map(|_| spare_of(&entry))]
            .into_iter()
            .flatten()
            .map(|entry| Payload {
                codec: Codec::ZstdFrames,
                entry,
                size: payload.len() as u64,
                sha256: Digest::of(&payload),
                encryption: None,
            })
            .collect(),
        works_with_both: false,
    };
    let manifest = Manifest {
        hooks: brought.hooks.clone(),
        configuration: brought.configuration,
        ..manifest(version, component)
    };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut bytes = Vec::new();
    let mut writer = package::Writer::new(|more: &[u8]| {
        bytes.extend(more);
        Ok::<(), std::io::Error>(())
    });
    writer.entry("manifest.json", &manifest).unwrap();
    writer.entry("targets.json", &signatures(&manifest, brought)).unwrap();
    for (version, bytes) in &brought.roots {
        writer.entry(&format!("roots/{version}.root.json"), bytes).unwrap();
    }
    writer.entry(&format!("chunks/{name}"), &list).unwrap();
    for (entry, bytes) in &brought.programs {
        writer.entry(entry, bytes).unwrap();
    }
    if let Some(first) = brought.first {
        writer.entry(&spare_of(&entry), &payload).unwrap();
        payload.iter_mut().skip(payload_len / 2).take(1).for_each(|byte| *byte ^= 1);
        if first == First::Damaged {
            writer.entry(&entry, &payload).unwrap();
        }
    } else {
        writer.entry(&entry, &payload).unwrap();
    }
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The entry of a payload behind the one in `entry`.
fn spare_of(entry: &str) -> String {
    entry.replace(".zst", "-spare.zst")
}

fn signatures(manifest: &[u8], brought: &Brought) -> Vec<u8> {
    let signer = match brought.signer {
        0 => key(),
        seed => SigningKey::from_seed([seed; 32]).unwrap(),
    };
    let expires = if brought.expires == 0 { FAR } else { Timestamp(brought.expires) };
    let target = Target { name: "manifest.json", bytes: manifest, custom: serde_json::json!({}) };
    let draft = TargetsDraft { version: 1, expires, targets: &[target] };
    sign(&draft.unsigned(), &signer).unwrap().bytes().to_vec()
}

fn manifest(version: &str, component: Component) -> Manifest {
    Manifest {
        format: Manifest::FORMAT,
        product: "router".parse().unwrap(),
        variants: Vec::new(),
        regions: Vec::new(),
        hardware: vec!["rev-a".parse().unwrap()],
        version: version.parse().unwrap(),
        rollback_index: 1,
        class: Class::Feature,
        components: vec![component],
        notes: std::collections::BTreeMap::new(),
        hooks: Vec::new(),
        configuration: None,
        support_until: None,
        release_notes: None,
        sbom: None,
    }
}

/// Seconds since midnight, UTC.
fn time_of_day() -> i64 {
    agent::platform::clock::wall(types::Timestamp(0)).0.div_euclid(1000).rem_euclid(24 * 3600)
}

/// A night that is some hours away, whenever this runs: when it begins, and the lines of
/// a policy.
pub(crate) fn night_in_some_hours() -> (String, String) {
    let hour = time_of_day() / 3600;
    let [from, to] = [hour + 3, hour + 5].map(|hour| format!("{:02}:00", hour % 24));
    let night = format!("zone = \"UTC0\"\nnight = \"{from}-{to}\"\n");
    (from, night)
}
