//! A file of options: `refit-server serve --config FILE`.
//!
//! The file is TOML, and each of its keys is an option of the command line under the
//! same name: one list of options, one place that checks them. What the command line
//! says itself goes before what the file says. A file keeps passwords out of the list
//! of processes.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The most bytes of such a file.
const LIMIT: u64 = 64 << 10;

/// `arguments`, with what the file that they name says put before them.
pub(crate) fn expanded(arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(path) = named(&arguments) else { return arguments };
    match options(Path::new(&path)) {
        Ok(options) => {
            // Program and command first; an option that comes again replaces the first.
            let (head, tail) = arguments.split_at(2.min(arguments.len()));
            head.iter().cloned().chain(options).chain(tail.iter().cloned()).collect()
        }
        Err(error) => {
            eprintln!("refit-server: cannot use {}: {error}", path.display());
            std::process::exit(2);
        }
    }
}

/// The file that `--config` names.
fn named(arguments: &[OsString]) -> Option<OsString> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().cloned();
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    None
}

fn options(path: &Path) -> Result<Vec<OsString>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LIMIT {
        return Err(format!("it has more than {LIMIT} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    table.iter().try_fold(Vec::new(), |mut all, (key, value)| {
        all.extend(option(key, value)?);
        Ok(all)
    })
}

/// One key as an option.
fn option(key: &str, value: &toml::Value) -> Result<[OsString; 2], String> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        _ => return Err(format!("`{key}` is neither a text nor a whole number")),
    };
    Ok([OsStr::new(&format!("--{key}")).to_owned(), text.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, words: &[&str], expected: &[&str]) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("server.toml");
        std::fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let fill = |words: &[&str]| -> Vec<OsString> {
            words.iter().map(|word| word.replace("FILE", path).into()).collect()
        };
        assert_eq!(expanded(fill(words)), fill(expected));
    }

    #[test]
    fn a_file_says_options_and_the_command_line_more() {
        let file = "database = \"postgres://refit@db/refit\"\npoll-seconds = 900\n";
        check(file, &["refit-server", "serve"], &["refit-server", "serve"]);
        check(
            file,
            &["refit-server", "serve", "--config", "FILE", "--poll-seconds", "60"],
            &[
                "refit-server",
                "serve",
                "--database",
                "postgres://refit@db/refit",
                "--poll-seconds",
                "900",
                "--config",
                "FILE",
                "--poll-seconds",
                "60",
            ],
        );
    }

    #[test]
    fn what_is_no_option_is_said() {
        let wrong = toml::Value::Boolean(true);
        assert!(option("listen", &wrong).unwrap_err().contains("`listen`"));
        assert!(options(Path::new("/no/such/file")).is_err());
    }
}
