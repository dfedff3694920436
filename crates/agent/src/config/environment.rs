//! `boot.environment`: where U-Boot's variables are.

use crate::platform::boot::Place;
use crate::platform::boot::environment::{Copies, Environment, SIZE_MAX};
use serde::Deserialize;
use std::path::PathBuf;

/// Where U-Boot's variables are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentPlaces {
    /// Bytes of each copy, CRC and flag included.
    pub size: usize,
    /// One copy, or two.
    pub copies: Vec<CopyPlace>,
    /// Whether two copies are U-Boot's own or state files of a script.
    #[serde(default)]
    pub form: EnvironmentForm,
    /// In raw flash, bytes from each copy's beginning in which it may be, bad blocks
    /// included.
    #[serde(default)]
    pub range: u64,
}

/// One copy of an environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyPlace {
    /// File or device.
    pub path: PathBuf,
    /// Bytes before it.
    #[serde(default)]
    pub offset: u64,
}

/// How two copies are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentForm {
    /// By a flag byte, as U-Boot does.
    #[default]
    Flags,
    /// By a variable in them, as our U-Boot script does.
    StateFiles,
}

impl EnvironmentPlaces {
    /// The first rule that is broken.
    pub(super) fn fault(&self) -> Option<String> {
        if !(64..=SIZE_MAX).contains(&self.size) {
            return Some("`boot.environment.size` is not from 64 bytes to 1 MiB".into());
        }
        match (self.copies.as_slice(), self.form) {
            ([_], EnvironmentForm::Flags) => None,
            ([one, two], _) if one.path == two.path && one.offset == two.offset => {
                Some("`boot.environment.copies` are in the same place".into())
            }
            ([one, two], _)
                if one.path == two.path && one.offset.abs_diff(two.offset) < self.range =>
            {
                Some("`boot.environment.copies` are nearer to each other than `range`".into())
            }
            ([_, _], _) => None,
            (_, EnvironmentForm::StateFiles) => {
                Some("`boot.environment.copies` must name two state files".into())
            }
            (_, EnvironmentForm::Flags) => {
                Some("`boot.environment.copies` must name one place or two".into())
            }
        }
    }

    /// A configuration of another number of copies was refused.
    pub(super) fn open(&self) -> Environment {
        let mut places =
            self.copies.iter().map(|c| Place { path: c.path.clone(), offset: c.offset });
        let none = || Place { path: PathBuf::new(), offset: 0 };
        let first = places.next().unwrap_or_else(none);
        let copies = match (places.next(), self.form) {
            (None, _) => Copies::Single(first),
            (Some(second), EnvironmentForm::Flags) => Copies::Flagged([first, second]),
            (Some(second), EnvironmentForm::StateFiles) => Copies::States([first, second]),
        };
        Environment { size: self.size, copies, range: self.range }
    }
}
