//! The shape of the sources: every file says what it is for, no file and no
//! function is too long. Relies on `rustfmt`, whose check runs before.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The most lines of a file.
const FILE_MAX: usize = 500;
/// The most lines of a function, its signature included.
const FUNCTION_MAX: usize = 70;
/// The most lines of tests inside a file; more go to `tests.rs` beside it.
const TESTS_MAX: usize = 150;

/// Every file of ours that has not the shape, with the place.
///
/// # Errors
/// A source cannot be read.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in sources(root)? {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        faults.extend(file_faults(&name, &text));
    }
    Ok(faults)
}

fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut open = vec![root.join("crates"), root.join("xtask"), root.join("fuzz")];
    let mut found = Vec::new();
    while let Some(at) = open.pop() {
        if at.is_dir() && !at.ends_with("target") {
            let inside = std::fs::read_dir(&at)?.map(|entry| Ok(entry?.path()));
            open.extend(inside.collect::<std::io::Result<Vec<_>>>()?);
        } else if at.extension().is_some_and(|end| end == "rs") {
            found.push(at);
        }
    }
    found.sort();
    Ok(found)
}

fn file_faults(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    if lines.len() > FILE_MAX {
        faults.push(format!("{name} has {} lines, over {FILE_MAX}", lines.len()));
    }
    if !lines.first().is_some_and(|line| line.starts_with("//!")) && !name.ends_with("tests.rs") {
        faults.push(format!("{name} does not begin with `//!` and what it is for"));
    }
    for (at, len) in blocks(&lines, is_function).filter(|(_, len)| *len > FUNCTION_MAX) {
        faults.push(format!("{name}:{at} has a function of {len} lines, over {FUNCTION_MAX}"));
    }
    for (at, len) in blocks(&lines, is_tests).filter(|(_, len)| *len > TESTS_MAX) {
        faults.push(format!("{name}:{at} has {len} lines of tests, over {TESTS_MAX}"));
    }
    faults
}

fn is_function(line: &str) -> bool {
    const BEFORE: [&str; 6] = ["pub", "const", "async", "unsafe", "extern", "fn"];
    let mut words = line.trim_start().split([' ', '(']);
    line.contains("fn ") && words.next().is_some_and(|word| BEFORE.contains(&word))
}

fn is_tests(line: &str) -> bool {
    line.starts_with("mod tests {")
}

/// First line (counted from 1) and length of each block whose first line is
/// `wanted`: it ends with the first `}` at the same depth.
fn blocks<'a>(
    lines: &'a [&'a str],
    wanted: fn(&str) -> bool,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    lines.iter().enumerate().filter(move |(_, line)| wanted(line)).filter_map(|(at, line)| {
        let depth = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(depth));
        let rest = lines.get(at..)?;
        // A declaration without a body ends before any block does.
        let declared = rest.iter().position(|line| line.ends_with(';') || line.ends_with('}'))?;
        let body = rest.iter().position(|line| line.ends_with('{'))?;
        if declared < body {
            return None;
        }
        rest.iter().position(|line| *line == end).map(|len| (at + 1, len + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &[&str]) {
        let faults = file_faults("x.rs", text);
        let matches = faults.len() == want.len();
        assert!(matches && faults.iter().zip(want).all(|(f, w)| f.contains(w)), "{faults:?}");
    }

    fn function(lines: usize) -> String {
        format!(
            "    pub fn long(\n        n: u8,\n    ) {{\n{}    }}\n",
            "        n;\n".repeat(lines - 4)
        )
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        check("//! For this.\nfn short() {}\n", &[]);
        check("fn short() {}\n", &["does not begin"]);
        check("", &["does not begin"]);
    }

    #[test]
    fn long_functions_are_found() {
        check(&format!("//! x\nimpl X {{\n{}}}\n", function(70)), &[]);
        check(&format!("//! x\nimpl X {{\n{}}}\n", function(71)), &["x.rs:3 has a function of 71"]);
        check(&format!("//! x\ntrait X {{\n    fn declared(&self);\n{}}}\n", function(60)), &[]);
    }

    #[test]
    fn long_files_and_tests_are_found() {
        check(&format!("//! x\n{}", "//\n".repeat(499)), &[]);
        check(&format!("//! x\n{}", "//\n".repeat(500)), &["has 501 lines"]);
        check(
            &format!("//! x\nmod tests {{\n{}}}\n", "    //\n".repeat(149)),
            &["151 lines of tests"],
        );
    }
}
