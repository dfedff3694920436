//! Dynamic groups inside of filters: a name is replaced by what the group means, so that
//! whoever evaluates a filter needs to know of no group.

use super::{Ask, Filter, FilterError, Key, Node, Pattern};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use types::Name;

/// Why a filter cannot be written without its groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A group is asked not to hold that compares by order, which has no opposite: a
    /// device without a value is on neither side.
    #[error("`{0}` compares by order (<, >), so a filter cannot ask who is not in it")]
    NoOpposite(String),
    /// It becomes too long, too deep or has too many values.
    #[error("with what its groups mean, the filter is too large")]
    Large(#[source] FilterError),
}

impl Filter {
    /// Whether it asks for groups.
    pub fn asks_groups(&self) -> bool {
        let mut rest = alloc::vec![self.node()];
        while let Some(node) = rest.pop() {
            match node {
                Node::All(nodes) | Node::Any(nodes) => rest.extend(nodes),
                Node::Test(Key::Group, _) => return true,
                Node::Test(..) => {}
            }
        }
        false
    }

    /// The filter with what dynamic groups mean beside their names: a device is in a group
    /// of that name by either. A value with stars means static groups only.
    ///
    /// # Errors
    /// A group has no opposite, or the filter becomes too large.
    pub fn with_groups(self, groups: &BTreeMap<Name, Self>) -> Result<Self, GroupError> {
        let node = expanded(self.node(), groups)?;
        if node == *self.node() {
            return Ok(self);
        }
        alloc::format!("{node}").parse().map_err(GroupError::Large)
    }
}

fn expanded(node: &Node, groups: &BTreeMap<Name, Filter>) -> Result<Node, GroupError> {
    let all = |nodes: &[Node]| {
        nodes.iter().map(|node| expanded(node, groups)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match node {
        Node::All(nodes) => Node::All(all(nodes)?),
        Node::Any(nodes) => Node::Any(all(nodes)?),
        Node::Test(Key::Group, Ask::In(patterns)) => {
            let meant = meant(patterns, groups).map(|(_, filter)| filter.node().clone());
            beside(node, meant.collect(), Node::Any)
        }
        Node::Test(Key::Group, Ask::NotIn(patterns)) => {
            let opposites = meant(patterns, groups).map(|(name, filter)| {
                opposite(filter.node()).ok_or_else(|| GroupError::NoOpposite(name.into()))
            });
            beside(node, opposites.collect::<Result<_, _>>()?, Node::All)
        }
        Node::Test(..) => node.clone(),
    })
}

/// The dynamic groups among these values.
fn meant<'a>(
    patterns: &'a [Pattern],
    groups: &'a BTreeMap<Name, Filter>,
) -> impl Iterator<Item = (&'a str, &'a Filter)> {
    patterns.iter().filter_map(|pattern| match &pattern.0[..] {
        [only] => {
            groups.iter().find(|(name, _)| name.as_str() == only).map(|(n, f)| (n.as_str(), f))
        }
        _ => None,
    })
}

fn beside(node: &Node, meant: Vec<Node>, join: impl Fn(Vec<Node>) -> Node) -> Node {
    if meant.is_empty() {
        return node.clone();
    }
    join([node.clone()].into_iter().chain(meant).collect())
}

/// What holds exactly where `node` does not.
fn opposite(node: &Node) -> Option<Node> {
    let all = |nodes: &[Node]| nodes.iter().map(opposite).collect::<Option<Vec<_>>>();
    Some(match node {
        Node::All(nodes) => Node::Any(all(nodes)?),
        Node::Any(nodes) => Node::All(all(nodes)?),
        Node::Test(key, Ask::In(patterns)) => Node::Test(key.clone(), Ask::NotIn(patterns.clone())),
        Node::Test(key, Ask::NotIn(patterns)) => Node::Test(key.clone(), Ask::In(patterns.clone())),
        Node::Test(_, Ask::Ranks(..)) => return None,
    })
}

/// As it could have been written.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, sign) = match self {
            Self::All(nodes) => (nodes, ";"),
            Self::Any(nodes) => (nodes, ","),
            Self::Test(key, ask) => {
                let (word, name) = key.parts();
                f.write_str(word)?;
                if let Some(name) = name {
                    write!(f, ".{name}")?;
                }
                return write!(f, "{ask}");
            }
        };
        for (index, node) in nodes.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { sign })?;
            match node {
                Self::Test(..) => write!(f, "{node}")?,
                Self::All(_) | Self::Any(_) => write!(f, "({node})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, many, patterns) = match self {
            Self::In(patterns) => ("==", "=in=", patterns),
            Self::NotIn(patterns) => ("!=", "=out=", patterns),
            Self::Ranks(relation, bound) => {
                return write!(f, "{}{}", relation.sign(), Pattern([bound.clone()].into()));
            }
        };
        if let [only] = &patterns[..] {
            return write!(f, "{one}{only}");
        }
        for (index, pattern) in patterns.iter().enumerate() {
            match index {
                0 => write!(f, "{many}({pattern}")?,
                _ => write!(f, ",{pattern}")?,
            }
        }
        f.write_str(")")
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for (index, piece) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "*" })?;
            for c in piece.chars() {
                f.write_str(if matches!(c, '"' | '\\' | '*') { "\\" } else { "" })?;
                write!(f, "{c}")?;
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Relation, Words};
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// A device with these values.
    struct Device(&'static [(&'static str, &'static str)]);

    impl Words for Device {
        fn any(&self, key: &Key, test: &mut dyn FnMut(&str) -> bool) -> bool {
            let own = self.0.iter().filter(|(word, _)| *word == key.parts().0);
            own.into_iter().any(|(_, value)| test(value))
        }
    }

    fn groups() -> BTreeMap<Name, Filter> {
        let all = [("south", "region==south,tag==moved"), ("old", "version<2")];
        all.into_iter().map(|(name, text)| (name.parse().unwrap(), text.parse().unwrap())).collect()
    }

    fn check(text: &str, device: &Device, expected: bool) {
        let filter: Filter = text.parse().unwrap();
        let expanded = filter.with_groups(&groups()).unwrap();
        assert_eq!(expanded.matches(device), expected, "{text}: {expanded}");
    }

    #[test]
    fn a_dynamic_group_is_asked_for_like_a_static_one() {
        let (south, moved) = (Device(&[("region", "south")]), Device(&[("tag", "moved")]));
        let (named, north) = (Device(&[("group", "south")]), Device(&[("region", "north")]));
        for inside in [&south, &moved, &named] {
            check("group==south", inside, true);
            check("group=in=(lab,south)", inside, true);
            check("group!=south", inside, false);
            check("group=out=(lab,south)", inside, false);
            check("region==nowhere,(group==south;product!=x)", inside, true);
        }
        check("group==south", &north, false);
        check("group!=south", &north, true);
        check("group==old", &Device(&[("version", "1.9")]), true);
        check("group==lab", &Device(&[("group", "lab")]), true);
        check("group==sou*", &south, false);
    }

    #[test]
    fn what_needs_no_group_stays_as_it_was_written() {
        let text = " region == south ; group==lab";
        let filter: Filter = text.parse().unwrap();
        assert!(filter.asks_groups());
        assert_eq!(filter.with_groups(&groups()).unwrap().as_str(), text);
        assert!(!"region==south".parse::<Filter>().unwrap().asks_groups());
    }

    #[test]
    fn what_has_no_opposite_or_is_too_large_is_said() {
        let ask = |text: &str, groups: &BTreeMap<Name, Filter>| {
            text.parse::<Filter>().unwrap().with_groups(groups)
        };
        assert_eq!(ask("group!=old", &groups()), Err(GroupError::NoOpposite("old".into())));
        let values = vec!["a"; 200].join(",");
        let large: Filter = alloc::format!("tag=in=({values})").parse().unwrap();
        let many = BTreeMap::from([("many".parse().unwrap(), large)]);
        assert!(ask("group==many", &many).is_ok());
        assert!(matches!(ask("group==many;group==many", &many), Err(GroupError::Large(_))));
    }

    fn any_node() -> impl Strategy<Value = Node> {
        let piece = "[a-z*\"'\\\\ ();,=ä]{0,4}";
        let pattern = proptest::collection::vec(piece, 1..4).prop_map(Pattern);
        let values = proptest::collection::vec(pattern, 1..4);
        let ask = prop_oneof![
            values.clone().prop_map(Ask::In),
            values.prop_map(Ask::NotIn),
            piece.prop_map(|bound| Ask::Ranks(Relation::AtMost, bound)),
        ];
        let key = prop_oneof![
            Just(Key::Tag),
            Just(Key::Group),
            Just(Key::Version(None)),
            Just(Key::Attribute("olt".parse().unwrap())),
        ];
        let test = (key, ask).prop_map(|(key, ask)| Node::Test(key, ask));
        test.prop_recursive(3, 12, 3, |inner| {
            let nodes = proptest::collection::vec(inner, 2..4);
            prop_oneof![nodes.clone().prop_map(Node::All), nodes.prop_map(Node::Any)]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(node in any_node()) {
            let filter: Filter = alloc::format!("{node}").parse().unwrap();
            prop_assert_eq!(filter.node(), &node);
        }
    }
}
