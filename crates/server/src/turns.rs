//! When who waits for a place for its download is to come again.
//!
//! Nobody stands in a queue: whoever comes while a place is free has it. Who has waited
//! for longer than others did is told to come sooner, and so meets a free place more often.
//! Nothing is kept of who waits, so nothing can be lost or left over; what a server
//! remembers is one number per rollout, and another server may remember another one.

use types::Seconds;

/// After how many seconds comes again who has waited as long as others do: about as long
/// as a place holds that nobody uses.
const USUAL: u64 = 10;
/// The soonest and the latest.
const SOONEST: u64 = 2;
const LATEST: u64 = 30;
/// The part of the last wait in what is usual.
const PART: u64 = 16;

/// How long one waits in a rollout, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turns(u64);

impl Default for Turns {
    fn default() -> Self {
        Self(USUAL * 1000)
    }
}

impl Turns {
    /// One has a place that waited so many milliseconds for it.
    pub(crate) fn had(&mut self, waited: u64) {
        self.0 = (self.0.saturating_mul(PART - 1).saturating_add(waited) / PART).max(USUAL * 1000);
    }

    /// When one is to come again that has waited so many milliseconds: by the square of how
    /// much longer that is than usual.
    pub(crate) fn again(self, waited: u64) -> Seconds {
        let square = |number: u64| u128::from(number) * u128::from(number);
        let seconds = u128::from(USUAL) * square(self.0) / square(waited).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(LATEST).clamp(SOONEST, LATEST);
        Seconds(u32::try_from(seconds).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::{BinaryHeap, VecDeque};

    /// Terminals, places, milliseconds of a download on the average, and between two
    /// terminals that begin to wait.
    struct Rollout {
        terminals: usize,
        places: usize,
        takes: u64,
        comes: u64,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Event {
        Leaves,
        Asks,
    }

    /// What came of a rollout.
    struct Came {
        /// Milliseconds that terminals waited, the shortest wait first.
        waits: Vec<u64>,
        /// When the last download began.
        end: u64,
        asked: usize,
    }

    /// Numbers by chance (SplitMix64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % limit
        }
    }

    /// Lets them come, and come again as they are told by one of `servers`, or as agents do
    /// that add up to a half; without a server they stand in a queue.
    fn play(rollout: &Rollout, servers: usize) -> Came {
        let Rollout { terminals, places, takes, comes } = *rollout;
        let (mut dice, mut events, mut queue) = (Dice(7), BinaryHeap::new(), VecDeque::new());
        let mut turns = vec![Turns::default(); servers];
        let mut began = Vec::new();
        for terminal in 0..terminals {
            let at = began.last().copied().unwrap_or(0) + dice.below(2 * comes);
            began.push(at);
            events.push(Reverse((at, Event::Asks, terminal)));
        }
        let (mut busy, mut waits, mut end, mut asked) = (0, vec![None; terminals], 0, 0);
        while let Some(Reverse((now, event, terminal))) = events.pop() {
            let next = match event {
                Event::Leaves => {
                    busy -= 1;
                    queue.pop_front()
                }
                Event::Asks => Some(terminal),
            };
            let Some(terminal) = next else { continue };
            asked += 1;
            let waited = now - began[terminal];
            let server = dice.below(servers.max(1) as u64) as usize;
            if busy < places {
                busy += 1;
                assert_eq!(waits[terminal].replace(waited), None, "nobody downloads twice");
                end = now;
                let until = now + takes / 2 + dice.below(takes);
                events.push(Reverse((until, Event::Leaves, terminal)));
                turns.iter_mut().skip(server).take(1).for_each(|turns| turns.had(waited));
            } else if let Some(turns) = turns.get(server) {
                let told = u64::from(turns.again(waited).0) * 1000;
                events.push(Reverse((now + told + dice.below(told / 2), Event::Asks, terminal)));
            } else {
                queue.push_back(terminal);
            }
        }
        let mut waits: Vec<u64> = waits.into_iter().map(|w| w.expect("it downloads")).collect();
        waits.sort_unstable();
        Came { waits, end, asked }
    }

    /// The longest wait is bounded by that in a queue, no place lies idle for it, and who
    /// waits asks no more often than every so many seconds on the average.
    fn check(rollout: &Rollout, servers: usize) {
        let (fair, queue) = (play(rollout, servers), play(rollout, 0));
        let longest = |came: &Came| came.waits.last().copied().unwrap();
        let (ours, best) = (longest(&fair), longest(&queue));
        assert!(ours <= best * 5 / 2, "{ours} ms, in a queue {best} ms");
        assert!(fair.end <= queue.end * 21 / 20, "{} ms in all, {}", fair.end, queue.end);
        let waited: u64 = fair.waits.iter().sum();
        assert!(fair.asked as u64 * 8000 <= waited + rollout.terminals as u64 * 8000);
    }

    #[test]
    fn thousands_that_wait_all_have_their_turn() {
        let rollout = |terminals, places, takes, comes| Rollout { terminals, places, takes, comes };
        for servers in [1, 3] {
            check(&rollout(5000, 50, 60_000, 1000), servers);
            check(&rollout(5000, 4, 20_000, 4000), servers);
            check(&rollout(5000, 200, 60_000, 160), servers);
            check(&rollout(5000, 50, 60_000, 1), servers);
        }
    }

    #[test]
    fn who_waits_longer_comes_sooner() {
        let mut turns = Turns::default();
        let again = |turns: Turns, seconds: u64| turns.again(seconds * 1000).0;
        assert_eq!([0, 5, 10, 20, 60].map(|s| again(turns, s)), [30, 30, 10, 2, 2]);
        for _ in 0..200 {
            turns.had(600_000);
        }
        assert_eq!([60, 599, 1199, 6000].map(|s| again(turns, s)), [30, 10, 2, 2]);
        for _ in 0..200 {
            turns.had(0);
        }
        assert_eq!(turns, Turns::default());
    }
}
