//! The job that tends one rollout: terminals that did not come back, waves that
//! open by time.

use super::{Entry, SERVER};
use crate::roster::{Shared, Terminal, lock};
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{Kind, NewJob, Stored, StoredAttempt, StoredDelta, settle};
use fleet::operator::{Opens, State, overdue};
use fleet::{Event, Shows, Standing};
use protocols::native::Phase;
use std::sync::PoisonError;
use types::{AttemptId, Name, Outcome, Seconds, Text, Timestamp};

/// After how long a rollout is tended at the latest, though nothing is expected.
const IDLE: Seconds = Seconds(30);

impl Server {
    /// Tends `rollout`: what is overdue fails, what may open opens, and the job is
    /// due again when the next thing is expected.
    pub(crate) async fn tend(&self, rollout: &Name, now: Timestamp) -> Stored<()> {
        settle!(self.try_tend(rollout, now))
    }

    async fn try_tend(&self, rollout: &Name, now: Timestamp) -> Stored<()> {
        let mut entry = self.begin(now).await?;
        let known = self.snapshot().courses.get(rollout).cloned();
        let suspects = known.map(|course| self.suspects(&course, now)).unwrap_or_default();
        let terminals: Vec<Shared> = suspects.iter().map(|(_, t)| t.clone()).collect();
        entry.take(&terminals).await?;
        let Some(course) = entry.course(rollout).await? else {
            entry.tx.drop_job(rollout).await?;
            return entry.commit().await;
        };
        for (attempt, terminal) in suspects {
            let event = self.outlived(&lock(&terminal), attempt, &course, now);
            if let Some(event) = event {
                entry.event(&terminal, attempt, event).await?;
            }
        }
        entry.tended = Some(rollout.clone());
        let course = entry.courses.entry(rollout.clone()).or_insert(course).clone();
        entry.prepare(course).await?;
        entry.commit().await
    }

    /// The attempts in flight that time alone may have ended, as far as memory knows.
    fn suspects(&self, course: &Course, now: Timestamp) -> Vec<(AttemptId, Shared)> {
        let outlived = |(attempt, terminal): &(AttemptId, Shared)| {
            self.outlived(&lock(terminal), *attempt, course, now).is_some()
        };
        self.roster.in_flight(&course.rollout.id).into_iter().filter(outlived).collect()
    }

    /// What has become of an attempt in flight by nothing but time.
    fn outlived(
        &self,
        terminal: &Terminal,
        attempt: AttemptId,
        course: &Course,
        now: Timestamp,
    ) -> Option<Event> {
        let tried = terminal.tried(attempt)?;
        let late = |since| overdue(&course.rollout.halt, since, now);
        // Silence from before this server knew proves nothing, nor does what is to come.
        let known = self.knows_since();
        let counts = |time: Timestamp| if time <= now { time.max(known) } else { known };
        let late_since = |time| late(counts(time));
        if late(self.last_sign(terminal.seen, &tried.stored, now)) {
            return Some(Event::Silent);
        }
        let shows = tried.shows(&course.rollout.images, &terminal.stored.running);
        match tried.stored.standing {
            // It reported success, goes on asking, and runs something else.
            Standing::Reported if late_since(tried.stored.changed) => Some(Event::Silent),
            // It got the release another way, as from a card, and never took the offer.
            Standing::Offered
                if shows == Shows::New
                    && terminal.phase == Phase::Idle
                    && late_since(tried.stored.offered) =>
            {
                Some(Event::Report(Outcome::AlreadyRunning))
            }
            _ => None,
        }
    }

    /// When a terminal last gave a sign of life, to whatever server. What came while
    /// this server did not know gives it the benefit of the doubt.
    fn last_sign(
        &self,
        seen: Option<Timestamp>,
        attempt: &StoredAttempt,
        now: Timestamp,
    ) -> Timestamp {
        let seen = seen.unwrap_or(self.settings.started);
        let all = [seen, self.knows_since(), attempt.seen, attempt.offered];
        // What is to come was written by a clock that was wrong.
        all.into_iter().filter(|time| *time <= now).max().unwrap_or(now)
    }

    /// When something is to be expected of a rollout without anybody asking; never,
    /// for one that has ended.
    fn due(&self, course: &Course, back: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let rollout = &course.rollout;
        let in_flight = rollout.tally.in_flight > 0;
        if rollout.state == State::Draft || (rollout.state == State::Halted && !in_flight) {
            return None;
        }
        // Deltas are asked for: whoever makes them does not know who waits.
        if rollout.preparing().is_some() && rollout.state == State::Running {
            return Some(now.after(Seconds(1)));
        }
        let next = rollout.waves.get(rollout.wave + 1).map(|wave| wave.opens);
        let opening = match next {
            Some(Opens::After(seconds)) => rollout.opened.after(seconds),
            Some(Opens::At(at)) => at,
            _ => now.after(IDLE),
        };
        let back = if in_flight { back } else { now.after(IDLE) };
        Some(opening.min(back).min(now.after(IDLE)).max(now.after(Seconds(1))))
    }

    /// When the first terminal in flight may have failed by its silence. All of them
    /// are asked when the rollout is `tended` only: until then none fails earlier than
    /// was known, and those that started since have all of their time.
    fn expected(&self, course: &Course, tended: Option<&Name>, now: Timestamp) -> Timestamp {
        let id = &course.rollout.id;
        let mut known = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = overdue_at(now, course);
        let first = match known.get(id) {
            Some(first) if tended != Some(id) => fresh.min(*first),
            _ => fresh.min(self.first_overdue(course, now)),
        };
        known.insert(id.clone(), first);
        first
    }

    /// When the first terminal in flight will have failed by its silence.
    fn first_overdue(&self, course: &Course, now: Timestamp) -> Timestamp {
        let last = |(attempt, terminal): &(_, Shared)| {
            let locked = lock(terminal);
            locked
                .tried(*attempt)
                .map_or(now, |tried| self.last_sign(locked.seen, &tried.stored, now))
        };
        let in_flight = self.roster.in_flight(&course.rollout.id);
        overdue_at(in_flight.iter().map(last).min().unwrap_or(now), course)
    }
}

/// When a terminal that was seen at `seen` is surely overdue.
fn overdue_at(seen: Timestamp, course: &Course) -> Timestamp {
    Timestamp(seen.after(course.rollout.halt.not_back).0.saturating_add(1000))
}

impl Entry<'_> {
    /// Lets a rollout begin that waits for its deltas, once there is nothing to wait for.
    async fn prepare(&mut self, mut course: Course) -> Stored<()> {
        let rollout = &mut course.rollout;
        let Some(until) = rollout.preparing().filter(|_| rollout.state == State::Running) else {
            return Ok(());
        };
        let manifest = rollout.release.manifest;
        let pending = self.tx.pending_deltas(&manifest.to_string(), self.now).await?;
        if pending > 0 && self.now < until {
            return Ok(());
        }
        let deltas = self.tx.deltas().await?;
        let leads =
            |delta: &&StoredDelta| rollout.images.get(&delta.component) == Some(&delta.target);
        let kept = deltas.iter().filter(leads).filter(|delta| delta.made.is_some()).count();
        let dropped = deltas.iter().filter(leads).count() - kept;
        rollout.why = Text::from(match pending {
            0 => format!("{kept} deltas are made, {dropped} were dropped"),
            _ => format!("the time is up: {kept} deltas are made, {pending} jobs are under way"),
        });
        (rollout.prepared, rollout.opened) = (Some(self.now), self.now);
        // What is offered from now on is what was counted.
        self.server.shelf.replace(deltas);
        self.move_course(course, SERVER, "offers begin".into()).await
    }

    /// Writes when the rollouts of this change are to be tended next.
    pub(super) async fn plan_jobs(&mut self) -> Stored<()> {
        let courses: Vec<Course> = self.courses.values().cloned().collect();
        for course in courses {
            let back = self.server.expected(&course, self.tended.as_ref(), self.now);
            match self.server.due(&course, back, self.now) {
                Some(due) => self.tx.put_job(&tending(&course.rollout.id, due), self.now).await?,
                None => self.tx.drop_job(&course.rollout.id).await?,
            }
        }
        Ok(())
    }
}

/// The job that looks after a rollout; due when something is expected of it.
fn tending(rollout: &Name, due: Timestamp) -> NewJob {
    let (about, payload) = (rollout.to_string(), String::new());
    NewJob { job: rollout.clone(), kind: Kind::Tend, about, payload, priority: 0, due }
}
