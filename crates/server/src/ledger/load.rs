//! Reads the store into memory: all of it at the start, and then what other servers
//! changed.

use crate::roster::{Terminal, lock};
use crate::server::Server;
use crate::snapshot::{Course, Snapshot};
use crate::store::{Sign, Stored, StoredDevice, StoredRollout, Touched, Tx};
use std::collections::BTreeSet;
use std::sync::PoisonError;
use types::{AttemptId, DeviceId, Digest, Name, Seconds, Timestamp};

/// Terminals that are read by one statement.
const PAGE: u32 = 10_000;
/// How exactly it is written when a terminal in flight was seen: a part of the time
/// after which it is given up, and never more often than every second.
const SIGNS: u32 = 8;
const SIGN_LONGEST: u32 = 60;
/// How long the store may be out of reach before silence proves nothing: what other
/// servers heard meanwhile may not be written.
const GAP: Seconds = Seconds(30);
/// By how much a sign that is stored must be ahead to be one of a wrong clock.
const AHEAD: Seconds = Seconds(3600);

impl Server {
    /// Reads releases, rollouts, terminals and attempts.
    pub(crate) async fn load(&self, now: Timestamp) -> Stored<()> {
        let mut tx = self.store.reach().await?;
        let news = tx.read_everything().await?;
        self.read_plan(&mut tx).await?;
        let mut last: Option<DeviceId> = None;
        loop {
            let page = tx.devices_after(last.as_ref(), PAGE).await?;
            let (Some(first), Some(end)) = (page.first(), page.last()) else { break };
            let attempts = tx.attempts_between(&first.device, &end.device).await?;
            last = Some(end.device.clone());
            page.into_iter().for_each(|device| self.show_device(device));
            for attempt in attempts {
                self.show_stored(&attempt);
            }
        }
        let mut snapshot = Snapshot::clone(&self.snapshot());
        snapshot.audiences.clear();
        snapshot.audiences = snapshot.count(&self.roster);
        self.drift.lock().unwrap_or_else(PoisonError::into_inner).clear();
        snapshot.compile();
        snapshot.renew(now);
        self.change_snapshot(|held| *held = snapshot);
        tx.heard(news);
        Ok(())
    }

    /// Reads releases and rollouts. They offer nothing until they are renewed.
    async fn read_plan(&self, tx: &mut Tx) -> Stored<()> {
        let generation = tx.generation().await?;
        if self.catalogue.replace(tx.releases().await?) {
            self.recognise();
        }
        self.shelf.replace(tx.deltas().await?);
        self.read_root(tx).await?;
        let (stored, sites) = (tx.rollouts().await?, tx.sites().await?);
        let courses = stored.into_iter().filter_map(|rollout| Course::of(rollout, &self.catalogue));
        let courses: Vec<Course> = courses.collect();
        self.change_snapshot(|snapshot| {
            let there: BTreeSet<&Name> = courses.iter().map(|course| &course.rollout.id).collect();
            snapshot.courses.retain(|rollout, _| there.contains(rollout));
            courses.into_iter().for_each(|course| snapshot.take(course));
            snapshot.sites = sites;
            snapshot.plan.generation = generation;
            snapshot.compile();
        });
        Ok(())
    }

    /// Takes a stored terminal into memory.
    pub(crate) fn show_device(&self, device: StoredDevice) {
        let release = self.catalogue.running(&device.facts.product, &device.running);
        match self.roster.device(&device.device) {
            None => {
                let terminal = Terminal::new(device, release);
                self.roster.add(&terminal, None);
                self.count_in(&terminal);
            }
            Some(terminal) if lock(&terminal).stored == device => {}
            Some(terminal) => {
                let old = lock(&terminal).stored.credential;
                let anew = device.credential != old;
                self.alter(&terminal, |terminal| {
                    (terminal.stored, terminal.release) = (device, release);
                });
                if anew {
                    self.roster.add(&terminal, Some(old));
                }
            }
        }
    }

    /// Takes terminals, as they were just read, into memory with their attempts.
    pub(crate) async fn absorb(&self, tx: &mut Tx, devices: Vec<StoredDevice>) -> Stored<()> {
        let names: Vec<Name> = devices.iter().map(|device| device.device.clone()).collect();
        devices.into_iter().for_each(|device| self.show_device(device));
        let attempts = tx.attempts_of(&names).await?;
        let known = |rollout: &&Name| self.snapshot().courses.contains_key(*rollout);
        let rollouts: BTreeSet<&Name> = attempts.iter().map(|attempt| &attempt.rollout).collect();
        let unknown: Vec<Name> = rollouts.into_iter().filter(|r| !known(r)).cloned().collect();
        if !unknown.is_empty() {
            let stored = tx.rollouts_of(&unknown).await?;
            self.absorb_rollouts(tx, stored).await?;
        }
        attempts.iter().for_each(|attempt| self.show_stored(attempt));
        Ok(())
    }

    /// Takes rollouts, as they were just read, into memory.
    pub(crate) async fn absorb_rollouts(
        &self,
        tx: &mut Tx,
        stored: Vec<StoredRollout>,
    ) -> Stored<()> {
        if stored.iter().any(|rollout| self.catalogue.find(rollout.manifest).is_none()) {
            self.catalogue.replace(tx.releases().await?);
        }
        let courses = stored.into_iter().filter_map(|rollout| Course::of(rollout, &self.catalogue));
        let courses: Vec<Course> = courses.collect();
        if !courses.is_empty() {
            self.change_snapshot(|snapshot| {
                courses.into_iter().for_each(|course| snapshot.take(course));
                snapshot.compile();
            });
        }
        Ok(())
    }

    fn show_stored(&self, attempt: &crate::store::StoredAttempt) {
        if let Some(terminal) = self.roster.device(&attempt.device) {
            self.show_attempt(&terminal, attempt);
        }
    }

    /// Reads a terminal that another server may have let in.
    pub(crate) async fn learn(&self, tx: &mut Tx, device: &DeviceId) -> Stored<()> {
        if !tx.is_shared() {
            return Ok(());
        }
        let devices = tx.devices_held(std::slice::from_ref(device)).await?;
        self.absorb(tx, devices).await
    }

    /// Looks in the store for the terminal with this credential.
    pub(crate) async fn learn_holder(&self, credential: Digest) -> Stored<()> {
        let mut tx = self.store.begin().await?;
        if tx.is_shared()
            && let Some(device) = tx.holder(credential).await?
        {
            self.learn(&mut tx, &device).await?;
        }
        Ok(())
    }

    /// Looks in the store for the terminal with this attempt.
    pub(crate) async fn learn_attempt(&self, attempt: AttemptId) -> Stored<()> {
        let mut tx = self.store.begin().await?;
        if tx.is_shared()
            && let Some(device) = tx.device_of(attempt).await?
        {
            self.learn(&mut tx, &device).await?;
        }
        Ok(())
    }

    /// Checks that memory is what the store says, and lets the plan be used for
    /// another lease. Writes how many bytes were sent, and who is alive.
    pub(crate) async fn refresh(&self, now: Timestamp) -> Stored<()> {
        let mut tx = self.store.reach().await?;
        let news = tx.news().await?;
        if news.missed {
            drop(tx);
            return self.load(now).await;
        }
        if tx.generation().await? != self.snapshot().plan.generation {
            self.read_plan(&mut tx).await?;
        }
        self.absorb_all(&mut tx, &news.touched).await?;
        let limited = self.snapshot().courses.values().any(|c| c.rollout.terms.site.is_some());
        let sites = if limited { Some(tx.sites().await?) } else { None };
        let bounds = self.snapshot().bounds_downloads();
        let (turn, moved) = self.turn_downloads(&mut tx, now).await?;
        let downloading = if bounds { Some(tx.downloading(now).await?) } else { None };
        let signs = self.signs(now);
        tx.put_signs(&signs).await?;
        tx.tidy_changes(now).await?;
        tx.commit().await?;
        tx.heard(news);
        self.note_signs(&signs);
        self.downloads.turned(&turn, &moved);
        let drift = std::mem::take(&mut *self.drift.lock().unwrap_or_else(PoisonError::into_inner));
        let counted = self.snapshot().count(&self.roster);
        if now > self.snapshot().plan.good_until.after(GAP) {
            self.knows_again(now);
        }
        self.change_snapshot(|snapshot| {
            let changed = !drift.is_empty() || !counted.is_empty() || sites.is_some();
            snapshot.drift(&drift);
            snapshot.audiences.extend(counted);
            if let Some(sites) = sites {
                snapshot.sites = sites;
            }
            let moved = downloading
                .is_some_and(|new| std::mem::replace(&mut snapshot.downloads, new.clone()) != new);
            if changed || moved {
                snapshot.compile();
            }
            snapshot.renew(now);
        });
        self.downloads.share_out(&self.snapshot());
        Ok(())
    }

    /// Reads what others touched.
    async fn absorb_all(&self, tx: &mut Tx, touched: &Touched) -> Stored<()> {
        let names: Vec<Name> = touched.rollouts.iter().cloned().collect();
        let rollouts = tx.rollouts_of(&names).await?;
        self.absorb_rollouts(tx, rollouts).await?;
        let names: Vec<Name> = touched.devices.iter().cloned().collect();
        let devices = tx.devices_of(&names).await?;
        self.absorb(tx, devices).await
    }

    /// What the store does not know yet of attempts in flight.
    fn signs(&self, now: Timestamp) -> Vec<Sign> {
        let mut out = Vec::new();
        let snapshot = self.snapshot();
        for (rollout, course) in &snapshot.courses {
            let every = Seconds((course.rollout.halt.not_back.0 / SIGNS).clamp(1, SIGN_LONGEST));
            for (id, terminal) in self.roster.in_flight(rollout) {
                let locked = lock(&terminal);
                let Some(tried) = locked.tried(id) else { continue };
                let new = |sign: &Sign| {
                    let ahead = tried.stored.seen > sign.seen.after(AHEAD);
                    let later = sign.seen.seconds_since(tried.stored.seen) >= every;
                    sign.served > 0 || later || ahead
                };
                out.extend(locked.sign(id, now).filter(new));
            }
        }
        out
    }

    /// The store knows these signs now.
    pub(super) fn note_signs(&self, signs: &[Sign]) {
        for sign in signs {
            let Some(terminal) = self.roster.device(&sign.device) else { continue };
            if let Some(tried) = lock(&terminal).tried_mut(sign.attempt) {
                tried.stored.served += sign.served;
                let ahead = tried.stored.seen > sign.seen.after(AHEAD);
                let seen = if ahead { sign.seen } else { tried.stored.seen.max(sign.seen) };
                tried.stored.seen = seen;
            }
        }
    }
}
