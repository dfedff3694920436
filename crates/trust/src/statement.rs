//! Statements of whoever runs a fleet: signed by a key that is online.
//!
//! The envelope is that of TUF metadata. What a statement says is believed of *who gets
//! what when*, never of what a release is: that takes the maker's keys.

use crate::envelope::Envelope;
use crate::role::Role;
use crate::targets::not_expired;
use crate::{PublicKey, TrustError, Verified};
use alloc::collections::BTreeMap;
use types::{Sealed, Statement, Timestamp};

/// Checks that one of `keys` signed `sealed`, and that it has not expired at `now`.
///
/// # Errors
/// See [`TrustError`]; nothing of the statement is to be believed then.
pub fn verify_statement<S: Statement>(
    keys: &[PublicKey],
    sealed: &Sealed,
    now: Timestamp,
) -> Result<Verified<S>, TrustError> {
    let envelope = Envelope::read(S::KIND, S::LIMIT, sealed.bytes())?;
    let keys: BTreeMap<_, _> = keys.iter().map(|key| (key.id(), *key)).collect();
    envelope.verify(S::KIND, &keys, &Role::any_of(keys.keys()))?;
    let statement: S = envelope.signed(S::KIND)?;
    not_expired(S::KIND, statement.expires(), now)?;
    match statement.fault() {
        Some(rule) => Err(TrustError::BrokenRule { kind: S::KIND, rule }),
        None => Ok(Verified::new(statement, sealed.bytes())),
    }
}
