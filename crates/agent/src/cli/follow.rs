//! Shows an update's progress: bars for people, lines of JSON for scripts.

use super::look::Seen;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use types::Report;

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    People,
    Json,
}

impl Form {
    pub(super) fn new(json: bool) -> Self {
        if json { Self::Json } else { Self::People }
    }
}

/// What is shown so far.
pub(super) struct Shown {
    form: Form,
    bar: Option<ProgressBar>,
    last: Option<Point>,
}

/// What is worth a new line.
#[derive(Clone, PartialEq)]
struct Point {
    phase: String,
    done: u64,
    waiting: Option<String>,
}

impl Shown {
    pub(super) fn new(form: Form) -> Self {
        Self { form, bar: None, last: None }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, seen: &Seen) {
        let waiting = seen.waiting.clone().or_else(|| seen.trouble.clone());
        let point = Point { phase: seen.phase.clone(), done: seen.done, waiting };
        if self.last.as_ref() == Some(&point) {
            return;
        }
        match self.form {
            Form::Json => println!(
                "{}",
                json!({
                    "phase": seen.phase, "attempt": seen.attempt, "version": seen.version,
                    "done": seen.done, "total": seen.total, "waiting": point.waiting,
                })
            ),
            Form::People => self.draw(seen, &point),
        }
        self.last = Some(point);
    }

    fn draw(&mut self, seen: &Seen, point: &Point) {
        let bar = self.bar.get_or_insert_with(bar);
        bar.set_length(seen.total);
        bar.set_position(seen.done);
        let why = point.waiting.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        bar.set_message(format!("{}{why}", seen.phase));
    }

    /// Says how it ended.
    pub(super) fn end(&mut self, report: &Report) {
        self.clear();
        match self.form {
            Form::Json => println!("{}", json!({ "report": report })),
            Form::People => println!("{}", sentence(report)),
        }
    }

    /// Says that the terminal restarts.
    pub(super) fn restarts(&mut self) {
        self.clear();
        match self.form {
            Form::Json => println!("{}", json!({ "phase": "rebooting", "restart": true })),
            Form::People => println!(
                "the terminal restarts into the new release; `refit-agent status --why` tells \
                 afterwards whether it stayed"
            ),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{msg:>12} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A report as a sentence.
fn sentence(report: &Report) -> String {
    let version = report.version.as_ref().map_or("the update", |version| version.as_str());
    let (outcome, detail) = (report.outcome, report.detail.as_str());
    let detail = match detail {
        "" => String::new(),
        detail if detail == outcome.sentence() => String::new(),
        detail => format!(": {detail}"),
    };
    format!("{version}: {} ({}){detail}", outcome.sentence(), outcome.code())
}
