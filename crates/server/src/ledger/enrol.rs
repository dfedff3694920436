//! Lets terminals into the fleet.

use crate::roster::lock;
use crate::secret::{self, NoRandom};
use crate::server::Server;
use crate::store::{
    Conflict, StoreError, Stored, StoredDevice, TokenUse, Touched, Tx, Words, settle, words,
};
use protocols::native::Enrol;
use types::{DeviceId, Digest, Running, Timestamp};

/// Why a terminal is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolError {
    /// Unknown, used, expired, or for another terminal. Strangers are not told which.
    #[error("the enrolment token is not good for this terminal")]
    Token,
    /// The name is taken.
    #[error("there is a terminal {0} already")]
    Taken(DeviceId),
    /// The store fails.
    #[error("the terminal could not be stored")]
    Store(#[from] StoreError),
    /// No credential could be made.
    #[error("no credential can be made")]
    Random(#[from] NoRandom),
}

impl Conflict for EnrolError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

impl Server {
    /// Makes enrolment tokens, for `device` or for any terminal each.
    pub(crate) async fn make_tokens(
        &self,
        count: u32,
        device: Option<&DeviceId>,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Vec<String>, EnrolError> {
        let tokens: Result<Vec<String>, _> = (0..count).map(|_| secret::token("rfe_")).collect();
        let tokens = tokens?;
        settle!(async {
            let mut entry = self.begin(now).await?;
            for token in &tokens {
                entry.tx.put_token(secret::digest(token), device, now, expires).await?;
            }
            entry.commit().await
        })?;
        Ok(tokens)
    }

    /// Lets a terminal in. Returns its credential, which the server keeps a digest of.
    pub(crate) async fn enrol(&self, asked: &Enrol, now: Timestamp) -> Result<String, EnrolError> {
        settle!(self.try_enrol(asked, now))
    }

    async fn try_enrol(&self, asked: &Enrol, now: Timestamp) -> Result<String, EnrolError> {
        let token = secret::digest(&asked.token);
        let mut entry = self.begin(now).await?;
        let known = entry.tx.token(token, now).await?.ok_or(EnrolError::Token)?;
        self.learn(&mut entry.tx, &asked.device).await?;
        self.may_enter(&known, &asked.device)?;
        entry.tx.use_token(token, &asked.device, now).await?;
        let credential = secret::token("rfd_")?;
        let device = self.fresh(asked, secret::digest(&credential), now);
        if self.roster.device(&asked.device).is_some() {
            entry.tx.put_devices(&[&device], now).await?;
        } else if !entry.tx.add_device(&device, now).await? {
            // Another server was quicker.
            return Err(EnrolError::Taken(device.device));
        }
        self.note_words(&mut entry.tx, &device, now).await?;
        let touched = Touched { devices: [device.device.clone()].into(), ..Touched::default() };
        entry.tx.note(touched, now).await?;
        entry.tx.commit().await?;
        self.show_device(device);
        Ok(credential)
    }

    /// Writes the words of a terminal that enrols, and that it did.
    async fn note_words(&self, tx: &mut Tx, device: &StoredDevice, now: Timestamp) -> Stored<()> {
        let known = self.roster.device(&device.device);
        let before = known.map_or_else(Words::new, |terminal| words(&lock(&terminal).stored));
        tx.put_words(&[(&device.device, before, words(device))]).await?;
        tx.put_events(&[(device.device.clone(), "enrolled".into())], now).await
    }

    /// A terminal that was not heard yet, or not since it was reset: what is said of it
    /// stays.
    fn fresh(&self, asked: &Enrol, credential: Digest, now: Timestamp) -> StoredDevice {
        let known = self.roster.device(&asked.device);
        let kept = known.map(|terminal| {
            let locked = lock(&terminal);
            (locked.stored.enrolled, locked.stored.labels.clone())
        });
        let (enrolled, labels) = kept.unwrap_or((now, None));
        StoredDevice {
            device: asked.device.clone(),
            credential,
            facts: asked.facts.clone().into(),
            slot: None,
            running: Running::new().into(),
            enrolled,
            labels,
        }
    }

    /// A token is good for one terminal. The same terminal may use it again until its
    /// first heartbeat: the answer to its first try may have been lost.
    fn may_enter(&self, token: &TokenUse, device: &DeviceId) -> Result<(), EnrolError> {
        if token.device.as_ref().is_some_and(|only| only != device) {
            return Err(EnrolError::Token);
        }
        let terminal = self.roster.device(device);
        let silent = terminal.as_ref().is_some_and(|t| lock(t).stored.slot.is_none());
        match &token.used_by {
            Some(user) if user != device || !silent => Err(EnrolError::Token),
            None if terminal.is_some() && token.device.is_none() => {
                Err(EnrolError::Taken(device.clone()))
            }
            _ => Ok(()),
        }
    }
}
