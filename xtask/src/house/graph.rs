//! What Cargo says about the workspace: packages and who uses whom.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The platform whose dependencies are judged: others only add what nothing here
/// ever builds.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// One package of the dependency graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Name of the crate.
    pub name: String,
    /// Version of the crate.
    pub version: String,
    /// SPDX expression, where the crate states one.
    pub licence: Option<String>,
    /// It is one of ours.
    pub member: bool,
}

/// Why one package uses another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Linked into it, or run by its build.
    Needed,
    /// Used by its tests only.
    Tests,
}

/// All packages by id, and who uses whom.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The packages.
    pub packages: BTreeMap<String, Package>,
    /// User, used, and why.
    pub edges: BTreeSet<(String, String, Kind)>,
}

impl Graph {
    /// Asks Cargo about the workspace in `root`.
    ///
    /// # Errors
    /// Cargo fails, which includes a lock file that does not fit.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let mut command = Command::new(env!("CARGO"));
        command.args(["metadata", "--format-version", "1", "--locked"]);
        let text = output(command.args(["--filter-platform", PLATFORM]).current_dir(root))?;
        Self::read(&text)
    }

    /// Reads the JSON of `cargo metadata`.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let all: Value = serde_json::from_str(text).context("cargo's metadata is no JSON")?;
        let members: BTreeSet<&str> =
            list(field(&all, "workspace_members")).iter().filter_map(Value::as_str).collect();
        let mut graph = Self::default();
        for package in list(field(&all, "packages")) {
            let id = string(field(package, "id"));
            let member = members.contains(id.as_str());
            graph.packages.insert(id, read_package(package, member));
        }
        for node in list(field(field(&all, "resolve"), "nodes")) {
            for used in list(field(node, "deps")) {
                let edge = |kind| (string(field(node, "id")), string(field(used, "pkg")), kind);
                graph.edges.extend(list(field(used, "dep_kinds")).iter().map(read_kind).map(edge));
            }
        }
        ensure!(!graph.packages.is_empty(), "cargo's metadata names no package");
        Ok(graph)
    }

    /// The package with this id.
    pub(crate) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.get(id)
    }

    /// The packages that something needs, which leaves out what Cargo only lists.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Package> {
        let ids: BTreeSet<&String> =
            self.edges.iter().flat_map(|(user, used, _)| [user, used]).collect();
        ids.into_iter().filter_map(|id| self.packages.get(id))
    }
}

/// The names of all packages that the agent alone needs, with the features that it
/// alone asks for.
///
/// # Errors
/// Cargo fails.
pub(crate) fn agent_tree(root: &Path) -> Result<BTreeSet<String>> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--package", "agent", "--edges", "normal,build", "--locked"]);
    command.args(["--prefix", "none", "--format", "{p}", "--target", PLATFORM]);
    let text = output(command.current_dir(root))?;
    let names = text.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo does not understand the workspace: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read_package(package: &Value, member: bool) -> Package {
    Package {
        name: string(field(package, "name")),
        version: string(field(package, "version")),
        licence: field(package, "license").as_str().map(str::to_owned),
        member,
    }
}

fn read_kind(kind: &Value) -> Kind {
    if field(kind, "kind").as_str() == Some("dev") { Kind::Tests } else { Kind::Needed }
}

/// The field of an object; null where it is missing.
fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A graph of members (`name`) and others (`name version licence`), with edges
    /// `user -> used`; `user ~> used` is for tests.
    pub(crate) fn graph(packages: &[&str], edges: &[&str]) -> Graph {
        let mut graph = Graph::default();
        for text in packages {
            let mut words = text.splitn(3, ' ');
            let name = words.next().unwrap().to_owned();
            let version = words.next();
            let package = Package {
                name: name.clone(),
                version: version.unwrap_or("0.1.0").into(),
                licence: Some(words.next().unwrap_or("Apache-2.0").into()),
                member: version.is_none(),
            };
            let id = version.map_or(name.clone(), |version| format!("{name} {version}"));
            graph.packages.insert(id, package);
        }
        for text in edges {
            let (kind, arrow) =
                if text.contains("~>") { (Kind::Tests, " ~> ") } else { (Kind::Needed, " -> ") };
            let (user, used) = text.split_once(arrow).unwrap();
            graph.edges.insert((user.into(), used.into(), kind));
        }
        graph
    }

    #[test]
    fn metadata_is_read() {
        let graph = Graph::read(
            r#"{"workspace_members": ["a"], "packages": [
                {"id": "a", "name": "types", "version": "1.0.0", "license": "MIT"},
                {"id": "b", "name": "outer", "version": "2.0.0", "license": null}],
              "resolve": {"nodes": [{"id": "a", "deps": [
                {"pkg": "b", "dep_kinds": [{"kind": "build"}, {"kind": "dev"}]}]}]}}"#,
        )
        .unwrap();
        assert!(graph.package("a").unwrap().member);
        assert_eq!(graph.package("b").unwrap().licence, None);
        let edge = |kind| ("a".to_owned(), "b".to_owned(), kind);
        assert!(graph.edges.contains(&edge(Kind::Needed)));
        assert!(graph.edges.contains(&edge(Kind::Tests)));
        assert_eq!(graph.used().count(), 2);
        assert!(Graph::read("{}").is_err());
    }
}
