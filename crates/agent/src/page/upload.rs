//! A package that is sent by a browser: one file of a `multipart/form-data` body (RFC
//! 7578), written as it comes. It counts only when the body ended as it said: a
//! connection that broke, a missing end or a wrong length leave nothing behind.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The longest boundary, RFC 2046 5.1.1.
const BOUNDARY_MAX: usize = 70;
/// The most bytes of the file's header.
const HEAD_MAX: usize = 2 << 10;
/// Bytes at once.
const PIECE: usize = 64 << 10;

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    /// It is no upload.
    #[error("this is not an uploaded file")]
    Form,
    /// It came to an end too early.
    #[error("the upload was cut short; nothing was kept")]
    Short,
    /// It is empty.
    #[error("no file was chosen")]
    Empty,
    /// It cannot be written.
    #[error("the file cannot be kept")]
    Write(#[source] io::Error),
}

/// Takes the file of a body of `length` bytes and puts it at `path`, whole or not at all.
pub(super) fn take(
    kind: &str,
    length: u64,
    body: &mut impl Read,
    path: &Path,
) -> Result<u64, UploadError> {
    let boundary = boundary(kind).ok_or(UploadError::Form)?;
    let new = beside(path);
    let taken = into_file(&boundary, length, body, &new);
    let len = match taken {
        Ok(0) => Err(UploadError::Empty),
        other => other,
    };
    if len.is_err() {
        // What is left of it would only take room.
        drop(std::fs::remove_file(&new));
    } else {
        std::fs::rename(&new, path).map_err(UploadError::Write)?;
    }
    len
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("part")
}

fn boundary(kind: &str) -> Option<String> {
    let (kind, parameters) = kind.split_once(';')?;
    let boundary = parameters.split(';').find_map(|p| p.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    let sound = (1..=BOUNDARY_MAX).contains(&boundary.len()) && boundary.is_ascii();
    (kind.trim() == "multipart/form-data" && sound).then(|| boundary.into())
}

fn into_file(
    boundary: &str,
    length: u64,
    body: &mut impl Read,
    path: &Path,
) -> Result<u64, UploadError> {
    let mut body = Body { from: body, left: length };
    let mut buffer = head(boundary, &mut body)?;
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(UploadError::Write)?;
    let end = format!("\r\n--{boundary}--\r\n");
    let mut len = 0_u64;
    // Everything is the file's but the end, which is always kept back.
    loop {
        let ready = buffer.len().saturating_sub(end.len());
        let out = buffer.get(..ready).unwrap_or_default();
        file.write_all(out).map_err(UploadError::Write)?;
        len = len.saturating_add(out.len() as u64);
        buffer.drain(..ready);
        if !body.more(&mut buffer)? {
            break;
        }
    }
    if buffer != end.as_bytes() {
        return Err(UploadError::Short);
    }
    file.sync_all().map_err(UploadError::Write)?;
    Ok(len)
}

/// Skips the first boundary and the header; returns what came behind them.
fn head(boundary: &str, body: &mut Body<'_, impl Read>) -> Result<Vec<u8>, UploadError> {
    let start = format!("--{boundary}\r\n");
    let mut buffer = Vec::new();
    loop {
        let end = buffer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let named = buffer.get(..end).map(|head| String::from_utf8_lossy(head).into_owned());
            let is_file = named
                .is_some_and(|head| head.starts_with(&start) && head.contains("name=\"package\""));
            buffer.drain(..end + 4);
            return if is_file { Ok(buffer) } else { Err(UploadError::Form) };
        }
        if buffer.len() > HEAD_MAX {
            return Err(UploadError::Form);
        }
        if !body.more(&mut buffer)? {
            return Err(UploadError::Short);
        }
    }
}

/// What is still to come of a body.
struct Body<'a, R> {
    from: &'a mut R,
    left: u64,
}

impl<R: Read> Body<'_, R> {
    /// Adds a piece to `buffer`; `false` when all came. An early end is an error.
    fn more(&mut self, buffer: &mut Vec<u8>) -> Result<bool, UploadError> {
        if self.left == 0 {
            return Ok(false);
        }
        let mut piece = vec![0; PIECE.min(usize::try_from(self.left).unwrap_or(PIECE))];
        let len = self.from.read(&mut piece).map_err(|_| UploadError::Short)?;
        if len == 0 {
            return Err(UploadError::Short);
        }
        self.left -= len as u64;
        buffer.extend(piece.get(..len).unwrap_or_default());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=xYz";

    fn body(file: &[u8]) -> Vec<u8> {
        let mut body = b"--xYz\r\nContent-Disposition: form-data; name=\"package\"; \
            filename=\"u.zip\"\r\nContent-Type: application/zip\r\n\r\n"
            .to_vec();
        body.extend(file);
        body.extend(b"\r\n--xYz--\r\n");
        body
    }

    /// A reader that gives so many bytes at once.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = into.len().min(self.1).min(self.0.len());
            let (now, later) = self.0.split_at(len);
            into[..len].copy_from_slice(now);
            self.0 = later;
            Ok(len)
        }
    }

    #[test]
    fn a_file_arrives_whole_however_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("update.zip");
        let file: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_be_bytes()).collect();
        for drop in [1, 7, 4096, usize::MAX] {
            let file = if drop == 1 { &file[..3000] } else { &file[..] };
            let body = body(file);
            let len = take(KIND, body.len() as u64, &mut Drops(&body, drop), &path).unwrap();
            assert_eq!((len, std::fs::read(&path).unwrap()), (file.len() as u64, file.to_vec()));
        }
        // The boundary inside the file is no end.
        let tricky = b"a\r\n--xYz\r\nb\r\n--xYz--\r\nc";
        let body = body(tricky);
        take(KIND, body.len() as u64, &mut Drops(&body, 3), &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), tricky);
    }

    /// Whatever is missing at the end, nothing is there afterwards.
    #[test]
    fn what_is_cut_short_is_no_package() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("update.zip");
        let body = body(&[7; 1000]);
        for cut in (1..body.len()).step_by(13).chain([body.len() - 1]) {
            let short = &body[..body.len() - cut];
            let broken = take(KIND, body.len() as u64, &mut Drops(short, 100), &path);
            assert!(matches!(broken, Err(UploadError::Short)), "{cut}");
            let lies = take(KIND, short.len() as u64, &mut Drops(short, 100), &path);
            assert!(lies.is_err(), "{cut}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{cut}");
        }
    }

    #[test]
    fn other_bodies_are_no_uploads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("update.zip");
        let good = body(b"x");
        let check = |kind: &str, body: &[u8]| {
            assert!(take(kind, body.len() as u64, &mut &body[..], &path).is_err(), "{kind}");
            assert!(!path.exists());
        };
        check("multipart/form-data", &good);
        check("multipart/form-data; boundary=", &good);
        check("application/zip; boundary=xYz", &good);
        check("multipart/form-data; boundary=other", &good);
        check(KIND, &body(b""));
        check(KIND, b"--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--xYz--\r\n");
        check(KIND, &[b'a'; 5000]);
    }
}
