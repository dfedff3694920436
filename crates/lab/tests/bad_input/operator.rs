//! A server that speaks the native protocol well and serves packages as badly as a
//! test wants.

use crate::archive::Entries;
use crate::world::{CHUNK, SIZE, SOON, World};
use lab::clock::until;
use lab::terminal::{PRODUCT, Server, Settings, Terminal};
use lab::web::{Authority, Reply, Request, Web};
use package::Manifest;
use protocols::json;
use protocols::native::{Accepted, Answer, Enrolled, Heartbeat, Mode, Offer, Reports, Standing};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use types::{AttemptId, Digest, Document, Release, Report, Text};

/// Answers a request in place of the server, or leaves it to it.
pub(crate) type Mischief = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// The server.
pub(crate) struct Operator {
    web: Web,
    ca: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    base: OnceLock<String>,
    /// Where the offered package's entries are.
    folder: Mutex<PathBuf>,
    offer: Mutex<Option<Offer>>,
    mischief: Mutex<Option<Arc<Mischief>>>,
    reports: Mutex<Vec<Report>>,
    heartbeats: AtomicUsize,
}

impl Operator {
    pub(crate) fn start(world: &World) -> Self {
        let authority = Authority::new().unwrap();
        let ca = world.file("ca.pem");
        fs::write(&ca, authority.ca_pem()).unwrap();
        let shared = Arc::new(Shared::default());
        let inside = Arc::clone(&shared);
        let web = Web::start(&authority, move |request| inside.answer(request)).unwrap();
        shared.base.set(format!("{}/p/", web.url())).unwrap();
        Self { web, ca, shared }
    }

    /// A terminal of this server.
    pub(crate) fn terminal(&self, world: &World, settings: &Settings) -> Terminal {
        self.terminal_of_size(world, settings, SIZE)
    }

    pub(crate) fn terminal_of_size(
        &self,
        world: &World,
        settings: &Settings,
        size: u64,
    ) -> Terminal {
        let url = self.web.url();
        let server = Server { url: &url, ca: &self.ca, token: "token" };
        world.terminal_with("terminal", &world.maker.root(), Some(server), settings, size)
    }

    /// Offers a package, as its `number`th attempt.
    pub(crate) fn offer(&self, world: &World, package: &Path, number: u32) {
        let entries = Entries::of(package);
        let folder = world.file(&format!("offer-{number}"));
        entries.unpack(&folder);
        let exact = entries.get(Manifest::ENTRY);
        let manifest = Manifest::decode(exact).unwrap();
        let release = Release {
            product: PRODUCT.parse().unwrap(),
            version: manifest.version,
            rollback_index: manifest.rollback_index,
            manifest: Digest::of(exact),
        };
        let attempt = AttemptId::new("hostile", &"terminal".parse().unwrap(), number);
        let base = self.shared.base.get().unwrap().clone();
        *self.shared.folder.lock().unwrap() = folder;
        let elsewhere = types::Elsewhere::Refuse;
        let (allow_failed, mode) = (true, Mode::Soft);
        let offer = Offer { attempt, release, base, allow_failed, mode, elsewhere };
        *self.shared.offer.lock().unwrap() = Some(offer);
    }

    /// Answers by `mischief` from now on, where that answers.
    pub(crate) fn misbehave(
        &self,
        mischief: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) {
        *self.shared.mischief.lock().unwrap() = Some(Arc::new(mischief));
    }

    /// Serves well again.
    pub(crate) fn behave(&self) {
        *self.shared.mischief.lock().unwrap() = None;
    }

    /// Waits for the report of attempt `number`.
    pub(crate) fn wait_for_report(&self, number: u32) -> Report {
        let attempt = AttemptId::new("hostile", &"terminal".parse().unwrap(), number);
        self.wait_for(|report| report.attempt == attempt)
    }

    /// Waits for a report like this.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Report) -> bool) -> Report {
        let found = || self.shared.reports.lock().unwrap().iter().find(|r| wanted(r)).cloned();
        until(SOON, "the report", || Ok(found())).unwrap()
    }

    /// How many heartbeats there were.
    pub(crate) fn heartbeats(&self) -> usize {
        self.shared.heartbeats.load(Ordering::SeqCst)
    }

    /// Waits until the terminal has asked twice more.
    pub(crate) fn wait_for_heartbeats(&self) {
        let enough = self.heartbeats() + 2;
        until(SOON, "heartbeats", || Ok((self.heartbeats() >= enough).then_some(()))).unwrap();
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Reply {
        let mischief = self.mischief.lock().unwrap().clone();
        if let Some(reply) = mischief.and_then(|mischief| mischief(request)) {
            return reply;
        }
        match request.path.as_str() {
            "/v1/enrol" => {
                let enrolled = Enrolled { credential: "credential".into(), poll_seconds: 1 };
                Reply::Small(200, json::encode(&enrolled).unwrap())
            }
            "/v1/heartbeat" => Reply::Small(200, json::encode(&self.hear(request)).unwrap()),
            "/v1/reports" => Reply::Small(200, json::encode(&self.file(request)).unwrap()),
            "/v1/progress" => Reply::Small(204, Vec::new()),
            path => match path.strip_prefix("/p/") {
                Some(entry) => Reply::File(self.folder.lock().unwrap().join(entry)),
                None => Reply::Small(404, Vec::new()),
            },
        }
    }

    fn hear(&self, request: &Request) -> Answer {
        json::decode::<Heartbeat>(&request.body).unwrap();
        self.heartbeats.fetch_add(1, Ordering::SeqCst);
        Answer {
            etag: "etag".into(),
            poll_seconds: 1,
            offer: self.offer.lock().unwrap().clone(),
            withdrawn: Vec::new(),
            standing: Some(Standing::Stands),
            why: Text::default(),
        }
    }

    fn file(&self, request: &Request) -> Accepted {
        let told: Reports = json::decode(&request.body).unwrap();
        let accepted = told.reports.iter().map(|report| report.attempt).collect();
        let mut offer = self.offer.lock().unwrap();
        if offer.as_ref().is_some_and(|o| told.reports.iter().any(|r| r.attempt == o.attempt)) {
            *offer = None;
        }
        self.reports.lock().unwrap().extend(told.reports);
        Accepted { accepted, logs: Vec::new() }
    }
}

/// Settings of a terminal that notes every chunk.
pub(crate) fn careful() -> Settings {
    Settings { checkpoint_kib: CHUNK >> 10, ..Settings::default() }
}
