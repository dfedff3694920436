//! What a browser shows. Every text is escaped; nothing here is inline script or style.

use crate::owner::Meaning;
use crate::status::Status;
use crate::switches::Switches;
use engine::policy::consent::{Answer, Ask, Class, deadline, may_decline, may_postpone};
use engine::policy::rules::Rules;
use std::fmt::Write as _;
use types::{DeviceId, Kind, Report, Timestamp};

/// What was done, to be said once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The sources are asked.
    Checked,
    /// It is kept.
    Saved,
    /// The package arrived.
    Uploaded,
    /// The terminal is marked for a reset.
    Marked,
    /// Nothing was done.
    Failed(String),
}

impl Message {
    /// The message that an address names.
    pub(super) fn of(query: &str) -> Option<Self> {
        match query {
            "checked" => Some(Self::Checked),
            "saved" => Some(Self::Saved),
            "uploaded" => Some(Self::Uploaded),
            "marked" => Some(Self::Marked),
            _ => None,
        }
    }

    /// Where it is said.
    pub(super) fn path(&self) -> &'static str {
        match self {
            Self::Checked => "/?checked",
            Self::Saved => "/?saved",
            Self::Uploaded => "/?uploaded",
            Self::Marked => "/?marked",
            Self::Failed(_) => "/",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Checked => "The update service is being asked now.",
            Self::Saved => "Saved.",
            Self::Uploaded => "The package arrived whole. The terminal looks at it now.",
            Self::Marked => "The terminal is reset when it starts the next time.",
            Self::Failed(why) => why,
        }
    }
}

/// Everything that the page shows.
pub(super) struct View<'a> {
    pub(super) device: &'a DeviceId,
    pub(super) rules: &'a Rules,
    pub(super) seen: Option<&'a Status>,
    pub(super) switches: Switches,
    pub(super) ask: Ask,
    pub(super) reports: Vec<&'a Report>,
    pub(super) token: &'a str,
    pub(super) message: Option<Message>,
    pub(super) now: Timestamp,
}

/// A text inside an element or an attribute.
fn e(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n\
         <script src=\"/page.js\" defer></script>\n</head>\n<body>\n{body}</body>\n</html>\n",
        e(title)
    )
}

/// The way in.
pub(super) fn login(device: &DeviceId, why: Option<&str>) -> String {
    let why = why.map(|why| format!("<p class=\"bad note\" role=\"alert\">{}</p>\n", e(why)));
    let body = format!(
        "<main class=\"narrow\">\n<h1>Software update</h1>\n<p class=\"quiet\">{}</p>\n{}\
         <form method=\"post\" action=\"/login\" class=\"card\">\n\
         <label for=\"password\">Password of this terminal</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" required autofocus \
         autocomplete=\"current-password\" aria-describedby=\"where\">\n\
         <p id=\"where\" class=\"quiet\">It is printed on the terminal's label.</p>\n\
         <button class=\"main\">Sign in</button>\n</form>\n</main>\n",
        e(device.as_str()),
        why.unwrap_or_default()
    );
    frame("Sign in", &body)
}

/// The page.
pub(super) fn home(view: &View<'_>) -> String {
    let mut body = format!(
        "<header>\n<div><h1>Software update</h1>\n<p class=\"quiet\">{}</p></div>\n{}</header>\n\
         <main>\n",
        e(view.device.as_str()),
        form(view, "/logout", "", "<button class=\"plain\">Sign out</button>")
    );
    if let Some(message) = &view.message {
        let (class, role) = match message {
            Message::Failed(_) => ("bad note", "alert"),
            _ => ("good note", "status"),
        };
        let _ = writeln!(body, "<p class=\"{class}\" role=\"{role}\">{}</p>", e(message.text()));
    }
    match view.seen {
        None => body.push_str(
            "<section class=\"card\"><h2>Starting</h2><p>The update service has not said \
             anything yet. Load this page again in a moment.</p></section>\n",
        ),
        Some(seen) => {
            body.push_str(&headline(view, seen));
            body.push_str(&runs(seen));
        }
    }
    body.push_str(&checks(view));
    body.push_str(&file(view));
    body.push_str(&log(view));
    body.push_str(&reset(view));
    body.push_str("</main>\n");
    frame("Software update", &body)
}

fn form(view: &View<'_>, action: &str, more: &str, inside: &str) -> String {
    let token = e(view.token);
    format!(
        "<form method=\"post\" action=\"{action}\"{more}><input type=\"hidden\" name=\"token\" \
         value=\"{token}\">{inside}</form>\n"
    )
}

/// What a phase is called by people.
fn doing(phase: &str) -> &'static str {
    match phase {
        "inspecting" => "Looking at the update",
        "downloading" => "Getting",
        "verifying" => "Ready to start",
        "applying" => "Starting",
        "rebooting" => "Restarting into",
        "confirming" => "Testing",
        "rollback" => "Returning from",
        "reporting" => "Finishing",
        _ => "Working on",
    }
}

fn headline(view: &View<'_>, seen: &Status) -> String {
    if seen.phase == "idle" {
        return idle(view, seen);
    }
    let version = seen.version.as_ref().map_or("", |version| version.as_str());
    let title = match (&seen.waiting, view.ask.answer) {
        (Some(_), Answer::None) if seen.can_be_answered() && !version.is_empty() => {
            format!("Version {version} is available")
        }
        (Some(_), _) if seen.can_be_answered() && !version.is_empty() => {
            format!("Version {version} waits")
        }
        _ if version.is_empty() => doing(&seen.phase).into(),
        _ => format!("{} version {version}", doing(&seen.phase)),
    };
    let mut out = format!(
        "<section class=\"card hero\" id=\"update\" data-phase=\"{}\" aria-labelledby=\"head\">\n\
         <h2 id=\"head\">{}</h2>\n",
        e(&seen.phase),
        e(&title)
    );
    out.push_str(&about(view, seen));
    if let Some(share) = (seen.done.min(seen.total) * 100).checked_div(seen.total) {
        let _ = writeln!(
            out,
            "<label class=\"bar\"><span id=\"share\">{share} %</span>\
             <progress id=\"progress\" max=\"100\" value=\"{share}\">{share} %</progress></label>"
        );
    }
    let waiting = seen.waiting.as_ref().or(seen.trouble.as_ref());
    let waiting = waiting.map(|why| e(&sentence(why))).unwrap_or_default();
    let _ = writeln!(out, "<p class=\"why\" id=\"why\" aria-live=\"polite\">{waiting}</p>");
    if seen.can_be_answered() {
        out.push_str(&answers(view, seen));
    }
    out.push_str("</section>\n");
    out
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().replace('`', "\u{201d}"))
}

fn idle(view: &View<'_>, seen: &Status) -> String {
    let last = view.reports.last();
    let failed = last.is_some_and(|report| report.outcome.kind() != Kind::Done);
    let (class, title) = match (view.switches.paused, failed) {
        (true, _) => ("warn", "Updates are paused"),
        (false, true) => ("warn", "The last update was not installed"),
        (false, false) => ("good", "Nothing to install"),
    };
    let mut out = format!(
        "<section class=\"card hero {class}\" id=\"update\" data-phase=\"idle\" \
         aria-labelledby=\"head\">\n<h2 id=\"head\">{title}</h2>\n"
    );
    if let Some(report) = last.filter(|_| failed) {
        let _ = writeln!(out, "<p>{}</p>", e(&told(report)));
    }
    for why in [&seen.trouble, &seen.rule].into_iter().flatten() {
        let _ = writeln!(out, "<p class=\"why\">{}</p>", e(&sentence(why)));
    }
    out.push_str("</section>\n");
    out
}

fn about(view: &View<'_>, seen: &Status) -> String {
    let Some(offered) = &seen.offered else { return String::new() };
    let kind = match view.ask.class {
        Class::Security => "<span class=\"tag bad\">Security update</span>",
        Class::Feature => "<span class=\"tag\">New features</span>",
    };
    let size = format!("{:.1} MiB", offered.bytes as f64 / f64::from(1 << 20));
    let mut out = format!("<p class=\"tags\">{kind} <span class=\"tag\">{size}</span></p>\n");
    if let Some(notes) = &offered.notes {
        let _ = writeln!(out, "<p class=\"notes\">{}</p>", e(notes));
    }
    if let Some(end) = deadline(view.rules, &view.ask).filter(|end| view.now < *end) {
        let end = view.rules.zone.show(end);
        let _ = writeln!(out, "<p class=\"quiet\">It can be put off until {}.</p>", e(&end));
    }
    if view.ask.answer != Answer::None {
        let meaning = sentence(&Meaning(view.ask.answer, view.rules).to_string());
        let _ = writeln!(out, "<p>Your answer: {}</p>", e(&meaning));
    }
    out
}

/// The buttons.
fn answers(view: &View<'_>, seen: &Status) -> String {
    let attempt = seen.attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
    let field = format!("<input type=\"hidden\" name=\"attempt\" value=\"{}\">", e(&attempt));
    let say = |word: &str, class: &str, label: &str| {
        let inside = format!(
            "{field}<button class=\"{class}\" name=\"say\" value=\"{word}\">{label}</button>"
        );
        form(view, "/answer", "", &inside)
    };
    let mut out = String::from("<div class=\"row\">\n");
    out.push_str(&say("now", "main", "Install now"));
    out.push_str(&say("soon", "", "At a good time"));
    out.push_str(&say("tonight", "", "Tonight"));
    out.push_str("</div>\n<details><summary>Other times</summary>\n<div class=\"row\">\n");
    let local = view.rules.zone.show(view.now).replace(' ', "T");
    let at = format!(
        "{field}<label>At <input type=\"datetime-local\" name=\"at\" required min=\"{local}\" \
         value=\"{local}\"></label> <button name=\"say\" value=\"at\">Install then</button>"
    );
    out.push_str(&form(view, "/answer", " class=\"line\"", &at));
    if may_postpone(view.rules, &view.ask, view.now) {
        let later = format!(
            "{field}<label>Put off for <select name=\"hours\"><option value=\"4\">4 hours</option>\
             <option value=\"24\" selected>a day</option><option value=\"72\">three days</option>\
             </select></label> <button name=\"say\" value=\"postpone\">Put off</button>"
        );
        out.push_str(&form(view, "/answer", " class=\"line\"", &later));
    }
    if may_decline(view.rules, &view.ask) {
        out.push_str(&say("decline", "danger", "Do not install this version"));
    }
    out.push_str("</div>\n</details>\n");
    out
}

fn runs(seen: &Status) -> String {
    let mut out = String::from(
        "<section class=\"card\" aria-labelledby=\"runs\"><h2 id=\"runs\">This terminal</h2>\n<dl>\n",
    );
    let _ = writeln!(out, "<dt>Product</dt><dd>{}</dd>", e(seen.product.as_str()));
    for (component, state) in &seen.running {
        let _ = writeln!(
            out,
            "<dt>{}</dt><dd>{}</dd>",
            e(component.as_str()),
            e(state.version.as_str())
        );
    }
    let _ = writeln!(out, "<dt>Runs from</dt><dd>slot {}</dd>\n</dl></section>", seen.slot);
    out
}

fn checks(view: &View<'_>) -> String {
    let on = |on: bool| if on { " checked" } else { "" };
    let switches = format!(
        "<label class=\"check\"><input type=\"checkbox\" name=\"check\" value=\"on\"{}> \
         Look for updates by itself</label>\n<label class=\"check\"><input type=\"checkbox\" \
         name=\"install\" value=\"on\"{}> Install them without asking</label>\n\
         <button>Save</button>",
        on(view.switches.automatic_check),
        on(view.switches.automatic_install)
    );
    let (to, label) = if view.switches.paused { ("off", "Resume") } else { ("on", "Pause") };
    let pause = format!(
        "<input type=\"hidden\" name=\"to\" value=\"{to}\"><button>{label} all updates</button>"
    );
    format!(
        "<section class=\"card\" aria-labelledby=\"look\"><h2 id=\"look\">Looking for updates</h2>\n\
         <div class=\"row\">{}{}</div>\n{}</section>\n",
        form(view, "/check", "", "<button class=\"main\">Look now</button>"),
        form(view, "/pause", "", &pause),
        form(view, "/automatic", " class=\"stack\"", &switches)
    )
}

fn file(view: &View<'_>) -> String {
    format!(
        "<section class=\"card\" aria-labelledby=\"file\"><h2 id=\"file\">Install from a file</h2>\n\
         <p class=\"quiet\">A package from the maker, usually called update.zip. It is checked \
         before anything is changed.</p>\n\
         <form method=\"post\" action=\"/upload?token={}\" enctype=\"multipart/form-data\" \
         id=\"upload\" class=\"stack\">\n<label>Package <input type=\"file\" name=\"package\" \
         accept=\".zip\" required></label>\n<progress id=\"sent\" max=\"100\" value=\"0\" hidden \
         aria-label=\"Sent\"></progress>\n<p id=\"sending\" aria-live=\"polite\" hidden></p>\n\
         <button>Upload and install</button>\n</form></section>\n",
        e(view.token)
    )
}

/// What an owner set up goes, once they typed the terminal's name.
fn reset(view: &View<'_>) -> String {
    let name = e(view.device.as_str());
    let inside = format!(
        "<label for=\"name\">Type <code>{name}</code> to say that you mean it</label>\n\
         <input id=\"name\" name=\"name\" required autocomplete=\"off\">\n\
         <button>Reset at the next start</button>"
    );
    format!(
        "<section class=\"card\"><h2>Factory reset</h2>\n<p class=\"quiet\">Everything that \
         was set up on this terminal is lost. Its software stays as it is.</p>\n{}</section>\n",
        form(view, "/factory-reset", "", &inside)
    )
}

fn log(view: &View<'_>) -> String {
    let mut out = String::from(
        "<section class=\"card\" aria-labelledby=\"log\"><h2 id=\"log\">What happened</h2>\n",
    );
    if view.reports.is_empty() {
        out.push_str("<p class=\"quiet\">No update was tried yet.</p></section>\n");
        return out;
    }
    out.push_str("<ol class=\"log\" reversed>\n");
    for report in view.reports.iter().rev() {
        let class = if report.outcome.kind() == Kind::Done { "good" } else { "warn" };
        let _ = writeln!(out, "<li class=\"{class}\">{}</li>", e(&told(report)));
    }
    out.push_str("</ol></section>\n");
    out
}

/// A report as a sentence.
fn told(report: &Report) -> String {
    let version = report.version.as_ref().map_or("An update", |version| version.as_str());
    let outcome = report.outcome.sentence();
    let detail = Some(report.detail.as_str()).filter(|d| !d.is_empty() && *d != outcome);
    let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{version}: {outcome}{detail}. Code {}.", report.outcome.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "<script>alert('x')</script>\"&";
        assert_eq!(e(hostile), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;");
        let seen: Status = serde_json::from_value(serde_json::json!({
            "device": "d", "product": "router", "slot": "A", "running": {}, "phase": "downloading",
            "attempt": null, "version": "2.0", "done": 1, "total": 2, "waiting": hostile,
            "trouble": null, "rule": hostile, "offered": {"bytes": 1, "notes": hostile},
            "why": null, "undelivered": 0, "last": null, "switches": Switches::default(),
            "log": crate::log::Log::default(),
        }))
        .unwrap();
        let device: DeviceId = "d".parse().unwrap();
        let view = View {
            device: &device,
            rules: &Rules::default(),
            seen: Some(&seen),
            switches: Switches::default(),
            ask: Ask::default(),
            reports: Vec::new(),
            token: hostile,
            message: Some(Message::Failed(hostile.into())),
            now: Timestamp(0),
        };
        let html = home(&view);
        assert!(!html.contains("<script>alert") && html.contains("&lt;script&gt;"), "{html}");
        assert!(!html.contains("style=") && !html.contains("onclick"), "{html}");
    }
}
