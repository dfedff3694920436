//! A rollout as people write it: TOML (or JSON), and where it is wrong.

use anyhow::{Context as _, bail};
use protocols::json::{Message as _, decode};
use protocols::operator::RolloutOrder;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Every key of a rollout file. A wrong one is an error: on the wire it might be a newer
/// tool's, but a person meant something by it.
const KEYS: &[&str] = &[
    "name",
    "release",
    "in_flight",
    "mode",
    "retries",
    "wait_for_deltas",
    "audience",
    "audience.product",
    "audience.hardware",
    "audience.regions",
    "audience.variants",
    "audience.running",
    "audience.group",
    "audience.filter",
    "audience.abroad",
    "audience.outside",
    "audience.latecomers",
    "waves",
    "waves.percent",
    "waves.count",
    "waves.opens",
    "waves.opens.when_confirmed_percent",
    "waves.opens.after_seconds",
    "waves.opens.at",
    "waves.failures_percent",
    "waves.failures_count",
    "waves.back_percent",
    "halt",
    "halt.failures_percent",
    "halt.failures_count",
    "halt.back_percent",
    "halt.not_back_seconds",
    "schedule",
    "schedule.starts",
    "schedule.windows",
    "schedule.quiet",
    "schedule.zone",
    "site",
    "site.by",
    "site.in_flight",
    "site.downloads",
    "site.downloads.at_once",
    "site.downloads.megabits",
    "downloads",
    "downloads.at_once",
    "downloads.megabits",
];

/// Reads the order in a file.
pub(super) fn read(path: &Path) -> anyhow::Result<RolloutOrder> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let parsed = if path.extension().is_some_and(|extension| extension == "toml") {
        parse(&text)
    } else {
        decode(text.as_bytes()).map_err(anyhow::Error::from)
    };
    parsed.with_context(|| format!("{} is no rollout", path.display()))
}

fn parse(text: &str) -> anyhow::Result<RolloutOrder> {
    let table = DeTable::parse(text)?;
    if let Some((key, at)) = stranger(table.get_ref(), "") {
        let line = text.get(..at).unwrap_or_default().lines().count().max(1);
        bail!("line {line}: there is no `{key}` in a rollout file{}", meant(&key));
    }
    let order: RolloutOrder = toml::from_str(text)?;
    match order.fault() {
        Some(fault) => bail!("it {fault}"),
        None => Ok(order),
    }
}

/// The first key that no rollout has, with where its line ends.
fn stranger(table: &DeTable<'_>, above: &str) -> Option<(String, usize)> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        let path = if above.is_empty() { name.to_string() } else { format!("{above}.{name}") };
        if !KEYS.contains(&path.as_str()) {
            return Some((path, key.span().end));
        }
        inside(value.get_ref(), &path)
    })
}

fn inside(value: &DeValue<'_>, path: &str) -> Option<(String, usize)> {
    match value {
        DeValue::Table(table) => stranger(table, path),
        DeValue::Array(values) => values.iter().find_map(|value| inside(value.get_ref(), path)),
        _ => None,
    }
}

/// The key that was probably meant.
fn meant(key: &str) -> String {
    let (above, name) = key.rsplit_once('.').unwrap_or(("", key));
    let beside = KEYS.iter().filter(|known| known.rsplit_once('.').map_or("", |(a, _)| a) == above);
    let alike = |known: &&&str| {
        let known = known.rsplit('.').next().unwrap_or(known);
        let same = known.chars().zip(name.chars()).take_while(|(a, b)| a == b).count();
        same * 2 >= known.len()
    };
    let mut beside = beside;
    beside.find(alike).map_or(String::new(), |known| format!("; did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::operator::{OpenRule, Tenths};
    use types::Mode;

    const WHOLE: &str = include_str!("../../../../../docs/examples/rollout.toml");

    fn check(text: &str, said: &str) {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn the_example_of_the_documentation_is_a_rollout() {
        let order = parse(WHOLE).unwrap();
        assert_eq!(order.waves.len(), 5);
        assert_eq!(order.waves[4].opens, OpenRule::ByHand);
        assert_eq!(order.waves[0].back_percent, Some(Tenths(995)));
        assert_eq!(order.terms.mode, Mode::Soft);
        assert_eq!(order.terms.site.unwrap().by.as_str(), "olt");
    }

    #[test]
    fn the_example_shows_every_key() {
        let mut named = WHOLE.lines().map(|line| line.trim_start_matches("# "));
        let all: Vec<&str> = named.by_ref().collect();
        for key in KEYS {
            let last = key.rsplit('.').next().unwrap();
            let is = |line: &&&str| {
                let line = line.trim_start_matches("[[").trim_start_matches('[');
                line.contains(&format!("{last} =")) || line.starts_with(&format!("{last}]"))
            };
            assert!(all.iter().any(|line| is(&line)), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_line() {
        let head = "name = 'spring'\nrelease = '2.0'\n";
        check(&format!("{head}[[waves]]\ncuont = 3\n"), "line 4: there is no `waves.cuont`");
        check(&format!("{head}in_fligt = 3\n"), "did you mean `in_flight`?");
        check(&format!("{head}[halt]\nfailures_percent = 'x'\n"), "line 4");
        check(&format!("{head}[halt\n"), "line 3");
        check(&format!("{head}[[waves]]\npercent = 3\ncount = 3\n"), "exactly one of");
        check(&format!("{head}[halt]\nback_percent = 99.55\n"), "steps of 0.1");
        check("name = 'spring'\n", "release");
    }

    #[test]
    fn json_is_read_too() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("spring.json");
        std::fs::write(&path, r#"{"name": "spring", "release": "2.0"}"#).unwrap();
        assert_eq!(read(&path).unwrap().release, "2.0");
    }
}
