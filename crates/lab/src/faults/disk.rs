//! A disk that is full in mid-rollout, and has room again.

use super::book::{Book, Rules};
use super::terminal::Servers;
use super::world::{World, compare, live, roll_out, wait, wait_confirmed};
use crate::chance::Chance;
use crate::operator::Operator;
use crate::process::said;
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const RULES: Rules = Rules { waves: &[30, 300], in_flight: 60 };
const TERMINALS: usize = 300;
/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(3);

/// A file system in memory with little room. Dropped, it is gone.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path) -> Result<Self> {
        std::fs::create_dir_all(place)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "refit"]).arg(place);
        said(&mut mount).context("cannot make a small disk; this needs root")?;
        Ok(Self(place.into()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still uses it keeps it until then.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills the disk twice while terminals update.
pub(super) fn run(chance: &mut Chance, _long: bool) -> Result<String> {
    let world = World::new()?;
    let disk = SmallDisk::mount(&world.path("disk"))?;
    let place = disk.0.join("server");
    let operator = Operator::start(&world.programs, &place, &world.root())?;
    let (package, target) = world.release("2.0", 2)?;
    operator.publish(&package)?;
    let mut terminals = world.terminals(&operator, TERMINALS)?;
    let rollout = roll_out(&operator, "2.0", RULES)?;
    let (book, servers, ca) = (Book::new(RULES), Servers::default(), operator.ca());
    servers.set(vec![operator.address().into()]);
    let filler = disk.0.join("filler");
    let seed = chance.number();
    let progress = live(&mut terminals, &ca, &servers, &target, &book, seed, || {
        let mut progress = Vec::new();
        for moment in [TERMINALS / 4, TERMINALS / 2] {
            wait(&book, moment, None)?;
            fill(&filler)?;
            let before = book.done();
            std::thread::sleep(FULL);
            progress.push(book.done() - before);
            std::fs::remove_file(&filler)?;
        }
        wait(&book, TERMINALS, None)?;
        wait_confirmed(&operator, &rollout, 300)?;
        Ok(progress)
    })?;
    let (kept, _) = compare(&operator, &book)?;
    drop(operator);
    Ok(format!(
        "2 times no room on the disk ({progress:?} reports found room) in a rollout to \
         {TERMINALS} terminals; {kept} reports acknowledged, 0 lost, 0 counted twice"
    ))
}

/// Writes until there is no room.
fn fill(path: &Path) -> Result<()> {
    let mut file = std::fs::File::create(path)?;
    for size in [1 << 20, 4 << 10, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    ensure!(file.metadata()?.len() > 0, "the disk was full before");
    Ok(())
}
