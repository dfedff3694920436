//! What decisions would cost as the models are now, in 1/16 bits. Nothing is learned.

use super::number::{BITS_MAX, Flag, Lengths, Number, Tree};

/// 16 log2(1 + n/128), rounded.
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which says so")]
const LOGS: [u8; 128] = {
    let mut logs = [0; 128];
    let mut at = 0;
    while at < 128 {
        logs[at] = log_of(128 + at as u128);
        at += 1;
    }
    logs
};

/// 16 log2(share / 128) is the logarithm of its sixteenth power, less 112.
const fn log_of(share: u128) -> u8 {
    let power = share.pow(16);
    let whole = power.ilog2();
    // Is what is left more than the root of two?
    let above = (power << (127 - whole)) >> 112 > 46_340;
    (whole + above as u32 - 112) as u8
}

/// What `share` of `1 << bits` costs.
#[inline]
pub(super) fn cost(share: u32, bits: u32) -> u32 {
    let share = share.max(1);
    let high = share.ilog2();
    let log = LOGS.get((share << 7 >> high & 127) as usize).copied().unwrap_or(0);
    (bits - high) * 16 - u32::from(log).min((bits - high) * 16)
}

impl Flag {
    /// What a bit would cost.
    #[inline]
    pub(crate) fn cost(self, bit: bool) -> u32 {
        let one = u32::from(self.one());
        cost(if bit { one } else { 65_536 - one }, 16)
    }
}

impl Tree {
    /// What a symbol of `bits` bits would cost.
    pub(crate) fn cost(&self, bits: u32, context: usize, symbol: u32) -> u32 {
        let (mut node, mut sum) = (1usize, 0);
        for at in (0..bits).rev() {
            let bit = symbol >> at & 1 == 1;
            sum += self.flag(context, node).cost(bit);
            node = node << 1 | usize::from(bit);
        }
        sum
    }
}

/// What numbers would cost in some contexts.
pub(crate) struct NumberCosts<const N: usize> {
    sizes: [[u16; BITS_MAX as usize + 1]; N],
    upper: [[u16; 8]; BITS_MAX as usize + 1],
    lower: [[u16; 4]; 8],
}

impl<const N: usize> NumberCosts<N> {
    /// As `number` is now, in these of its contexts.
    pub(super) fn new(number: &Number, contexts: [usize; N]) -> Self {
        let cost = |tree: &Tree, bits, context, symbol: usize| {
            tree.cost(bits, context, symbol as u32) as u16
        };
        let sizes = contexts
            .map(|context| core::array::from_fn(|size| cost(&number.size, 6, context, size)));
        let upper = core::array::from_fn(|size| {
            let bits = (size as u32).saturating_sub(1).min(3);
            core::array::from_fn(|symbol| cost(&number.upper, bits, size, symbol))
        });
        let lower = core::array::from_fn(|size| {
            let bits = (size as u32).saturating_sub(4).min(2);
            core::array::from_fn(|symbol| cost(&number.lower, bits, size, symbol))
        });
        Self { sizes, upper, lower }
    }

    /// What a number would cost in the context with this place in the list of them.
    #[inline]
    pub(crate) fn cost(&self, context: usize, value: u64) -> u32 {
        let size = 64 - value.leading_zeros();
        let get = |costs: Option<&[u16]>, at: u64| {
            u32::from(costs.and_then(|costs| costs.get(at as usize)).copied().unwrap_or(0))
        };
        let whole = get(self.sizes.get(context).map(|costs| costs.as_slice()), size.into());
        if size < 2 {
            return whole;
        }
        let below = size - 1;
        let left = below - below.min(3);
        let upper = self.upper.get(size as usize).map(|costs| costs.as_slice());
        let lower = self.lower.get(size.min(7) as usize).map(|costs| costs.as_slice());
        whole
            + get(upper, value >> left & 7 & ((1 << below.min(3)) - 1))
            + left.saturating_sub(2) * 16
            + if left > 0 { get(lower, value & ((1 << left.min(2)) - 1)) } else { 0 }
    }
}

/// What lengths would cost in their contexts.
pub(crate) struct LengthCosts<const N: usize> {
    short: [[u16; 16]; N],
    /// That they are longer.
    long: [u16; N],
    rest: NumberCosts<N>,
}

impl<const N: usize> LengthCosts<N> {
    /// As `lengths` are now.
    pub(super) fn new(lengths: &Lengths) -> Self {
        let flag = |step: usize, context: usize, bit| {
            let flag = lengths.long.get(step).and_then(|flags| flags.get(context));
            flag.map_or(0, |flag| flag.cost(bit))
        };
        let short = |context, beyond: usize| {
            let step = beyond / 8;
            let before = if step == 0 { 0 } else { flag(0, context, true) };
            let tree = lengths.short.get(step);
            let which = tree.map_or(0, |tree| tree.cost(3, context, beyond as u32 & 7));
            (before + flag(step, context, false) + which) as u16
        };
        let long = |context| (flag(0, context, true) + flag(1, context, true)) as u16;
        Self {
            short: core::array::from_fn(|at| core::array::from_fn(|beyond| short(at, beyond))),
            long: core::array::from_fn(long),
            rest: NumberCosts::new(&lengths.rest, core::array::from_fn(|at| at)),
        }
    }

    /// What a length less the least one would cost.
    #[inline]
    pub(crate) fn cost(&self, context: usize, beyond: u64) -> u32 {
        let short = self.short.get(context).and_then(|costs| costs.get(beyond as usize));
        match short {
            Some(cost) => (*cost).into(),
            None => {
                let long = self.long.get(context).copied().unwrap_or(0);
                u32::from(long) + self.rest.cost(context, beyond.saturating_sub(16))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::half::HalfModel;
    use super::super::{Coder, Encoder, Meter};
    use super::*;

    /// What is said to cost, and what it did cost, are an eighth of a bit apart for each of
    /// these decisions at most.
    fn check(said: u32, code: impl FnOnce(&mut Meter), decisions: u32) {
        let mut meter = Meter::default();
        code(&mut meter);
        assert!(said.abs_diff(meter.cost) <= 2 * decisions, "{said}, but {}", meter.cost);
    }

    /// Models that learned from like numbers, and others.
    #[test]
    fn numbers_and_lengths_cost_what_they_are_said_to() {
        let (mut number, mut lengths) = (Number::new(2), Lengths::new(2));
        let mut coder = Encoder::new();
        for at in 0..2000u64 {
            let value = [at % 7, 12, at % 40, 1 << (at % 48)][at as usize % 4];
            let said = NumberCosts::new(&number, [1, 0]).cost(0, value);
            check(said, |meter| _ = number.clone().code(meter, 1, value), 64);
            let said = LengthCosts::<2>::new(&lengths).cost(1, value);
            check(said, |meter| _ = lengths.clone().code(meter, 1, value), 70);
            number.code(&mut coder, 1, value);
            lengths.code(&mut coder, 1, value);
        }
        let costs = NumberCosts::new(&number, [1, 0]);
        assert!(costs.cost(0, 12) < 6 * 16 && costs.cost(1, 12) > 6 * 16);
        let costs = LengthCosts::<2>::new(&lengths);
        assert!(costs.cost(1, 12) + 16 < costs.cost(1, 13), "a usual one is cheap");
    }

    #[test]
    fn bytes_cost_what_they_are_said_to() {
        let mut model = HalfModel::<3>::new(6);
        let mut coder = Encoder::new();
        for at in 0..3000u32 {
            let byte = (at * at / 8) as u8 & if at % 2 == 0 { 7 } else { 0xff };
            let contexts = [0, at % 2, at % 50];
            let said = model.cost(&contexts, byte);
            let before = coder.position();
            model.code(&mut coder, &contexts, byte);
            let took = (coder.position() - before) as u32;
            assert!(said.abs_diff(took) <= 8, "{said}, but {took}");
        }
        coder.bit(1 << 15, true);
    }
}
