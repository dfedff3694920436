//! What operators say of whole products.

use super::rows::{json, parsed, to_json};
use super::statement::{Row, query};
use super::{Stored, Tx};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::{Abroad, Elsewhere, Name};

/// What becomes of terminals outside of their region, unless a rollout says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct RegionPolicy {
    /// Those outside of the region that they were sold for.
    #[serde(default)]
    pub(crate) abroad: Abroad,
    /// Those in none of the regions that a release is for.
    #[serde(default)]
    pub(crate) outside: Elsewhere,
}

impl Tx {
    /// Writes the policy of a product.
    pub(crate) async fn put_product(&mut self, product: &Name, policy: RegionPolicy) -> Stored<()> {
        let text = "INSERT INTO products (product, policy) VALUES ($1, $2) \
                    ON CONFLICT (product) DO UPDATE SET policy = excluded.policy";
        let statement = query(text).bind(product.as_str()).bind(to_json(&policy, "policy")?);
        self.run(statement).await.map(drop)
    }

    /// The products that have a policy, by name.
    pub(crate) async fn products(&mut self) -> Stored<BTreeMap<Name, RegionPolicy>> {
        let rows = self.all(query("SELECT product, policy FROM products")).await?;
        let read =
            |row: &Row| Ok((parsed(row, "product", "product")?, json(row, "policy", "product")?));
        rows.iter().map(read).collect()
    }
}
