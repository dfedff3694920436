//! Gaps between covers become symbols, by the cheapest way through what nothing old
//! explains.

use super::Writer;
use super::plan::PLAN;
use crate::coder::{Guess, Kind};
use crate::diff::DiffError;
use crate::diff::way::How;

impl Writer<'_> {
    /// Writes what no cover explains, up to `end`; then old goes on at `next`.
    pub(super) fn gap(&mut self, end: usize, next: usize) -> Result<(), DiffError> {
        while self.at < end {
            self.make_room(next)?;
            let base = self.base;
            let end = end.min(self.ends.boundary(self.coder.len(), self.at));
            self.earlier.reach(self.at..end.min(self.at + PLAN));
            for step in self.plan(end) {
                self.make_room(next)?;
                if self.base != base {
                    // What was planned for another span does not hold.
                    break;
                }
                match step.how {
                    How::New => self.new_byte(),
                    How::Noise => self.noise(step.len),
                    How::Earlier(distance) => self.take_earlier(distance, step.len as u64),
                }
            }
        }
        Ok(())
    }

    fn take_earlier(&mut self, distance: u64, len: u64) {
        let known = self.symbols.distances_used.iter().position(|used| *used == distance);
        let kind = if known.is_some() { Kind::Again } else { Kind::Earlier };
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, kind);
        match known {
            Some(number) => self.symbols.again(&mut self.coder, (len, number)),
            None => self.symbols.earlier(&mut self.coder, (len, distance)),
        };
        self.took(|why| &mut why.control, self.at, before);
        self.pass(len as usize);
    }

    fn new_byte(&mut self) {
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, Kind::New);
        let guess = self.guessed(self.symbols.guess(), self.at);
        if let (Guess::Old(from), Some(_)) = (self.symbols.guess(), guess) {
            self.ledger.read(from as usize, 1);
        }
        let guess = guess.unwrap_or(0);
        let byte = self.new.get(self.at).copied().unwrap_or(0);
        self.symbols.new_byte(&mut self.coder, guess, byte);
        let took = self.coder.position() - before;
        self.lately.iter_mut().for_each(|lately| lately.took(took));
        self.took(|why| &mut why.new_bytes, self.at, before);
        self.at += 1;
    }

    fn noise(&mut self, count: usize) {
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, Kind::Noise);
        self.symbols.length(&mut self.coder, Kind::Noise, 1, count as u64);
        for byte in self.new.iter().skip(self.at).take(count) {
            self.symbols.noise(&mut self.coder, *byte);
        }
        self.took(|why| &mut why.new_bytes, self.at, before);
        self.at += count;
    }
}
