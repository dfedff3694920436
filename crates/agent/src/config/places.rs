//! Places of media that the configuration names: what the agent may have unlocked to
//! write it.

use super::{Boot, Config};
use std::path::Path;

impl Config {
    /// Where components and the bootloader's memory lie. Some of them may be devices, some
    /// files, and some not there.
    pub fn written(&self) -> Vec<&Path> {
        let components = self.components.values().flat_map(|component| component.media());
        components.chain(self.boot.places()).collect()
    }
}

impl Boot {
    /// Where the bootloader keeps its memory, as far as that is a medium.
    fn places(&self) -> Vec<&Path> {
        match self {
            Self::Uboot { environment, .. }
            | Self::Bootcount { environment, .. }
            | Self::Mender { environment, .. } => {
                environment.copies.iter().map(|copy| copy.path.as_path()).collect()
            }
            Self::File { path, .. } => vec![path],
            #[cfg(feature = "bootloaders")]
            Self::Grub { path, .. } => vec![path],
            #[cfg(feature = "bootloaders")]
            Self::Android { misc, .. } => vec![misc],
            #[cfg(feature = "bootloaders")]
            Self::Chromeos { disk, .. } => vec![disk],
            #[cfg(feature = "bootloaders")]
            Self::SystemdBoot { .. } | Self::Efi { .. } | Self::RaspberryPi { .. } => Vec::new(),
            Self::Custom { .. } => Vec::new(),
        }
    }
}
