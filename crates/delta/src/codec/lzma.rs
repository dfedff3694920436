//! liblzma: raw LZMA2 and LZMA1 chains, its decoders of whole streams, its
//! checksums. The containers around raw chains are written in `recipe/xz.rs`.

use super::{Fault, Progress};
use alloc::boxed::Box;
use core::ffi::c_void;
use core::ptr;
use liblzma_sys as sys;

/// A branch converter before LZMA2, by its number in the format.
pub(crate) const BRANCH_FILTERS: [u64; 8] = [
    sys::LZMA_FILTER_X86,
    sys::LZMA_FILTER_POWERPC,
    sys::LZMA_FILTER_IA64,
    sys::LZMA_FILTER_ARM,
    sys::LZMA_FILTER_ARMTHUMB,
    sys::LZMA_FILTER_SPARC,
    sys::LZMA_FILTER_ARM64,
    sys::LZMA_FILTER_RISCV,
];

/// What an LZMA encoder is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LzmaOptions {
    /// The dictionary, in bytes.
    pub dict: u32,
    /// Literal context bits.
    pub lc: u8,
    /// Literal position bits.
    pub lp: u8,
    /// Position bits.
    pub pb: u8,
    /// 1 is fast, 2 is normal.
    pub mode: u8,
    /// The match finder, by liblzma's number.
    pub finder: u8,
    /// A match of this length is taken at once.
    pub nice: u16,
    /// How many candidates a search looks at; 0 lets liblzma choose.
    pub depth: u16,
}

impl LzmaOptions {
    /// liblzma's preset 0 to 9, or its extreme variant.
    pub fn preset(level: u8, extreme: bool) -> Option<Self> {
        let flag = if extreme { sys::LZMA_PRESET_EXTREME } else { 0 };
        let mut options = blank();
        // SAFETY: `options` is a valid structure that the call fills in.
        let unknown = unsafe { sys::lzma_lzma_preset(&mut options, u32::from(level) | flag) };
        (unknown == 0).then_some(())?;
        Some(Self {
            dict: options.dict_size,
            lc: options.lc.try_into().ok()?,
            lp: options.lp.try_into().ok()?,
            pb: options.pb.try_into().ok()?,
            mode: options.mode.try_into().ok()?,
            finder: options.mf.try_into().ok()?,
            nice: options.nice_len.try_into().ok()?,
            depth: options.depth.try_into().ok()?,
        })
    }

    fn to_sys(self) -> sys::lzma_options_lzma {
        let mut options = blank();
        options.dict_size = self.dict;
        options.lc = self.lc.into();
        options.lp = self.lp.into();
        options.pb = self.pb.into();
        options.mode = self.mode.into();
        options.mf = self.finder.into();
        options.nice_len = self.nice.into();
        options.depth = self.depth.into();
        options
    }
}

fn blank() -> sys::lzma_options_lzma {
    // SAFETY: a structure of integers and pointers, for which zero is a value.
    unsafe { core::mem::zeroed() }
}

/// Which coder follows the branch converter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// LZMA2, after a converter or none.
    Lzma2(Option<u64>),
}

/// Calls `with` with the filter chain as liblzma wants it.
fn with_filters<T>(
    chain: Chain,
    options: LzmaOptions,
    with: impl FnOnce(*const sys::lzma_filter) -> T,
) -> T {
    let mut lzma = options.to_sys();
    let end = || sys::lzma_filter { id: sys::LZMA_VLI_UNKNOWN, options: ptr::null_mut() };
    let coder = |id, lzma: &mut sys::lzma_options_lzma| sys::lzma_filter {
        id,
        options: ptr::from_mut(lzma).cast::<c_void>(),
    };
    let filters = match chain {
        Chain::Lzma2(None) => [coder(sys::LZMA_FILTER_LZMA2, &mut lzma), end(), end()],
        Chain::Lzma2(Some(id)) => {
            let branch = sys::lzma_filter { id, options: ptr::null_mut() };
            [branch, coder(sys::LZMA_FILTER_LZMA2, &mut lzma), end()]
        }
    };
    with(filters.as_ptr())
}

/// Bytes that the raw encoder of such a chain allocates.
pub(crate) fn encoder_heap(chain: Chain, options: LzmaOptions) -> u64 {
    // SAFETY: the chain is terminated and outlives the call.
    with_filters(chain, options, |filters| unsafe { sys::lzma_raw_encoder_memusage(filters) })
}

/// Bytes that a decoder of such a chain allocates.
pub(crate) fn decoder_heap(chain: Chain, options: LzmaOptions) -> u64 {
    // SAFETY: the chain is terminated and outlives the call.
    with_filters(chain, options, |filters| unsafe { sys::lzma_raw_decoder_memusage(filters) })
}

/// One running encoder or decoder.
pub(crate) struct Lzma(Box<sys::lzma_stream>);

// SAFETY: a stream is owned by one value; liblzma keeps no thread-local state.
unsafe impl Send for Lzma {}

impl Lzma {
    fn start(init: impl FnOnce(*mut sys::lzma_stream) -> sys::lzma_ret) -> Result<Self, Fault> {
        // SAFETY: zero is how liblzma's LZMA_STREAM_INIT looks.
        let mut stream = Self(Box::new(unsafe { core::mem::zeroed() }));
        check(init(&mut *stream.0))?;
        Ok(stream)
    }

    /// An encoder of the chain without any container.
    pub(crate) fn raw_encoder(chain: Chain, options: LzmaOptions) -> Result<Self, Fault> {
        Self::start(|stream| {
            with_filters(chain, options, |filters| {
                // SAFETY: the stream is fresh; filters and options are copied by the call.
                unsafe { sys::lzma_raw_encoder(stream, filters) }
            })
        })
    }

    /// A decoder of one .xz stream that takes at most `heap` bytes. Checks are
    /// not verified: the bytes come from an image whose digest was.
    pub(crate) fn xz_decoder(heap: u64) -> Result<Self, Fault> {
        // SAFETY: the stream is fresh.
        Self::start(|stream| unsafe {
            sys::lzma_stream_decoder(stream, heap, sys::LZMA_IGNORE_CHECK)
        })
    }

    /// Codes from `input` to `out`; `finish` says that no input follows.
    pub(crate) fn code(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        finish: bool,
    ) -> Result<Progress, Fault> {
        let stream = &mut *self.0;
        stream.next_in = input.as_ptr();
        stream.avail_in = input.len();
        stream.next_out = out.as_mut_ptr();
        stream.avail_out = out.len();
        let action = if finish { sys::LZMA_FINISH } else { sys::LZMA_RUN };
        // SAFETY: both buffers are valid for their lengths during the call.
        let code = unsafe { sys::lzma_code(stream, action) };
        // No progress is no error: the caller sees it in the counts.
        if code != sys::LZMA_BUF_ERROR {
            check(code)?;
        }
        Ok(Progress {
            consumed: input.len() - stream.avail_in,
            filled: out.len() - stream.avail_out,
            done: code == sys::LZMA_STREAM_END,
        })
    }
}

impl Drop for Lzma {
    fn drop(&mut self) {
        // SAFETY: the stream was zeroed or initialised; both may be ended.
        unsafe { sys::lzma_end(&mut *self.0) }
    }
}

/// CRC-32 of IEEE 802.3, continued.
pub(crate) fn crc32(bytes: &[u8], before: u32) -> u32 {
    // SAFETY: the buffer is valid for its length.
    unsafe { sys::lzma_crc32(bytes.as_ptr(), bytes.len(), before) }
}

/// CRC-64 of ECMA-182, continued.
pub(crate) fn crc64(bytes: &[u8], before: u64) -> u64 {
    // SAFETY: the buffer is valid for its length.
    unsafe { sys::lzma_crc64(bytes.as_ptr(), bytes.len(), before) }
}

/// The release that is linked, as liblzma counts it: 5.8.2 is 50080022.
pub(crate) fn version() -> u32 {
    // SAFETY: no arguments, no state.
    unsafe { sys::lzma_version_number() }
}

fn check(code: sys::lzma_ret) -> Result<(), Fault> {
    match code {
        sys::LZMA_OK | sys::LZMA_STREAM_END => Ok(()),
        sys::LZMA_MEM_ERROR => Err("out of memory"),
        sys::LZMA_MEMLIMIT_ERROR => Err("the stream needs more memory than declared"),
        sys::LZMA_FORMAT_ERROR => Err("not an LZMA stream"),
        sys::LZMA_OPTIONS_ERROR => Err("LZMA options that liblzma does not know"),
        sys::LZMA_DATA_ERROR => Err("damaged LZMA stream"),
        _ => Err("liblzma refused the call"),
    }
}
