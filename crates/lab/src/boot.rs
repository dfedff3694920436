//! A terminal's bootloader and init: runs what the slot's bytes say.
//!
//! One thread per terminal. It asks the boot control which slot to start, reads that
//! slot's boot record, and starts the agent, or nothing. What does not boot is reset;
//! what hangs is reset by the watchdog; an agent that dies is started again within
//! the same boot; an agent that asks for a restart gets one.

use crate::clock::now;
use crate::entry::{Entry, Start};
use crate::terminal::Terminal;
use agent::platform::boot::file::BootFile;
use agent::platform::power::EXIT_RESTART;
use anyhow::{Context, Result};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use types::{Digest, Slot};

/// How long a bootloader takes.
const BOOT: Duration = Duration::from_millis(50);
/// After how long the watchdog resets a slot that started nothing.
const WATCHDOG: Duration = Duration::from_millis(1500);
/// How long init waits before it starts a dead agent again.
const RESPAWN: Duration = Duration::from_millis(100);
/// How often the loop looks.
const LOOK: Duration = Duration::from_millis(10);

/// What is done to a terminal from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9` of the agent: the boot goes on.
    Kill,
    /// The power is cut: the bootloader runs again.
    Cut,
}

/// What a boot loop did, for the tables.
#[derive(Debug, Default)]
pub struct Counts {
    /// Boots, failed ones included.
    pub boots: AtomicU32,
    /// Boots that came to nothing.
    pub failed: AtomicU32,
    /// Kills and cuts.
    pub blows: AtomicU32,
}

/// A terminal that is switched on. Switched off when dropped.
#[derive(Debug)]
pub struct BootLoop {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    terminal: Terminal,
    off: AtomicBool,
    blow: Mutex<Option<Blow>>,
    counts: Counts,
    /// Why the loop itself could not go on.
    fault: Mutex<Option<String>>,
}

/// How a boot ended.
enum End {
    Reset,
    Off,
}

impl BootLoop {
    /// Switches `terminal` on.
    pub fn start(terminal: Terminal) -> Self {
        let shared = Arc::new(Shared {
            terminal,
            off: AtomicBool::new(false),
            blow: Mutex::new(None),
            counts: Counts::default(),
            fault: Mutex::new(None),
        });
        let inside = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            if let Err(error) = inside.run() {
                *lock(&inside.fault) = Some(format!("{error:#}"));
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// The terminal.
    pub fn terminal(&self) -> &Terminal {
        &self.shared.terminal
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Strikes the terminal, as soon as there is something to strike.
    pub fn strike(&self, blow: Blow) {
        *lock(&self.shared.blow) = Some(blow);
    }

    /// Whether the last blow has been struck.
    pub fn is_struck(&self) -> bool {
        lock(&self.shared.blow).is_none()
    }

    /// Why the loop itself could not go on, if that is so.
    pub fn fault(&self) -> Option<String> {
        lock(&self.shared.fault).clone()
    }
}

impl Drop for BootLoop {
    fn drop(&mut self) {
        self.shared.off.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A loop that panicked has told so on standard error.
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn run(&self) -> Result<()> {
        let control = BootFile::new(&self.terminal.boot_control());
        let mut boots: u64 = 0;
        while !self.is_off() {
            boots += 1;
            self.counts.boots.fetch_add(1, Ordering::SeqCst);
            let slot = control.decide().context("the bootloader cannot use its memory")?;
            self.name_boot(slot, boots)?;
            self.pause(BOOT);
            if let End::Off = self.boot(slot)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes what a bootloader tells the system: the slot, and which boot this is.
    fn name_boot(&self, slot: Slot, boots: u64) -> Result<()> {
        let Digest(name) = Digest::of(format!("{}{boots}", self.terminal.name()).as_bytes());
        let id: String = name.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(self.terminal.running_slot(), slot.to_string())?;
        std::fs::write(self.terminal.boot_id(), id)?;
        Ok(())
    }

    /// One boot of `slot`, until the terminal is reset or off.
    fn boot(&self, slot: Slot) -> Result<End> {
        let entry = Entry::read(&self.terminal.slot(slot));
        self.terminal.note(&match &entry {
            Ok(entry) => format!("boot: slot {slot}, version {}", entry.version),
            Err(error) => format!("boot: slot {slot} does not boot: {error:#}"),
        })?;
        let start = entry.map_or(Start::Hang, |entry| entry.start);
        if start == Start::Hang {
            self.counts.failed.fetch_add(1, Ordering::SeqCst);
            return Ok(self.hang());
        }
        self.terminal.set_health(start)?;
        loop {
            if let Some(end) = self.attend_agent()? {
                return Ok(end);
            }
        }
    }

    /// Waits for the watchdog.
    fn hang(&self) -> End {
        let began = now();
        while !self.is_off() && now() - began < WATCHDOG {
            std::thread::sleep(LOOK);
        }
        if self.is_off() { End::Off } else { End::Reset }
    }

    /// One life of the agent; `None` when it is to be started again.
    fn attend_agent(&self) -> Result<Option<End>> {
        let mut agent = self.terminal.start_agent()?;
        loop {
            if self.is_off() {
                agent.kill()?;
                return Ok(Some(End::Off));
            }
            if let Some(blow) = lock(&self.blow).take() {
                agent.kill()?;
                self.counts.blows.fetch_add(1, Ordering::SeqCst);
                self.terminal.note(&format!("lab: {blow:?}"))?;
                return Ok((blow == Blow::Cut).then_some(End::Reset));
            }
            if let Some(status) = agent.ended()? {
                return self.after(status);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn after(&self, status: ExitStatus) -> Result<Option<End>> {
        if status.code() == Some(EXIT_RESTART.into()) {
            return Ok(Some(End::Reset));
        }
        self.terminal.note(&format!("init: the agent ended with {status}"))?;
        self.pause(RESPAWN);
        Ok(None)
    }

    fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }

    fn pause(&self, time: Duration) {
        if !self.is_off() {
            std::thread::sleep(time);
        }
    }
}
