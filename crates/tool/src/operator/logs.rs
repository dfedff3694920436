//! `refit logs`: what terminals told of their attempts, searched.

use super::access::Access;
use super::client::{Client, escaped};
use super::show::json;
use protocols::native::LogLine;
use protocols::operator::{LogList, LogView};
use types::{AttemptId, DeviceId, Name, Version};

/// Finds what terminals told of their attempts, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// In this rollout only
    #[arg(long)]
    rollout: Option<Name>,
    /// Of this terminal only
    #[arg(long)]
    device: Option<DeviceId>,
    /// Of this attempt only
    #[arg(long)]
    attempt: Option<AttemptId>,
    /// Of this version only
    #[arg(long)]
    release: Option<Version>,
    /// With the outcome of this number only
    #[arg(long)]
    outcome: Option<u16>,
    /// That hold this text only, in small or capital letters
    #[arg(long)]
    text: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print them as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

const EXAMPLES: &str = "\
Examples:
  refit logs --rollout spring --text 'no space'
  refit logs --release 2.0 --outcome 210
  refit logs --device cpe-1 --json";

impl Args {
    /// The question for up to `limit` logs behind `after`.
    fn query(&self, after: Option<&str>, limit: usize) -> String {
        fn text<T: ToString>(value: Option<&T>) -> Option<String> {
            value.map(T::to_string)
        }
        let parts = [
            ("limit", Some(limit.to_string())),
            ("after", after.map(str::to_owned)),
            ("rollout", text(self.rollout.as_ref())),
            ("device", text(self.device.as_ref())),
            ("attempt", text(self.attempt.as_ref())),
            ("release", text(self.release.as_ref())),
            ("outcome", text(self.outcome.as_ref())),
            ("text", self.text.clone()),
        ];
        let parts = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let parts = parts.map(|(name, value)| format!("{name}={}", escaped(&value)));
        parts.collect::<Vec<_>>().join("&")
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (mut logs, mut after): (Vec<LogView>, _) = (Vec::new(), None);
    loop {
        let left = most.saturating_sub(logs.len());
        let path = format!("/api/v1/logs?{}", args.query(after.as_deref(), left));
        let found: LogList = client.get(&path)?;
        logs.extend(found.logs);
        after = found.next;
        if after.is_none() || logs.len() >= most {
            break;
        }
    }
    if args.json {
        return json(&LogList { logs, next: after });
    }
    for log in &logs {
        print!("{}", people(log, args.text.as_deref()));
    }
    match (logs.is_empty(), after) {
        (true, _) => println!("there is no such log"),
        (false, Some(_)) => println!("there may be more: --limit shows them"),
        (false, None) => {}
    }
    Ok(())
}

/// A log with a head, its lines indented, those that hold `text` marked.
fn people(log: &LogView, text: Option<&str>) -> String {
    let name = |name: &Option<Name>| name.as_ref().map_or("-".into(), ToString::to_string);
    let mut out = format!(
        "{} {} rollout {} version {} attempt {}: {} ({})\n",
        log.received,
        log.device,
        name(&log.rollout),
        name(&log.version),
        log.attempt,
        log.sentence,
        log.outcome,
    );
    let holds = |line: &LogLine| {
        let words = line.text.as_str().to_lowercase();
        text.is_some_and(|text| words.contains(&text.to_lowercase()))
    };
    for line in &log.lines {
        let mark = if holds(line) { ">" } else { " " };
        out += &format!(" {mark}{}\n", shown(line));
    }
    out
}

/// A line as people see it. Nothing in it can do anything to their screen: what came
/// from the wire was made harmless when it was read.
pub(super) fn shown(line: &LogLine) -> String {
    let at = line.at.map_or_else(String::new, |at| format!("{at} "));
    format!("  {at}{}: {}", line.phase, line.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        logs: Args,
    }

    #[test]
    fn what_is_typed_is_asked_for() {
        let words = ["logs", "--rollout", "spring", "--text", "no space", "--outcome", "206"];
        let typed = Typed::try_parse_from(words).unwrap().logs;
        let asked = "limit=20&rollout=spring&outcome=206&text=no%20space";
        assert_eq!(typed.query(None, 20), asked);
        assert!(typed.query(Some("1/a/b"), 5).starts_with("limit=5&after=1%2Fa%2Fb&"));
        assert!(Typed::try_parse_from(["logs", "--limit", "0"]).is_err());
    }

    #[test]
    fn a_hostile_log_stays_in_its_lines() {
        let wire = r#"{"received":"2030-01-01T00:00:00Z","device":"cpe-1",
            "attempt":"00112233445566778899aabbccddeeff","outcome":206,"sentence":"full",
            "lines":[{"phase":"downloading","text":"NO SPACE\u001b[2J\nroot# rm"},
            {"phase":"idle","text":"\u202egnp.exe"}]}"#;
        let log: LogView = serde_json::from_str(wire).unwrap();
        let shown = people(&log, Some("no space"));
        assert_eq!(shown.lines().count(), 3);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(
            shown.contains("\n >  downloading: NO SPACE\u{fffd}[2J\u{fffd}root# rm\n"),
            "{shown}"
        );
        assert!(!shown.contains('\u{202e}'));
    }
}
