//! What becomes of deltas that servers made.

use super::*;
use crate::store::{MadeDelta, StoredDelta};
use std::io::Write as _;

/// A delta from the image of `from` to that of version 2, of so many MiB for the books.
async fn keep(bench: &Bench, from: &str, mib: u64, used: Timestamp) -> Digest {
    let mut upload = bench.server.delta_blobs.upload(&name(from)).unwrap();
    upload.file.write_all(from.as_bytes()).unwrap();
    let blob = Digest::of(from.as_bytes());
    bench.server.delta_blobs.keep(&upload, blob).await.unwrap();
    let delta = StoredDelta {
        key: blob,
        component: name("rootfs"),
        source: image(from),
        target: image("2"),
        class: 8,
        generator: crate::deltas::GENERATOR.into(),
        made: Some(MadeDelta { blob, size: mib << 20, heap: 1 }),
        full: 1 << 40,
        why: String::new(),
        at: NOW,
        used,
    };
    let mut tx = bench.server.store.begin().await.unwrap();
    tx.put_delta(&delta).await.unwrap();
    tx.commit().await.unwrap();
    blob
}

/// The deltas that are kept, by what they lead from, and whether their bytes are there.
fn kept(bench: &Bench, versions: &[&str]) -> Vec<(bool, bool)> {
    let has = |version: &&str| {
        let on_shelf = !bench.server.shelf.between(image(version), image("2")).is_empty();
        let blob = Digest::of(version.as_bytes());
        (on_shelf, bench.server.delta_blobs.get(blob).is_ok())
    };
    versions.iter().map(has).collect()
}

#[tokio::test]
async fn deltas_go_when_there_is_no_room_and_when_nobody_wants_them() {
    let bench = Bench::new().await;
    let all = ["1.0", "1.1", "1.2"];
    let yes = (true, true);
    for (from, used) in [("1.0", later(1)), ("1.1", later(2)), ("1.2", later(3))] {
        keep(&bench, from, 30, used).await;
    }
    bench.server.load(NOW).await.unwrap();
    // There is room for 64 MiB; the first one was fetched a moment ago.
    bench.server.shelf.between(image("1.0"), image("2"))[0].0.touch(later(9));
    bench.server.tidy_deltas(later(10)).await.unwrap();
    assert_eq!(kept(&bench, &all), [yes, (false, false), yes]);
    let shelf = bench.server.shelf.all();
    let gone = shelf.iter().find(|item| item.stored.source == image("1.1")).unwrap();
    assert!(gone.stored.why.contains("the cache is full"), "so that it is not made again");
    let mut tx = bench.server.store.begin().await.unwrap();
    let stored = tx.deltas().await.unwrap();
    let first = stored.iter().find(|delta| delta.source == image("1.0")).unwrap();
    assert_eq!(first.used, later(9), "other servers know when it was fetched");
    drop(tx);
    let manifest = Digest::of(b"2");
    bench.server.withdraw(manifest, "operator", &"a mistake".into(), later(11)).await.unwrap();
    bench.server.tidy_deltas(later(12)).await.unwrap();
    assert_eq!(kept(&bench, &all), [(false, false); 3]);
    assert!(bench.server.shelf.all().is_empty());
}
