//! What a heartbeat changes.

use super::Entry;
use super::together::Word;
use crate::roster::{Shared, Terminal, lock};
use crate::server::Server;
use crate::store::Stored;
use fleet::{Event, Shows, Standing};
use protocols::native::{Heartbeat, Progress};
use std::sync::Arc;
use types::{AttemptId, Timestamp};

impl Server {
    /// Takes note of a heartbeat. One without news changes memory only: no SQL.
    pub(crate) async fn hear(
        &self,
        terminal: &Shared,
        heartbeat: &Heartbeat,
        now: Timestamp,
    ) -> Stored<()> {
        let has_news = {
            let mut locked = lock(terminal);
            (locked.seen, locked.phase) = (Some(now), heartbeat.phase);
            if locked.waiting.as_deref() != heartbeat.waiting.as_ref() {
                locked.waiting = heartbeat.waiting.clone().map(Box::new);
            }
            if *locked.abilities != *heartbeat.abilities {
                locked.abilities = heartbeat.abilities.clone().into();
            }
            locked.changed_by(heartbeat).is_some() || !self.shown(&locked, heartbeat).is_empty()
        };
        if !has_news {
            return Ok(());
        }
        let word = Word::Heartbeat(Arc::new(heartbeat.clone()));
        self.write_down(terminal, word, now).await.map(drop)
    }

    /// The attempts that move by what the heartbeat shows. Only the last one is
    /// asked: what a newer release replaced was not given up by the terminal.
    fn shown(&self, terminal: &Terminal, heartbeat: &Heartbeat) -> Vec<(AttemptId, Shows)> {
        let snapshot = self.snapshot();
        let last = terminal.tries.iter().rev().take(1).filter_map(|tried| {
            let course = snapshot.courses.get(&tried.stored.rollout)?;
            let shows = tried.shows(&course.rollout.images, &heartbeat.running);
            let standing: Standing = tried.stored.standing;
            let moves = standing.next(Event::Heartbeat(shows)) != standing;
            moves.then_some((tried.stored.attempt, shows))
        });
        last.collect()
    }

    /// Takes note of how far an attempt has come: memory only.
    pub(crate) fn note_progress(&self, terminal: &Shared, progress: Progress, now: Timestamp) {
        let mut locked = lock(terminal);
        (locked.seen, locked.phase) = (Some(now), progress.phase);
        if let Some(tried) = locked.tried_mut(progress.attempt) {
            tried.progress = Some(progress);
        }
    }
}

impl Entry<'_> {
    /// Writes what is new about a terminal, and what it shows of its attempt.
    pub(super) async fn hear(&mut self, terminal: &Shared, heartbeat: &Heartbeat) -> Stored<()> {
        let (changed, shown) = {
            let locked = lock(terminal);
            (locked.changed_by(heartbeat), self.server.shown(&locked, heartbeat))
        };
        if let Some(device) = changed {
            self.put_device(terminal, device);
        }
        for (attempt, shows) in shown {
            self.event(terminal, attempt, Event::Heartbeat(shows)).await?;
        }
        Ok(())
    }
}
