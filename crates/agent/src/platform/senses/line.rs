//! The line to the server: what the configuration says, what NetworkManager or
//! ModemManager say, or what the maker's program says.

use super::program::{self, Ended};
use engine::policy::rules::{Cost, Fact, Link, Network};
use std::io;

/// `nmcli` prints a block of these per device.
const NETWORK_MANAGER: &[&str] = &[
    "nmcli",
    "-t",
    "-f",
    "GENERAL.TYPE,GENERAL.METERED,GENERAL.STATE,IP4.GATEWAY,IP6.GATEWAY",
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
    /// NetworkManager: metered as soon as one device with a way out is. Where one of
    /// these is a modem, ModemManager says whether it is at home.
    NetworkManager,
    /// ModemManager: metered, and at home or roaming.
    ModemManager,
    /// NetworkManager where it answers, else ModemManager where that does; without both
    /// the line is not judged.
    WhoeverIsThere,
    /// A program that says `free` or `metered`, and `roaming` where it is.
    Program(Vec<String>),
}

impl Line {
    /// What the line is like.
    pub(super) fn ask(&self, limit: u64) -> Fact<Link> {
        match self {
            Self::Always(link) => Fact::Known(*link),
            Self::Program(command) => {
                let said = |command: &[String]| program::run(command, &[], limit).ok();
                let link = said(command).as_ref().and_then(Ended::words).and_then(words);
                link.map_or(Fact::Unknown, Fact::Known)
            }
            _ => self.ask_services(&|command| {
                let command: Vec<String> = command.iter().map(ToString::to_string).collect();
                program::run(&command, &[("LC_ALL", "C")], limit)
            }),
        }
    }

    /// The same of the network's own services, whose programs `run` runs.
    fn ask_services(&self, run: &dyn Fn(&[&str]) -> io::Result<Ended>) -> Fact<Link> {
        let modem = || run(MODEM_MANAGER).map(|said| said.words().and_then(modem_manager));
        let network = || {
            let link = run(NETWORK_MANAGER)?.words().and_then(network_manager);
            Ok(link.and_then(|(link, way)| match way {
                Way::Modem => modem().ok()?.map(|modem| Link { network: modem.network, ..link }),
                Way::Other => Some(link),
            }))
        };
        let link: io::Result<Option<Link>> = match self {
            Self::NetworkManager => network(),
            Self::ModemManager => modem(),
            _ => network().or_else(|_| modem()),
        };
        match (self, link) {
            // Neither program is there: nobody has the line in hand who could be asked.
            (Self::WhoeverIsThere, Err(_)) => Fact::Absent,
            (_, link) => link.ok().flatten().map_or(Fact::Unknown, Fact::Known),
        }
    }
}

/// How a device of NetworkManager gets out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By a modem, which may roam.
    Modem,
    /// By anything else.
    Other,
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
fn network_manager(said: &str) -> Option<(Link, Way)> {
    let blocks = said.split("\n\n").filter_map(|block| {
        let value = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.map(str::trim).filter(|value| !value.is_empty() && *value != "--")
        };
        value("IP4.GATEWAY").or(value("IP6.GATEWAY"))?;
        value("GENERAL.STATE").filter(|state| state.starts_with("100"))?;
        let metered = value("GENERAL.METERED").is_some_and(|word| word.starts_with("yes"));
        let way = if value("GENERAL.TYPE") == Some("gsm") { Way::Modem } else { Way::Other };
        Some((if metered { Cost::Metered } else { Cost::Free }, way))
    });
    let ways: Vec<(Cost, Way)> = blocks.collect();
    let (first, _) = *ways.first()?;
    let cost = if ways.iter().any(|way| way.0 == Cost::Metered) { Cost::Metered } else { first };
    let modem = ways.iter().any(|way| way.1 == Way::Modem);
    let way = if modem { Way::Modem } else { Way::Other };
    Some((Link { cost, network: Network::Home }, way))
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

    /// A device as `nmcli` shows it.
    fn device(kind: &str, metered: &str, state: &str, gateway: &str) -> String {
        format!(
            "GENERAL.TYPE:{kind}\nGENERAL.METERED:{metered}\nGENERAL.STATE:{state}\n\
             IP4.GATEWAY:{gateway}\nIP6.GATEWAY:\n"
        )
    }

    const UP: &str = "100 (connected)";

    #[test]
    fn words_of_networkmanager() {
        let ethernet = device("ethernet", "no (guessed)", UP, "192.0.2.1");
        let phone = device("bt", "yes (guessed)", UP, "198.51.100.1");
        let lo = device("loopback", "unknown", "100 (connected (externally))", "");
        let down = device("gsm", "yes", "30 (disconnected)", "192.0.2.9");
        let modem = device("gsm", "yes (guessed)", UP, "192.0.2.8");
        let home = |cost, way| Some((Link { cost, network: Network::Home }, way));
        for (blocks, expected) in [
            (vec![&ethernet], home(Cost::Free, Way::Other)),
            (vec![&lo, &ethernet, &down], home(Cost::Free, Way::Other)),
            (vec![&ethernet, &phone], home(Cost::Metered, Way::Other)),
            (vec![&ethernet, &modem], home(Cost::Metered, Way::Modem)),
            (vec![&lo], None),
            (vec![], None),
        ] {
            let said = blocks.into_iter().map(String::as_str).collect::<Vec<_>>().join("\n");
            assert_eq!(network_manager(&said), expected, "{said}");
        }
    }

    /// What `line` comes to where the programs say this; `None` where there is none.
    #[track_caller]
    fn check(line: &Line, nmcli: Option<&str>, mmcli: Option<&str>, expected: Fact<Link>) {
        let run = |command: &[&str]| {
            let said = if command[0] == "nmcli" { nmcli } else { mmcli };
            let said = said.ok_or(io::ErrorKind::NotFound)?.to_string();
            Ok(Ended { status: Some(Default::default()), said })
        };
        assert_eq!(line.ask_services(&run), expected, "{line:?} {nmcli:?} {mmcli:?}");
    }

    #[test]
    fn whoever_is_there_is_asked() {
        let (nm, mm, any) = (Line::NetworkManager, Line::ModemManager, Line::WhoeverIsThere);
        let ethernet = device("ethernet", "no", UP, "192.0.2.1");
        let modem = device("gsm", "yes (guessed)", UP, "192.0.2.8");
        let (ethernet, modem) = (Some(ethernet.as_str()), Some(modem.as_str()));
        let roaming = Some("modem.3gpp.registration-state : roaming\n");
        let known = |cost, network| Fact::Known(Link { cost, network });
        let abroad = known(Cost::Metered, Network::Roaming);
        check(&nm, ethernet, roaming, known(Cost::Free, Network::Home));
        check(&nm, modem, roaming, abroad);
        check(&nm, modem, None, Fact::Unknown);
        check(&nm, None, roaming, Fact::Unknown);
        check(&mm, ethernet, roaming, abroad);
        check(&any, ethernet, roaming, known(Cost::Free, Network::Home));
        check(&any, modem, roaming, abroad);
        check(&any, None, roaming, abroad);
        check(&any, Some(""), roaming, Fact::Unknown);
        check(&any, None, None, Fact::Absent);
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
