//! Branch converters: targets of calls and jumps become addresses before code is
//! compressed, and distances again behind it (the .xz format, 5.3.2).

/// What is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    X86,
    PowerPc,
    Arm,
    ArmThumb,
    Sparc,
    Arm64,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToAddresses,
    ToDistances,
}

/// Converts one content, piece by piece.
pub(crate) struct Branch {
    kind: Kind,
    way: Way,
    /// Bytes before the next piece.
    position: u32,
    /// Of x86: what looked like calls just before, and where the last one was.
    mask: u32,
    last: u32,
}

impl Branch {
    /// That of a filter by its number in the format; none where it is not known here.
    pub(crate) fn new(filter: u8, way: Way) -> Option<Self> {
        let kind = match filter {
            4 => Kind::X86,
            5 => Kind::PowerPc,
            7 => Kind::Arm,
            8 => Kind::ArmThumb,
            9 => Kind::Sparc,
            10 => Kind::Arm64,
            _ => return None,
        };
        Some(Self { kind, way, position: 0, mask: 0, last: 5u32.wrapping_neg() })
    }

    /// Converts the next bytes as far as they suffice to tell; returns how many are done.
    /// The others come again with those that follow them, or stay at the end.
    pub(crate) fn code(&mut self, bytes: &mut [u8]) -> usize {
        let done = match self.kind {
            Kind::X86 => self.x86(bytes),
            Kind::ArmThumb => self.thumb(bytes),
            _ => self.words(bytes),
        };
        self.position = self.position.wrapping_add(done as u32);
        done
    }

    /// A distance becomes an address, or the other way round.
    fn moved(&self, value: u32, by: u32) -> u32 {
        match self.way {
            Way::ToAddresses => value.wrapping_add(by),
            Way::ToDistances => value.wrapping_sub(by),
        }
    }

    fn words(&self, bytes: &mut [u8]) -> usize {
        let (words, _) = bytes.as_chunks_mut();
        let mut place = self.position;
        for word in words.iter_mut() {
            match self.kind {
                Kind::Arm => self.arm(word, place),
                Kind::Arm64 => self.arm64(word, place),
                Kind::PowerPc => self.power(word, place),
                _ => self.sparc(word, place),
            }
            place = place.wrapping_add(4);
        }
        words.len() * 4
    }

    fn arm(&self, bytes: &mut [u8; 4], place: u32) {
        let word = u32::from_le_bytes(*bytes);
        if word >> 24 == 0xeb {
            let target = self.moved(word << 2, place.wrapping_add(8)) >> 2;
            *bytes = (0xeb00_0000 | target & 0x00ff_ffff).to_le_bytes();
        }
    }

    fn arm64(&self, bytes: &mut [u8; 4], place: u32) {
        let word = u32::from_le_bytes(*bytes);
        if word >> 26 == 0x25 {
            let target = self.moved(word, place >> 2);
            *bytes = (0x9400_0000 | target & 0x03ff_ffff).to_le_bytes();
        } else if word & 0x9f00_0000 == 0x9000_0000 {
            let from = word >> 29 & 3 | word >> 3 & 0x001f_fffc;
            // Pages further away than 512 MiB stay.
            if from.wrapping_add(0x0002_0000) & 0x001c_0000 != 0 {
                return;
            }
            let to = self.moved(from, place >> 12);
            let sign = (to & 0x0002_0000).wrapping_neg() & 0x00e0_0000;
            let low = (to & 3) << 29 | (to & 0x0003_fffc) << 3;
            *bytes = (word & 0x9000_001f | low | sign).to_le_bytes();
        }
    }

    fn power(&self, bytes: &mut [u8; 4], place: u32) {
        let word = u32::from_be_bytes(*bytes);
        if word >> 26 == 0x12 && word & 3 == 1 {
            let target = self.moved(word & 0x03ff_fffc, place);
            *bytes = (0x4800_0001 | target & 0x03ff_fffc).to_be_bytes();
        }
    }

    fn sparc(&self, bytes: &mut [u8; 4], place: u32) {
        let word = u32::from_be_bytes(*bytes);
        if matches!(word >> 22, 0x100 | 0x1ff) {
            let target = self.moved(word << 2, place) >> 2;
            let sign = (target >> 22 & 1).wrapping_neg() << 22 & 0x3fff_ffff;
            *bytes = (0x4000_0000 | sign | target & 0x003f_ffff).to_be_bytes();
        }
    }

    fn thumb(&self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while let Some(pair) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
            let [a, b, c, d] = pair.map(u32::from);
            if b & 0xf8 != 0xf0 || d & 0xf8 != 0xf8 {
                at += 2;
                continue;
            }
            let from = ((b & 7) << 19 | a << 11 | (d & 7) << 8 | c) << 1;
            let place = self.position.wrapping_add(at as u32);
            let to = self.moved(from, place.wrapping_add(4)) >> 1;
            let out = [to >> 11, 0xf0 | to >> 19 & 7, to, 0xf8 | to >> 8 & 7];
            *pair = out.map(|byte| byte as u8);
            at += 4;
        }
        at
    }

    fn x86(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        if self.position.wrapping_sub(self.last) > 5 {
            self.last = self.position.wrapping_sub(5);
        }
        while let Some(five) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<5>) {
            let [first, operand @ ..] = *five;
            if !matches!(first, 0xe8 | 0xe9) {
                at += 1;
                continue;
            }
            let place = self.position.wrapping_add(at as u32);
            let since = place.wrapping_sub(self.last);
            self.last = place;
            self.mask =
                if since > 5 { 0 } else { (0..since).fold(self.mask, |m, _| (m & 0x77) << 1) };
            let [.., high] = operand;
            let before = self.mask >> 1;
            if is_far(high) && matches!(before & 7, 0 | 1 | 2 | 4) && before < 0x10 {
                let from = u32::from_le_bytes(operand);
                let to = self.x86_target(from, place.wrapping_add(5));
                let sign = (to >> 24 & 1).wrapping_neg() << 24;
                let [_, operand @ ..] = five;
                *operand = (sign | to & 0x00ff_ffff).to_le_bytes();
                at += 5;
                self.mask = 0;
            } else {
                at += 1;
                self.mask |= 1 | if is_far(high) { 0x10 } else { 0 };
            }
        }
        at
    }

    /// What the operand of a call becomes that ends at a place.
    fn x86_target(&self, mut from: u32, place: u32) -> u32 {
        loop {
            let to = self.moved(from, place);
            let shift = match self.mask >> 1 {
                0 => return to,
                1 => 8,
                2 | 3 => 16,
                _ => 24,
            };
            if !is_far((to >> (24 - shift)) as u8) {
                return to;
            }
            from = to ^ (u32::MAX >> shift);
        }
    }
}

/// The highest byte of a distance below 16 MiB.
fn is_far(byte: u8) -> bool {
    matches!(byte, 0 | 0xff)
}
