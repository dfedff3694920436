//! `refit login`: keeps a server's address, authority and token for later commands.

use super::access::{Access, keep};
use super::client::Client;
use protocols::operator::ReleaseList;

/// Keeps how to reach a server, once it let the token in
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Kept in refit/server.toml under XDG_CONFIG_HOME or ~/.config, for you only."
)]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let account = args.access.account()?;
    let _lets_in: ReleaseList = Client::new(account.clone())?.get("/api/v1/releases")?;
    let path = keep(&account)?;
    println!("{} lets you in; kept in {}", account.server, path.display());
    Ok(())
}
