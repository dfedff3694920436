//! Battery, power and temperature, as the kernel's `power_supply` and `thermal`
//! classes have them in sysfs.

use engine::policy::rules::{Battery, Fact, Power};
use std::fs;
use std::path::Path;

/// The most power supplies that are looked at.
const SUPPLIES_MAX: usize = 32;

/// The emptiest battery of the terminal itself. A mouse's battery is not its own.
pub(super) fn battery(class: Option<&Path>) -> Fact<Battery> {
    let Some(class) = class else { return Fact::Absent };
    let Ok(supplies) = fs::read_dir(class) else { return Fact::Unknown };
    let mut power = Power::Battery;
    let mut least: Option<Option<u8>> = None;
    for supply in supplies.flatten().take(SUPPLIES_MAX) {
        let supply = supply.path();
        match word(&supply, "type").as_deref() {
            Some("Battery") if word(&supply, "scope").as_deref() != Some("Device") => {
                let percent = word(&supply, "capacity").and_then(|text| text.parse::<u8>().ok());
                // One that cannot be read counts as the emptiest.
                least = Some(least.map_or(percent, |before| before.min(percent)));
                if matches!(word(&supply, "status").as_deref(), Some("Charging" | "Full")) {
                    power = Power::Supplied;
                }
            }
            Some("Mains" | "USB" | "Wireless")
                if word(&supply, "online").as_deref() == Some("1") =>
            {
                power = Power::Supplied;
            }
            _ => {}
        }
    }
    match least {
        None => Fact::Absent,
        Some(None) => Fact::Unknown,
        Some(Some(percent)) => Fact::Known(Battery { percent: percent.min(100), power }),
    }
}

fn word(supply: &Path, file: &str) -> Option<String> {
    fs::read_to_string(supply.join(file)).ok().map(|text| text.trim().to_string())
}

/// Degrees Celsius, from a file of thousandths.
pub(super) fn temperature(file: Option<&Path>) -> Fact<i16> {
    let Some(file) = file else { return Fact::Absent };
    let text = fs::read_to_string(file).ok();
    let millis = text.and_then(|text| text.trim().parse::<i32>().ok());
    let degrees = millis.and_then(|millis| i16::try_from(millis.div_euclid(1000)).ok());
    degrees.map_or(Fact::Unknown, Fact::Known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Supplies as `name: file=word …`.
    fn check(supplies: &[&str], expected: Fact<Battery>) {
        let dir = tempfile::tempdir().unwrap();
        for supply in supplies {
            let (name, files) = supply.split_once(':').unwrap();
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            for file in files.split_whitespace() {
                let (file, word) = file.split_once('=').unwrap();
                fs::write(path.join(file), format!("{word}\n")).unwrap();
            }
        }
        assert_eq!(battery(Some(dir.path())), expected, "{supplies:?}");
    }

    #[test]
    fn the_terminals_own_batteries_count() {
        let known = |percent, power| Fact::Known(Battery { percent, power });
        let own = "BAT0: type=Battery capacity=40 status=Discharging";
        check(&[], Fact::Absent);
        check(&["AC: type=Mains online=1"], Fact::Absent);
        check(&[own], known(40, Power::Battery));
        check(&[own, "AC: type=Mains online=0"], known(40, Power::Battery));
        check(&[own, "AC: type=Mains online=1"], known(40, Power::Supplied));
        check(&[own, "usb: type=USB online=1"], known(40, Power::Supplied));
        check(&["BAT0: type=Battery capacity=9 status=Charging"], known(9, Power::Supplied));
        check(&[own, "BAT1: type=Battery capacity=7 status=Discharging"], known(7, Power::Battery));
        let mouse = "mouse: type=Battery capacity=3 scope=Device status=Discharging";
        check(&[mouse], Fact::Absent);
        check(&[own, mouse], known(40, Power::Battery));
        check(&[own, "BAT1: type=Battery status=Unknown"], Fact::Unknown);
        check(&["BAT0: type=Battery capacity=101 status=Full"], known(100, Power::Supplied));
        assert_eq!(battery(Some(Path::new("/no/such/class"))), Fact::Unknown);
        assert_eq!(battery(None), Fact::Absent);
    }

    #[test]
    fn temperatures_are_thousandths() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("temp");
        for (text, expected) in [
            ("41500\n", Fact::Known(41)),
            ("-500\n", Fact::Known(-1)),
            ("warm\n", Fact::Unknown),
            ("99999999\n", Fact::Unknown),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(temperature(Some(&file)), expected, "{text}");
        }
        assert_eq!(temperature(None), Fact::Absent);
    }
}
