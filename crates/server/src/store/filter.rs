//! Filters as conditions in SQL, beside the matcher in memory: the same answer.
//!
//! Nothing that an operator wrote gets into the text: words of the schema and numbers
//! of parameters only. The engines differ in one operator, that for patterns.

use super::rows::parsed;
use super::statement::{Value, query};
use super::{Stored, Tx};
use fleet::filter::{Ask, Filter, Key, Node, Pattern, Relation, rank};
use sqlx::AssertSqlSafe;
use types::DeviceId;

impl Tx {
    /// The names of up to `limit` terminals that `filter` holds for, behind `after`.
    pub(crate) async fn find_devices(
        &mut self,
        filter: &Filter,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Stored<Vec<DeviceId>> {
        let mut condition = Condition { postgres: self.line.is_postgres(), values: Vec::new() };
        let after = condition.value(after.map_or("", DeviceId::as_str));
        let limit = condition.value(i64::from(limit));
        let holds = condition.of(filter.node());
        let text = format!(
            "SELECT d.device FROM devices d WHERE d.device > {after} AND {holds} \
             ORDER BY d.device LIMIT {limit}"
        );
        let statement = query(AssertSqlSafe(text));
        let statement = condition.values.into_iter().fold(statement, |s, value| s.bind(value));
        self.all(statement).await?.iter().map(|row| parsed(row, "device", "terminal")).collect()
    }
}

/// A condition in the making.
struct Condition {
    postgres: bool,
    values: Vec<Value>,
}

impl Condition {
    /// Adds a parameter. Returns how it is written.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn of(&mut self, node: &Node) -> String {
        match node {
            Node::All(nodes) => self.joined(nodes, " AND "),
            Node::Any(nodes) => self.joined(nodes, " OR "),
            Node::Test(key, ask) => self.test(key, ask),
        }
    }

    fn joined(&mut self, nodes: &[Node], by: &str) -> String {
        let parts: Vec<String> = nodes.iter().map(|node| self.of(node)).collect();
        format!("({})", parts.join(by))
    }

    fn test(&mut self, key: &Key, ask: &Ask) -> String {
        let (word, name) = key.parts();
        let mut of = format!("w.word = {}", self.value(word));
        if let Some(name) = name {
            of += &format!(" AND w.name = {}", self.value(name.as_str()));
        }
        let (not, holds) = match ask {
            Ask::In(patterns) => ("", self.fits(patterns)),
            Ask::NotIn(patterns) => ("NOT ", self.fits(patterns)),
            Ask::Ranks(relation, bound) => ("", self.ranks(*relation, bound)),
        };
        format!(
            "{not}EXISTS (SELECT 1 FROM device_words w \
             WHERE w.device = d.device AND {of} AND {holds})"
        )
    }

    fn ranks(&mut self, relation: Relation, bound: &str) -> String {
        let sign = match relation {
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
        };
        format!("w.rank {sign} {}", self.value(rank(bound)))
    }

    fn fits(&mut self, patterns: &[Pattern]) -> String {
        let fit = |Pattern(pieces): &Pattern| match &pieces[..] {
            [only] => format!("w.value = {}", self.value(only.as_str())),
            // Both stand for any characters, in upper and lower case as they are.
            pieces if self.postgres => {
                format!("w.value LIKE {}", self.value(pattern(pieces, "%", r"\%_", r"\", "")))
            }
            pieces => format!("w.value GLOB {}", self.value(pattern(pieces, "*", "*?[", "[", "]"))),
        };
        let parts: Vec<String> = patterns.iter().map(fit).collect();
        format!("({})", parts.join(" OR "))
    }
}

/// A pattern with `any` between its pieces, in which each of `special` stands between
/// `open` and `close`.
fn pattern(pieces: &[String], any: &str, special: &str, open: &str, close: &str) -> String {
    let mut out = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        out += if index == 0 { "" } else { any };
        for c in piece.chars() {
            let plain = !special.contains(c);
            out += if plain { "" } else { open };
            out.push(c);
            out += if plain { "" } else { close };
        }
    }
    out
}
