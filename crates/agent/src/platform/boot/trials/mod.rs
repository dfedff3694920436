//! What every convention has to do: keep the suite's rules, try a slot and return,
//! keep what is confirmed. The agent's part is real; each firmware here is
//! *simulated*, by the rules that its convention publishes.

mod counted;
mod single;

use crate::edges::{BootControl, SlotFacts, conformance};
use engine::{BootId, Command, Event, Start, State, TRIES, Task};
use std::path::Path;
use types::{AttemptId, Digest, Name, Outcome, Report, Slot, Spent};

/// A board in a folder: one convention and a simulated firmware that follows it.
trait Board {
    /// Makes the board; slot A runs and is trusted.
    fn make(folder: &Path) -> Self;
    /// The agent's edge while `running` runs.
    fn edge(&self, running: Slot) -> Box<dyn BootControl>;
    /// One start: what the firmware does to its memory, and what it starts.
    fn start(&self) -> Slot;
}

/// A simulated firmware that is told which slot runs by the kernel's command line, as most
/// are: a file stands for that.
trait Firmware {
    type Convention: super::Convention + Clone + 'static;
    /// Its memory as the factory leaves it.
    fn factory(folder: &Path) -> Self::Convention;
    /// One start: what it does to its memory, and what it starts.
    fn start(convention: &Self::Convention) -> Slot;
}

/// A board with such a firmware.
struct Simulated<F: Firmware> {
    folder: std::path::PathBuf,
    convention: F::Convention,
}

impl<F: Firmware> Board for Simulated<F> {
    fn make(folder: &Path) -> Self {
        Self { folder: folder.into(), convention: F::factory(folder) }
    }

    fn edge(&self, running: Slot) -> Box<dyn BootControl> {
        edge(&self.convention, &self.folder, running)
    }

    fn start(&self) -> Slot {
        F::start(&self.convention)
    }
}

/// The agent's edge to `convention` while `running` runs.
fn edge<C>(convention: &C, folder: &Path, running: Slot) -> Box<dyn BootControl>
where
    C: super::Convention + Clone + 'static,
{
    Box::new(super::Control::new(convention.clone(), running_file(folder, running)))
}

/// How a new release is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Release {
    Good,
    Dead,
}

/// One update of slot B by the engine's own rules; the report and every slot that
/// was started.
fn update<B: Board>(board: &B, release: Release) -> (Report, Vec<Slot>) {
    let (mut running, mut starts, mut boot) = (Slot::A, Vec::new(), 1_u8);
    board.edge(running).set_unbootable(Slot::B).unwrap();
    let mut state = State::Activating { task: task(), failed_boots: 0, boot: id(boot) };
    loop {
        let mut edge = board.edge(running);
        let event = match state.command() {
            Command::Activate(..) => {
                edge.set_trial(Slot::B, TRIES).unwrap();
                Event::Armed(id(boot))
            }
            Command::Restart(..) => {
                loop {
                    running = board.start();
                    starts.push(running);
                    if running == Slot::A || release == Release::Good {
                        break;
                    }
                }
                boot += 1;
                let tries = board.edge(running).tries();
                Event::Booted(Start { slot: running, tries, boot: id(boot) })
            }
            Command::CheckHealth(_) => Event::Healthy,
            Command::Commit(_) => {
                edge.mark_running_good().unwrap();
                Event::Committed(Outcome::Ok, "".into())
            }
            Command::Revert(..) => {
                assert_eq!(edge.slot(Slot::A).unwrap(), SlotFacts::Good);
                edge.set_unbootable(Slot::B).unwrap();
                Event::Reverted
            }
            Command::File(report) => return (report.clone(), starts),
            other => panic!("{other:?}"),
        };
        if edge.is_spent().unwrap() && running == Slot::A {
            edge.mark_running_good().unwrap();
        }
        state = state.next(event);
    }
}

fn id(boot: u8) -> BootId {
    BootId([boot; 16])
}

fn task() -> Task {
    Task {
        attempt: AttemptId::default(),
        source: Name::unknown(),
        job: Digest::default(),
        version: Name::unknown(),
        target: Some(Slot::B),
        spent: Spent::default(),
    }
}

fn board<B: Board>() -> (tempfile::TempDir, B) {
    let folder = tempfile::tempdir().unwrap();
    let board = B::make(folder.path());
    (folder, board)
}

/// Healthy starts: what boots took is given back.
fn healthy_starts<B: Board>(board: &B, number: usize) -> Vec<Slot> {
    let start = |_| {
        let running = board.start();
        let mut edge = board.edge(running);
        assert_eq!(edge.slot(running).unwrap(), SlotFacts::Good);
        if edge.is_spent().unwrap() {
            edge.mark_running_good().unwrap();
        }
        running
    };
    (0..number).map(start).collect()
}

fn keeps_the_suite<B: Board>() {
    let (_folder, board) = board::<B>();
    conformance::boot_control(|| board.edge(Slot::A));
}

fn three_failed_boots_and_back<B: Board>() {
    let (_folder, board) = board::<B>();
    assert_eq!(board.start(), Slot::A);
    let (report, starts) = update(&board, Release::Dead);
    assert_eq!((report.outcome, report.failed_boots), (Outcome::BootFailed, 3));
    assert_eq!(starts.iter().filter(|slot| **slot == Slot::B).count(), 3, "{starts:?}");
    assert_eq!(healthy_starts(&board, 5), [Slot::A; 5]);
    assert_eq!(board.edge(Slot::A).slot(Slot::B).unwrap(), SlotFacts::Unbootable);
}

fn what_is_confirmed_stays<B: Board>() {
    let (_folder, board) = board::<B>();
    let (report, starts) = update(&board, Release::Good);
    assert_eq!((report.outcome, starts), (Outcome::Ok, vec![Slot::B]));
    assert_eq!(healthy_starts(&board, 5), [Slot::B; 5]);
}

/// A release that is called off before it was started is never started.
fn a_trial_is_called_off<B: Board>() {
    let (_folder, board) = board::<B>();
    board.edge(Slot::A).set_unbootable(Slot::B).unwrap();
    board.edge(Slot::A).set_trial(Slot::B, TRIES).unwrap();
    board.edge(Slot::A).set_unbootable(Slot::B).unwrap();
    assert_eq!(healthy_starts(&board, 4), [Slot::A; 4]);
}

/// An unhealthy release that runs is left.
fn a_running_trial_is_left<B: Board>() {
    let (_folder, board) = board::<B>();
    board.edge(Slot::A).set_unbootable(Slot::B).unwrap();
    board.edge(Slot::A).set_trial(Slot::B, TRIES).unwrap();
    assert_eq!(board.start(), Slot::B);
    let mut edge = board.edge(Slot::B);
    assert_eq!(edge.slot(Slot::A).unwrap(), SlotFacts::Good);
    edge.set_unbootable(Slot::B).unwrap();
    assert_eq!(healthy_starts(&board, 4), [Slot::A; 4]);
}

/// A slot that was only visited gives way to the one that is trusted, and is trusted too.
fn a_visit_gives_way<B: Board>() {
    let (_folder, board) = board::<B>();
    board.edge(Slot::A).set_unbootable(Slot::B).unwrap();
    board.edge(Slot::A).set_trial(Slot::B, TRIES).unwrap();
    assert_eq!(board.start(), Slot::B);
    board.edge(Slot::B).give_way().unwrap();
    assert_eq!(healthy_starts(&board, 4), [Slot::A; 4]);
    // Conventions that remember one slot only have forgotten it, and are refused for
    // layouts with a recovery.
    let visited = board.edge(Slot::A).slot(Slot::B).unwrap();
    assert!(matches!(visited, SlotFacts::Good | SlotFacts::Unbootable), "{visited:?}");
}

/// Where all boots are counted, a trusted release that dies is left.
fn what_rots_is_left<B: Board>() {
    let (_folder, board) = board::<B>();
    let (report, _) = update(&board, Release::Good);
    assert_eq!(report.outcome, Outcome::Ok);
    assert_eq!(healthy_starts(&board, 5), [Slot::B; 5]);
    let dead: Vec<Slot> = (0..8).map(|_| board.start()).collect();
    assert!(dead.contains(&Slot::A), "{dead:?}");
}

/// The tests of a board, named as it is.
macro_rules! trials {
    ($name:ident, $board:ident $(, $more:ident)*) => {
        mod $name {
            use super::$board as This;
            use crate::platform::boot::trials;

            #[test]
            fn keeps_the_suite() {
                trials::keeps_the_suite::<This>();
            }
            #[test]
            fn three_failed_boots_and_back() {
                trials::three_failed_boots_and_back::<This>();
            }
            #[test]
            fn what_is_confirmed_stays() {
                trials::what_is_confirmed_stays::<This>();
            }
            #[test]
            fn a_trial_is_called_off() {
                trials::a_trial_is_called_off::<This>();
            }
            #[test]
            fn a_running_trial_is_left() {
                trials::a_running_trial_is_left::<This>();
            }
            #[test]
            fn a_visit_gives_way() {
                trials::a_visit_gives_way::<This>();
            }
            $(#[test]
            fn $more() {
                trials::$more::<This>();
            })*
        }
    };
}
use trials;

/// A file that says which slot runs.
fn running_file(folder: &Path, running: Slot) -> Option<super::RunningFrom> {
    let path = folder.join(format!("running-{running}"));
    std::fs::write(&path, running.to_string()).unwrap();
    Some(super::RunningFrom::File(path))
}

#[test]
fn a_boot_file() {
    use super::file::{BootFile, BootFileControl};
    struct Plain(std::path::PathBuf);
    impl Board for Plain {
        fn make(folder: &Path) -> Self {
            Self(folder.into())
        }
        fn edge(&self, running: Slot) -> Box<dyn BootControl> {
            let file = BootFile::new(&self.0.join("boot"));
            let running = running_file(&self.0, running).unwrap();
            Box::new(BootFileControl::new(file, types::Tries::Counted(3), running))
        }
        fn start(&self) -> Slot {
            BootFile::new(&self.0.join("boot")).decide().unwrap()
        }
    }
    three_failed_boots_and_back::<Plain>();
    what_is_confirmed_stays::<Plain>();
    a_trial_is_called_off::<Plain>();
    a_running_trial_is_left::<Plain>();
}
