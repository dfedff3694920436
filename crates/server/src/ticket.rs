//! Payload addresses: they name an attempt and an end, and prove both.
//!
//! A ticket is base64url(version ‖ expiry ‖ attempt ‖ MAC), 56 characters. The MAC
//! covers device and release too, so a ticket serves one release to one device; no
//! list of tickets has to be kept, and every replica with the secret can check it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use types::{AttemptId, DeviceId, Digest, Seconds, Timestamp};

/// The form of ticket made today.
const VERSION: u8 = 1;
/// Bytes of a ticket before its MAC: version, expiry in seconds, attempt.
const HEAD: usize = 1 + 4 + 16;
/// Bytes of the MAC that are sent: 168 of its 256 bits.
const MAC: usize = 21;

/// Characters of a ticket.
pub(crate) const LENGTH: usize = (HEAD + MAC) * 4 / 3;

/// What a ticket is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant<'a> {
    /// The attempt.
    pub(crate) attempt: AttemptId,
    /// Its device.
    pub(crate) device: &'a DeviceId,
    /// The release: digest of its manifest.
    pub(crate) manifest: Digest,
}

/// A ticket that was read but not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The attempt that it names.
    pub(crate) attempt: AttemptId,
    /// The second since 1970 after which it is worthless.
    pub(crate) expires: u32,
}

/// Why a ticket is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TicketError {
    /// It was not made by this server for this device and release.
    #[error("the address is not one of this server's")]
    Forged,
    /// It was good once.
    #[error("the address has expired")]
    Expired,
}

/// Makes and checks tickets.
pub(crate) struct Tickets {
    key: hmac::Key,
    valid: Seconds,
}

impl Tickets {
    /// Tickets under `secret` that are good for at least half of `valid`.
    pub(crate) fn new(secret: &[u8; 32], valid: Seconds) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), valid }
    }

    /// The ticket for `grant`. Within half of the validity it is the same text, so
    /// that an unchanged offer is an unchanged answer, on every replica.
    pub(crate) fn make(&self, grant: &Grant<'_>, now: Timestamp) -> String {
        let expires = self.expiry(now);
        let mut out = Vec::with_capacity(HEAD + MAC);
        out.push(VERSION);
        out.extend(expires.to_be_bytes());
        out.extend(grant.attempt.0);
        out.extend(self.mac(grant, expires).iter().take(MAC));
        URL_SAFE_NO_PAD.encode(out)
    }

    fn expiry(&self, now: Timestamp) -> u32 {
        let now = u32::try_from(now.0.max(0) / 1000).unwrap_or(u32::MAX);
        let half = (self.valid.0 / 2).max(1);
        (now / half).saturating_add(2).saturating_mul(half)
    }

    /// Checks that `ticket` was made for `grant` and is still good.
    pub(crate) fn check(
        &self,
        ticket: &str,
        grant: &Grant<'_>,
        now: Timestamp,
    ) -> Result<(), TicketError> {
        let (claim, mac) = split(ticket).ok_or(TicketError::Forged)?;
        let want = self.mac(grant, claim.expires);
        let differs = mac.iter().zip(want).fold(0, |sum, (a, b)| sum | (a ^ b));
        if differs != 0 || claim.attempt != grant.attempt {
            return Err(TicketError::Forged);
        }
        if now.0 / 1000 > i64::from(claim.expires) {
            return Err(TicketError::Expired);
        }
        Ok(())
    }

    fn mac(&self, grant: &Grant<'_>, expires: u32) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(b"refit payload v1\0");
        mac.update(&expires.to_be_bytes());
        mac.update(&grant.attempt.0);
        mac.update(&grant.manifest.0);
        mac.update(grant.device.as_str().as_bytes());
        let tag = mac.sign();
        let mut out = [0; 32];
        out.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        out
    }
}

/// Reads what `ticket` claims, so that its grant can be looked up.
pub(crate) fn claim(ticket: &str) -> Option<Claim> {
    split(ticket).map(|(claim, _)| claim)
}

fn split(ticket: &str) -> Option<(Claim, [u8; MAC])> {
    if ticket.len() != LENGTH {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (attempt, mac) = rest.split_first_chunk()?;
    let claim = Claim { attempt: AttemptId(*attempt), expires: u32::from_be_bytes(*expires) };
    (*version == VERSION).then_some((claim, mac.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn tickets() -> Tickets {
        Tickets::new(&[7; 32], Seconds(7200))
    }

    fn check(
        ticket: &str,
        device: &str,
        attempt: u8,
        manifest: u8,
        now: i64,
    ) -> Result<(), TicketError> {
        let device: DeviceId = device.parse().unwrap();
        let (attempt, manifest) = (AttemptId([attempt; 16]), Digest([manifest; 32]));
        tickets().check(ticket, &Grant { attempt, device: &device, manifest }, Timestamp(now))
    }

    fn ticket(now: i64) -> String {
        let device: DeviceId = "cpe-1".parse().unwrap();
        let (attempt, manifest) = (AttemptId([1; 16]), Digest([2; 32]));
        tickets().make(&Grant { attempt, device: &device, manifest }, Timestamp(now))
    }

    #[test]
    fn a_ticket_serves_one_attempt_device_and_release_for_a_while() {
        let good = ticket(10 * HOUR);
        assert_eq!(good.len(), LENGTH);
        assert_eq!(claim(&good).unwrap().attempt, AttemptId([1; 16]));
        assert_eq!(check(&good, "cpe-1", 1, 2, 10 * HOUR), Ok(()));
        assert_eq!(check(&good, "cpe-1", 1, 2, 12 * HOUR), Ok(()));
        assert_eq!(check(&good, "cpe-1", 1, 2, 12 * HOUR + 1000), Err(TicketError::Expired));
        assert_eq!(check(&good, "cpe-2", 1, 2, 10 * HOUR), Err(TicketError::Forged));
        assert_eq!(check(&good, "cpe-1", 3, 2, 10 * HOUR), Err(TicketError::Forged));
        assert_eq!(check(&good, "cpe-1", 1, 3, 10 * HOUR), Err(TicketError::Forged));
    }

    #[test]
    fn a_ticket_keeps_its_text_for_half_of_its_time() {
        assert_eq!(ticket(10 * HOUR), ticket(11 * HOUR - 1));
        assert_ne!(ticket(10 * HOUR), ticket(11 * HOUR));
        let late = ticket(11 * HOUR - 1);
        assert_eq!(check(&late, "cpe-1", 1, 2, 12 * HOUR - 1), Ok(()), "half of its time is left");
    }

    #[test]
    fn no_changed_ticket_is_good() {
        let good = ticket(0);
        for at in 0..good.len() {
            for other in ["A", "B", "_", "%"] {
                let mut bad = good.clone();
                bad.replace_range(at..=at, other);
                if bad != good {
                    assert_eq!(check(&bad, "cpe-1", 1, 2, 0), Err(TicketError::Forged), "{bad}");
                }
            }
        }
        for bad in ["", "A", &good[1..], &format!("{good}A")] {
            assert_eq!(check(bad, "cpe-1", 1, 2, 0), Err(TicketError::Forged));
        }
    }
}
