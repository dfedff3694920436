//! libzstd's encoder with every parameter, and its decoder into any buffer.

mod choosing;
mod telling;

use super::{Fault, Progress, drain};
use crate::sequences::Sequence;
use alloc::vec::Vec;
pub(crate) use choosing::Chooser;
use core::ffi::{c_int, c_void};
use core::ptr::NonNull;
pub(crate) use telling::Telling;
use zstd_sys as sys;
use zstd_sys::{ZSTD_EndDirective as End, ZSTD_cParameter as Key};

/// What libzstd is told. Zero means what the level says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ZstdOptions {
    /// -7 to 22.
    pub level: i8,
    /// The window is two to this many bytes.
    pub window_log: u8,
    /// A bit per switch, see the constants.
    pub switches: u16,
    /// How blocks are split, by libzstd's numbers.
    pub splitter: u8,
    /// Long-distance matching: its window, or 0 for none.
    pub long: u8,
}

impl ZstdOptions {
    /// The frame states its content's size.
    pub const CONTENT_SIZE: u16 = 1;
    /// The frame ends with a checksum.
    pub const CHECKSUM: u16 = 2;
    /// The content is given at once (`ZSTD_compressCCtx`), not in pieces.
    pub const AT_ONCE: u16 = 4;
    /// The encoder knows the content's size beforehand.
    pub const PLEDGED: u16 = 8;
    /// No splitting after the sequences are found.
    pub const NO_SPLIT_AFTER: u16 = 16;
    /// The row match finder: on.
    pub const ROWS: u16 = 32;
    /// The row match finder: off.
    pub const NO_ROWS: u16 = 64;
    /// Sequences are told: words of them come before the content, and `level` is the
    /// strategy by libzstd's numbers.
    pub const TOLD: u16 = 128;
    /// Edits of sequences come between the content.
    pub const EDITS: u16 = 256;
    /// All switches that there are.
    pub const ALL: u16 = 511;

    pub(crate) fn has(self, switch: u16) -> bool {
        self.switches & switch != 0
    }

    /// The parameters that differ from libzstd's own.
    fn parameters(self) -> [(Key, c_int); 9] {
        let rows = match (self.has(Self::ROWS), self.has(Self::NO_ROWS)) {
            (true, _) => 1,
            (_, true) => 2,
            _ => 0,
        };
        [
            (Key::ZSTD_c_compressionLevel, self.level.into()),
            (Key::ZSTD_c_windowLog, self.window_log.max(self.long).into()),
            (Key::ZSTD_c_enableLongDistanceMatching, (self.long != 0).into()),
            (Key::ZSTD_c_contentSizeFlag, self.has(Self::CONTENT_SIZE).into()),
            (Key::ZSTD_c_checksumFlag, self.has(Self::CHECKSUM).into()),
            // ZSTD_c_blockSplitterLevel
            (Key::ZSTD_c_experimentalParam20, self.splitter.into()),
            // ZSTD_c_splitAfterSequences
            (Key::ZSTD_c_experimentalParam13, if self.has(Self::NO_SPLIT_AFTER) { 2 } else { 0 }),
            // ZSTD_c_useRowMatchFinder
            (Key::ZSTD_c_experimentalParam14, rows),
            (Key::ZSTD_c_dictIDFlag, 1),
        ]
    }

    /// The window that an encoder of `plain` bytes uses, as a power of two.
    pub(crate) fn window(self, plain: u64) -> u32 {
        let known = if self.has(Self::PLEDGED | Self::AT_ONCE) { plain.max(1) } else { 0 };
        // SAFETY: plain arguments, no state.
        let chosen = unsafe { sys::ZSTD_getCParams(self.level.into(), known, 0) }.windowLog;
        let asked = u32::from(self.window_log.max(self.long));
        let fits = plain.max(1 << 10).next_power_of_two().ilog2();
        let wanted = if asked == 0 { chosen } else { asked };
        if known == 0 { wanted } else { wanted.min(fits.max(10)) }
    }

    /// The strategy of an encoder of `plain` bytes, by libzstd's numbers.
    pub(crate) fn strategy(self, plain: u64) -> i8 {
        let known = if self.has(Self::PLEDGED | Self::AT_ONCE) { plain.max(1) } else { 0 };
        // SAFETY: plain arguments, no state.
        let params = unsafe { sys::ZSTD_getCParams(self.level.into(), known, 0) };
        i8::try_from(params.strategy as u32).unwrap_or(1)
    }

    /// Bytes that an encoder of `plain` bytes allocates.
    pub(crate) fn encoder_heap(self, plain: u64) -> u64 {
        let Some(params) = Params::new() else { return u64::MAX };
        for (key, value) in self.parameters() {
            // SAFETY: the parameters are alive.
            let code = unsafe { sys::ZSTD_CCtxParams_setParameter(params.0.as_ptr(), key, value) };
            if check(code).is_err() {
                return u64::MAX;
            }
        }
        if self.has(Self::PLEDGED | Self::AT_ONCE) {
            let hint = c_int::try_from(plain.max(1)).unwrap_or(c_int::MAX);
            // SAFETY: as above. ZSTD_c_srcSizeHint.
            unsafe {
                sys::ZSTD_CCtxParams_setParameter(
                    params.0.as_ptr(),
                    Key::ZSTD_c_experimentalParam7,
                    hint,
                )
            };
        }
        let params = params.0.as_ptr();
        // SAFETY: as above.
        let bytes = unsafe {
            if self.has(Self::AT_ONCE) {
                sys::ZSTD_estimateCCtxSize_usingCCtxParams(params)
            } else {
                sys::ZSTD_estimateCStreamSize_usingCCtxParams(params)
            }
        };
        check(bytes).map_or(u64::MAX, |bytes| bytes as u64)
    }
}

/// Bytes that a decoder of a frame with this window allocates.
pub(crate) fn decoder_heap(window_log: u32) -> u64 {
    let window = 1usize.checked_shl(window_log).unwrap_or(usize::MAX);
    // SAFETY: plain argument, no state.
    unsafe { sys::ZSTD_estimateDStreamSize(window) as u64 }
}

struct Params(NonNull<sys::ZSTD_CCtx_params>);

impl Params {
    fn new() -> Option<Self> {
        // SAFETY: returns an owned object or null.
        NonNull::new(unsafe { sys::ZSTD_createCCtxParams() }).map(Self)
    }
}

impl Drop for Params {
    fn drop(&mut self) {
        // SAFETY: created by its constructor, freed once.
        unsafe { sys::ZSTD_freeCCtxParams(self.0.as_ptr()) };
    }
}

/// One running encoder of one frame.
pub(crate) struct ZstdEncoder(NonNull<sys::ZSTD_CCtx>);

// SAFETY: a context is owned by one value and used by one thread at a time.
unsafe impl Send for ZstdEncoder {}

impl ZstdEncoder {
    /// An encoder of `plain` bytes.
    pub(crate) fn new(options: ZstdOptions, plain: u64) -> Result<Self, Fault> {
        let encoder = Self::bare()?;
        let context = encoder.0;
        for (key, value) in options.parameters() {
            // SAFETY: the context is alive.
            check(unsafe { sys::ZSTD_CCtx_setParameter(context.as_ptr(), key, value) })?;
        }
        if options.has(ZstdOptions::PLEDGED) {
            // SAFETY: the context is alive and idle.
            check(unsafe { sys::ZSTD_CCtx_setPledgedSrcSize(context.as_ptr(), plain) })?;
        }
        Ok(encoder)
    }

    /// Codes from `input` to `out`; `finish` says that no input follows.
    pub(crate) fn code(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        finish: bool,
    ) -> Result<Progress, Fault> {
        self.step(input, out, if finish { End::ZSTD_e_end } else { End::ZSTD_e_continue })
    }

    /// Codes up to what `end` says.
    fn step(&mut self, input: &[u8], out: &mut [u8], end: End) -> Result<Progress, Fault> {
        let mut from =
            sys::ZSTD_inBuffer { src: input.as_ptr().cast::<c_void>(), size: input.len(), pos: 0 };
        let mut to =
            sys::ZSTD_outBuffer { dst: out.as_mut_ptr().cast::<c_void>(), size: out.len(), pos: 0 };
        // SAFETY: the context is alive; both buffers are valid for their sizes.
        let left =
            unsafe { sys::ZSTD_compressStream2(self.0.as_ptr(), &raw mut to, &raw mut from, end) };
        let left = check(left)?;
        let done = end != End::ZSTD_e_continue && left == 0;
        Ok(Progress { consumed: from.pos, filled: to.pos, done })
    }

    /// Encodes the whole content at once, with nothing copied.
    pub(crate) fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let at = out.len();
        out.resize(at + zstd_safe::compress_bound(plain.len()), 0);
        let room = out.get_mut(at..).unwrap_or_default();
        // SAFETY: the context is alive; both buffers are valid for their sizes.
        let code = unsafe {
            sys::ZSTD_compress2(
                self.0.as_ptr(),
                room.as_mut_ptr().cast::<c_void>(),
                room.len(),
                plain.as_ptr().cast::<c_void>(),
                plain.len(),
            )
        };
        let made = check(code);
        out.truncate(at + made.unwrap_or(0));
        made.map(|_| ())
    }

    /// The sequences that this release chooses for `plain`, `most` at most, blocks ended
    /// by one without a match. The context is spent.
    pub(crate) fn choose(self, plain: &[u8], most: usize) -> Result<Vec<Sequence>, Fault> {
        // What is split after the choice would be chosen apart (and libzstd fails at it).
        let key = Key::ZSTD_c_experimentalParam13;
        // SAFETY: the context is alive and idle.
        check(unsafe { sys::ZSTD_CCtx_setParameter(self.0.as_ptr(), key, OFF) })?;
        let mut out: Vec<Sequence> = alloc::vec![Sequence::default(); most];
        // SAFETY: `Sequence` has ZSTD_Sequence's layout (checked below); both buffers
        // are valid for their sizes.
        let code = unsafe {
            sys::ZSTD_generateSequences(
                self.0.as_ptr(),
                out.as_mut_ptr().cast::<sys::ZSTD_Sequence>(),
                out.len(),
                plain.as_ptr().cast::<c_void>(),
                plain.len(),
            )
        };
        out.truncate(check(code)?);
        for sequence in out.iter_mut().filter(|sequence| sequence.repeat != 0) {
            sequence.offset = 0;
        }
        Ok(out)
    }

    /// Encodes the whole content with these sequences, of which each block's ends
    /// with one without a match, and which were checked to describe it.
    pub(crate) fn encode_as(
        &mut self,
        plain: &[u8],
        sequences: &[Sequence],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let enough =
            sequences.iter().map(|s| s.literals as usize + s.length as usize).sum::<usize>();
        if enough != plain.len() {
            return Err("the sequences are not those of the content");
        }
        let mut given = sequences.iter().copied();
        // ZSTD_c_repcodeResolution: off, `produce` says what repeats. libzstd's own
        // validation would take every block for the first; `sequences::apply` has
        // checked lengths and offsets.
        let key = Key::ZSTD_c_experimentalParam19;
        // SAFETY: the context is alive and idle.
        check(unsafe { sys::ZSTD_CCtx_setParameter(self.0.as_ptr(), key, OFF) })?;
        let state = (&raw mut given).cast::<c_void>();
        // SAFETY: `given` outlives the encoding, after which it is forgotten.
        unsafe {
            sys::ZSTD_registerSequenceProducer(self.0.as_ptr(), state, Some(producer(&given)));
        }
        // In pieces: given all at once, libzstd would know the size and state it. The last
        // byte comes with the end: a block that is full before is not coded as the last.
        let (start, last) = plain.split_at(plain.len().saturating_sub(1));
        let made = drain(start, out, false, |input, out, end| self.code(input, out, end))
            .and_then(|()| drain(last, out, true, |input, out, end| self.code(input, out, end)));
        // SAFETY: as above; null takes the producer away.
        unsafe {
            sys::ZSTD_registerSequenceProducer(self.0.as_ptr(), core::ptr::null_mut(), None);
        }
        made
    }

    /// A context that was told nothing.
    fn bare() -> Result<Self, Fault> {
        // SAFETY: returns an owned context or null.
        NonNull::new(unsafe { sys::ZSTD_createCCtx() }).map(Self).ok_or("out of memory")
    }

    /// Bytes that are allocated now.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> u64 {
        // SAFETY: the context is alive.
        unsafe { sys::ZSTD_sizeof_CCtx(self.0.as_ptr()) as u64 }
    }
}

impl Drop for ZstdEncoder {
    fn drop(&mut self) {
        // SAFETY: created by its constructor, freed once.
        unsafe { sys::ZSTD_freeCCtx(self.0.as_ptr()) };
    }
}

/// ZSTD_ps_disable
const OFF: c_int = 2;

const _: () = assert!(
    size_of::<Sequence>() == size_of::<sys::ZSTD_Sequence>()
        && align_of::<Sequence>() == align_of::<sys::ZSTD_Sequence>()
);

/// The most sequences that `plain` bytes have.
pub(crate) fn sequences_max(plain: usize) -> usize {
    // SAFETY: plain argument, no state.
    unsafe { sys::ZSTD_sequenceBound(plain) }
}

/// What libzstd calls.
type Producer = unsafe extern "C" fn(
    *mut c_void,
    *mut sys::ZSTD_Sequence,
    usize,
    *const c_void,
    usize,
    *const c_void,
    usize,
    c_int,
    usize,
) -> usize;

/// What takes sequences from such a state.
fn producer<S: Iterator<Item = Sequence>>(_state: &S) -> Producer {
    produce::<S>
}

/// libzstd asks for the sequences of one block, one block after the other.
unsafe extern "C" fn produce<S: Iterator<Item = Sequence>>(
    state: *mut c_void,
    out: *mut sys::ZSTD_Sequence,
    capacity: usize,
    _block: *const c_void,
    len: usize,
    _dictionary: *const c_void,
    _dictionary_len: usize,
    _level: c_int,
    _window: usize,
) -> usize {
    // ZSTD_SEQUENCE_PRODUCER_ERROR
    const FAILED: usize = usize::MAX;
    // SAFETY: the state is of this type, was registered by its owner and is kept alive;
    // nothing else looks at it while libzstd encodes.
    let given = unsafe { &mut *state.cast::<S>() };
    // SAFETY: libzstd gives room for `capacity` sequences, of the same layout.
    let out = unsafe { core::slice::from_raw_parts_mut(out.cast::<Sequence>(), capacity) };
    let (mut size, mut count) = (0usize, 0);
    loop {
        let (Some(sequence), Some(room)) = (given.next(), out.get_mut(count)) else {
            return FAILED;
        };
        *room = sequence;
        if sequence.repeat != 0 {
            // libzstd adds three to an offset, whose codes 1 to 3 are repeated ones.
            room.offset = sequence.repeat.wrapping_sub(3);
        }
        count += 1;
        let (literals, length) = (sequence.literals as usize, sequence.length as usize);
        size = size.saturating_add(literals).saturating_add(length);
        // A block of another length than ours is of an encoder that cuts otherwise.
        if sequence.length == 0 {
            return if size == len { count } else { FAILED };
        }
    }
}

/// One running decoder of one frame.
pub(crate) struct ZstdDecoder(NonNull<sys::ZSTD_DCtx>);

// SAFETY: a context is owned by one value and used by one thread at a time.
unsafe impl Send for ZstdDecoder {}

impl ZstdDecoder {
    /// A decoder that refuses larger windows.
    pub(crate) fn new(window_log: u32) -> Result<Self, Fault> {
        // SAFETY: returns an owned context or null.
        let context = NonNull::new(unsafe { sys::ZSTD_createDCtx() }).ok_or("out of memory")?;
        let decoder = Self(context);
        let key = sys::ZSTD_dParameter::ZSTD_d_windowLogMax;
        let value = c_int::try_from(window_log.clamp(10, 30)).unwrap_or(c_int::MAX);
        // SAFETY: the context is alive.
        check(unsafe { sys::ZSTD_DCtx_setParameter(context.as_ptr(), key, value) })?;
        Ok(decoder)
    }

    /// Decodes from `input` to `out`.
    pub(crate) fn code(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Fault> {
        let mut from =
            sys::ZSTD_inBuffer { src: input.as_ptr().cast::<c_void>(), size: input.len(), pos: 0 };
        let mut to =
            sys::ZSTD_outBuffer { dst: out.as_mut_ptr().cast::<c_void>(), size: out.len(), pos: 0 };
        // SAFETY: the context is alive; both buffers are valid for their sizes.
        let hint =
            unsafe { sys::ZSTD_decompressStream(self.0.as_ptr(), &raw mut to, &raw mut from) };
        let hint = check(hint)?;
        Ok(Progress { consumed: from.pos, filled: to.pos, done: hint == 0 })
    }
}

impl Drop for ZstdDecoder {
    fn drop(&mut self) {
        // SAFETY: created by its constructor, freed once.
        unsafe { sys::ZSTD_freeDCtx(self.0.as_ptr()) };
    }
}

/// The release that is linked: 1.5.7 is 10507.
pub(crate) fn version() -> u32 {
    // SAFETY: no arguments, no state.
    unsafe { sys::ZSTD_versionNumber() }
}

fn check(code: usize) -> Result<usize, Fault> {
    // SAFETY: plain argument, no state.
    if unsafe { sys::ZSTD_isError(code) } != 0 {
        return Err(zstd_safe::get_error_name(code));
    }
    Ok(code)
}
