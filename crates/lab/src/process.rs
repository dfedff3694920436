//! Real programs as children that cannot outlive the lab.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// Where the programs of the workspace are: beside this one.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
    /// What servers find in their environment besides.
    environment: Vec<(String, OsString)>,
}

impl Programs {
    /// Looks beside the running program, and one folder up, where test programs have
    /// the real ones.
    ///
    /// # Errors
    /// They are not built.
    pub fn find() -> Result<Self> {
        Self::find_these(&["refit", "refit-agent", "refit-server"])
    }

    /// Looks for these only.
    ///
    /// # Errors
    /// They are not built.
    pub fn find_these(all: &[&str]) -> Result<Self> {
        let own = std::env::current_exe().context("cannot find out which program this is")?;
        let places = own.ancestors().skip(1).take(2);
        let complete = |place: &&Path| all.iter().all(|name| place.join(name).is_file());
        let found = places.into_iter().find(complete);
        let found = found.context("the programs are not built: cargo build --workspace --bins")?;
        Ok(Self { folder: found.into(), environment: Vec::new() })
    }

    /// The same, with servers in another environment.
    pub fn under(&self, environment: Vec<(String, OsString)>) -> Self {
        Self { environment, ..self.clone() }
    }

    /// What servers find in their environment besides.
    pub fn environment(&self) -> &[(String, OsString)] {
        &self.environment
    }

    /// The folder that they are in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The maker's and the operator's tool.
    pub fn refit(&self) -> Command {
        Command::new(self.folder.join("refit"))
    }

    /// The agent's file.
    pub fn agent(&self) -> PathBuf {
        self.folder.join("refit-agent")
    }

    /// The server's file.
    pub fn server(&self) -> PathBuf {
        self.folder.join("refit-server")
    }
}

/// A child that ends with this value, and with the lab whatever happens to it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts `program`; what it says goes to the end of the file `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Path, arguments: &[&OsStr], log: &Path) -> Result<Self> {
        Self::of(bound_to_us(program).args(arguments), log)
    }

    /// Starts `command`, which [`bound_to_us`] made; what it says goes to the end of
    /// the file `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn of(command: &mut Command, log: &Path) -> Result<Self> {
        // Before its own arguments are those of what binds it.
        let name = command.get_args().nth(3).map(Path::new).and_then(Path::file_name);
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        let out = File::options().create(true).append(true).open(log);
        let out = out.with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The system does not say.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot watch {}", self.name))
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.kill();
    }
}

/// The command that runs `program` and is killed with the thread that starts it.
/// `setpriv` asks the system for that and then becomes the program.
pub fn bound_to_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs `command` to its end; standard output as text.
///
/// # Errors
/// It cannot be started or fails; then the text has what it said.
pub fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start `{name}`"))?;
    ensure_well(&name, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ensure_well(name: &str, output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{name}` ended with {}: {}", output.status, said.trim());
    Ok(())
}

/// A program of the system, also where only administrators look for it.
///
/// # Errors
/// It is not installed; the text says what to do.
pub fn system(program: &str, package: &str) -> Result<Command> {
    let path = std::env::var("PATH").unwrap_or_default();
    for place in path.split(':').chain(["/usr/sbin", "/sbin"]) {
        let file = Path::new(place).join(program);
        if file.is_file() {
            return Ok(Command::new(file));
        }
    }
    bail!("`{program}` is missing; install it with: apt-get install {package}")
}

/// A port of the loopback interface on which nobody listens, as the system picks it.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What `command` makes of `input`.
pub(crate) fn through(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot start `{name}`"))?;
    let mut pipe = child.stdin.take().context("no pipe")?;
    let output = std::thread::scope(|scope| {
        let writing = scope.spawn(move || pipe.write_all(input));
        let output = child.wait_with_output();
        // A program that stops reading has failed, which its status says.
        let _ = writing.join();
        output
    })?;
    ensure!(output.status.success(), "`{name}` ended with {}", output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::until;
    use std::time::Duration;

    #[test]
    fn a_child_ends_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let sleep = system("sleep", "coreutils").unwrap();
        let program = Path::new(sleep.get_program());
        let child = Running::start(program, &[OsStr::new("600")], &log).unwrap();
        let place = PathBuf::from(format!("/proc/{}", child.id()));
        assert!(place.exists());
        drop(child);
        assert!(!place.exists());
    }

    #[test]
    fn what_a_failing_program_says_is_told() {
        let mut shell = Command::new("sh");
        let error = said(shell.args(["-c", "echo no >&2; exit 4"])).unwrap_err().to_string();
        assert!(error.contains("exit status: 4") && error.ends_with("no"), "{error}");
        assert_eq!(said(Command::new("echo").arg("yes")).unwrap(), "yes\n");
        assert!(system("no-such-program", "nothing").is_err());
    }

    #[test]
    fn an_end_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let program = system("false", "coreutils").unwrap();
        let program = Path::new(program.get_program());
        let mut child = Running::start(program, &[], &dir.path().join("log")).unwrap();
        let status = until(Duration::from_secs(60), "the end", || child.ended()).unwrap();
        assert_eq!(status.code(), Some(1));
    }
}
