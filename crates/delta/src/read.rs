//! Images that are read where they are.

/// Bytes that can be read anywhere: the old image, or the finished part of the
/// new one.
pub trait ReadAt {
    /// How many there are.
    fn size(&self) -> u64;

    /// Fills `into` from `at`.
    ///
    /// # Errors
    /// They cannot be read. What is out of bounds is never asked for.
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadFault>;
}

/// Bytes could not be read; the reader knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be read")]
pub struct ReadFault;

impl ReadAt for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadFault> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..));
        let from = from.and_then(|from| from.get(..into.len())).ok_or(ReadFault)?;
        into.copy_from_slice(from);
        Ok(())
    }
}
