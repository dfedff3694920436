//! `refit device import`: terminals that a factory gave their credentials.

use super::access::Access;
use super::client::Client;
use super::show::json;
use anyhow::{Context as _, ensure};
use protocols::operator::{IMPORT_LIMIT, ImportOrder, Imports, Made};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

/// The longest line of a file, in bytes: many times what one terminal needs.
const LINE: usize = 4096;

/// What a factory knows of terminals
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes terminals known that a factory gave their credentials
    Import(Args),
}

/// A file of terminals
#[derive(Debug, clap::Args)]
#[command(after_help = FILE)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
    /// Print the server's answers, added up
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

const FILE: &str = "\
The file has a terminal on each line, as JSON:
  {\"device\": \"cpe-1\", \"product\": \"router\", \"hardware\": \"acme-r1\", \"credential_sha256\": \"<64 hex digits>\"}
and `variant`, `region`, `memory_class_mib` where it has them. The terminal sends the
credential, a text of at most 128 bytes, with each request; the file has its SHA-256
only. Terminals that are known already stay as they are, so it may be sent again.";

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    let Command::Import(args) = command;
    let client = Client::new(args.access.account()?)?;
    let file = File::open(&args.file);
    let file = file.with_context(|| format!("cannot read {}", args.file.display()))?;
    let (mut all, mut order) = (Imports::default(), ImportOrder { devices: Vec::new() });
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.with_context(|| format!("cannot read line {number}"))?;
        if line.trim().is_empty() {
            continue;
        }
        ensure!(line.len() <= LINE, "line {number} has more than {LINE} bytes");
        let made: Made = serde_json::from_str(&line)
            .with_context(|| format!("line {number} is no terminal; see --help"))?;
        order.devices.push(made);
        if order.devices.len() == IMPORT_LIMIT {
            send(&client, &mut order, &mut all)?;
        }
    }
    send(&client, &mut order, &mut all)?;
    if args.json {
        return json(&all);
    }
    println!("{} terminals are new, {} were known", all.added, all.known);
    for device in &all.taken {
        println!("{device} is another terminal's name: nothing was changed");
    }
    Ok(())
}

/// Sends what was gathered, if anything was.
fn send(client: &Client, order: &mut ImportOrder, all: &mut Imports) -> anyhow::Result<()> {
    if order.devices.is_empty() {
        return Ok(());
    }
    let done: Imports = client.post("/api/v1/import", order)?;
    order.devices.clear();
    all.added += done.added;
    all.known += done.known;
    all.taken.extend(done.taken);
    Ok(())
}
