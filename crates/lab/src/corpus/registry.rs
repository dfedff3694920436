//! The machine's own Debian mirror, asked by an apt of our own: other architectures
//! and releases than the machine's, without touching its configuration.
//!
//! Deliberately absent: names of mirrors. They are the machine's.

use super::index::{Index, Package};
use crate::process::{said, system};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Signs Debian's suites.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How many packages one apt fetches.
const BATCH: usize = 40;

/// One architecture's part of the mirror.
pub(super) struct Registry {
    architecture: &'static str,
    conf: PathBuf,
    pool: PathBuf,
    pub(super) index: Index,
}

/// Addresses of the mirror.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    archive: String,
    security: Option<String>,
    settings: String,
}

impl Mirror {
    /// The one that this machine is set up with.
    pub(super) fn of_this_machine() -> Result<Self> {
        let mut targets = system("apt-get", "apt")?;
        let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
        let text = said(targets.args(["indextargets", "--format", format]))?;
        let find = |label: &str| {
            let wanted = format!("Debian|{label}|");
            text.lines().find_map(|line| line.strip_prefix(&wanted)).map(str::to_owned)
        };
        let archive = find("Debian").context("apt of this machine knows no Debian archive")?;
        // Proxies and such count for our apt, too.
        let all = said(system("apt-config", "apt")?.arg("dump"))?;
        let ours = |line: &&str| line.starts_with("Acquire::http");
        let settings = all.lines().filter(ours).map(|line| format!("{line}\n")).collect();
        Ok(Self { archive, security: find("Debian-Security"), settings })
    }

    fn sources(&self, architecture: &str, releases: &[&str]) -> String {
        let line = |address: &str, suite: &str| {
            format!("deb [arch={architecture} signed-by={KEYRING}] {address} {suite} main\n")
        };
        let mut text = String::new();
        for release in releases {
            text += &line(&self.archive, release);
            text += &line(&self.archive, &format!("{release}-updates"));
            if let Some(security) = &self.security {
                text += &line(security, &format!("{release}-security"));
            }
        }
        text
    }
}

impl Registry {
    /// Takes the index that `folder` has, or fetches it first.
    pub(super) fn open(
        folder: &Path,
        architecture: &'static str,
        releases: &[&str],
    ) -> Result<Self> {
        let state = folder.join(format!("apt-{architecture}"));
        let conf = state.join("apt.conf");
        let complete = state.join(format!("complete-{}", releases.join("-")));
        if !complete.exists() {
            println!("  asking the mirror what it has for {architecture}");
            update(&state, &conf, architecture, releases)?;
            fs::write(&complete, "")?;
        }
        let index = Index::read(&state.join("lists"))?;
        for release in releases {
            ensure!(index.has(release), "the mirror has no `{release}` for {architecture}");
        }
        let pool = folder.join("pool");
        fs::create_dir_all(&pool)?;
        Ok(Self { architecture, conf, pool, index })
    }

    /// The suites that there are, of those that there should be.
    pub(super) fn suites(&self, releases: &[&str]) -> Vec<String> {
        let ends = ["", "-updates", "-security"];
        let all = releases.iter().flat_map(|r| ends.map(|end| format!("{r}{end}")));
        all.filter(|suite| self.index.has(suite)).collect()
    }

    /// The file of a package, once it was fetched.
    pub(super) fn file(&self, package: &Package) -> PathBuf {
        let Package { name, version, architecture, .. } = package;
        let version = version.replace(':', "%3a");
        self.pool.join(format!("{name}_{version}_{architecture}.deb"))
    }

    /// Fetches what is not there yet. A package that the mirror lists but does not
    /// give is said and missing afterwards: the mirror moves.
    pub(super) fn fetch(&self, packages: &[&Package]) -> Result<()> {
        let missing: BTreeSet<String> = packages
            .iter()
            .filter(|package| !self.file(package).exists())
            .map(|package| format!("{}={}", package.name, package.version))
            .collect();
        let missing: Vec<String> = missing.into_iter().collect();
        for (at, batch) in missing.chunks(BATCH).enumerate() {
            let (from, all) = (at * BATCH + 1, missing.len());
            println!("  fetching {} packages from {from} of {all} on", self.architecture);
            if said(self.apt()?.arg("download").args(batch)).is_err() {
                for one in batch {
                    if let Err(error) = said(self.apt()?.arg("download").arg(one)) {
                        println!("  the mirror does not give {one}: {error:#}");
                    }
                }
            }
        }
        Ok(())
    }

    fn apt(&self) -> Result<Command> {
        let mut apt = system("apt-get", "apt")?;
        apt.current_dir(&self.pool).env("APT_CONFIG", &self.conf).arg("--quiet");
        Ok(apt)
    }
}

fn update(state: &Path, conf: &Path, architecture: &str, releases: &[&str]) -> Result<()> {
    let mirror = Mirror::of_this_machine()?;
    for folder in ["lists/partial", "cache/archives/partial", "etc/apt.conf.d"] {
        fs::create_dir_all(state.join(folder))?;
    }
    fs::write(state.join("status"), "")?;
    fs::write(state.join("sources.list"), mirror.sources(architecture, releases))?;
    let at = state.canonicalize()?;
    let at = at.display();
    let text = format!(
        "Dir::Etc \"{at}/etc\";\nDir::Etc::sourcelist \"{at}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\nDir::State \"{at}\";\n\
         Dir::State::lists \"{at}/lists\";\nDir::State::status \"{at}/status\";\n\
         Dir::Cache \"{at}/cache\";\nAPT::Architecture \"{architecture}\";\n\
         APT::Architectures {{ \"{architecture}\"; }};\nAPT::Sandbox::User \"\";\n\
         Acquire::Languages \"none\";\nAcquire::GzipIndexes \"false\";\n{}",
        mirror.settings
    );
    fs::write(conf, text)?;
    let mut apt = system("apt-get", "apt")?;
    apt.env("APT_CONFIG", conf).args(["--quiet", "update"]);
    // It fails when one of the suites is not there for this architecture; which ones
    // are there is looked at afterwards.
    if let Err(error) = said(&mut apt) {
        println!("  not all of it: {}", error.to_string().lines().next().unwrap_or_default());
    }
    Ok(())
}
