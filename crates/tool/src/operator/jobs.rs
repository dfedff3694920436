//! `refit jobs`: what the servers do without being asked.

use super::access::Access;
use super::client::Client;
use super::show::{json, table, word};
use indicatif::HumanBytes;
use protocols::operator::{DeltaList, DeltaView, JobKind, JobList, JobView, Reason, ReleaseView};
use types::Name;

/// Shows what the servers do by themselves, as making deltas; ends it, or begins it anew
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Option<Act>,
    /// Also what looks after rollouts and plans deltas
    #[arg(long)]
    all: bool,
    /// Print the server's answer
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Ends a job; a delta is not planned for again
    Cancel {
        /// The job
        id: Name,
        /// Why, for people
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Begins a job anew, as if it had never been tried
    Retry {
        /// The job
        id: Name,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (verb, id, why) = match &args.act {
        Some(Act::Cancel { id, why }) => ("cancel", id, why.as_str()),
        Some(Act::Retry { id }) => ("retry", id, ""),
        None => return list(args),
    };
    let client = Client::new(args.access.account()?)?;
    let reason = Reason { why: why.into() };
    let job: JobView = client.post(&format!("/api/v1/jobs/{id}/{verb}"), &reason)?;
    if args.json { json(&job) } else { print(&[job]) }
}

fn list(args: &Args) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let mut list: JobList = client.get("/api/v1/jobs")?;
    list.jobs.retain(|job| args.all || job.kind == JobKind::Delta);
    if args.json { json(&list) } else { print(&list.jobs) }
}

fn print(jobs: &[JobView]) -> anyhow::Result<()> {
    let row = |job: &JobView| {
        let about: String = job.about.chars().take(16).collect();
        let words = if job.error.is_empty() { &job.words } else { &job.error };
        let percent = (job.done.saturating_mul(100)).checked_div(job.total);
        let far = percent.map_or(String::new(), |percent| format!("{percent} %"));
        let tries = job.tries.to_string();
        let (kind, state) = (word(&job.kind), word(&job.state));
        vec![job.id.to_string(), kind, about, state, tries, far, words.clone()]
    };
    let head = ["job", "kind", "about", "state", "tries", "stage", "what"];
    println!("{}", table(&head, jobs.iter().map(row)));
    Ok(())
}

/// Shows a release and its deltas.
pub(super) fn release(client: &Client, release: &ReleaseView, as_json: bool) -> anyhow::Result<()> {
    let manifest = release.release.manifest;
    let deltas: DeltaList = client.get(&format!("/api/v1/releases/{manifest}/deltas"))?;
    if as_json {
        return json(&serde_json::json!({ "release": release, "deltas": deltas }));
    }
    let name = &release.release;
    println!("{} {}, manifest {manifest}", name.product, name.version);
    println!("published {}, {} in all", release.published, HumanBytes(release.size));
    release.needs.iter().for_each(|needs| println!("needs {needs}"));
    release.withdrawn.iter().for_each(|why| println!("withdrawn: {why}"));
    if deltas.deltas.is_empty() {
        println!("\nno server made a delta to it");
    } else {
        let head = ["component", "from", "delta", "of full", "memory", "why not"];
        println!("\n{}", table(&head, deltas.deltas.iter().map(row)));
    }
    if deltas.pending > 0 {
        println!("\n{} jobs are still under way: refit jobs", deltas.pending);
    }
    Ok(())
}

fn row(delta: &DeltaView) -> Vec<String> {
    let source = || delta.source.to_string().chars().take(16).collect();
    let bytes = |count: u64| {
        if delta.kept { HumanBytes(count).to_string() } else { String::new() }
    };
    let percent = delta.size as f64 * 100.0 / delta.full.max(1) as f64;
    vec![
        delta.component.to_string(),
        delta.from.clone().unwrap_or_else(source),
        bytes(delta.size),
        if delta.kept { format!("{percent:.1} %") } else { String::new() },
        bytes(delta.heap),
        delta.why.clone(),
    ]
}
