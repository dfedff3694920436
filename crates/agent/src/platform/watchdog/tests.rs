//! What feeds the watchdog, and what does not.

use super::*;
use std::sync::mpsc::{Sender, channel};

/// A watchdog that tells what is done with it.
struct Fake(Sender<&'static str>);

impl Watchdog for Fake {
    fn feed(&mut self) -> io::Result<()> {
        self.0.send("fed").map_err(io::Error::other)
    }
    fn stop(&mut self) -> io::Result<()> {
        self.0.send("stopped").map_err(io::Error::other)
    }
}

fn exists(path: &Path, within: u32) -> Check {
    let command = vec!["/usr/bin/test".into(), "-e".into(), path.display().to_string()];
    Check::command(command, Seconds(within))
}

#[test]
fn a_check_that_fails_for_long_withholds() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("healthy");
    std::fs::write(&mark, "").unwrap();
    let mut vigil = Vigil::new(vec![exists(&mark, 10)], Pulse::default());
    assert_eq!(vigil.fault(0), None);
    std::fs::remove_file(&mark).unwrap();
    assert_eq!(vigil.fault(20_000), None);
    assert_eq!(vigil.fault(30_000), None);
    assert!(vigil.fault(30_001).is_some());
    std::fs::write(&mark, "").unwrap();
    assert_eq!(vigil.fault(31_000), None);
    std::fs::remove_file(&mark).unwrap();
    assert_eq!(vigil.fault(90_000), None, "it may fail anew");
}

#[test]
fn who_mends_is_not_interrupted_by_a_check() {
    let pulse = Pulse::default();
    pulse.rest();
    let mut vigil = Vigil::new(vec![exists(Path::new("/no/such"), 10)], pulse.clone());
    let mending = u64::from(MENDING) * 1000;
    assert_eq!(vigil.fault(0), None);
    pulse.mend();
    assert_eq!(vigil.fault(10_001), None);
    assert_eq!(vigil.fault(10_001 + mending), None);
    assert!(vigil.fault(10_002 + mending).is_some(), "it is fed for health after that");
    pulse.mend();
    pulse.beat();
    assert_eq!(vigil.fault(20_000 + mending), None);
    let hung = 20_001 + mending + u64::from(BUSY) * 1000;
    pulse.mend();
    assert!(vigil.fault(hung).is_some(), "an agent that hangs mends nothing");
}

#[test]
fn an_agent_that_hangs_withholds() {
    let pulse = Pulse::default();
    let mut vigil = Vigil::new(Vec::new(), pulse.clone());
    let busy = u64::from(BUSY) * 1000;
    pulse.beat();
    assert_eq!(vigil.fault(5), None);
    assert_eq!(vigil.fault(busy + 5), None);
    assert!(vigil.fault(busy + 6).is_some());
    pulse.beat();
    assert_eq!(vigil.fault(busy + 7), None);
    pulse.rest();
    assert_eq!(vigil.fault(9 * busy), None, "resting is no hanging");
    pulse.beat();
    assert_eq!(vigil.fault(9 * busy + 1), None);
    assert!(vigil.fault(11 * busy).is_some());
}

#[test]
fn it_is_fed_while_all_is_well_and_stopped_at_the_end() {
    let (sender, heard) = channel();
    let dir = tempfile::tempdir().unwrap();
    let vigil = Vigil::new(vec![exists(dir.path(), 0)], Pulse::default());
    let keeper = Keeper::start(Box::new(Fake(sender)), vigil, Seconds(0), || {});
    assert_eq!(heard.recv(), Ok("fed"));
    assert_eq!(heard.recv(), Ok("fed"));
    keeper.stop();
    assert_eq!(heard.iter().last(), Some("stopped"));
}

#[test]
fn it_runs_before_anything_is_checked() {
    struct First(std::path::PathBuf, Sender<bool>);
    impl Watchdog for First {
        fn feed(&mut self) -> io::Result<()> {
            self.1.send(self.0.exists()).map_err(io::Error::other)
        }
        fn stop(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("checked");
    let command = vec!["/usr/bin/touch".into(), mark.display().to_string()];
    let vigil = Vigil::new(vec![Check::command(command, Seconds(0))], Pulse::default());
    let (sender, checked) = channel();
    let keeper = Keeper::start(Box::new(First(mark, sender)), vigil, Seconds(0), || {});
    assert_eq!(checked.recv(), Ok(false), "it runs");
    assert_eq!(checked.recv(), Ok(true), "it is fed because of a check");
    keeper.stop();
}

/// As long as another program has it, and as soon as that lets go.
#[test]
fn one_that_another_program_has_is_tried_again() {
    struct Held(Arc<AtomicBool>, Sender<&'static str>);
    impl Watchdog for Held {
        fn feed(&mut self) -> io::Result<()> {
            if self.0.load(Ordering::SeqCst) {
                self.1.send("tried").map_err(io::Error::other)?;
                return Err(io::Error::other("it is held"));
            }
            self.1.send("fed").map_err(io::Error::other)
        }
        fn stop(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sender, heard) = channel();
    let held = Arc::new(AtomicBool::new(true));
    let vigil = Vigil::new(Vec::new(), Pulse::default());
    let watchdog = Box::new(Held(Arc::clone(&held), sender));
    let (told, news) = channel();
    let keeper = Keeper::start(watchdog, vigil, Seconds(0), move || told.send(()).unwrap());
    let unfed = keeper.unfed();
    assert_eq!((heard.recv(), heard.recv()), (Ok("tried"), Ok("tried")));
    assert_eq!(unfed.why().as_deref(), Some("it is held"));
    held.store(false, Ordering::SeqCst);
    // One telling of what holds it, one of that it is fed.
    assert_eq!((news.recv(), news.recv()), (Ok(()), Ok(())));
    assert_eq!(unfed.why(), None);
    keeper.stop();
    assert!(news.recv().is_err());
}

#[test]
fn what_is_no_watchdog_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("watchdog");
    let mut watchdog = LinuxWatchdog::at(&path, Seconds(30));
    for _ in 0..2 {
        let refused = watchdog.feed().unwrap_err().to_string();
        assert!(refused.contains("cannot use `") && refused.contains("watchdog"), "{refused}");
    }
    std::fs::write(&path, "").unwrap();
    assert!(watchdog.feed().is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    watchdog.stop().unwrap();
}
