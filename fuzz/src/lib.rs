//! What reads bytes from outside, each behind one function that takes any bytes.
//!
//! A target panics when a promise is broken; else it does nothing that could be seen.
//! What once broke one lies in `corpus/NAME` and is tried with every test. Deliberately
//! absent: making inputs up. The tests damage what is here; `cargo xtask fuzz` has
//! libFuzzer look for more.

mod archive;
mod documents;
mod frames;
mod image;
mod images;
mod pair;
mod patch;

/// What can be tried with any bytes.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// What its bytes are.
    pub what: &'static str,
    /// Sound bytes to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Tries them.
    pub run: fn(&[u8]),
}

/// A patch, applied to one fixed image.
pub const PATCH: Target = Target {
    name: "patch",
    what: "a patch of a fixed image",
    seeds: patch::seeds,
    run: patch::run,
};
/// An image, opened.
pub const IMAGE: Target = Target {
    name: "image",
    what: "an image whose containers are opened",
    seeds: image::seeds,
    run: image::run,
};
/// Two images, compared.
pub const PAIR: Target = Target {
    name: "pair",
    what: "two images: bytes of the old one (2 bytes), the old one, the new one",
    seeds: pair::seeds,
    run: pair::run,
};
/// A full payload.
pub const FRAMES: Target = Target {
    name: "frames",
    what: "frames of a full payload",
    seeds: frames::seeds,
    run: frames::run,
};
/// A package.
pub const ARCHIVE: Target =
    Target { name: "archive", what: "a package", seeds: archive::seeds, run: archive::run };
/// What is said in JSON.
pub const DOCUMENTS: Target = Target {
    name: "documents",
    what: "a document or message",
    seeds: documents::seeds,
    run: documents::run,
};

/// All of them.
pub const TARGETS: [Target; 6] = [PATCH, IMAGE, PAIR, FRAMES, ARCHIVE, DOCUMENTS];

#[cfg(test)]
mod tests;
