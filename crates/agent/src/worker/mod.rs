//! The unprivileged worker: everything that touches a stranger's bytes before they
//! are proven: network, TLS, HTTP, archive and decoder.
//!
//! It is this same program, started again for each feed, with a socket to its
//! parent as descriptor 0, memory that both share as descriptor 1 and, for a
//! package on a medium of this terminal, that package as descriptor 2. It has no
//! key, no configuration and no rights (`platform::confine`). The parent believes
//! nothing that it says: `feed` bounds every message, and what it delivers is
//! verified by signature or proven by digest above.
//!
//! | parent → worker | worker → parent |
//! |---|---|
//! | `Setup`: where, roots, limits | `Ready` |
//! | `Document`: name, limit | `Document`: length, then so many bytes |
//! | `Seek`: payload, place | `Ready` |
//! | `Next`: the last chunk was copied | `Chunk`, which is in the shared memory, or `End` |
//!
//! Any of them can be answered by `Failed`. There is one answer to each question,
//! in order; `Alive` may come before it, a bounded number of times.

mod decode;
mod feed;
mod fetch;
mod local;
mod message;
mod network;
mod payload;
mod serve;

pub use feed::{Banks, Workers};
pub use network::Network;

use crate::platform::confine::{Nobody, Rights};

/// The hidden subcommand that makes this program a worker.
const SUBCOMMAND: &str = "worker";
/// Who a worker becomes, as `uid:gid`.
const USER: &str = "--user=";
/// Bytes of memory that it may take for a delta, besides what it always needs.
const HEAP: &str = "--heap=";

/// Runs this process as a worker, if its arguments (without the program's name) say
/// that it is one; `None` if they do not.
pub fn run_if_asked(mut words: impl Iterator<Item = String>) -> Option<std::io::Result<()>> {
    if words.next()? != SUBCOMMAND {
        return None;
    }
    let rights = words
        .try_fold(Rights::default(), |rights, word| right(rights, &word))
        .ok_or(std::io::ErrorKind::InvalidInput);
    Some(rights.map_err(Into::into).and_then(serve::run))
}

/// Takes one argument of a worker over.
fn right(rights: Rights, word: &str) -> Option<Rights> {
    if let Some(heap) = word.strip_prefix(HEAP) {
        return Some(Rights { heap: heap.parse().ok()?, ..rights });
    }
    let (uid, gid) = word.strip_prefix(USER)?.split_once(':')?;
    let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
    (uid != 0 && gid != 0).then_some(Rights { nobody: Some(Nobody { uid, gid }), ..rights })
}
