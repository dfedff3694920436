//! Who is outside of a region, and what becomes of it.

use super::*;
use types::Abroad;

#[test]
fn a_terminal_abroad_follows_its_owners_policy() {
    let with = |abroad| {
        let mut track = track("r2", "2", 2);
        (track.audience.abroad, track.audience.regions) = (abroad, vec![name("south")]);
        vec![track]
    };
    let of = |home: &str, region: &str| Device {
        region: Some(name(region)),
        labels: Labels { home: Some(name(home)), ..Labels::default() },
        ..device()
    };
    for (abroad, home, region, rule) in [
        (Abroad::Used, "north", "south", "install"),
        (Abroad::Used, "south", "north", "not-for"),
        (Abroad::Home, "north", "south", "not-for"),
        (Abroad::Home, "south", "north", "install"),
        (Abroad::Nothing, "north", "south", "not-for"),
        (Abroad::Nothing, "south", "south", "install"),
        (Abroad::Ask, "south", "south", "install"),
        (Abroad::Ask, "north", "south", "unable"),
    ] {
        check(with(abroad), &of(home, region), rule, "");
    }
    check(with(Abroad::Nothing), &of("north", "south"), "not-for", "outside of its home region");
    let silent = Device { region: Some(name("south")), ..device() };
    check(with(Abroad::Home), &silent, "install", "r2");
    let able = Device { abilities: vec![name("regions")], ..of("north", "south") };
    check(with(Abroad::Ask), &able, "install", "r2");
    let hardware = name("r1");
    let place = |device: &Device| with(Abroad::Ask)[0].place(&device.facts(&hardware));
    assert_eq!((place(&able), place(&silent)), (Elsewhere::Ask, Elsewhere::Refuse));
}

#[test]
fn a_release_is_for_its_regions_unless_its_owner_says_more() {
    let track = |abroad, outside| {
        let mut track = track("r2", "2", 2);
        track.fit.regions = vec![name("DE"), name("AT")];
        (track.audience.abroad, track.audience.outside) = (abroad, outside);
        track
    };
    let of = |home: Option<&str>, region: Option<&str>| Device {
        region: region.map(name),
        labels: Labels { home: home.map(name), ..Labels::default() },
        abilities: vec![name("regions")],
        ..device()
    };
    let (used, home, hardware) = (Abroad::Used, Abroad::Home, name("r1"));
    let (refuse, ask, allow) = (Elsewhere::Refuse, Elsewhere::Ask, Elsewhere::Allow);
    for (abroad, outside, at_home, region, rule, said) in [
        (used, refuse, None, Some("AT"), "install", refuse),
        (used, refuse, None, Some("CH"), "not-for", allow),
        (used, refuse, None, None, "not-for", allow),
        (used, ask, None, Some("CH"), "install", ask),
        (used, allow, None, Some("CH"), "install", allow),
        (used, ask, None, Some("DE"), "install", refuse),
        // The operator's word of where it belongs counts, and the terminal is told so.
        (home, refuse, Some("DE"), Some("CH"), "install", allow),
        (home, refuse, Some("DE"), None, "install", allow),
        (home, refuse, Some("CH"), Some("DE"), "not-for", refuse),
        (home, ask, Some("CH"), Some("DE"), "install", ask),
        (Abroad::Ask, refuse, Some("AT"), Some("DE"), "install", ask),
        (Abroad::Nothing, allow, Some("AT"), Some("DE"), "not-for", refuse),
    ] {
        let (track, device) = (track(abroad, outside), of(at_home, region));
        let what = format!("{abroad:?} {outside:?} {at_home:?} {region:?}");
        assert_eq!(track.place(&device.facts(&hardware)), said, "{what}");
        check(vec![track], &device, rule, "r2");
    }
    let why = "is not for its region: the release is meant for DE AT";
    check(vec![track(used, refuse)], &of(None, Some("CH")), "not-for", why);
    let old = Device { region: Some(name("DE")), ..device() };
    check(vec![track(used, refuse)], &old, "unable", "regions, which its agent cannot do");
    let there = old.on("2", 2);
    check(vec![track(used, refuse)], &Device { region: None, ..there }, "up-to-date", "");
}
