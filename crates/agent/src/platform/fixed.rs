//! What a program at a fixed address on MIPS needs: a `dlsym` that it can call.
//!
//! The C library's is written in assembly and expects its own address in a register, as
//! code that can lie anywhere leaves it there. Code at a fixed address does not, and the
//! linker cannot see that it would have to. In a static program there is nothing that
//! `dlsym` could find: whoever asks (for calls that only newer systems have) goes on
//! without, as with the library's own.

use std::ffi::{c_char, c_void};

#[expect(unsafe_code, reason = "it takes the place of the C library's")]
// SAFETY: the signature is that of POSIX, and nothing is found, which all callers expect.
#[unsafe(no_mangle)]
extern "C" fn dlsym(_: *mut c_void, _: *const c_char) -> *mut c_void {
    std::ptr::null_mut()
}
