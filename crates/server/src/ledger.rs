//! Where store and memory change together.
//!
//! Every change is an [`Entry`]: begun, filled, committed. What a terminal or an
//! operator was told is in the store before it is in the memory that answers, and
//! both change while nobody else can begin. Without a commit nothing happened.

mod admit;
mod enrol;
mod hear;
mod load;
mod publish;
mod report;
mod rollouts;
mod tend;

pub(crate) use enrol::EnrolError;
pub(crate) use publish::PublishError;
pub(crate) use rollouts::{Act, ActError};

use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{Happened, StoreError, Stored, StoredAttempt, StoredDevice, Tx};
use fleet::Event;
use fleet::operator::{Change, State, tend};
use std::collections::BTreeMap;
use types::{AttemptId, Name, Text, Timestamp};

/// The name under which the server itself acts.
pub(crate) const SERVER: &str = "refit-server";

/// A change on its way.
pub(crate) struct Entry<'s> {
    server: &'s Server,
    tx: Tx,
    now: Timestamp,
    generation: u64,
    courses: BTreeMap<Name, Course>,
    attempts: Vec<(Shared, StoredAttempt)>,
    devices: Vec<(Shared, StoredDevice)>,
}

impl Server {
    /// Begins a change.
    pub(crate) async fn begin(&self, now: Timestamp) -> Stored<Entry<'_>> {
        let tx = self.store.begin().await?;
        let generation = self.snapshot().plan.generation;
        let (courses, attempts, devices) = (BTreeMap::new(), Vec::new(), Vec::new());
        Ok(Entry { server: self, tx, now, generation, courses, attempts, devices })
    }
}

impl Entry<'_> {
    /// The rollout as it is in this change.
    fn course(&self, rollout: &Name) -> Option<Course> {
        let known = || self.server.snapshot().courses.get(rollout).cloned();
        self.courses.get(rollout).cloned().or_else(known)
    }

    /// The attempt as it is in this change.
    fn attempt(&self, terminal: &Shared, id: AttemptId) -> Option<StoredAttempt> {
        let pending = self.attempts.iter().rev().map(|(_, attempt)| attempt);
        let known = || lock(terminal).tried(id).map(|tried| tried.stored.clone());
        pending.clone().find(|attempt| attempt.attempt == id).cloned().or_else(known)
    }

    /// Writes a terminal.
    async fn put_device(&mut self, terminal: &Shared, device: StoredDevice) -> Stored<()> {
        self.tx.put_device(&device, self.now).await?;
        self.devices.push((terminal.clone(), device));
        Ok(())
    }

    /// Writes an attempt.
    async fn put_attempt(&mut self, terminal: &Shared, attempt: StoredAttempt) -> Stored<()> {
        self.tx.put_attempt(&attempt).await?;
        self.attempts.push((terminal.clone(), attempt));
        Ok(())
    }

    /// Something happened to an attempt: it moves, and its rollout's tally with it.
    async fn event(&mut self, terminal: &Shared, id: AttemptId, event: Event) -> Stored<()> {
        let Some(mut attempt) = self.attempt(terminal, id) else { return Ok(()) };
        let (from, to) = (attempt.standing, attempt.standing.next(event));
        if from == to {
            return Ok(());
        }
        if let Some(mut course) = self.course(&attempt.rollout) {
            course.rollout.tally = course.rollout.tally.moved(from.class(), to.class());
            self.courses.insert(attempt.rollout.clone(), course);
        }
        (attempt.standing, attempt.changed) = (to, self.now);
        self.put_attempt(terminal, attempt).await
    }

    /// Brings a rollout to where `course` says, and writes who did it.
    async fn move_course(&mut self, mut course: Course, who: &str, what: String) -> Stored<()> {
        let (rollout, who) = (&mut course.rollout, Text::from(who));
        course.since = self.now;
        course.who = who.clone();
        if rollout.state != State::Draft {
            course.started.get_or_insert(self.now);
        }
        let event = Happened { at: self.now, who, what, why: rollout.why.clone() };
        self.tx.move_rollout(rollout, course.who.as_str(), self.now).await?;
        self.tx.put_happened(&rollout.id, &event).await?;
        self.tx.raise_generation().await?;
        self.generation += 1;
        self.courses.insert(course.rollout.id.clone(), course);
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
        self.tx.commit().await?;
        self.show();
        Ok(())
    }

    /// Makes a committed change visible.
    fn show(&mut self) {
        for (terminal, device) in self.devices.drain(..) {
            let release = self.server.catalogue.running(&device.facts.product, &device.running);
            let mut locked = lock(&terminal);
            (locked.stored, locked.release) = (device, release);
            self.server.roster.stir();
        }
        for (terminal, attempt) in self.attempts.drain(..) {
            self.server.show_attempt(&terminal, &attempt);
        }
        if !self.courses.is_empty() {
            let courses = std::mem::take(&mut self.courses);
            self.server.change_snapshot(|snapshot| {
                snapshot.courses.extend(courses);
                snapshot.plan.generation = self.generation;
                snapshot.compile();
            });
        }
    }
}

/// An error for what memory and store disagree about.
pub(crate) fn missing(what: &'static str) -> StoreError {
    StoreError::Row { what }
}
