//! `refit rollout plan` and `apply`: a file first looked at, then put into force.

use super::file;
use crate::operator::access::Access;
use crate::operator::client::Client;
use crate::operator::show::{json, table};
use anyhow::bail;
use protocols::operator::forecast::{Bytes, Crowd, Forecast};
use protocols::operator::{Reason, RolloutList, RolloutOrder, RolloutState, RolloutView};
use std::path::PathBuf;
use types::{Text, Timestamp, Version};

/// Shows who would get what, when, how many bytes, and who would not and why
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// A rollout file, TOML or JSON
    file: PathBuf,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Makes and starts the rollout of a file, and those of releases in between that
/// terminals need
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// A rollout file, TOML or JSON
    file: PathBuf,
    /// Leave everything as drafts
    #[arg(long)]
    draft: bool,
    /// Leave out who needs releases in between
    #[arg(long)]
    no_steps: bool,
    /// Print the server's answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn plan(args: &PlanArgs) -> anyhow::Result<()> {
    let order = file::read(&args.file)?;
    let client = Client::new(args.access.account()?)?;
    let forecast: Forecast = client.post("/api/v1/rollouts/plan", &order)?;
    if args.json { json(&forecast) } else { print(&forecast, &order) }
}

pub(super) fn apply(args: &ApplyArgs) -> anyhow::Result<()> {
    let order = file::read(&args.file)?;
    let client = Client::new(args.access.account()?)?;
    let there: RolloutList = client.get("/api/v1/rollouts")?;
    let open = |view: &&RolloutView| view.name == order.name && view.state != RolloutState::Halted;
    if let Some(view) = there.rollouts.iter().find(open) {
        bail!(
            "there is a rollout `{}` already, {}; halt it or take another name",
            order.name,
            view.id
        );
    }
    let forecast: Forecast = client.post("/api/v1/rollouts/plan", &order)?;
    let steps = if args.no_steps { Vec::new() } else { steps(&forecast) };
    let mut made = Vec::new();
    // Those of the first steps are started first: the newest one decides.
    for version in steps {
        made.push(make(&client, &step(&order, &version), args.draft)?);
    }
    made.push(make(&client, &order, args.draft)?);
    if args.json { json(&made) } else { super::print_all(&made) }
}

fn make(client: &Client, order: &RolloutOrder, draft: bool) -> anyhow::Result<RolloutView> {
    let made: RolloutView = client.post("/api/v1/rollouts", order)?;
    if draft {
        return Ok(made);
    }
    client.post(&format!("/api/v1/rollouts/{}/start", made.id), &Reason::default())
}

/// The releases in between, first ones first: what is further from the end of any way
/// comes before what is nearer.
fn steps(forecast: &Forecast) -> Vec<Version> {
    let mut found: Vec<(usize, Version)> = Vec::new();
    for way in &forecast.over {
        for (distance, version) in way.versions.iter().rev().enumerate().skip(1) {
            match found.iter_mut().find(|(_, known)| known == version) {
                Some((most, _)) => *most = distance.max(*most),
                None => found.push((distance, version.clone())),
            }
        }
    }
    found.sort_by_key(|(distance, _)| std::cmp::Reverse(*distance));
    found.into_iter().map(|(_, version)| version).collect()
}

/// The same rollout, of a release in between.
fn step(order: &RolloutOrder, version: &Version) -> RolloutOrder {
    let name = Text::from(format!("{} (step {version})", order.name));
    RolloutOrder { name, release: version.to_string(), ..order.clone() }
}

/// How long the bytes take, where the rollout bounds their rate.
fn time(bytes: u64, order: &RolloutOrder) -> Option<String> {
    let megabits = order.terms.downloads.megabits?;
    let seconds = bytes.div_ceil(u64::from(megabits.max(1)) * 125_000);
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    Some(format!("at {megabits} Mbit/s in all, that takes about {hours} h {minutes} min"))
}

fn print(forecast: &Forecast, order: &RolloutOrder) -> anyhow::Result<()> {
    let release = &forecast.release;
    println!("{} {} would go to {}", release.product, release.version, some(&forecast.gets));
    if forecast.asked.count > 0 {
        println!("of them, the owners of {} are asked first: their region", some(&forecast.asked));
    }
    println!("{}", volume(&forecast.bytes));
    time(forecast.bytes.with_deltas, order).iter().for_each(|line| println!("{line}"));
    println!();
    let opens =
        |at: Option<Timestamp>| at.map_or("when its condition holds".into(), |t| t.to_string());
    let waves = forecast.waves.iter().enumerate().map(|(index, wave)| {
        let number = (index + 1).to_string();
        let Bytes { full, with_deltas, .. } = wave.bytes;
        let count = wave.count.to_string();
        vec![number, count, bytes(full), bytes(with_deltas), opens(wave.earliest)]
    });
    println!("{}", table(&["wave", "terminals", "in full", "with deltas", "opens"], waves));
    if let (Some(first), Some(last)) = (forecast.first, forecast.last) {
        println!("\nthe schedule lets the first begin at {first}, the last at {last}");
    }
    if let Some(until) = forecast.waits_until {
        println!("\nit would wait until deltas to it are made, until {until} at the latest");
    }
    if !forecast.over.is_empty() {
        println!();
        let way = |versions: &[Version]| {
            versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ")
        };
        let rows = forecast.over.iter().map(|w| vec![way(&w.versions), some(&w.crowd)]);
        println!("{}", table(&["by way of", "terminals"], rows));
    }
    if !forecast.out.is_empty() {
        println!();
        let rows = forecast.out.iter().map(|reason| vec![reason.why.clone(), some(&reason.crowd)]);
        println!("{}", table(&["left out because of", "terminals"], rows));
    }
    Ok(())
}

/// How many bytes, as a sentence.
fn volume(sent: &Bytes) -> String {
    let Bytes { full, with_deltas, unknown } = *sent;
    let plain = format!("{} in full payloads, {} with the deltas", bytes(full), bytes(with_deltas));
    match unknown {
        0 => format!("{plain} that there are"),
        _ => format!(
            "{plain} that there are; {} of that may become less: deltas are still to be made",
            bytes(unknown)
        ),
    }
}

fn some(crowd: &Crowd) -> String {
    let names: Vec<String> = crowd.examples.iter().map(ToString::to_string).collect();
    let known = u32::try_from(names.len()).unwrap_or(u32::MAX);
    let more = if crowd.count > known { ", …" } else { "" };
    match crowd.count {
        0 => "nobody".into(),
        1 => format!("1 terminal ({})", names.join(", ")),
        count => format!("{count} terminals ({}{more})", names.join(", ")),
    }
}

fn bytes(bytes: u64) -> String {
    let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*size);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::operator::forecast::Way;

    fn name(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn steps_are_taken_in_their_order() {
        let way = |versions: &[&str]| Way {
            versions: versions.iter().map(|text| name(text)).collect(),
            crowd: Crowd { count: 1, examples: vec![] },
        };
        let release = types::Release {
            product: name("router"),
            version: name("3"),
            rollback_index: 3,
            manifest: types::Digest::default(),
        };
        let forecast = Forecast {
            release,
            gets: Crowd::default(),
            asked: Crowd::default(),
            bytes: Bytes::default(),
            waves: vec![],
            first: None,
            last: None,
            waits_until: None,
            over: vec![way(&["2", "3"]), way(&["1.5", "2", "3"]), way(&["1.2", "1.5", "2", "3"])],
            out: vec![],
        };
        assert_eq!(steps(&forecast), [name("1.2"), name("1.5"), name("2")]);
    }

    #[test]
    fn a_bounded_rate_says_how_long_it_takes() {
        let text = r#"{"name": "spring", "release": "2.0", "downloads": {"megabits": 80}}"#;
        let order: RolloutOrder = serde_json::from_str(text).unwrap();
        let said = "at 80 Mbit/s in all, that takes about 2 h 46 min";
        assert_eq!(time(100_000_000_000, &order).as_deref(), Some(said));
        let free = serde_json::from_str(r#"{"name": "spring", "release": "2.0"}"#).unwrap();
        assert_eq!(time(1, &free), None);
    }

    #[test]
    fn bytes_are_told_with_deltas_and_without() {
        let said = |full, with_deltas, unknown| volume(&Bytes { full, with_deltas, unknown });
        let plain = "4.0 KiB in full payloads, 1.0 KiB with the deltas that there are";
        assert_eq!(said(4096, 1024, 0), plain);
        let open =
            format!("{plain}; 512 bytes of that may become less: deltas are still to be made");
        assert_eq!(said(4096, 1024, 512), open);
    }

    #[test]
    fn bytes_are_shown_for_people() {
        for (count, shown) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (64 << 20, "64.0 MiB"),
            (3 << 40, "3.0 TiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }
}
