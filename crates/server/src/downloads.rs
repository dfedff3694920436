//! Who downloads from this server, of rollouts that bound downloads: places that hold
//! for a while, are moved on while bytes go, and end by themselves.
//!
//! A place is a row in the store, so that the bound is that of all servers. A server that
//! cannot move a place on stops to serve it when its time is over: by then another one may
//! have given it away. The rate is shared out among all that have a place.

use crate::clock;
use crate::northbound::metrics::Counters;
use crate::problem::{Refusal, Reply};
use crate::roster::{Terminal, Tried, lock};
use crate::server::Server;
use crate::snapshot::Snapshot;
use crate::southbound::Granted;
use crate::store::{Download, Stored, Tx, counted, settle};
use crate::turns::Turns;
use engine::Throttle;
use fleet::{Places, Track};
use protocols::native::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use types::{AttemptId, Name, Seconds, Text, Timestamp};

/// How long a place holds without being moved on.
pub(crate) const HOLDS: Seconds = Seconds(10);
/// It is moved on when less is left.
const SOON: Seconds = Seconds(7);
/// How long it is kept for who may come back for the next entry.
const KEPT: Seconds = Seconds(3);
/// After how long a terminal that takes no bytes loses it.
const IDLE: Seconds = Seconds(60);
/// What is smaller than this is no download: documents, lists of chunks.
pub(crate) const SMALL: u64 = 64 << 10;
/// A piece is at most what may go in this part of a second.
const PART: u32 = 8;
/// The least piece: smaller ones cost more than they even out.
const LEAST_PIECE: u32 = 4 << 10;

/// The places that this server serves.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    places: Mutex<BTreeMap<AttemptId, Arc<Place>>>,
    /// How long one waits for a place, by rollout.
    turns: Mutex<BTreeMap<Name, Turns>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Place {
    rollout: Name,
    site: Option<Text>,
    /// Until when it holds.
    until: AtomicI64,
    /// When bytes were last taken.
    taken: AtomicI64,
    /// How many bodies go now.
    bodies: AtomicU32,
    /// Bytes per second; 0 where they are not bounded.
    rate: AtomicU32,
    throttle: Mutex<Throttle>,
}

/// The right to send bytes of one body.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Place>);

impl Pass {
    fn new(place: Arc<Place>, now: Timestamp) -> Self {
        place.bodies.fetch_add(1, Ordering::Relaxed);
        place.taken.store(now.0, Ordering::Relaxed);
        Self(place)
    }

    /// The most bytes of the next piece.
    pub(crate) fn piece(&self) -> usize {
        match self.0.rate.load(Ordering::Relaxed) {
            0 => usize::MAX,
            rate => usize::try_from((rate / PART).max(LEAST_PIECE)).unwrap_or(usize::MAX),
        }
    }

    /// So many bytes go at `now`, of which a clock that goes evenly says `passed`: how many
    /// milliseconds to wait before the next ones.
    ///
    /// # Errors
    /// The place is over: another one may have it.
    pub(crate) fn take(&self, bytes: usize, now: Timestamp, passed: u64) -> io::Result<u64> {
        if now.0 > self.0.until.load(Ordering::Relaxed) {
            return Err(io::Error::other("the place of a download is over"));
        }
        self.0.taken.store(now.0, Ordering::Relaxed);
        let mut throttle = self.0.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.set_rate(self.0.rate.load(Ordering::Relaxed));
        Ok(throttle.take(u32::try_from(bytes).unwrap_or(u32::MAX), passed))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.taken.store(clock::now().0, Ordering::Relaxed);
        self.0.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is to be written about places.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    on: Vec<Download>,
    off: Vec<(Name, AttemptId)>,
}

impl Downloads {
    fn place(&self, attempt: AttemptId) -> Option<Arc<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(&attempt).cloned()
    }

    /// When one is to come again that has waited so many milliseconds.
    fn again(&self, rollout: &Name, waited: u64) -> Seconds {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(rollout).copied().unwrap_or_default().again(waited)
    }

    /// One has a place that waited so many milliseconds.
    fn had(&self, rollout: &Name, waited: u64) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(rollout.clone()).or_default().had(waited);
    }

    fn put(&self, attempt: AttemptId, place: &Arc<Place>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(attempt, Arc::clone(place));
    }

    /// Which places are to be moved on, and which given up.
    fn turn(&self, now: Timestamp) -> Turn {
        let mut turn = Turn::default();
        for (attempt, place) in self.places.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let taken = Timestamp(place.taken.load(Ordering::Relaxed));
            let idle = now.seconds_since(taken);
            let goes = place.bodies.load(Ordering::Relaxed) > 0;
            let (rollout, attempt) = (place.rollout.clone(), *attempt);
            if (goes && idle > IDLE) || (!goes && idle >= KEPT) {
                turn.off.push((rollout, attempt));
            } else if now.after(SOON).0 > place.until.load(Ordering::Relaxed) {
                let (site, until) = (place.site.clone(), now.after(HOLDS));
                turn.on.push(Download { rollout, attempt, site, until });
            }
        }
        turn
    }

    /// What was written holds: who was moved on goes on, the others are over.
    pub(crate) fn turned(&self, turn: &Turn, moved: &BTreeSet<AttemptId>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over: Vec<AttemptId> = turn.off.iter().map(|(_, attempt)| *attempt).collect();
        for Download { attempt, until, .. } in &turn.on {
            match places.get(attempt).filter(|_| moved.contains(attempt)) {
                Some(place) => place.until.store(until.0, Ordering::Relaxed),
                None => over.push(*attempt),
            }
        }
        for attempt in over {
            if let Some(place) = places.remove(&attempt) {
                place.until.store(i64::MIN, Ordering::Relaxed);
            }
        }
    }

    /// The clock was set to `now`, and in the store each place holds anew.
    pub(crate) fn hold_anew(&self, now: Timestamp) {
        for place in self.places.lock().unwrap_or_else(PoisonError::into_inner).values() {
            place.until.store(now.after(HOLDS).0, Ordering::Relaxed);
            place.taken.store(now.0, Ordering::Relaxed);
        }
    }

    /// Gives everybody the share that is due.
    pub(crate) fn share_out(&self, snapshot: &Snapshot) {
        for place in self.places.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let rate = snapshot.download_rate(&place.rollout, place.site.as_ref()).unwrap_or(0);
            place.rate.store(rate, Ordering::Relaxed);
        }
    }
}

impl Server {
    /// A place for who begins to download `size` bytes, where its rollout bounds downloads.
    pub(crate) async fn download(
        &self,
        granted: &Granted,
        size: u64,
        now: Timestamp,
    ) -> Reply<Option<Pass>> {
        let (attempt, rollout) = (granted.attempt, &granted.rollout);
        let snapshot = self.snapshot();
        let places = snapshot.places(rollout);
        if places.is_none() || size < SMALL {
            return Ok(None);
        }
        if let Some(place) = self.downloads.place(attempt)
            && place.until.load(Ordering::Relaxed) > now.0
        {
            return Ok(Some(Pass::new(place, now)));
        }
        let of = |tried: &Tried| (tried.stored.site.clone(), tried.stored.offered);
        let (site, offered) = lock(&granted.terminal).tried(attempt).map_or((None, now), of);
        let waited = u64::try_from(now.0.saturating_sub(offered.0)).unwrap_or(0);
        let until = now.after(HOLDS);
        let wanted = Download { rollout: rollout.clone(), attempt, site, until };
        let known = snapshot.downloads.get(rollout);
        let (all, here) = known.map_or((0, 0), |known| counted(known, wanted.site.as_ref()));
        let had = known.is_some_and(|known| known.contains_key(&attempt));
        let room = had || places.room(all, here);
        if !room || !settle!(self.enter_download(&wanted, places, now))? {
            Counters::more(&self.counters.held, 1);
            return Err(Refusal::held(rollout, self.downloads.again(rollout, waited)));
        }
        if !had {
            self.downloads.had(rollout, waited);
        }
        let place = Arc::new(Place {
            rollout: wanted.rollout,
            site: wanted.site,
            until: AtomicI64::new(until.0),
            taken: AtomicI64::new(now.0),
            bodies: AtomicU32::new(0),
            rate: AtomicU32::new(0),
            throttle: Mutex::new(Throttle::new(0)),
        });
        self.downloads.put(attempt, &place);
        self.downloads.share_out(&self.snapshot());
        Ok(Some(Pass::new(place, now)))
    }

    async fn enter_download(
        &self,
        wanted: &Download,
        places: Places,
        now: Timestamp,
    ) -> Stored<bool> {
        let mut tx = self.store.begin().await?;
        let there = tx.enter_download(wanted, places, now).await?;
        tx.commit().await?;
        let entered = there.is_some();
        if let Some(there) = there {
            self.change_snapshot(|snapshot| {
                snapshot.downloads.insert(wanted.rollout.clone(), there);
                snapshot.compile();
            });
        }
        Ok(entered)
    }

    /// Moves places on whose bytes go, and gives up the others.
    pub(crate) async fn turn_downloads(
        &self,
        tx: &mut Tx,
        now: Timestamp,
    ) -> Stored<(Turn, BTreeSet<AttemptId>)> {
        let turn = self.downloads.turn(now);
        let moved = tx.move_downloads_on(&turn.on).await?;
        tx.leave_downloads(&turn.off).await?;
        Ok((turn, moved))
    }
}

/// What is to be said of the download of an attempt under way, where that is bounded.
pub(crate) fn shown(snapshot: &Snapshot, terminal: &Terminal, track: &Track) -> Option<String> {
    let of_track = |tried: &&Tried| tried.stored.rollout == track.rollout;
    let tried = terminal.tries.iter().rev().find(of_track)?;
    let before = matches!(terminal.phase, Phase::Idle | Phase::Waiting | Phase::Downloading);
    let places = snapshot.places(&track.rollout);
    if places.is_none() || !before {
        return None;
    }
    let known = snapshot.downloads.get(&track.rollout);
    if known.is_some_and(|known| known.contains_key(&tried.stored.attempt)) {
        let rate = snapshot.download_rate(&track.rollout, tried.stored.site.as_ref());
        let rate = rate.map(|rate| format!(", {} kbit/s at most", u64::from(rate) * 8 / 1000));
        return Some(format!("it downloads{}", rate.unwrap_or_default()));
    }
    let (all, here) = known.map_or((0, 0), |known| counted(known, tried.stored.site.as_ref()));
    let full = !places.room(all, here);
    full.then(|| format!("its download waits: {all} download, {here} of them at its site"))
}
