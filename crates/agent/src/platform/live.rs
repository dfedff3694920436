//! Components without a second bank, as files.
//!
//! [`LiveDirectory`]: a directory with two images and the symbolic link `current`,
//! which programs open. The link `previous` is there between a switch and its being
//! kept, and names what ran before. [`DirectPlace`]: a staged file that is copied to
//! its one place.

use super::files;
use super::medium::{Extent, Medium};
use super::mtd::{self, Access};
use super::partition::{self, Unlocked};
use crate::edges::{Direct, Flash, Geometry, Live};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use trust::Proven;

/// Names of the two images.
const IMAGES: [&str; 2] = ["first", "second"];
/// The link to what runs.
const CURRENT: &str = "current";
/// The link to what ran before a switch that is not kept.
const PREVIOUS: &str = "previous";
/// What `previous` points to when nothing ran before.
const NOTHING: &str = "nothing";

/// A component that is switched by a symbolic link.
#[derive(Debug)]
pub struct LiveDirectory {
    directory: PathBuf,
    reload: Vec<String>,
    size: u64,
    staged: Option<Medium>,
    program: Program,
}

/// Whether the image is a program that is started from where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Program {
    /// It is not.
    #[default]
    No,
    /// It is, so it may be run once it is switched to.
    Yes,
}

impl LiveDirectory {
    /// The component in `directory`, with images of at most `size` bytes. `reload` is
    /// run after each switch: program and arguments, or nothing.
    pub fn new(directory: &Path, size: u64, reload: Vec<String>) -> Self {
        let (directory, program) = (directory.into(), Program::No);
        Self { directory, reload, size, staged: None, program }
    }

    /// The same for images that are programs.
    #[must_use]
    pub fn with_program(self, program: Program) -> Self {
        Self { program, ..self }
    }

    fn link(&self, name: &str) -> io::Result<Option<PathBuf>> {
        match std::fs::read_link(self.directory.join(name)) {
            Ok(target) => Ok(Some(target)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The image that does not run, or did not before a switch that is not kept.
    fn staged_name(&self) -> io::Result<&'static str> {
        let ran = match self.link(PREVIOUS)? {
            Some(previous) => Some(previous),
            None => self.link(CURRENT)?,
        };
        let [first, second] = IMAGES;
        Ok(if ran == Some(first.into()) { second } else { first })
    }

    fn staged(&mut self) -> io::Result<&mut Medium> {
        let path = self.directory.join(self.staged_name()?);
        let medium = match self.staged.take() {
            Some(medium) if medium.path() == path => medium,
            _ => Medium::new(&path, self.size, Extent::Written),
        };
        Ok(self.staged.insert(medium))
    }

    fn point(&self, link: &str, target: &Path) -> io::Result<()> {
        if self.link(link)?.as_deref() == Some(target) {
            return Ok(());
        }
        files::relink(&self.directory.join(link), target)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        files::remove(&self.directory.join(name))
    }

    /// Lets what runs be `previous` again.
    fn return_to(&self, previous: &Path) -> io::Result<()> {
        if previous == Path::new(NOTHING) || !self.directory.join(previous).try_exists()? {
            return self.remove(CURRENT);
        }
        self.point(CURRENT, previous)
    }

    fn reload(&self) -> io::Result<()> {
        let Some((program, arguments)) = self.reload.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        if command.status()?.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("`{program}` says that the component did not reload")))
    }
}

impl Flash for LiveDirectory {
    fn geometry(&self) -> io::Result<Geometry> {
        Medium::new(&self.directory.join(self.staged_name()?), self.size, Extent::Written)
            .geometry()
    }

    /// A switch that was neither kept nor undone is undone first: its image is void.
    fn prepare(&mut self) -> io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        self.switch_back()?;
        self.staged()?.prepare()
    }

    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        self.staged()?.write(chunk.at(), chunk.bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged()?.flush()
    }

    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.staged()?.read_back(at, into)
    }
}

impl Live for LiveDirectory {
    fn switch(&mut self) -> io::Result<()> {
        let staged = self.staged_name()?;
        if !self.directory.join(staged).try_exists()? {
            return Ok(());
        }
        let ran = self.link(CURRENT)?;
        if ran.as_deref() == Some(Path::new(staged)) {
            return Ok(());
        }
        let previous = match self.link(PREVIOUS)? {
            Some(previous) => previous,
            None => ran.unwrap_or_else(|| NOTHING.into()),
        };
        if self.program == Program::Yes {
            self.staged = None;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(self.directory.join(staged), mode)?;
        }
        self.point(PREVIOUS, &previous)?;
        self.point(CURRENT, Path::new(staged))?;
        self.reload().or_else(|e| self.return_to(&previous).and(Err(e)))
    }

    fn switch_back(&mut self) -> io::Result<()> {
        let Some(previous) = self.link(PREVIOUS)? else { return Ok(()) };
        self.return_to(&previous)?;
        self.reload()?;
        self.staged = None;
        self.remove(self.staged_name()?)?;
        self.remove(PREVIOUS)
    }

    fn keep(&mut self) -> io::Result<()> {
        let Some(previous) = self.link(PREVIOUS)? else { return Ok(()) };
        self.staged = None;
        self.remove(&previous.to_string_lossy())?;
        self.remove(PREVIOUS)
    }
}

/// A component with one place.
#[derive(Debug)]
pub struct DirectPlace {
    staged: Medium,
    place: PathBuf,
}

impl DirectPlace {
    /// The component at `place`, staged in the file `staging`, with images of at most
    /// `size` bytes.
    pub fn new(place: &Path, staging: &Path, size: u64) -> Self {
        Self { staged: Medium::new(staging, size, Extent::Written), place: place.into() }
    }

    fn is_device(&self) -> io::Result<bool> {
        match partition::locate(&self.place).and_then(std::fs::metadata) {
            Ok(kind) => Ok(kind.file_type().is_block_device()),
            Err(e) if partition::is_label(&self.place) => Err(e),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Flash for DirectPlace {
    fn geometry(&self) -> io::Result<Geometry> {
        let staged = self.staged.geometry()?;
        if let Some(flash) = mtd::open(&self.place, Access::Read)? {
            return Ok(Geometry { size: staged.size.min(flash.geometry().size), ..staged });
        }
        if !self.is_device()? {
            return Ok(staged);
        }
        let place = Medium::new(&self.place, staged.size, Extent::Fixed).geometry()?;
        Ok(Geometry { size: staged.size.min(place.size), ..staged })
    }

    fn prepare(&mut self) -> io::Result<()> {
        self.staged.prepare()
    }

    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        self.staged.write(chunk.at(), chunk.bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.flush()
    }

    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.staged.read_back(at, into)
    }
}

impl Direct for DirectPlace {
    /// A partition and flash are written in place; a file is replaced as a whole.
    fn apply(&mut self) -> io::Result<()> {
        let mut staged = File::open(self.staged.path())?;
        if let Some(mut flash) = mtd::open(&self.place, Access::Write)? {
            return flash.take(&mut staged);
        }
        if self.is_device()? {
            let place = partition::locate(&self.place)?;
            let _unlocked = Unlocked::of(&place)?;
            return copy(staged, File::options().write(true).open(place)?);
        }
        let mut beside = self.place.clone().into_os_string();
        beside.push(".new");
        copy(staged, File::create(&beside)?)?;
        std::fs::rename(&beside, &self.place)?;
        files::sync_directory_of(&self.place)
    }
}

fn copy(mut from: File, mut to: File) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let len = from.read(&mut buffer)?;
        match buffer.get(..len) {
            Some([]) | None => return to.sync_all(),
            Some(bytes) => to.write_all(bytes)?,
        }
    }
}
