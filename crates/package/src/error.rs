//! Why bytes are no package.

use alloc::string::String;

/// Where an archive leaves its one form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It ends too early.
    #[error("the package ends in the middle of {what}")]
    Truncated {
        /// What it ends in.
        what: &'static str,
    },
    /// The first bytes are no local header.
    #[error("this is no package: it does not start like a zip archive")]
    NotAnArchive,
    /// A local header is not as the writer makes it.
    #[error("the header at byte {at} is not of this format")]
    Header {
        /// Where the header starts.
        at: u64,
    },
    /// A name that is empty, too long, absolute, or leads out of a folder.
    #[error("the header at byte {at} has a name that no entry may have")]
    Name {
        /// Where the header starts.
        at: u64,
    },
    /// Two entries have one name.
    #[error("two entries are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// More entries than a release can have.
    #[error("the package has more than {limit} entries")]
    TooMany {
        /// The most entries.
        limit: usize,
    },
    /// An entry is not where it belongs.
    #[error("entry `{name}` is not where it belongs")]
    Order {
        /// The entry.
        name: String,
    },
    /// An entry is longer than it may be.
    #[error("entry `{name}` has more than {limit} bytes")]
    TooLong {
        /// The entry.
        name: String,
        /// The most bytes.
        limit: u64,
    },
    /// An entry's bytes do not give its CRC-32.
    #[error("entry `{name}` is damaged: its checksum differs")]
    Checksum {
        /// The entry.
        name: String,
    },
    /// The directory at the end does not say what the headers say.
    #[error("the directory at the end does not fit the entries")]
    Directory,
    /// Bytes after the end.
    #[error("the package goes on after its end")]
    Trailing,
    /// An entry that must be there is not.
    #[error("the package has no entry `{name}`")]
    Missing {
        /// The entry.
        name: String,
    },
    /// An entry that the manifest does not speak of.
    #[error("entry `{name}` is not in the manifest")]
    Unexpected {
        /// The entry.
        name: String,
    },
    /// The list of deltas cannot be read.
    #[error("the list of deltas cannot be read: {why}")]
    Deltas {
        /// What is wrong with it.
        why: String,
    },
    /// An entry has another size than the manifest says.
    #[error("entry `{name}` has {got} bytes, the manifest says {want}")]
    Size {
        /// The entry.
        name: String,
        /// Bytes it has.
        got: u64,
        /// Bytes it should have.
        want: u64,
    },
}

/// Why a package could not be read: the medium, or the package.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E: core::error::Error + 'static> {
    /// The medium failed.
    #[error("cannot read the package")]
    Source(#[source] E),
    /// The package is wrong.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Bytes were asked for that a source in memory does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source ends before the bytes that were asked for")]
pub struct OutOfRange;
