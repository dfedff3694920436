//! The C library's `malloc` with books: all that this program takes, by whatever part
//! of it, C libraries included.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// What `work` comes to, and the most bytes that were taken at once meanwhile.
pub(crate) fn most<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let out = work();
    (out, MOST.load(Ordering::Relaxed).saturating_sub(before))
}

// glibc's own names of what is defined below.
unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(at: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_free(at: *mut c_void);
    fn malloc_usable_size(at: *mut c_void) -> usize;
}

fn taken(at: *mut c_void) -> *mut c_void {
    // SAFETY: null or what the C library has just given.
    let size = unsafe { malloc_usable_size(at) };
    let now = NOW.fetch_add(size, Ordering::Relaxed) + size;
    MOST.fetch_max(now, Ordering::Relaxed);
    at
}

fn given_back(at: *mut c_void) {
    // SAFETY: null or what the C library gave, as whoever gives it back promises.
    NOW.fetch_sub(unsafe { malloc_usable_size(at) }, Ordering::Relaxed);
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: the same call.
    taken(unsafe { __libc_malloc(size) })
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: the same call.
    taken(unsafe { __libc_calloc(count, size) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(at: *mut c_void, size: usize) -> *mut c_void {
    given_back(at);
    // SAFETY: the same call.
    let moved = unsafe { __libc_realloc(at, size) };
    taken(if moved.is_null() && size > 0 { at } else { moved });
    moved
}

#[unsafe(no_mangle)]
extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    // SAFETY: the same call.
    taken(unsafe { __libc_memalign(align, size) })
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    memalign(align, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    // ENOMEM
    const NONE: c_int = 12;
    let at = memalign(align, size);
    if at.is_null() {
        return NONE;
    }
    // SAFETY: the caller gives a place for a pointer.
    unsafe { out.write(at) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(at: *mut c_void) {
    given_back(at);
    // SAFETY: the same call.
    unsafe { __libc_free(at) };
}
