//! A real server in a folder of its own, a maker, and terminals that speak to it.

use crate::maker::{Maker, image};

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use types::{AttemptId, Digest};
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, SendBody};

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running `refit-server`. Dropped, it is killed.
pub(crate) struct Rig {
    pub(crate) place: TempDir,
    pub(crate) maker: Maker,
    child: Child,
    url: String,
    token: String,
    agent: Agent,
}

/// A status and the JSON that came with it; null where none did.
pub(crate) type Answer = (u16, Value);

impl Rig {
    /// A fresh server that knows its maker's keys.
    pub(crate) fn start() -> Self {
        Self::with(&["--root", "root.json", "--poll-seconds", "1"])
    }

    /// A fresh server with these options.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self::with_certificate(options, Path::new("data/ca.pem"))
    }

    /// A fresh server with these options, whose clients believe this authority.
    pub(crate) fn with_certificate(options: &[&str], ca: &Path) -> Self {
        let place = tempfile::tempdir().unwrap();
        let maker = Maker::default();
        std::fs::write(place.path().join("root.json"), maker.root()).unwrap();
        let (child, url) = spawn(place.path(), options);
        let token = std::fs::read_to_string(place.path().join("data/operator.token")).unwrap();
        let agent = agent(&place.path().join(ca));
        Self { place, maker, child, url, token, agent }
    }

    /// Ends the server without warning, as a power cut does, and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let (child, url) = spawn(self.place.path(), &["--poll-seconds", "1"]);
        (self.child, self.url) = (child, url);
    }

    /// Asks the server to end, and waits until it has. Returns whether it did well.
    pub(crate) fn terminate(&mut self) -> bool {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.child.wait().unwrap().success()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn put_root(&self, root: &[u8]) -> Answer {
        self.client().send(Method::PUT, "/api/v1/root", Some(&self.token), root)
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.place.path().join("data/blobs")
    }

    pub(crate) fn client(&self) -> Client {
        Client { agent: self.agent.clone(), url: self.url.clone() }
    }

    /// As the operator.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.client().send(Method::GET, path, Some(&self.token), &[])
    }

    /// As the operator.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let bytes = body.to_string();
        self.client().send(Method::POST, path, Some(&self.token), bytes.as_bytes())
    }

    /// As the operator.
    pub(crate) fn upload(&self, package: &[u8]) -> Answer {
        self.client().send(Method::POST, "/api/v1/releases", Some(&self.token), package)
    }

    /// Publishes a good release of this version.
    pub(crate) fn publish(&self, version: &str) {
        let (status, answer) = self.upload(&self.maker.package(version));
        assert_eq!(status, 200, "{answer}");
    }

    /// Makes and starts a rollout. Returns its id.
    pub(crate) fn rollout(&self, order: &Value) -> String {
        let (status, made) = self.post("/api/v1/rollouts", order);
        assert_eq!(status, 200, "{made}");
        let id = made["id"].as_str().unwrap().to_owned();
        let (status, started) = self.post(&format!("/api/v1/rollouts/{id}/start"), &json!({}));
        assert_eq!((status, &started["state"]), (200, &json!("running")), "{started}");
        id
    }

    /// A rollout as it is now.
    pub(crate) fn status(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/rollouts/{id}")).1
    }

    /// Which rule decides about a terminal.
    pub(crate) fn rule(&self, device: &str) -> String {
        let (_, answer) = self.get(&format!("/api/v1/devices/{device}/explain"));
        answer["rule"].as_str().unwrap().to_owned()
    }

    /// The state of a terminal's last attempt.
    pub(crate) fn state(&self, device: &str) -> String {
        let (_, answer) = self.get(&format!("/api/v1/devices/{device}"));
        answer["attempt"]["state"].as_str().unwrap_or("none").to_owned()
    }

    /// Enrolment tokens.
    pub(crate) fn tokens(&self, count: u32) -> Vec<String> {
        let (status, made) = self.post("/api/v1/enrolment-tokens", &json!({"count": count}));
        assert_eq!(status, 200, "{made}");
        made["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().into()).collect()
    }

    /// Terminals `d0`, `d1`, ... that run version 1 of the product.
    pub(crate) fn terminals(&self, count: u32) -> Vec<Terminal> {
        let tokens = if count == 0 { Vec::new() } else { self.tokens(count) };
        (0..)
            .zip(tokens)
            .map(|(n, token)| Terminal::enrol(self, &format!("d{n}"), &token))
            .collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(place: &Path, options: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_refit-server"))
        .args(["serve", "--data", "data", "--listen", "127.0.0.1:0"])
        .args(options)
        .current_dir(place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = "refit-server: listening on ";
    let url =
        lines.map(Result::unwrap).find_map(|line| line.strip_prefix(ready).map(str::to_owned));
    (child, url.expect("the server ended"))
}

fn agent(ca: &Path) -> Agent {
    let ca = Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[ca]))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    config.tls_config(tls).timeout_global(Some(DEADLINE)).build().new_agent()
}

/// Somebody who speaks to the server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    /// Sends a request. A server that does not answer is status 0.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        secret: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let bearer = secret.map(|secret| format!("Bearer {}", secret.trim()));
        let request = bearer.iter().fold(request, |r, value| r.header("authorization", value));
        let mut reader = body;
        let request = request.body(SendBody::from_reader(&mut reader)).unwrap();
        let Ok(mut response) = self.agent.run(request) else { return (0, Value::Null) };
        let status = response.status().as_u16();
        let bytes = response.body_mut().read_to_vec().unwrap_or_default();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Fetches an absolute address with these headers: status, headers, bytes.
    pub(crate) fn fetch(&self, url: &str, headers: &[(&str, &str)]) -> Fetched {
        let request = headers.iter().fold(self.agent.get(url), |r, (k, v)| r.header(*k, *v));
        let mut response = request.call().unwrap();
        let header = |name: &str| {
            response.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (range, tag, next) = (header("content-range"), header("etag"), header("refit-next"));
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
        Fetched { status, range, tag, next, body }
    }

    /// Reads the first `len` bytes of an address and hangs up.
    pub(crate) fn fetch_and_hang_up(&self, url: &str, from: u64, len: u64) -> Vec<u8> {
        let range = format!("bytes={from}-");
        let response = self.agent.get(url).header("range", range).call().unwrap();
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_reader().take(len);
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

/// What came of a fetch.
pub(crate) struct Fetched {
    pub(crate) status: u16,
    pub(crate) range: String,
    pub(crate) tag: String,
    /// Where the next page of an export begins.
    pub(crate) next: String,
    pub(crate) body: Vec<u8>,
}

/// A terminal that speaks the protocol and installs nothing.
#[derive(Clone)]
pub(crate) struct Terminal {
    pub(crate) name: String,
    pub(crate) credential: String,
    pub(crate) client: Client,
    pub(crate) version: String,
}

impl Terminal {
    pub(crate) fn enrol(rig: &Rig, name: &str, token: &str) -> Self {
        let (status, answer) = enrol(&rig.client(), name, token);
        assert_eq!(status, 200, "{answer}");
        let credential = answer["credential"].as_str().unwrap().to_owned();
        let (name, client, version) = (name.to_owned(), rig.client(), "1.0".to_owned());
        Self { name, credential, client, version }
    }

    /// A heartbeat of what it runs, with these further fields.
    pub(crate) fn beat_with(&self, further: &Value) -> Answer {
        let mut body = json!({
            "protocol": 1, "device": self.name, "product": "router", "hardware": "r1", "slot": "A",
            "running": {"rootfs": {"version": self.version, "image": Digest::of(&image(&self.version))}}
        });
        for (key, value) in further.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post("/v1/heartbeat", &body)
    }

    pub(crate) fn beat(&self) -> Answer {
        self.beat_with(&json!({}))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let bytes = body.to_string();
        self.client.send(Method::POST, path, Some(&self.credential), bytes.as_bytes())
    }

    /// The attempt that a heartbeat offers, if it offers one.
    pub(crate) fn offered(&self) -> Option<String> {
        let (status, answer) = self.beat();
        assert_eq!(status, 200, "{answer}");
        answer["offer"]["attempt"].as_str().map(str::to_owned)
    }

    pub(crate) fn report(&self, attempt: &str, outcome: u16) -> Answer {
        self.post("/v1/reports", &json!({"reports": [report(attempt, outcome)]}))
    }

    /// Installs, confirms and shows version `version`, as the offer `attempt` asked.
    pub(crate) fn updates(&mut self, attempt: &str, version: &str) {
        assert_eq!(self.report(attempt, 0).0, 200);
        version.clone_into(&mut self.version);
        assert_eq!(self.beat().0, 200);
    }
}

pub(crate) fn enrol(client: &Client, name: &str, token: &str) -> Answer {
    let facts = json!({"product": "router", "hardware": "r1"});
    let body = json!({"token": token, "device": name, "facts": facts}).to_string();
    client.send(Method::POST, "/v1/enrol", None, body.as_bytes())
}

pub(crate) fn report(attempt: &str, outcome: u16) -> Value {
    let attempt: AttemptId = attempt.parse().unwrap();
    json!({
        "attempt": attempt, "source": "native", "outcome": outcome, "detail": "", "version": null,
        "spent": {"bytes": 1, "seconds": 1}, "failed_boots": 0
    })
}

/// Asks again until the answer is as it must become.
pub(crate) fn until<T: PartialEq + std::fmt::Debug>(expected: &T, ask: impl FnMut() -> T) {
    until_within(DEADLINE, expected, ask);
}

/// The same for what takes longer on a busy machine.
#[expect(clippy::disallowed_methods, reason = "a test's deadline")]
pub(crate) fn until_within<T: PartialEq + std::fmt::Debug>(
    deadline: Duration,
    expected: &T,
    mut ask: impl FnMut() -> T,
) {
    let start = Instant::now();
    let mut answer = ask();
    while answer != *expected {
        assert!(start.elapsed() < deadline, "it is still {answer:?}, not {expected:?}");
        std::thread::yield_now();
        answer = ask();
    }
}
