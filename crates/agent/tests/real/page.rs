//! The local page: what strangers cannot do, and what an owner does in a real browser.

use crate::bench::{Bench, image, night_in_some_hours};
use crate::browser::Browser;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use types::Effect;

const IMAGE: usize = 70 * (64 << 10) + 777;
const PASSWORD: &str = "k7-otter-lamp";

/// An agent with a page, and a battery that is almost empty.
struct Terminal {
    bench: Bench,
    agent: Child,
    address: String,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.agent.kill());
        self.agent.wait().unwrap();
    }
}

impl Terminal {
    fn new() -> Self {
        let bench = Bench::new();
        bench.drain_battery();
        let (_, night) = night_in_some_hours();
        let power = bench.path("power");
        let power = power.display();
        let more = format!(
            "[policy]\nbattery_percent = 30\n{night}[senses]\npower_supply = \"{power}\"\n"
        );
        Self::with(bench, &more)
    }

    /// With these tables, beside the page's own.
    fn with(bench: Bench, more: &str) -> Self {
        let password = bench.path("password");
        std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        bench.configure(&format!(
            "{more}[page]\nlisten = \"127.0.0.1:0\"\nhosts = [\"router.test\"]\n\
             password_file = \"{}\"\nupload_mib = 16\n",
            password.display()
        ));
        Self::start(bench)
    }

    fn start(bench: Bench) -> Self {
        let mut agent = bench.start_with(&["run"], Stdio::piped());
        let address = said_address(&mut agent);
        while bench.status()["agent_runs"] != true {}
        Self { bench, agent, address }
    }

    /// A person uploads a package, and the terminal restarts.
    fn takes(mut self, package: &std::path::Path) -> Bench {
        let (cookie, token) = self.enter();
        let body = form(package);
        check(&upload(&self, &cookie, &token, body.len(), &body), "303");
        assert_eq!(self.agent.wait().unwrap().code(), Some(100));
        std::mem::replace(&mut self.bench, Bench::new())
    }

    /// Sends bytes and returns what comes back.
    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // The page may answer before it has heard everything.
        drop(stream.write_all(bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str, more: &str) -> String {
        let host = &self.address;
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n").as_bytes())
    }

    fn post(&self, path: &str, more: &str, body: &str) -> String {
        let (host, len) = (&self.address, body.len());
        let kind = "application/x-www-form-urlencoded";
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n\
             Content-Length: {len}\r\n{more}\r\n{body}"
        );
        self.send(head.as_bytes())
    }

    /// A session's cookie line and token.
    fn enter(&self) -> (String, String) {
        let answer = self.post("/login", "", &format!("password={PASSWORD}"));
        let cookie = between(&answer, "set-cookie: ", ";").to_string();
        assert!(answer.contains("HttpOnly; SameSite=Strict"), "{answer}");
        let cookie = format!("Cookie: {cookie}\r\n");
        let home = self.get("/", &cookie);
        (cookie, between(&home, "name=\"token\" value=\"", "\"").to_string())
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).unwrap_or_else(|| panic!("{text}")) + before.len();
    let rest = &text[start..];
    &rest[..rest.find(after).unwrap()]
}

fn said_address(agent: &mut Child) -> String {
    let mut said = String::new();
    let mut err = agent.stderr.take().unwrap();
    let mut byte = [0];
    while !said.ends_with('\n') || !said.contains("the local page is at") {
        assert_eq!(err.read(&mut byte).unwrap(), 1, "{said}");
        said.push(char::from(byte[0]));
    }
    // Whoever writes into a pipe that nobody reads is ended or waits.
    std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()));
    between(&said, "http://", "/").into()
}

#[track_caller]
fn check(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
}

#[test]
fn strangers_and_other_sites_do_nothing() {
    let terminal = Terminal::new();
    let rebound = b"GET /login HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    check(&terminal.send(rebound), "421");
    check(&terminal.send(b"GET /login HTTP/1.1\r\n\r\n"), "421");
    check(&terminal.send(b"GET /login HTTP/1.1\r\nHost: router.test\r\n\r\n"), "200");
    check(&terminal.send(b"\x16\x03\x01\x02\x00\x01\x00"), "400");
    check(&terminal.get("/", ""), "303");
    check(&terminal.get("/status.json", ""), "303");
    check(&terminal.post("/check", "", "token="), "403");
    check(&terminal.post("/login", "", "password=guess"), "403");
    check(&terminal.post("/login", "Origin: http://evil.example\r\n", "password=x"), "403");
    check(&terminal.post("/login", "Origin: null\r\n", "password=x"), "403");
    let (cookie, token) = terminal.enter();
    let home = terminal.get("/", &cookie);
    check(&home, "200");
    let lower = home.to_lowercase();
    for rule in ["default-src 'none'", "x-content-type-options: nosniff", "frame-ancestors 'none'"]
    {
        assert!(lower.contains(rule), "{rule}");
    }
    check(&terminal.post("/check", &cookie, "token=wrong"), "403");
    let evil = format!("{cookie}Origin: http://evil.example\r\n");
    check(&terminal.post("/check", &evil, &format!("token={token}")), "403");
    check(&terminal.post("/check", &cookie, &format!("token={token}")), "303");
    check(&terminal.post("/answer", &cookie, &format!("token={token}&say=now&attempt=0")), "409");
    let mark = terminal.bench.path("state/documents/factory-reset");
    check(&terminal.post("/factory-reset", &cookie, &format!("token={token}&name=other")), "409");
    check(&terminal.post("/factory-reset", &cookie, "token=0&name=bench"), "403");
    assert!(!mark.exists());
    let meant = format!("token={token}&name=bench");
    check(&terminal.post("/factory-reset", &cookie, &meant), "303");
    assert!(mark.exists());
    check(&terminal.post("/logout", &cookie, &format!("token={token}")), "303");
    check(&terminal.post("/check", &cookie, &format!("token={token}")), "403");
    for _ in 0..5 {
        terminal.post("/login", "", "password=guess");
    }
    check(&terminal.post("/login", "", &format!("password={PASSWORD}")), "429");
}

/// A package as a browser sends it.
fn form(package: &std::path::Path) -> Vec<u8> {
    let mut body =
        b"--x\r\nContent-Disposition: form-data; name=\"package\"; filename=\"u\"\r\n\r\n".to_vec();
    body.extend(std::fs::read(package).unwrap());
    body.extend(b"\r\n--x--\r\n");
    body
}

fn upload(terminal: &Terminal, cookie: &str, token: &str, len: usize, body: &[u8]) -> String {
    let mut bytes = format!(
        "POST /upload?token={token} HTTP/1.1\r\nHost: {}\r\n{cookie}Content-Type: \
         multipart/form-data; boundary=x\r\nContent-Length: {len}\r\n\r\n",
        terminal.address
    )
    .into_bytes();
    bytes.extend(body);
    terminal.send(&bytes)
}

#[test]
fn an_upload_that_was_cut_short_is_no_success() {
    let terminal = Terminal::new();
    let (cookie, token) = terminal.enter();
    let package = terminal.bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
    let body = form(&package);
    let nothing_left = || {
        let names = std::fs::read_dir(terminal.bench.path("state")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("upload")));
        assert!(!terminal.bench.path("state/documents/local-order").exists());
    };
    for cut in [body.len() / 2, body.len() - 1, 20] {
        let answer = upload(&terminal, &cookie, &token, body.len(), &body[..cut]);
        check(&answer, "409");
        assert!(answer.contains("cut short"), "{answer}");
        nothing_left();
        // The length lies as well: the package itself has no end.
        check(&upload(&terminal, &cookie, &token, cut, &body[..cut]), "409");
        nothing_left();
    }
    check(&upload(&terminal, &cookie, "wrong", body.len(), &body), "403");
    check(&upload(&terminal, &cookie, &token, 17 << 20, &body), "409");
    nothing_left();
    check(&upload(&terminal, &cookie, &token, body.len(), &body), "303");
    while terminal.bench.status()["why"] != "battery-low" {}
    assert_eq!(terminal.bench.status()["version"], "2.0");
    check(&upload(&terminal, &cookie, &token, body.len(), &body), "409");
}

/// The services of neither release work: the page is still there, and takes one that does.
#[test]
fn it_is_the_way_in_when_both_releases_fail() {
    let bench = Bench::new();
    let works = bench.path("works");
    let more = format!(
        "[[health.checks]]\ncommand = [\"/usr/bin/test\", \"-e\", \"{}\"]\nwithin_seconds = 1\n",
        works.display()
    );
    let second = bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
    let third = bench.package("3.0", Effect::Slot, &image(IMAGE, 2));
    let bench = Terminal::with(bench, &more).takes(&second);
    bench.boot("B", 2);
    assert_eq!(bench.agent(&["run", "--once"]).code, Some(100), "it is left");
    bench.boot("A", 3);
    let terminal = Terminal::start(bench);
    let over =
        |status: serde_json::Value| status["last"]["outcome"] == 210 && status["phase"] == "idle";
    while !over(terminal.bench.status()) {}
    let (cookie, _) = terminal.enter();
    assert!(terminal.get("/", &cookie).contains("Code 210."), "the page says why");
    let bench = terminal.takes(&third);
    bench.boot("B", 4);
    std::fs::write(works, "").unwrap();
    assert_eq!(bench.agent(&["run", "--once"]).code, Some(0));
    assert_eq!(bench.status()["last"]["outcome"], 0);
}

#[test]
fn an_owner_installs_a_package_in_a_browser() {
    let mut terminal = Terminal::new();
    let image = image(IMAGE, 2);
    let package = terminal.bench.package("2.0", Effect::Slot, &image);
    let browser = Browser::start(&terminal.bench.path("browser"));
    browser.open(&format!("http://{}/", terminal.address));
    browser.see("h1", "Software update");
    browser.picture("login");
    browser.type_into("#password", "guess");
    browser.click("button.main");
    browser.see(".note.bad", "not the password");
    browser.type_into("#password", PASSWORD);
    browser.click("button.main");
    browser.see("#head", "Nothing to install");
    browser.see("#runs", "This terminal");
    browser.picture("idle");
    browser.type_into("input[type=file]", package.to_str().unwrap());
    browser.click("#upload button");
    browser.see("#head", "Version 2.0 waits");
    browser.see("#why", "battery has 12 %");
    browser.picture("waiting");
    browser.click("summary");
    browser.picture("choices");
    browser.click("button[value=tonight]");
    browser.see("#update", "The update is started at");
    std::fs::write(terminal.bench.path("power/BAT0/capacity"), "90").unwrap();
    assert_eq!(terminal.bench.agent(&["check"]).code, Some(0));
    browser.see("#why", "The owner chose");
    browser.picture("tonight");
    browser.click("button[value=now]");
    assert_eq!(terminal.agent.wait().unwrap().code(), Some(100));
    assert!(std::fs::read(terminal.bench.path("slot-b")).unwrap().starts_with(&image));
}
