//! Images with the texture of x86 code in, the same images out.

use super::*;
use crate::apply::tests::LIMITS;
use crate::{Applier, ApplyError, PatchHeader};

/// The address at which code is loaded.
const BASE: u32 = 0x8100_0000;

/// Functions that call and read each other, with `inserted` bytes in front of some, and
/// tables of pointers to them and of distances to their parts.
fn code(functions: usize, inserted: usize, seed: u32) -> Vec<u8> {
    let mut places = vec![0];
    for number in 0..functions {
        let more = if number % 9 == 4 { inserted } else { 0 };
        places.push(places[number] + 160 + number * 37 % 256 + more);
    }
    let mut image = Vec::new();
    for number in 0..functions {
        let more = if number % 9 == 4 { inserted } else { 0 };
        image.extend(texture(more, seed ^ number as u32));
        let end = places[number + 1];
        let mut at = number as u32 * 77;
        while image.len() + 16 < end {
            at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let target = places[at as usize / 64 % functions] as u32;
            let opcode: &[u8] = match at >> 24 & 7 {
                0..=2 => &[0xe8],
                3 => &[0x0f, 0x84],
                4 => &[0x48, 0x8b, 0x05],
                5 => &[0x48, 0xc7, 0xc7],
                _ => &[0x55, 0x48, 0x89, 0xe5],
            };
            image.extend_from_slice(opcode);
            match at >> 24 & 7 {
                0..=4 => {
                    let behind = image.len() as u32 + 4;
                    image.extend(target.wrapping_sub(behind).to_le_bytes());
                }
                5 => image.extend((BASE + target).to_le_bytes()),
                _ => image.push(at.to_be_bytes()[1]),
            }
        }
        image.resize(end, 0xcc);
    }
    image.resize(image.len().next_multiple_of(8), 0);
    for place in &places {
        image.extend((BASE + *place as u32).to_le_bytes());
        image.extend([0xff; 4]);
    }
    for part in places.iter().flat_map(|place| [place + 3, place + 60, place + 99]) {
        let here = image.len() as u32;
        image.extend((part as u32).wrapping_sub(here).to_le_bytes());
    }
    image
}

#[test]
fn operands_follow_what_they_name() {
    let (old, new) = (code(4000, 0, 1), code(4000, 32, 1));
    let delta = check(&old, &new);
    println!("{} of {} bytes: {:?}", delta.bytes.len(), new.len(), delta.explanation);
    assert!(delta.bytes.len() < 40_000, "{}: {:?}", delta.bytes.len(), delta.explanation);
}

/// The new image starts with compressed bytes that are opened, and holds the code in a
/// stream of its own at another place.
#[test]
fn operands_in_a_stream_follow_too() {
    let images = [(0, 3), (32, 7)].map(|(inserted, seed)| {
        let mut image = texture(4000 + seed as usize, seed);
        image.extend(gzip(&code(2000, inserted, 1)));
        image
    });
    let [old, new] = images;
    let delta = check(&old, &new);
    println!("{} of {} bytes: {:?}", delta.bytes.len(), new.len(), delta.explanation);
    assert!(delta.bytes.len() < 40_000, "{}: {:?}", delta.bytes.len(), delta.explanation);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn code_with_edits_comes_back(
        functions in 1usize..300,
        inserted in 0usize..100,
        seed in any::<u32>(),
        edits in proptest::collection::vec(edit(), 0..6),
        places in proptest::collection::vec((any::<usize>(), any::<u8>()), 20),
    ) {
        let old = code(functions, 0, seed);
        let mut new = code(functions, inserted, seed);
        edits.iter().for_each(|edit| perform(&mut new, edit));
        let delta = check(&old, &new);
        let (header, start) = PatchHeader::read(&delta.bytes).unwrap().unwrap();
        for (place, value) in places {
            let mut patch = delta.bytes.clone();
            let len = patch.len();
            patch[start + place % (len - start)] = value;
            let mut applier = Applier::new(header.clone(), &LIMITS).unwrap();
            prop_assert!(harmless(&mut applier, &patch[start..], &old, new.len()));
        }
    }
}

/// Whatever the patch says, applying it ends, with an error or with no more bytes than
/// were declared.
fn harmless(applier: &mut Applier, mut patch: &[u8], mut old: &[u8], most: usize) -> bool {
    let (mut out, mut piece) = (Vec::new(), vec![0; 4096]);
    loop {
        let step: Result<_, ApplyError> = applier.step(patch, &mut piece, &mut old, &mut &out[..]);
        let Ok(step) = step else { return true };
        out.extend_from_slice(&piece[..step.filled]);
        patch = &patch[step.consumed..];
        if step.end || step.consumed == 0 && step.filled == 0 {
            return out.len() <= most;
        }
    }
}
