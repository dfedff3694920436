//! What is said of whole products: what becomes of terminals outside of their region.

use crate::clock;
use crate::problem::Reply;
use crate::store::RegionPolicy;
use crate::wire::{App, Decoded, Operator, json};
use axum::extract::State;
use axum::response::Response;
use protocols::operator::{ProductList, ProductRule};
use types::Name;

/// `GET /api/v1/products`
pub(crate) async fn list(State(app): State<App>, _: Operator) -> Reply<Response> {
    let known = app.store.begin().await?.products().await?;
    let rule = |(product, policy): (Name, RegionPolicy)| ProductRule {
        product,
        abroad: policy.abroad,
        outside: policy.outside,
    };
    json(&ProductList { products: known.into_iter().map(rule).collect() })
}

/// `POST /api/v1/products`: says it of one product; rollouts that are made later heed it.
pub(crate) async fn put(
    State(app): State<App>,
    _: Operator,
    Decoded(rule): Decoded<ProductRule>,
) -> Reply<Response> {
    let policy = RegionPolicy { abroad: rule.abroad, outside: rule.outside };
    app.put_product(&rule.product, policy, clock::now()).await?;
    json(&rule)
}
