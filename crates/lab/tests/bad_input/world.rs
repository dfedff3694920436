//! A maker, packages and terminals for one test, and what must not change on them.

use agent::edges::SlotFacts;
use agent::platform::boot::file::BootFile;
use lab::boot::BootLoop;
use lab::chance::Chance;
use lab::clock::until;
use lab::entry::{Entry, Start};
use lab::image::digest_of_first;
use lab::maker::{Details, Maker, Release};
use lab::process::Programs;
use lab::terminal::{Factory, Server, Settings, Terminal};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use types::{Digest, Kind, Outcome, Report, Slot};

/// Bytes of an image and of a slot, where a test says nothing else.
pub(crate) const SIZE: u64 = 1 << 20;
/// Bytes of a chunk.
pub(crate) const CHUNK: u32 = 64 << 10;
/// What terminals run at first.
pub(crate) const FACTORY: &str = "1.0.0";
/// How long anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What a test is made of.
pub(crate) struct World {
    pub(crate) programs: Programs,
    pub(crate) maker: Maker,
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = Programs::find().unwrap();
        let maker = Maker::new(&programs, &folder.path().join("keys")).unwrap();
        Self { programs, maker, folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another maker, whom no terminal trusts.
    pub(crate) fn stranger(&self) -> Maker {
        Maker::new(&self.programs, &self.file("other-keys")).unwrap()
    }

    /// An image that does not compress and boots, of `version`.
    pub(crate) fn image(&self, version: &str, size: u64) -> PathBuf {
        let path = self.file(&format!("{version}-{size}.img"));
        if !path.exists() {
            let mut chance = Chance::new(u64::from(package::crc32(version.as_bytes())));
            let words = (0..size / 8).flat_map(|_| chance.number().to_le_bytes());
            fs::write(&path, words.collect::<Vec<u8>>()).unwrap();
            Entry { version: version.into(), start: Start::Agent }.write(&path).unwrap();
        }
        path
    }

    /// A package of `version` that the terminals take.
    pub(crate) fn package(&self, version: &str, index: u64) -> PathBuf {
        self.package_by(&self.maker, version, index, SIZE, &Details::default())
    }

    /// A package of `version` that differs in `details`.
    pub(crate) fn package_by(
        &self,
        maker: &Maker,
        version: &str,
        index: u64,
        size: u64,
        details: &Details,
    ) -> PathBuf {
        let package = self.file(&format!("{version}.zip"));
        let image = self.image(version, size);
        let details = Details { chunk_size: CHUNK, level: 1, ..details.clone() };
        maker.pack(&Release { version, index, image: &image, details }, &package).unwrap();
        package
    }

    /// A terminal without a server that runs the factory's release.
    pub(crate) fn terminal(&self, name: &str) -> Terminal {
        self.terminal_with(name, &self.maker.root(), None, &Settings::default(), SIZE)
    }

    pub(crate) fn terminal_with(
        &self,
        name: &str,
        root: &Path,
        server: Option<Server<'_>>,
        settings: &Settings,
        slot_size: u64,
    ) -> Terminal {
        let factory = Factory {
            programs: &self.programs,
            root,
            image: &self.image(FACTORY, slot_size),
            version: FACTORY,
            slot_size,
            server,
            settings,
        };
        Terminal::make(name, self.folder.path(), &factory).unwrap()
    }
}

/// What a terminal would run, and all that says so.
#[derive(Debug, PartialEq)]
pub(crate) struct Held {
    slots: [Digest; 2],
    boot: (Slot, [SlotFacts; 2]),
}

impl Held {
    pub(crate) fn by(terminal: &Terminal) -> Self {
        let boot = BootFile::new(&terminal.boot_control());
        let digest = |slot| {
            let path = terminal.slot(slot);
            digest_of_first(&path, fs::metadata(&path).unwrap().len()).unwrap()
        };
        let facts = Slot::BOTH.map(|slot| boot.slot(slot).unwrap());
        Self { slots: Slot::BOTH.map(digest), boot: (boot.preferred().unwrap(), facts) }
    }

    /// The terminal runs what it ran; where the package was refused, its other slot
    /// was not touched either.
    pub(crate) fn check(&self, terminal: &Terminal, outcome: Outcome, case: &str) {
        let mut now = Self::by(terminal);
        if outcome.kind() != Kind::Refused {
            now.slots[1] = self.slots[1];
        }
        assert_eq!(*self, now, "{case}");
    }
}

impl Held {
    /// The release that ran is still there, byte for byte, to fall back to.
    pub(crate) fn check_running(&self, terminal: &Terminal) {
        assert_eq!(self.slots[0], Self::by(terminal).slots[0]);
    }
}

/// What `refit-agent install` says, line by line, and its exit status.
pub(crate) fn install(terminal: &Terminal, package: &Path) -> (Vec<Value>, Option<i32>) {
    let output = terminal.agent(&["install", package.to_str().unwrap(), "--json"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    // Where there is no room for the owner's word, that is said; nothing else is.
    let unsaid = said.lines().all(|line| line.ends_with("that you agree is not noted"));
    assert!(unsaid, "{}: {said}", package.display());
    (lines, output.status.code())
}

/// The terminal does not take `package`: `expected`, and it runs what it ran.
pub(crate) fn check(case: &str, terminal: &Terminal, package: &Path, expected: Outcome) {
    let before = Held::by(terminal);
    let (lines, status) = install(terminal, package);
    let last = lines.last().unwrap_or_else(|| panic!("{case}: nothing was said"));
    let report: Report = serde_json::from_value(last["report"].clone()).unwrap();
    assert_eq!(report.outcome, expected, "{case}: {}", report.detail);
    says_why(&report, case);
    let by_kind = match expected.kind() {
        Kind::Done => 0,
        Kind::Refused => 10,
        Kind::Failed => 11,
        Kind::Wrong => 12,
    };
    assert_eq!(status, Some(by_kind), "{case}");
    before.check(terminal, expected, case);
}

/// A report has a sentence: words, lowercase, no full stop.
pub(crate) fn says_why(report: &Report, case: &str) {
    let why = report.detail.as_str();
    assert!(why.contains(' ') && !why.ends_with('.'), "{case}: {why:?}");
}

/// The terminal still takes a good package, boots it and confirms it.
pub(crate) fn check_still_updates(terminal: &Terminal, package: &Path, version: &str) {
    let (lines, status) = install(terminal, package);
    assert_eq!(status, Some(100), "{lines:?}");
    let power = BootLoop::start(terminal.clone());
    wait_for_version(power.terminal(), version);
}

/// Waits until `version` runs and is confirmed.
pub(crate) fn wait_for_version(terminal: &Terminal, version: &str) {
    let told = until(SOON, "the update", || {
        let status = status(terminal);
        let done = status["phase"] == "idle" && status["last"]["version"] == version;
        Ok(done.then_some(status))
    });
    let status = told.unwrap_or_else(|e| panic!("{e}: {}", self::status(terminal)));
    assert_eq!(status["last"]["outcome"], 0, "{status}");
    assert_eq!(status["running"]["rootfs"]["version"], version, "{status}");
}

/// What the agent says of the terminal; null while it says nothing.
pub(crate) fn status(terminal: &Terminal) -> Value {
    let output = terminal.agent(&["status", "--json"]).unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// What the agent that runs said last of the terminal, cheaply; null before that.
pub(crate) fn said_last(terminal: &Terminal) -> Value {
    let json = fs::read(terminal.file("run/status.json")).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

/// Waits until the agent's status is as `wanted`.
pub(crate) fn wait_for_status(
    terminal: &Terminal,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let seen = until(SOON, what, || Ok(Some(status(terminal)).filter(&wanted)));
    seen.unwrap_or_else(|e| {
        let log = fs::read_to_string(terminal.file("log")).unwrap_or_default();
        panic!("{e}: {}\n{log}", status(terminal))
    })
}
