//! Which part of the fleet a device falls into.

use types::{DeviceId, Digest, Hasher};

/// How many equal parts a fleet is divided into: shares of 0.01 percent.
pub const BUCKETS: u16 = 10_000;

/// The part of the fleet, 0 to 9999, that `device` falls into: the first eight
/// bytes of SHA-256(salt ‖ device id), big endian, modulo 10 000. Each rollout has
/// its own salt, so that it is not always the same devices that come first.
pub fn bucket(salt: &[u8], device: &DeviceId) -> u16 {
    let mut hasher = Hasher::default();
    hasher.update(salt);
    hasher.update(device.as_str().as_bytes());
    let Digest(digest) = hasher.finish();
    let head = digest.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    u16::try_from(head % u64::from(BUCKETS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_device_keeps_its_bucket_for_ever() {
        let check = |salt: &[u8], device: &str, expected: u16| {
            assert_eq!(bucket(salt, &device.parse().unwrap()), expected, "{device}");
        };
        check(b"", "a", 2250);
        check(b"spring", "cpe-1", 5717);
        check(b"autumn", "cpe-1", 8882);
    }

    #[test]
    fn buckets_are_even() {
        let below = |share: u16| {
            (0..20_000).filter(|n| bucket(b"s", &format!("d{n}").parse().unwrap()) < share).count()
        };
        assert!((4_800..5_200).contains(&below(2_500)), "{}", below(2_500));
        assert_eq!(below(BUCKETS), 20_000);
    }
}
