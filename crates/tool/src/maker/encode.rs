//! Encodes an image on all cores, in memory that does not grow with it.
//!
//! Chunk n goes to worker n mod workers, and the results are collected in the
//! same turn: so they come in order, and no queue holds more than one chunk.

use anyhow::Context;
use delta::FrameEncoder;
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use types::{Digest, Hasher};

/// How to encode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Level of Zstandard, 1 to 22.
    pub(crate) level: i32,
    /// Bytes of each chunk but the last.
    pub(crate) chunk_size: u32,
    /// Threads that encode.
    pub(crate) workers: usize,
}

/// One chunk, encoded.
pub(crate) struct Frame {
    /// SHA-256 of the chunk.
    pub(crate) digest: Digest,
    /// The chunk as one frame.
    pub(crate) bytes: Vec<u8>,
    /// Bytes of the chunk.
    pub(crate) chunk_len: u64,
}

/// What was read: all of it.
pub(crate) struct Whole {
    /// SHA-256.
    pub(crate) sha256: Digest,
    /// Bytes.
    pub(crate) size: u64,
}

/// Reads `image` to its end and gives each chunk's frame to `take`, in order.
///
/// # Errors
/// Reading, encoding or taking failed.
pub(crate) fn encode(
    image: impl Read + Send,
    settings: Settings,
    mut take: impl FnMut(Frame) -> anyhow::Result<()>,
) -> anyhow::Result<Whole> {
    thread::scope(|scope| {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for _ in 0..settings.workers.max(1) {
            let (input, chunks) = sync_channel(1);
            let (frames, output) = sync_channel(1);
            scope.spawn(move || work(settings.level, &chunks, &frames));
            inputs.push(input);
            outputs.push(output);
        }
        let reader = scope.spawn(move || read(image, settings.chunk_size, &inputs));
        for output in outputs.iter().cycle() {
            // A worker that has gone met the image's end; the reader says whether it was one.
            let Ok(frame) = output.recv() else { break };
            take(frame?)?;
        }
        drop(outputs);
        reader.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the reader gave up")))
    })
}

/// Deals the image's chunks out to the workers.
fn read(
    mut image: impl Read,
    chunk_size: u32,
    workers: &[SyncSender<Vec<u8>>],
) -> anyhow::Result<Whole> {
    let (mut sha256, mut size) = (Hasher::default(), 0);
    for worker in workers.iter().cycle() {
        let mut chunk = Vec::with_capacity(usize::try_from(chunk_size)?);
        image.by_ref().take(chunk_size.into()).read_to_end(&mut chunk).context("cannot read")?;
        if chunk.is_empty() {
            break;
        }
        sha256.update(&chunk);
        size += u64::try_from(chunk.len())?;
        if worker.send(chunk).is_err() {
            // Whoever collects has stopped, and says why.
            break;
        }
    }
    Ok(Whole { sha256: sha256.finish(), size })
}

fn work(level: i32, chunks: &Receiver<Vec<u8>>, frames: &SyncSender<anyhow::Result<Frame>>) {
    let mut encoder = FrameEncoder::new(level);
    while let Ok(chunk) = chunks.recv() {
        let frame = match &mut encoder {
            Ok(encoder) => encode_chunk(encoder, &chunk),
            Err(why) => Err(anyhow::anyhow!("cannot encode: {why}")),
        };
        if frames.send(frame).is_err() {
            break;
        }
    }
}

fn encode_chunk(encoder: &mut FrameEncoder, chunk: &[u8]) -> anyhow::Result<Frame> {
    let bytes = encoder.encode(chunk).map_err(|why| anyhow::anyhow!("cannot encode: {why}"))?;
    let chunk_len = u64::try_from(chunk.len())?;
    Ok(Frame { digest: Digest::of(chunk), bytes, chunk_len })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes `size` bytes with so many workers; returns chunk digests and sizes.
    fn check(size: usize, workers: usize) {
        let image: Vec<u8> = (0..size).map(|n| (n / 100) as u8).collect();
        let settings = Settings { level: 1, chunk_size: 4096, workers };
        let (mut digests, mut total) = (Vec::new(), 0);
        let whole = encode(&image[..], settings, |frame| {
            digests.push(frame.digest);
            total += frame.chunk_len;
            Ok(())
        });
        let expected: Vec<_> = image.chunks(4096).map(Digest::of).collect();
        assert_eq!(digests, expected, "{size} bytes, {workers} workers");
        let whole = whole.unwrap();
        assert_eq!((whole.size, whole.sha256), (size as u64, Digest::of(&image)));
        assert_eq!(total, whole.size);
    }

    #[test]
    fn chunks_come_in_order_from_any_number_of_workers() {
        for workers in [0, 1, 2, 3, 8] {
            for size in [0, 1, 4095, 4096, 4097, 40_960, 100_000] {
                check(size, workers);
            }
        }
    }

    #[test]
    fn whoever_collects_can_stop() {
        let settings = Settings { level: 1, chunk_size: 4096, workers: 3 };
        let stopped = encode(&*vec![0; 100_000], settings, |_| anyhow::bail!("full"));
        assert_eq!(stopped.err().map(|e| e.to_string()).as_deref(), Some("full"));
    }

    #[test]
    fn a_reader_that_fails_is_heard() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("broken"))
            }
        }
        let settings = Settings { level: 1, chunk_size: 4096, workers: 3 };
        let failed = encode(Broken, settings, |_| Ok(()));
        assert_eq!(format!("{:#}", failed.err().unwrap()), "cannot read: broken");
    }
}
