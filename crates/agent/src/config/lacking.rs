//! What a configuration asks for that this agent was built without.

use crate::features::{FEATURES, left_out};
use types::Tree;
use types::tree::Node;

/// Something in a configuration that a feature brings.
struct Brought {
    feature: &'static str,
    /// The table.
    table: &'static str,
    /// What of it; the whole table otherwise.
    word: Option<Word>,
}

/// An entry of the table, or of each table in it, with one of these words.
struct Word {
    key: &'static str,
    words: &'static [&'static str],
}

/// Bootloaders that are not U-Boot.
const OTHERS: &[&str] = &["android", "chromeos", "efi", "grub", "raspberry-pi", "systemd-boot"];
/// Effects of what is no slot.
const EFFECTS: &[&str] = &["copies", "direct", "live"];

const BROUGHT: [Brought; 10] = [
    word("bootloaders", "boot", "control", OTHERS),
    word("components", "components", "effect", EFFECTS),
    table("cards", "media"),
    table("dbus", "dbus"),
    table("page", "page"),
    table("plan", "plan"),
    table("upkeep", "configuration"),
    table("upkeep", "factory_reset"),
    table("upkeep", "hooks"),
    table("upkeep", "partitions"),
];

const fn table(feature: &'static str, table: &'static str) -> Brought {
    Brought { feature, table, word: None }
}

const fn word(
    feature: &'static str,
    table: &'static str,
    key: &'static str,
    words: &'static [&'static str],
) -> Brought {
    Brought { feature, table, word: Some(Word { key, words }) }
}

/// The first thing that `configuration` asks for and this agent does not have.
pub(super) fn first(configuration: &Tree) -> Option<String> {
    without(configuration, FEATURES)
}

fn without(configuration: &Tree, features: &[&str]) -> Option<String> {
    let lacking = BROUGHT.iter().filter(|brought| !features.contains(&brought.feature));
    let mut asked = lacking.filter_map(|brought| {
        let what = brought.asked(configuration)?;
        Some(left_out(&what, brought.feature))
    });
    asked.next()
}

impl Brought {
    fn asked(&self, configuration: &Tree) -> Option<String> {
        let table = configuration.get(self.table)?;
        let Some(Word { key, words }) = &self.word else {
            return Some(format!("`[{}]`", self.table));
        };
        let within = match &table.node {
            Node::Table(entries) => entries.iter().map(|(_, inner)| inner),
            _ => return None,
        };
        let mut tables = std::iter::once(table).chain(within);
        let said = tables.find_map(|table| match &table.get(key)?.node {
            Node::Text(word) if words.contains(&word.as_str()) => Some(word),
            _ => None,
        })?;
        Some(format!("`{}`: `{key} = \"{said}\"`", self.table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said to `text` by an agent with these features.
    fn check(text: &str, features: &[&str], want: Option<&str>) {
        let said = without(&super::super::form::tree(text).unwrap(), features);
        assert_eq!(said.is_some(), want.is_some(), "{text}: {said:?}");
        let said = said.unwrap_or_default();
        assert!(said.contains(want.unwrap_or_default()), "{text}: {said}");
    }

    #[test]
    fn what_is_lacking_is_named_with_its_feature() {
        let grub = "[boot]\ncontrol = \"grub\"";
        check(grub, &["bootloaders"], None);
        check(grub, &[], Some("`boot`: `control = \"grub\"`; it needs the feature `bootloaders`"));
        check("[boot]\ncontrol = \"uboot\"", &[], None);
        let live = "[components.a]\neffect = \"slot\"\n[components.b]\neffect = \"live\"";
        check(live, &[], Some("`effect = \"live\"`; it needs the feature `components`"));
        check(live, &["components"], None);
        check("[page]\nlisten = \"x\"", &["plan"], Some("without `[page]`"));
        check("media = { mounts = [] }", &[], Some("the feature `cards`"));
        check("[factory_reset]", &[], Some("the feature `upkeep`"));
        check("[health]", &[], None);
    }

    #[test]
    fn everything_is_there_by_default() {
        let has = |brought: &Brought| FEATURES.contains(&brought.feature);
        let missing: Vec<_> = BROUGHT.iter().filter(|b| !has(b)).map(|b| b.feature).collect();
        assert!(missing.iter().all(|feature| *feature == "dbus"), "{missing:?}");
    }
}
