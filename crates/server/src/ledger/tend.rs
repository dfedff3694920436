//! The job that tends one rollout: terminals that did not come back, waves that
//! open by time.

use super::{Entry, missing};
use crate::roster::lock;
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::Stored;
use fleet::Event;
use fleet::operator::{Opens, State, overdue};
use types::{Name, Seconds, Timestamp};

/// After how long a rollout is tended at the latest, though nothing is expected.
const IDLE: Seconds = Seconds(30);

impl Server {
    /// Tends `rollout`: what is overdue fails, what may open opens, and the job is
    /// due again when the next thing is expected.
    pub(crate) async fn tend(&self, rollout: &Name, now: Timestamp) -> Stored<()> {
        let mut entry = self.begin(now).await?;
        let Some(course) = entry.course(rollout) else {
            entry.tx.drop_job(rollout).await?;
            return entry.commit().await;
        };
        for (attempt, terminal) in self.roster.in_flight(rollout) {
            let offered = lock(&terminal).tried(attempt).map(|tried| tried.stored.offered);
            let offered = offered.ok_or(missing("attempt"))?;
            let seen = self.last_sign(lock(&terminal).seen, offered);
            if overdue(&course.rollout.halt, seen, now) {
                entry.event(&terminal, attempt, Event::Silent).await?;
            }
        }
        entry.courses.entry(rollout.clone()).or_insert(course);
        entry.commit().await
    }

    /// When a terminal last gave a sign of life. What came before the start of the
    /// server is not remembered: it gets the benefit of the doubt.
    fn last_sign(&self, seen: Option<Timestamp>, offered: Timestamp) -> Timestamp {
        seen.unwrap_or(self.settings.started).max(offered)
    }

    /// When something is to be expected of a rollout without anybody asking; never,
    /// for one that has ended.
    fn due(&self, course: &Course, now: Timestamp) -> Option<Timestamp> {
        let rollout = &course.rollout;
        let in_flight = rollout.tally.in_flight > 0;
        if rollout.state == State::Draft || (rollout.state == State::Halted && !in_flight) {
            return None;
        }
        let next = rollout.waves.get(rollout.wave + 1).map(|wave| wave.opens);
        let opening = match next {
            Some(Opens::After(seconds)) => rollout.opened.after(seconds),
            _ => now.after(IDLE),
        };
        let back = if in_flight { self.first_overdue(course, now) } else { now.after(IDLE) };
        Some(opening.min(back).min(now.after(IDLE)).max(now.after(Seconds(1))))
    }

    /// When the first terminal in flight will have failed by its silence.
    fn first_overdue(&self, course: &Course, now: Timestamp) -> Timestamp {
        let not_back = course.rollout.halt.not_back;
        let last = |(attempt, terminal): &(_, crate::roster::Shared)| {
            let locked = lock(terminal);
            let offered = locked.tried(*attempt).map(|tried| tried.stored.offered);
            self.last_sign(locked.seen, offered.unwrap_or(now))
        };
        let in_flight = self.roster.in_flight(&course.rollout.id);
        let first = in_flight.iter().map(last).min().unwrap_or(now);
        Timestamp(first.after(not_back).0.saturating_add(1000))
    }
}

impl Entry<'_> {
    /// Writes when the rollouts of this change are to be tended next.
    pub(super) async fn plan_jobs(&mut self) -> Stored<()> {
        let courses: Vec<Course> = self.courses.values().cloned().collect();
        for course in courses {
            match self.server.due(&course, self.now) {
                Some(due) => self.tx.put_job(&course.rollout.id, due).await?,
                None => self.tx.drop_job(&course.rollout.id).await?,
            }
        }
        Ok(())
    }
}
