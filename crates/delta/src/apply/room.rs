//! Room for the content of old streams: taken once, and given out in pieces of one size.
//! Contents of many sizes that come and go would leave holes in a heap, and holes are
//! memory, too.

use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a piece.
const PIECE: usize = 4 << 10;

/// A content and the one that it is read from are held together, and each may end in the
/// middle of a piece.
const ENDS: usize = 2;

/// The pieces of all contents.
pub(super) struct Room {
    bytes: Vec<u8>,
    /// How many pieces there are, and how many of them were ever given out: what was not
    /// has cost nothing yet.
    all: usize,
    begun: usize,
    /// Those that were given back.
    free: Vec<u32>,
}

/// A content's pieces.
pub(super) struct Content {
    pieces: Vec<u32>,
    len: usize,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX - ENDS * PIECE);
        let all = if bytes == 0 { 0 } else { bytes / PIECE + ENDS };
        Self { bytes: vec![0; all * PIECE], all, begun: 0, free: Vec::new() }
    }

    /// A content of so many bytes; none where too few are left.
    pub(super) fn take(&mut self, len: usize) -> Option<Content> {
        let count = len.div_ceil(PIECE);
        (count <= self.free.len() + self.all - self.begun).then_some(())?;
        let again = self.free.len().saturating_sub(count);
        let mut pieces = Vec::with_capacity(count);
        pieces.extend(self.free.drain(again..));
        let fresh = count - pieces.len();
        pieces.extend((self.begun..self.begun + fresh).map(|piece| piece as u32));
        self.begun += fresh;
        Some(Content { pieces, len })
    }

    /// A content is not needed any more.
    pub(super) fn give_back(&mut self, content: Content) {
        self.free.extend(content.pieces);
    }

    /// The bytes of a content from a place on, as far as they are in one piece.
    #[inline]
    pub(super) fn get(&self, content: &Content, at: usize) -> &[u8] {
        let Some((start, end)) = content.piece(at) else { return &[] };
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The same, to be written.
    pub(super) fn get_mut(&mut self, content: &Content, at: usize) -> &mut [u8] {
        let Some((start, end)) = content.piece(at) else { return &mut [] };
        self.bytes.get_mut(start..end).unwrap_or_default()
    }

    /// Fills `into` from a place in a content; nothing if there are not so many bytes.
    pub(super) fn read(&self, content: &Content, mut at: usize, into: &mut [u8]) -> Option<()> {
        let mut rest = into;
        while !rest.is_empty() {
            let from = self.get(content, at);
            let count = from.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(from.get(..count).filter(|from| !from.is_empty())?);
            (at, rest) = (at + count, later);
        }
        Some(())
    }
}

impl Content {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where in the room the bytes from a place to the end of its piece are.
    #[inline]
    fn piece(&self, at: usize) -> Option<(usize, usize)> {
        let start = *self.pieces.get(at / PIECE)? as usize * PIECE;
        let len = self.len.saturating_sub(at / PIECE * PIECE).min(PIECE);
        Some((start + at % PIECE, start + len)).filter(|(from, end)| from < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(room: &mut Room, content: &Content, seed: usize) {
        let mut at = 0;
        while at < content.len() {
            let piece = room.get_mut(content, at);
            (at..).zip(piece.iter_mut()).for_each(|(at, byte)| *byte = (at * 7 + seed) as u8);
            at += piece.len();
        }
    }

    fn check(room: &Room, content: &Content, seed: usize) {
        let mut all = vec![0; content.len()];
        assert!(room.read(content, 0, &mut all).is_some());
        assert!((0..).zip(&all).all(|(at, byte)| (at * 7 + seed) as u8 == *byte), "{seed}");
        assert!(room.get(content, content.len()).is_empty());
        assert_eq!(room.read(content, 1, &mut all), None);
    }

    #[test]
    fn contents_keep_their_bytes_while_others_come_and_go() {
        let mut room = Room::new(20 * PIECE as u64);
        let mut held: Vec<(usize, Content)> = Vec::new();
        for seed in 0..200 {
            let len = [1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 7, 3][seed % 6];
            let content = loop {
                match room.take(len) {
                    Some(content) => break content,
                    None => room.give_back(held.remove(seed % held.len()).1),
                }
            };
            fill(&mut room, &content, seed);
            held.push((seed, content));
            held.iter().for_each(|(seed, content)| check(&room, content, *seed));
        }
        held.drain(..).for_each(|(_, content)| room.give_back(content));
        assert!(room.take((20 + ENDS) * PIECE).is_some() && room.take(1).is_none());
    }

    #[test]
    fn two_contents_fit_if_their_bytes_do() {
        for len in 1..PIECE {
            let mut room = Room::new(3 * PIECE as u64);
            assert!(room.take(len).is_some() && room.take(3 * PIECE - len).is_some());
        }
    }

    #[test]
    fn no_room_takes_no_memory() {
        let mut room = Room::new(0);
        assert!(room.bytes.is_empty() && room.take(1).is_none());
    }
}
