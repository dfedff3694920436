//! One encoder's choice told by another's.

use super::*;
use crate::codec::deflate::DeflateOptions;
use crate::recipe::{Recipe, Wrapper};
use alloc::vec;

fn content() -> Vec<u8> {
    let mut state = 9u32;
    let mut out = vec![];
    while out.len() < 60_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(std::format!("{:x} ", (state >> 20) % 300).as_bytes());
    }
    out.extend((0..3000u32).map(|n| (n.wrapping_mul(n) >> 5) as u8));
    out
}

fn deflate(plain: &[u8], level: u8, mem_level: u8, strategy: u8) -> Vec<u8> {
    let options = DeflateOptions { level, window_bits: 15, mem_level, strategy };
    let recipe = Recipe::Deflate { wrapper: Wrapper::Raw, options };
    let (mut encoder, mut out) = (recipe.encoder(plain.len() as u64).unwrap(), vec![]);
    encoder.push(plain, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

fn check(zlib: &[u8], wanted: &[u8], plain: &[u8], most: usize) {
    let (stored, len) = find(zlib, wanted).unwrap();
    assert_eq!(len, wanted.len());
    assert!(stored.len() <= most, "{} bytes", stored.len());
    assert!(apply(&stored, zlib, plain).as_deref() == Ok(wanted));
}

#[test]
fn one_choice_becomes_another() {
    let plain = content();
    let base = deflate(&plain, 9, 8, 0);
    check(&base, &base, &plain, 400);
    // The same choice in other blocks.
    check(&base, &deflate(&plain, 9, 3, 0), &plain, 2500);
    check(&base, &deflate(&plain, 1, 8, 0), &plain, 2 * base.len());
    // Fixed codes, and nothing but literals.
    check(&base, &deflate(&plain, 9, 8, 4), &plain, 2 * base.len());
    check(&base, &deflate(&plain, 9, 8, 2), &plain, 2 * base.len());
    check(&deflate(&[], 9, 8, 0), &deflate(&[], 9, 8, 0), &[], 8);
}

#[test]
fn damaged_corrections_are_harmless() {
    let plain = content();
    let zlib = deflate(&plain, 9, 8, 0);
    let (stored, _) = find(&zlib, &deflate(&plain, 6, 5, 0)).unwrap();
    let mut seed = 11u32;
    let mut refused = 0;
    for _ in 0..400 {
        let mut damaged = stored.clone();
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = (seed >> 8) as usize % damaged.len();
        damaged[at] = (seed >> 3) as u8;
        if seed & 64 == 0 {
            damaged.truncate(at);
        }
        refused += u32::from(apply(&damaged, &zlib, &plain).is_err());
    }
    assert!(refused > 150, "{refused}");
    for cut in (0..zlib.len()).step_by(97) {
        assert!(apply(&stored, &zlib[..cut], &plain).is_err());
    }
}
