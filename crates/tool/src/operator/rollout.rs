//! `refit rollout`: from a release to a fleet, and back when it goes wrong.

mod file;
mod order;
mod plan;

use super::access::Access;
use super::client::Client;
use super::show::{json, table, word};
use indicatif::HumanBytes;
use protocols::operator::{
    AudienceRule, DownloadRule, EventView, Reason, RetryOrder, RolloutList, RolloutOrder,
    RolloutView, TallyView,
};
use types::{DeviceId, Name};

/// Rollouts of releases to terminals
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Plan(plan::PlanArgs),
    Apply(plan::ApplyArgs),
    Create(Box<order::Args>),
    /// Opens the first wave of a draft
    Start(ActArgs),
    /// Gives the release to nobody new; terminals that have it go on
    Pause(ActArgs),
    /// Goes on after a pause
    Resume(ActArgs),
    /// Stops for good; terminals that have not activated the release give it up
    Halt(ActArgs),
    /// Opens the next wave now
    Advance(ActArgs),
    Retry(RetryArgs),
    Status(StatusArgs),
    Failures(super::fleet::FailuresArgs),
}

/// Which rollout, and why
#[derive(Debug, clap::Args)]
pub(crate) struct ActArgs {
    /// Id of the rollout
    id: Name,
    /// Why, for the rollout's history
    #[arg(long, default_value = "")]
    why: String,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Orders the release anew for a terminal on which it failed or was declined
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    /// Id of the rollout
    id: Name,
    /// The terminal
    device: DeviceId,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Lists the rollouts, or shows one with its history
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Id of one rollout
    id: Option<Name>,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Plan(args) => plan::plan(&args),
        Command::Apply(args) => plan::apply(&args),
        Command::Create(args) => create(&args),
        Command::Start(args) => act("start", &args),
        Command::Pause(args) => act("pause", &args),
        Command::Resume(args) => act("resume", &args),
        Command::Halt(args) => act("halt", &args),
        Command::Advance(args) => act("advance", &args),
        Command::Retry(args) => retry(&args),
        Command::Status(args) => status(&args),
        Command::Failures(args) => super::fleet::failures(&args),
    }
}

fn create(args: &order::Args) -> anyhow::Result<()> {
    let order: RolloutOrder = args.order()?;
    let client = Client::new(args.access.account()?)?;
    let mut made: RolloutView = client.post("/api/v1/rollouts", &order)?;
    if args.start {
        let path = format!("/api/v1/rollouts/{}/start", made.id);
        made = client.post(&path, &Reason::default())?;
    }
    print(&made, args.json)
}

fn act(act: &str, args: &ActArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let reason = Reason { why: args.why.as_str().into() };
    let now: RolloutView = client.post(&format!("/api/v1/rollouts/{}/{act}", args.id), &reason)?;
    print(&now, args.json)
}

fn retry(args: &RetryArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let order = RetryOrder { device: args.device.clone() };
    let now: RolloutView = client.post(&format!("/api/v1/rollouts/{}/retry", args.id), &order)?;
    print(&now, args.json)
}

fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let Some(id) = &args.id else {
        let list: RolloutList = client.get("/api/v1/rollouts")?;
        return if args.json { json(&list) } else { print_all(&list.rollouts) };
    };
    print(&client.get(&format!("/api/v1/rollouts/{id}"))?, args.json)
}

const HEAD: [&str; 9] =
    ["rollout", "name", "release", "state", "wave", "in flight", "confirmed", "failed", "why"];

fn row(view: &RolloutView) -> Vec<String> {
    let tally = view.tally;
    vec![
        view.id.to_string(),
        view.name.to_string(),
        view.release.version.to_string(),
        word(&view.state),
        format!("{}/{}", view.wave, view.waves.len()),
        tally.in_flight.to_string(),
        format!("{}/{}", tally.confirmed, tally.audience),
        tally.failed.to_string(),
        view.why.to_string(),
    ]
}

/// What deltas saved, once somebody has got the release.
fn saved(tally: &TallyView) -> Option<String> {
    let TallyView { fetched, full, .. } = *tally;
    let saved = full.saturating_sub(fetched);
    let percent = saved as f64 * 100.0 / full as f64;
    (full > 0).then(|| {
        format!(
            "{} fetched where full payloads have {}: {} saved ({percent:.1} %)",
            HumanBytes(fetched),
            HumanBytes(full),
            HumanBytes(saved),
        )
    })
}

/// How many download, where that is bounded.
fn downloading(view: &RolloutView) -> Option<String> {
    let bounded = |what: &str, rule: &DownloadRule| {
        let count = rule.at_once.map(|count| format!("{count} {what} at once"));
        let rate = rule.megabits.map(|rate| format!("{rate} Mbit/s {what}"));
        count.into_iter().chain(rate)
    };
    let site = view.terms.site.as_ref().map(|site| site.downloads).unwrap_or_default();
    let limits = bounded("in all", &view.terms.downloads).chain(bounded("at a site", &site));
    let limits: Vec<String> = limits.collect();
    let count = view.tally.downloading?;
    Some(format!("{count} download now, of at most {}", limits.join(", ")))
}

/// What becomes of terminals elsewhere, where the rollout says it.
fn elsewhere(audience: &AudienceRule) -> Option<String> {
    let abroad = audience.abroad.as_ref().map(|rule| format!("abroad: {}", word(rule)));
    let outside = audience.outside.as_ref();
    let outside = outside.map(|rule| format!("outside of the release's regions: {}", word(rule)));
    let said: Vec<String> = abroad.into_iter().chain(outside).collect();
    (!said.is_empty()).then(|| format!("terminals {}", said.join("; ")))
}

fn print_all(rollouts: &[RolloutView]) -> anyhow::Result<()> {
    println!("{}", table(&HEAD, rollouts.iter().map(row)));
    Ok(())
}

fn print(view: &RolloutView, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return json(view);
    }
    print_all(std::slice::from_ref(view))?;
    println!("\n{}", view.outlook);
    elsewhere(&view.audience).iter().for_each(|line| println!("{line}"));
    downloading(view).iter().for_each(|line| println!("{line}"));
    saved(&view.tally).iter().for_each(|line| println!("{line}"));
    let row = |event: &EventView| {
        vec![
            event.at.to_string(),
            event.who.to_string(),
            event.what.to_string(),
            event.why.to_string(),
        ]
    };
    println!("\n{}", table(&["at", "who", "what", "why"], view.history.iter().map(row)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Abroad, Elsewhere};

    #[test]
    fn what_was_saved_is_said_once_there_is_something() {
        let tally = |fetched, full| TallyView { fetched, full, ..TallyView::default() };
        assert_eq!(saved(&tally(0, 0)), None);
        let said = "1.00 MiB fetched where full payloads have 8.00 MiB: 7.00 MiB saved (87.5 %)";
        assert_eq!(saved(&tally(1 << 20, 8 << 20)).as_deref(), Some(said));
        assert!(saved(&tally(9, 8)).unwrap().ends_with("0 B saved (0.0 %)"));
    }

    #[test]
    fn what_becomes_of_terminals_elsewhere_is_said() {
        let mut audience = AudienceRule::default();
        assert_eq!(elsewhere(&audience), None);
        audience.outside = Some(Elsewhere::Ask);
        let said = "terminals outside of the release's regions: ask";
        assert_eq!(elsewhere(&audience).as_deref(), Some(said));
        audience.abroad = Some(Abroad::Nothing);
        let said = "terminals abroad: nothing; outside of the release's regions: ask";
        assert_eq!(elsewhere(&audience).as_deref(), Some(said));
    }
}
