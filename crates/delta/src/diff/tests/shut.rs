//! Streams that are opened in vain are taken as they are compressed.

use super::*;
use alloc::vec::Vec;

/// The terminal cannot hold what the old stream holds, so that the new one's content stands
/// in nothing that it reads; compressed, both begin alike.
#[test]
fn what_costs_most_of_a_patch_though_it_is_opened_is_tried_shut() {
    let mut seed = 5u32;
    let mut text = |at: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Mostly zeros: long, but soon compared.
        if at % 2000 < 200 { b"etaoin shrdlucmf"[(seed >> 28) as usize] } else { 0 }
    };
    let mut content: Vec<u8> = (0..5_000_000).map(&mut text).collect();
    let old = gzip(&content);
    (4_900_000..5_000_000).for_each(|at| content[at] = text(at));
    let new = gzip(&content);
    let size = |effort| {
        let options = DiffOptions { max_heap: 6 << 20, effort, ..DiffOptions::default() };
        check_with(&options, &old, &new).bytes.len()
    };
    // With little effort nothing is tried twice: it is opened, and costs less than its bytes.
    let opened = size(Effort::Fast);
    assert!(opened > new.len() / 2 && opened < new.len(), "{opened} of {}", new.len());
    let shut = size(Effort::Best);
    assert!(shut < new.len() / 8, "{shut} of {}", new.len());
}
