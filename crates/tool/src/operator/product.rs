//! `refit product`: what becomes of terminals outside of their region.

use super::access::Access;
use super::client::Client;
use super::show::{json, table, word};
use protocols::operator::{ProductList, ProductRule};
use serde::de::DeserializeOwned;
use types::{Abroad, Elsewhere, Name};

/// Lists what is said of products, or says what becomes of a product's terminals outside
/// of their region in rollouts that do not say it themselves
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The product
    #[arg(requires = "policy")]
    product: Option<Name>,
    /// Terminals outside of the region that they were sold for: used, home, ask, nothing
    #[arg(long, value_name = "WORD", group = "policy", requires = "product", value_parser = written::<Abroad>)]
    abroad: Option<Abroad>,
    /// Terminals in none of the regions that a release is for: refuse, ask, allow
    #[arg(long, value_name = "WORD", group = "policy", requires = "product", value_parser = written::<Elsewhere>)]
    outside: Option<Elsewhere>,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// A word of the wire, as it is typed.
pub(super) fn written<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(text.into())
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let client = Client::new(args.access.account()?)?;
    let mut list: ProductList = client.get("/api/v1/products")?;
    if let Some(product) = &args.product {
        let known = list.products.iter().find(|rule| rule.product == *product);
        let (abroad, outside) =
            known.map_or_else(Default::default, |rule| (rule.abroad, rule.outside));
        let rule = ProductRule {
            product: product.clone(),
            abroad: args.abroad.unwrap_or(abroad),
            outside: args.outside.unwrap_or(outside),
        };
        list.products = vec![client.post("/api/v1/products", &rule)?];
    }
    if args.json {
        return json(&list);
    }
    let row = |rule: &ProductRule| {
        vec![rule.product.to_string(), word(&rule.abroad), word(&rule.outside)]
    };
    println!("{}", table(&["product", "abroad", "outside"], list.products.iter().map(row)));
    Ok(())
}
