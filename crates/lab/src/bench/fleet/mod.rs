//! How many terminals a server carries: virtual ones over real HTTPS, with PostgreSQL
//! (every commit on the disk), the server and the generator on the same processors.
//!
//! What is compared with others is measured with the same generator in the same run,
//! in turns. Deliberately absent: figures of other days.

mod goals;
pub(crate) mod line;
mod load;
mod peers;
mod phases;
pub(crate) mod talk;

use crate::maker::{Details, Maker, Release};
use crate::operator::Operator;
use crate::postgres::Postgres;
use crate::process::Programs;
use crate::web::Authority;
use anyhow::{Context as _, Result};
use goals::Figures;
use line::{Sessions, Target};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// A server under a million virtual terminals, beside nginx and gooseBit
#[derive(Debug, clap::Args)]
pub(super) struct FleetArgs {
    /// Registered terminals
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(20_000..=20_000_000))]
    devices: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// Print the figures as JSON besides
    #[arg(long)]
    json: bool,
    /// Folder in which gooseBit is kept for the next time
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Everything that runs.
struct World {
    postgres: Postgres,
    operator: Operator,
    authority: Authority,
    folder: PathBuf,
    peers: PathBuf,
    devices: u32,
    seconds: Duration,
    /// Terminals up to this number have been heard.
    heard: u32,
    /// Memory of a server without terminals, in bytes.
    empty: u64,
}

/// Runs the bench; status 0 when the goals are reached.
pub(super) fn run(args: &FleetArgs) -> Result<ExitCode> {
    let temporary = tempfile::Builder::new().prefix("refit-bench-fleet-").tempdir()?;
    let mut figures = Figures::default();
    let mut world = World::start(args, temporary.path())?;
    phases::register(&mut world, &mut figures)?;
    phases::start_again(&mut world, &mut figures)?;
    phases::news(&mut world, &mut figures)?;
    let attempts = phases::roll_out(&mut world, &mut figures)?;
    phases::reports(&world, &attempts, &mut figures)?;
    phases::without_news(&world, &mut figures)?;
    phases::connections(&world, &mut figures)?;
    println!("\n{} terminals, {} s each\n\n{}\n", args.devices, args.seconds, figures.table());
    if args.json {
        println!("{}", figures.json());
    }
    println!("{}", figures.verdict());
    Ok(if figures.within_goals() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl World {
    /// A database, a server, and a published release.
    fn start(args: &FleetArgs, folder: &Path) -> Result<Self> {
        let programs = Programs::find_these(&["refit", "refit-server"])?;
        let maker = Maker::new(&programs, &folder.join("keys"))?;
        let image = folder.join("image");
        std::fs::write(&image, b"a small image".repeat(10_000))?;
        let package = folder.join("update.zip");
        let details = Details::default();
        maker.pack(&Release { version: "2.0", index: 2, image: &image, details }, &package)?;
        let postgres = Postgres::start()?;
        let options = ["--database", &postgres.url(postgres.port())];
        let place = folder.join("server");
        let operator = Operator::start_with(&programs, &place, &maker.root(), &options)?;
        operator.publish(&package)?;
        let peers = args.folder.clone().unwrap_or_else(|| folder.join("peers"));
        std::fs::create_dir_all(&peers)?;
        Ok(Self {
            postgres,
            authority: Authority::new()?,
            folder: folder.into(),
            peers: peers.canonicalize().context("no folder for the peers")?,
            devices: args.devices,
            seconds: Duration::from_secs(args.seconds),
            heard: 0,
            empty: resident(operator.id())?,
            operator,
        })
    }

    /// The server, for connections that are made so.
    fn target(&self, sessions: Sessions) -> Result<Target> {
        let address = self.operator.address().trim_start_matches("https://").parse()?;
        Target::new(address, &self.operator.ca(), sessions)
    }

    /// A counter of the server.
    fn counter(&self, name: &str) -> Result<u64> {
        let token = std::fs::read_to_string(self.operator.token())?;
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
            token.trim()
        );
        let heard = line::Line::connect(&self.target(Sessions::Fresh)?)?.ask(request.as_bytes())?;
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.with_context(|| format!("the server counts no `{name}`: {}", heard.status))
    }

    /// The next `count` terminals that were not heard yet, at most those that there are.
    fn next(&mut self, count: u32) -> std::ops::Range<u32> {
        let first = self.heard;
        self.heard = first.saturating_add(count).min(self.devices);
        first..self.heard
    }
}

/// The memory of a process, in bytes, as the kernel counts it.
fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    Ok(kib.context("the system does not say how much memory is used")? << 10)
}

/// `whole` cut into `parts` pieces that follow each other.
fn parts(whole: std::ops::Range<u32>, parts: u32) -> Vec<std::ops::Range<u32>> {
    let size = (whole.end - whole.start).div_ceil(parts.max(1)).max(1);
    let begin = |part: u32| (whole.start + part * size).min(whole.end);
    (0..parts).map(|part| begin(part)..begin(part + 1)).collect()
}

/// A figure of the system as one of ours.
fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_shared_out_once() {
        let all: Vec<u32> = parts(5..1000, 7).into_iter().flatten().collect();
        assert_eq!(all, (5..1000).collect::<Vec<_>>());
        assert_eq!(
            parts(0..2, 4).iter().map(ExactSizeIterator::len).collect::<Vec<_>>(),
            [1, 1, 0, 0]
        );
    }
}
