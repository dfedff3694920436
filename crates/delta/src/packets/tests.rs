//! Any packets come back.

use super::range::{Decoder, Encoder, Point};
use super::window::Window;
use super::*;
use crate::recipe::words::{self, Words};
use alloc::vec;
use proptest::prelude::*;

/// A packet by numbers that are anything.
fn packet(kind: u8, distance: u32, length: u32, byte: u8) -> Packet {
    let length = LENGTH_MIN + length % (LENGTH_MAX - LENGTH_MIN + 1);
    match kind % 8 {
        0..3 => Packet::Literal(byte),
        3 => Packet::Short,
        4 => Packet::Match { distance: distance % 300, length },
        5 => Packet::Match { distance, length },
        _ => Packet::Repeat { which: usize::from(byte % 4), length },
    }
}

fn any_packets() -> impl Strategy<Value = Vec<Packet>> {
    let length = prop_oneof![0..20u32, any::<u32>()];
    let one = (any::<u8>(), any::<u32>(), length, any::<u8>());
    let one = one.prop_map(|(kind, distance, length, byte)| packet(kind, distance, length, byte));
    proptest::collection::vec(one, 1..300)
}

fn any_properties() -> impl Strategy<Value = Properties> {
    (0..5u8, 0..5u8, 0..5u8).prop_map(|(lc, lp, pb)| Properties { lc, lp: lp.min(4 - lc), pb })
}

/// Both coders see the same places, whatever these are.
fn place(number: usize) -> Place {
    let position = number as u32 * 7;
    Place { position, last: (number * 31) as u8, matched: (number * 17) as u8 }
}

proptest! {
    #[test]
    fn packets_come_back(wanted in any_packets(), properties in any_properties()) {
        let (mut model, mut encoder) = (Model::new(properties), Encoder::new());
        for (number, packet) in wanted.iter().enumerate() {
            prop_assert_eq!(model.code(&mut encoder, place(number), *packet), *packet);
            model.follow(*packet);
        }
        encoder.flush();
        let (start, rest) = encoder.out.split_first_chunk().unwrap();
        let (mut model, mut point) = (Model::new(properties), Point::new(*start).unwrap());
        let mut at = 0;
        for (number, wanted) in wanted.iter().enumerate() {
            let mut dry = Decoder::<true>::new(point, &rest[at..]);
            let told = model.code(&mut dry, place(number), Packet::Short);
            let mut decoder = Decoder::<false>::new(point, &rest[at..]);
            let packet = model.code(&mut decoder, place(number), Packet::Short);
            prop_assert_eq!((packet, told, dry.at), (*wanted, *wanted, decoder.at));
            prop_assert!(!decoder.is_beyond && decoder.at <= PACKET_MAX);
            (point, at) = (decoder.point, at + decoder.at);
            model.follow(packet);
        }
        if point.needs_byte() {
            point.take(rest[at]);
            at += 1;
        }
        prop_assert!(point.is_end());
        prop_assert_eq!(at, rest.len());
    }

    #[test]
    fn packets_are_words(wanted in any_packets(), literals in 0..100u32) {
        let near = |packet: &&Packet| {
            !matches!(packet, Packet::Literal(_) | Packet::Match { distance: 0xf000_0000.., .. })
        };
        let wanted: Vec<Packet> = wanted.iter().filter(near).copied().collect();
        let mut told = vec![];
        wanted.iter().for_each(|packet| words::put(&mut told, packet.told(literals)));
        let read: Vec<_> = Words::new(&told).map(|one| (one.literals, Packet::of(&one))).collect();
        let wanted: Vec<_> = wanted.iter().map(|packet| (literals, Some(*packet))).collect();
        prop_assert_eq!(read, wanted);
    }

    /// As a vector that forgets nothing.
    #[test]
    fn windows_remember(
        most in 1..40usize,
        steps in proptest::collection::vec((any::<u8>(), 0..50u32, 0..30u32), 1..60),
    ) {
        let (mut window, mut all) = (Window::new(most as u64).unwrap(), vec![]);
        for (byte, distance, length) in steps {
            let there = (distance as usize) < all.len().min(most);
            let mut out = vec![];
            prop_assert_eq!(window.repeat(distance, length, Some(&mut out)), there);
            for _ in 0..if there { length } else { 0 } {
                all.push(all[all.len() - 1 - distance as usize]);
            }
            prop_assert!(all.ends_with(&out) && there == (out.len() == length as usize) || length == 0);
            window.put(byte);
            window.put_all(&[byte, 7, byte]);
            all.extend([byte, byte, 7, byte]);
            let seen = (0..50).map_while(|distance| window.back(distance));
            prop_assert!(seen.eq(all.iter().rev().take(most).copied()));
        }
    }

    /// Distances that became addresses are distances again, in any pieces.
    #[test]
    fn converters_are_undone(
        filter in 0..12u8,
        seed in proptest::collection::vec(any::<u8>(), 1..400),
        piece in 1..50usize,
    ) {
        use branch::{Branch, Way};
        let code = [0xe8, 0xe9, 0xeb, 0x94, 0x90, 0x48, 0x40, 0x7f, 0xf0, 0xf8, 0, 0xff];
        let plain: Vec<u8> = seed.iter().map(|byte| match byte % 3 {
            0 => code[usize::from(byte / 3) % code.len()],
            _ => *byte,
        }).collect();
        let all = |way| {
            let (mut filter, mut bytes) = (Branch::new(filter, way)?, vec![]);
            Some(move |from: &[u8], piece: usize| {
                let mut at = 0;
                for piece in from.chunks(piece) {
                    bytes.extend_from_slice(piece);
                    at += filter.code(&mut bytes[at..]);
                }
                core::mem::take(&mut bytes)
            })
        };
        let (Some(mut there), Some(mut again)) = (all(Way::ToAddresses), all(Way::ToAddresses))
        else { return Ok(()) };
        let mut back = all(Way::ToDistances).unwrap();
        let addresses = there(&plain, piece);
        prop_assert!(again(&plain, plain.len()) == addresses);
        prop_assert!(back(&addresses, piece) == plain);
    }
}
