//! The operator's server, by the native protocol (`protocols::native`).
//!
//! The only thing in this process that reads from the network: small JSON answers of
//! the server that the operator's certificates authenticate.

use crate::edges::{Delivered, Heard, Heartbeat, Now, Source, SourceError, Store};
use crate::https::{self, Agent, HttpError};
use crate::log::Said;
use crate::platform::clock::TimeFloor;
use engine::policy::consent::Urgency;
use engine::{Again, Locator, Order, Standing};
use protocols::json::{self, Message};
use protocols::native::{
    Accepted, Answer, AttemptLog, Enrol, Enrolled, Facts, Heartbeat as Wire, LOG_LINES_LIMIT,
    LogLine, Mode, PROTOCOL, Phase, Problem, Progress, Reports, Waiting,
};
use std::path::PathBuf;
use types::{AttemptId, Elsewhere, Name, Report, Seconds};

// RFC 9110 15.
const OK: u16 = 200;
const CREATED: u16 = 201;
const NO_CONTENT: u16 = 204;
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
const TOO_MANY_REQUESTS: u16 = 429;
const UNAVAILABLE: u16 = 503;

/// The document that holds the credential.
const CREDENTIAL: &str = "credential";

/// The longest time that a busy server may ask for, in seconds.
const BUSY_MAX: u32 = 24 * 3600;

/// How long to leave a server that is busy and does not say for how long.
const BUSY: u32 = 60;

/// Where the server is, and how to become known to it.
pub struct Address {
    /// `https://host[:port]`, without a slash at the end.
    pub url: String,
    /// The file with the one-time token.
    pub token_file: Option<PathBuf>,
    /// Whether it is told the logs that it asks for.
    pub logs: Logs,
}

/// Whether an operator is told what happened during an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logs {
    /// Where it asks.
    Told,
    /// They stay on the terminal.
    Kept,
}

/// The operator's server.
pub struct NativeSource<S> {
    name: Name,
    address: Address,
    agent: Agent,
    store: S,
    floor: TimeFloor,
    /// The last answer and its etag: what the server means by "nothing new".
    last: Option<(String, Heard)>,
}

/// An answer's status and what was in it.
enum Got {
    Nothing,
    Bytes(Vec<u8>),
}

impl<S: Store> NativeSource<S> {
    /// Reports name `name` as their source; the credential is kept in `store`.
    pub fn new(name: Name, address: Address, agent: Agent, store: S, floor: TimeFloor) -> Self {
        Self { name, address, agent, store, floor, last: None }
    }

    fn credential(&mut self, me: &Heartbeat) -> Result<String, SourceError> {
        let stored = self.store.read(CREDENTIAL).map_err(|e| self.local(e))?;
        match stored.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(credential) => Ok(credential),
            None => self.enrol(me),
        }
    }

    /// Becomes known, once. The token is used up even if its answer is lost: the
    /// server then wants a new one.
    fn enrol(&mut self, me: &Heartbeat) -> Result<String, SourceError> {
        let unknown = || SourceError::Unknown(self.address.url.clone());
        let file = self.address.token_file.as_ref().ok_or_else(unknown)?;
        let token = std::fs::read_to_string(file).map_err(|_| unknown())?;
        let enrol = Enrol {
            protocol: PROTOCOL,
            token: token.trim().into(),
            device: me.device.clone(),
            facts: facts(me),
        };
        let enrolled: Enrolled = match self.post("/v1/enrol", &enrol, None)? {
            Got::Bytes(bytes) => self.read(&bytes)?,
            Got::Nothing => return Err(self.nonsense("no credential")),
        };
        let credential = enrolled.credential;
        self.store.replace(CREDENTIAL, credential.as_bytes()).map_err(|e| self.local(e))?;
        Ok(credential)
    }

    fn post<M: Message>(
        &self,
        path: &str,
        message: &M,
        credential: Option<&str>,
    ) -> Result<Got, SourceError> {
        let body = json::encode(message).map_err(|e| self.nonsense(&json::sentence(&e)))?;
        let bearer = credential.map(|credential| format!("Bearer {credential}"));
        let mut lines = vec![("Content-Type", "application/json")];
        lines.extend(bearer.as_ref().map(|bearer| ("Authorization", bearer.as_str())));
        let url = format!("{}{path}", self.address.url);
        let answer = self.agent.post(&url, &lines, &body).map_err(|e| self.unreachable(&e))?;
        self.took(answer)
    }

    fn took(&self, mut answer: https::Answer) -> Result<Got, SourceError> {
        let status = answer.status();
        if status == NO_CONTENT {
            return Ok(Got::Nothing);
        }
        let wait = https::retry_after(&answer).unwrap_or(BUSY);
        let wait = Seconds(wait.clamp(1, BUSY_MAX));
        let limit = Answer::LIMIT.max(Problem::LIMIT) as u64;
        let bytes = answer.bytes(limit);
        let bytes = bytes.map_err(|e| self.unreachable(&e))?;
        match status {
            OK | CREATED => Ok(Got::Bytes(bytes)),
            UNAUTHORIZED | FORBIDDEN => Err(SourceError::Unknown(self.address.url.clone())),
            TOO_MANY_REQUESTS | UNAVAILABLE => {
                Err(SourceError::Busy(self.address.url.clone(), wait))
            }
            _ => {
                let problem: Option<Problem> = json::decode_small(&bytes).ok();
                let why = problem.map(|p| p.error).unwrap_or_default();
                Err(self.nonsense(&format!("status {status} {why}")))
            }
        }
    }

    fn read<M: Message>(&self, bytes: &[u8]) -> Result<M, SourceError> {
        json::decode_small(bytes).map_err(|e| self.nonsense(&json::sentence(&e)))
    }

    fn wire(&self, me: &Heartbeat) -> Wire {
        Wire {
            protocol: PROTOCOL,
            device: me.device.clone(),
            facts: facts(me),
            slot: me.slot,
            running: me.running.clone(),
            phase: if me.waiting.is_some() { Phase::Waiting } else { phase(me.phase) },
            attempt: me.attempt,
            waiting: me
                .waiting
                .as_ref()
                .map(|(rule, why)| Waiting { rule: (*rule).into(), why: why.clone() }),
            seen: self.last.as_ref().map(|(etag, _)| etag.clone()),
            abilities: abilities(),
        }
    }

    fn hear(&mut self, answer: Answer, me: &Heartbeat) -> Result<Heard, SourceError> {
        let withdrawn = me.attempt.is_some_and(|attempt| answer.withdrawn.contains(&attempt))
            || answer.standing == Some(protocols::native::Standing::Withdrawn);
        let urgency = answer.offer.as_ref().map_or(Urgency::Soft, |offer| urgency(offer.mode));
        let elsewhere = answer.offer.as_ref().map_or(Elsewhere::Refuse, |offer| offer.elsewhere);
        let order = answer.offer.map(|offer| {
            let locator = Locator::new(&offer.base).map_err(|e| self.nonsense(&e.to_string()))?;
            let again = if offer.allow_failed { Again::Yes } else { Again::No };
            Ok(Order { attempt: offer.attempt, source: self.name.clone(), locator, again })
        });
        let heard = Heard {
            order: order.transpose()?,
            urgency,
            elsewhere,
            standing: if withdrawn { Standing::Withdrawn } else { Standing::Stands },
            poll: Some(Seconds(answer.poll_seconds)),
            why: answer.why,
        };
        self.last = Some((answer.etag, heard.clone()));
        Ok(heard)
    }

    /// How far the update is; only the newest counts, so a lost one does not matter.
    fn tell_progress(&self, me: &Heartbeat, credential: &str) {
        let (Some(attempt), (done, total @ 1..)) = (me.attempt, me.progress) else { return };
        let progress = Progress { attempt, phase: phase(me.phase), done, total };
        drop(self.post("/v1/progress", &progress, Some(credential)));
    }

    fn delivered(&self, accepted: &Accepted, attempt: AttemptId) -> Delivered {
        let asks = accepted.logs.contains(&attempt) && self.address.logs == Logs::Told;
        match accepted.accepted.contains(&attempt) {
            true if asks => Delivered::AndTell,
            true => Delivered::Yes,
            false => Delivered::Later,
        }
    }

    fn unreachable(&self, error: &HttpError) -> SourceError {
        SourceError::Unreachable(self.address.url.clone(), error.to_string().into())
    }

    fn local(&self, error: std::io::Error) -> SourceError {
        SourceError::Unreachable(self.address.url.clone(), error.into())
    }

    fn nonsense(&self, what: &str) -> SourceError {
        let what = types::Text::from(what);
        SourceError::Nonsense(self.address.url.clone(), what.as_str().into())
    }
}

impl<S: Store> Source for NativeSource<S> {
    fn name(&self) -> &Name {
        &self.name
    }

    fn listen(&mut self, now: Now, me: &Heartbeat) -> Result<Heard, SourceError> {
        let credential = self.credential(me)?;
        let got = self.post("/v1/heartbeat", &self.wire(me), Some(&credential))?;
        // Its certificate was valid at this time. That the file cannot be written is
        // met again tomorrow.
        drop(self.floor.raise(now.wall));
        let heard = match got {
            Got::Bytes(bytes) => {
                let answer = self.read(&bytes)?;
                self.hear(answer, me)?
            }
            // Nothing new: what was answered last still holds.
            Got::Nothing => self.last.as_ref().map(|(_, heard)| heard.clone()).unwrap_or_default(),
        };
        self.tell_progress(me, &credential);
        Ok(heard)
    }

    fn deliver(&mut self, report: &Report) -> Result<Delivered, SourceError> {
        let stored = self.store.read(CREDENTIAL).map_err(|e| self.local(e))?;
        let credential = stored.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(credential) = credential else { return Ok(Delivered::Later) };
        let reports = Reports { reports: vec![report.clone()] };
        match self.post("/v1/reports", &reports, Some(&credential))? {
            Got::Bytes(bytes) => {
                let accepted: Accepted = self.read(&bytes)?;
                Ok(self.delivered(&accepted, report.attempt))
            }
            Got::Nothing => Ok(Delivered::Later),
        }
    }

    fn tell(&mut self, attempt: AttemptId, said: &[Said]) -> Result<Delivered, SourceError> {
        let stored = self.store.read(CREDENTIAL).map_err(|e| self.local(e))?;
        let credential = stored.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(credential) = credential else { return Ok(Delivered::Later) };
        match self.post("/v1/logs", &log(attempt, said), Some(&credential)) {
            // A server that takes it for nonsense would do so again: nothing depends on it.
            Ok(_) | Err(SourceError::Nonsense(..)) => Ok(Delivered::Yes),
            Err(error) => Err(error),
        }
    }
}

fn facts(me: &Heartbeat) -> Facts {
    Facts {
        product: me.product.clone(),
        hardware: me.hardware.clone(),
        variant: me.variant.clone(),
        region: me.region.clone(),
        memory_class_mib: me.memory_class_mib.into(),
    }
}

/// A log for the wire: its last lines, where it has more than fit.
fn log(attempt: AttemptId, said: &[Said]) -> AttemptLog {
    let line = |said: &Said, text| LogLine { at: said.at, phase: said.phase.clone(), text };
    let lines = said.iter().flat_map(|one| one.lines().into_iter().map(|text| line(one, text)));
    let lines: Vec<LogLine> = lines.collect();
    let first = lines.len().saturating_sub(LOG_LINES_LIMIT);
    AttemptLog { attempt, lines: lines.into_iter().skip(first).collect() }
}

/// What this agent can do beside what every agent can.
pub(super) fn abilities() -> Vec<Name> {
    ["download-only", "regions"].iter().filter_map(|name| name.parse().ok()).collect()
}

fn urgency(mode: Mode) -> Urgency {
    match mode {
        Mode::Soft => Urgency::Soft,
        Mode::Forced => Urgency::Forced,
        Mode::DownloadOnly => Urgency::DownloadOnly,
    }
}

fn phase(phase: engine::Phase) -> Phase {
    match phase {
        engine::Phase::Idle => Phase::Idle,
        engine::Phase::Inspecting => Phase::Waiting,
        engine::Phase::Downloading => Phase::Downloading,
        engine::Phase::Verifying => Phase::Verifying,
        engine::Phase::Applying => Phase::Applying,
        engine::Phase::Rebooting => Phase::Rebooting,
        engine::Phase::Confirming => Phase::Confirming,
        engine::Phase::Rollback => Phase::Rollback,
        engine::Phase::Reporting => Phase::Reporting,
    }
}
