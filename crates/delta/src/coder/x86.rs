//! Where the instructions of x86 hold addresses.
//!
//! Nothing says where an instruction begins: what stands before four bytes tells
//! whether they may be one. Most that only look so are ruled out by their value.

use super::moves::Moves;

/// What four bytes are that an instruction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A distance from behind them.
    Distance,
    /// An address, of 32 bits.
    Address,
}

/// Distances are less than this, either way.
const FAR: u32 = 1 << 27;

/// What `word` may be behind the four bytes `before`, the nearest highest.
#[inline]
pub(crate) fn operand(moves: &Moves, before: u32, word: u32) -> Option<Operand> {
    let [_, third, second, first] = before.to_le_bytes();
    // A call or a jump, a conditional jump, and what is relative to the next instruction.
    let distance =
        first & 0xfe == 0xe8 || first & 0xc7 == 0x05 || second == 0x0f && first & 0xf0 == 0x80;
    if distance && word.wrapping_add(FAR) < 2 * FAR {
        return Some(Operand::Distance);
    }
    // To a register, to memory, compared with a register, at an address with an index, or
    // with a register.
    let address = || {
        first & 0xf8 == 0xb8
            || second == 0xc7 && first & 0xf8 == 0xc0
            || third == 0xc7 && second & 0xc0 == 0x40
            || second == 0x81 && first & 0xf8 == 0xf8
            || second & 0xc7 == 0x04 && first & 0x07 == 0x05
            || first & 0xc0 == 0x80 && first & 0x07 != 0x04
    };
    (moves.has_address(word) && address()).then_some(Operand::Address)
}

impl Operand {
    /// The new word, if `moves` knows what the old one refers to.
    #[inline]
    pub(crate) fn translate(self, moves: &Moves, old: u32, from: u64, to: u64) -> Option<u32> {
        match self {
            Self::Distance => moves.relative(old, from.checked_add(4)?, to.checked_add(4)?),
            Self::Address => moves.absolute(moves.base(), old),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u32 = 0x8100_0000;

    /// Behind 0x8000 everything moved by 0x1010 bytes.
    fn moves() -> Moves {
        Moves::new([(0, 0), (0x8000, 0x1010)].into(), BASE, Default::default())
    }

    fn check(before: [u8; 4], word: u32, expected: Option<(Operand, u32)>) {
        let moves = moves();
        let found = operand(&moves, u32::from_le_bytes(before), word);
        let found =
            found.map(|found| (found, found.translate(&moves, word, 0x100, 0x100).unwrap()));
        assert_eq!(found, expected, "{before:x?}");
    }

    #[test]
    fn distances_follow_where_they_lead() {
        let moved = Some((Operand::Distance, 0x9f0c));
        // call, jmp, je, mov rax, [rip]: to 0x104 + 0x8efc.
        check([0, 0, 0, 0xe8], 0x8efc, moved);
        check([0, 0, 0, 0xe9], 0x8efc, moved);
        check([0, 0, 0x0f, 0x84], 0x8efc, moved);
        check([0, 0x48, 0x8b, 0x05], 0x8efc, moved);
        // jmp back
        check([0, 0, 0, 0xe9], 0xffff_fff0, Some((Operand::Distance, 0xffff_fff0)));
    }

    #[test]
    fn addresses_follow_what_they_name() {
        let moved = Some((Operand::Address, BASE + 0xa010));
        // mov edi, imm32; mov rdi, imm32; cmp rbx, imm32; mov rax, [rax * 8 + disp32]
        check([0, 0, 0, 0xbf], BASE + 0x9000, moved);
        check([0, 0x48, 0xc7, 0xc7], BASE + 0x9000, moved);
        check([0, 0x48, 0x81, 0xfb], BASE + 0x9000, moved);
        check([0x48, 0x8b, 0x04, 0xc5], BASE + 0x9000, moved);
    }

    #[test]
    fn what_leads_nowhere_is_left() {
        check([0, 0, 0, 0xe8], 0x4000_0000, None);
        check([0, 0, 0, 0xbf], 0x1234, None);
        check([0, 0, 0, 0x90], 0x8efc, None);
    }
}
