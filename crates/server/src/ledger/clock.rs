//! What is done before the server takes over a clock that was set.
//!
//! What rows decide does not hang on the time. But a plan would be good for as long as
//! the clock went back, and everybody who is under way would be overdue by as long as it
//! went forward. Leases would be held for as long as it went back, or given away while
//! their holders live: each begins anew, before anybody goes by the new time.

use super::{Entry, SERVER};
use crate::clock::Step;
use crate::downloads::HOLDS;
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{Stored, settle};
use fleet::operator::{Opens, State};
use std::sync::PoisonError;
use types::{Name, Timestamp};

/// A step by less, in milliseconds, is a correction: a wave's time goes on, and opens it
/// so much earlier or later.
const CORRECTION: i64 = 60_000;

impl Server {
    /// The clock was set. The plan is to be checked again before it offers anything,
    /// silence from before proves nothing, the time of an open wave begins anew, and so
    /// does that of every job and every lease.
    pub(crate) async fn clock_was_set(&self, step: Step) -> Stored<()> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).clear();
        settle!(self.plan_anew(step))?;
        self.change_snapshot(|snapshot| snapshot.plan.good_until = Timestamp(i64::MIN));
        self.downloads.hold_anew(step.to);
        self.knows_again(step.to);
        Ok(())
    }

    async fn plan_anew(&self, step: Step) -> Stored<()> {
        let mut entry = self.begin(step.to).await?;
        let ids: Vec<Name> = self.snapshot().courses.keys().cloned().collect();
        for id in ids {
            if let Some(course) = entry.course(&id).await? {
                entry.begin_anew(course, step).await?;
            }
        }
        entry.tx.hold_jobs_anew(step.to).await?;
        entry.tx.hold_downloads_anew(step.to.after(HOLDS)).await?;
        entry.tx.see_servers_anew(step.to).await?;
        entry.commit().await
    }
}

impl Entry<'_> {
    async fn begin_anew(&mut self, mut course: Course, step: Step) -> Stored<()> {
        let rollout = &mut course.rollout;
        if rollout.state == State::Draft {
            return Ok(());
        }
        let next = rollout.waves.get(rollout.wave + 1).map(|wave| wave.opens);
        let corrects = step.by.saturating_abs() < CORRECTION;
        let timed = rollout.state == State::Running && matches!(next, Some(Opens::After(_)));
        if timed && !corrects {
            rollout.opened = self.now;
            let what = "the clock was set: the wave's time begins anew".into();
            return self.move_course(course, SERVER, what).await;
        }
        self.courses.insert(course.rollout.id.clone(), course);
        Ok(())
    }
}
