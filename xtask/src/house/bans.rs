//! Crates that must not come in, at all or on the device, and crates that come in
//! twice.

use super::graph::Graph;
use std::collections::{BTreeMap, BTreeSet};

/// Never, with the reason.
const BANNED: [(&str, &str); 7] = [
    ("aws-lc-sys", "slow C build, no MIPS; use `ring`"),
    ("aws-lc-rs", "slow C build, no MIPS; use `ring`"),
    ("openssl-sys", "links the system's OpenSSL; use `rustls`"),
    ("native-tls", "links the system's TLS; use `rustls`"),
    ("openmp-sys", "needs a compiler's run-time library on the device"),
    ("clang-sys", "needs libclang to build"),
    ("webpki-roots", "terminals trust the operator's roots only"),
];

/// Not in the agent: it is blocking and small, and knows no server.
const NOT_IN_AGENT: [&str; 9] =
    ["tokio", "async-std", "axum", "hyper", "sqlx", "libsqlite3-sys", "server", "fuser", "rcgen"];

/// Comes in more than once, with the reason why nothing can be done about it here.
const TWICE: [(&str, &str); 12] = [
    ("base64", "`sqlx` is one release behind `ureq`"),
    ("block-buffer", "with `digest`"),
    ("cpufeatures", "with `sha2`"),
    ("crypto-common", "with `digest`"),
    ("digest", "with `sha2`"),
    ("embedded-io", "both versions are optional parts of `postcard`"),
    ("getrandom", "`ring` is behind `tempfile`"),
    ("hashbrown", "`sqlx` is one release behind `indexmap`"),
    ("sha2", "`sqlx` is one release behind"),
    ("spin", "`crc-fast` of `object_store` is ahead of the archive's `crc32`"),
    ("syn", "some derive macros are one release behind"),
    ("synstructure", "with `syn`"),
];

/// Every banned crate, every crate that the agent must not need, every crate with
/// two versions.
pub(crate) fn faults(graph: &Graph, agent: &BTreeSet<String>) -> Vec<String> {
    let names: BTreeSet<&str> = graph.used().map(|p| p.name.as_str()).collect();
    let banned = BANNED.iter().filter(|(name, _)| names.contains(name));
    let mut faults: Vec<String> =
        banned.map(|(name, why)| format!("`{name}` is banned: {why}")).collect();
    let unfit = NOT_IN_AGENT.iter().filter(|name| agent.contains(**name));
    faults.extend(unfit.map(|name| format!("the agent must not need `{name}`")));
    faults.extend(duplicates(graph));
    faults
}

fn duplicates(graph: &Graph) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in graph.used() {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let known = |name: &str| TWICE.iter().any(|(twice, _)| *twice == name);
    let many = versions.iter().filter(|(name, all)| all.len() > 1 && !known(name));
    let sentence = |(name, all): (&&str, &BTreeSet<&str>)| {
        let all: Vec<&str> = all.iter().copied().collect();
        format!("`{name}` comes in {} versions: {}", all.len(), all.join(", "))
    };
    let stale = TWICE.iter().filter(|(name, _)| versions.get(name).is_none_or(|v| v.len() < 2));
    let stale = stale.map(|(name, _)| format!("`{name}` no longer comes in twice: strike it"));
    many.map(sentence).chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::*;

    fn check(packages: &[&str], edges: &[&str], agent: &[&str], want: &[&str]) {
        let agent = agent.iter().map(|name| (*name).to_owned()).collect();
        let mut all = faults(&graph(packages, edges), &agent);
        all.retain(|fault| !fault.contains("strike it"));
        assert_eq!(all, want);
    }

    #[test]
    fn a_banned_crate_is_found() {
        check(
            &["server", "aws-lc-sys 0.1.0 ISC"],
            &["server -> aws-lc-sys 0.1.0"],
            &[],
            &["`aws-lc-sys` is banned: slow C build, no MIPS; use `ring`"],
        );
        check(&["server", "aws-lc-sys 0.1.0 ISC"], &[], &[], &[]);
    }

    #[test]
    fn the_agent_stays_small() {
        check(&["agent"], &[], &["ureq", "tokio"], &["the agent must not need `tokio`"]);
    }

    #[test]
    fn two_versions_are_found() {
        check(
            &["server", "rand 1.0.0 MIT", "rand 2.0.0 MIT"],
            &["server -> rand 1.0.0", "server -> rand 2.0.0"],
            &[],
            &["`rand` comes in 2 versions: 1.0.0, 2.0.0"],
        );
    }
}
