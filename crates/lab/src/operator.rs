//! The operator's side: the real server, and the real tool that talks to it.

use crate::clock::until;
use crate::process::{Programs, Running, bound_to_us, said};
use anyhow::{Context, Result, ensure};
use protocols::operator::plans::PlanList;
use protocols::operator::{
    DeltaList, DeviceDetail, DeviceList, DeviceView, Explanation, Imports, LogList, ReleaseView,
    RolloutView, TokenList,
};
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a start of the server may take.
const START: Duration = Duration::from_secs(30);

/// A running server and its operator.
#[derive(Debug)]
pub struct Operator {
    programs: Programs,
    folder: PathBuf,
    address: String,
    token: PathBuf,
    options: Vec<String>,
    server: Running,
}

impl Operator {
    /// Starts a server with its data in `folder`, on a port that the system picks,
    /// for packages of the maker whose root of trust is `root`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(programs: &Programs, folder: &Path, root: &Path) -> Result<Self> {
        Self::start_with(programs, folder, root, &[])
    }

    /// The same with more `options` of `refit-server serve`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_with(
        programs: &Programs,
        folder: &Path,
        root: &Path,
        options: &[&str],
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let root = root.as_os_str();
        let mut first = vec![OsStr::new("--root"), root];
        first.extend(options.iter().map(OsStr::new));
        let (server, address) = serve(programs, folder, "127.0.0.1:0", &first)?;
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let (programs, folder) = (programs.clone(), folder.to_path_buf());
        let token = folder.join("operator.token");
        Ok(Self { programs, folder, address, token, options, server })
    }

    /// Starts another server of the same fleet, with its data in `folder`. The
    /// operator's token is the first one's.
    ///
    /// # Errors
    /// It does not start.
    pub fn another(&self, folder: &Path, options: &[&str]) -> Result<Self> {
        self.another_of(&self.programs, folder, options)
    }

    /// The same with programs that may be in another environment.
    ///
    /// # Errors
    /// It does not start.
    pub fn another_of(&self, programs: &Programs, folder: &Path, options: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let words: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        let (server, address) = serve(programs, folder, "127.0.0.1:0", &words)?;
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let (programs, folder) = (programs.clone(), folder.to_path_buf());
        Ok(Self { programs, folder, address, token: self.token.clone(), options, server })
    }

    /// `kill -9` of the server.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// `kill -9` of the server, and a new one at the same address.
    ///
    /// # Errors
    /// It does not start again.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.server.kill()?;
        let listen = self.address.trim_start_matches("https://").to_owned();
        let options: Vec<&OsStr> = self.options.iter().map(OsStr::new).collect();
        let (server, address) = serve(&self.programs, &self.folder, &listen, &options)?;
        ensure!(address == self.address, "the server came back at another address");
        self.server = server;
        Ok(())
    }

    /// The server's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The certificate of its authority.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The operator's token.
    pub fn token(&self) -> PathBuf {
        self.token.clone()
    }

    /// The server's number in the system.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// Makes the terminals of a factory's file known. Returns how many are new.
    ///
    /// # Errors
    /// The server refuses, or the file is none.
    pub fn import(&self, file: &Path) -> Result<u32> {
        let words = [OsStr::new("device"), OsStr::new("import"), file.as_os_str()];
        Ok(self.refit::<Imports>(&words)?.added)
    }

    /// Publishes a package.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn publish(&self, package: &Path) -> Result<ReleaseView> {
        self.refit(&[OsStr::new("publish"), package.as_os_str()])
    }

    /// Makes enrolment tokens.
    ///
    /// # Errors
    /// The server refuses.
    pub fn tokens(&self, count: usize) -> Result<Vec<String>> {
        let count = count.to_string();
        let list: TokenList = self.words(&["enrol-token", "--count", &count])?;
        Ok(list.tokens)
    }

    /// Makes and starts a rollout; `options` are those of `refit rollout create`.
    ///
    /// # Errors
    /// The server refuses.
    pub fn roll_out(&self, name: &str, version: &str, options: &[&str]) -> Result<RolloutView> {
        let create = ["rollout", "create", "--start", "--name", name, "--release", version];
        self.words(&[&create, options].concat())
    }

    /// How a rollout goes.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn rollout(&self, id: &str) -> Result<RolloutView> {
        self.words(&["rollout", "status", id])
    }

    /// The deltas that the server made to a release, by its version.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn deltas(&self, version: &str) -> Result<DeltaList> {
        #[derive(serde::Deserialize)]
        struct Shown {
            deltas: DeltaList,
        }
        Ok(self.words::<Shown>(&["release", "show", version])?.deltas)
    }

    /// What terminals told of their attempts in a rollout, where it holds `text`.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn logs(&self, rollout: &str, text: &str) -> Result<LogList> {
        self.words(&["logs", "--rollout", rollout, "--text", text])
    }

    /// All terminals.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn devices(&self) -> Result<Vec<DeviceView>> {
        Ok(self.words::<DeviceList>(&["devices"])?.devices)
    }

    /// One terminal with its attempts.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn device(&self, name: &str) -> Result<DeviceDetail> {
        self.words(&["devices", name])
    }

    /// Which rule decides about a terminal.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn explain(&self, name: &str) -> Result<Explanation> {
        self.words(&["explain", name])
    }

    /// Writes the tree of static files to `folder`, and says what is in it.
    ///
    /// # Errors
    /// The server makes none, or the folder cannot be written.
    pub fn export_plans(&self, folder: &Path) -> Result<PlanList> {
        self.refit(&[OsStr::new("plan"), OsStr::new("export"), folder.as_os_str()])
    }

    fn words<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T> {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        self.refit(&words)
    }

    fn refit<T: DeserializeOwned>(&self, words: &[&OsStr]) -> Result<T> {
        let mut command = self.programs.refit();
        self.access(command.args(words).arg("--json"));
        let text = said(&mut command)?;
        serde_json::from_str(&text).with_context(|| format!("`refit` said {text:?}"))
    }

    fn access(&self, command: &mut Command) {
        command.arg("--server").arg(&self.address).arg("--ca").arg(self.ca());
        command.arg("--token-file").arg(self.token());
    }

    /// How a person talks to this server, as a command line.
    pub fn how_to(&self, words: &str) -> String {
        let mut command = self.programs.refit();
        self.access(command.args(words.split(' ')));
        format!("{command:?}").replace('"', "")
    }
}

fn serve(
    programs: &Programs,
    folder: &Path,
    listen: &str,
    options: &[&OsStr],
) -> Result<(Running, String)> {
    let ready = folder.join("ready");
    if ready.exists() {
        std::fs::remove_file(&ready)?;
    }
    let mut words =
        ["serve", "--listen", listen, "--poll-seconds", "1", "--stranger-quota", "100000"]
            .map(OsStr::new)
            .to_vec();
    words.extend([OsStr::new("--data"), folder.as_os_str()]);
    words.extend([OsStr::new("--ready-file"), ready.as_os_str()]);
    words.extend(options);
    let log = folder.join("log");
    let mut command = bound_to_us(&programs.server());
    let environment = programs.environment().iter().map(|(name, value)| (name, value));
    let mut server = Running::of(command.args(&words).envs(environment), &log)?;
    let address = until(START, "the server's start", || {
        if let Some(status) = server.ended()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            anyhow::bail!("the server ended with {status}: {}", said.trim());
        }
        Ok(std::fs::read_to_string(&ready).ok())
    })?;
    Ok((server, address))
}
