//! The codes of deflate (RFC 1951), read and written.

use super::trees::Counts;
use super::{LITERAL, Token};
use alloc::vec::Vec;

/// RFC 1951, 3.2.5: base and extra bits by code.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];
pub(super) const LENGTH_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
pub(super) const END: usize = 256;

/// Bits, least significant first.
#[derive(Clone)]
pub(super) struct Bits<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Bits<'_> {
    /// The next bit, of which codes are made.
    #[inline]
    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    // Called from a dozen places: inlined it would be a part of the agent's size.
    #[inline(never)]
    pub(super) fn take(&mut self, count: u8) -> Option<u32> {
        let (byte, shift) = (self.at / 8, self.at % 8);
        let end = self.at + usize::from(count);
        (end <= self.bytes.len() * 8).then_some(())?;
        let mut word = [0; 4];
        word.iter_mut().zip(self.bytes.get(byte..)?).for_each(|(to, from)| *to = *from);
        self.at = end;
        Some(u32::from_le_bytes(word) >> shift & ((1 << count) - 1))
    }
}

#[derive(Default)]
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    held: u64,
    count: u32,
}

impl Writer {
    // Called from many places, as `Bits::take` is.
    #[inline(never)]
    pub(super) fn put(&mut self, value: u32, bits: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// How many bits were put.
    pub(super) fn bits(&self) -> usize {
        self.out.len() * 8 + self.count as usize
    }

    pub(super) fn align(&mut self, padding: u32) {
        if self.count > 0 {
            self.put(padding & ((1 << (8 - self.count)) - 1), 8 - self.count);
        }
    }
}

/// A canonical code (3.2.2), for both ways.
pub(super) struct Code {
    /// Length of each symbol's code, and the code with its first bit lowest.
    symbols: Vec<(u8, u32)>,
    counts: [u16; 16],
    sorted: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0u16; 16];
        for length in lengths.iter().filter(|length| **length > 0) {
            counts.iter_mut().skip(usize::from(*length)).take(1).for_each(|count| *count += 1);
        }
        let (mut next, mut code) = ([0u32; 16], 0u32);
        for (start, count) in next.iter_mut().skip(1).zip(counts.iter().skip(1)) {
            *start = code;
            code = code.wrapping_add(u32::from(*count)) << 1;
        }
        let mut order: Vec<(u8, u16)> = Vec::new();
        let mut symbols = Vec::new();
        for (symbol, length) in lengths.iter().enumerate() {
            let mut bits = 0;
            if *length > 0
                && let Some(next) = next.get_mut(usize::from(*length))
            {
                bits = next.reverse_bits() >> (32 - u32::from(*length));
                *next += 1;
                order.push((*length, symbol as u16));
            }
            symbols.push((*length, bits));
        }
        order.sort_unstable();
        let sorted = order.into_iter().map(|(_, symbol)| symbol).collect();
        Self { symbols, counts, sorted }
    }

    fn read(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut first, mut index) = (0u32, 0u32, 0u32);
        for count in self.counts.iter().skip(1) {
            code |= bits.bit()?;
            let count = u32::from(*count);
            if code < first + count {
                let place = index + code.checked_sub(first)?;
                return self.sorted.get(place as usize).map(|symbol| usize::from(*symbol));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }

    pub(super) fn write(&self, symbol: usize, writer: &mut Writer) -> Option<()> {
        let (length, code) = *self.symbols.get(symbol)?;
        (length > 0).then(|| writer.put(code, length.into()))
    }
}

/// The codes of a block.
pub(super) struct Codes {
    pub(super) literals: Code,
    distances: Code,
}

impl Codes {
    pub(super) fn fixed() -> Self {
        let mut lengths = [8; 288];
        lengths.iter_mut().skip(144).take(112).for_each(|length| *length = 9);
        lengths.iter_mut().skip(256).take(24).for_each(|length| *length = 7);
        Self { literals: Code::new(&lengths), distances: Code::new(&[5; 30]) }
    }

    /// 3.2.7.
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let literals = bits.take(5)? as usize + 257;
        let distances = bits.take(5)? as usize + 1;
        let count = bits.take(4)? as usize + 4;
        let mut lengths = [0u8; 19];
        for place in LENGTH_ORDER.iter().take(count) {
            *lengths.get_mut(*place)? = bits.take(3)? as u8;
        }
        let code = Code::new(&lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (value, times) = match code.read(bits)? {
                16 => (*lengths.last()?, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                symbol => (symbol as u8, 1),
            };
            lengths.extend((0..times).map(|_| value));
        }
        let (first, second) = lengths.get(..literals + distances)?.split_at(literals);
        Some(Self::of(first, second))
    }

    /// The codes of these lengths.
    pub(super) fn of(literals: &[u8], distances: &[u8]) -> Self {
        Self { literals: Code::new(literals), distances: Code::new(distances) }
    }

    /// The next token, whose symbols are counted; `None` inside is the block's end.
    pub(super) fn token(&self, bits: &mut Bits<'_>, counts: &mut Counts) -> Option<Option<Token>> {
        let symbol = self.literals.read(bits)?;
        let Some(code) = symbol.checked_sub(END + 1) else {
            counts.add(symbol, None);
            return Some((symbol != END).then_some(LITERAL));
        };
        let (base, extra) = *LENGTHS.get(code)?;
        let length = base + bits.take(extra)? as u16;
        let distance = self.distances.read(bits)?;
        counts.add(symbol, Some(distance));
        let (base, extra) = *DISTANCES.get(distance)?;
        let distance = base + bits.take(extra)? as u16;
        Some(Some(Token { length, distance }))
    }

    pub(super) fn write(&self, token: Token, literal: u8, writer: &mut Writer) -> Option<()> {
        let (symbol, distance) = symbols(token, literal)?;
        self.literals.write(symbol, writer)?;
        let Some(code) = distance else { return Some(()) };
        let (base, extra) = *LENGTHS.get(symbol.checked_sub(END + 1)?)?;
        writer.put((token.length - base).into(), extra.into());
        let (base, extra) = *DISTANCES.get(code)?;
        self.distances.write(code, writer)?;
        writer.put((token.distance - base).into(), extra.into());
        Some(())
    }
}

/// The symbol of a literal or of a length, and that of the distance.
pub(super) fn symbols(token: Token, literal: u8) -> Option<(usize, Option<usize>)> {
    if token == LITERAL {
        return Some((literal.into(), None));
    }
    // A length of 258 has its own code; others take the last that is not above.
    let last = if token.length == 258 { 29 } else { 28 };
    let code = LENGTHS.iter().take(last).rposition(|(base, _)| *base <= token.length)?;
    let distance = DISTANCES.iter().rposition(|(base, _)| *base <= token.distance)?;
    Some((END + 1 + code, Some(distance)))
}
