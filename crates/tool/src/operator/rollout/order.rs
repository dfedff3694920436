//! `refit rollout create`: from words on a command line, or a file, to an order.

use crate::operator::access::Access;
use crate::operator::product::written;
use anyhow::{Context as _, bail};
use protocols::operator::{
    AudienceRule, DownloadRule, HaltRule, OpenRule, RolloutOrder, ScheduleRule, Tenths, TermsRule,
    WaveRule,
};
use std::path::PathBuf;
use std::str::FromStr;
use types::{Abroad, Elsewhere, Name, Seconds, Version};

/// Makes a rollout, as a draft
#[derive(Debug, clap::Args)]
#[command(after_help = WAVES)]
pub(crate) struct Args {
    /// Name for people
    #[arg(long, required_unless_present = "file")]
    name: Option<String>,
    /// The release: its version, or the digest of its manifest
    #[arg(long, required_unless_present = "file")]
    release: Option<String>,
    /// Product, where several have this version
    #[arg(long)]
    product: Option<Name>,
    /// Only this hardware; may be repeated
    #[arg(long)]
    hardware: Vec<Name>,
    /// Only this region; may be repeated
    #[arg(long)]
    region: Vec<Name>,
    /// Only this variant; may be repeated
    #[arg(long)]
    variant: Vec<Name>,
    /// Only terminals that run this version; may be repeated
    #[arg(long)]
    running: Vec<Version>,
    /// Only terminals for which this filter holds
    #[arg(long)]
    filter: Option<String>,
    /// Terminals outside of the region that they were sold for: used and home say where
    /// they count to, ask has their owners asked, nothing gives them nothing; what the
    /// product says where absent (refit product)
    #[arg(long, value_name = "WORD", value_parser = written::<Abroad>)]
    abroad: Option<Abroad>,
    /// Terminals in none of the regions that the release is for: refuse, ask, allow; what
    /// the product says where absent
    #[arg(long, value_name = "WORD", value_parser = written::<Elsewhere>)]
    outside: Option<Elsewhere>,
    /// A wave, as 3, 25% or 50%@by-hand; may be repeated
    #[arg(long)]
    wave: Vec<WaveArg>,
    /// Halt when more than this percent of the open wave failed
    #[arg(long)]
    failures_percent: Option<u8>,
    /// Halt when more than this number of terminals failed
    #[arg(long)]
    failures_count: Option<u32>,
    /// Halt when fewer than this percent of the open wave came back, as 99.5
    #[arg(long)]
    back_percent: Option<Percent>,
    /// Seconds of silence after which a terminal that has the release has failed
    #[arg(long)]
    not_back: Option<u32>,
    /// The most terminals that update at the same time; 1000 where absent, and any number
    /// where the server makes static plans
    #[arg(long)]
    in_flight: Option<u32>,
    /// The most terminals that download at the same time
    #[arg(long, value_name = "COUNT")]
    downloads: Option<u32>,
    /// Megabits per second that all downloads have together
    #[arg(long, value_name = "MBIT/S")]
    megabits: Option<u32>,
    /// Nothing before this moment, as 2030-03-01T02:00:00Z or 2030-03-01T02:00[Europe/Berlin]
    #[arg(long, value_name = "MOMENT")]
    starts: Option<String>,
    /// Seconds after the start that the rollout may wait for deltas, before the first
    /// terminal gets the release
    #[arg(long, value_name = "SECONDS")]
    wait_for_deltas: Option<u32>,
    /// A file with all of this, JSON or TOML, in place of the options
    #[arg(long, conflicts_with_all = ["name", "release", "product", "hardware", "region", "variant",
        "running", "filter", "abroad", "outside", "wave", "failures_percent", "failures_count", "back_percent", "not_back",
        "wait_for_deltas", "starts", "downloads", "megabits", "in_flight"])]
    file: Option<PathBuf>,
    /// Start it at once
    #[arg(long)]
    pub(super) start: bool,
    /// Print the server's answer
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) access: Access,
}

const WAVES: &str = "\
A wave says how far the release is let out in all while it is open: 3 terminals, or 25% of
the audience. It opens when 90% of the wave before have confirmed the release, or as said
behind an @: 50%@100% (when all have), 50%@3600s (an hour after the wave before),
50%@2030-03-01T02:00[Europe/Berlin] (then, whatever became of the wave before), or
50%@by-hand (refit rollout advance). Without waves everyone gets it at once.";

/// A percentage in steps of a tenth, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Percent(Tenths);

impl FromStr for Percent {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Ok(Self(serde_json::from_str(text.trim_end_matches('%'))?))
    }
}

/// A wave as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WaveArg(WaveRule);

impl FromStr for WaveArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (size, opens) = match text.split_once('@') {
            Some((size, opens)) => (size, opening(opens)?),
            None => (text, OpenRule::default()),
        };
        let (percent, count) = match size.strip_suffix('%') {
            Some(percent) => (Some(percent.parse().context("a wave has a percentage")?), None),
            None => (None, Some(size.parse().context("a wave is a number, or a number and %")?)),
        };
        Ok(Self(WaveRule { percent, count, opens, ..WaveRule::default() }))
    }
}

fn opening(text: &str) -> anyhow::Result<OpenRule> {
    if text == "by-hand" {
        return Ok(OpenRule::ByHand);
    }
    if let Some(percent) = text.strip_suffix('%') {
        return Ok(OpenRule::WhenConfirmedPercent(percent.parse()?));
    }
    if text.contains('T') {
        return Ok(OpenRule::At(text.into()));
    }
    match text.strip_suffix('s').map(str::parse) {
        Some(Ok(seconds)) => Ok(OpenRule::AfterSeconds(Seconds(seconds))),
        _ => bail!("a wave opens @90%, @3600s, @2030-03-01T02:00[ZONE] or @by-hand"),
    }
}

impl Args {
    /// The order that was typed, or that the file holds.
    pub(super) fn order(&self) -> anyhow::Result<RolloutOrder> {
        if let Some(path) = &self.file {
            return super::file::read(path);
        }
        Ok(RolloutOrder {
            name: self.name.as_deref().unwrap_or_default().into(),
            release: self.release.clone().unwrap_or_default(),
            audience: AudienceRule {
                product: self.product.clone(),
                hardware: self.hardware.clone(),
                regions: self.region.clone(),
                variants: self.variant.clone(),
                running: self.running.clone(),
                filter: self.filter.clone(),
                abroad: self.abroad,
                outside: self.outside,
                ..AudienceRule::default()
            },
            waves: self.wave.iter().map(|WaveArg(wave)| wave.clone()).collect(),
            halt: self.halt(),
            in_flight: self.in_flight,
            terms: TermsRule {
                wait_for_deltas: self.wait_for_deltas.map(Seconds),
                schedule: ScheduleRule { starts: self.starts.clone(), ..ScheduleRule::default() },
                downloads: DownloadRule { at_once: self.downloads, megabits: self.megabits },
                ..TermsRule::default()
            },
        })
    }

    fn halt(&self) -> HaltRule {
        let plain = HaltRule::default();
        let back_percent = self.back_percent.map(|Percent(tenths)| tenths);
        let (percent, count) = match (self.failures_percent, self.failures_count) {
            (None, None) if back_percent.is_none() => (plain.failures_percent, None),
            given => given,
        };
        let not_back_seconds = self.not_back.map_or(plain.not_back_seconds, Seconds);
        HaltRule {
            failures_percent: percent,
            failures_count: count,
            back_percent,
            not_back_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(Option<u8>, Option<u32>, OpenRule)>) {
        let wave = text.parse::<WaveArg>().ok();
        let expected = expected.map(|(percent, count, opens)| {
            WaveArg(WaveRule { percent, count, opens, ..WaveRule::default() })
        });
        assert_eq!(wave, expected, "{text}");
    }

    #[test]
    fn a_wave_is_typed_in_a_word() {
        let when = OpenRule::WhenConfirmedPercent;
        check("3", Some((None, Some(3), when(90))));
        check("25%", Some((Some(25), None, when(90))));
        check("50%@100%", Some((Some(50), None, when(100))));
        check("50%@3600s", Some((Some(50), None, OpenRule::AfterSeconds(Seconds(3600)))));
        let at = OpenRule::At("2030-03-01T02:00[Europe/Berlin]".into());
        check("50%@2030-03-01T02:00[Europe/Berlin]", Some((Some(50), None, at)));
        check("7@by-hand", Some((None, Some(7), OpenRule::ByHand)));
        for bad in ["", "x", "%", "300%", "5@", "5@soon", "-3", "5@9"] {
            check(bad, None);
        }
    }
}
