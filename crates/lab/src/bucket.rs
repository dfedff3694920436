//! A real S3-compatible store on this machine: moto's server, from PyPI.

use crate::clock::until;
use crate::process::{Programs, Running, bound_to_us, said};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long its start may take: it loads many things.
const START: Duration = Duration::from_secs(120);
/// What is installed.
const PACKAGE: &str = "moto[server]==5.2.5";
/// The bucket that is made.
const NAME: &str = "updates";

/// A store with one empty bucket. It forgets everything when it ends.
#[derive(Debug)]
pub struct Bucket {
    _server: Running,
    port: u16,
    _folder: TempDir,
}

impl Bucket {
    /// Installs the store if it is not there, starts it, and makes a bucket.
    ///
    /// # Errors
    /// It cannot be installed or does not start.
    pub fn start(programs: &Programs) -> Result<Self> {
        let program = installed(programs)?;
        let folder = tempfile::Builder::new().prefix("refit-bucket-").tempdir()?;
        let log = folder.path().join("log");
        let mut command = bound_to_us(&program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        let mut server = Running::of(&mut command, &log)?;
        let port = until(START, "the start of the S3-compatible store", || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            ensure!(server.ended()?.is_none(), "moto's server ended: {}", text.trim());
            Ok(port(&text))
        })?;
        let url = format!("http://127.0.0.1:{port}/{NAME}");
        ureq::put(&url).send_empty().context("cannot make a bucket")?;
        Ok(Self { _server: server, port, _folder: folder })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The names of all objects under `prefix`.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let url = format!("http://127.0.0.1:{}/{NAME}?list-type=2&prefix={prefix}", self.port);
        let mut answer = ureq::get(&url).call().context("cannot list the bucket")?;
        Ok(keys(&answer.body_mut().read_to_string().context("cannot list the bucket")?))
    }

    /// Options of `refit-server serve` by which it keeps its packages there, by way of
    /// `port`.
    pub fn options(&self, port: u16) -> Vec<String> {
        let endpoint = format!("http://127.0.0.1:{port}");
        let options = [
            ("--artifacts", format!("s3://{NAME}/packages")),
            ("--artifacts-endpoint", endpoint),
            ("--artifacts-region", "us-east-1".into()),
            ("--artifacts-key-id", "refit".into()),
            ("--artifacts-key", "of-no-value-to-anybody".into()),
        ];
        options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}

/// The names in a list of objects (`ListBucketResult`).
fn keys(list: &str) -> Vec<String> {
    let names = list.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn port(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("http://127.0.0.1:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The store's program, in an environment of its own beside what is built.
fn installed(programs: &Programs) -> Result<PathBuf> {
    let place = programs.folder().parent().unwrap_or(programs.folder()).join("peers/moto");
    let program = place.join("bin/moto_server");
    let done = place.join("done");
    if std::fs::read_to_string(&done).is_ok_and(|what| what == PACKAGE) {
        return Ok(program);
    }
    println!("installing {PACKAGE} from PyPI");
    install(&place)?;
    std::fs::write(done, PACKAGE)?;
    Ok(program)
}

fn install(place: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    said(venv.args(["-m", "venv", "--clear"]).arg(place))
        .context("cannot make a Python environment; try: apt-get install python3-venv")?;
    let mut pip = Command::new(place.join("bin/pip"));
    let options = ["install", "--quiet", "--disable-pip-version-check", "--no-compile", PACKAGE];
    said(pip.args(options)).context("cannot install from PyPI").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_list() {
        let list = "<R><Contents><Key>a/b</Key><Size>1</Size></Contents><Contents><Key>c</Key>";
        assert_eq!(keys(list), ["a/b", "c"]);
        assert!(keys("<R></R>").is_empty());
    }

    #[test]
    fn the_port_is_read_from_what_the_store_says() {
        assert_eq!(port(" * Running on http://127.0.0.1:4711\nPress"), Some(4711));
        assert_eq!(port("WARNING: this is a development server"), None);
    }
}
