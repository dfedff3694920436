//! A simulated terminal: asks, takes what it is offered, reports, and asks on. When a
//! server does not answer it asks another one later, as real ones do.

use super::book::Book;
use crate::chance::Chance;
use crate::terminal::{COMPONENT, HARDWARE, PRODUCT};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use types::Digest;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, SendBody};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Heartbeats between the offer and its end.
const WORK: usize = 3;

/// A release that terminals run or are offered.
#[derive(Debug, Clone)]
pub(super) struct Software {
    pub(super) version: String,
    pub(super) image: Digest,
}

/// Where the servers are now.
#[derive(Debug, Clone, Default)]
pub(super) struct Servers(Arc<RwLock<Vec<String>>>);

impl Servers {
    pub(super) fn set(&self, addresses: Vec<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    fn any(&self, chance: &mut Chance) -> Option<String> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(chance.below(all.len())).cloned()
    }
}

/// What speaks HTTPS for terminals and operators.
pub(super) fn agent(ca: &Path) -> Result<Agent> {
    let ca = Certificate::from_pem(&std::fs::read(ca)?).context("no certificate")?;
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[ca]))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    Ok(config.tls_config(tls).timeout_global(Some(PATIENCE)).build().new_agent())
}

/// Sends a request; status 0 where nobody answers.
pub(super) fn send(
    agent: &Agent,
    url: &str,
    secret: Option<&str>,
    body: Option<&Value>,
) -> (u16, Value) {
    let text = body.map(Value::to_string).unwrap_or_default();
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if let Some(secret) = secret {
        request = request.header("authorization", format!("Bearer {}", secret.trim()));
    }
    let mut reader = text.as_bytes();
    let Ok(request) = request.body(SendBody::from_reader(&mut reader)) else {
        return (0, Value::Null);
    };
    let Ok(mut response) = agent.run(request) else { return (0, Value::Null) };
    let status = response.status().as_u16();
    let Ok(bytes) = response.body_mut().with_config().limit(64 << 20).read_to_vec() else {
        return (0, Value::Null);
    };
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// One simulated terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) name: String,
    credential: String,
    pub(super) running: Software,
    seen: Option<String>,
    /// The attempt it works on, and how many heartbeats it still takes.
    at_work: Option<(String, usize)>,
    /// The report that no server acknowledged yet.
    report: Option<(String, u16)>,
    last: Option<String>,
}

/// What one round of a terminal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// A server answered.
    Heard,
    /// None did, or it could not decide.
    Unheard,
}

impl Terminal {
    /// Enrols a terminal that runs `running`.
    pub(super) fn enrol(
        agent: &Agent,
        server: &str,
        name: &str,
        token: &str,
        running: &Software,
    ) -> Result<Self> {
        let facts = json!({"product": PRODUCT, "hardware": HARDWARE});
        let body = json!({"token": token, "device": name, "facts": facts});
        let (status, answer) = send(agent, &format!("{server}/v1/enrol"), None, Some(&body));
        let credential = answer.get("credential").and_then(Value::as_str);
        let credential = credential.with_context(|| format!("not enrolled: {status} {answer}"))?;
        Ok(Self {
            name: name.into(),
            credential: credential.into(),
            running: running.clone(),
            seen: None,
            at_work: None,
            report: None,
            last: None,
        })
    }

    /// One round: reports what is due, and asks.
    pub(super) fn round(
        &mut self,
        agent: &Agent,
        servers: &Servers,
        target: &Software,
        book: &Book,
        chance: &mut Chance,
    ) -> Round {
        let Some(server) = servers.any(chance) else { return Round::Unheard };
        if !self.tell(agent, &server, book) {
            return Round::Unheard;
        }
        let (status, answer) = self.ask(agent, &server);
        if status == 200 {
            self.take(&answer, book);
        }
        self.work(target, book);
        if matches!(status, 200 | 204) { Round::Heard } else { Round::Unheard }
    }

    /// A heartbeat: status and answer.
    pub(super) fn ask(&self, agent: &Agent, server: &str) -> (u16, Value) {
        let state = json!({"version": self.running.version, "image": self.running.image});
        let mut body = json!({
            "protocol": 1, "device": self.name, "product": PRODUCT, "hardware": HARDWARE,
            "slot": "A", "running": {COMPONENT: state}
        });
        if let (Some((attempt, _)), Some(fields)) = (&self.at_work, body.as_object_mut()) {
            fields.insert("attempt".into(), json!(attempt));
            fields.insert("phase".into(), json!("downloading"));
        }
        if let (Some(seen), Some(fields)) = (&self.seen, body.as_object_mut()) {
            fields.insert("seen".into(), json!(seen));
        }
        let url = format!("{server}/v1/heartbeat");
        send(agent, &url, Some(&self.credential), Some(&body))
    }

    fn take(&mut self, answer: &Value, book: &Book) {
        self.seen = answer.get("etag").and_then(Value::as_str).map(str::to_owned);
        let attempt = answer.pointer("/offer/attempt").and_then(Value::as_str);
        let Some(attempt) = attempt.filter(|attempt| self.last.as_deref() != Some(*attempt)) else {
            return;
        };
        book.offer(&self.name);
        self.last = Some(attempt.to_owned());
        self.at_work = Some((attempt.to_owned(), WORK));
    }

    /// Goes on with the update; at its end the new software runs.
    fn work(&mut self, target: &Software, book: &Book) {
        let Some((attempt, left)) = self.at_work.take() else { return };
        if left > 0 {
            self.at_work = Some((attempt, left - 1));
            return;
        }
        self.running = target.clone();
        self.seen = None;
        book.end(&attempt, true);
        self.report = Some((attempt, 0));
    }

    /// Whether it has an offer.
    pub(super) fn is_at_work(&self) -> bool {
        self.at_work.is_some()
    }

    /// Forgets the last answer, so that every answer is told in full.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Ends the attempt at once with this outcome. Returns whether it had one.
    pub(super) fn fail(&mut self, outcome: u16, book: &Book) -> bool {
        let Some((attempt, _)) = self.at_work.take() else { return false };
        book.end(&attempt, false);
        self.report = Some((attempt, outcome));
        true
    }

    /// Delivers the report, if there is one. Returns whether none is left.
    pub(super) fn tell(&mut self, agent: &Agent, server: &str, book: &Book) -> bool {
        let Some((attempt, outcome)) = &self.report else { return true };
        let report = json!({
            "attempt": attempt, "source": "native", "outcome": outcome, "detail": "",
            "version": null, "spent": {"bytes": 1, "seconds": 1}, "failed_boots": 0
        });
        let body = json!({"reports": [report]});
        let url = format!("{server}/v1/reports");
        let (status, _) = send(agent, &url, Some(&self.credential), Some(&body));
        if status != 200 {
            return false;
        }
        book.acknowledge(&self.name, attempt);
        self.report = None;
        true
    }
}
