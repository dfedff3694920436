//! `[boot]` and `[running]`: which convention the bootloader follows.

use super::EnvironmentPlaces;
use crate::edges::BootControl;
use crate::platform::boot::file::{BootFile, BootFileControl};
use crate::platform::boot::{
    Control, Convention, Counting, Names, RunningFrom, bootcount::BootCount, custom::Custom,
    rauc::Rauc,
};
#[cfg(feature = "bootloaders")]
use crate::platform::boot::{
    Place, android, chromeos::ChromeOs, efi, grub::Grub, raspberry, systemd::Systemd,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use types::tree::Node;
use types::{Tree, TreeError, Tries};

/// The bootloader.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename = "control", rename_all = "kebab-case")]
pub enum Boot {
    /// It keeps its memory in a file or on a partition of 8 KiB.
    File {
        /// Where that is.
        path: PathBuf,
        /// How often it tries a new slot; `"single"` when it tries once.
        #[serde(default)]
        tries: BootTries,
        /// A file that says which slot runs; the kernel's command line otherwise.
        running_file: Option<PathBuf>,
    },
    /// U-Boot with RAUC's variables.
    Uboot {
        /// Where they are.
        environment: EnvironmentPlaces,
        /// What the slots are called in them.
        #[serde(default)]
        names: SlotNames,
        /// Tries of a slot.
        #[serde(default = "three")]
        tries: u8,
        /// Which boots cost a try.
        #[serde(default)]
        counting: CountingWord,
    },
    /// U-Boot with its own counter of boots.
    Bootcount {
        /// Where its variables are.
        environment: EnvironmentPlaces,
        /// The variable that says which slot is started.
        variable: String,
        /// Its values.
        names: SlotNames,
        /// The `bootlimit`; `"single"` for 1.
        #[serde(default)]
        tries: BootTries,
        /// Which boots cost a try.
        #[serde(default)]
        counting: CountingWord,
    },
    /// U-Boot with Mender's variables.
    Mender {
        /// Where they are.
        environment: EnvironmentPlaces,
        /// Partition of slot A.
        a: u32,
        /// Partition of slot B.
        b: u32,
        /// The `bootlimit`; `"single"` for 1.
        #[serde(default)]
        tries: BootTries,
    },
    /// GRUB with RAUC's variables.
    #[cfg(feature = "bootloaders")]
    Grub {
        /// The environment block.
        path: PathBuf,
        /// What the slots are called in it.
        #[serde(default)]
        names: SlotNames,
        /// Tries of a slot with our script; `"single"` with RAUC's.
        #[serde(default)]
        tries: BootTries,
        /// Which boots cost a try; with RAUC's script, all.
        #[serde(default)]
        counting: CountingWord,
    },
    /// systemd-boot with counted entries.
    #[cfg(feature = "bootloaders")]
    SystemdBoot {
        /// The directory of the entries.
        entries: PathBuf,
        /// The entries, without `.conf`.
        names: SlotNames,
        /// Tries of a slot.
        #[serde(default = "three")]
        tries: u8,
    },
    /// UEFI firmware.
    #[cfg(feature = "bootloaders")]
    Efi {
        /// Number of slot A's entry.
        a: u16,
        /// Number of slot B's entry.
        b: u16,
        /// Where the variables are.
        #[serde(default = "efivars")]
        variables: PathBuf,
    },
    /// A Raspberry Pi with `tryboot`.
    #[cfg(feature = "bootloaders")]
    RaspberryPi {
        /// `autoboot.txt`.
        autoboot: PathBuf,
        /// Boot partition of slot A.
        a: u32,
        /// Boot partition of slot B.
        b: u32,
        /// Where the argument of the next restart goes.
        #[serde(default = "parameter")]
        parameter: PathBuf,
        /// Where the firmware says which partition it started.
        #[serde(default = "partition")]
        partition: PathBuf,
    },
    /// Android's `bootloader_control`.
    #[cfg(feature = "bootloaders")]
    Android {
        /// The `misc` partition.
        misc: PathBuf,
        /// Bytes before the structure.
        #[serde(default = "android_offset")]
        offset: u64,
        /// Tries of a slot, 7 at most.
        #[serde(default = "three")]
        tries: u8,
    },
    /// ChromeOS's bits in a partition table.
    #[cfg(feature = "bootloaders")]
    Chromeos {
        /// The disk.
        disk: PathBuf,
        /// Number of slot A's partition.
        a: u32,
        /// Number of slot B's partition.
        b: u32,
        /// Bytes of a sector.
        #[serde(default = "sector")]
        sector: usize,
        /// Tries of a slot, 15 at most.
        #[serde(default = "three")]
        tries: u8,
    },
    /// A program that speaks for the bootloader, compatible with RAUC's.
    Custom {
        /// The program, and arguments before the verb.
        command: Vec<String>,
        /// What it calls the slots.
        #[serde(default)]
        names: SlotNames,
        /// How the bootloader tries a slot.
        #[serde(default)]
        tries: BootTries,
        /// Which boots cost a try.
        #[serde(default)]
        counting: CountingWord,
        /// Seconds within which the program has to end.
        #[serde(default = "custom_seconds")]
        within_seconds: u32,
    },
}

/// What the bootloader calls the slots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotNames {
    /// Slot A.
    pub a: String,
    /// Slot B.
    pub b: String,
}

impl Default for SlotNames {
    fn default() -> Self {
        let Names { a, b } = Names::default();
        Self { a, b }
    }
}

impl From<&SlotNames> for Names {
    fn from(names: &SlotNames) -> Self {
        Self { a: names.a.clone(), b: names.b.clone() }
    }
}

/// Which boots cost a try.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountingWord {
    /// Those of a slot on trial.
    #[default]
    Trial,
    /// All of them.
    Always,
}

impl From<CountingWord> for Counting {
    fn from(word: CountingWord) -> Self {
        match word {
            CountingWord::Trial => Self::Trial,
            CountingWord::Always => Self::Always,
        }
    }
}

/// How often a bootloader tries a new slot.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Tree")]
pub enum BootTries {
    /// It counts down.
    Counted(u8),
    /// It tries once.
    Single(Single),
}

impl TryFrom<Tree> for BootTries {
    type Error = TreeError;

    fn try_from(tree: Tree) -> Result<Self, TreeError> {
        match &tree.node {
            Node::Text(_) => tree.read().map(Self::Single),
            _ => tree.read().map(Self::Counted),
        }
    }
}

impl Default for BootTries {
    fn default() -> Self {
        Self::Counted(three())
    }
}

/// The word for one try.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Single {
    /// One try; the agent arms the slot again.
    Single,
}

impl From<BootTries> for Tries {
    fn from(tries: BootTries) -> Self {
        match tries {
            BootTries::Counted(tries) => Self::Counted(tries.clamp(1, 10)),
            BootTries::Single(Single::Single) => Self::Single,
        }
    }
}

/// How the agent learns which slot runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename = "from", rename_all = "kebab-case")]
pub enum Running {
    /// An argument of the kernel's command line.
    CommandLine {
        /// What is before the `=`.
        argument: String,
        /// What is behind it.
        names: SlotNames,
    },
    /// A file that holds `A` or `B`.
    File {
        /// That file.
        path: PathBuf,
    },
}

impl From<&Running> for RunningFrom {
    fn from(running: &Running) -> Self {
        match running {
            Running::CommandLine { argument, names } => {
                Self::CommandLine { argument: argument.clone(), names: names.into() }
            }
            Running::File { path } => Self::File(path.clone()),
        }
    }
}

fn three() -> u8 {
    3
}

#[cfg(feature = "bootloaders")]
fn sector() -> usize {
    512
}

fn custom_seconds() -> u32 {
    10
}

#[cfg(feature = "bootloaders")]
fn efivars() -> PathBuf {
    efi::EFIVARS.into()
}

#[cfg(feature = "bootloaders")]
fn parameter() -> PathBuf {
    raspberry::PARAMETER.into()
}

#[cfg(feature = "bootloaders")]
fn partition() -> PathBuf {
    raspberry::PARTITION.into()
}

#[cfg(feature = "bootloaders")]
fn android_offset() -> u64 {
    android::OFFSET
}

impl Boot {
    /// The first rule that is broken.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::Uboot { environment, .. }
            | Self::Bootcount { environment, .. }
            | Self::Mender { environment, .. } => environment.fault(),
            Self::Custom { command, .. } if command.is_empty() => {
                Some("`boot.command` names no program".into())
            }
            #[cfg(feature = "bootloaders")]
            Self::Efi { a, b, .. } if a == b => same(),
            #[cfg(feature = "bootloaders")]
            Self::RaspberryPi { a, b, .. } | Self::Chromeos { a, b, .. } if a == b => same(),
            _ => None,
        }
        .or_else(|| self.names().filter(|names| names.a == names.b).and_then(|_| same()))
    }

    fn names(&self) -> Option<&SlotNames> {
        match self {
            Self::Uboot { names, .. }
            | Self::Bootcount { names, .. }
            | Self::Custom { names, .. } => Some(names),
            #[cfg(feature = "bootloaders")]
            Self::Grub { names, .. } | Self::SystemdBoot { names, .. } => Some(names),
            _ => None,
        }
    }

    /// The agent's edge to this bootloader. What is not the bootloader's own is kept
    /// in `state_dir`.
    pub fn control(&self, running: Option<&Running>, state_dir: &Path) -> Box<dyn BootControl> {
        self.open(running.map(RunningFrom::from), state_dir)
    }

    fn open(&self, running: Option<RunningFrom>, state_dir: &Path) -> Box<dyn BootControl> {
        match self {
            Self::Uboot { environment, names, tries, counting } => boxed(
                Rauc {
                    environment: environment.open(),
                    names: names.into(),
                    tries: (*tries).clamp(1, 10),
                    counting: (*counting).into(),
                },
                running,
            ),
            Self::Bootcount { environment, variable, names, tries, counting } => boxed(
                BootCount {
                    environment: environment.open(),
                    variable: variable.clone(),
                    hexadecimal: None,
                    values: names.into(),
                    tries: (*tries).into(),
                    counting: (*counting).into(),
                },
                running,
            ),
            Self::Mender { environment, a, b, tries } => {
                let values = Names { a: a.to_string(), b: b.to_string() };
                let tries = (*tries).into();
                boxed(BootCount::mender(environment.open(), values, tries), running)
            }
            #[cfg(feature = "bootloaders")]
            Self::Grub { path, names, tries, counting } => boxed(
                Grub {
                    block: Place { path: path.clone(), offset: 0 },
                    names: names.into(),
                    tries: (*tries).into(),
                    counting: (*counting).into(),
                },
                running,
            ),
            _ => self.firmware(running, state_dir),
        }
    }

    /// The same, for what is no script.
    fn firmware(&self, running: Option<RunningFrom>, state_dir: &Path) -> Box<dyn BootControl> {
        match self.clone() {
            Self::File { path, tries, running_file } => {
                let file = running_file.map(RunningFrom::File);
                let running = file.or(running).unwrap_or_default();
                Box::new(BootFileControl::new(BootFile::new(&path), tries.into(), running))
            }
            #[cfg(feature = "bootloaders")]
            Self::SystemdBoot { entries, names, tries } => {
                let names = (&names).into();
                boxed(Systemd { entries, names, tries: tries.clamp(1, 10) }, running)
            }
            #[cfg(feature = "bootloaders")]
            Self::Efi { a, b, variables } => boxed(efi::Efi { variables, a, b }, running),
            #[cfg(feature = "bootloaders")]
            Self::RaspberryPi { autoboot, a, b, parameter, partition } => {
                boxed(raspberry::Raspberry { autoboot, parameter, partition, a, b }, running)
            }
            #[cfg(feature = "bootloaders")]
            Self::Android { misc, offset, tries } => {
                let place = Place { path: misc, offset };
                boxed(android::Android { place, tries: tries.max(1) }, running)
            }
            #[cfg(feature = "bootloaders")]
            Self::Chromeos { disk, a, b, sector, tries } => {
                boxed(ChromeOs { disk, sector, a, b, tries: tries.max(1) }, running)
            }
            Self::Custom { command, names, tries, counting, within_seconds } => boxed(
                Custom {
                    command,
                    names: (&names).into(),
                    tries: tries.into(),
                    counting: counting.into(),
                    note: state_dir.join("boot-trial"),
                    within: u64::from(within_seconds) * 1000,
                },
                running,
            ),
            scripted => scripted.open(running, state_dir),
        }
    }
}

fn same() -> Option<String> {
    Some("`boot`: slot A and slot B are the same".into())
}

fn boxed<C: Convention + 'static>(
    convention: C,
    running: Option<RunningFrom>,
) -> Box<dyn BootControl> {
    Box::new(Control::new(convention, running))
}
