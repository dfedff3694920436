//! Which request does what. Everything but the way in needs a session, and everything
//! that changes something its token.

use super::html::{self, Message, Seen, View};
use super::request::{Answer, Form, Method, Refused, Request};
use super::session::{COOKIE, Denied, same};
use super::{Page, upload};
use crate::edges::Store;
use crate::outbox::Outbox;
use crate::owner::{self, Word};
use crate::platform::clock::{self, Call};
use crate::platform::reset;
use crate::sources::local::{self, LocalOrder};
use crate::switches::Switches;
use engine::policy::consent::{Answer as Said, Ask};
use std::io::Read;
use std::net::TcpStream;
use types::AttemptId;

/// The style sheet.
const CSS: &str = include_str!("page.css");
/// The script: progress and nothing else.
const JS: &str = include_str!("page.js");

type Answered = Result<Answer, Refused>;

/// Answers one request.
pub(super) fn route(page: &Page, request: Request, stream: &mut TcpStream) -> Answered {
    let of_page = |kind, text: &str| Answer::new("200 OK", kind, text.into());
    match (request.method, request.path.as_str()) {
        (Method::Get, "/page.css") => return Ok(of_page("text/css; charset=utf-8", CSS)),
        (Method::Get, "/page.js") => return Ok(of_page("text/javascript; charset=utf-8", JS)),
        (Method::Get, "/login") => return Ok(Answer::page(html::login(&page.setup.device, None))),
        (Method::Post, "/login") => return enter(page, request, stream),
        _ => {}
    }
    let Some(token) = page.sessions().token(request.cookie.as_deref()) else {
        return Ok(match request.method {
            Method::Get => Answer::see("/login"),
            Method::Post => Answer::plain("403 Forbidden", "sign in first"),
        });
    };
    match (request.method, request.path.as_str()) {
        (Method::Get, "/") => Ok(home(page, &token, Message::of(&request.query))),
        (Method::Get, "/status.json") => Ok(status(page)),
        (Method::Post, "/upload") => Ok(take(page, request, stream, &token)),
        (Method::Post, _) => act(page, request, stream, &token),
        (Method::Get, _) => Ok(Answer::plain("404 Not Found", "there is no such page")),
    }
}

fn enter(page: &Page, mut request: Request, stream: &mut TcpStream) -> Answered {
    let form = request.form(stream)?;
    let denied = match page.sessions().enter(form.get("password")) {
        Ok(cookie) => {
            let cookie = format!("{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/");
            return Ok(Answer::see("/").with("set-cookie", cookie));
        }
        Err(denied) => denied,
    };
    let (status, why) = match denied {
        Denied::Wrong => ("403 Forbidden", "This is not the password of this terminal."),
        Denied::Wait => {
            ("429 Too Many Requests", "Too many wrong passwords. Try again in half a minute.")
        }
        Denied::Random => ("503 Service Unavailable", "The terminal is not ready yet."),
    };
    let html = html::login(&page.setup.device, Some(why));
    Ok(Answer { status, ..Answer::page(html) })
}

/// What the agent said last.
fn seen(page: &Page) -> Option<Seen> {
    let json = std::fs::read(&page.setup.status).ok()?;
    serde_json::from_slice(&json).ok()
}

fn read<T: serde::de::DeserializeOwned + Default>(page: &Page, name: &str) -> T {
    let bytes = page.setup.store.read(name).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn ask(page: &Page, attempt: Option<AttemptId>) -> Ask {
    let ask = attempt.and_then(|attempt| owner::ask(&page.setup.store, attempt).ok());
    ask.unwrap_or_default()
}

fn home(page: &Page, token: &str, message: Option<Message>) -> Answer {
    let seen = seen(page);
    let outbox: Outbox = read(page, Outbox::NAME);
    let ask = ask(page, seen.as_ref().and_then(|seen| seen.attempt));
    let view = View {
        device: &page.setup.device,
        rules: &page.setup.rules,
        seen: seen.as_ref(),
        switches: read(page, Switches::NAME),
        ask,
        reports: outbox.all().collect(),
        token,
        message,
        now: clock::wall(page.setup.floor),
    };
    Answer::page(html::home(&view))
}

fn status(page: &Page) -> Answer {
    match std::fs::read(&page.setup.status) {
        Ok(json) => Answer::new("200 OK", "application/json", json),
        Err(_) => Answer::plain("503 Service Unavailable", "the agent has not said anything yet"),
    }
}

/// Everything that a form asks for.
fn act(page: &Page, mut request: Request, stream: &mut TcpStream, token: &str) -> Answered {
    let form = request.form(stream)?;
    if !same(form.get("token"), token) {
        return Ok(Answer::plain("403 Forbidden", "this form is not from this session"));
    }
    let done = match request.path.as_str() {
        "/check" => call(page, Call::Ask).map(|()| Message::Checked),
        "/answer" => say(page, &form),
        "/pause" => change(page, |switches| switches.paused = form.get("to") == "on"),
        "/automatic" => change(page, |switches| {
            switches.automatic_check = form.get("check") == "on";
            switches.automatic_install = form.get("install") == "on";
        }),
        "/factory-reset" => mark(page, form.get("name")),
        "/logout" => {
            page.sessions().leave(request.cookie.as_deref());
            return Ok(Answer::see("/login"));
        }
        _ => return Ok(Answer::plain("404 Not Found", "there is no such page")),
    };
    Ok(finish(page, token, done))
}

fn finish(page: &Page, token: &str, done: Result<Message, String>) -> Answer {
    match done {
        Ok(message) => Answer::see(message.path()),
        Err(why) => {
            let page = home(page, token, Some(Message::Failed(why)));
            Answer { status: "409 Conflict", ..page }
        }
    }
}

fn call(page: &Page, what: Call) -> Result<(), String> {
    clock::call(&page.setup.wake, what).map_err(|e| format!("The agent cannot be called: {e}."))
}

fn change(page: &Page, change: impl FnOnce(&mut Switches)) -> Result<Message, String> {
    keep(page, change)?;
    call(page, Call::Look)?;
    Ok(Message::Saved)
}

fn keep(page: &Page, change: impl FnOnce(&mut Switches)) -> Result<(), String> {
    let kept = page.setup.store.clone().change(Switches::NAME, change);
    kept.map_err(|e| format!("This cannot be kept: {e}."))
}

/// Who means a reset types the terminal's name.
fn mark(page: &Page, name: &str) -> Result<Message, String> {
    if name.trim() != page.setup.device.as_str() {
        return Err("This is not the name of this terminal.".into());
    }
    let marked = reset::mark(&mut page.setup.store.clone());
    marked.map(|()| Message::Marked).map_err(|e| format!("This cannot be kept: {e}."))
}

/// The owner's answer to the attempt that the form was made for.
fn say(page: &Page, form: &Form) -> Result<Message, String> {
    let over = || "This update is over, or activated already.".to_string();
    let attempt: AttemptId = form.get("attempt").parse().map_err(|_| over())?;
    let current = seen(page).filter(|seen| seen.attempt == Some(attempt));
    if !current.is_some_and(|seen| seen.can_be_answered()) {
        return Err(over());
    }
    let rules = &page.setup.rules;
    let words = match form.get("say") {
        "at" => form.get("at").to_string(),
        "postpone" => format!("postpone {}", form.get("hours")),
        other => other.to_string(),
    };
    let word = Word::read(&words, rules).map_err(|e| sentence(&e.to_string()))?;
    let now = clock::wall(page.setup.floor);
    let answer = word.answer(rules, &ask(page, Some(attempt)), now);
    let answer = answer.map_err(|e| sentence(&e.to_string()))?;
    change(page, |switches| switches.say(attempt, answer))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// An uploaded package becomes an order, as `install FILE` leaves one.
fn take(page: &Page, mut request: Request, stream: &mut TcpStream, token: &str) -> Answer {
    let form = Form::read(request.query.as_bytes()).unwrap_or_default();
    if !same(form.get("token"), token) {
        return Answer::plain("403 Forbidden", "this form is not from this session");
    }
    let done = receive(page, &mut request, stream);
    finish(page, token, done)
}

fn receive(page: &Page, request: &mut Request, stream: &mut TcpStream) -> Result<Message, String> {
    let setup = &page.setup;
    let length = request.length.ok_or("The browser did not say how long the file is.")?;
    if length > setup.upload_limit {
        return Err(format!("The file is larger than {} MiB.", setup.upload_limit >> 20));
    }
    let idle = || seen(page).is_some_and(|seen| seen.phase == "idle");
    if !idle() {
        return Err("Another update is in progress.".into());
    }
    let mut body = request.early.as_slice().chain(stream);
    upload::take(&request.content_type, length, &mut body, &setup.upload)
        .map_err(|e| sentence(&e.to_string()))?;
    if !idle() {
        return Err("Another update began meanwhile.".into());
    }
    let path = setup.upload.to_str().ok_or("The terminal's own paths are no text.")?;
    let now = clock::wall(setup.floor).0;
    let attempt = AttemptId::new(&format!("page {path} {now}"), &setup.device, 0);
    // Who uploads a package agrees to it.
    keep(page, |switches| switches.say(attempt, Said::Yes))?;
    let order = serde_json::to_vec(&LocalOrder { attempt, path: path.into() });
    let left = order.map_err(std::io::Error::other);
    let left = left.and_then(|order| setup.store.clone().replace(local::NAME, &order));
    left.map_err(|e| format!("The order cannot be kept: {e}."))?;
    call(page, Call::Ask)?;
    Ok(Message::Uploaded)
}
