//! The load: threads that keep lines busy for some seconds, and count.

use super::line::{Line, Sessions, Target};
use crate::clock::now;
use anyhow::{Result, bail, ensure};
use rustls::HandshakeKind;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// Threads that keep connections: the machine has two processors.
const THREADS: usize = 2;
/// Threads that make connections: each waits for the server most of its time.
const CONNECTING: usize = 8;

/// What the terminals behind one line say, one after the other.
pub(super) trait Talk: Send {
    /// Writes the next request. Returns whether there is one.
    fn ask(&mut self, request: &mut Vec<u8>) -> bool;
    /// Takes the answer to it.
    ///
    /// # Errors
    /// It is not what it must be.
    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()>;
}

/// How much was done, and in which time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) count: u64,
    pub(super) took: Duration,
}

impl Rate {
    /// Per second.
    pub(super) fn per_second(self) -> f64 {
        let seconds = self.took.as_secs_f64().max(f64::EPSILON);
        f64::from(u32::try_from(self.count).unwrap_or(u32::MAX)) / seconds
    }
}

/// Keeps a line for each of `talks` busy until `length` is over or nobody has more to say.
pub(super) fn keep<T: Talk>(target: &Target, talks: &mut [T], length: Duration) -> Result<Rate> {
    let mut lines = Vec::new();
    for talk in talks.iter_mut() {
        lines.push((Line::connect(target)?, talk));
    }
    let share = lines.len().div_ceil(THREADS).max(1);
    let began = now();
    let count = std::thread::scope(|scope| {
        let make = |mine| scope.spawn(move || take_turns(mine, began + length));
        sum(lines.chunks_mut(share).map(make).collect())
    })?;
    Ok(Rate { count, took: now() - began })
}

/// Sends on all lines, then hears on all: so many requests are under way at once.
fn take_turns<T: Talk>(lines: &mut [(Line, &mut T)], end: Instant) -> Result<u64> {
    let (mut request, mut body, mut count) = (Vec::new(), Vec::new(), 0);
    while now() < end {
        let mut asked = Vec::with_capacity(lines.len());
        for (line, talk) in lines.iter_mut() {
            request.clear();
            let asks = talk.ask(&mut request);
            if asks {
                line.send(&request)?;
            }
            asked.push(asks);
        }
        let heard = lines.iter_mut().zip(&asked).filter(|(_, asks)| **asks);
        for ((line, talk), _) in heard {
            let status = line.receive(&mut body)?;
            talk.hear(status, &body)?;
            count += 1;
        }
        if !asked.contains(&true) {
            break;
        }
    }
    Ok(count)
}

/// Makes a new connection for each request until `length` is over. With
/// [`Sessions::Resumed`], all but each thread's first go on with a session.
pub(super) fn connect<T: Talk>(
    target: &Target,
    sessions: Sessions,
    talks: &mut [T],
    length: Duration,
) -> Result<Rate> {
    let share = talks.len().div_ceil(CONNECTING).max(1);
    let began = now();
    let count = std::thread::scope(|scope| {
        let make = |mine| scope.spawn(move || one_each(target, sessions, mine, began + length));
        sum(talks.chunks_mut(share).map(make).collect())
    })?;
    Ok(Rate { count, took: now() - began })
}

/// What all threads counted, once all have ended.
fn sum(threads: Vec<ScopedJoinHandle<'_, Result<u64>>>) -> Result<u64> {
    let ended: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
    ended.into_iter().map(|count| count.unwrap_or_else(|_| bail!("a thread panicked"))).sum()
}

fn one_each<T: Talk>(
    target: &Target,
    sessions: Sessions,
    talks: &mut [T],
    end: Instant,
) -> Result<u64> {
    let (mut request, mut body, mut count, mut resumed) = (Vec::new(), Vec::new(), 0, 0);
    while now() < end {
        for talk in talks.iter_mut() {
            request.clear();
            ensure!(talk.ask(&mut request), "there is nothing more to ask");
            let mut line = Line::connect(target)?;
            line.send(&request)?;
            let status = line.receive(&mut body)?;
            talk.hear(status, &body)?;
            count += 1;
            resumed += u64::from(line.kind() == Some(HandshakeKind::Resumed));
        }
    }
    let expected = match sessions {
        Sessions::Fresh => resumed == 0,
        Sessions::Resumed => resumed * 10 >= count * 9,
    };
    ensure!(expected, "{resumed} of {count} connections went on with a session");
    Ok(count)
}
