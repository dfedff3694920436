//! Cards and sticks: the file `update.zip` in the root of a mount point is an order.
//!
//! Deliberately absent: a look inside. What the package is, the worker and the
//! maker's signature say; here it is only told apart from others, by its first bytes
//! and its length. An attempt that is over is not begun again while its card is
//! there, also not after a restart; who takes the card out and puts it back in wants
//! another try.

use crate::edges::{Delivered, Heard, Heartbeat, Now, Source, SourceError, Store};
use engine::{Again, Locator, Order};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use types::{AttemptId, Hasher, Name, Report, tree};

/// The package's name on a card.
const FILE: &str = "update.zip";
/// The document's name in the store.
const NAME: &str = "media";
/// Bytes by which packages are told apart: manifest and signatures come first.
const HEAD: u64 = 64 << 10;
/// The most mount points.
const MOUNTS_MAX: usize = 16;

/// What is remembered of cards. JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// The package that was seen last.
    package: Option<String>,
    /// How often it was put in again.
    retry: u32,
    /// The attempt that ended last.
    over: Option<AttemptId>,
}

/// The source of such orders.
pub struct MediaSource<S> {
    name: Name,
    mounts: Vec<PathBuf>,
    store: S,
    /// What the last look found: known after the first one only, so that a restart
    /// with the card in its slot is no new try.
    last: Option<Option<String>>,
}

impl<S: Store> MediaSource<S> {
    /// Looks at `mounts`; reports name `name` as their source.
    pub fn new(name: Name, mounts: Vec<PathBuf>, store: S) -> Self {
        Self { name, mounts, store, last: None }
    }

    fn memory(&self) -> Memory {
        let bytes = self.store.read(NAME).ok().flatten();
        bytes.and_then(|bytes| tree::from_json(&bytes).ok()).unwrap_or_default()
    }

    fn remember(&mut self, memory: &Memory) -> io::Result<()> {
        let bytes = serde_json::to_vec(memory).map_err(io::Error::other)?;
        self.store.replace(NAME, &bytes)
    }

    /// The first package that is there, and what tells it apart.
    fn find(&self) -> Option<(PathBuf, String)> {
        self.mounts.iter().take(MOUNTS_MAX).find_map(|mount| {
            let path = mount.join(FILE);
            let package = identity(&path).ok()?;
            Some((path, package))
        })
    }

    fn order(&mut self, me: &Heartbeat) -> io::Result<Option<Order>> {
        let Some((path, package)) = self.find() else {
            self.last = Some(None);
            return Ok(None);
        };
        let before = self.memory();
        let mut memory = before.clone();
        if memory.package.as_ref() != Some(&package) {
            memory = Memory { package: Some(package.clone()), retry: 0, over: memory.over };
        } else if self.last == Some(None)
            && memory.over == Some(attempt(me, &package, memory.retry))
        {
            memory.retry = memory.retry.saturating_add(1);
        }
        if memory != before {
            self.remember(&memory)?;
        }
        self.last = Some(Some(package.clone()));
        let attempt = attempt(me, &package, memory.retry);
        if memory.over == Some(attempt) {
            return Ok(None);
        }
        let locator = path.to_str().and_then(|path| Locator::new(path).ok());
        Ok(locator.map(|locator| Order {
            attempt,
            source: self.name.clone(),
            locator,
            again: Again::No,
        }))
    }
}

fn attempt(me: &Heartbeat, package: &str, retry: u32) -> AttemptId {
    AttemptId::new(&format!("media {package}"), &me.device, retry)
}

/// First bytes and length of a regular file that is no link: a card must not be able
/// to point anywhere else.
fn identity(path: &Path) -> io::Result<String> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let len = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    let mut hasher = Hasher::default();
    hasher.update(&len.to_be_bytes());
    hasher.update(&head);
    Ok(hasher.finish().to_string())
}

impl<S: Store> Source for MediaSource<S> {
    fn name(&self) -> &Name {
        &self.name
    }

    fn is_near(&self) -> bool {
        true
    }

    fn listen(&mut self, _now: Now, me: &Heartbeat) -> Result<Heard, SourceError> {
        let order = self.order(me);
        let order = order.map_err(|e| SourceError::Unreachable("the card".into(), e.into()))?;
        Ok(Heard { order, ..Heard::default() })
    }

    /// What became of it stays in the outbox, for people; the card need not know.
    fn deliver(&mut self, report: &Report) -> Result<Delivered, SourceError> {
        if report.source != self.name {
            return Ok(Delivered::Later);
        }
        let memory = Memory { over: Some(report.attempt), ..self.memory() };
        let kept = self.remember(&memory);
        kept.map_err(|e| SourceError::Unreachable("the card".into(), e.into()))?;
        Ok(Delivered::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::store::Directory;
    use types::{Outcome, Slot, Spent, Text, Timestamp};

    struct Terminal {
        dir: tempfile::TempDir,
    }

    impl Terminal {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("card")).unwrap();
            Self { dir }
        }

        fn card(&self) -> PathBuf {
            self.dir.path().join("card/update.zip")
        }

        fn put(&self, bytes: &[u8]) {
            std::fs::write(self.card(), bytes).unwrap();
        }

        /// As after a restart of the agent.
        fn source(&self) -> MediaSource<Directory> {
            let mounts = vec!["/no/such/mount".into(), self.dir.path().join("card")];
            let store = Directory::open(&self.dir.path().join("documents")).unwrap();
            MediaSource::new("media".parse().unwrap(), mounts, store)
        }
    }

    fn listen(source: &mut MediaSource<Directory>) -> Option<AttemptId> {
        let name: Name = "x".parse().unwrap();
        let me = Heartbeat {
            device: name.clone(),
            product: name.clone(),
            hardware: name,
            variant: None,
            region: None,
            slot: Slot::A,
            running: types::Running::new(),
            memory_class_mib: 8,
            phase: engine::Phase::Idle,
            attempt: None,
            progress: (0, 0),
            waiting: None,
        };
        let now = Now { wall: Timestamp(0), monotonic: 0 };
        source.listen(now, &me).unwrap().order.map(|order| order.attempt)
    }

    fn end(source: &mut MediaSource<Directory>, attempt: AttemptId) {
        let report = Report {
            attempt,
            source: "media".parse().unwrap(),
            outcome: Outcome::WrongProduct,
            detail: Text::default(),
            version: None,
            spent: Spent::default(),
            failed_boots: 0,
        };
        assert_eq!(source.deliver(&report).unwrap(), Delivered::Yes);
    }

    #[test]
    fn a_card_is_an_order_until_its_attempt_is_over() {
        let terminal = Terminal::new();
        let mut source = terminal.source();
        assert_eq!(listen(&mut source), None);
        terminal.put(b"a package");
        let attempt = listen(&mut source).unwrap();
        assert_eq!(listen(&mut source), Some(attempt), "it says so again");
        assert_eq!(listen(&mut terminal.source()), Some(attempt), "and after a restart");
        end(&mut source, attempt);
        assert_eq!(listen(&mut source), None);
        assert_eq!(listen(&mut terminal.source()), None);
    }

    #[test]
    fn a_card_that_is_put_in_again_is_another_try() {
        let terminal = Terminal::new();
        let mut source = terminal.source();
        terminal.put(b"a package");
        let first = listen(&mut source).unwrap();
        std::fs::remove_file(terminal.card()).unwrap();
        assert_eq!(listen(&mut source), None);
        terminal.put(b"a package");
        assert_eq!(listen(&mut source), Some(first), "it goes on after it was pulled");
        end(&mut source, first);
        std::fs::remove_file(terminal.card()).unwrap();
        assert_eq!(listen(&mut source), None);
        terminal.put(b"a package");
        let second = listen(&mut source).unwrap();
        assert_ne!(first, second);
        assert_eq!(listen(&mut source), Some(second));
        terminal.put(b"another package");
        let other = listen(&mut source).unwrap();
        assert!(other != first && other != second);
    }

    #[test]
    fn what_is_no_plain_file_is_no_order() {
        let terminal = Terminal::new();
        let secret = terminal.dir.path().join("secret");
        std::fs::write(&secret, b"x").unwrap();
        std::os::unix::fs::symlink(&secret, terminal.card()).unwrap();
        assert_eq!(listen(&mut terminal.source()), None);
        std::fs::remove_file(terminal.card()).unwrap();
        std::fs::create_dir(terminal.card()).unwrap();
        assert_eq!(listen(&mut terminal.source()), None);
    }
}
