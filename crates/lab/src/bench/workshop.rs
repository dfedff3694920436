//! The image and our package of it, made once.

use super::signer::Signer;
use crate::entry::{Entry, Start};
use crate::image::{self, Files};
use crate::maker::{Details, Maker, Release};
use crate::process::{Programs, said, system};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use types::Digest;

/// Version of the release that is installed.
pub(super) const VERSION: &str = "2.0.0";
/// Bytes of our chunks: what `refit pack` takes when nothing else is said.
const CHUNK: u32 = 256 << 10;
/// Bytes of what ran before; nobody looks at it.
const FACTORY: usize = 1 << 20;

/// All that is prepared.
pub(super) struct Workshop {
    pub(super) programs: Programs,
    pub(super) folder: PathBuf,
    pub(super) size: u64,
    pub(super) level: i32,
    pub(super) signer: Signer,
    image: Digest,
}

impl Workshop {
    /// Makes what is not in `folder` yet.
    pub(super) fn prepare(
        programs: Programs,
        folder: &Path,
        size: u64,
        level: i32,
    ) -> Result<Self> {
        fs::create_dir_all(folder.join("www"))?;
        fs::write(folder.join("factory.img"), vec![0x5a; FACTORY])?;
        let image = folder.join("image");
        if !image.exists() {
            make_image(size, &image)?;
        }
        ensure!(fs::metadata(&image)?.len() == size, "the folder has an image of another size");
        let digest = image::digest_of_first(&image, size)?;
        let signer = Signer::take_or_make(folder)?;
        let own = Self { programs, folder: folder.into(), size, level, signer, image: digest };
        own.make(&own.zip(), |zip| own.pack(zip))?;
        Ok(own)
    }

    /// Makes `file`, whole or not at all, unless it is there.
    pub(super) fn make(&self, file: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if file.exists() {
            return Ok(());
        }
        println!("  {}", file.display());
        let part = file.with_extension("part");
        make(&part)?;
        fs::rename(&part, file).with_context(|| format!("cannot name {}", file.display()))
    }

    fn pack(&self, zip: &Path) -> Result<()> {
        let keys = self.folder.join("keys");
        if keys.exists() {
            fs::remove_dir_all(&keys)?;
        }
        let maker = Maker::new(&self.programs, &keys)?;
        let details = Details { chunk_size: CHUNK, level: self.level, ..Details::default() };
        maker.pack(&Release { version: VERSION, index: 2, image: &self.image(), details }, zip)
    }

    /// Our package.
    pub(super) fn zip(&self) -> PathBuf {
        self.folder.join("update.zip")
    }

    /// Our root of trust.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("keys/root.json")
    }

    pub(super) fn image(&self) -> PathBuf {
        self.folder.join("image")
    }

    /// What runs before the update.
    pub(super) fn factory(&self) -> PathBuf {
        self.folder.join("factory.img")
    }

    /// What the web server serves under `name`.
    pub(super) fn www(&self, name: &str) -> PathBuf {
        self.folder.join("www").join(name)
    }

    /// A new, empty folder.
    pub(super) fn empty(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Writes zeros all over `slot`: every block of it exists, and none is in the page
    /// cache, as in a terminal whose other slot runs.
    pub(super) fn wipe(&self, slot: &Path) -> Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut file = File::options().create(true).truncate(false).write(true).open(slot)?;
        let mut left = self.size;
        while left > 0 {
            let len = usize::try_from(left)?.min(zeros.len());
            file.write_all(zeros.get(..len).unwrap_or_default())?;
            left -= len as u64;
        }
        file.sync_all().context("cannot wipe a slot")?;
        rustix::fs::sync();
        let dropped = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        dropped.context("cannot drop a slot from the page cache")
    }

    /// Whether `slot` holds the image.
    pub(super) fn check(&self, slot: &Path) -> Result<()> {
        let found = image::digest_of_first(slot, self.size)?;
        ensure!(found == self.image, "the slot does not hold the image");
        Ok(())
    }

    /// What is compared, for people.
    pub(super) fn describe(&self) -> Result<String> {
        let mib = |path: &Path| -> Result<String> {
            Ok(format!("{:.1} MiB", fs::metadata(path)?.len() as f64 / f64::from(1 << 20)))
        };
        Ok(format!(
            "ext4 image of {} MiB, Zstandard level {}; update.zip {}, update.swu {}, \
             update.raucb {}; {}, {}",
            self.size >> 20,
            self.level,
            mib(&self.zip())?,
            mib(&self.www("update.swu"))?,
            mib(&self.www("update.raucb"))?,
            version("swupdate")?,
            version("rauc")?,
        ))
    }
}

fn make_image(size: u64, image: &Path) -> Result<()> {
    let files = Files::find(image::files_for(size))?;
    let entry = Entry { version: VERSION.into(), start: Start::Agent };
    let sparse = image.with_extension("part");
    image::make(&files, 2, &entry, size, &sparse)?;
    // All blocks of it, so that reading it costs what an image costs.
    let mut cp = system("cp", "coreutils")?;
    said(cp.arg("--sparse=never").arg(&sparse).arg(image))?;
    fs::remove_file(&sparse)?;
    Ok(())
}

/// Name and version of a Debian package: some programs do not say their own.
fn version(package: &str) -> Result<String> {
    let mut dpkg = system("dpkg-query", "dpkg")?;
    dpkg.args(["--show", "--showformat=${Package} ${Version}", package]);
    said(&mut dpkg)
}
