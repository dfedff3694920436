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

/// Tells a stream of which `piece` bytes come in at a time.
fn apply(
    stored: &[u8],
    zlib: &[u8],
    plain: &[u8],
    piece: usize,
) -> Result<Vec<u8>, CorrectionError> {
    let mut retelling = Retelling::new(Told::read(stored)?);
    let (mut out, mut plain, mut zlib) = (vec![], plain, zlib);
    loop {
        let (now, later) = plain.split_at(piece.min(plain.len()));
        // zlib is always behind.
        let share = if later.is_empty() { zlib.len() } else { zlib.len().min(piece / 9) };
        let (made, rest) = zlib.split_at(share);
        (plain, zlib) = (later, rest);
        retelling.push(now, made, plain.is_empty(), &mut out)?;
        if plain.is_empty() {
            return Ok(out);
        }
    }
}

fn check(zlib: &[u8], wanted: &[u8], plain: &[u8], most: usize) {
    let (told, len) = find(zlib, wanted).unwrap();
    let stored = told.to_bytes();
    assert_eq!(len, wanted.len());
    assert!(stored.len() <= most, "{} bytes", stored.len());
    for piece in [777, 5000, 1 << 20] {
        assert!(apply(&stored, zlib, plain, piece).as_deref() == Ok(wanted), "{piece}");
    }
    assert_eq!(Told::read(&stored).as_ref(), Ok(&told));
}

#[test]
fn one_choice_becomes_another() {
    let plain = content();
    let base = deflate(&plain, 9, 8, 0);
    check(&base, &base, &plain, 404);
    // The same choice in other blocks.
    check(&base, &deflate(&plain, 9, 3, 0), &plain, 2500);
    check(&base, &deflate(&plain, 1, 8, 0), &plain, 2 * base.len());
    // Fixed codes, and nothing but literals.
    check(&base, &deflate(&plain, 9, 8, 4), &plain, 2 * base.len());
    check(&base, &deflate(&plain, 9, 8, 2), &plain, 2 * base.len());
    check(&deflate(&[], 9, 8, 0), &deflate(&[], 9, 8, 0), &[], 12);
}

#[test]
fn damaged_corrections_are_harmless() {
    let plain = content();
    let zlib = deflate(&plain, 9, 8, 0);
    let stored = find(&zlib, &deflate(&plain, 6, 5, 0)).unwrap().0.to_bytes();
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
        refused += u32::from(apply(&damaged, &zlib, &plain, 7000).is_err());
    }
    assert!(refused > 150, "{refused}");
    for cut in (0..zlib.len()).step_by(97) {
        assert!(apply(&stored, &zlib[..cut], &plain, 7000).is_err());
    }
}
