//! The maker's side, by the real tool: keys, packages, signatures.

use crate::process::{Programs, said};
use crate::terminal::{COMPONENT, HARDWARE, PRODUCT};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A maker with keys, of which two of three must sign.
#[derive(Debug, Clone)]
pub struct Maker {
    programs: Programs,
    keys: PathBuf,
    /// Roots that followed the first one, which its packages bring.
    roots: Vec<PathBuf>,
}

/// One release to be packed.
#[derive(Debug, Clone)]
pub struct Release<'a> {
    /// Version for people.
    pub version: &'a str,
    /// Rollback index.
    pub index: u64,
    /// The image.
    pub image: &'a Path,
    /// What differs from the usual.
    pub details: Details,
}

/// What can differ between releases.
#[derive(Debug, Clone)]
pub struct Details {
    /// Hardware it is for.
    pub hardware: &'static str,
    /// Brand or carrier variant it is for.
    pub variant: Option<&'static str>,
    /// Region it is for.
    pub region: Option<&'static str>,
    /// Bytes of a chunk.
    pub chunk_size: u32,
    /// Zstandard level.
    pub level: i32,
    /// The keys that sign, by number.
    pub keys: &'static [u32],
    /// Until when the signatures count.
    pub expires: Option<&'static str>,
    /// The file with a bootloader that comes with it.
    pub bootloader: Option<PathBuf>,
}

impl Default for Details {
    fn default() -> Self {
        Self {
            hardware: HARDWARE,
            variant: None,
            region: None,
            chunk_size: 1 << 20,
            level: 3,
            keys: &[1, 2],
            expires: None,
            bootloader: None,
        }
    }
}

impl Maker {
    /// Makes keys in the new folder `keys`.
    ///
    /// # Errors
    /// The tool fails.
    pub fn new(programs: &Programs, keys: &Path) -> Result<Self> {
        Self::keygen(programs, keys, |command| command)
    }

    /// The same; the root vouches for the keys until `date`.
    ///
    /// # Errors
    /// The tool fails.
    pub fn until(programs: &Programs, keys: &Path, date: &str) -> Result<Self> {
        Self::keygen(programs, keys, |command| command.args(["--expires", date]))
    }

    /// This maker after all keys were changed: new ones in the new folder `keys`, and a
    /// root that the holders of two of the old ones signed, which vouches until `date`.
    ///
    /// # Errors
    /// The tool fails.
    pub fn with_other_keys(&self, keys: &Path, date: &str) -> Result<Self> {
        let next = Self::keygen(&self.programs, keys, |command| {
            command.args(["--expires", date]).arg("--after").arg(self.root());
            command.arg("--key").arg(self.key(1)).arg("--key").arg(self.key(3))
        })?;
        let roots = self.roots.iter().cloned().chain([next.root()]).collect();
        Ok(Self { roots, ..next })
    }

    fn keygen(
        programs: &Programs,
        keys: &Path,
        more: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self> {
        let mut command = programs.refit();
        command.arg("keygen").arg(keys).args(["--count", "3", "--threshold", "2"]);
        said(more(&mut command)).context("cannot make keys")?;
        Ok(Self { programs: programs.clone(), keys: keys.into(), roots: Vec::new() })
    }

    /// The same maker, whose packages bring no roots.
    #[must_use]
    pub fn without_roots(&self) -> Self {
        Self { roots: Vec::new(), ..self.clone() }
    }

    /// The root of trust.
    pub fn root(&self) -> PathBuf {
        self.keys.join("root.json")
    }

    /// The file of key `number`, counted from 1.
    pub fn key(&self, number: u32) -> PathBuf {
        self.keys.join(format!("key-{number}.json"))
    }

    /// Packs and signs `release` into `package`.
    ///
    /// # Errors
    /// The tool fails.
    pub fn pack(&self, release: &Release<'_>, package: &Path) -> Result<()> {
        let Details { hardware, variant, region, chunk_size, level, .. } = &release.details;
        let bootloader = release.details.bootloader.as_ref().map(|file| {
            format!(
                "[[components]]\nname = \"bootloader\"\nkind = \"bootloader\"\n\
                 effect = \"direct\"\nworks_with_both = true\nfile = {:?}\n",
                file.display().to_string()
            )
        });
        let bootloader = bootloader.unwrap_or_default();
        let variants = variant.map(|v| format!("variants = [{v:?}]\n")).unwrap_or_default();
        let regions = region.map(|r| format!("regions = [{r:?}]\n")).unwrap_or_default();
        let roots: Vec<_> = self.roots.iter().map(|root| root.display().to_string()).collect();
        let description = format!(
            "product = {PRODUCT:?}\nversion = {:?}\nrollback_index = {}\nclass = \"feature\"\n\
             hardware = [{hardware:?}]\nroots = {roots:?}\n{variants}{regions}[notes]\nen = \"Release {}.\"\n\
             [[components]]\nname = {COMPONENT:?}\nkind = \"rootfs\"\neffect = \"slot\"\n\
             file = {:?}\nchunk_size = {chunk_size}\n{bootloader}",
            release.version,
            release.index,
            release.version,
            release.image.display().to_string(),
        );
        let config = package.with_extension("toml");
        fs::write(&config, description)?;
        let mut command = self.programs.refit();
        command.arg("pack").arg("--config").arg(config).arg("--output").arg(package);
        command.arg(format!("--level={level}"));
        for number in release.details.keys {
            command.arg("--key").arg(self.key(*number));
        }
        command.args(release.details.expires.map(|date| format!("--expires={date}")));
        said(&mut command).with_context(|| format!("cannot pack {}", package.display()))?;
        Ok(())
    }
}
