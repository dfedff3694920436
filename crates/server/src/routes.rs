//! Every route of the server in one table, which the OpenAPI document must match.

use crate::northbound::{
    devices, export, health, jobs, logs, metrics, plans, products, releases, rollouts, tokens,
};
use crate::problem::Refusal;
use crate::southbound::{artifact, native, plan};
use crate::wire::App;
use axum::Router;
use axum::routing::{MethodRouter, get, post, put};

/// A path with what it answers.
type Route = (&'static str, &'static [&'static str], MethodRouter<App>);

fn table() -> Vec<Route> {
    vec![
        ("/health", &["get"], get(health::health)),
        ("/v1/openapi.json", &["get"], get(health::openapi)),
        ("/metrics", &["get"], get(metrics::metrics)),
        ("/v1/enrol", &["post"], post(native::enrol)),
        ("/v1/heartbeat", &["post"], post(native::heartbeat)),
        ("/v1/reports", &["post"], post(native::reports)),
        ("/v1/logs", &["post"], post(native::logs)),
        ("/v1/progress", &["post"], post(native::progress)),
        ("/v1/a/{ticket}/{*entry}", &["get"], get(artifact::artifact)),
        ("/v1/static/p/{product}/{file}", &["get"], get(plan::plan)),
        ("/v1/static/r/{manifest}/{*entry}", &["get"], get(plan::entry)),
        ("/api/v1/plans", &["get"], get(plans::list)),
        ("/api/v1/root", &["put"], put(releases::put_root)),
        ("/api/v1/releases", &["get", "post"], get(releases::list).post(releases::publish)),
        ("/api/v1/enrolment-tokens", &["post"], post(tokens::make)),
        ("/api/v1/rollouts", &["get", "post"], get(rollouts::list).post(rollouts::make)),
        ("/api/v1/releases/{manifest}/needs", &["post"], post(releases::needs)),
        ("/api/v1/releases/{manifest}/withdraw", &["post"], post(releases::withdraw)),
        ("/api/v1/releases/{manifest}/deltas", &["get"], get(jobs::deltas)),
        ("/api/v1/jobs", &["get"], get(jobs::list)),
        ("/api/v1/jobs/{id}/cancel", &["post"], post(jobs::cancel)),
        ("/api/v1/jobs/{id}/retry", &["post"], post(jobs::retry)),
        ("/api/v1/stop", &["post"], post(rollouts::stop)),
        ("/api/v1/labels", &["post"], post(devices::relabel)),
        ("/api/v1/import", &["post"], post(devices::import)),
        ("/api/v1/groups", &["get", "post"], get(devices::groups).post(devices::put_group)),
        ("/api/v1/products", &["get", "post"], get(products::list).post(products::put)),
        ("/api/v1/rollouts/plan", &["post"], post(rollouts::plan)),
        ("/api/v1/rollouts/{id}/failures", &["get"], get(rollouts::failures)),
        ("/api/v1/rollouts/{id}", &["get"], get(rollouts::one)),
        ("/api/v1/rollouts/{id}/start", &["post"], post(rollouts::start)),
        ("/api/v1/rollouts/{id}/pause", &["post"], post(rollouts::pause)),
        ("/api/v1/rollouts/{id}/resume", &["post"], post(rollouts::resume)),
        ("/api/v1/rollouts/{id}/halt", &["post"], post(rollouts::halt_now)),
        ("/api/v1/rollouts/{id}/advance", &["post"], post(rollouts::advance)),
        ("/api/v1/rollouts/{id}/retry", &["post"], post(rollouts::retry)),
        ("/api/v1/export/reports", &["get"], get(export::reports)),
        ("/api/v1/export/logs", &["get"], get(logs::export)),
        ("/api/v1/logs", &["get"], get(logs::list)),
        ("/api/v1/devices", &["get"], get(devices::list)),
        ("/api/v1/devices/{id}", &["get"], get(devices::one)),
        ("/api/v1/devices/{id}/timeline", &["get"], get(devices::timeline)),
        ("/api/v1/devices/{id}/explain", &["get"], get(devices::explain)),
        ("/api/v1/devices/{id}/reports", &["get"], get(devices::reports)),
    ]
}

/// The router of all routes.
pub(crate) fn router(app: App) -> Router {
    let add = |router: Router<App>, (path, _, methods): Route| {
        router.route(path, methods.fallback(no_such_method))
    };
    table().into_iter().fold(Router::new(), add).fallback(no_such_path).with_state(app)
}

async fn no_such_path() -> Refusal {
    Refusal::absent("such path")
}

async fn no_such_method() -> Refusal {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    Refusal::new(status, "the path has no such method", "compare it with /v1/openapi.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_names_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(health::OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        let path = |path: &str| path.replace("{*entry}", "{entry}");
        let served: BTreeSet<(String, String)> = table()
            .iter()
            .flat_map(|(p, methods, _)| methods.iter().map(|m| (path(p), (*m).to_owned())))
            .collect();
        assert_eq!(documented, served);
    }

    #[test]
    fn every_reference_of_the_document_is_there() {
        let document: serde_json::Value = serde_json::from_str(health::OPENAPI).unwrap();
        let mut rest = health::OPENAPI;
        while let Some((_, tail)) = rest.split_once("\"$ref\": \"#") {
            let (pointer, tail) = tail.split_once('"').unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            rest = tail;
        }
    }
}
