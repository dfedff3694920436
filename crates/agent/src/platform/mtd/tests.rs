//! [`Blocks`] on a simulated chip that keeps to the rules of flash. The real calls are
//! tried in a guest with `nandsim`: `cargo xtask test flash`.

use super::blocks::{Blocks, Chip, Shape};
use crate::edges::conformance;
use crate::edges::{Flash, Geometry};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use trust::Proven;

const EIO: i32 = 5;

/// What stays of a chip when its driver is gone.
#[derive(Debug)]
struct Cells {
    shape: Shape,
    bytes: Vec<u8>,
    /// Pages that were written since their erasure.
    written: BTreeSet<usize>,
    bad: BTreeSet<u32>,
    /// Blocks that take nothing any more, and do not say so before.
    worn: BTreeSet<u32>,
    erasures: usize,
}

#[derive(Debug, Clone)]
struct Simulated(Rc<RefCell<Cells>>);

impl Simulated {
    /// NAND.
    fn new(bad: &[u32]) -> Self {
        Self::of(2048, bad)
    }

    /// NOR: it is written byte by byte, in which bits are only cleared; it has no bad
    /// blocks, and none can be marked.
    fn nor() -> Self {
        Self::of(1, &[])
    }

    fn of(page: u32, bad: &[u32]) -> Self {
        let shape = Shape { block: 16 << 10, page, count: 24 };
        Self(Rc::new(RefCell::new(Cells {
            shape,
            bytes: vec![0x5a; (shape.block * shape.count) as usize],
            written: pages(page, 0, (shape.count * shape.block) as usize).collect(),
            bad: bad.iter().copied().collect(),
            worn: BTreeSet::new(),
            erasures: 0,
        })))
    }

    fn open(&self) -> Slot {
        Slot(Blocks::new(Box::new(self.clone())).unwrap())
    }

    fn wear(&self, block: u32) {
        self.0.borrow_mut().worn.insert(block);
    }

    /// The good blocks' bytes, as a bootloader reads them.
    fn image(&self, len: usize) -> Vec<u8> {
        let cells = self.0.borrow();
        let size = cells.shape.block as usize;
        let blocks = cells.bytes.chunks(size).enumerate();
        let good = blocks.filter(|(number, _)| !cells.bad.contains(&(*number as u32)));
        good.flat_map(|(_, bytes)| bytes).copied().take(len).collect()
    }
}

/// The pages in `len` bytes from `from` that can be written once only: none in NOR.
fn pages(page: u32, from: usize, len: usize) -> std::ops::Range<usize> {
    match page as usize {
        1 => 0..0,
        page => from / page..(from + len) / page,
    }
}

impl Chip for Simulated {
    fn shape(&self) -> Shape {
        self.0.borrow().shape
    }

    fn is_bad(&self, block: u32) -> io::Result<bool> {
        Ok(self.0.borrow().bad.contains(&block))
    }

    fn read(&self, block: u32, at: u32, into: &mut [u8]) -> io::Result<()> {
        let cells = self.0.borrow();
        assert!(!cells.bad.contains(&block), "block {block} is bad");
        let at = (block * cells.shape.block + at) as usize;
        into.copy_from_slice(&cells.bytes[at..at + into.len()]);
        Ok(())
    }

    fn erase(&mut self, block: u32) -> io::Result<()> {
        let mut cells = self.0.borrow_mut();
        assert!(!cells.bad.contains(&block), "block {block} is bad");
        if cells.worn.contains(&block) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let (from, len) = ((block * cells.shape.block) as usize, cells.shape.block as usize);
        cells.bytes[from..from + len].fill(0xff);
        let pages = pages(cells.shape.page, from, len);
        cells.written.retain(|page| !pages.contains(page));
        cells.erasures += 1;
        Ok(())
    }

    fn program(&mut self, block: u32, at: u32, bytes: &[u8]) -> io::Result<()> {
        let mut cells = self.0.borrow_mut();
        assert!(!cells.bad.contains(&block), "block {block} is bad");
        let page = cells.shape.page as usize;
        let whole = (at as usize).is_multiple_of(page) && bytes.len().is_multiple_of(page);
        assert!(whole, "whole pages");
        assert!(at as usize + bytes.len() <= cells.shape.block as usize, "within the block");
        if cells.worn.contains(&block) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let from = (block * cells.shape.block + at) as usize;
        for page in pages(cells.shape.page, from, bytes.len()) {
            assert!(cells.written.insert(page), "page {page} is written twice");
        }
        for (cell, byte) in cells.bytes[from..].iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }

    fn condemn(&mut self, block: u32) -> io::Result<()> {
        if self.shape().page == 1 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.0.borrow_mut().bad.insert(block);
        Ok(())
    }

    fn empty(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Slot(Blocks);

impl Flash for Slot {
    fn geometry(&self) -> io::Result<Geometry> {
        Ok(self.0.geometry())
    }

    fn prepare(&mut self) -> io::Result<()> {
        self.0.prepare()
    }

    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        self.0.write(chunk.at(), chunk.bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read(at, into)
    }
}

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8 ^ seed).collect()
}

#[test]
fn flash_with_bad_blocks_passes_the_suite() {
    for bad in [&[][..], &[0], &[1, 2, 5], &[0, 1, 3, 23]] {
        let chip = Simulated::new(bad);
        conformance::flash(|| Box::new(chip.open()));
    }
}

#[test]
fn nor_is_written_byte_by_byte() {
    let chip = Simulated::nor();
    conformance::flash(|| Box::new(chip.open()));
    let (chip, image) = (Simulated::nor(), pattern(70_001, 6));
    let mut slot = chip.open();
    assert_eq!(slot.0.geometry().block, 1);
    slot.0.prepare().unwrap();
    for (index, piece) in image.chunks(3333).enumerate() {
        slot.0.write((index * 3333) as u64, piece).unwrap();
    }
    assert_eq!(chip.image(image.len()), image);
    assert_eq!(chip.0.borrow().erasures, 5, "each block once");
    // A flag goes down without an erasure, and only then is anything else needed.
    slot.0.clear_byte(4).unwrap();
    assert_eq!((chip.image(5)[4], chip.0.borrow().erasures), (0, 5));
    slot.0.write(4, &image[4..6]).unwrap();
    assert_eq!(chip.image(image.len()), image);
    assert_eq!(chip.0.borrow().erasures, 6);
    // It has no bad blocks to go around: the update fails, and says so.
    chip.wear(4);
    let mut slot = chip.open();
    slot.0.prepare().unwrap();
    assert_eq!(slot.0.write(0, &image).unwrap_err().raw_os_error(), Some(EIO));
}

#[test]
fn an_image_lies_in_the_good_blocks() {
    let chip = Simulated::new(&[0, 3]);
    let mut slot = chip.open();
    assert_eq!(slot.0.geometry(), Geometry { size: 22 * (16 << 10), block: 2048 });
    let image = pattern(100_001, 1);
    slot.0.prepare().unwrap();
    for (index, piece) in image.chunks(24 << 10).enumerate() {
        slot.0.write((index * (24 << 10)) as u64, piece).unwrap();
    }
    assert_eq!(chip.image(image.len()), image);
    // Each block once: the image takes seven.
    assert_eq!(chip.0.borrow().erasures, 7);
    let end = slot.0.geometry().size;
    assert_eq!(slot.0.write(end, &[1]).unwrap_err().kind(), io::ErrorKind::StorageFull);
}

/// Whichever block wears out, and whenever, the image is whole and the block is bad.
#[test]
fn a_worn_block_is_left() {
    for block in 0..7 {
        for after in 0..6 {
            let chip = Simulated::new(&[2]);
            let mut slot = chip.open();
            let image = pattern(90_000, 2);
            slot.0.prepare().unwrap();
            for (index, piece) in image.chunks(20 << 10).enumerate() {
                if index == after {
                    chip.wear(block);
                }
                slot.0.write((index * (20 << 10)) as u64, piece).unwrap();
            }
            assert_eq!(chip.image(image.len()), image, "block {block} after {after}");
            // What is open already, and what is opened now, see the same.
            for slot in [slot, chip.open()] {
                let mut back = vec![0; image.len()];
                slot.0.read(0, &mut back).unwrap();
                assert_eq!(back, image, "block {block} after {after}");
            }
        }
    }
}

#[test]
fn a_chip_that_is_worn_out_is_full() {
    let chip = Simulated::new(&[]);
    (3..24).for_each(|block| chip.wear(block));
    let mut slot = chip.open();
    slot.0.prepare().unwrap();
    let e = slot.0.write(0, &pattern(90_000, 3)).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::StorageFull);
}

/// After a cut, what was flushed before is kept, though the same block is written again.
#[test]
fn it_goes_on_after_a_cut() {
    let image = pattern(120_000, 4);
    let chips = || [Simulated::new(&[1]), Simulated::nor()];
    for (cut, chip) in (4096..120_000).step_by(12_288).flat_map(|cut| chips().map(|c| (cut, c))) {
        let mut slot = chip.open();
        slot.0.prepare().unwrap();
        slot.0.write(0, &image[..cut]).unwrap();
        // This was under way.
        slot.0.write(cut as u64, &vec![0xa5; 4096]).unwrap();
        let mut slot = chip.open();
        slot.0.write(cut as u64, &image[cut..]).unwrap();
        assert!(chip.image(image.len()) == image, "cut at {cut}");
    }
}

/// An environment in blocks of its own leaves everything around it alone.
#[test]
fn a_region_is_all_that_changes() {
    let chip = Simulated::new(&[4]);
    let before = chip.image(23 * (16 << 10));
    let mut region = chip.open().0;
    // Two blocks, of which the first is bad.
    assert_eq!(region.keep(4 * (16 << 10), 32 << 10), 0);
    assert_eq!(region.geometry().size, 16 << 10);
    region.write(0, &pattern(4096, 5)).unwrap();
    let mut region = chip.open().0;
    assert_eq!(region.keep(2 * (16 << 10) + 512, 1024), 512);
    region.write(512, &[7; 1024]).unwrap();
    let mut after = before;
    // Without the bad one, block 5 is the fifth.
    after[4 * (16 << 10)..][..4096].copy_from_slice(&pattern(4096, 5));
    after[2 * (16 << 10) + 512..][..1024].fill(7);
    assert!(chip.image(after.len()) == after);
}

/// A chip is backed up, loses a block, and gets all of it back; what it had besides goes.
#[test]
fn what_it_holds_comes_back_into_fewer_blocks() {
    use super::stream::Stream;
    use std::io::{Read, Write};
    let chip = Simulated::new(&[3]);
    let open = || Blocks::new(Box::new(chip.clone())).unwrap();
    let image: Vec<u8> = (0..100_001_u32).map(|n| (n * 7 + n / 251) as u8).collect();
    let put = |bytes: &[u8]| {
        let mut to = Stream::writing(open(), bytes.len() as u64).unwrap();
        bytes.chunks(5000).for_each(|piece| to.write_all(piece).unwrap());
        assert!(to.write_all(&[0]).is_err(), "no more than was said");
        let mut found = Vec::new();
        to.written().unwrap().read_to_end(&mut found).unwrap();
        found
    };
    assert!(put(&image) == image);
    let mut kept = Vec::new();
    Stream::reading(open()).unwrap().read_to_end(&mut kept).unwrap();
    assert!(kept == image, "blank bytes at the end are not kept");
    assert!(put(&vec![1; 23 * (16 << 10)]).len() == 23 * (16 << 10), "all good blocks");
    chip.0.borrow_mut().bad.insert(5);
    assert!(put(&kept) == image);
    assert!(Stream::writing(open(), 23 * (16 << 10)).is_err(), "one block is gone");
    assert!(put(&[]).is_empty());
    let mut nothing = Vec::new();
    Stream::reading(open()).unwrap().read_to_end(&mut nothing).unwrap();
    assert!(nothing.is_empty());
}
