//! What many terminals say, in one transaction.
//!
//! A commit costs one flush of the disk, whatever it holds. So what terminals say lies
//! on a desk while a transaction is under way, and the next one writes all of it: who
//! finds the desk free has the pen, writes what lies there, hands the pen to one of
//! those who came meanwhile, and then tells everybody whose word was written. Nobody is
//! told before the commit. A transaction of several that fails is done anew one by one:
//! nobody fails because of another.

use super::Entry;
use crate::northbound::metrics::Counters;
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::store::{StoreError, Stored, settle};
use fleet::Event;
use protocols::native::{AttemptLog, Heartbeat};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot::{self, Receiver, Sender};
use types::{AttemptId, Name, Report, Timestamp};

/// The most terminals of one transaction: it is over in a fraction of a second, so that
/// operators and other servers do not wait long for its rows.
const TOGETHER: usize = 256;
/// The most terminals that wait: two seconds of work. Whoever comes later is told to
/// come again, which costs less than to keep the connection.
const WAITING: usize = 4096;

/// What a terminal says, or asks for, that has to be written.
#[derive(Debug, Clone)]
pub(super) enum Word {
    /// Ends of attempts.
    Reports(Arc<[Report]>),
    /// A heartbeat with news.
    Heartbeat(Arc<Heartbeat>),
    /// It knows nothing of an attempt that was withdrawn.
    GaveUp(AttemptId),
    /// What it has to tell of an attempt.
    Log(Arc<AttemptLog>),
    /// It may start in this rollout, if there is room.
    Start(Name),
}

/// A word and who said it.
#[derive(Debug)]
struct Note {
    terminal: Shared,
    word: Word,
}

/// What somebody who waits is told.
enum Told {
    /// It is written; for [`Word::Start`], whether there was room.
    Written(bool),
    /// It could not be written together with others, and is to be written alone.
    Alone(Note),
    /// It is this one's turn to write.
    Yours(Note, Pen),
}

/// What waits to be written.
#[derive(Default)]
pub(crate) struct Desk(Arc<Mutex<Papers>>);

#[derive(Default)]
struct Papers {
    waiting: VecDeque<(Note, Sender<Told>)>,
    /// Somebody has the pen.
    taken: bool,
}

/// The right to write. Dropped, it goes to the next who waits, whatever became of who
/// had it.
struct Pen(Arc<Mutex<Papers>>);

impl Desk {
    /// Puts `note` down. What becomes of it is told.
    fn put(&self, note: Note) -> Stored<Receiver<Told>> {
        let (teller, told) = oneshot::channel();
        let mut papers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if papers.waiting.len() >= WAITING {
            return Err(StoreError::Busy);
        }
        papers.waiting.push_back((note, teller));
        let free = !std::mem::replace(&mut papers.taken, true);
        drop(papers);
        if free {
            drop(Pen(Arc::clone(&self.0)));
        }
        Ok(told)
    }
}

impl Pen {
    /// Takes up what waits, as much as one transaction may hold, of each terminal one
    /// note: the next one is about what this one makes of it.
    fn take_up(&self, own: &Note) -> Vec<(Note, Sender<Told>)> {
        let mut papers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashSet::from([Arc::as_ptr(&own.terminal)]);
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        while taken.len() + 1 < TOGETHER
            && let Some((note, teller)) = papers.waiting.pop_front()
        {
            let first = known.insert(Arc::as_ptr(&note.terminal));
            if first { taken.push((note, teller)) } else { left.push_back((note, teller)) }
        }
        left.append(&mut papers.waiting);
        papers.waiting = left;
        taken
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        let mut papers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = papers.waiting.pop_front();
        papers.taken = next.is_some();
        drop(papers);
        if let Some((note, teller)) = next {
            // Who does not wait any more drops the pen it is sent, and so hands it on.
            let _ = teller.send(Told::Yours(note, Self(Arc::clone(&self.0))));
        }
    }
}

impl Server {
    /// Writes `word` of `terminal`, together with what others say at the same time.
    /// For [`Word::Start`], returns whether there was room.
    pub(super) async fn write_down(
        &self,
        terminal: &Shared,
        word: Word,
        now: Timestamp,
    ) -> Stored<bool> {
        let put = self.desk.put(Note { terminal: Arc::clone(terminal), word });
        let told = put.inspect_err(|_| Counters::more(&self.counters.busy, 1))?;
        match told.await {
            Ok(Told::Written(room)) => Ok(room),
            Ok(Told::Yours(note, pen)) => self.write_with(pen, note, now).await,
            Ok(Told::Alone(note)) => self.write_alone(&note, now).await,
            Err(_) => Err(StoreError::Gone),
        }
    }

    async fn write_with(&self, pen: Pen, own: Note, now: Timestamp) -> Stored<bool> {
        let others = pen.take_up(&own);
        let notes: Vec<&Note> = others.iter().map(|(note, _)| note).chain([&own]).collect();
        let written = settle!(self.write_notes(&notes, now));
        drop(pen);
        match written {
            Ok(mut rooms) => {
                let room = rooms.pop().unwrap_or(false);
                for ((_, teller), room) in others.into_iter().zip(rooms) {
                    let _ = teller.send(Told::Written(room));
                }
                Ok(room)
            }
            Err(error) if others.is_empty() => Err(error),
            Err(_) => {
                for (note, teller) in others {
                    let _ = teller.send(Told::Alone(note));
                }
                self.write_alone(&own, now).await
            }
        }
    }

    async fn write_alone(&self, note: &Note, now: Timestamp) -> Stored<bool> {
        let rooms = settle!(self.write_notes(&[note], now))?;
        Ok(rooms.first().copied().unwrap_or(false))
    }

    /// Writes all of `notes`. First what happened, then what follows for rollouts, and
    /// only then who may start: nobody starts beside a report that halts.
    async fn write_notes(&self, notes: &[&Note], now: Timestamp) -> Stored<Vec<bool>> {
        let mut entry = self.begin(now).await?;
        let terminals: Vec<Shared> = notes.iter().map(|note| Arc::clone(&note.terminal)).collect();
        entry.take(&terminals).await?;
        entry.take_reports(notes).await?;
        entry.take_logs(&logs_of(notes)).await?;
        for note in notes {
            entry.happened(&note.terminal, &note.word).await?;
        }
        entry.follow().await?;
        let mut rooms = Vec::with_capacity(notes.len());
        for note in notes {
            rooms.push(match &note.word {
                Word::Start(rollout) => entry.admit(&note.terminal, rollout).await?,
                _ => true,
            });
        }
        let reports = entry.reports.len();
        entry.commit().await?;
        Counters::more(&self.counters.batches, 1);
        Counters::more(&self.counters.reports, reports);
        Ok(rooms)
    }
}

/// The logs among `notes`, and whose they are.
fn logs_of<'n>(notes: &[&'n Note]) -> Vec<(&'n Shared, &'n AttemptLog)> {
    let log = |note: &&'n Note| match &note.word {
        Word::Log(log) => Some((&note.terminal, log.as_ref())),
        _ => None,
    };
    notes.iter().filter_map(log).collect()
}

impl Entry<'_> {
    /// Looks which of the reports are kept already.
    async fn take_reports(&mut self, notes: &[&Note]) -> Stored<()> {
        let mut named = Vec::new();
        for note in notes {
            if let Word::Reports(reports) = &note.word {
                let device = lock(&note.terminal).stored.device.clone();
                named.extend(reports.iter().map(|report| (device.clone(), report.attempt)));
            }
        }
        self.kept = self.tx.known_reports(&named).await?;
        Ok(())
    }

    async fn happened(&mut self, terminal: &Shared, word: &Word) -> Stored<()> {
        match word {
            Word::Reports(reports) => self.file(terminal, reports).await,
            Word::Heartbeat(heartbeat) => self.hear(terminal, heartbeat).await,
            Word::GaveUp(attempt) => self.event(terminal, *attempt, Event::GivenUp).await,
            // Its report says what happened; this is kept beside it.
            Word::Log(_) | Word::Start(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::Terminal;
    use crate::store::StoredDevice;
    use protocols::native::Facts;
    use types::{Digest, Running};

    fn terminal(name: &str) -> Shared {
        let (product, hardware) = ("router".parse().unwrap(), "r1".parse().unwrap());
        let facts = Facts { product, hardware, variant: None, region: None, memory_class_mib: 0 };
        let stored = StoredDevice {
            device: name.parse().unwrap(),
            credential: Digest::of(name.as_bytes()),
            facts: facts.into(),
            slot: None,
            running: Running::new().into(),
            enrolled: Timestamp(0),
            labels: None,
        };
        Terminal::new(stored, None)
    }

    fn note(terminal: &Shared) -> Note {
        Note { terminal: Arc::clone(terminal), word: Word::GaveUp(AttemptId([1; 16])) }
    }

    fn pen_of(told: &mut Receiver<Told>) -> Option<(Note, Pen)> {
        match told.try_recv() {
            Ok(Told::Yours(note, pen)) => Some((note, pen)),
            _ => None,
        }
    }

    #[test]
    fn the_first_writes_and_the_others_wait() {
        let (desk, one, two) = (Desk::default(), terminal("one"), terminal("two"));
        let mut first = desk.put(note(&one)).unwrap();
        let mut second = desk.put(note(&two)).unwrap();
        let mut third = desk.put(note(&two)).unwrap();
        let (own, pen) = pen_of(&mut first).unwrap();
        assert!(pen_of(&mut second).is_none());
        assert_eq!(pen.take_up(&own).len(), 1, "of each terminal one");
        assert!(pen_of(&mut third).is_none());
        drop(pen);
        assert!(pen_of(&mut third).is_some());
    }

    #[test]
    fn a_pen_that_is_let_fall_goes_on() {
        let (desk, one, two) = (Desk::default(), terminal("one"), terminal("two"));
        let mut first = desk.put(note(&one)).unwrap();
        drop(desk.put(note(&two)).unwrap());
        let gone = desk.put(note(&one)).unwrap();
        let mut last = desk.put(note(&two)).unwrap();
        drop(gone);
        drop(pen_of(&mut first));
        assert!(pen_of(&mut last).is_some(), "those before are gone");
        assert!(pen_of(&mut desk.put(note(&one)).unwrap()).is_some(), "the desk is free again");
    }

    #[test]
    fn a_full_desk_takes_no_more_until_some_is_written() {
        let (desk, own) = (Desk::default(), terminal("own"));
        let mut first = desk.put(note(&own)).unwrap();
        let many: Vec<Shared> = (0..WAITING).map(|n| terminal(&format!("t{n}"))).collect();
        let waiting: Vec<_> = many.iter().map(|one| desk.put(note(one)).unwrap()).collect();
        assert!(matches!(desk.put(note(&own)), Err(StoreError::Busy)));
        let (note_of_own, pen) = pen_of(&mut first).unwrap();
        assert_eq!(pen.take_up(&note_of_own).len(), TOGETHER - 1);
        assert!(desk.put(note(&own)).is_ok());
        drop(waiting);
    }
}
