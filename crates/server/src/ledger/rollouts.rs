//! What operators do to rollouts.

use super::Move;
use super::admit::{last_attempt, new_attempt};
use crate::catalogue::Published;
use crate::deltas::plan_job;
use crate::server::Server;
use crate::snapshot::{Course, audience};
use crate::store::{Conflict, Happened, StoreError, Stored, StoredRollout, settle};
use fleet::operator::State;
use fleet::{Class, Standing};
use types::{DeviceId, Name, Text, Timestamp};

/// What an operator can do to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Begin to offer the release.
    Start,
    /// Offer it to nobody new.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Stop for good.
    Halt,
    /// Open the next wave now.
    Advance,
}

/// Why an act is not possible.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    /// There is no such rollout.
    #[error("there is no rollout {0}")]
    NoRollout(Name),
    /// There is no such terminal.
    #[error("there is no terminal {0}")]
    NoDevice(DeviceId),
    /// It does not stand where the act could be done.
    #[error("rollout {id} is {state}, so it cannot {act}")]
    State {
        /// Which.
        id: Name,
        /// Where it stands.
        state: State,
        /// What was asked, as a verb.
        act: &'static str,
    },
    /// Its release was withdrawn.
    #[error("the release was withdrawn: {0}")]
    Withdrawn(Text),
    /// Its last wave is open.
    #[error("the last wave of rollout {0} is open already")]
    LastWave(Name),
    /// The terminal has nothing there to try anew.
    #[error("terminal {device} has no attempt in rollout {id} that has failed or was declined")]
    NothingToRetry {
        /// Which terminal.
        device: DeviceId,
        /// Which rollout.
        id: Name,
    },
    /// The store fails.
    #[error("the rollout could not be changed")]
    Store(#[from] StoreError),
}

impl Conflict for ActError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

impl Act {
    fn verb(self) -> &'static str {
        match self {
            Self::Start => "be started",
            Self::Pause => "be paused",
            Self::Resume => "be resumed",
            Self::Halt => "be halted",
            Self::Advance => "open a wave",
        }
    }

    /// Where the act leads from `state`, if it can be done there.
    fn leads(self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Start, State::Draft) | (Self::Resume, State::Paused) => Some(State::Running),
            (Self::Pause, State::Running) => Some(State::Paused),
            (Self::Halt, State::Running | State::Paused | State::Finished) => Some(State::Halted),
            (Self::Advance, State::Running) => Some(State::Running),
            _ => None,
        }
    }

    fn done(self, wave: usize) -> String {
        match self {
            Self::Start => "started".into(),
            Self::Pause => "paused".into(),
            Self::Resume => "resumed".into(),
            Self::Halt => "halted".into(),
            Self::Advance => format!("wave {} opened", wave + 1),
        }
    }
}

impl Server {
    /// Adds a rollout of `published`, as a draft.
    pub(crate) async fn make_rollout(
        &self,
        stored: StoredRollout,
        published: &Published,
        now: Timestamp,
    ) -> Stored<Name> {
        settle!(self.try_make(&stored, published, now))
    }

    async fn try_make(
        &self,
        stored: &StoredRollout,
        published: &Published,
        now: Timestamp,
    ) -> Stored<Name> {
        let mut entry = self.begin(now).await?;
        let id = stored.id.clone();
        entry.tx.put_rollout(stored).await?;
        let (who, why) = (stored.who.clone(), stored.why.clone());
        let event = Happened { at: now, who, what: format!("made of {}", published.package), why };
        entry.tx.put_happened(&id, &event).await?;
        if let Some(course) = Course::of(stored.clone(), &self.catalogue) {
            entry.courses.insert(id.clone(), course);
        }
        entry.raise().await?;
        entry.commit().await?;
        Ok(id)
    }

    /// Does `act` to a rollout, for `who` and because of `why`.
    pub(crate) async fn act(
        &self,
        id: &Name,
        act: Act,
        who: &str,
        why: &Text,
        now: Timestamp,
    ) -> Result<(), ActError> {
        settle!(self.try_act(id, act, who, why, now))
    }

    async fn try_act(
        &self,
        id: &Name,
        act: Act,
        who: &str,
        why: &Text,
        now: Timestamp,
    ) -> Result<(), ActError> {
        let mut entry = self.begin(now).await?;
        let mut course = entry.course(id).await?.ok_or_else(|| ActError::NoRollout(id.clone()))?;
        if matches!(act, Act::Start | Act::Resume) {
            self.refuses(&course)?;
        }
        advance(&mut course, act, now)?;
        course.rollout.why = why.clone();
        let (what, started) = (act.done(course.rollout.wave), course.rollout.clone());
        entry.move_course(course, who, what).await?;
        if matches!(act, Act::Start | Act::Resume) {
            entry.tx.put_job(&plan_job(started.release.manifest, now), now).await?;
        }
        if act == Act::Start {
            // So that the first wave is bounded by the true number from its first second.
            entry.counted = Some((id.clone(), audience(&started, &self.roster)));
        }
        entry.commit().await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Orders the release of a rollout anew for a terminal whose attempt there has
    /// ended.
    pub(crate) async fn retry(
        &self,
        id: &Name,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<(), ActError> {
        settle!(self.try_retry(id, device, now))
    }

    async fn try_retry(
        &self,
        id: &Name,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<(), ActError> {
        let mut entry = self.begin(now).await?;
        let no_device = || ActError::NoDevice(device.clone());
        let terminal = self.roster.device(device).ok_or_else(no_device)?;
        entry.take(std::slice::from_ref(&terminal)).await?;
        let no_rollout = || ActError::NoRollout(id.clone());
        let mut course = entry.course(id).await?.ok_or_else(no_rollout)?;
        let state = course.rollout.state;
        if !matches!(state, State::Running | State::Finished) {
            return Err(ActError::State { id: id.clone(), state, act: "be retried" });
        }
        let last = last_attempt(&terminal, id);
        let nothing = || ActError::NothingToRetry { device: device.clone(), id: id.clone() };
        let last = last.ok_or_else(nothing)?;
        let class = last.standing.class();
        if !matches!(class, Class::Failed | Class::Neutral) {
            return Err(nothing());
        }
        course.rollout.tally = course.rollout.tally.moved(last.standing, Standing::Offered);
        let fresh = new_attempt(&terminal, &course.rollout, last.retry.saturating_add(1), now);
        if let Some(site) = &fresh.site {
            // Ordered by a person: the limit waits.
            entry.tx.enter_site(id, site, u32::MAX).await?;
            entry.sites.push((id.clone(), site.clone(), Move::Enters));
        }
        entry.courses.insert(id.clone(), course);
        entry.put_attempt(&terminal, fresh);
        Ok(entry.commit().await?)
    }
}

/// Changes `course` as `act` says.
fn advance(course: &mut Course, act: Act, now: Timestamp) -> Result<(), ActError> {
    let rollout = &mut course.rollout;
    let (id, state, verb) = (rollout.id.clone(), rollout.state, act.verb());
    let refused = || ActError::State { id: id.clone(), state, act: verb };
    rollout.state = act.leads(state).ok_or_else(refused)?;
    match act {
        Act::Start => rollout.opened = now,
        Act::Advance if rollout.wave + 1 >= rollout.waves.len() => {
            return Err(ActError::LastWave(id));
        }
        Act::Advance => (rollout.wave, rollout.opened) = (rollout.wave + 1, now),
        Act::Pause | Act::Resume | Act::Halt => {}
    }
    Ok(())
}
