//! Real power cuts: what the real agent asks of its storage during a real update is
//! recorded, cut off at every operation, and the real agent must finish the update
//! from whatever is left.
//!
//! Deliberately absent: any knowledge of the agent's files. The recorder sees a
//! slot, a journal, boot control and documents as a disk does: writes and flushes.

pub mod apart;
pub mod life;
pub mod mount;
pub mod record;
pub mod state;
pub mod tree;

use crate::chance::Chance;
use crate::entry::{Entry, Start};
use crate::image::adopt;
use crate::maker::{Details, Maker, Release};
use crate::process::Programs;
use crate::terminal::{Factory, Settings, Terminal};
use anyhow::{Context, Result, ensure};
use apart::Memory;
use life::{Lived, Update, live};
use mount::Mounted;
use record::{Op, Recording};
use state::{Cut, after};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use types::Slot;

/// Bytes of an image, and of a slot.
const SIZE: u64 = 8 << 20;
/// Bytes of a chunk.
const CHUNK: u32 = 256 << 10;
/// KiB of payload between two checkpoints.
const CHECKPOINT_KIB: u32 = 256;
/// The version in the factory.
const OLD: &str = "1.0.0";
/// The version of the update.
const NEW: &str = "2.0.0";
/// The fewest states that count as a test.
const STATES_MIN: usize = 200;
/// How many states are tried for every operation.
const ROUNDS: usize = 3;
/// Cuts on a medium that lies.
const LIES: usize = 24;
/// Threads that recover terminals.
const THREADS: usize = 2;
/// The name of every terminal.
const NAME: &str = "cut";

/// Records an update, cuts the power at every operation, and recovers from each cut.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many states to try; three for every operation by default.
    #[arg(long)]
    states: Option<usize>,
    /// What chance begins with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Try this state only.
    #[arg(long)]
    state: Option<usize>,
    /// Print what was recorded, and try nothing.
    #[arg(long)]
    list: bool,
    /// It runs in a mount namespace of its own.
    #[arg(long, hide = true)]
    apart: bool,
}

/// All that a recovery needs.
struct Scene {
    memory: Memory,
    package: PathBuf,
    terminal: Terminal,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// A state that was not survived.
struct Lost {
    cut: Cut,
    story: String,
    why: String,
}

/// What all recoveries came to.
#[derive(Default)]
struct Tally {
    tried: usize,
    torn: usize,
    boots: u32,
    given: usize,
    lost: Vec<Lost>,
}

/// `lab cuts`.
///
/// # Errors
/// The system does not allow to record, or the update fails without any cut.
pub fn run(args: &Args) -> Result<ExitCode> {
    if !args.apart {
        apart::set_apart("--apart")?;
    }
    let (scene, recording) = record()?;
    if args.list {
        recording.ops.iter().for_each(|op| println!("{}", state::in_words(&recording, op)));
        return Ok(ExitCode::SUCCESS);
    }
    let seed = args.seed;
    if let Some(number) = args.state {
        let tally = recover_all(&scene, &recording, &[Cut { number, seed }]);
        tell(&recording, &tally, seed);
        return Ok(tally.exit_code());
    }
    let wanted = args.states.unwrap_or(recording.ops.len() * ROUNDS);
    ensure!(wanted >= STATES_MIN, "{wanted} states are too few: at least {STATES_MIN} count");
    let cuts: Vec<Cut> = (0..wanted).map(|number| Cut { number, seed }).collect();
    let tally = recover_all(&scene, &recording, &cuts);
    tell(&recording, &tally, seed);
    ensure_lies_are_caught(&scene, &recording, seed)?;
    Ok(tally.exit_code())
}

/// The same on a medium that promises to keep what was flushed and does not: no agent
/// survives that, so a test that sees nothing of it is blind.
fn ensure_lies_are_caught(scene: &Scene, recording: &Recording, seed: u64) -> Result<()> {
    let liar = recording.without_flushes();
    let last = liar.ops.len().saturating_sub(LIES);
    let cuts: Vec<Cut> = (last..liar.ops.len()).map(|number| Cut { number, seed }).collect();
    let tally = recover_all(scene, &liar, &cuts);
    let lost = tally.lost.len();
    println!("tried: {LIES} power cuts on a medium that lies about flushes, {lost} caught");
    ensure!(lost > 0, "no terminal was lost on a medium that lies: the test is blind");
    Ok(())
}

/// One real update of a real terminal, on storage that writes it down.
fn record() -> Result<(Scene, Recording)> {
    let memory = Memory::new()?;
    let at = |name: &str| memory.path().join(name);
    let programs = Programs::find()?;
    let (old, new, package) = (at("old"), at("new"), at("update.zip"));
    let maker = Maker::new(&programs, &at("keys"))?;
    make_image(1, OLD, &old)?;
    make_image(2, NEW, &new)?;
    let details = Details { chunk_size: CHUNK, ..Details::default() };
    maker.pack(&Release { version: NEW, index: 2, image: &new, details }, &package)?;
    fs::create_dir_all(at("disk").join(NAME))?;
    let disk = Mounted::at(&at("disk").join(NAME))?;
    let settings = Settings { checkpoint_kib: CHECKPOINT_KIB, ..Settings::default() };
    let terminal = Terminal::make(
        NAME,
        &at("disk"),
        &Factory {
            programs: &programs,
            root: &maker.root(),
            image: &old,
            version: OLD,
            slot_size: SIZE,
            server: None,
            settings: &settings,
        },
    )?;
    fs::write(terminal.slot(Slot::B), noise(3))?;
    let scene = Scene { package, terminal, old: fs::read(old)?, new: fs::read(new)?, memory };
    disk.begin();
    live(&scene.terminal, &scene.update()).context("the update fails without a cut")?;
    Ok((scene, disk.recording()))
}

impl Scene {
    fn update(&self) -> Update<'_> {
        Update { package: &self.package, old: &self.old, new: &self.new, version: NEW }
    }

    /// Recovers from one cut; what is left of the terminal is removed.
    fn recover(&self, recording: &Recording, cut: Cut) -> (state::Left, Result<Lived>) {
        let left = after(recording, cut);
        let place = self.memory.path().join(format!("state-{}", cut.number));
        let lived = self.revive(&left, &place);
        // What stays takes room only until the end.
        let _ = fs::remove_dir_all(&place);
        (left, lived)
    }

    fn revive(&self, left: &state::Left, place: &Path) -> Result<Lived> {
        left.tree.write_out(&place.join(NAME)).context("cannot write the state")?;
        let terminal = self.terminal.moved(place)?;
        live(&terminal, &self.update())
    }
}

/// Recovers from all `cuts`, two at a time.
fn recover_all(scene: &Scene, recording: &Recording, cuts: &[Cut]) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(cut) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let (left, lived) = scene.recover(recording, *cut);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.count(*cut, left, lived);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    fn exit_code(&self) -> ExitCode {
        if self.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn count(&mut self, cut: Cut, left: state::Left, lived: Result<Lived>) {
        self.tried += 1;
        self.torn += usize::from(left.pending > 0);
        match lived {
            Ok(lived) => {
                self.boots += lived.boots;
                self.given += usize::from(lived.given > 0);
            }
            Err(why) => {
                self.lost.push(Lost { cut, story: left.story, why: format!("{why:#}") });
            }
        }
    }
}

fn tell(recording: &Recording, tally: &Tally, seed: u64) {
    let flushes = recording.ops.iter().filter(|op| matches!(op, Op::Flushed(_))).count();
    for Lost { cut: Cut { number, seed }, story, why } in &tally.lost {
        println!("lost: state {number}: {why}\n  the power went during {story}");
        println!("  once more: lab cuts --state {number} --seed {seed}");
    }
    println!(
        "tried: {} operations recorded ({flushes} of them flushes), {} power cuts ({} with writes \
         in flight), {} boots, the package given again in {}, seed {}; {} lost",
        recording.ops.len(),
        tally.tried,
        tally.torn,
        tally.boots,
        tally.given,
        seed,
        tally.lost.len(),
    );
}

/// An image that boots, always the same for the same `seed`.
fn make_image(seed: u64, version: &str, path: &Path) -> Result<()> {
    let from = path.with_extension("raw");
    fs::write(&from, content(seed))?;
    let entry = Entry { version: version.into(), start: Start::Agent };
    adopt(&from, &entry, SIZE, path)
}

/// Blocks as file systems have them: noise, text and nothing.
fn content(seed: u64) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    let mut all = Vec::new();
    while (all.len() as u64) < SIZE - 4096 {
        match chance.below(4) {
            0 => all.resize(all.len() + 4096, 0),
            1 => (0..512).for_each(|_| all.extend(chance.number().to_le_bytes())),
            _ => all.extend(format!("{:016x}", chance.number()).repeat(256).into_bytes()),
        }
    }
    all
}

/// What a slot holds that nobody has written to yet.
fn noise(seed: u64) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    (0..SIZE / 8).flat_map(|_| chance.number().to_le_bytes()).collect()
}
