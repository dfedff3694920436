//! The stored form of what liblzma is told.

use super::{RecipeError, WINDOW_LOG_MAX, XZ_BLOCK_MAX, XzRecipe, liblzma, take, within, xz};
use crate::codec::lzma::LzmaOptions;
use alloc::vec::Vec;

pub(super) fn put_lzma(out: &mut Vec<u8>, options: LzmaOptions) {
    out.extend(options.dict.to_le_bytes());
    out.extend([options.lc, options.lp, options.pb, options.mode, options.finder]);
    out.extend(options.nice.to_le_bytes());
    out.extend(options.depth.to_le_bytes());
}

fn take_lzma(bytes: &mut &[u8]) -> Result<LzmaOptions, RecipeError> {
    let dict = u32::from_le_bytes(take(bytes)?);
    let [lc, lp, pb, mode, finder] = take(bytes)?;
    let nice = u16::from_le_bytes(take(bytes)?);
    let depth = u16::from_le_bytes(take(bytes)?);
    within(dict, 1 << 12, 1 << WINDOW_LOG_MAX, "dictionary")?;
    within(lc, 0, 4, "lc")?;
    within(lp, 0, 4 - lc, "lp")?;
    within(pb, 0, 4, "pb")?;
    within(mode, 1, 2, "mode")?;
    within(nice, 2, 273, "match length")?;
    if !matches!(finder, 3 | 4 | 0x12 | 0x13 | 0x14) {
        return Err(RecipeError::Impossible("match finder"));
    }
    Ok(LzmaOptions { dict, lc, lp, pb, mode, finder, nice, depth })
}

pub(super) fn take_xz(bytes: &mut &[u8]) -> Result<XzRecipe, RecipeError> {
    let [check, sized, branch, dict_byte] = take(bytes)?;
    let block = u64::from_le_bytes(take(bytes)?);
    let options = take_lzma(bytes)?;
    if !matches!(check, 0 | 1 | 4 | 10) {
        return Err(RecipeError::Impossible("check"));
    }
    within(sized, 0, 1, "switch")?;
    within(block, 0, XZ_BLOCK_MAX, "block")?;
    if branch != 0 && !liblzma::BRANCH_FILTERS.contains(&branch.into()) {
        return Err(RecipeError::Impossible("branch converter"));
    }
    let window = xz::dictionary(dict_byte).unwrap_or(u32::MAX);
    within(window, 1 << 12, 1 << WINDOW_LOG_MAX, "dictionary")?;
    Ok(XzRecipe { check, sized: sized == 1, block, branch, dict_byte, options })
}
