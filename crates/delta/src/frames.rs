//! One independent Zstandard frame becomes one chunk.

use crate::codec::{Decoder, frame_bound};
use crate::header;

/// Decodes frame after frame, in constant memory, from input that comes in
/// pieces of any size.
pub struct FrameDecoder {
    codec: Option<Decoder>,
    chunk_size: u32,
    frame: Frame,
}

/// Where in a frame the decoder is.
#[derive(Clone, Copy)]
enum Frame {
    /// Some bytes of the header have come, but not all.
    Header { bytes: [u8; header::LONGEST], len: usize },
    /// The content comes: `filled` bytes of it are there, after `read` bytes.
    Content { filled: usize, read: usize },
}

/// What one call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that were used. All of them, unless the frame ended.
    pub consumed: usize,
    /// The chunk is complete; the next byte starts the next frame.
    pub done: bool,
}

/// Why bytes are no frame of this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No frame starts here.
    #[error("no Zstandard frame starts here")]
    NotAFrame,
    /// It wants a dictionary, which the format has not.
    #[error("the frame needs a dictionary")]
    Dictionary,
    /// It does not say how many bytes it holds.
    #[error("the frame does not state its content size")]
    NoContentSize,
    /// It holds more or less than the chunk has.
    #[error("the frame holds {got} bytes, the chunk has {want}")]
    Size {
        /// What the frame states, in bytes.
        got: u64,
        /// What the chunk has, in bytes.
        want: u64,
    },
    /// It asks for more memory than the format allows.
    #[error("the frame needs a window of more than 2 MiB")]
    Window,
    /// It goes on and on without content: endless data.
    #[error("the frame has more bytes than any encoder makes of its content")]
    Endless,
    /// The codec refused it.
    #[error("the frame is damaged: {0}")]
    Damaged(&'static str),
}

const START: Frame = Frame::Header { bytes: [0; header::LONGEST], len: 0 };

impl FrameDecoder {
    /// A decoder of frames with at most `chunk_size` bytes of content. It takes
    /// memory with the first frame.
    pub fn new(chunk_size: u32) -> Self {
        Self { codec: None, chunk_size, frame: START }
    }

    /// Takes the next piece of a frame. `out` is the chunk and must have exactly
    /// its length; it must be the same buffer, untouched, until the step is done.
    ///
    /// # Errors
    /// The frame is not one of this format, or does not hold `out.len()` bytes.
    /// The decoder then needs a [`reset`](Self::reset).
    pub fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, DecodeError> {
        match self.frame {
            Frame::Header { bytes, len } => self.take_header(bytes, len, input, out),
            Frame::Content { filled, read } => self.take_content(filled, read, input, out),
        }
    }

    /// Forgets the frame it is in: the next byte starts one.
    pub fn reset(&mut self) {
        self.frame = START;
        if self.codec.as_mut().is_some_and(|codec| codec.reset().is_err()) {
            self.codec = None;
        }
    }

    fn take_header(
        &mut self,
        mut bytes: [u8; header::LONGEST],
        mut len: usize,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<Step, DecodeError> {
        let before = len;
        let mut rest = input;
        while len < header::length(bytes.get(..len).unwrap_or_default()) {
            let Some((byte, tail)) = rest.split_first() else {
                self.frame = Frame::Header { bytes, len };
                return Ok(Step { consumed: input.len(), done: false });
            };
            let slot = bytes.get_mut(len).ok_or(DecodeError::Dictionary)?;
            *slot = *byte;
            len += 1;
            rest = tail;
        }
        let header = bytes.get(..len).unwrap_or_default();
        self.check_size(header::content_size(header)?, out.len())?;
        if before == 0 {
            // The codec gets the frame in one piece: the fastest way if all of it is there.
            return self.take_content(0, 0, input, out);
        }
        let opened = self.take_content(0, 0, header, out)?;
        if opened.done {
            return Err(DecodeError::Damaged("it ended with its header"));
        }
        let step = self.decode(rest, out)?;
        Ok(Step { consumed: input.len() - rest.len() + step.consumed, done: step.done })
    }

    fn check_size(&self, got: u64, want: usize) -> Result<(), DecodeError> {
        let want = u64::try_from(want).unwrap_or(u64::MAX);
        if got == want && got <= u64::from(self.chunk_size) {
            return Ok(());
        }
        Err(DecodeError::Size { got, want: want.min(self.chunk_size.into()) })
    }

    fn take_content(
        &mut self,
        filled: usize,
        read: usize,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<Step, DecodeError> {
        let codec = match &mut self.codec {
            Some(codec) => codec,
            empty => empty.insert(Decoder::new().map_err(DecodeError::Damaged)?),
        };
        let progress = codec.step(input, out, filled).map_err(DecodeError::Damaged)?;
        let read = read.saturating_add(progress.consumed);
        if read > frame_bound(out.len()) {
            return Err(DecodeError::Endless);
        }
        if progress.done && progress.filled != out.len() {
            return Err(DecodeError::Damaged("it ended before its content"));
        }
        let going_on = Frame::Content { filled: progress.filled, read };
        self.frame = if progress.done { START } else { going_on };
        Ok(Step { consumed: progress.consumed, done: progress.done })
    }
}

#[cfg(test)]
mod tests;
