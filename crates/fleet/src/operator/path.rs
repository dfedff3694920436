//! The way of one device to a release, over releases in between where it needs them.

use crate::audience::lists;
use crate::filter::Filter;
use crate::{DeviceFacts, Fit, Mismatch};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use types::{ComponentState, Digest, Elsewhere, Name, Release, Running, Version};

/// The most releases of one way.
pub const STEPS_LIMIT: usize = 8;
/// The most states of a device that are looked at: a catalogue in which everything
/// leads everywhere must not hold up an operator.
const STATES_LIMIT: usize = 4096;

/// A release that a device may go over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub release: Release,
    /// The image of each component.
    pub images: BTreeMap<Name, Digest>,
    /// The versions of components that have one of their own.
    pub versions: BTreeMap<Name, Version>,
    /// What a device must be and run.
    pub fit: Fit,
    /// It is not to be offered any more.
    pub withdrawn: bool,
}

/// Why no way leads to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranded {
    /// It is not published.
    Unknown,
    /// It was withdrawn.
    Withdrawn,
    /// It is not for this product, hardware or variant.
    NotFor(Mismatch),
    /// The device runs a newer one.
    Newer,
    /// Nothing that is published leads to what the release needs.
    Needs(Filter),
}

impl fmt::Display for Stranded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the release is not published"),
            Self::Withdrawn => f.write_str("the release was withdrawn"),
            Self::NotFor(what) => write!(f, "the release is for another {what}"),
            Self::Newer => f.write_str("it runs a newer release"),
            Self::Needs(needs) => {
                write!(f, "the release needs `{needs}`, and no published release leads there")
            }
        }
    }
}

/// The shortest way of `device` to the release `target`, which is its last step; empty
/// if the device runs it. What is for other regions is gone over where `outside` does not
/// refuse that. Among ways of one length, the one over newer releases.
pub fn path<'s>(
    device: &DeviceFacts<'_>,
    target: Digest,
    steps: &'s [Step],
    outside: Elsewhere,
) -> Result<Vec<&'s Step>, Stranded> {
    let last = steps.iter().find(|step| step.release.manifest == target);
    let last = last.ok_or(Stranded::Unknown)?;
    if crate::runs(&last.images, device.running) {
        return Ok(Vec::new());
    }
    last.fits(device, outside)?;
    let index = device.release.map_or(0, |release| release.rollback_index);
    if index > last.release.rollback_index {
        return Err(Stranded::Newer);
    }
    let within = |step: &&Step| step.release.rollback_index <= last.release.rollback_index;
    let mut usable: Vec<&Step> = steps.iter().filter(within).collect();
    usable.retain(|step| step.fits(device, outside).is_ok());
    usable.sort_by_key(|step| core::cmp::Reverse(step.release.rollback_index));
    let none = || last.fit.needs.clone().map_or(Stranded::Unknown, Stranded::Needs);
    search(device, last, &usable, index).ok_or_else(none)
}

/// A state of the device on its way.
struct At<'s> {
    running: Running,
    index: u64,
    over: Vec<&'s Step>,
}

fn search<'s>(
    device: &DeviceFacts<'_>,
    last: &'s Step,
    usable: &[&'s Step],
    index: u64,
) -> Option<Vec<&'s Step>> {
    let start = At { running: device.running.clone(), index, over: Vec::new() };
    let mut known = BTreeSet::from([fingerprint(&start.running)]);
    let mut open = VecDeque::from([start]);
    while let Some(at) = open.pop_front() {
        if last.takes(device, &at) {
            return Some(at.over.into_iter().chain([last]).collect());
        }
        if at.over.len() + 1 >= STEPS_LIMIT {
            continue;
        }
        for step in usable.iter().filter(|step| step.takes(device, &at)) {
            let running = step.applied(&at.running);
            if known.len() < STATES_LIMIT && known.insert(fingerprint(&running)) {
                let over = at.over.iter().copied().chain([*step]).collect();
                open.push_back(At { running, index: step.release.rollback_index, over });
            }
        }
    }
    None
}

fn fingerprint(running: &Running) -> Vec<(Name, Version, Digest)> {
    let part = |(name, state): (&Name, &ComponentState)| {
        (name.clone(), state.version.clone(), state.image)
    };
    running.iter().map(part).collect()
}

impl Step {
    /// Whether the release is for such a device at all, whatever it runs.
    fn fits(&self, device: &DeviceFacts<'_>, outside: Elsewhere) -> Result<(), Stranded> {
        if self.withdrawn {
            return Err(Stranded::Withdrawn);
        }
        if self.release.product != *device.product {
            return Err(Stranded::NotFor(Mismatch::Product));
        }
        if outside == Elsewhere::Refuse && !lists(&self.fit.regions, device.region) {
            return Err(Stranded::NotFor(Mismatch::Region));
        }
        match self.fit.mismatch(device) {
            None | Some(Mismatch::Needs) => Ok(()),
            Some(what) => Err(Stranded::NotFor(what)),
        }
    }

    /// Whether the device may go over this release in this state.
    fn takes(&self, device: &DeviceFacts<'_>, at: &At<'_>) -> bool {
        let then = DeviceFacts { running: &at.running, ..*device };
        self.release.rollback_index >= at.index && self.fit.mismatch(&then).is_none()
    }

    /// What runs when `running` went over this release.
    fn applied(&self, running: &Running) -> Running {
        let mut running = running.clone();
        for (component, image) in &self.images {
            let version = self.versions.get(component).unwrap_or(&self.release.version).clone();
            running.insert(component.clone(), ComponentState { version, image: *image });
        }
        running
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;
    use alloc::string::{String, ToString};
    use alloc::{format, vec};
    use types::Timestamp;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// A release `version` of one rootfs that needs `needs`; "" needs nothing.
    fn step(version: &str, index: u64, needs: &str) -> Step {
        let image = Digest::of(version.as_bytes());
        let product = name("router");
        Step {
            release: Release {
                product,
                version: name(version),
                rollback_index: index,
                manifest: image,
            },
            images: [(name("rootfs"), image)].into(),
            versions: BTreeMap::new(),
            fit: Fit {
                hardware: vec![name("r1")],
                variants: vec![],
                regions: vec![],
                needs: (!needs.is_empty()).then(|| needs.parse().unwrap()),
            },
            withdrawn: false,
        }
    }

    /// The way of a terminal that runs `version`, in words.
    #[track_caller]
    fn check(steps: &[Step], version: &str, index: u64, target: &str, expected: &str) {
        let state = |version: &str| ComponentState {
            version: name(version),
            image: Digest::of(version.as_bytes()),
        };
        let running = [(name("rootfs"), state(version)), (name("modem"), state("7"))].into();
        let (product, hardware, id) = (name("router"), name("r1"), name("cpe"));
        let release = step(version, index, "").release;
        let device = DeviceFacts {
            id: &id,
            product: &product,
            hardware: &hardware,
            variant: None,
            region: None,
            running: &running,
            release: Some(&release),
            enrolled: Timestamp(0),
            labels: Labels::NONE,
            abilities: &[],
            attempts: &[],
        };
        let words = match path(&device, Digest::of(target.as_bytes()), steps, Elsewhere::Refuse) {
            Ok(way) => way
                .iter()
                .map(|step| step.release.version.to_string())
                .collect::<Vec<_>>()
                .join(" "),
            Err(why) => format!("none: {why}"),
        };
        assert_eq!(words, String::from(expected));
    }

    #[test]
    fn a_release_without_needs_is_one_step() {
        let all = [step("1", 1, ""), step("2", 2, ""), step("3", 3, "")];
        check(&all, "1", 1, "3", "3");
        check(&all, "3", 3, "3", "");
        check(&all, "3", 3, "2", "none: it runs a newer release");
        check(&all, "1", 1, "9", "none: the release is not published");
    }

    #[test]
    fn steps_in_between_are_found() {
        let all = [
            step("1.5", 2, ""),
            step("2", 3, "version.rootfs>=1.5"),
            step("2.1", 4, "version.rootfs>=1.5"),
            step("3", 5, "version.rootfs>=2"),
        ];
        check(&all, "1", 1, "3", "1.5 2.1 3");
        check(&all, "1.5", 2, "3", "2.1 3");
        check(&all, "2", 3, "3", "3");
        check(&all, "1", 1, "2", "1.5 2");
    }

    #[test]
    fn who_cannot_get_there_learns_why() {
        let three = step("3", 5, "version.rootfs>=2");
        let stranded =
            "none: the release needs `version.rootfs>=2`, and no published release leads there";
        check(core::slice::from_ref(&three), "1", 1, "3", stranded);
        let mut two = step("2", 3, "");
        check(&[two.clone(), three.clone()], "1", 1, "3", "2 3");
        two.withdrawn = true;
        check(&[two.clone(), three.clone()], "1", 1, "3", stranded);
        check(&[two], "1", 1, "2", "none: the release was withdrawn");
        let mut other = step("2", 3, "");
        other.fit.hardware = vec![name("r2")];
        check(&[other.clone(), three], "1", 1, "3", stranded);
        check(&[other.clone()], "1", 1, "2", "none: the release is for another hardware");
        other.fit.hardware = vec![name("r1")];
        other.fit.variants = vec![name("blue")];
        check(&[other.clone()], "1", 1, "2", "none: the release is for another variant");
        (other.fit.variants, other.fit.regions) = (vec![], vec![name("DE")]);
        check(&[other], "1", 1, "2", "none: the release is for another region");
    }

    #[test]
    fn components_are_looked_at_one_by_one() {
        let modem = |version: &str, index| {
            let mut modem = step(version, index, "");
            modem.images = [(name("modem"), Digest::of(version.as_bytes()))].into();
            modem
        };
        let all = [modem("8", 2), step("2", 3, "version.modem>=8")];
        check(&all, "1", 1, "2", "8 2");
        let mut own = modem("m-8", 2);
        own.versions = [(name("modem"), name("8"))].into();
        check(&[own, step("2", 3, "version.modem>=8")], "1", 1, "2", "m-8 2");
        check(&[step("2", 3, "version.modem>=7")], "1", 1, "2", "2");
        check(&[modem("6", 2), step("2", 3, "version.modem<7")], "1", 1, "2", "6 2");
    }

    #[test]
    fn a_longer_way_than_allowed_is_none() {
        let need =
            |n: u64| if n == 2 { String::new() } else { format!("version.rootfs=={}", n - 1) };
        let all: Vec<Step> = (2..=10).map(|n| step(&n.to_string(), n, &need(n))).collect();
        check(&all, "1", 1, "9", "2 3 4 5 6 7 8 9");
        check(
            &all,
            "1",
            1,
            "10",
            "none: the release needs `version.rootfs==9`, and no published release leads there",
        );
    }
}
