//! Windows by the clock on the wall, around both changes of it and over midnight.

use super::*;
use proptest::prelude::*;

/// Berlin as terminals keep it: summer from the last Sunday of March to that of October.
const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

fn schedule(windows: &[&str], quiet: &[&str]) -> Schedule {
    let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Schedule { windows: read(windows), quiet: read(quiet), ..Schedule::default() }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn check(schedule: &Schedule, zone: &str, now: &str, next: &str) {
    let zone: Zone = zone.parse().unwrap();
    let (now, next) = (at(now), at(next));
    assert_eq!(schedule.allows(Some(&zone), now), now == next, "{now}");
    assert_eq!(schedule.next(Some(&zone), now), Some(next), "{now}");
}

#[test]
fn a_window_is_that_of_the_devices_wall() {
    let night = schedule(&["02:00-05:00"], &[]);
    check(&night, BERLIN, "2026-01-10T01:00:00Z", "2026-01-10T01:00:00Z");
    check(&night, BERLIN, "2026-01-10T03:59:59Z", "2026-01-10T03:59:59Z");
    check(&night, BERLIN, "2026-01-10T04:00:00Z", "2026-01-11T01:00:00Z");
    check(&night, "Europe/Berlin", "2026-07-10T00:00:00Z", "2026-07-10T00:00:00Z");
    check(&night, "America/Los_Angeles", "2026-07-10T00:00:00Z", "2026-07-10T09:00:00Z");
    check(&night, "Asia/Kolkata", "2026-07-10T00:00:00Z", "2026-07-10T20:30:00Z");
    check(&night, "UTC", "2026-07-10T01:59:00Z", "2026-07-10T02:00:00Z");
}

#[test]
fn a_window_may_go_over_midnight() {
    let late = schedule(&["fri 22:00-04:00"], &[]);
    // 2026-07-10 is a Friday.
    check(&late, "UTC", "2026-07-10T03:00:00Z", "2026-07-10T22:00:00Z");
    check(&late, "UTC", "2026-07-11T03:59:00Z", "2026-07-11T03:59:00Z");
    check(&late, "UTC", "2026-07-11T04:00:00Z", "2026-07-17T22:00:00Z");
    check(&late, BERLIN, "2026-07-10T19:59:00Z", "2026-07-10T20:00:00Z");
    let sunday = schedule(&["sun 23:00-01:00"], &[]);
    check(&sunday, "UTC", "2026-07-13T00:30:00Z", "2026-07-13T00:30:00Z");
}

#[test]
fn when_summer_begins_the_missing_hour_opens_nothing() {
    // 2026-03-29: 01:59:59 CET, then 03:00 CEST.
    let missing = schedule(&["02:00-03:00"], &[]);
    check(&missing, BERLIN, "2026-03-29T00:30:00Z", "2026-03-30T00:00:00Z");
    let longer = schedule(&["02:30-05:00"], &[]);
    check(&longer, BERLIN, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z");
    check(&longer, BERLIN, "2026-03-29T02:59:00Z", "2026-03-29T02:59:00Z");
    check(&longer, BERLIN, "2026-03-29T03:00:00Z", "2026-03-30T00:30:00Z");
    let over = schedule(&["22:00-02:30"], &[]);
    check(&over, BERLIN, "2026-03-29T00:59:00Z", "2026-03-29T00:59:00Z");
    check(&over, BERLIN, "2026-03-29T01:00:00Z", "2026-03-29T20:00:00Z");
}

#[test]
fn when_summer_ends_the_double_hour_counts_twice() {
    // 2026-10-25: 02:59:59 CEST, then 02:00 CET.
    let double = schedule(&["02:00-03:00"], &[]);
    check(&double, BERLIN, "2026-10-24T23:59:00Z", "2026-10-25T00:00:00Z");
    check(&double, BERLIN, "2026-10-25T01:59:00Z", "2026-10-25T01:59:00Z");
    check(&double, BERLIN, "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z");
    let part = schedule(&["01:30-02:30"], &[]);
    check(&part, BERLIN, "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z");
    check(&part, BERLIN, "2026-10-25T01:30:00Z", "2026-10-26T00:30:00Z");
    let over = schedule(&["23:00-02:30"], &[]);
    check(&over, BERLIN, "2026-10-25T00:45:00Z", "2026-10-25T01:00:00Z");
}

#[test]
fn in_the_south_summer_ends_in_april() {
    let night = schedule(&["02:00-05:00"], &[]);
    check(&night, "Australia/Sydney", "2026-04-04T14:59:00Z", "2026-04-04T15:00:00Z");
    check(&night, "Australia/Sydney", "2026-04-04T18:59:00Z", "2026-04-04T18:59:00Z");
    check(&night, "Australia/Sydney", "2026-04-04T19:00:00Z", "2026-04-05T16:00:00Z");
}

#[test]
fn quiet_hours_win_and_a_start_comes_first() {
    let quiet = schedule(&[], &["mon-fri 08:00-18:00", "20:00-22:00"]);
    check(&quiet, "UTC", "2026-07-10T08:00:00Z", "2026-07-10T18:00:00Z");
    check(&quiet, "UTC", "2026-07-11T12:00:00Z", "2026-07-11T12:00:00Z");
    let both = schedule(&["00:00-24:00"], &["00:00-23:59"]);
    check(&both, "UTC", "2026-07-11T12:00:00Z", "2026-07-11T23:59:00Z");
    let later = Schedule { starts: Some(at("2026-07-12T12:00:00Z")), ..both };
    check(&later, "UTC", "2026-07-11T12:00:00Z", "2026-07-12T23:59:00Z");
    let never = schedule(&["02:00-03:00"], &["00:00-24:00"]);
    assert_eq!(never.next(None, at("2026-07-11T12:00:00Z")), None);
}

#[test]
fn a_device_without_a_zone_has_that_of_the_schedule() {
    let zone = Some(BERLIN.parse().unwrap());
    let night = Schedule { zone, ..schedule(&["02:00-05:00"], &[]) };
    assert!(night.allows(None, at("2026-01-10T01:00:00Z")));
    assert!(!night.allows(Some(&"UTC".parse().unwrap()), at("2026-01-10T01:00:00Z")));
}

#[test]
fn windows_have_one_text() {
    for (text, shown) in [
        ("02:00-05:00", "02:00-05:00"),
        ("mon-sun 02:00-24:00", "02:00-24:00"),
        (" sat,sun  00:00-24:00 ", "sat,sun 00:00-24:00"),
        ("fri-mon 22:00-01:30", "mon,fri,sat,sun 22:00-01:30"),
    ] {
        assert_eq!(text.parse::<Window>().unwrap().to_string(), shown);
        assert_eq!(shown.parse::<Window>().unwrap().to_string(), shown);
    }
    for bad in [
        "",
        "2:00-05:00",
        "02:00",
        "24:00-01:00",
        "02:00-02:00",
        "02:60-03:00",
        "25:00-26:00",
        "xyz 02:00-03:00",
        "mon- 02:00-03:00",
        "+2:00-03:00",
        "02:00-24:01",
    ] {
        assert!(bad.parse::<Window>().is_err(), "{bad}");
    }
    assert!("Europe/Nowhere".parse::<Zone>().is_err());
    let window: Window = "22:00-04:00".parse().unwrap();
    assert_eq!(window.length(), Seconds(6 * 3600));
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let window = (1..=Window::EVERY_DAY, 0..DAY / 15, 0..=DAY / 15);
    let window = window.prop_map(|(days, from, until)| (days, from * 15, until * 15));
    let window = window.prop_filter("one has a length", |(_, from, until)| from != until);
    let window = window.prop_map(|(days, from, until)| Window { days, from, until });
    proptest::collection::vec(window, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_next_opening_is_the_first(
        windows in windows(), quiet in windows(), day in 0..400i64, minute in 0..1440i64,
        zone in prop_oneof!["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC"],
    ) {
        let schedule = Schedule { windows, quiet, ..Schedule::default() };
        let zone: Zone = zone.parse().unwrap();
        let now = Timestamp(at("2026-01-01T00:00:00Z").0 + (day * 1440 + minute) * 60_000);
        let minutes = (0..9 * 1440).map(|step| Timestamp(now.0 + step * 60_000));
        let first = minutes.into_iter().find(|at| schedule.allows(Some(&zone), *at));
        let next = schedule.next(Some(&zone), now);
        if first.is_some() {
            prop_assert_eq!(next, first);
        } else {
            prop_assert!(next.is_none_or(|next| next.0 > now.0 + 9 * 1440 * 60_000 - 60_000));
        }
    }
}
