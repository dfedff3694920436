//! Which request does what. Everything but the way in needs a session, and everything
//! that changes something its token.

use super::html::{self, Message, View};
use super::request::{Answer, Form, Method, Refused, Request};
use super::session::{COOKIE, Denied, same};
use super::{Page, upload};
use crate::desk::DeskError;
use crate::edges::Store;
use crate::outbox::Outbox;
use crate::platform::clock::Call;
use crate::platform::reset;
use crate::sources::local::{self, LocalOrder};
use crate::switches::Switches;
use engine::policy::consent::Answer as Said;
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
        (Method::Get, "/login") => {
            return Ok(Answer::page(html::login(&page.setup.desk.device, None)));
        }
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
            page.setup.pulse.mend();
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
    let html = html::login(&page.setup.desk.device, Some(why));
    Ok(Answer { status, ..Answer::page(html) })
}

fn home(page: &Page, token: &str, message: Option<Message>) -> Answer {
    let desk = &page.setup.desk;
    let seen = desk.seen();
    let outbox: Outbox = desk.read(Outbox::NAME);
    let ask = desk.ask(seen.as_ref().and_then(|seen| seen.attempt));
    let view = View {
        device: &desk.device,
        rules: &desk.rules,
        seen: seen.as_ref(),
        switches: desk.read(Switches::NAME),
        ask,
        reports: outbox.all().collect(),
        token,
        message,
        now: desk.now(),
    };
    Answer::page(html::home(&view))
}

fn status(page: &Page) -> Answer {
    match std::fs::read(&page.setup.desk.status) {
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
    let desk = &page.setup.desk;
    // A script that looks for news is nobody who mends.
    page.setup.pulse.mend();
    let on = |name: &str| form.get(name) == "on";
    let done = match request.path.as_str() {
        "/check" => done(desk.call(Call::Ask), Message::Checked),
        "/answer" => say(page, &form),
        "/pause" => done(desk.change(|s| s.paused = on("to")), Message::Saved),
        "/automatic" => {
            let (check, install) = (on("check"), on("install"));
            let changed = desk.change(|switches| {
                (switches.automatic_check, switches.automatic_install) = (check, install);
            });
            done(changed, Message::Saved)
        }
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

/// What was kept or called, as the page says it.
fn done<T>(done: Result<T, DeskError>, message: Message) -> Result<Message, String> {
    done.map(|_| message).map_err(|e| sentence(&e.to_string()))
}

/// Who means a reset types the terminal's name.
fn mark(page: &Page, name: &str) -> Result<Message, String> {
    if name.trim() != page.setup.desk.device.as_str() {
        return Err("This is not the name of this terminal.".into());
    }
    let marked = reset::mark(&mut page.setup.desk.store.clone());
    marked.map(|()| Message::Marked).map_err(|e| format!("This cannot be kept: {e}."))
}

/// The owner's answer to the attempt that the form was made for.
fn say(page: &Page, form: &Form) -> Result<Message, String> {
    let words = match form.get("say") {
        "at" => form.get("at").to_string(),
        "postpone" => format!("postpone {}", form.get("hours")),
        other => other.to_string(),
    };
    let attempt = form.get("attempt").parse().map_err(|_| DeskError::Over);
    let said = attempt.and_then(|attempt| page.setup.desk.say(attempt, &words));
    done(said, Message::Saved)
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
    page.setup.pulse.mend();
    let done = receive(page, &mut request, stream);
    finish(page, token, done)
}

fn receive(page: &Page, request: &mut Request, stream: &mut TcpStream) -> Result<Message, String> {
    let setup = &page.setup;
    let desk = &setup.desk;
    let length = request.length.ok_or("The browser did not say how long the file is.")?;
    if length > setup.upload_limit {
        return Err(format!("The file is larger than {} MiB.", setup.upload_limit >> 20));
    }
    let idle = || desk.seen().is_some_and(|seen| seen.phase == "idle");
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
    let attempt = AttemptId::new(&format!("page {path} {}", desk.now().0), &desk.device, 0);
    // Who uploads a package agrees to it.
    let kept = desk.keep(|switches| switches.say(attempt, Said::Yes));
    kept.map_err(|e| sentence(&e.to_string()))?;
    let order = serde_json::to_vec(&LocalOrder { attempt, path: path.into() });
    let left = order.map_err(std::io::Error::other);
    let left = left.and_then(|order| desk.store.clone().replace(local::NAME, &order));
    left.map_err(|e| format!("The order cannot be kept: {e}."))?;
    done(desk.call(Call::Ask), Message::Uploaded)
}
