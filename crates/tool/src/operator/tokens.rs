//! `refit enrol-token`: what lets terminals into the fleet.

use super::access::Access;
use super::client::Client;
use super::show::json;
use protocols::operator::{TokenList, TokenOrder};
use types::{DeviceId, Seconds};

/// Makes enrolment tokens, one line each; each is good for one terminal
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// For this terminal only; it may be one that is known and starts anew
    #[arg(long)]
    device: Option<DeviceId>,
    /// Seconds that they are good for
    #[arg(long, default_value_t = 7 * 24 * 3600)]
    valid_seconds: u32,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let valid_seconds = Seconds(args.valid_seconds);
    let order = TokenOrder { count: args.count, device: args.device.clone(), valid_seconds };
    let made: TokenList =
        Client::new(args.access.account()?)?.post("/api/v1/enrolment-tokens", &order)?;
    if args.json {
        return json(&made);
    }
    made.tokens.iter().for_each(|token| println!("{token}"));
    Ok(())
}
