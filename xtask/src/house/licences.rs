//! Every crate's licence must be one that goes with Apache-2.0 on a device.
//!
//! SPDX expressions as crates state them: names, `AND`, `OR`, `WITH`, parentheses,
//! and the old `/` for `OR`.

use super::graph::Graph;

/// Licences that ask for no more than a notice.
const ALLOWED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Every crate whose licence is unknown, missing or not allowed.
pub(crate) fn faults(graph: &Graph) -> Vec<String> {
    let sentence = |name: &str, licence: &str| format!("`{name}` has the licence {licence}");
    let used = graph.used().filter_map(|package| match &package.licence {
        None => Some(sentence(&package.name, "of nobody knows what")),
        Some(text) if allowed(text) => None,
        Some(text) => Some(sentence(&package.name, text)),
    });
    used.collect()
}

fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words(spaced.split_ascii_whitespace().collect());
    words.any() == Some(true) && words.0.is_empty()
}

/// What is left of an expression.
struct Words<'a>(Vec<&'a str>);

impl Words<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.0.first() == Some(&word);
        if found {
            self.0.remove(0);
        }
        found
    }

    /// `None` where the expression is broken.
    fn any(&mut self) -> Option<bool> {
        let mut verdict = self.all()?;
        while self.take("OR") {
            verdict |= self.all()?;
        }
        Some(verdict)
    }

    fn all(&mut self) -> Option<bool> {
        let mut verdict = self.one()?;
        while self.take("AND") {
            verdict &= self.one()?;
        }
        Some(verdict)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let verdict = self.any()?;
            return self.take(")").then_some(verdict);
        }
        let mut name = self.name()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.name()?);
        }
        Some(ALLOWED.contains(&name.as_str()))
    }

    fn name(&mut self) -> Option<&str> {
        let named = self.0.first().is_some_and(|word| !["AND", "OR", "WITH", ")"].contains(word));
        named.then(|| self.0.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::*;

    #[test]
    fn expressions_are_judged() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "GPL-2.0 OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(allowed(good), "{good}");
        }
        for bad in ["", "GPL-2.0", "MIT AND GPL-2.0", "(MIT", "MIT OR", "MIT MIT", "MIT)", "mit"] {
            assert!(!allowed(bad), "{bad}");
        }
    }

    #[test]
    fn an_unfit_licence_is_found() {
        let graph = graph(&["server", "fw-env 1.0.0 GPL-2.0"], &["server -> fw-env 1.0.0"]);
        assert_eq!(faults(&graph), ["`fw-env` has the licence GPL-2.0"]);
    }
}
