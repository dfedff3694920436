//! Documents and messages from anybody: what a terminal takes, which reads by way of the
//! tree, a server, which does not, understands alike. The tree refuses a little more: what
//! is too large for any number, in a field that nobody knows.

use package::{Deltas, Manifest};
use protocols::json::{Message, decode, decode_small};
use protocols::native::{Accepted, Answer, Enrol, Enrolled, Heartbeat, Progress, Reports};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use types::{Report, tree};

pub(crate) const MANIFEST: &str = r#"{"format":1,"product":"router","hardware":["r1"],
"version":"2.0.0","rollback_index":2,"class":"security","components":[{"name":"rootfs",
"kind":"rootfs","effect":"slot","image":{"size":5000,
"sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
"chunk_size":4096,
"chunks":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
"payloads":[{"codec":"zstd-frames","entry":"payload/rootfs.zst","size":100,
"sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}]}]}"#;

/// One of each; numbers, text and lists of every form are in them.
const SEEDS: [&str; 8] = [
    MANIFEST,
    r#"{"deltas":[{"component":"rootfs",
"source":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
"entry":"delta/rootfs-0","size":1000,"heap":8388608}]}"#,
    r#"{"protocol":1,"token":"rfe_abcdefghijklmnopqrstuvwx","device":"cpe-1",
"facts":{"product":"router","hardware":"r1","memory_class_mib":32}}"#,
    r#"{"protocol":1,"device":"cpe-1","product":"router","hardware":"r1","slot":"A",
"running":{},"phase":"waiting","attempt":"f41c327aa2120ad0c6b67c7e2e5e098f",
"waiting":{"rule":"battery-low","why":"the battery has 12 %"},"seen":"e","abilities":[]}"#,
    r#"{"etag":"e","poll_seconds":60,"offer":{"attempt":"f41c327aa2120ad0c6b67c7e2e5e098f",
"release":{"product":"router","version":"2.0","rollback_index":2,
"manifest":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
"base":"https://updates.example/v1/a/","allow_failed":false},"standing":"stands","why":"\u00e9"}"#,
    r#"{"reports":[{"attempt":"f41c327aa2120ad0c6b67c7e2e5e098f","source":"operator","outcome":0,
"detail":"","version":"2.0","spent":{"bytes":3000096,"seconds":12},"failed_boots":0}]}"#,
    r#"{"accepted":["f41c327aa2120ad0c6b67c7e2e5e098f"],"more":[-1,0.5,true,null,"\ud83d\ude00"]}"#,
    r#"{"attempt":"f41c327aa2120ad0c6b67c7e2e5e098f","phase":"downloading","done":1048576,"total":3}"#,
];

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    SEEDS.map(|seed| seed.as_bytes().to_vec()).into()
}

pub(crate) fn run(data: &[u8]) {
    document::<Manifest>(data);
    document::<Deltas>(data);
    document::<Report>(data);
    message::<Enrol>(data);
    message::<Enrolled>(data);
    message::<Heartbeat>(data);
    message::<Answer>(data);
    message::<Reports>(data);
    message::<Accepted>(data);
    message::<Progress>(data);
}

fn document<T: DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    let Ok(small) = tree::from_json::<T>(data) else { return };
    assert_eq!(serde_json::from_slice::<T>(data).ok(), Some(small), "without the tree");
}

fn message<M: Message + PartialEq + Debug>(data: &[u8]) {
    let Ok(small) = decode_small::<M>(data) else { return };
    assert_eq!(decode::<M>(data).ok(), Some(small), "without the tree");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_sound() {
        let [manifest, deltas, enrol, heartbeat, answer, reports, accepted, progress] =
            SEEDS.map(str::as_bytes);
        tree::from_json::<Manifest>(manifest).unwrap();
        tree::from_json::<Deltas>(deltas).unwrap();
        decode_small::<Enrol>(enrol).unwrap();
        decode_small::<Heartbeat>(heartbeat).unwrap();
        decode_small::<Answer>(answer).unwrap();
        decode_small::<Reports>(reports).unwrap();
        decode_small::<Accepted>(accepted).unwrap();
        decode_small::<Progress>(progress).unwrap();
    }
}
