//! A program without what only linkers and debuggers read: its sections' names and
//! places, and on MIPS a quarter of a megabyte about frames (`.pdr`), which the linker
//! keeps though it strips the program. A kernel loads segments, and knows no sections.

use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Where the fields are that matter, in bytes (System V gABI, "ELF Header" and "Program
/// Header").
struct Layout {
    /// Bytes of an address or offset.
    word: usize,
    segments: usize,
    sections: usize,
    /// Size and count of program headers, and from here on, of section headers.
    counts: usize,
    offset_in_segment: usize,
    bytes_in_segment: usize,
}

const OF_32: Layout = Layout {
    word: 4,
    segments: 0x1c,
    sections: 0x20,
    counts: 0x2a,
    offset_in_segment: 4,
    bytes_in_segment: 16,
};
const OF_64: Layout = Layout {
    word: 8,
    segments: 0x20,
    sections: 0x28,
    counts: 0x36,
    offset_in_segment: 8,
    bytes_in_segment: 32,
};

/// Cuts off of the program at `path` whatever belongs to no segment.
///
/// # Errors
/// It is no program, or cannot be read or written.
pub(crate) fn trim(path: &Path) -> Result<()> {
    let program = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let trimmed = trimmed(program).with_context(|| format!("{} is no program", path.display()))?;
    std::fs::write(path, trimmed).with_context(|| format!("cannot write {}", path.display()))
}

fn trimmed(mut program: Vec<u8>) -> Result<Vec<u8>> {
    ensure!(program.starts_with(b"\x7fELF"), "it does not begin as one");
    let layout = if program.get(4) == Some(&1) { OF_32 } else { OF_64 };
    let big = program.get(5) == Some(&2);
    let number = |at: usize, len: usize| -> Result<usize> {
        let bytes = program.get(at..).and_then(|rest| rest.get(..len)).context("it is cut off")?;
        let one = |number: usize, byte: &u8| number << 8 | usize::from(*byte);
        Ok(if big { bytes.iter().fold(0, one) } else { bytes.iter().rev().fold(0, one) })
    };
    let (first, size) = (number(layout.segments, layout.word)?, number(layout.counts, 2)?);
    let mut end = 0;
    for index in 0..number(layout.counts + 2, 2)? {
        let at = first + index * size;
        let offset = number(at + layout.offset_in_segment, layout.word)?;
        end = end.max(offset + number(at + layout.bytes_in_segment, layout.word)?);
    }
    ensure!((first..=program.len()).contains(&end), "its segments are not in it");
    program.truncate(end);
    // No table of sections, no sections, no names.
    let counts = layout.counts + 4..layout.counts + 10;
    for gone in [layout.sections..layout.sections + layout.word, counts] {
        program.get_mut(gone).context("it is cut off")?.fill(0);
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of one segment, which begins at its first byte and has `len` bytes, and
    /// `rest` behind it.
    fn program(layout: &Layout, class: u8, order: u8, len: usize, rest: usize) -> Vec<u8> {
        let mut bytes = vec![7; len + rest];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        let header = layout.counts + 10;
        let mut put = |at: usize, word: usize, number: usize| {
            let mut value = number.to_le_bytes()[..word].to_vec();
            if order == 2 {
                value.reverse();
            }
            bytes[at..at + word].copy_from_slice(&value);
        };
        put(layout.segments, layout.word, header);
        put(layout.counts, 2, 64);
        put(layout.counts + 2, 2, 1);
        put(header + layout.offset_in_segment, layout.word, 0);
        put(header + layout.bytes_in_segment, layout.word, len);
        bytes
    }

    #[test]
    fn what_belongs_to_no_segment_is_cut_off() {
        for (layout, class) in [(OF_32, 1), (OF_64, 2)] {
            for order in [1, 2] {
                let trimmed = trimmed(program(&layout, class, order, 200, 99)).unwrap();
                assert_eq!(trimmed.len(), 200);
                assert_eq!(trimmed[layout.sections..][..layout.word], vec![0; layout.word]);
                assert_eq!(trimmed[layout.counts + 4..][..6], [0; 6]);
                assert_eq!(trimmed[layout.counts + 10 + 64..], [7; 200][layout.counts + 74..]);
            }
        }
    }

    #[test]
    fn what_is_no_program_stays() {
        assert!(trimmed(b"#!/bin/sh\n".to_vec()).is_err());
        assert!(trimmed(b"\x7fELF\x01\x01".to_vec()).is_err());
        let mut short = program(&OF_32, 1, 1, 200, 0);
        short.truncate(150);
        assert!(trimmed(short).is_err());
    }

    #[test]
    fn a_trimmed_program_still_runs() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("true");
        std::fs::copy("/bin/true", &copy).unwrap();
        let before = std::fs::metadata(&copy).unwrap().len();
        trim(&copy).unwrap();
        assert!(std::fs::metadata(&copy).unwrap().len() < before);
        assert!(std::process::Command::new(&copy).status().unwrap().success());
    }
}
