//! A slot: a partition, raw flash, or a file that stands for one.

pub use super::medium::Trim;
use super::medium::{Extent, Medium};
use super::mtd::{self, Access, Blocks};
use super::partition;
use crate::edges::{Flash, Geometry};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use trust::Proven;

/// A slot of a fixed size.
#[derive(Debug)]
pub struct SlotMedium {
    path: PathBuf,
    plain: Medium,
    way: Way,
}

/// What a slot is, once it was looked at.
#[derive(Debug)]
enum Way {
    Unknown,
    Plain,
    Raw(Blocks),
}

impl SlotMedium {
    /// The slot at `path`. A file that is missing or shorter gets `size` bytes when it
    /// is prepared; a longer file, a partition and flash keep what they have.
    pub fn new(path: &Path, size: u64) -> Self {
        let plain = Medium::new(path, size, Extent::Fixed);
        Self { path: path.into(), plain, way: Way::Unknown }
    }

    /// Whether what is in a partition is given up before it is written.
    #[must_use]
    pub fn with_trim(self, trim: Trim) -> Self {
        Self { plain: self.plain.with_trim(trim), ..self }
    }

    /// Whether it could be written; nothing is.
    ///
    /// # Errors
    /// It could not.
    pub fn usable(&self) -> io::Result<()> {
        if mtd::open(&self.path, Access::Write)?.is_some() {
            return Ok(());
        }
        let place = partition::locate(&self.path)?;
        if place.exists() {
            return File::options().write(true).open(place).map(drop);
        }
        // A file that stands for a partition is made with the first update.
        let above = place.parent().filter(|above| !above.as_os_str().is_empty());
        std::fs::metadata(above.unwrap_or(Path::new("."))).map(drop)
    }

    fn raw(&mut self) -> io::Result<Option<&mut Blocks>> {
        if let Way::Unknown = self.way {
            let raw = mtd::open(&self.path, Access::Write)?;
            self.way = raw.map_or(Way::Plain, Way::Raw);
        }
        Ok(match &mut self.way {
            Way::Raw(blocks) => Some(blocks),
            _ => None,
        })
    }
}

impl Flash for SlotMedium {
    fn geometry(&self) -> io::Result<Geometry> {
        match &self.way {
            Way::Raw(blocks) => Ok(blocks.geometry()),
            Way::Plain => self.plain.geometry(),
            Way::Unknown => match mtd::open(&self.path, Access::Read)? {
                Some(blocks) => Ok(blocks.geometry()),
                None => self.plain.geometry(),
            },
        }
    }

    fn prepare(&mut self) -> io::Result<()> {
        self.way = Way::Unknown;
        match self.raw()? {
            Some(blocks) => blocks.prepare(),
            None => self.plain.prepare(),
        }
    }

    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        match self.raw()? {
            Some(blocks) => blocks.write(chunk.at(), chunk.bytes()),
            None => self.plain.write(chunk.at(), chunk.bytes()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.raw()? {
            Some(blocks) => blocks.flush(),
            None => self.plain.flush(),
        }
    }

    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        match self.raw()? {
            Some(blocks) => blocks.read(at, into),
            None => self.plain.read_back(at, into),
        }
    }
}
