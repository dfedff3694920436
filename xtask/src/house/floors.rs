//! The floors of ARCHITECTURE.md: a crate uses only crates of lower floors. Tests
//! and build scripts are held to it too.

use super::graph::Graph;

/// Every crate of the workspace with its floor.
const FLOORS: [(&str, u8); 13] = [
    ("types", 0),
    ("trust", 1),
    ("package", 1),
    ("delta", 1),
    ("engine", 2),
    ("fleet", 2),
    ("protocols", 2),
    ("agent", 3),
    ("server", 3),
    ("tool", 3),
    ("sim", 4),
    ("lab", 4),
    ("fuzz", 4),
];

/// Depends on no crate of the workspace, and none on it.
const OUTSIDE: &str = "xtask";

/// What each crate knows nothing of, though it lives on a lower floor: crate, and
/// the crates it never uses, directly or not.
const APART: [(&str, &[&str]); 2] = [
    ("protocols", &["engine", "fleet", "trust", "package", "delta"]),
    ("sim", &["server", "tokio"]),
];

/// Every crate that reaches up or sideways, and every crate without a floor.
pub(crate) fn faults(graph: &Graph) -> Vec<String> {
    let mut faults = strangers(graph);
    faults.extend(graph.edges.iter().filter_map(|(user, used, _)| edge_fault(graph, user, used)));
    faults.extend(APART.iter().flat_map(|(user, apart)| apart_faults(graph, user, apart)));
    faults.dedup();
    faults
}

fn strangers(graph: &Graph) -> Vec<String> {
    let members = graph.packages.values().filter(|p| p.member && p.name != OUTSIDE);
    let unplaced = members.filter(|p| floor(&p.name).is_none());
    unplaced.map(|p| format!("`{}` has no floor: add it to the table", p.name)).collect()
}

fn edge_fault(graph: &Graph, user: &str, used: &str) -> Option<String> {
    let (user, used) = (graph.package(user)?, graph.package(used)?);
    if !user.member || !used.member || user.name == used.name {
        return None;
    }
    let below = match (floor(&user.name), floor(&used.name)) {
        (Some(user), Some(used)) => used < user,
        _ => false,
    };
    (!below).then(|| format!("`{}` must not use `{}`", user.name, used.name))
}

/// What `user` needs, directly or not, of `apart`.
fn apart_faults(graph: &Graph, user: &str, apart: &[&str]) -> Vec<String> {
    let mut reached = vec![user.to_owned()];
    let mut at = 0;
    while let Some(name) = reached.get(at).cloned() {
        for used in needed_by(graph, &name) {
            if !reached.contains(&used) {
                reached.push(used);
            }
        }
        at += 1;
    }
    let met = apart.iter().filter(|name| reached.iter().any(|reached| reached == *name));
    met.map(|name| format!("`{user}` must not need `{name}`, not even through others")).collect()
}

fn needed_by(graph: &Graph, name: &str) -> Vec<String> {
    use super::graph::Kind;
    let edges = graph.edges.iter().filter(|(user, _, kind)| {
        *kind == Kind::Needed && graph.package(user).is_some_and(|p| p.name == name)
    });
    edges.filter_map(|(_, used, _)| Some(graph.package(used)?.name.clone())).collect()
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, floor)| *floor)
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::*;

    fn check(packages: &[&str], edges: &[&str], want: &[&str]) {
        assert_eq!(faults(&graph(packages, edges)), want, "{edges:?}");
    }

    #[test]
    fn down_is_allowed() {
        check(&["types", "trust", "agent"], &["trust -> types", "agent -> trust"], &[]);
        check(&["fleet"], &["fleet ~> fleet"], &[]);
        check(&["types", "serde 1.0.0 MIT"], &["types -> serde 1.0.0"], &[]);
    }

    #[test]
    fn up_and_sideways_are_found() {
        check(&["types", "agent"], &["types -> agent"], &["`types` must not use `agent`"]);
        check(&["trust", "package"], &["package -> trust"], &["`package` must not use `trust`"]);
        check(&["trust", "delta"], &["delta ~> trust"], &["`delta` must not use `trust`"]);
        check(&["xtask", "types"], &["xtask -> types"], &["`xtask` must not use `types`"]);
        check(&["xtask", "lab"], &["lab -> xtask"], &["`lab` must not use `xtask`"]);
    }

    #[test]
    fn what_must_stay_apart_is_found_through_others() {
        check(
            &["sim", "agent", "tokio 1.0.0 MIT"],
            &["sim -> agent", "agent -> tokio 1.0.0"],
            &["`sim` must not need `tokio`, not even through others"],
        );
    }

    #[test]
    fn a_new_crate_needs_a_floor() {
        check(&["utils"], &[], &["`utils` has no floor: add it to the table"]);
    }
}
