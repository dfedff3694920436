//! The owner's desk on D-Bus: for the program behind a device's own screen. Off unless it
//! is configured.
//!
//! Whoever may call is for the bus to say (`contrib/dbus/`). What a call means is the same
//! as on the command line. Deliberately absent: decisions, and orders.

use crate::desk::{Desk, DeskError};
use crate::owner::Meaning;
use crate::platform::clock::Call;
use crate::platform::watch::Watch;
use crate::status::Status;
use engine::policy::consent::{deadline, may_decline, may_postpone};
use std::io;
use std::thread;
use std::time::Duration;
use types::AttemptId;
use zbus::blocking::connection::{Builder, Connection};
use zbus::{block_on, fdo, interface};

/// The name that the agent has on the bus.
pub const NAME: &str = "io.refit.Agent1";
/// The path of its one object.
pub const PATH: &str = "/io/refit/Agent1";

/// Between two tries to reach the bus.
const AGAIN: Duration = Duration::from_secs(60);

/// Serves the desk on the bus at `address` (`system`, `session`, or an address of the D-Bus
/// specification, such as `unix:path=/run/bus`) from threads of its own, until the process
/// ends. A bus that is not there yet, or goes away, is tried again.
///
/// # Errors
/// A thread cannot be started.
pub fn serve(desk: Desk, address: String) -> io::Result<()> {
    let work = move || {
        loop {
            let ended = connect(&desk, &address).and_then(|bus| tell(&desk, &bus));
            if let Err(error) = ended {
                eprintln!("refit-agent: the bus `{address}`: {error}");
            }
            thread::sleep(AGAIN);
        }
    };
    thread::Builder::new().name("dbus".into()).spawn(work)?;
    Ok(())
}

fn connect(desk: &Desk, address: &str) -> zbus::Result<Connection> {
    let bus = match address {
        "system" => Builder::system()?,
        "session" => Builder::session()?,
        other => Builder::address(other)?,
    };
    bus.serve_at(PATH, Owner { desk: desk.clone() })?.name(NAME)?.build()
}

/// Says on the bus what changes, whenever the agent says so, as long as there is a bus.
fn tell(desk: &Desk, bus: &Connection) -> zbus::Result<()> {
    let owner = bus.object_server().interface::<_, Owner>(PATH)?;
    let mut watch = Watch::on(&desk.status)?;
    let mut last = Told::of(desk);
    loop {
        watch.wait()?;
        let now = Told::of(desk);
        let (here, to) = (owner.get(), owner.signal_emitter());
        if now.phase != last.phase {
            block_on(here.phase_changed(to))?;
        }
        if now.version != last.version {
            block_on(here.version_changed(to))?;
        }
        if now.attempt != last.attempt {
            block_on(here.attempt_changed(to))?;
        }
        if now.waiting != last.waiting {
            block_on(here.waiting_changed(to))?;
        }
        if now.progress != last.progress {
            block_on(here.progress_changed(to))?;
        }
        last = now;
    }
}

/// The status as properties; what is not known is empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    phase: String,
    version: String,
    attempt: String,
    waiting: String,
    progress: (u64, u64),
}

impl Told {
    fn of(desk: &Desk) -> Self {
        let Some(seen) = desk.seen() else { return Self::default() };
        let Status { phase, version, attempt, waiting, trouble, done, total, .. } = seen;
        Self {
            phase: phase.into_owned(),
            version: version.map(|version| version.to_string()).unwrap_or_default(),
            attempt: attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
            waiting: waiting.or(trouble).unwrap_or_default(),
            progress: (done, total),
        }
    }
}

/// The object on the bus.
struct Owner {
    desk: Desk,
}

/// Words without effect are the caller's fault, everything else is ours.
impl From<DeskError> for fdo::Error {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Over | DeskError::Word(_) => Self::InvalidArgs(error.to_string()),
            DeskError::Call(_) | DeskError::Keep(_) => Self::Failed(error.to_string()),
        }
    }
}

#[interface(name = "io.refit.Agent1")]
impl Owner {
    /// What the agent does: `idle`, `inspecting`, `downloading` and so on.
    #[zbus(property)]
    fn phase(&self) -> String {
        Told::of(&self.desk).phase
    }

    /// The version that is being installed.
    #[zbus(property)]
    fn version(&self) -> String {
        Told::of(&self.desk).version
    }

    /// The attempt in progress, which an answer is about.
    #[zbus(property)]
    fn attempt(&self) -> String {
        Told::of(&self.desk).attempt
    }

    /// Why nothing moves, as a sentence.
    #[zbus(property)]
    fn waiting(&self) -> String {
        Told::of(&self.desk).waiting
    }

    /// Bytes of the images that are durable, and bytes in all.
    #[zbus(property)]
    fn progress(&self) -> (u64, u64) {
        Told::of(&self.desk).progress
    }

    /// Everything: what `refit-agent status --json` prints of a running agent.
    fn status(&self) -> fdo::Result<String> {
        std::fs::read_to_string(&self.desk.status)
            .map_err(|e| fdo::Error::Failed(format!("the agent has not said anything yet: {e}")))
    }

    /// Whether the owner may postpone and decline the update in progress, and until when
    /// (milliseconds since 1970; 0 for no such time).
    fn choices(&self) -> (bool, bool, i64) {
        let (rules, now) = (&self.desk.rules, self.desk.now());
        let ask = self.desk.ask(self.desk.seen().and_then(|seen| seen.attempt));
        let until = deadline(rules, &ask).map_or(0, |until| until.0);
        (may_postpone(rules, &ask, now), may_decline(rules, &ask), until)
    }

    /// The owner's answer to an attempt, in the words of `refit-agent agree`; what it means.
    fn answer(&self, attempt: &str, words: &str) -> fdo::Result<String> {
        let attempt: AttemptId = attempt.parse().map_err(|_| DeskError::Over)?;
        let answer = self.desk.say(attempt, words)?;
        Ok(Meaning(answer, &self.desk.rules).to_string())
    }

    /// Asks the sources now.
    fn check(&self) -> fdo::Result<()> {
        Ok(self.desk.call(Call::Ask)?)
    }

    /// Nothing is fetched or written until it is called with `false`.
    fn pause(&self, on: bool) -> fdo::Result<()> {
        Ok(self.desk.change(|switches| switches.paused = on)?)
    }

    /// What the agent does by itself: asking, and installing without asking the owner.
    fn automatic(&self, check: bool, install: bool) -> fdo::Result<()> {
        Ok(self.desk.change(|switches| {
            (switches.automatic_check, switches.automatic_install) = (check, install);
        })?)
    }
}
