//! A slot: a partition, or a file that stands for one.

use super::medium::{Extent, Medium};
use crate::edges::{Flash, Geometry};
use std::io;
use std::path::Path;
use trust::Proven;

/// A slot of a fixed size.
#[derive(Debug)]
pub struct SlotMedium(Medium);

impl SlotMedium {
    /// The slot at `path`. A file that is missing or shorter gets `size` bytes when it
    /// is prepared; a longer file and a partition keep what they have.
    pub fn new(path: &Path, size: u64) -> Self {
        Self(Medium::new(path, size, Extent::Fixed))
    }
}

impl Flash for SlotMedium {
    fn geometry(&self) -> io::Result<Geometry> {
        self.0.geometry()
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
        self.0.read_back(at, into)
    }
}
