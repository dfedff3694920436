//! How many bytes a release sends to one device: in full payloads, and with deltas.

use super::deltas::{Tried, Wanted, class};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::AddAssign;
use types::{Digest, Effect, Name, Running};

/// One component of a release, as far as bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which.
    pub component: Name,
    /// Its image.
    pub image: Digest,
    /// How it comes into force.
    pub effect: Effect,
    /// Bytes of its full payload.
    pub full: u64,
}

/// The bytes of a release, and of the deltas that lead to it.
#[derive(Debug, Clone, Default)]
pub struct Payloads {
    pieces: Vec<Piece>,
    /// Bytes and memory of each delta, by the images that it leads from and to.
    deltas: BTreeMap<(Digest, Digest), Vec<(u64, u64)>>,
    /// Between which images deltas are still to be made.
    wanted: BTreeSet<(Digest, Digest)>,
}

/// Bytes for one device, or for many together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// In full payloads.
    pub full: u64,
    /// With the deltas that there are.
    pub least: u64,
    /// How many of the least are of full payloads that a delta is still to be made for:
    /// nobody knows yet how small it will be, or whether it pays.
    pub open: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.full = self.full.saturating_add(other.full);
        self.least = self.least.saturating_add(other.least);
        self.open = self.open.saturating_add(other.open);
    }
}

impl Cost {
    /// The part of `count` among `all` for whom this is the cost.
    #[must_use]
    pub fn part(&self, count: u32, all: u32) -> Self {
        let part = |bytes: u64| {
            let part = u128::from(bytes) * u128::from(count);
            part.checked_div(all.into()).and_then(|part| part.try_into().ok()).unwrap_or(0)
        };
        Self { full: part(self.full), least: part(self.least), open: part(self.open) }
    }
}

impl Payloads {
    /// What is known of a release of these pieces: which deltas were made, and which are
    /// to be.
    pub fn new(pieces: Vec<Piece>, tried: &[Tried], wanted: &[Wanted]) -> Self {
        let mut deltas: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (pair, made) in tried.iter().filter_map(|t| Some(((t.source, t.target), t.made?))) {
            deltas.entry(pair).or_default().push(made);
        }
        let wanted = wanted.iter().map(|wanted| (wanted.source, wanted.target)).collect();
        Self { pieces, deltas, wanted }
    }

    /// The bytes for a device that runs `running` and can spend `mib` on a delta: for the
    /// components whose image it does not run, and for all in banks as soon as one of them
    /// changes, as its other bank holds something older.
    pub fn cost(&self, running: &Running, mib: u32) -> Cost {
        let runs = |piece: &Piece| {
            running.get(&piece.component).is_some_and(|state| state.image == piece.image)
        };
        let banked = |piece: &Piece| piece.effect == Effect::Slot;
        let bank_changes = self.pieces.iter().any(|piece| banked(piece) && !runs(piece));
        let mut sum = Cost::default();
        for piece in &self.pieces {
            if (banked(piece) && bank_changes) || !runs(piece) {
                sum += self.of(piece, running, mib);
            }
        }
        sum
    }

    fn of(&self, piece: &Piece, running: &Running, mib: u32) -> Cost {
        let full = piece.full;
        let in_full = Cost { full, least: full, open: 0 };
        let before = running.get(&piece.component).filter(|_| piece.effect == Effect::Slot);
        let Some(pair) = before.map(|state| (state.image, piece.image)) else { return in_full };
        let heap = u64::from(mib) << 20;
        let made = self.deltas.get(&pair).into_iter().flatten();
        match made.filter(|(_, needs)| *needs <= heap).map(|(size, _)| *size).min() {
            Some(size) => Cost { least: size.min(full), ..in_full },
            None if class(mib).is_some() && self.wanted.contains(&pair) => {
                Cost { open: full, ..in_full }
            }
            None => in_full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use types::ComponentState;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn image(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn piece(component: &str, version: &str, effect: Effect, full: u64) -> Piece {
        let image = image(&alloc::format!("{component} {version}"));
        Piece { component: name(component), image, effect, full }
    }

    fn tried(from: &str, to: &str, made: Option<(u64, u64)>) -> Tried {
        Tried { source: image(from), target: image(to), class: 64, made }
    }

    /// Two in banks and one that is not; a large and a small delta from rootfs 1, a useless
    /// one from kernel 1, and one to be made from rootfs 0.
    fn release() -> Payloads {
        let pieces = vec![
            piece("kernel", "2", Effect::Slot, 10),
            piece("rootfs", "2", Effect::Slot, 100),
            piece("app", "2", Effect::Live, 1),
        ];
        let tried = [
            tried("rootfs 1", "rootfs 2", Some((30, 4 << 20))),
            tried("rootfs 1", "rootfs 2", Some((20, 16 << 20))),
            tried("kernel 1", "kernel 2", None),
            tried("app 1", "app 2", Some((0, 0))),
        ];
        let (source, target) = (image("rootfs 0"), image("rootfs 2"));
        let wanted = Wanted { component: name("rootfs"), source, target, class: 64, devices: 1 };
        Payloads::new(pieces, &tried, &[wanted])
    }

    #[track_caller]
    fn check(runs: &[(&str, &str)], mib: u32, [full, least, open]: [u64; 3]) {
        let state = |(component, version): &(&str, &str)| {
            let image = image(&alloc::format!("{component} {version}"));
            (name(component), ComponentState { version: name(version), image })
        };
        let running = runs.iter().map(state).collect();
        assert_eq!(release().cost(&running, mib), Cost { full, least, open }, "{runs:?} {mib}");
    }

    #[test]
    fn the_smallest_that_fits_is_sent() {
        let old = [("kernel", "1"), ("rootfs", "1"), ("app", "2")];
        check(&old, 64, [110, 30, 0]);
        check(&old, 8, [110, 40, 0]);
        check(&old, 3, [110, 110, 0]);
        check(&old, 0, [110, 110, 0]);
    }

    #[test]
    fn what_is_to_be_made_is_open() {
        let older = [("kernel", "2"), ("rootfs", "0"), ("app", "2")];
        check(&older, 8, [110, 110, 100]);
        check(&older, 3, [110, 110, 0]);
    }

    #[test]
    fn only_what_is_needed_is_sent() {
        check(&[("kernel", "2"), ("rootfs", "2"), ("app", "2")], 8, [0, 0, 0]);
        check(&[("kernel", "2"), ("rootfs", "2"), ("app", "1")], 8, [1, 1, 0]);
        check(&[], 8, [111, 111, 0]);
    }

    #[test]
    fn many_are_a_sum() {
        let mut sum = Cost { full: u64::MAX, least: 1, open: 0 };
        sum += Cost { full: 1, least: 2, open: 3 };
        assert_eq!(sum, Cost { full: u64::MAX, least: 3, open: 3 });
        assert_eq!(sum.part(3, 3), sum);
        assert_eq!(sum.part(1, 3), Cost { full: u64::MAX / 3, least: 1, open: 1 });
        assert_eq!(sum.part(0, 0), Cost::default());
    }
}
