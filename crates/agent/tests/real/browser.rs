//! Chromium, driven by its own driver over WebDriver (W3C Recommendation, 2018).

use agent::platform::clock::Stopwatch;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Milliseconds that a page may take on a busy machine.
const SOON: u64 = 120_000;
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Milliseconds that a page may take to load, and a script to run: less than [`SOON`].
const LOADS: u64 = 30_000;

pub(crate) struct Browser {
    http: ureq::Agent,
    driver: Child,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with its session.
        drop(self.http.delete(&self.session).call());
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

impl Browser {
    /// Starts a browser whose profile is in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: install the package chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            Some(port.trim_end_matches('.').to_string())
        });
        std::thread::spawn(move || lines.for_each(drop));
        let base = format!("http://127.0.0.1:{}/session", port.unwrap());
        let profile = format!("--user-data-dir={}", folder.display());
        let wishes = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--window-size=900,1400", profile,
        ]}, "timeouts": {"pageLoad": LOADS, "script": LOADS}}}});
        let patience = Some(Duration::from_millis(SOON));
        let http = ureq::Agent::config_builder().timeout_global(patience).build().new_agent();
        let made = post(&http, &base, &wishes).expect("chromium starts");
        let session = format!("{base}/{}", made["value"]["sessionId"].as_str().unwrap());
        Self { http, driver, session }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, ureq::Error> {
        post(&self.http, &format!("{}/{path}", self.session), body)
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url })).unwrap();
    }

    /// Tries until it works: pages load, and elements are replaced.
    fn until<T>(&self, what: &str, act: impl Fn() -> Option<T>) -> T {
        let watch = Stopwatch::start();
        loop {
            if let Some(done) = act() {
                return done;
            }
            if watch.millis() > SOON {
                let page = self.post(
                    "execute/sync",
                    &json!({
                        "script": "return document.body.innerText", "args": []
                    }),
                );
                panic!("{what}: {page:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn find(&self, selector: &str) -> Option<String> {
        let found = self.post("element", &json!({"using": "css selector", "value": selector}));
        Some(found.ok()?["value"][ELEMENT].as_str()?.to_string())
    }

    /// Waits until an element shows `text`.
    pub(crate) fn see(&self, selector: &str, text: &str) {
        self.until(&format!("`{selector}` with `{text}`"), || {
            let element = self.find(selector)?;
            let url = format!("{}/element/{element}/text", self.session);
            let shown: Value = read(self.http.get(&url).call().ok()?)?;
            shown["value"].as_str()?.contains(text).then_some(())
        });
    }

    fn act(&self, selector: &str, verb: &str, body: &Value) {
        self.until(&format!("{verb} `{selector}`"), || {
            let element = self.find(selector)?;
            self.post(&format!("element/{element}/{verb}"), body).ok()
        });
    }

    pub(crate) fn click(&self, selector: &str) {
        self.act(selector, "click", &json!({}));
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        self.act(selector, "value", &json!({ "text": text }));
    }

    /// Keeps what the page looks like where `REFIT_PICTURES` names a folder.
    pub(crate) fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("REFIT_PICTURES") else { return };
        let url = format!("{}/screenshot", self.session);
        let shown = read(self.http.get(&url).call().unwrap()).unwrap();
        let file = PathBuf::from(folder).join(format!("{name}.png.base64"));
        std::fs::write(file, shown["value"].as_str().unwrap()).unwrap();
    }
}

fn post(http: &ureq::Agent, url: &str, body: &Value) -> Result<Value, ureq::Error> {
    let answer = http
        .post(url)
        .header("content-type", "application/json")
        .send(body.to_string().as_bytes())?;
    Ok(read(answer).unwrap_or_default())
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Option<Value> {
    let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec().ok()?;
    serde_json::from_slice(&bytes).ok()
}
