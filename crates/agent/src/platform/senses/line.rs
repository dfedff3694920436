//! The line to the server: what the configuration says, what NetworkManager or
//! ModemManager say, or what the maker's program says.

use super::program::{self, Ended};
use engine::policy::rules::{Cost, Fact, Link, Network};

/// `nmcli` prints a block of these per device.
const NETWORK_MANAGER: &[&str] = &[
    "nmcli",
    "-t",
    "-f",
    "GENERAL.METERED,GENERAL.STATE,IP4.GATEWAY,IP6.GATEWAY",
    "device",
    "show",
];
/// `mmcli` prints one `key : value` per line.
const MODEM_MANAGER: &[&str] = &["mmcli", "-m", "any", "-K"];

/// Who knows about the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// It is always so.
    Always(Link),
    /// NetworkManager: metered as soon as one device with a way out is.
    NetworkManager,
    /// ModemManager: metered, and at home or roaming.
    ModemManager,
    /// A program that says `free` or `metered`, and `roaming` where it is.
    Program(Vec<String>),
}

impl Line {
    /// What the line is like.
    pub(super) fn ask(&self, limit: u64) -> Fact<Link> {
        match self {
            Self::Always(link) => Fact::Known(*link),
            Self::NetworkManager => heard(NETWORK_MANAGER, limit, network_manager),
            Self::ModemManager => heard(MODEM_MANAGER, limit, modem_manager),
            Self::Program(command) => understood(command, limit, words),
        }
    }
}

fn heard(command: &[&str], limit: u64, read: fn(&str) -> Option<Link>) -> Fact<Link> {
    let command: Vec<String> = command.iter().map(ToString::to_string).collect();
    understood(&command, limit, read)
}

fn understood(command: &[String], limit: u64, read: fn(&str) -> Option<Link>) -> Fact<Link> {
    let ended = program::run(command, &[("LC_ALL", "C")], limit).ok();
    let link = ended.as_ref().and_then(Ended::words).and_then(read);
    link.map_or(Fact::Unknown, Fact::Known)
}

fn words(said: &str) -> Option<Link> {
    let mut link = Link { cost: Cost::Free, network: Network::Home };
    let mut known = false;
    for word in said.split_whitespace() {
        match word {
            "free" => (link.cost, known) = (Cost::Free, true),
            "metered" => (link.cost, known) = (Cost::Metered, true),
            "home" => link.network = Network::Home,
            "roaming" => link.network = Network::Roaming,
            _ => return None,
        }
    }
    known.then_some(link)
}

/// No device with a way out: nothing is known.
fn network_manager(said: &str) -> Option<Link> {
    let blocks = said.split("\n\n").filter_map(|block| {
        let value = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.map(str::trim).filter(|value| !value.is_empty() && *value != "--")
        };
        value("IP4.GATEWAY").or(value("IP6.GATEWAY"))?;
        value("GENERAL.STATE").filter(|state| state.starts_with("100"))?;
        let metered = value("GENERAL.METERED").is_some_and(|word| word.starts_with("yes"));
        Some(if metered { Cost::Metered } else { Cost::Free })
    });
    let costs: Vec<Cost> = blocks.collect();
    let cost = if costs.contains(&Cost::Metered) { Cost::Metered } else { *costs.first()? };
    Some(Link { cost, network: Network::Home })
}

fn modem_manager(said: &str) -> Option<Link> {
    let state = said.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "modem.3gpp.registration-state").then_some(value.trim())
    })?;
    let network = match state {
        "home" => Network::Home,
        "roaming" => Network::Roaming,
        _ => return None,
    };
    Some(Link { cost: Cost::Metered, network })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(cost: Cost, network: Network) -> Option<Link> {
        Some(Link { cost, network })
    }

    #[test]
    fn words_of_a_program() {
        for (said, expected) in [
            ("free", link(Cost::Free, Network::Home)),
            ("metered home", link(Cost::Metered, Network::Home)),
            ("roaming\nmetered", link(Cost::Metered, Network::Roaming)),
            ("", None),
            ("roaming", None),
            ("cheap", None),
        ] {
            assert_eq!(words(said), expected, "{said}");
        }
    }

    #[test]
    fn words_of_networkmanager() {
        let block = |metered: &str, state: &str, way: &str| {
            format!(
                "GENERAL.METERED:{metered}\nGENERAL.STATE:{state}\nIP4.GATEWAY:{way}\nIP6.GATEWAY:\n"
            )
        };
        let up = "100 (connected)";
        let ethernet = block("no (guessed)", up, "192.0.2.1");
        let phone = block("yes (guessed)", up, "198.51.100.1");
        let lo = block("unknown", "100 (connected (externally))", "");
        let down = block("yes", "30 (disconnected)", "192.0.2.9");
        for (blocks, expected) in [
            (vec![&ethernet], link(Cost::Free, Network::Home)),
            (vec![&lo, &ethernet, &down], link(Cost::Free, Network::Home)),
            (vec![&ethernet, &phone], link(Cost::Metered, Network::Home)),
            (vec![&lo], None),
            (vec![], None),
        ] {
            let said = blocks.into_iter().map(String::as_str).collect::<Vec<_>>().join("\n");
            assert_eq!(network_manager(&said), expected, "{said}");
        }
    }

    #[test]
    fn words_of_modemmanager() {
        let said = |state: &str| {
            format!(
                "modem.generic.state                : connected\nmodem.3gpp.registration-state      : {state}\n"
            )
        };
        assert_eq!(modem_manager(&said("home")), link(Cost::Metered, Network::Home));
        assert_eq!(modem_manager(&said("roaming")), link(Cost::Metered, Network::Roaming));
        assert_eq!(modem_manager(&said("searching")), None);
        assert_eq!(modem_manager(""), None);
    }
}
