//! Which server, whom to believe that it is that one, and with which token: from
//! the command line, else the environment, else what `refit login` kept.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where Debian and its relatives keep the certificates of public authorities.
const PUBLIC_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How to reach the server
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct Access {
    /// Address of the server, as <https://updates.example>
    #[arg(long, env = "REFIT_SERVER", global = true)]
    server: Option<String>,
    /// Certificate of the server's authority (PEM)
    #[arg(long, env = "REFIT_CA", global = true)]
    ca: Option<PathBuf>,
    /// File with the operator's token; REFIT_TOKEN may hold the token itself
    #[arg(long, global = true)]
    token_file: Option<PathBuf>,
}

/// Everything that a request needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Address of the server, without a slash at its end.
    pub(crate) server: String,
    /// PEM of the authorities to believe.
    pub(crate) ca: String,
    /// The operator's token.
    pub(crate) token: String,
}

impl Access {
    /// Puts together what is given and what is kept.
    pub(crate) fn account(&self) -> anyhow::Result<Account> {
        self.with(kept()?, std::env::var("REFIT_TOKEN").ok())
    }

    /// Puts together what is given, what `refit login` kept, and the environment's token.
    fn with(&self, kept: Option<Account>, token: Option<String>) -> anyhow::Result<Account> {
        let kept_server = kept.as_ref().map(|kept| kept.server.clone());
        let Some(server) = self.server.clone().or(kept_server) else {
            bail!("no server is named; use --server, REFIT_SERVER, or refit login")
        };
        let server = server.trim_end_matches('/').to_owned();
        // What is kept belongs to the kept server and is never shown to another.
        let kept = kept.filter(|kept| kept.server == server);
        let from_file = self.token_file.as_deref().map(read).transpose()?;
        let given = from_file.or(token).map(|token| token.trim().to_owned());
        let given = given.filter(|token| !token.is_empty());
        let Some(token) = given.or_else(|| kept.as_ref().map(|kept| kept.token.clone())) else {
            bail!("no operator's token is given; use --token-file, REFIT_TOKEN, or refit login")
        };
        let given = self.ca.as_deref().map(read).transpose()?;
        let ca = given.or_else(|| kept.map(|kept| kept.ca));
        let ca = ca.map_or_else(|| read(Path::new(PUBLIC_AUTHORITIES)), Ok)?;
        Ok(Account { server, ca, token })
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The file that `refit login` keeps.
pub(crate) fn file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("refit").join("server.toml"))
}

fn kept() -> anyhow::Result<Option<Account>> {
    let Some(path) = file().filter(|path| path.exists()) else { return Ok(None) };
    let account = toml::from_str(&read(&path)?);
    let context = || format!("{} is damaged; use refit login again", path.display());
    account.map(Some).with_context(context)
}

/// Keeps `account`, readable to its owner only.
pub(crate) fn keep(account: &Account) -> anyhow::Result<PathBuf> {
    let path = file().context("neither XDG_CONFIG_HOME nor HOME is set")?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(toml::to_string(account)?.as_bytes())?;
    std::fs::rename(&new, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Option<Account> {
        let text = str::to_owned;
        Some(Account { server: text("https://one"), ca: text("kept ca"), token: text("kept") })
    }

    fn check(server: Option<&str>, token: Option<&str>, expected: Option<(&str, &str)>) {
        let place = tempfile::tempdir().unwrap();
        let ca = place.path().join("ca.pem");
        std::fs::write(&ca, "given ca").unwrap();
        let ca = server.map(|_| ca);
        let access = Access { server: server.map(str::to_owned), ca, token_file: None };
        let account = access.with(kept(), token.map(str::to_owned)).ok();
        let got = account.as_ref().map(|a| (a.server.as_str(), a.token.as_str()));
        assert_eq!(got, expected, "{server:?} {token:?}");
    }

    #[test]
    fn what_is_given_goes_before_what_is_kept() {
        check(None, None, Some(("https://one", "kept")));
        check(None, Some("given\n"), Some(("https://one", "given")));
        check(Some("https://one/"), None, Some(("https://one", "kept")));
        check(Some("https://two"), Some("given"), Some(("https://two", "given")));
    }

    #[test]
    fn a_kept_token_is_shown_to_its_own_server_only() {
        check(Some("https://two"), None, None);
        check(Some("https://one.evil"), Some(""), None);
    }
}
