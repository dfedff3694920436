//! Which static plans there are, and which files make the tree that serves them.

use crate::catalogue::Span;
use crate::clock;
use crate::problem::{Refusal, Reply};
use crate::wire::{App, Operator, json};
use axum::extract::State;
use axum::response::Response;
use protocols::operator::plans::{FileView, PlanList, PlanView, ReleaseFiles, Spread};

/// `GET /api/v1/plans`
pub(crate) async fn list(State(app): State<App>, _: Operator) -> Reply<Response> {
    let Some(press) = app.plans.get() else { return json(&PlanList::default()) };
    // What the operator did a moment ago is in it.
    app.renew_plans(clock::now()).map_err(|error| Refusal::broken(&error))?;
    let shelf = press.shelf();
    let plans = shelf.leaves().map(|leaf| PlanView {
        path: leaf.cohort.path(),
        product: leaf.cohort.product.clone(),
        channel: leaf.cohort.channel.clone(),
        expires: leaf.expires,
        rollouts: leaf
            .rollouts
            .iter()
            .map(|(rollout, asks)| Spread {
                rollout: rollout.clone(),
                asks: asks.map(|asks| asks.to_string().into()),
            })
            .collect(),
    });
    let releases = shelf.releases().filter_map(|manifest| {
        let published = app.catalogue.find(manifest)?;
        let file = |span: &Span| FileView { name: span.name.clone(), size: span.size };
        let files = published.entries.iter().map(file).collect();
        Some(ReleaseFiles { path: format!("r/{manifest}/"), files })
    });
    json(&PlanList {
        key: Some(press.key()),
        seconds: press.good_for().0,
        plans: plans.collect(),
        releases: releases.collect(),
    })
}
