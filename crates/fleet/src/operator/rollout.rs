//! A rollout as its operator ordered it, and how it goes.

use crate::plan::Meant;
use crate::{Audience, Class, DeviceFacts, Fit, Mismatch, Standing, Terms};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use types::{Digest, Name, Outcome, Release, Seconds, Text, Timestamp};

/// One release on its way to one audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Its id; also the salt of its buckets.
    pub id: Name,
    /// What it rolls out.
    pub release: Release,
    /// The images that a device runs when it runs the release.
    pub images: BTreeMap<Name, Digest>,
    /// For whom.
    pub audience: Audience,
    /// What a device must be and run.
    pub fit: Fit,
    /// How it is offered.
    pub terms: Terms,
    /// How it spreads; never empty.
    pub waves: Vec<Wave>,
    /// When it stops by itself.
    pub halt: Halt,
    /// The most devices that update at the same time.
    pub in_flight: u32,
    /// Where it stands.
    pub state: State,
    /// Why it stands there.
    pub why: Text,
    /// The open wave, counted from 0.
    pub wave: usize,
    /// When that wave opened.
    pub opened: Timestamp,
    /// When it was started, if it was.
    pub started: Option<Timestamp>,
    /// When it stopped to wait for its deltas, if it did.
    pub prepared: Option<Timestamp>,
    /// What became of its devices.
    pub tally: Tally,
}

impl Rollout {
    /// Until when it waits for its deltas, if it does: at most so long after its start.
    pub fn preparing(&self) -> Option<Timestamp> {
        let offers = matches!(self.state, State::Running | State::Paused);
        let waits = self.terms.wait_for_deltas.filter(|_| offers && self.prepared.is_none());
        Some(self.started.unwrap_or(self.opened).after(waits?))
    }

    /// The first rule that keeps `device` out of the audience, if one does.
    pub fn mismatch(&self, device: &DeviceFacts<'_>) -> Option<Mismatch> {
        let Self { audience, fit, terms, release, images, .. } = self;
        let (latecomers, started) = (terms.latecomers, self.started.unwrap_or(self.opened));
        Meant { audience, fit, latecomers, started, release, images }.mismatch(device)
    }
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Made, not started.
    Draft,
    /// Offers the release.
    Running,
    /// Offers it to nobody new.
    Paused,
    /// Stopped for good.
    Halted,
    /// Everyone of the last wave has ended; latecomers are served.
    Finished,
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rollout stands at such a state")]
pub struct StateError;

impl State {
    const WORDS: [(Self, &str); 5] = [
        (Self::Draft, "draft"),
        (Self::Running, "running"),
        (Self::Paused, "paused"),
        (Self::Halted, "halted"),
        (Self::Finished, "finished"),
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(state, _)| state == self).map_or("", |(_, word)| word);
        f.write_str(word)
    }
}

impl FromStr for State {
    type Err = StateError;
    fn from_str(text: &str) -> Result<Self, StateError> {
        let found = Self::WORDS.iter().find(|(_, word)| *word == text);
        found.map(|(state, _)| *state).ok_or(StateError)
    }
}

/// How far the release is let out while this wave is the open one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// How many devices, counted over the whole rollout.
    pub size: Size,
    /// When it opens; the first one opens with the start.
    pub opens: Opens,
    /// What is allowed while it is the open one, where that is not what the whole
    /// rollout allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allows: Option<Allowance>,
}

/// How many devices may fail. What is not named is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Allowance {
    /// Allowed percent of the open wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Allowed number of devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How many of a thousand of the open wave must come back: only the silent ones
    /// count against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<u16>,
}

/// A number of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Percent of the audience, 1 to 100.
    Percent(u8),
    /// That many.
    Count(u32),
}

/// When a wave opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opens {
    /// When so many percent of the wave before have confirmed the release.
    Confirmed(u8),
    /// So long after the wave before opened.
    After(Seconds),
    /// At this time, whatever became of the wave before.
    At(Timestamp),
    /// When an operator says so.
    ByHand,
}

/// When a rollout stops by itself: more failures than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// What is allowed.
    #[serde(flatten)]
    pub allows: Allowance,
    /// A device in flight and silent for so long has failed.
    pub not_back: Seconds,
}

/// What became of the devices of a rollout. Every exposed device is in exactly one
/// of the four classes, so their sum is `exposed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Were ever offered the release.
    pub exposed: u32,
    /// Have it and have not ended.
    pub in_flight: u32,
    /// Confirmed it.
    pub confirmed: u32,
    /// Failed.
    pub failed: u32,
    /// Ended without either.
    pub neutral: u32,
    /// Of those that failed: did not come back.
    pub lost: u32,
    /// Bytes that those which reported success fetched.
    pub fetched: u64,
    /// Bytes that full payloads would have had for them.
    pub full: u64,
}

impl Tally {
    /// The tally with one more device that just got the offer.
    #[must_use]
    pub fn admitted(self) -> Self {
        let more = |n: u32| n.saturating_add(1);
        Self { exposed: more(self.exposed), in_flight: more(self.in_flight), ..self }
    }

    /// The tally after the attempt of one device moved.
    #[must_use]
    pub fn moved(mut self, from: Standing, to: Standing) -> Self {
        let lost = |standing| u32::from(is_lost(standing));
        self.lost = self.lost.saturating_sub(lost(from)).saturating_add(lost(to));
        let (from, to) = (from.class(), to.class());
        *self.class_mut(from) = self.class_mut(from).saturating_sub(1);
        *self.class_mut(to) = self.class_mut(to).saturating_add(1);
        self
    }

    /// The tally after one more device reported success: it fetched so many bytes, where
    /// full payloads have so many.
    #[must_use]
    pub fn fetched(self, bytes: u64, full: u64) -> Self {
        let (fetched, all) = (self.fetched.saturating_add(bytes), self.full.saturating_add(full));
        Self { fetched, full: all, ..self }
    }

    fn class_mut(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::InFlight => &mut self.in_flight,
            Class::Confirmed => &mut self.confirmed,
            Class::Failed => &mut self.failed,
            Class::Neutral => &mut self.neutral,
        }
    }
}

/// The device did not come back.
fn is_lost(standing: Standing) -> bool {
    standing.class() == Class::Failed && standing.outcome() == Some(Outcome::NotBack)
}
