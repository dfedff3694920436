//! GRUB's environment block: 1024 bytes that `save_env` and `grub-editenv` rewrite
//! in place, with RAUC's variables `ORDER`, `A_OK`, `A_TRY`.
//!
//! RAUC's script tries a slot once: it starts the first of `ORDER` with `OK=1` and
//! `TRY=0` and sets `TRY=1` (RAUC, integration, GRUB). Ours counts: `A_LEFT` is a
//! digit, which GRUB's script counts down by a table, as it has no arithmetic.
//! `A_GOOD` is `1` when the slot is trusted. A block that is torn loses its first
//! line or its padding and is an error; the script has defaults for it.

use super::{Convention, Counting, Memory, Names, Place, Standing};
use std::io;
use types::{Slot, Tries};

/// Bytes of an environment block.
const SIZE: usize = 1024;
/// Its first line.
const HEAD: &str = "# GRUB Environment Block\n";
const ORDER: &str = "ORDER";

/// A bootloader that keeps RAUC's variables in a GRUB environment block.
#[derive(Debug, Clone)]
pub struct Grub {
    /// Where the block is.
    pub block: Place,
    /// What the slots are called.
    pub names: Names,
    /// How a slot is tried: once by RAUC's script, counted by ours.
    pub tries: Tries,
    /// Which boots cost a try. RAUC's script counts all.
    pub counting: Counting,
}

/// The variables of a block, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block(Vec<(String, String)>);

impl Block {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() == SIZE)?;
        let text = text.strip_prefix(HEAD)?;
        let mut block = Self::default();
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(comment) if comment.starts_with('#') => {}
                Some(line) => {
                    let (name, value) = line.split_once('=')?;
                    block.0.push((name.into(), unescaped(value)));
                }
                // What is behind the last line is padding.
                None => return line.bytes().all(|byte| byte == b'#').then_some(block),
            }
        }
        Some(block)
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let mut text = HEAD.to_string();
        for (name, value) in &self.0 {
            let value = value.replace('\\', "\\\\").replace('\n', "\\\n");
            text.push_str(&format!("{name}={value}\n"));
        }
        if text.len() > SIZE {
            return Err(io::Error::other("GRUB's environment block is full"));
        }
        let mut bytes = text.into_bytes();
        bytes.resize(SIZE, b'#');
        Ok(bytes)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name.into(), value.into())),
        }
    }
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        text.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    text
}

impl Grub {
    fn block(&self) -> io::Result<Block> {
        let bytes = self.block.read(SIZE)?;
        Block::decode(&bytes).ok_or_else(|| {
            let path = self.block.path.display();
            io::Error::other(format!("`{path}` is no GRUB environment block of 1024 bytes"))
        })
    }

    fn variable(&self, slot: Slot, what: &str) -> String {
        format!("{}_{what}", self.names.of(slot))
    }

    fn standing(&self, block: &Block, slot: Slot) -> Standing {
        let get = |what| block.get(&self.variable(slot, what));
        let order = block.get(ORDER).unwrap_or_default();
        let mut order = order.split_ascii_whitespace().filter_map(|name| self.names.slot(name));
        let priority = match order.next() {
            Some(first) if first == slot => 2,
            Some(_) if order.any(|other| other == slot) => 1,
            _ => 0,
        };
        let ok = get("OK") == Some("1");
        let left = match self.tries {
            Tries::Single => u8::from(get("TRY").is_none_or(|tried| tried == "0")),
            Tries::Counted(_) => get("LEFT").and_then(|left| left.parse().ok()).unwrap_or(0),
        };
        let unsaid = Slot::BOTH.iter().all(|s| block.get(&self.variable(*s, "GOOD")).is_none());
        let good = get("GOOD") == Some("1") || unsaid;
        if ok && priority > 0 {
            return Standing { priority, left, good };
        }
        Standing::UNBOOTABLE
    }
}

impl Convention for Grub {
    fn tries(&self) -> Tries {
        self.tries
    }

    fn counting(&self) -> Counting {
        self.counting
    }

    fn load(&self) -> io::Result<Option<Memory>> {
        let block = self.block()?;
        if block.get(ORDER).is_none() {
            return Ok(None);
        }
        let of = |slot| self.standing(&block, slot);
        Ok(Some(Memory { a: of(Slot::A), b: of(Slot::B) }))
    }

    fn save(&self, memory: &Memory) -> io::Result<()> {
        let mut block = self.block()?;
        let order: Vec<&str> = memory.order().map(|slot| self.names.of(slot)).collect();
        block.set(ORDER, &order.join(" "));
        for slot in Slot::BOTH {
            let Standing { priority, left, good } = memory.of(slot);
            let digit = |yes| if yes { "1" } else { "0" };
            block.set(&self.variable(slot, "OK"), digit(priority > 0));
            block.set(&self.variable(slot, "GOOD"), digit(good));
            match self.tries {
                Tries::Single => block.set(&self.variable(slot, "TRY"), digit(left == 0)),
                Tries::Counted(_) => {
                    block.set(&self.variable(slot, "LEFT"), &left.min(9).to_string());
                }
            }
        }
        self.block.write(&block.encode()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, pairs: Option<&[(&str, &str)]>) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(SIZE, b'#');
        let expected = pairs.map(|pairs| {
            Block(pairs.iter().map(|(n, v)| ((*n).to_string(), (*v).to_string())).collect())
        });
        assert_eq!(Block::decode(&bytes), expected, "{text}");
    }

    #[test]
    fn a_block_is_lines_and_padding() {
        check("# GRUB Environment Block\nA=1\nB=x y\n", Some(&[("A", "1"), ("B", "x y")]));
        check("# GRUB Environment Block\n# a comment\nA=\\\\1\n", Some(&[("A", "\\1")]));
        check("# GRUB Environment Block\n", Some(&[]));
        check("# GRUB Environment Block\nA", None);
        check("A=1\n", None);
        check("", None);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut block = Block::default();
        block.set("name", "back\\slash");
        block.set("ORDER", "B A");
        block.set("name", "again");
        assert_eq!(Block::decode(&block.encode().unwrap()), Some(block));
        let mut full = Block::default();
        full.set("long", &"x".repeat(1000));
        assert!(full.encode().is_err());
    }
}
