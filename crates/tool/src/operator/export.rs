//! `refit export`: reports and logs for other programs, page after page.

use super::access::Access;
use super::client::{Client, escaped};
use std::io::Write as _;
use types::Name;

/// Writes the reports of terminals, first received first, or their logs, newest first,
/// to standard output
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is written
    #[arg(value_enum, default_value_t = What::Reports)]
    what: What,
    /// One JSON object a line, or CSV
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Of this rollout only
    #[arg(long)]
    rollout: Option<Name>,
    /// With the outcome of this number only
    #[arg(long)]
    outcome: Option<u16>,
    /// Whose detail, or log, holds this text only
    #[arg(long)]
    text: Option<String>,
    #[command(flatten)]
    access: Access,
}

/// What there is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// How attempts ended.
    Reports,
    /// What terminals told of them.
    Logs,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One JSON object a line.
    Jsonl,
    /// RFC 4180.
    Csv,
}

impl Args {
    /// The query of the page behind `after`.
    fn query(&self, after: Option<&str>) -> String {
        let format = if self.format == Format::Csv { "csv" } else { "jsonl" };
        let parts = [
            Some(("format", format.to_owned())),
            after.map(|after| ("after", after.to_owned())),
            self.rollout.as_ref().map(|rollout| ("rollout", rollout.to_string())),
            self.outcome.map(|outcome| ("outcome", outcome.to_string())),
            self.text.clone().map(|text| ("text", text)),
        ];
        let parts = parts.into_iter().flatten();
        parts
            .map(|(name, value)| format!("{name}={}", escaped(&value)))
            .collect::<Vec<_>>()
            .join("&")
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let mut out = std::io::stdout().lock();
    let mut after = None;
    loop {
        let what = if args.what == What::Logs { "logs" } else { "reports" };
        let path = format!("/api/v1/export/{what}?{}", args.query(after.as_deref()));
        let (page, next) = client.page(&path)?;
        out.write_all(&page)?;
        after = next;
        if after.is_none() {
            return Ok(out.flush()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        export: Args,
    }

    #[test]
    fn what_is_typed_is_asked_for() {
        let words = ["export", "--format", "csv", "--outcome", "209", "--text", "a b"];
        let typed = Typed::try_parse_from(words).unwrap().export;
        assert_eq!(typed.query(None), "format=csv&outcome=209&text=a%20b");
        assert_eq!(
            typed.query(Some("1/ab/d:0")),
            "format=csv&after=1%2Fab%2Fd%3A0&outcome=209&text=a%20b"
        );
    }
}
