//! What operators say of terminals and releases: labels, groups, needs, withdrawals.

use super::access::Access;
use super::client::Client;
use super::logs;
use super::show::{json, table};
use anyhow::{Context as _, bail};
use protocols::operator::{
    FailureList, FailureView, GroupList, GroupRule, LabelOrder, Labelled, LabelsView, Moment,
    NeedsOrder, Reason, ReleaseList, ReleaseView, Single, Stopped, Timeline,
};
use types::{DeviceId, Name, Text, Version};

/// Says something of terminals: tags, groups, attributes, channel, time zone, pin
#[derive(Debug, clap::Args)]
#[command(after_help = LABELS)]
pub(crate) struct LabelArgs {
    /// The terminals
    devices: Vec<DeviceId>,
    /// All for which this filter holds, in their place
    #[arg(long, conflicts_with = "devices", required_unless_present = "devices")]
    filter: Option<String>,
    /// Adds a tag; with a minus sign in front, takes it away
    #[arg(long, allow_hyphen_values = true)]
    tag: Vec<String>,
    /// Puts it into a static group; with a minus sign in front, takes it out
    #[arg(long, allow_hyphen_values = true)]
    group: Vec<String>,
    /// Sets an attribute, as olt=olt-7; without a value, takes it away
    #[arg(long)]
    attribute: Vec<String>,
    /// The stream of releases it follows; "" takes it away
    #[arg(long)]
    channel: Option<String>,
    /// The region that it was sold for; "" takes it away
    #[arg(long)]
    home: Option<String>,
    /// Its time zone, as Europe/Berlin; "" takes it away
    #[arg(long)]
    zone: Option<String>,
    /// The only version that it may be offered; "" takes it away
    #[arg(long)]
    pin: Option<String>,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

const LABELS: &str = "\
Examples:
  refit label cpe-1 cpe-2 --tag pilot --attribute olt=olt-7 --zone Europe/Berlin
  refit label --filter 'region==south;version.rootfs<2' --channel beta
  refit label cpe-9 --pin 1.4 --tag -pilot";

impl LabelArgs {
    fn order(&self) -> anyhow::Result<LabelOrder> {
        let (mut set, mut clear) = (LabelsView::default(), Vec::new());
        let mut one = |value: &Option<String>, single| -> anyhow::Result<Option<Name>> {
            if value.as_deref() == Some("") {
                clear.push(single);
                return Ok(None);
            }
            Ok(value.as_deref().map(str::parse).transpose()?)
        };
        set.channel = one(&self.channel, Single::Channel)?;
        set.home = one(&self.home, Single::Home)?;
        set.pin = one(&self.pin, Single::Pin)?;
        match self.zone.as_deref() {
            Some("") => clear.push(Single::Zone),
            zone => set.zone = zone.map(Into::into),
        }
        let (tags, drop_tags) = signed(&self.tag)?;
        let (groups, drop_groups) = signed(&self.group)?;
        set.tags.extend(tags);
        set.groups.extend(groups);
        let mut drop_attributes = Vec::new();
        for text in &self.attribute {
            match text.split_once('=') {
                Some((name, value)) if !value.is_empty() => {
                    set.attributes.insert(name.parse()?, Text::from(value));
                }
                _ => drop_attributes.push(text.trim_end_matches('=').parse()?),
            }
        }
        let (devices, filter) = (self.devices.clone(), self.filter.clone());
        Ok(LabelOrder { devices, filter, set, drop_tags, drop_groups, drop_attributes, clear })
    }
}

/// Names to add, and those behind a minus sign.
fn signed(texts: &[String]) -> anyhow::Result<(Vec<Name>, Vec<Name>)> {
    let (mut add, mut drop) = (Vec::new(), Vec::new());
    for text in texts {
        match text.strip_prefix('-') {
            Some(name) => drop.push(name.parse()?),
            None => add.push(text.trim_start_matches('+').parse()?),
        }
    }
    Ok((add, drop))
}

pub(super) fn label(args: &LabelArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let done: Labelled = client.post("/api/v1/labels", &args.order()?)?;
    if args.json {
        return json(&done);
    }
    println!("{} terminals, {} of them changed", done.devices, done.changed);
    Ok(())
}

/// Lists the dynamic groups, or makes, changes or takes away one
#[derive(Debug, clap::Args)]
pub(crate) struct GroupArgs {
    /// The group
    name: Option<Name>,
    /// Who is in it; "" takes the group away
    #[arg(long, requires = "name")]
    filter: Option<String>,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn group(args: &GroupArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    if let (Some(name), Some(filter)) = (&args.name, &args.filter) {
        let filter = Some(filter.clone()).filter(|filter| !filter.is_empty());
        let rule = GroupRule { name: name.clone(), filter };
        let _: GroupRule = client.post("/api/v1/groups", &rule)?;
    }
    let mut list: GroupList = client.get("/api/v1/groups")?;
    if let Some(name) = &args.name {
        list.groups.retain(|group| group.name == *name);
    }
    if args.json {
        return json(&list);
    }
    let row =
        |group: &GroupRule| vec![group.name.to_string(), group.filter.clone().unwrap_or_default()];
    println!("{}", table(&["group", "filter"], list.groups.iter().map(row)));
    Ok(())
}

/// What is said of releases
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Shows a release and the deltas that servers made to it
    Show(ReleaseArgs),
    /// Says what a terminal must run so that the release works there
    Needs(NeedsArgs),
    /// Takes the release back everywhere: its rollouts halt, and none starts again
    Withdraw(WithdrawArgs),
}

/// Which release
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// The release: its version, or the digest of its manifest
    release: String,
    /// Print the server's answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// A release and what it needs
#[derive(Debug, clap::Args)]
pub(crate) struct NeedsArgs {
    /// The release: its version, or the digest of its manifest
    release: String,
    /// A filter, as 'version.rootfs>=1.5;version.modem==7*'; "" means nothing
    filter: String,
    #[command(flatten)]
    access: Access,
}

/// A release and why it is withdrawn
#[derive(Debug, clap::Args)]
pub(crate) struct WithdrawArgs {
    /// The release: its version, or the digest of its manifest
    release: String,
    /// Why
    #[arg(long)]
    why: String,
    #[command(flatten)]
    access: Access,
}

pub(super) fn release(command: &ReleaseCommand) -> anyhow::Result<()> {
    match command {
        ReleaseCommand::Show(args) => {
            let client = Client::new(args.access.account()?)?;
            let view = find(&client, &args.release)?;
            super::jobs::release(&client, &view, args.json)?;
        }
        ReleaseCommand::Needs(args) => {
            let client = Client::new(args.access.account()?)?;
            let manifest = find(&client, &args.release)?.release.manifest;
            let needs = Some(args.filter.clone()).filter(|filter| !filter.is_empty());
            let order = NeedsOrder { needs, why: Text::default() };
            let path = format!("/api/v1/releases/{manifest}/needs");
            let view: ReleaseView = client.post(&path, &order)?;
            println!("{} needs {}", args.release, view.needs.as_deref().unwrap_or("nothing"));
        }
        ReleaseCommand::Withdraw(args) => {
            let client = Client::new(args.access.account()?)?;
            let manifest = find(&client, &args.release)?.release.manifest;
            let reason = Reason { why: args.why.as_str().into() };
            let path = format!("/api/v1/releases/{manifest}/withdraw");
            let Stopped { rollouts } = client.post(&path, &reason)?;
            println!("{} is withdrawn; {rollouts} rollouts were halted", args.release);
        }
    }
    Ok(())
}

/// The release that `word` names.
fn find(client: &Client, word: &str) -> anyhow::Result<ReleaseView> {
    let list: ReleaseList = client.get("/api/v1/releases")?;
    let names = |view: &&ReleaseView| {
        let version: &Version = &view.release.version;
        version.as_str() == word || view.release.manifest.to_string() == word
    };
    let found: Vec<_> = list.releases.iter().filter(names).collect();
    match &found[..] {
        [one] => Ok(ReleaseView::clone(one)),
        [] => bail!("there is no release {word}; list them: refit releases"),
        _ => bail!("{word} is a version of several products; name the manifest's digest"),
    }
}

/// Halts every rollout at once
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// Only those of this product
    #[arg(long)]
    product: Option<Name>,
    /// Why
    #[arg(long)]
    why: String,
    #[command(flatten)]
    access: Access,
}

pub(super) fn stop(args: &StopArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let product = args.product.as_ref();
    let query =
        product.map_or(String::new(), |p| format!("?product={}", p.as_str().replace('+', "%2B")));
    let reason = Reason { why: args.why.as_str().into() };
    let Stopped { rollouts } = client.post(&format!("/api/v1/stop{query}"), &reason)?;
    println!("{rollouts} rollouts were halted");
    Ok(())
}

/// Shows what happened to a terminal, last things first
#[derive(Debug, clap::Args)]
pub(crate) struct TimelineArgs {
    /// The terminal
    device: DeviceId,
    /// Show what the terminal told of its attempts, too
    #[arg(long)]
    logs: bool,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn timeline(args: &TimelineArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let path = format!("/api/v1/devices/{}/timeline", args.device);
    let line: Timeline = client.get(&path).context("cannot show what happened")?;
    if args.json {
        return json(&line);
    }
    let rows = line.moments.iter().flat_map(|moment| moment_rows(moment, args.logs));
    println!("{}", table(&["at", "what"], rows));
    Ok(())
}

/// A moment in one row, and each line of its log in a row of its own or all in one.
fn moment_rows(moment: &Moment, logs: bool) -> Vec<Vec<String>> {
    let mut rows = vec![vec![moment.at.to_string(), moment.what.to_string()]];
    if logs {
        rows.extend(moment.log.iter().map(|line| vec![String::new(), logs::shown(line)]));
    } else if !moment.log.is_empty() {
        let hint = format!("  a log of {} lines: --logs shows it", moment.log.len());
        rows.push(vec![String::new(), hint]);
    }
    rows
}

/// Shows how the terminals of a rollout failed, most frequent first
#[derive(Debug, clap::Args)]
pub(crate) struct FailuresArgs {
    /// Id of the rollout
    id: Name,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn failures(args: &FailuresArgs) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let list: FailureList = client.get(&format!("/api/v1/rollouts/{}/failures", args.id))?;
    if args.json {
        return json(&list);
    }
    let row = |f: &FailureView| {
        let (wave, devices) = (f.wave.to_string(), f.devices.to_string());
        let what = format!("{} ({})", f.sentence, f.outcome);
        vec![devices, what, f.hardware.to_string(), f.from.to_string(), wave]
    };
    let head = ["terminals", "failure", "hardware", "from", "wave"];
    println!("{}", table(&head, list.failures.iter().map(row)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        label: LabelArgs,
    }

    #[test]
    fn labels_are_typed_in_words() {
        let words = [
            "label",
            "cpe-1",
            "--tag",
            "pilot",
            "--tag",
            "-vip",
            "--attribute",
            "olt=olt-7/1",
            "--attribute",
            "cell",
            "--zone",
            "UTC",
            "--pin",
            "",
            "--channel",
            "beta",
        ];
        let order = Typed::try_parse_from(words).unwrap().label.order().unwrap();
        assert_eq!(order.devices.len(), 1);
        assert_eq!(order.set.tags.len(), 1);
        assert_eq!(order.drop_tags, ["vip".parse().unwrap()]);
        assert_eq!(order.set.attributes[&"olt".parse().unwrap()].as_str(), "olt-7/1");
        assert_eq!(order.drop_attributes, ["cell".parse().unwrap()]);
        assert_eq!((order.set.zone.as_deref(), order.set.pin), (Some("UTC"), None));
        assert_eq!(order.clear, [Single::Pin]);
        assert!(Typed::try_parse_from(["label", "--tag", "x"]).is_err());
    }
}
