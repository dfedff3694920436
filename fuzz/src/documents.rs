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
"version":"2.0.0","rollback_index":2,"class":"security","components":[]}"#;

/// One of each; numbers, text and lists of every form are in them.
const SEEDS: [&str; 6] = [
    MANIFEST,
    r#"{"protocol":1,"device":"r-1","token":"abcdefghijklmnopqrstuvwx","product":"router",
"hardware":"r1"}"#,
    r#"{"protocol":1,"device":"r-1","product":"router","hardware":"r1","slot":"A",
"running":{"rootfs":{"version":"1.0.0","rollback_index":1}},"phase":"idle","seen":"e"}"#,
    r#"{"etag":"e","poll_seconds":60,"withdrawn":[],"offer":null}"#,
    r#"{"reports":[{"attempt":"1","source":"native","outcome":0,"detail":"é","seconds":1e3}]}"#,
    r#"{"accepted":["1"],"logs":[-1,0.5,1e400,true,null,"\ud83d\ude00"]}"#,
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
