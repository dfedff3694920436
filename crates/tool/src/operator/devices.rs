//! `refit devices` and `refit explain`: the terminals, and which rule decides.

use super::access::Access;
use super::client::{Client, escaped};
use super::show::{json, table, word};
use protocols::operator::{AttemptView, DeviceDetail, DeviceList, DeviceView, Explanation};
use types::DeviceId;

/// Lists the terminals, or shows one with its attempts
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One terminal
    device: Option<DeviceId>,
    /// Only those for which this filter holds
    #[arg(long, conflicts_with = "device")]
    filter: Option<String>,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Says which rule decides about a terminal, and so why it gets no update
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The terminal
    device: DeviceId,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    match &args.device {
        Some(device) => one(&client, device, args),
        None => all(&client, args),
    }
}

fn all(client: &Client, args: &Args) -> anyhow::Result<()> {
    let mut all = DeviceList { devices: Vec::new(), next: None };
    loop {
        let after = all.next.take().map(|name| format!("after={}", escaped(name.as_str())));
        let filter = args.filter.as_ref().map(|filter| format!("filter={}", escaped(filter)));
        let query: Vec<String> = after.into_iter().chain(filter).collect();
        let page: DeviceList = client.get(&format!("/api/v1/devices?{}", query.join("&")))?;
        all.devices.extend(page.devices);
        all.next = page.next;
        if all.next.is_none() {
            break;
        }
    }
    if args.json {
        return json(&all);
    }
    let head = ["terminal", "product", "runs", "slot", "phase", "last attempt", "last seen"];
    println!("{}", table(&head, all.devices.iter().map(row)));
    Ok(())
}

fn row(view: &DeviceView) -> Vec<String> {
    let versions: Vec<String> =
        view.running.iter().map(|(name, state)| format!("{name} {}", state.version)).collect();
    let slot = view.slot.map_or("-".into(), |slot| slot.to_string());
    let attempt = view.attempt.as_ref().map_or("-".into(), attempt);
    let seen = view.seen.map_or("-".into(), |time| time.to_string());
    let (name, product) = (view.device.to_string(), view.facts.product.to_string());
    vec![name, product, versions.join(", "), slot, word(&view.phase), attempt, seen]
}

fn attempt(view: &AttemptView) -> String {
    format!("{} {}", view.version, word(&view.state))
}

fn one(client: &Client, device: &DeviceId, args: &Args) -> anyhow::Result<()> {
    let detail: DeviceDetail = client.get(&format!("/api/v1/devices/{device}"))?;
    if args.json {
        return json(&detail);
    }
    let head = ["terminal", "product", "runs", "slot", "phase", "last attempt", "last seen"];
    println!("{}\n", table(&head, std::iter::once(row(&detail.view))));
    let row = |view: &AttemptView| {
        let outcome = view.outcome.map_or("-".into(), |outcome| outcome.to_string());
        let (rollout, bytes) = (view.rollout.to_string(), view.bytes_served.to_string());
        vec![rollout, view.version.to_string(), word(&view.state), bytes, outcome]
    };
    let head = ["rollout", "version", "state", "bytes sent", "outcome"];
    println!("{}", table(&head, detail.attempts.iter().map(row)));
    Ok(())
}

pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let path = format!("/api/v1/devices/{}/explain", args.device);
    let explanation: Explanation = client.get(&path)?;
    if args.json {
        return json(&explanation);
    }
    println!("{}", explanation.sentence);
    Ok(())
}
