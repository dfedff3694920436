//! A real PostgreSQL of Debian, on a port of this machine, that ends with the lab.

use crate::clock::until;
use crate::process::{Running, bound_to_us, free_port, said};
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long its start may take.
const START: Duration = Duration::from_secs(60);

/// A PostgreSQL server with its data in a folder of its own. What is committed is on
/// the disk, as in the field.
#[derive(Debug)]
pub struct Postgres {
    // Ended before its folder goes.
    server: Option<Running>,
    port: u16,
    user: Option<u32>,
    /// What it finds in its environment besides.
    environment: Vec<(String, OsString)>,
    folder: TempDir,
}

impl Postgres {
    /// Makes a database and starts its server.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_under(Vec::new())
    }

    /// The same in another environment.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn start_under(environment: Vec<(String, OsString)>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("refit-postgres-").tempdir()?;
        // PostgreSQL refuses to run as root.
        let user = if geteuid().is_root() { Some(unprivileged()?) } else { None };
        if let Some(user) = user {
            chown(folder.path(), Some(user), None)?;
        }
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
        let mut initdb = as_user(user, &program("initdb")?);
        initdb.args(["-A", "trust", "-U", "refit", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        said(initdb.arg(folder.path().join("data"))).context("cannot make a database")?;
        let port = free_port()?;
        let mut postgres = Self { server: None, port, user, environment, folder };
        postgres.again()?;
        Ok(postgres)
    }

    /// Starts the server again, at the same port.
    ///
    /// # Errors
    /// It does not start.
    pub fn again(&mut self) -> Result<()> {
        let mut command = as_user(self.user, &program("postgres")?);
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=50"]);
        command.arg("-p").arg(self.port.to_string());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let log = self.folder.path().join("log");
        let mut server = Running::of(&mut command, &log)?;
        let port = self.port.to_string();
        until(START, "the start of PostgreSQL", || {
            if let Some(status) = server.ended()? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                anyhow::bail!("PostgreSQL ended with {status}: {}", said.trim());
            }
            let mut ready = Command::new(program("pg_isready")?);
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port, "-U", "refit"]);
            Ok(ready.status()?.success().then_some(()))
        })?;
        self.server = Some(server);
        Ok(())
    }

    /// Ends the server as a failure of its machine does: connections break, nothing
    /// is put in order.
    ///
    /// # Errors
    /// The system refuses.
    pub fn crash(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let id = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
        id.map_or(Ok(()), |id| kill_process(id, Signal::QUIT)).context("cannot end PostgreSQL")?;
        server.wait().map(drop)
    }

    /// The first value that `statement` gives, as text.
    ///
    /// # Errors
    /// PostgreSQL refuses it.
    pub fn ask(&self, statement: &str) -> Result<String> {
        let mut psql = Command::new(program("psql")?);
        psql.args(["-qtA", "-h", "127.0.0.1", "-U", "refit", "-d", "postgres", "-c", statement]);
        Ok(said(psql.arg("-p").arg(self.port.to_string()))?.trim().to_owned())
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database's address by way of `port`: its own, or one that leads there.
    pub fn url(&self, port: u16) -> String {
        format!("postgres://refit@127.0.0.1:{port}/postgres?sslmode=disable")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Asked to end, it leaves nothing behind in the system; if not, it is killed.
        let _ = self.crash();
    }
}

/// The number of the user that PostgreSQL's package makes, or of nobody.
fn unprivileged() -> Result<u32> {
    let users = std::fs::read_to_string("/etc/passwd").context("cannot list users")?;
    let number = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        line.split(':').nth(2)?.parse().ok()
    };
    number("postgres").or_else(|| number("nobody")).context("there is no unprivileged user")
}

/// `program` as `user`, ended with the thread that starts it.
fn as_user(user: Option<u32>, program: &Path) -> Command {
    let Some(user) = user else { return bound_to_us(program) };
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", &format!("--reuid={user}"), "--regid=65534"]);
    command.args(["--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

/// Debian keeps most programs of PostgreSQL out of the path.
fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let places = versions.map(|version| version.path().join("bin"));
    let mut places = places.chain(path.split(':').map(PathBuf::from)).map(|p| p.join(name));
    let found = places.find(|file| file.is_file());
    found.with_context(|| {
        format!("`{name}` is missing; install it with: apt-get install postgresql")
    })
}
