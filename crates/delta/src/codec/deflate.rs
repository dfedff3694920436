//! zlib: raw deflate both ways. Headers and checksums of zlib and gzip streams
//! are written in `recipe/deflate.rs`.

use super::{Fault, Progress};
use alloc::boxed::Box;
use core::ffi::c_int;
use core::mem::{MaybeUninit, size_of};
use libz_sys as sys;

/// What zlib's deflate is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeflateOptions {
    /// 1 to 9.
    pub level: u8,
    /// The window is two to this many bytes; 9 to 15.
    pub window_bits: u8,
    /// How much memory is used for hashes and symbols; 1 to 9.
    pub mem_level: u8,
    /// zlib's strategy, 0 to 4.
    pub strategy: u8,
}

/// Whether a stream encodes or decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// One running encoder or decoder of raw deflate.
pub(crate) struct Deflate {
    stream: Box<MaybeUninit<sys::z_stream>>,
    way: Way,
}

// SAFETY: a stream is owned by one value; zlib keeps no thread-local state.
unsafe impl Send for Deflate {}

const STREAM_SIZE: c_int = size_of::<sys::z_stream>() as c_int;

impl Deflate {
    /// An encoder of raw deflate.
    pub(crate) fn encoder(options: DeflateOptions) -> Result<Self, Fault> {
        let mut stream = Box::new(MaybeUninit::<sys::z_stream>::zeroed());
        // SAFETY: null allocators ask for zlib's own; the version is that of the
        // library that is linked; the structure outlives the stream in its box.
        check(unsafe {
            sys::deflateInit2_(
                stream.as_mut_ptr(),
                options.level.into(),
                sys::Z_DEFLATED,
                -c_int::from(options.window_bits),
                options.mem_level.into(),
                options.strategy.into(),
                sys::zlibVersion(),
                STREAM_SIZE,
            )
        })?;
        Ok(Self { stream, way: Way::In })
    }

    /// A decoder of raw deflate.
    pub(crate) fn decoder() -> Result<Self, Fault> {
        let mut stream = Box::new(MaybeUninit::<sys::z_stream>::zeroed());
        // SAFETY: as above.
        check(unsafe {
            sys::inflateInit2_(stream.as_mut_ptr(), -15, sys::zlibVersion(), STREAM_SIZE)
        })?;
        Ok(Self { stream, way: Way::Out })
    }

    /// Codes from `input` to `out`; `finish` says that no input follows.
    pub(crate) fn code(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        finish: bool,
    ) -> Result<Progress, Fault> {
        let (from, to) = (piece(input.len()), piece(out.len()));
        let finish = finish && from as usize == input.len();
        let flush = if finish { sys::Z_FINISH } else { sys::Z_NO_FLUSH };
        let raw = self.stream.as_mut_ptr();
        // SAFETY: the stream was initialised by its constructor; both buffers are
        // valid for their lengths, and zlib does not write to its input.
        let (code, left, room) = unsafe {
            (*raw).next_in = input.as_ptr().cast_mut();
            (*raw).avail_in = from;
            (*raw).next_out = out.as_mut_ptr();
            (*raw).avail_out = to;
            let code = match self.way {
                Way::In => sys::deflate(raw, flush),
                Way::Out => sys::inflate(raw, sys::Z_NO_FLUSH),
            };
            ((code), (*raw).avail_in, (*raw).avail_out)
        };
        // No progress is no error: the caller sees it in the counts.
        if code != sys::Z_BUF_ERROR {
            check(code)?;
        }
        Ok(Progress {
            consumed: (from - left) as usize,
            filled: (to - room) as usize,
            done: code == sys::Z_STREAM_END,
        })
    }
}

impl Drop for Deflate {
    fn drop(&mut self) {
        let raw = self.stream.as_mut_ptr();
        // SAFETY: the stream was initialised by its constructor and is ended once.
        let _ = unsafe {
            match self.way {
                Way::In => sys::deflateEnd(raw),
                Way::Out => sys::inflateEnd(raw),
            }
        };
    }
}

/// As much of a buffer as zlib takes at once.
fn piece(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Adler-32, continued; starts at 1.
pub(crate) fn adler32(bytes: &[u8], before: u32) -> u32 {
    bytes.chunks(1 << 30).fold(before, |sum, bytes| {
        // SAFETY: the buffer is valid for its length, which fits.
        let sum = unsafe { sys::adler32(sum.into(), bytes.as_ptr(), piece(bytes.len())) };
        sum as u32
    })
}

/// The release that is linked: 1.3.1 is 0x1310.
pub(crate) fn version() -> u32 {
    // SAFETY: zlib returns a static, terminated text.
    let text = unsafe { core::ffi::CStr::from_ptr(sys::zlibVersion()) };
    let parts = text.to_bytes().split(|byte| *byte == b'.');
    let number = |part: &[u8]| {
        part.iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0u32, |number, byte| number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')))
    };
    parts
        .chain(core::iter::repeat(&b"0"[..]))
        .take(4)
        .fold(0, |version, part| version << 4 | number(part).min(15))
}

fn check(code: c_int) -> Result<(), Fault> {
    match code {
        sys::Z_OK | sys::Z_STREAM_END => Ok(()),
        sys::Z_MEM_ERROR => Err("out of memory"),
        sys::Z_DATA_ERROR | sys::Z_NEED_DICT => Err("damaged deflate stream"),
        _ => Err("zlib refused the call"),
    }
}
