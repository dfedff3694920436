//! The same filter in memory and in SQL, on both engines; and what is counted there.

use super::bench::on_both;
use super::*;
use fleet::filter::Filter;
use fleet::{DeviceFacts, Labels};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use protocols::native::Facts;
use types::{ComponentState, Digest, Name, Running, Text, Timestamp};

/// How many fleets, and filters asked of each.
const FLEETS: usize = 4;
const FILTERS: usize = 150;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A terminal of few words, so that filters hit some of them.
fn terminal(number: usize) -> impl Strategy<Value = StoredDevice> {
    let word = || select(vec!["a", "b", "ab", "A", "x1", "x10"]);
    let version = select(vec!["1.9", "1.10", "2.0", "2.0-rc1", "02.0"]);
    let odd = || select(vec!["olt-7/1", "olt-10/2", "50%", "a_b", "a*b", "[x]", "q?", "\\", "Ä"]);
    let own = (
        proptest::option::of(word()),
        proptest::option::of(word()),
        proptest::collection::btree_map(select(vec!["rootfs", "modem"]), version, 0..3),
    );
    let said = (
        proptest::collection::btree_set(word(), 0..3),
        proptest::collection::btree_map(select(vec!["olt", "note"]), odd(), 0..3),
        proptest::option::of(word()),
        proptest::option::of(word()),
    );
    (own, said).prop_map(move |((variant, region, versions), (tags, attributes, channel, home))| {
        let image = Digest::default();
        let state = |version: &&str| ComponentState { version: name(version), image };
        let running: Running = versions.iter().map(|(n, v)| (name(n), state(v))).collect();
        let optional = |text: Option<&str>| text.map(name);
        let facts = Facts {
            product: name("router"),
            hardware: name(if number.is_multiple_of(2) { "r1" } else { "r2" }),
            variant: optional(variant),
            region: optional(region),
            memory_class_mib: 0,
        };
        let device = StoredDevice {
            device: name(&format!("d{number}")),
            credential: Digest::of(&[u8::try_from(number).unwrap()]),
            facts: facts.into(),
            slot: None,
            running: running.into(),
            enrolled: Timestamp(0),
            labels: None,
        };
        let labels = Labels {
            tags: tags.iter().map(|tag| name(tag)).collect(),
            attributes: attributes.iter().map(|(n, v)| (name(n), Text::from(*v))).collect(),
            channel: optional(channel),
            home: optional(home),
            ..Labels::default()
        };
        StoredDevice { labels: Some(Arc::new(labels)), ..device }
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let key = select(vec![
        "region",
        "variant",
        "tag",
        "channel",
        "home",
        "abroad",
        "hardware",
        "device",
        "version",
        "version.rootfs",
        "attribute.olt",
        "attribute.note",
        "group",
    ]);
    let value = select(vec![
        "a",
        "b",
        "ab",
        "A",
        "a*",
        "*b",
        "*",
        "yes",
        "x1",
        "x10",
        "x*1",
        "1.9",
        "2.0",
        "2.*",
        "02.0",
        "d1",
        "d*2",
        "r1",
        "'olt-7/1'",
        "olt-*/1",
        "'50%'",
        "'5*%'",
        "a_b",
        "a_*",
        "'a\\*b'",
        "'a*b'",
        "'[x]'",
        "'[*'",
        "'q?'",
        "'q*'",
        "'\\\\\\\\'",
        "'*\\\\'",
        "Ä",
        "*Ä",
    ]);
    let order = select(vec!["<", "<=", ">", ">=", "=lt=", "=ge="]);
    let bound = select(vec!["1.9", "1.10", "2.0", "a", "x2", "d1", "'olt-8'"]);
    let test = prop_oneof![
        (key.clone(), select(vec!["==", "!="]), value.clone())
            .prop_map(|(k, o, v)| format!("{k}{o}{v}")),
        (key.clone(), select(vec!["=in=", "=out="]), proptest::collection::vec(value, 1..4))
            .prop_map(|(k, o, v)| format!("{k}{o}({})", v.join(","))),
        (key, order, bound).prop_map(|(k, o, v)| format!("{k}{o}{v}")),
    ];
    let whole = test.prop_recursive(3, 12, 3, |inner| {
        let many = proptest::collection::vec(inner, 2..4);
        (many, select(vec![";", ",", " and ", " or "]))
            .prop_map(|(parts, by)| format!("({})", parts.join(by)))
    });
    whole.prop_map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn matched<'a>(fleet: &'a [StoredDevice], filter: &Filter) -> Vec<&'a Name> {
    let holds = |stored: &&StoredDevice| {
        let facts = &stored.facts;
        filter.matches(&DeviceFacts {
            id: &stored.device,
            product: &facts.product,
            hardware: &facts.hardware,
            variant: facts.variant.as_ref(),
            region: facts.region.as_ref(),
            running: &stored.running,
            release: None,
            enrolled: stored.enrolled,
            labels: stored.labels(),
            abilities: &[],
            attempts: &[],
        })
    };
    fleet.iter().filter(holds).map(|stored| &stored.device).collect()
}

#[tokio::test]
async fn a_filter_says_the_same_in_memory_and_in_sql() {
    on_both(async |place| {
        let store = place.open().await;
        let mut runner = TestRunner::deterministic();
        let mut hits = 0;
        for _ in 0..FLEETS {
            let mut tx = store.begin().await.unwrap();
            let fleet: Vec<StoredDevice> =
                (0..8).map(|n| terminal(n).new_tree(&mut runner).unwrap().current()).collect();
            put(&mut tx, &fleet).await;
            for _ in 0..FILTERS {
                let filter = filter().new_tree(&mut runner).unwrap().current();
                let found = tx.find_devices(&filter, None, 100).await.unwrap();
                let found: Vec<&Name> = found.iter().collect();
                assert_eq!(found, matched(&fleet, &filter), "{filter}");
                hits += usize::from(!found.is_empty() && found.len() < fleet.len());
                // As a dynamic group it is for the same, and its opposite for the others.
                let groups = [(name("dynamic"), filter)].into();
                let ask = |text: &str| text.parse::<Filter>().unwrap().with_groups(&groups);
                let inside = tx.find_devices(&ask("group==dynamic").unwrap(), None, 100).await;
                assert_eq!(inside.unwrap().iter().collect::<Vec<_>>(), found, "{groups:?}");
                if let Ok(outside) = ask("group!=dynamic") {
                    let outside = tx.find_devices(&outside, None, 100).await.unwrap();
                    assert_eq!(outside.len(), fleet.len() - found.len(), "{groups:?}");
                }
            }
        }
        // Filters that hold for all or for none would prove little.
        assert!(hits > FLEETS * FILTERS / 6, "{hits}");
    })
    .await;
}

/// Writes terminals with their words.
async fn put(tx: &mut Tx, fleet: &[StoredDevice]) {
    for stored in fleet {
        let known = tx.devices_of(std::slice::from_ref(&stored.device)).await.unwrap();
        let before = known.first().map_or_else(Words::new, words);
        tx.put_devices(&[stored], Timestamp(0)).await.unwrap();
        tx.put_words(&[(&stored.device, before, words(stored))]).await.unwrap();
    }
}

#[tokio::test]
async fn words_follow_what_changes() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let tree = terminal(0).new_tree(&mut TestRunner::deterministic()).unwrap();
        let stored = tree.current();
        put(&mut tx, std::slice::from_ref(&stored)).await;
        let labels = Labels { channel: Some(name("beta")), ..Labels::default() };
        let stored = StoredDevice { labels: Some(Arc::new(labels)), ..stored };
        put(&mut tx, std::slice::from_ref(&stored)).await;
        let holds = async |tx: &mut Tx, text: &str| {
            let filter = text.parse().unwrap();
            !tx.find_devices(&filter, None, 9).await.unwrap().is_empty()
        };
        assert!(holds(&mut tx, "channel==beta;tag!=*").await);
        assert!(!holds(&mut tx, "channel!=beta").await);
        assert_eq!(tx.devices_after(None, 9).await.unwrap(), [stored]);
    })
    .await;
}

#[tokio::test]
async fn a_page_goes_on_behind_the_last_name() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let mut runner = TestRunner::deterministic();
        let fleet = (0..5).map(|n| terminal(n).new_tree(&mut runner).unwrap().current());
        put(&mut tx, &fleet.collect::<Vec<_>>()).await;
        let all = "product==router".parse().unwrap();
        let first = tx.find_devices(&all, None, 2).await.unwrap();
        assert_eq!(first, [name("d0"), name("d1")]);
        let rest = tx.find_devices(&all, first.last(), 9).await.unwrap();
        assert_eq!(rest, [name("d2"), name("d3"), name("d4")]);
    })
    .await;
}

#[tokio::test]
async fn a_site_holds_as_many_as_it_may() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let (spring, olt) = (name("spring"), Text::from("olt-7/1"));
        assert!(tx.enter_site(&spring, &olt, 2).await.unwrap());
        assert!(tx.enter_site(&spring, &olt, 2).await.unwrap());
        assert!(!tx.enter_site(&spring, &olt, 2).await.unwrap());
        assert!(tx.enter_site(&name("summer"), &olt, 2).await.unwrap());
        tx.leave_site(&spring, &olt, 1).await.unwrap();
        assert_eq!(tx.sites().await.unwrap()[&spring][&olt], 1);
        assert!(tx.enter_site(&spring, &olt, 2).await.unwrap());
        tx.leave_site(&spring, &olt, 3).await.unwrap();
        assert!(!tx.sites().await.unwrap().contains_key(&spring));
    })
    .await;
}

#[tokio::test]
async fn failures_are_counted_by_kind_as_they_happen() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let failed = |outcome, hardware: &str, devices| Failures {
            wave: 1,
            outcome,
            hardware: name(hardware),
            origin: "1.0".into(),
            devices,
        };
        let spring = name("spring");
        for (outcome, hardware, more) in
            [(209, "r1", 1), (209, "r1", 1), (400, "r2", 1), (400, "r2", -1), (204, "r1", 1)]
        {
            let way = (spring.clone(), 1, outcome, name(hardware), "1.0".into());
            tx.count_failures(&[(way, more)].into()).await.unwrap();
        }
        let seen = tx.failures(&spring).await.unwrap();
        assert_eq!(seen, [failed(209, "r1", 2), failed(204, "r1", 1)]);
        assert!(seen[0].sentence().contains("did not boot"));
    })
    .await;
}

#[tokio::test]
async fn history_is_read_in_pages_and_forgotten_by_age() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let report = |number: u32| types::Report {
            attempt: types::AttemptId::new("spring", &name("d0"), number),
            source: name("operator"),
            outcome: types::Outcome::Ok,
            detail: Text::default(),
            version: None,
            spent: types::Spent::default(),
            failed_boots: 0,
        };
        for (number, at) in [(0, 10), (1, 20), (2, 20), (3, 30)] {
            tx.put_reports(&[(name("d0"), report(number))], Timestamp(at)).await.unwrap();
            tx.put_events(&[(name("d0"), format!("event {number}").into())], Timestamp(at))
                .await
                .unwrap();
        }
        let (mut mark, mut seen) = (None, Vec::new());
        loop {
            let page = tx.history(mark.as_ref(), 1).await.unwrap();
            let Some(entry) = page.first() else { break };
            let (received, device) = (entry.received, entry.device.clone());
            seen.push(received.0);
            mark = Some(Mark { received, device, attempt: entry.report.attempt });
        }
        assert_eq!(seen, [10, 20, 20, 30]);
        assert_eq!(tx.forget(Timestamp(30), 2).await.unwrap(), 4, "two of each");
        assert_eq!(tx.forget(Timestamp(30), 2).await.unwrap(), 2);
        assert_eq!(tx.forget(Timestamp(30), 2).await.unwrap(), 0);
        assert_eq!(tx.history(None, 9).await.unwrap().len(), 1);
        assert_eq!(tx.events(&name("d0"), 9).await.unwrap().len(), 1);
    })
    .await;
}
