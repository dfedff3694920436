//! An image from anybody is opened as far as it can be: streams are in it, in order.

use crate::images;
use delta::open::{OpenOptions, Purpose, Stream, open};

/// Bytes that are looked at: more are only slower.
const MOST: usize = 64 << 10;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    images::each(0).into_iter().chain([images::all(0)]).collect()
}

pub(crate) fn run(data: &[u8]) {
    let data = data.get(..MOST.min(data.len())).unwrap_or_default();
    for purpose in [Purpose::Old, Purpose::New] {
        let options = OpenOptions {
            purpose,
            max_heap: 16 << 20,
            threads: 1,
            content: 16 << 20,
            proving: 64 << 20,
        };
        let opened = open(data, &options, &|_| false, &|_| ());
        check(&opened.streams, data.len() as u64);
    }
}

/// Streams are sorted, disjoint, and end where their parent does at the latest.
fn check(streams: &[Stream], parent: u64) {
    let mut end = 0;
    for stream in streams {
        assert!(stream.at >= end, "streams at {} and before {end}", stream.at);
        end = stream.at + stream.len;
        assert!(end <= parent, "a stream ends at {end} of {parent}");
        check(&stream.inner, stream.plain.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_opened() {
        let options = OpenOptions {
            purpose: Purpose::New,
            max_heap: 16 << 20,
            threads: 1,
            content: 16 << 20,
            proving: 64 << 20,
        };
        for image in images::each(0).iter().skip(2) {
            let opened = open(image, &options, &|_| false, &|_| ());
            assert_eq!(opened.streams.len(), 1, "{}", opened.census);
        }
    }
}
