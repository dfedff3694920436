//! Where store and memory change together.
//!
//! Every change is an [`Entry`]: begun, filled, committed. What a terminal or an
//! operator was told is in the store before it is in the memory that answers, and
//! both change while nobody else can begin. Without a commit nothing happened.

mod admit;
mod adopt;
mod clock;
mod enrol;
mod hear;
mod import;
mod jobs;
mod labels;
mod load;
mod logs;
mod publish;
mod releases;
mod report;
mod rollouts;
mod tend;
mod together;

pub(crate) use enrol::EnrolError;
pub(crate) use labels::LabelError;
pub(crate) use logs::Logs;
pub(crate) use publish::PublishError;
pub(crate) use rollouts::{Act, ActError};
pub(crate) use together::Desk;

use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{
    Failing, Happened, Sign, Stored, StoredAttempt, StoredDevice, StoredLog, Touched, Tx, Words,
    words,
};
use fleet::operator::{Change, State, tend};
use fleet::{Class, Event, Standing};
use std::collections::{BTreeMap, BTreeSet};
use types::{AttemptId, DeviceId, Name, Report, Text, Timestamp};

/// The name under which the server itself acts.
pub(crate) const SERVER: &str = "refit-server";

/// A change on its way. What it writes is gathered and written at its end, in few
/// statements. Where several servers share the store, it first takes what it is about:
/// holds the rows and brings memory to what they say. Terminals are taken before
/// rollouts, so that two changes seldom wait for each other.
pub(crate) struct Entry<'s> {
    server: &'s Server,
    tx: Tx,
    now: Timestamp,
    /// The plan's generation, once this change raised it, and how often it did.
    generation: Option<(u64, u64)>,
    taken: Touched,
    courses: BTreeMap<Name, Course>,
    attempts: BTreeMap<AttemptId, (Shared, StoredAttempt)>,
    devices: BTreeMap<DeviceId, (Shared, StoredDevice)>,
    reports: Vec<(DeviceId, Report)>,
    logs: Vec<StoredLog>,
    signs: Vec<Sign>,
    sites: Vec<(Name, Text, Move)>,
    failures: BTreeMap<Failing, i64>,
    /// Reports that are kept already.
    kept: BTreeSet<(DeviceId, AttemptId)>,
    events: Vec<(DeviceId, Text)>,
    /// The rollout whose terminals in flight were looked through.
    tended: Option<Name>,
    /// The rollout that starts, and for how many terminals it is.
    counted: Option<(Name, u32)>,
}

/// What becomes of the number of terminals that update at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// One more.
    Enters,
    /// One less.
    Leaves,
}

impl Server {
    /// Begins a change.
    pub(crate) async fn begin(&self, now: Timestamp) -> Stored<Entry<'_>> {
        let tx = self.store.begin().await?;
        Ok(Entry {
            server: self,
            tx,
            now,
            generation: None,
            taken: Touched::default(),
            courses: BTreeMap::new(),
            attempts: BTreeMap::new(),
            devices: BTreeMap::new(),
            reports: Vec::new(),
            logs: Vec::new(),
            signs: Vec::new(),
            sites: Vec::new(),
            failures: BTreeMap::new(),
            kept: BTreeSet::new(),
            events: Vec::new(),
            tended: None,
            counted: None,
        })
    }
}

impl Entry<'_> {
    /// Takes terminals: nobody else changes them until this change is over, and
    /// memory is as the store is.
    async fn take(&mut self, terminals: &[Shared]) -> Stored<()> {
        if !self.tx.is_shared() {
            return Ok(());
        }
        let names = terminals.iter().map(|terminal| lock(terminal).stored.device.clone());
        let mut names: Vec<DeviceId> =
            names.filter(|n| self.taken.devices.insert(n.clone())).collect();
        // Two servers that take several in one order do not wait for each other.
        names.sort_unstable();
        let devices = self.tx.devices_held(&names).await?;
        self.server.absorb(&mut self.tx, devices).await
    }

    /// The rollout as it is in this change; taken, if it is not yet.
    async fn course(&mut self, rollout: &Name) -> Stored<Option<Course>> {
        if let Some(course) = self.courses.get(rollout) {
            return Ok(Some(course.clone()));
        }
        if self.tx.is_shared() && self.taken.rollouts.insert(rollout.clone()) {
            let held = self.tx.rollout_held(rollout).await?;
            self.server.absorb_rollouts(&mut self.tx, held.into_iter().collect()).await?;
        }
        Ok(self.server.snapshot().courses.get(rollout).cloned())
    }

    /// The attempt as it is in this change.
    fn attempt(&self, terminal: &Shared, id: AttemptId) -> Option<StoredAttempt> {
        let pending = self.attempts.get(&id).map(|(_, attempt)| attempt.clone());
        pending.or_else(|| lock(terminal).tried(id).map(|tried| tried.stored.clone()))
    }

    /// A terminal is to be written.
    fn put_device(&mut self, terminal: &Shared, device: StoredDevice) {
        self.devices.insert(device.device.clone(), (terminal.clone(), device));
    }

    /// An attempt is to be written.
    fn put_attempt(&mut self, terminal: &Shared, attempt: StoredAttempt) {
        self.attempts.insert(attempt.attempt, (terminal.clone(), attempt));
    }

    /// Something happened to an attempt: it moves, and its rollout's tally with it.
    async fn event(&mut self, terminal: &Shared, id: AttemptId, event: Event) -> Stored<()> {
        let Some(mut attempt) = self.attempt(terminal, id) else { return Ok(()) };
        let (from, to) = (attempt.standing, attempt.standing.next(event));
        if from == to {
            return Ok(());
        }
        if let Some(mut course) = self.course(&attempt.rollout).await? {
            course.rollout.tally = course.rollout.tally.moved(from, to);
            self.courses.insert(attempt.rollout.clone(), course);
        }
        (attempt.standing, attempt.changed) = (to, self.now);
        self.account(terminal, &attempt, from).await?;
        if !matches!(event, Event::Report(_)) {
            let what = Text::from(format!("{} in rollout {}", shown(to), attempt.rollout));
            self.events.push((attempt.device.clone(), what));
        }
        self.put_attempt(terminal, attempt);
        Ok(())
    }

    /// Counts what the move of an attempt changes: its site, and failures by kind.
    async fn account(
        &mut self,
        terminal: &Shared,
        attempt: &StoredAttempt,
        from: Standing,
    ) -> Stored<()> {
        let (rollout, to) = (&attempt.rollout, attempt.standing);
        let flies = |standing: Standing| standing.class() == Class::InFlight;
        match (&attempt.site, flies(from), flies(to)) {
            (Some(site), true, false) => {
                self.sites.push((rollout.clone(), site.clone(), Move::Leaves));
            }
            (Some(site), false, true) => {
                self.tx.enter_site(rollout, site, u32::MAX).await?;
                self.sites.push((rollout.clone(), site.clone(), Move::Enters));
            }
            _ => {}
        }
        let hardware = lock(terminal).stored.facts.hardware.clone();
        for (standing, more) in [(from, -1), (to, 1)] {
            let failed = standing.class() == Class::Failed;
            let Some(outcome) = standing.outcome().filter(|_| failed) else { continue };
            let (hardware, origin) = (hardware.clone(), attempt.origin.clone());
            let way = (rollout.clone(), attempt.wave, outcome.code(), hardware, origin);
            *self.failures.entry(way).or_default() += more;
        }
        Ok(())
    }

    /// Brings a rollout to where `course` says, and writes who did it.
    async fn move_course(&mut self, mut course: Course, who: &str, what: String) -> Stored<()> {
        let (rollout, who) = (&mut course.rollout, Text::from(who));
        course.since = self.now;
        course.who = who.clone();
        if rollout.state != State::Draft {
            rollout.started.get_or_insert(self.now);
        }
        let event = Happened { at: self.now, who, what, why: rollout.why.clone() };
        self.tx.move_rollout(rollout, course.who.as_str(), self.now).await?;
        self.tx.put_happened(&rollout.id, &event).await?;
        self.raise().await?;
        self.courses.insert(course.rollout.id.clone(), course);
        Ok(())
    }

    /// Every server is to read the plan anew.
    async fn raise(&mut self) -> Stored<()> {
        let times = self.generation.map_or(0, |(_, times)| times);
        self.generation = Some((self.tx.raise_generation().await?, times + 1));
        Ok(())
    }

    /// Draws what follows from the new tallies, until nothing more follows.
    async fn follow(&mut self) -> Stored<()> {
        let touched: Vec<Name> = self.courses.keys().cloned().collect();
        for id in touched {
            while let Some((course, what)) = self.courses.get(&id).and_then(|c| self.next(c)) {
                self.move_course(course, SERVER, what).await?;
            }
        }
        Ok(())
    }

    /// The course with the one change that its rules ask for now, and its name.
    fn next(&self, course: &Course) -> Option<(Course, String)> {
        let mut course = course.clone();
        let rollout = &mut course.rollout;
        let audience = self.server.snapshot().audience(&rollout.id);
        let what = match tend(rollout, audience, self.now)? {
            Change::Halt(why) => {
                (rollout.state, rollout.why) = (State::Halted, why);
                "halted".into()
            }
            Change::Open(wave, why) => {
                (rollout.wave, rollout.opened, rollout.why) = (wave, self.now, why);
                format!("wave {} opened", wave + 1)
            }
            Change::Finish(why) => {
                (rollout.state, rollout.why) = (State::Finished, why);
                "finished".into()
            }
        };
        Some((course, what))
    }

    /// Makes the change durable, then visible.
    pub(crate) async fn commit(mut self) -> Stored<()> {
        self.follow().await?;
        for course in self.courses.values() {
            self.tx.put_tally(&course.rollout.id, course.rollout.tally).await?;
        }
        self.plan_jobs().await?;
        self.write().await?;
        self.tx.commit().await?;
        self.show();
        Ok(())
    }

    /// Writes what was gathered.
    async fn write(&mut self) -> Stored<()> {
        let devices: Vec<_> = self.devices.values().map(|(_, device)| device).collect();
        self.tx.put_devices(&devices, self.now).await?;
        let changed = self.devices.values().map(|(terminal, device)| {
            (&device.device, words(&lock(terminal).stored), words(device))
        });
        let changed: Vec<_> = changed.collect();
        self.tx.put_words(&changed).await?;
        let news = |(device, before, after): &(&DeviceId, Words, Words)| {
            Some((DeviceId::clone(device), news(before, after)?))
        };
        let events: Vec<_> = changed.iter().filter_map(news).chain(self.events.clone()).collect();
        self.tx.put_events(&events, self.now).await?;
        let attempts: Vec<_> = self.attempts.values().map(|(_, attempt)| attempt).collect();
        self.tx.put_attempts(&attempts).await?;
        self.tx.put_reports(&self.reports, self.now).await?;
        self.tx.put_logs(&self.logs).await?;
        self.tx.put_signs(&self.signs).await?;
        self.tx.count_failures(&self.failures).await?;
        for ((rollout, site), less) in self.left() {
            self.tx.leave_site(&rollout, &site, less).await?;
        }
        let tried = attempts.iter().map(|attempt| attempt.device.clone());
        let touched = Touched {
            devices: self.devices.keys().cloned().chain(tried).collect(),
            rollouts: self.courses.keys().cloned().collect(),
        };
        self.tx.note(touched, self.now).await
    }

    /// How many terminals of each site are done.
    fn left(&self) -> BTreeMap<(Name, Text), u32> {
        let mut left: BTreeMap<(Name, Text), u32> = BTreeMap::new();
        for (rollout, site, _) in self.sites.iter().filter(|(_, _, moved)| *moved == Move::Leaves) {
            *left.entry((rollout.clone(), site.clone())).or_default() += 1;
        }
        left
    }

    /// Makes a committed change visible.
    fn show(&mut self) {
        for (terminal, device) in std::mem::take(&mut self.devices).into_values() {
            let release = self.server.catalogue.running(&device.facts.product, &device.running);
            let device = self.server.store.kinds().share(device);
            self.server.alter(&terminal, |terminal| {
                (terminal.stored, terminal.release) = (device, release);
            });
        }
        for (terminal, attempt) in std::mem::take(&mut self.attempts).into_values() {
            self.server.show_attempt(&terminal, &attempt);
        }
        self.server.note_signs(&self.signs);
        if self.generation.is_some() || !self.courses.is_empty() || !self.sites.is_empty() {
            let sites = std::mem::take(&mut self.sites);
            let courses = std::mem::take(&mut self.courses);
            self.server.change_snapshot(|snapshot| {
                courses.into_values().for_each(|course| snapshot.take(course));
                snapshot.audiences.extend(self.counted.take());
                sites.into_iter().for_each(|(rollout, site, moved)| {
                    let count = snapshot.sites.entry(rollout).or_default().entry(site).or_default();
                    *count = match moved {
                        Move::Enters => count.saturating_add(1),
                        Move::Leaves => count.saturating_sub(1),
                    };
                });
                // Unless another server raised it meanwhile: then the plan is read anew.
                if let Some((generation, times)) = self.generation
                    && snapshot.plan.generation + times == generation
                {
                    snapshot.plan.generation = generation;
                }
                snapshot.compile();
            });
        }
    }
}

/// What is new about a terminal, in the words of filters.
fn news(before: &Words, after: &Words) -> Option<Text> {
    let spelled = |(word, name, value): &(&'static str, String, String)| {
        if name.is_empty() { format!("{word}={value}") } else { format!("{word}.{name}={value}") }
    };
    let gone = before.difference(after).map(|word| format!("-{}", spelled(word)));
    let come = after.difference(before).map(|word| format!("+{}", spelled(word)));
    let all: Vec<String> = gone.chain(come).collect();
    (!all.is_empty()).then(|| Text::from(format!("changed: {}", all.join(" "))))
}

/// An attempt's standing, for people.
fn shown(standing: Standing) -> &'static str {
    match standing {
        Standing::Offered => "the release is offered",
        Standing::Reported => "reported success",
        Standing::Confirmed => "seen running the release",
        Standing::Reverted => "seen running the old release again",
        Standing::Lost => "did not come back in time",
        Standing::LostReported => "was never seen running the release",
        Standing::Failed(_) => "failed",
        Standing::Neutral(_) => "ended",
    }
}
