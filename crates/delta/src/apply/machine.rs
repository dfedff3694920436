//! Executes the symbols of a span: plain new comes out.

use super::ApplyError;
use super::old::PlainOld;
use super::pages::{PAGE, PAGES, Pages};
use crate::coder::{Decoder, Grid, Guess, Kind, Models, Moves, Symbols};
use crate::patch::{Lists, SPAN_MAX};
use crate::read::ReadAt;
use alloc::vec;
use alloc::vec::Vec;

/// The most bytes that are made before they are given out.
const BATCH: u64 = 32 << 10;

/// What the machine is in the middle of.
#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    Copy { left: u64 },
    Change { grid: Grid, left: u64 },
    Earlier { distance: u64, left: u64 },
    Noise { left: u64 },
}

/// The state of a span.
pub(crate) struct Machine {
    symbols: Symbols,
    /// The last bytes of plain new, as a ring.
    window: Vec<u8>,
    doing: Doing,
    /// Bytes of plain new in the span.
    plain: u64,
    /// How many of them were given out.
    given: u64,
    /// Bytes of the image before the span.
    base: u64,
    old: PlainOld,
    new_pages: Pages,
}

impl Machine {
    /// Bytes of heap that a machine takes with everything around it.
    pub(crate) fn heap(window_log: u8, models: Models) -> u64 {
        Symbols::heap(models) + (1 << window_log) + 2 * PAGE * PAGES + 2 * SPAN_MAX as u64
    }

    /// Takes its memory.
    pub(crate) fn new(window_log: u8, models: Models, moves: Moves, old: PlainOld) -> Self {
        Self {
            symbols: Symbols::new(models, moves),
            window: vec![0; 1 << window_log],
            doing: Doing::Nothing,
            plain: 0,
            given: 0,
            base: 0,
            old,
            new_pages: Pages::new(),
        }
    }

    /// Starts a span; `base` bytes of the image are finished.
    pub(crate) fn start(&mut self, lists: &mut Lists, base: u64) {
        self.symbols.reset(lists.to, lists.from);
        self.doing = Doing::Nothing;
        (self.plain, self.given, self.base) = (lists.plain, 0, base);
        self.new_pages.forget();
        self.old.list(core::mem::take(&mut lists.old));
    }

    /// Everything was made and given out.
    pub(crate) fn is_done(&self) -> bool {
        self.given == self.plain
    }

    /// Makes plain new, if none is there, and returns what is at hand.
    pub(crate) fn ready(
        &mut self,
        coder: &mut Decoder,
        old: &mut dyn ReadAt,
        new: &mut dyn ReadAt,
    ) -> Result<&[u8], ApplyError> {
        if self.given == self.symbols.to {
            let until = self.symbols.to.saturating_add(BATCH).min(self.plain);
            while self.symbols.to < until {
                self.go(coder, until, old, new)?;
            }
        }
        let ready = (self.symbols.to - self.given) as usize;
        let rest = self.window.get(self.place(self.given)..).unwrap_or_default();
        Ok(rest.get(..ready.min(rest.len())).unwrap_or_default())
    }

    /// `count` bytes of what was ready were given out.
    pub(crate) fn took(&mut self, count: usize) {
        self.given = self.given.saturating_add(count as u64).min(self.symbols.to);
    }

    /// Goes on by one symbol, or with one, up to `until`.
    fn go(
        &mut self,
        coder: &mut Decoder,
        until: u64,
        old: &mut dyn ReadAt,
        new: &mut dyn ReadAt,
    ) -> Result<(), ApplyError> {
        let room = until.saturating_sub(self.symbols.to);
        match self.doing {
            Doing::Nothing => self.next(coder, old, new),
            Doing::Copy { left } => {
                let count = self.copy(left.min(room), old)?;
                self.doing = left_over(left, count, |left| Doing::Copy { left });
                Ok(())
            }
            Doing::Change { grid, left } => {
                let count = self.change(coder, grid, left, old)?;
                self.doing = left_over(left, count, |left| Doing::Change { grid, left });
                if coder.is_beyond() { Err(TOO_EARLY) } else { Ok(()) }
            }
            Doing::Earlier { distance, left } => {
                let count = self.earlier(distance, left.min(room), new)?;
                self.doing = left_over(left, count, |left| Doing::Earlier { distance, left });
                Ok(())
            }
            Doing::Noise { left } => {
                let count = left.min(room);
                for _ in 0..count {
                    let at = self.symbols.to;
                    let byte = self.symbols.noise(coder, 0);
                    self.put(at, byte);
                }
                self.doing = left_over(left, count, |left| Doing::Noise { left });
                if coder.is_beyond() { Err(TOO_EARLY) } else { Ok(()) }
            }
        }
    }

    /// Reads the next symbol.
    fn next(
        &mut self,
        coder: &mut Decoder,
        old: &mut dyn ReadAt,
        new: &mut dyn ReadAt,
    ) -> Result<(), ApplyError> {
        if coder.is_beyond() {
            return Err(TOO_EARLY);
        }
        let mut kind = self.symbols.kind(coder, Kind::New);
        if kind == Kind::New {
            let guess = self.guess(old, new)?;
            let byte = self.symbols.new_byte(coder, guess, 0);
            self.put(self.symbols.to.wrapping_sub(1), byte);
            return Ok(());
        }
        if kind == Kind::Jump {
            self.symbols.jump(coder, 0);
            kind = self.symbols.kind(coder, Kind::New);
        }
        self.doing = match kind {
            Kind::Copy => {
                self.symbols.align();
                Doing::Copy { left: self.symbols.length(coder, kind, 1, 0) }
            }
            Kind::Change(grid) => {
                self.symbols.align();
                let count = self.symbols.length(coder, kind, 1, 0);
                let step = if grid == Grid::Words { 4 } else { 1 };
                Doing::Change { grid, left: count.saturating_mul(step) }
            }
            Kind::Earlier => {
                let (left, distance) = self.symbols.earlier(coder, (0, 0));
                Doing::Earlier { distance, left }
            }
            Kind::Again => {
                let (left, distance) = self.symbols.again(coder, (0, 0));
                Doing::Earlier { distance, left }
            }
            Kind::Noise => Doing::Noise { left: self.symbols.length(coder, kind, 1, 0) },
            Kind::New | Kind::Jump => return Err(ApplyError::Damaged("a jump leads nowhere")),
        };
        match self.doing {
            Doing::Copy { left }
            | Doing::Change { left, .. }
            | Doing::Earlier { left, .. }
            | Doing::Noise { left }
                if left > self.plain - self.symbols.to =>
            {
                Err(ApplyError::Damaged("a copy goes on behind its span"))
            }
            _ => Ok(()),
        }
    }

    /// Copies up to `count` bytes of old.
    fn copy(&mut self, count: u64, old: &mut dyn ReadAt) -> Result<u64, ApplyError> {
        let from = self.symbols.from;
        let place = self.place(self.symbols.to);
        let room = self.window.get_mut(place..).unwrap_or_default();
        let want = count.min(room.len() as u64) as usize;
        let mut count = 0;
        if want >= PAGE as usize {
            count = self.old.read(old, from, room.get_mut(..want).unwrap_or_default())?;
        }
        if count == 0 {
            let bytes = self.old.get(old, from)?;
            count = want.min(bytes.len());
            room.iter_mut().zip(bytes).take(count).for_each(|(to, from)| *to = *from);
        }
        if count == 0 {
            return Err(ApplyError::Damaged("a copy is not from the old image"));
        }
        let last = room.get(count.saturating_sub(8)..count).unwrap_or_default();
        self.symbols.copied(count as u64, last);
        self.symbols.from = from.saturating_add(count as u64);
        Ok(count as u64)
    }

    /// Reads the next bytes of a change.
    fn change(
        &mut self,
        coder: &mut Decoder,
        grid: Grid,
        left: u64,
        old: &mut dyn ReadAt,
    ) -> Result<u64, ApplyError> {
        let around = self.old.around(old, self.symbols.from)?;
        let at = self.symbols.to;
        let (bytes, count) = self.symbols.change(coder, grid, around, left, 0);
        for k in 0..count {
            self.put(at + u64::from(k), (bytes >> (8 * k)) as u8);
        }
        Ok(count.into())
    }

    /// Copies up to `count` bytes of what was made before.
    fn earlier(
        &mut self,
        distance: u64,
        count: u64,
        new: &mut dyn ReadAt,
    ) -> Result<u64, ApplyError> {
        let to = self.symbols.to;
        if let Some(start) = to.checked_sub(distance) {
            if distance > self.window.len() as u64 {
                return Err(ApplyError::Damaged("a distance is larger than the window"));
            }
            for at in 0..count {
                let byte = self.window.get(self.place(start + at)).copied().unwrap_or(0);
                self.put(to + at, byte);
                self.symbols.copied(1, &[byte]);
            }
            return Ok(count);
        }
        let back = distance - to;
        let at = self.base.checked_sub(back).ok_or(BEFORE)?;
        let page = self.new_pages.get(new, self.base, at).map_err(ApplyError::New)?;
        let count = count.min(page.len() as u64).min(back) as usize;
        for (at, byte) in (to..).zip(page.iter().take(count)) {
            let place = (at & (self.window.len() as u64 - 1)) as usize;
            if let Some(slot) = self.window.get_mut(place) {
                *slot = *byte;
            }
        }
        let last = page.get(count.saturating_sub(8)..count).unwrap_or_default();
        self.symbols.copied(count as u64, last);
        Ok(count as u64)
    }

    /// The byte that the last copy would go on with.
    fn guess(&mut self, old: &mut dyn ReadAt, new: &mut dyn ReadAt) -> Result<u8, ApplyError> {
        let distance = match self.symbols.guess() {
            Guess::None => return Ok(0),
            Guess::Old(from) => return self.old.next(old, from),
            Guess::Earlier(distance) => distance,
        };
        let to = self.symbols.to;
        if let Some(at) = to.checked_sub(distance) {
            if distance > self.window.len() as u64 {
                return Ok(0);
            }
            return Ok(self.window.get(self.place(at)).copied().unwrap_or(0));
        }
        let at = self.base.checked_sub(distance - to).ok_or(BEFORE)?;
        let page = self.new_pages.get(new, self.base, at).map_err(ApplyError::New)?;
        Ok(page.first().copied().unwrap_or(0))
    }

    fn place(&self, at: u64) -> usize {
        (at & (self.window.len() as u64 - 1)) as usize
    }

    fn put(&mut self, at: u64, byte: u8) {
        let place = self.place(at);
        if let Some(slot) = self.window.get_mut(place) {
            *slot = byte;
        }
    }
}

const TOO_EARLY: ApplyError = ApplyError::Damaged("a span ends too early");
const BEFORE: ApplyError = ApplyError::Damaged("a distance leads before the image");

fn left_over(left: u64, done: u64, rest: impl Fn(u64) -> Doing) -> Doing {
    match left.saturating_sub(done) {
        0 => Doing::Nothing,
        left => rest(left),
    }
}
