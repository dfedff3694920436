//! What is done before the server takes over a clock that was set.
//!
//! What rows decide does not hang on the time. But a plan would be good for as long as
//! the clock went back, and everybody who is under way would be overdue by as long as it
//! went forward.

use super::{Entry, SERVER};
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{Stored, settle};
use fleet::operator::{Opens, State};
use std::sync::PoisonError;
use types::{Name, Timestamp};

impl Server {
    /// From now on it is `now`. The plan is to be checked again before it offers
    /// anything, silence from before proves nothing, the time of an open wave begins
    /// anew, and so does that of every job.
    pub(crate) async fn clock_was_set(&self, now: Timestamp) -> Stored<()> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).clear();
        settle!(self.plan_anew(now))?;
        self.change_snapshot(|snapshot| snapshot.plan.good_until = Timestamp(i64::MIN));
        self.knows_again(now);
        Ok(())
    }

    async fn plan_anew(&self, now: Timestamp) -> Stored<()> {
        let mut entry = self.begin(now).await?;
        let ids: Vec<Name> = self.snapshot().courses.keys().cloned().collect();
        for id in ids {
            if let Some(course) = entry.course(&id).await? {
                entry.begin_anew(course).await?;
            }
        }
        entry.commit().await
    }
}

impl Entry<'_> {
    async fn begin_anew(&mut self, mut course: Course) -> Stored<()> {
        let rollout = &mut course.rollout;
        if rollout.state == State::Draft {
            return Ok(());
        }
        let next = rollout.waves.get(rollout.wave + 1).map(|wave| wave.opens);
        if rollout.state == State::Running && matches!(next, Some(Opens::After(_))) {
            rollout.opened = self.now;
            let what = "the clock was set: the wave's time begins anew".into();
            return self.move_course(course, SERVER, what).await;
        }
        self.courses.insert(course.rollout.id.clone(), course);
        Ok(())
    }
}
