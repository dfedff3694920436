//! `refit plan`: rollouts as files that any web server or CDN serves.

use super::access::Access;
use super::client::Client;
use super::show::{json, table};
use anyhow::{Context as _, bail, ensure};
use protocols::operator::plans::{FileView, PlanList, PlanView, ReleaseFiles};
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

/// Where the server keeps the tree.
const TREE: &str = "/v1/static/";

/// What is done with static plans.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Prints the public key that plans are signed with, for terminals' `plan.keys`
    Key(Access),
    /// Lists the plans, and for which rollouts terminals must ask the server
    List(ListArgs),
    /// Writes everything that a web server or CDN needs to roll out without this server.
    /// Run again, it fetches only what is new
    Export(ExportArgs),
}

/// Lists the plans
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Writes the tree
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The folder that is served
    folder: PathBuf,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Key(access) => {
            let (_, list) = plans(access)?;
            println!("{}", list.key.unwrap_or_default());
            Ok(())
        }
        Command::List(args) => {
            let (_, list) = plans(&args.access)?;
            if args.json { json(&list) } else { show(&list) }
        }
        Command::Export(args) => export(args),
    }
}

/// What the server has, if it makes plans at all.
fn plans(access: &Access) -> anyhow::Result<(Client, PlanList)> {
    let client = Client::new(access.account()?)?;
    let list: PlanList = client.get("/api/v1/plans")?;
    if list.key.is_none() {
        bail!("the server makes no static plans\nWhat to do: start it with --plan-seconds");
    }
    Ok((client, list))
}

fn show(list: &PlanList) -> anyhow::Result<()> {
    let rows = list.plans.iter().flat_map(rows);
    println!("{}", table(&["plan", "expires", "rollout", "terminals decide"], rows));
    Ok(())
}

fn rows(plan: &PlanView) -> Vec<Vec<String>> {
    let row = |rollout: String, decide: String| {
        vec![plan.path.clone(), plan.expires.to_string(), rollout, decide]
    };
    if plan.rollouts.is_empty() {
        return vec![row("-".into(), String::new())];
    }
    let rollouts = plan.rollouts.iter().map(|spread| {
        let decide = spread.asks.as_ref();
        let decide = decide.map_or("themselves".into(), |why| format!("no: {why}"));
        row(spread.rollout.to_string(), decide)
    });
    rollouts.collect()
}

/// Fetches packages first and plans last, so that no plan names what is not there.
fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let (client, list) = plans(&args.access)?;
    let mut new = 0;
    for release in &list.releases {
        new += fetch_release(&client, release, &args.folder)?;
    }
    for plan in &list.plans {
        fetch(&client, &plan.path, &args.folder)?;
    }
    if args.json {
        return json(&list);
    }
    let (plans, folder) = (list.plans.len(), args.folder.display());
    println!("{plans} plans, and {new} new files of packages, are in {folder}");
    Ok(())
}

/// Fetches the entries of a package that are not there. Returns how many.
fn fetch_release(client: &Client, release: &ReleaseFiles, folder: &Path) -> anyhow::Result<u32> {
    let mut new = 0;
    for FileView { name, size } in &release.files {
        let path = format!("{}{name}", release.path);
        let there = fs::metadata(place(folder, &path)?).is_ok_and(|file| file.len() == *size);
        if !there {
            let got = fetch(client, &path, folder)?;
            ensure!(got == *size, "`{path}` has {got} bytes instead of {size}");
            new += 1;
        }
    }
    Ok(new)
}

/// Fetches one file; whoever serves the folder sees the old one or the new one.
fn fetch(client: &Client, path: &str, folder: &Path) -> anyhow::Result<u64> {
    let place = place(folder, path)?;
    let context = || format!("cannot write {}", place.display());
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).with_context(context)?;
    }
    let new = place.with_added_extension("new");
    let mut file = File::create(&new).with_context(context)?;
    let size = client.download(&format!("{TREE}{path}"), &mut file)?;
    file.sync_all().with_context(context)?;
    fs::rename(&new, &place).with_context(context)?;
    Ok(size)
}

/// Where `path` lies below `folder`, and nowhere else.
fn place(folder: &Path, path: &str) -> anyhow::Result<PathBuf> {
    let below = Path::new(path);
    let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(plain && !path.is_empty(), "the server names a file outside of the folder: `{path}`");
    Ok(folder.join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_the_folder() {
        let check =
            |path, good| assert_eq!(place(Path::new("/tree"), path).is_ok(), good, "{path}");
        check("p/router/-.json", true);
        check("r/ab/payload/rootfs.zst", true);
        for bad in ["", "/etc/passwd", "../x", "r/../../x"] {
            check(bad, false);
        }
    }
}
