//! Hands open files from one process to another over a socket (`SCM_RIGHTS`), so
//! that the other one can read what it has no right to open.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Sends two files as one message of one byte.
///
/// # Errors
/// The other side is gone.
pub fn send(to: &UnixStream, files: [&File; 2]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let files = files.map(AsFd::as_fd);
    if !message.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("no room for two descriptors"));
    }
    match sendmsg(to, &[IoSlice::new(&[0])], &mut message, SendFlags::empty())? {
        1 => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives what [`send`] sent.
///
/// # Errors
/// What came is something else.
pub fn receive(from: &UnixStream) -> io::Result<[File; 2]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let into = &mut [IoSliceMut::new(&mut byte)];
    let got = recvmsg(from, into, &mut message, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = Vec::<OwnedFd>::new();
    for part in message.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            files.extend(rights);
        }
    }
    let files: Result<[OwnedFd; 2], _> = files.try_into();
    match (got.bytes, files) {
        (1, Ok(files)) => Ok(files.map(File::from)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    #[test]
    fn files_arrive_in_order_between_other_bytes() {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        let [mut one, mut two] = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
        one.write_all(b"one").unwrap();
        two.write_all(b"two").unwrap();
        a.write_all(b"before").unwrap();
        send(&a, [&one, &two]).unwrap();
        a.write_all(b"behind").unwrap();
        let mut six = [0; 6];
        b.read_exact(&mut six).unwrap();
        let [mut first, mut second] = receive(&b).unwrap();
        let read = |file: &mut File| {
            file.rewind().unwrap();
            io::read_to_string(file).unwrap()
        };
        assert_eq!((read(&mut first), read(&mut second)), ("one".into(), "two".into()));
        b.read_exact(&mut six).unwrap();
        assert_eq!(&six, b"behind");
    }

    #[test]
    fn bytes_without_files_are_refused() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(b"x").unwrap();
        assert!(receive(&b).is_err());
        drop(a);
        assert!(receive(&b).is_err());
    }
}
