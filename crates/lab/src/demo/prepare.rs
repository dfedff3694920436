//! Keys, images and packages of the demo.

use super::Args;
use super::show::Show;
use crate::entry::{Entry, Start};
use crate::image::{self, Files, digest_of_first};
use crate::maker::{Details, Maker, Release};
use crate::process::Programs;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use types::Digest;

/// What the terminals run at first.
pub(super) const FACTORY: &str = "1.0.0";
/// Versions of the three releases.
const GOOD: &str = "2.0.0";
const BAD: &str = "3.0.0";
const STORMY: &str = "4.0.0";

/// A release that is ready to be published.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) version: &'static str,
    pub(super) package: PathBuf,
    /// SHA-256 of the image.
    pub(super) image: Digest,
}

/// All that the maker made.
#[derive(Debug)]
pub(super) struct Releases {
    pub(super) root: PathBuf,
    pub(super) factory: PathBuf,
    pub(super) slot_size: u64,
    /// They were made here, and are alike: deltas must pay.
    pub(super) alike: bool,
    /// What the terminals run at first, as the server knows it.
    pub(super) first: Prepared,
    pub(super) good: Prepared,
    pub(super) bad: Prepared,
    pub(super) stormy: Prepared,
}

impl Releases {
    /// Makes keys, images and signed packages in `folder`.
    pub(super) fn prepare(
        programs: &Programs,
        folder: &Path,
        args: &Args,
        show: &Show,
    ) -> Result<Self> {
        show.title("making keys, images and packages");
        let maker = Maker::new(programs, &folder.join("keys"))?;
        let images = Images::new(folder, args)?;
        let factory = images.make(1, FACTORY)?;
        let pack = |number: u64, version: &'static str, image: &Path| -> Result<Prepared> {
            show.check()?;
            let package = folder.join(format!("{version}.zip"));
            let release = Release { version, index: number, image, details: Details::default() };
            maker.pack(&release, &package)?;
            let digest = digest_of_first(image, images.size)?;
            show.say(&format!(
                "release {version}: image of {} MiB, package of {} MiB, signed by 2 of 3 keys",
                images.size >> 20,
                fs::metadata(&package)?.len() >> 20
            ));
            Ok(Prepared { version, package, image: digest })
        };
        let first = pack(1, FACTORY, &factory)?;
        let image = images.make(2, GOOD)?;
        let good = pack(2, GOOD, &image)?;
        let broken = folder.join("broken.img");
        image::make_unbootable(&images.make(3, BAD)?, &broken)?;
        let bad = pack(3, BAD, &broken)?;
        let image = images.make(4, STORMY)?;
        let stormy = pack(4, STORMY, &image)?;
        let (root, slot_size) = (maker.root(), images.size);
        let alike = args.images.is_empty();
        Ok(Self { root, factory, slot_size, alike, first, good, bad, stormy })
    }
}

/// Where images come from.
enum Origin {
    Machine(Files),
    User([PathBuf; 2]),
}

struct Images {
    folder: PathBuf,
    size: u64,
    origin: Origin,
}

impl Images {
    fn new(folder: &Path, args: &Args) -> Result<Self> {
        let (size, origin) = match args.images.as_slice() {
            [old, new] => {
                let size = image::slot_size(old)?.max(image::slot_size(new)?);
                (size, Origin::User([old.clone(), new.clone()]))
            }
            _ => {
                let size = args.mib << 20;
                (size, Origin::Machine(Files::find(image::files_for(size))?))
            }
        };
        Ok(Self { folder: folder.into(), size, origin })
    }

    /// The image of release `number`, counted from 1.
    fn make(&self, number: usize, version: &str) -> Result<PathBuf> {
        let entry = Entry { version: version.into(), start: Start::Agent };
        let path = self.folder.join(format!("{version}.img"));
        match &self.origin {
            Origin::Machine(files) => image::make(files, number, &entry, self.size, &path),
            Origin::User([old, new]) => {
                let from = if number == 1 { old } else { new };
                image::adopt(from, &entry, self.size, &path)
            }
        }
        .with_context(|| format!("cannot make the image of release {version}"))?;
        Ok(path)
    }
}
