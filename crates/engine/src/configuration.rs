//! The form of a terminal's configuration: which steps lead from the version that is
//! there to the one that a release works with, forwards or backwards.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

/// The most steps of one migration.
pub const STEPS_MAX: usize = 64;

/// From one version of the form to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The version that it begins with.
    pub from: u32,
    /// The version that it makes.
    pub to: u32,
}

/// The fewest of `steps`, by their places, that lead from version `from` to `to`; none
/// when both are the same. `None` when there is no way of at most [`STEPS_MAX`].
pub fn way(steps: &[Step], from: u32, to: u32) -> Option<Vec<usize>> {
    let mut came_by = BTreeMap::from([(from, None)]);
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front().filter(|at| *at != to) {
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| step.from == at) {
            came_by.entry(step.to).or_insert_with(|| {
                next.push_back(step.to);
                Some(place)
            });
        }
    }
    let (mut places, mut at) = (Vec::new(), to);
    while let Some(place) = came_by.get(&at)? {
        places.push(*place);
        at = steps.get(*place)?.from;
    }
    places.reverse();
    (places.len() <= STEPS_MAX).then_some(places)
}

/// The longest pattern, in bytes, and the most stars in it.
const PATTERN_MAX: usize = 256;
const STARS_MAX: usize = 8;

/// Which files are carried over: a path below the configuration, in which `*` stands
/// for any part of a name, `?` for one character, and `**` for any number of folders. A
/// folder stands for all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// The pattern in `text`; `None` where it is empty, absolute, leads upwards, or is
    /// longer than 256 bytes or has more than 8 stars.
    pub fn read(text: &str) -> Option<Self> {
        let names: Vec<String> = text.split('/').map(String::from).collect();
        let harmless = |name: &String| !name.is_empty() && name != "." && name != "..";
        let short = text.len() <= PATTERN_MAX && text.matches('*').count() <= STARS_MAX;
        (short && names.iter().all(harmless)).then_some(Self(names))
    }

    /// Whether it stands for `path`, or for a folder above it.
    pub fn holds(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        path_fits(&self.0, &names)
    }
}

fn path_fits(pattern: &[String], names: &[&str]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, _) => true,
        (Some((first, rest)), _) if first == "**" => {
            path_fits(rest, names)
                || names.split_first().is_some_and(|(_, deeper)| path_fits(pattern, deeper))
        }
        (Some((first, rest)), Some((name, deeper))) => {
            let (first, name): (Vec<char>, Vec<char>) =
                (first.chars().collect(), name.chars().collect());
            name_fits(&first, &name) && path_fits(rest, deeper)
        }
        (Some(_), None) => false,
    }
}

fn name_fits(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, left) => left.is_none(),
        (Some(('*', rest)), left) => {
            name_fits(rest, name) || left.is_some_and(|(_, more)| name_fits(pattern, more))
        }
        (Some((wanted, rest)), Some((is, more))) => {
            (*wanted == '?' || wanted == is) && name_fits(rest, more)
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(pattern: &str, held: &[&str], not: &[&str]) {
        let read = Pattern::read(pattern).unwrap();
        held.iter().for_each(|path| assert!(read.holds(path), "{pattern} {path}"));
        not.iter().for_each(|path| assert!(!read.holds(path), "{pattern} {path}"));
    }

    #[test]
    fn patterns_hold_files_and_folders() {
        holds("wifi.conf", &["wifi.conf", "wifi.conf/x"], &["a/wifi.conf", "wifi.con", "wifi"]);
        holds("net/*.conf", &["net/a.conf", "net/.conf"], &["net/a.cfg", "net/a/b.conf", "net"]);
        holds("net", &["net", "net/a", "net/a/b"], &["network", "a/net"]);
        holds("**/*.key", &["a.key", "a/b.key", "a/b/c.key"], &["a/b.keys"]);
        holds("a/**/z", &["a/z", "a/b/z", "a/b/c/z/y"], &["z", "b/a/z"]);
        holds("?a*b*", &["xab", "xaccbd"], &["ab", "xa"]);
        for bad in ["", "/etc", "a//b", "../a", "a/..", ".", "*********"] {
            assert_eq!(Pattern::read(bad), None, "{bad}");
        }
        assert_eq!(Pattern::read(&"x".repeat(257)), None);
    }

    #[test]
    fn a_pattern_is_judged_in_bounded_time() {
        let pattern = Pattern::read("*a*a*a*a*a*a*a*b").unwrap();
        assert!(!pattern.holds(&"a".repeat(60)));
    }

    #[track_caller]
    fn check(from: u32, to: u32, expected: Option<&[usize]>) {
        let steps = [(1, 2), (2, 3), (3, 2), (2, 1), (1, 3), (3, 4), (9, 1)];
        let steps = steps.map(|(from, to)| Step { from, to });
        assert_eq!(way(&steps, from, to).as_deref(), expected, "{from} to {to}");
    }

    #[test]
    fn the_shortest_way_is_found_in_both_directions() {
        check(1, 1, Some(&[]));
        check(1, 2, Some(&[0]));
        check(1, 3, Some(&[4]));
        check(1, 4, Some(&[4, 5]));
        check(3, 1, Some(&[2, 3]));
        check(4, 1, None);
        check(1, 9, None);
        check(7, 7, Some(&[]));
        check(7, 8, None);
    }

    #[test]
    fn a_way_has_an_end() {
        let steps: Vec<Step> = (0..100).map(|from| Step { from, to: from + 1 }).collect();
        assert_eq!(way(&steps, 0, 64).map(|way| way.len()), Some(64));
        assert_eq!(way(&steps, 0, 65), None);
    }
}
