//! What holds on either engine.

mod jobs;

use super::bench::{Place, on_both};
use super::copy::CopyError;
use super::*;
use crate::catalogue::{Published, Rules};
use fleet::{Fit, Standing};
use protocols::native::Facts;
use types::{AttemptId, DeviceId, Digest, Name, Release, Running, Slot, Spent, Timestamp};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn device(id: &str) -> StoredDevice {
    let (product, hardware) = (name("router"), name("r1"));
    StoredDevice {
        device: name(id),
        credential: Digest::of(id.as_bytes()),
        facts: Facts { product, hardware, variant: None, region: None, memory_class_mib: 64 }
            .into(),
        slot: Some(Slot::B),
        running: Running::new().into(),
        enrolled: Timestamp(1),
        labels: None,
    }
}

#[tokio::test]
async fn a_dropped_transaction_never_was() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        tx.raise_generation().await.unwrap();
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.generation().await.unwrap(), 1);
        tx.raise_generation().await.unwrap();
        tx.commit().await.unwrap();
        drop(tx);
        close(store).await.unwrap();
        let store = place.open().await;
        assert_eq!(store.begin().await.unwrap().generation().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        schema::set_version(&mut tx, 99).await.unwrap();
        tx.commit().await.unwrap();
        drop(tx);
        close(store).await.unwrap();
        let opened = Store::open(&place.address()).await;
        assert!(matches!(opened, Err(StoreError::Newer { found: 99, .. })));
    })
    .await;
}

#[tokio::test]
async fn every_earlier_version_is_brought_forward_with_what_it_holds() {
    on_both(async |place| {
        for version in 0..schema::newest() {
            check_forward(place, version).await;
        }
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(schema::version(&mut tx).await.unwrap(), schema::newest() as i64);
    })
    .await;
}

/// Makes a database of `version` and opens it with this server.
async fn check_forward(place: &Place, version: usize) {
    let place = place.another();
    let store = Store::connect(&place.address()).await.unwrap();
    schema::migrate_to(&store, version).await.unwrap();
    if version > 0 {
        let mut tx = store.begin().await.unwrap();
        tx.raise_generation().await.unwrap();
        let text = "INSERT INTO devices (device, credential, facts, slot, running, enrolled, changed) \
             VALUES ('d0', $1, '{\"product\":\"router\",\"hardware\":\"r1\",\"variant\":null,\
             \"region\":null,\"memory_class_mib\":64}', 'B', '{}', 1, 1)";
        tx.run(query(text).bind(Digest::of(b"d0").0.to_vec())).await.unwrap();
        for (word, value) in [("home", "DE"), ("region", "CH")].into_iter().filter(|_| version > 2)
        {
            let text = "INSERT INTO device_words (device, word, name, value, rank) \
                        VALUES ('d0', $1, '', $2, $3)";
            let rank = fleet::filter::rank(value);
            tx.run(query(text).bind(word).bind(value).bind(rank)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    close(store).await.unwrap();
    let store = place.open().await;
    let mut tx = store.begin().await.unwrap();
    let kept = tx.devices_after(None, 10).await.unwrap();
    let expected = if version == 0 { (1, vec![]) } else { (2, vec![device("d0")]) };
    assert_eq!((tx.generation().await.unwrap(), kept), expected, "from version {version}");
    // Who was abroad before anybody asked is found.
    for filter in ["abroad==yes", "abroad>xes"].into_iter().filter(|_| version > 2) {
        let found = tx.find_devices(&filter.parse().unwrap(), None, 9).await.unwrap();
        assert_eq!(found, [name("d0")], "{filter} from version {version}");
    }
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        tx.put_devices(&[&device("d0")], Timestamp(5)).await.unwrap();
        let published = release();
        tx.put_release(&published).await.unwrap();
        let mut attempt = attempt("d0");
        tx.put_attempts(&[&attempt]).await.unwrap();
        attempt.standing = Standing::Confirmed;
        tx.put_attempts(&[&attempt]).await.unwrap();
        let id = attempt.attempt;
        for (served, seen) in [(1 << 40, Timestamp(20)), (5, Timestamp(15))] {
            let sign = Sign { device: name("d0"), attempt: id, served, seen };
            tx.put_signs(&[sign]).await.unwrap();
        }
        (attempt.served, attempt.seen) = ((1 << 40) + 5, Timestamp(20));
        tx.commit().await.unwrap();
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.devices_after(None, 10).await.unwrap(), [device("d0")]);
        assert_eq!(tx.devices_after(Some(&name("d0")), 10).await.unwrap(), []);
        assert_eq!(tx.devices_held(&[name("d0"), name("d9")]).await.unwrap(), [device("d0")]);
        assert_eq!(tx.holder(Digest::of(b"d0")).await.unwrap(), Some(name("d0")));
        assert!(!tx.add_device(&device("d0"), Timestamp(6)).await.unwrap());
        assert_eq!(tx.device_of(attempt.attempt).await.unwrap(), Some(name("d0")));
        assert_eq!(tx.releases().await.unwrap(), [published]);
        assert_eq!(tx.attempts_of(&[name("d0")]).await.unwrap(), [attempt.clone()]);
        let between = tx.attempts_between(&name("d0"), &name("d0")).await.unwrap();
        assert_eq!(between, [attempt]);
    })
    .await;
}

fn release() -> Published {
    let (product, version) = (name("router"), name("2"));
    let manifest = Digest::of(b"2");
    Published {
        release: Release { product, version, rollback_index: u64::MAX, manifest },
        package: manifest,
        size: 1,
        entries: Vec::new(),
        images: [(name("rootfs"), manifest)].into(),
        at: Timestamp(7),
        rules: Rules {
            fit: Fit {
                hardware: vec![name("r1")],
                variants: vec![],
                regions: vec![name("DE"), name("AT")],
                needs: Some("version.modem>=7".parse().unwrap()),
            },
            versions: [(name("modem"), name("8"))].into(),
            withdrawn: None,
        },
    }
}

fn attempt(device: &str) -> StoredAttempt {
    let device: DeviceId = name(device);
    StoredAttempt {
        attempt: AttemptId::new("spring", &device, 0),
        device,
        rollout: name("spring"),
        retry: 0,
        before: Digest::of(b"before"),
        standing: Standing::Offered,
        detail: "a detail".into(),
        spent: Spent::default(),
        served: 0,
        offered: Timestamp(8),
        changed: Timestamp(9),
        seen: Timestamp(8),
        wave: 2,
        site: Some("olt-7/1".into()),
        origin: "1.0".into(),
    }
}

#[tokio::test]
async fn servers_tell_each_other_what_they_touched() {
    let place = Place::postgres();
    let (one, other) = (place.open().await, place.open().await);
    let touched = |ids: &[&str]| {
        let devices = ids.iter().map(|id| name(id)).collect();
        Touched { devices, rollouts: [name("spring")].into() }
    };
    let change = async |store: &Store, ids: &[&str], keep: bool| {
        let mut tx = store.begin().await.unwrap();
        tx.note(touched(ids), Timestamp(1)).await.unwrap();
        if keep {
            tx.commit().await.unwrap();
        }
    };
    let hears = async |store: &Store| {
        let mut tx = store.begin().await.unwrap();
        let news = tx.news().await.unwrap();
        let said = (news.touched.clone(), news.missed);
        tx.heard(news);
        said
    };
    change(&one, &["d0"], true).await;
    change(&one, &["d1"], false).await;
    change(&one, &["d1", "d2"], true).await;
    assert_eq!(hears(&other).await, (touched(&["d0", "d1", "d2"]), false));
    assert_eq!(hears(&other).await, (Touched::default(), false));
    assert_eq!(hears(&one).await, (Touched::default(), false), "its own are no news");
    change(&one, &["d3"], true).await;
    let mut tx = one.begin().await.unwrap();
    tx.tidy_changes(Timestamp(3_000_000)).await.unwrap();
    tx.commit().await.unwrap();
    drop(tx);
    assert!(hears(&other).await.1, "what was removed unread was missed");
    let mut tx = other.begin().await.unwrap();
    let everything = tx.read_everything().await.unwrap();
    tx.heard(everything);
    drop(tx);
    change(&one, &["d4"], true).await;
    assert_eq!(hears(&other).await, (touched(&["d4"]), false));
}

#[tokio::test]
async fn what_may_not_be_committed_comes_back_as_news() {
    let place = Place::postgres();
    let (store, other) = (place.open().await, place.open().await);
    let touched = Touched { devices: [name("d0")].into(), ..Touched::default() };
    let mut tx = store.begin().await.unwrap();
    tx.note(touched.clone(), Timestamp(1)).await.unwrap();
    place.hang_up();
    assert!(tx.commit().await.is_err());
    drop(tx);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.news().await.unwrap().touched, touched);
    tx.note(touched.clone(), Timestamp(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(other.begin().await.unwrap().news().await.unwrap().touched, touched);
}

#[tokio::test]
async fn a_token_is_known_until_it_expires() {
    on_both(async |place| {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        tx.put_token(one, None, Timestamp(0), Timestamp(10)).await.unwrap();
        tx.put_token(other, Some(&name("d1")), Timestamp(0), Timestamp(20)).await.unwrap();
        tx.use_token(one, &name("d0"), Timestamp(5)).await.unwrap();
        let used = TokenUse { device: None, used_by: Some(name("d0")) };
        assert_eq!(tx.token(one, Timestamp(9)).await.unwrap(), Some(used));
        assert_eq!(tx.token(one, Timestamp(10)).await.unwrap(), None);
        let unused = TokenUse { device: Some(name("d1")), used_by: None };
        assert_eq!(tx.token(other, Timestamp(10)).await.unwrap(), Some(unused));
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_anew_and_its_transaction_never_was() {
    let place = Place::postgres();
    let store = place.open().await;
    let mut tx = store.begin().await.unwrap();
    tx.raise_generation().await.unwrap();
    place.hang_up();
    assert!(tx.commit().await.is_err());
    drop(tx);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.generation().await.unwrap(), 1);
    drop(tx);
    place.hang_up();
    assert!(store.begin().await.is_ok(), "one that broke between transactions is not noticed");
}

#[tokio::test]
async fn who_deadlocks_is_run_again() {
    let place = Place::postgres();
    let (one, other) = (place.open().await, place.open().await);
    let mut tx = one.begin().await.unwrap();
    tx.put_devices(&[&device("d0"), &device("d1")], Timestamp(0)).await.unwrap();
    tx.commit().await.unwrap();
    drop(tx);
    let barrier = tokio::sync::Barrier::new(2);
    let crossing = async |store: &Store, ids: [&str; 2]| {
        let mut first = true;
        settle!(async {
            let mut tx = store.begin().await?;
            tx.put_devices(&[&device(ids[0])], Timestamp(1)).await?;
            if std::mem::take(&mut first) {
                // The other one may have failed on its way here.
                let meet = tokio::time::timeout(std::time::Duration::from_secs(30), barrier.wait());
                meet.await.expect("the other one comes, too");
            }
            tx.put_devices(&[&device(ids[1])], Timestamp(1)).await?;
            tx.commit().await
        })
    };
    let done = tokio::join!(crossing(&one, ["d0", "d1"]), crossing(&other, ["d1", "d0"]));
    assert!(done.0.is_ok() && done.1.is_ok(), "{done:?}");
}

#[tokio::test]
async fn a_copy_goes_into_an_empty_database_of_either_engine() {
    let source = Place::file();
    let store = source.open().await;
    let mut tx = store.begin().await.unwrap();
    // More than one page, and a value of every kind.
    let devices: Vec<StoredDevice> = (0..5_100).map(|n| device(&format!("d{n:05}"))).collect();
    tx.put_devices(&devices.iter().collect::<Vec<_>>(), Timestamp(5)).await.unwrap();
    tx.put_devices(&[&StoredDevice { slot: None, ..device("none") }], Timestamp(5)).await.unwrap();
    tx.put_release(&release()).await.unwrap();
    tx.put_attempts(&[&attempt("d00000")]).await.unwrap();
    tx.raise_generation().await.unwrap();
    tx.keep("root.json", &[0, 255, 16]).await.unwrap();
    tx.commit().await.unwrap();
    drop(tx);
    let mut first = Vec::new();
    let rows = backup(&store, &mut first).await.unwrap();
    assert!(rows >= 5_101 + 4, "{rows}");
    // By way of PostgreSQL and back: nothing is lost on either way.
    let (there, back) = (Place::postgres(), Place::file());
    let mut copy = first.clone();
    for place in [&there, &back] {
        let store = Store::connect(&place.address()).await.unwrap();
        assert_eq!(restore(&store, &mut &copy[..]).await.unwrap(), rows);
        let again = restore(&store, &mut &copy[..]).await;
        assert!(matches!(again, Err(CopyError::NotEmpty)));
        copy.clear();
        backup(&store, &mut copy).await.unwrap();
    }
    let sorted = |copy: &[u8]| {
        let mut lines: Vec<String> =
            std::str::from_utf8(copy).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert!(sorted(&copy) == sorted(&first), "the copies differ");
}

#[tokio::test]
async fn a_damaged_copy_leaves_nothing() {
    let head = format!("{{\"kind\":\"refit-store\",\"schema\":{}}}", schema::newest());
    let row = "{\"table\":\"settings\",\"row\":{\"name\":\"generation\",\"value\":7}}";
    for bad in ["", "{}", &format!("{head}\n{row}\n{{\"table\":\"pg_user\",\"row\":{{}}}}")] {
        let place = Place::file();
        let store = Store::connect(&place.address()).await.unwrap();
        assert!(matches!(restore(&store, &mut bad.as_bytes()).await, Err(CopyError::Line(_))));
        drop(store);
        let store = place.open().await;
        assert_eq!(store.begin().await.unwrap().generation().await.unwrap(), 1, "{bad}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_asked_by_one_only() {
    let place = Place::postgres();
    let store = place.open().await;
    place.end();
    assert!(store.begin().await.is_err());
    let before = store.statements();
    for _ in 0..100 {
        assert!(matches!(store.begin().await, Err(StoreError::Away)));
    }
    assert_eq!(store.statements(), before);
    assert!(store.reach().await.is_err());
    place.again();
    assert!(matches!(store.begin().await, Err(StoreError::Away)));
    assert!(store.reach().await.is_ok());
    assert!(store.begin().await.is_ok());
}
