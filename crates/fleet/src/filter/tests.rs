//! What filters mean, what they refuse, and where they point.

use super::*;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::{format, vec};

/// Values by key, as `key=value` words.
struct Device(BTreeMap<&'static str, Vec<&'static str>>);

impl Words for Device {
    fn any(&self, key: &Key, test: &mut dyn FnMut(&str) -> bool) -> bool {
        let text = match key.parts() {
            (word, Some(name)) => format!("{word}.{name}"),
            (word, None) => word.to_string(),
        };
        self.0.get(text.as_str()).is_some_and(|values| values.iter().any(|value| test(value)))
    }
}

fn device() -> Device {
    Device(BTreeMap::from([
        ("device", vec!["cpe-1"]),
        ("region", vec!["south"]),
        ("hardware", vec!["acme-r1"]),
        ("version.rootfs", vec!["2.9"]),
        ("tag", vec!["pilot", "vip"]),
        ("attribute.olt", vec!["olt-7/1"]),
        ("attribute.note", vec!["a*b \"c\" und 'd'"]),
    ]))
}

fn check(text: &str, expected: bool) {
    let filter: Filter = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(filter.matches(&device()), expected, "{text}");
}

#[test]
fn one_question() {
    check("region==south", true);
    check("region==sout", false);
    check("region==South", false);
    check("region!=north", true);
    check("variant!=blue", true);
    check("variant==*", false);
    check("variant!=*", true);
    check("region==*", true);
    check("tag==pilot", true);
    check("tag!=pilot", false);
    check("tag=in=(gold, vip)", true);
    check("tag=out=(gold,silver)", true);
    check("region=in=(south)", true);
}

#[test]
fn stars_stand_for_any_characters() {
    for good in ["*", "olt*", "*1", "o*7*", "olt-7/1", "*olt-7/1*", "o**1", "*-*/*"] {
        check(&format!("attribute.olt=={good}"), true);
    }
    for bad in ["olt", "*7", "olt-7/1?", "o*8*", "olt-7/1*1", "*olt-7/11*"] {
        check(&format!("attribute.olt=={bad}"), false);
    }
    check(r#"attribute.note=="a\*b*""#, true);
    check(r#"attribute.note=="a*b*""#, true);
    check(r#"device=="cpe\*""#, false);
}

#[test]
fn quotes_hold_everything() {
    check(r#"attribute.note=="a*b \"c\" und 'd'""#, true);
    check(r#"attribute.note=='a*b "c" und \'d\''"#, true);
}

#[test]
fn order_is_that_of_versions() {
    for good in ["<2.10", "<=2.9", ">=2.9", ">2.8.7", "=lt=3", "=le=2.9", "=gt=2", "=ge=2.09"] {
        check(&format!("version.rootfs{good}"), true);
    }
    for bad in ["<2.9", ">2.9", ">=2.10", "=gt=10"] {
        check(&format!("version.rootfs{bad}"), false);
    }
    check("version.modem<9", false);
    check("version.modem>0", false);
}

#[test]
fn and_binds_closer_than_or() {
    let (yes, no) = ("region==south", "region==north");
    check(&format!("{yes},{no};{no}"), true);
    check(&format!("({yes},{no});{no}"), false);
    check(&format!("{no};{no},{yes}"), true);
    check(&format!("{no} and {no} or {yes}"), true);
    check(&format!("{no} and ({no} or {yes})"), false);
    check(&format!("{yes} and({yes})or({no})"), true);
    check(&format!(" ( ( {yes} ) ; {yes} ) "), true);
}

fn wrong(text: &str, column: usize, fault: &Fault) {
    let error = text.parse::<Filter>().unwrap_err();
    assert_eq!((error.column, &error.fault), (column, fault), "{text}");
}

#[test]
fn errors_point_at_the_column() {
    wrong("", 1, &Fault::NoKey);
    wrong("region==south;", 15, &Fault::NoKey);
    wrong("regoin==south", 1, &Fault::UnknownKey("regoin".into()));
    wrong("tag==ä;attribute.==x", 8, &Fault::UnknownKey("attribute.".into()));
    wrong("region=south", 7, &Fault::NoComparison);
    wrong("region ~ south", 8, &Fault::NoComparison);
    wrong("region==", 9, &Fault::NoValue);
    wrong("region==;tag==x", 9, &Fault::NoValue);
    wrong("region=='south", 9, &Fault::Unquoted);
    wrong("region=in=south", 11, &Fault::NoList);
    wrong("region=in=(south", 11, &Fault::Open);
    wrong("(region==south", 1, &Fault::Open);
    wrong("(region==south tag==x)", 16, &Fault::Trailing);
    wrong("region==south)", 14, &Fault::Trailing);
    wrong("region==south tag==x", 15, &Fault::Trailing);
    wrong("version<2.*", 9, &Fault::Star);
    let error = "tag==a;regoin==b".parse::<Filter>().unwrap_err();
    assert_eq!(error.pointer("tag==a;regoin==b"), "tag==a;regoin==b\n       ^");
    assert!(error.to_string().starts_with("column 8 of the filter: there is no key `regoin`"));
}

#[test]
fn everything_has_a_limit() {
    let nested = |depth: usize| format!("{}tag==a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(DEPTH_LIMIT).parse::<Filter>().is_ok());
    wrong(&nested(17), 17, &Fault::Limit("parentheses nest at most 16 deep"));
    let values = |count: usize| format!("tag=in=({})", vec!["a"; count].join(","));
    assert!(values(VALUES_LIMIT).parse::<Filter>().is_ok());
    wrong(&values(257), 9 + 2 * 256, &Fault::Limit("a filter has at most 256 values"));
    wrong("tag==*********", 6, &Fault::Limit("a value has at most 8 `*`"));
    let long = format!("tag=={}", "x".repeat(LENGTH_LIMIT));
    wrong(&long, 4097, &Fault::Limit("a filter has at most 4096 bytes"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z.()<>=!;,*'\"\\\\ ä]{0,40}") {
        let _ = text.parse::<Filter>().map(|filter| filter.matches(&device()));
    }
}
