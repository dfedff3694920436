//! Those that are compared.

use super::cost::{Cost, Watch};
use super::nginx::Nginx;
use super::refit::Refit;
use super::workshop::Workshop;
use super::{rauc, swupdate};
use crate::terminal::ReadBack;
use crate::web::Authority;
use anyhow::Result;
use std::fmt;

/// Who installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Installer {
    SwUpdate,
    Rauc,
    Refit(WithReadBack),
}

/// Whether Refit reads the slot back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WithReadBack {
    No,
    Yes,
}

/// All of them, in the order of a round.
pub(super) const INSTALLERS: [Installer; 4] = [
    Installer::SwUpdate,
    Installer::Refit(WithReadBack::No),
    Installer::Rauc,
    Installer::Refit(WithReadBack::Yes),
];

/// Everyone's servers.
pub(super) struct Installers<'a> {
    workshop: &'a Workshop,
    authority: Authority,
    nginx: Nginx,
    refit: Refit<'a>,
}

impl<'a> Installers<'a> {
    /// Starts the servers, for `runs` installations by each.
    pub(super) fn start(workshop: &'a Workshop, runs: usize) -> Result<Self> {
        let authority = Authority::new()?;
        let nginx =
            Nginx::start(&workshop.empty("nginx")?, &workshop.folder.join("www"), &authority)?;
        Ok(Self { workshop, authority, nginx, refit: Refit::start(workshop, 2 * runs)? })
    }

    /// One installation, verified.
    pub(super) fn install(&mut self, installer: Installer, watch: Watch) -> Result<Cost> {
        let url = |name| self.nginx.url(name);
        match installer {
            Installer::SwUpdate => swupdate::install(self.workshop, &url("update.swu"), watch),
            Installer::Rauc => {
                let ca = self.authority.ca_pem();
                rauc::install(self.workshop, &url("update.raucb"), ca, watch)
            }
            Installer::Refit(WithReadBack::No) => self.refit.install(ReadBack::Off, watch),
            Installer::Refit(WithReadBack::Yes) => self.refit.install(ReadBack::Full, watch),
        }
    }
}

impl fmt::Display for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SwUpdate => "SWUpdate",
            Self::Rauc => "RAUC",
            Self::Refit(WithReadBack::No) => "Refit",
            Self::Refit(WithReadBack::Yes) => "Refit, with read-back",
        })
    }
}
