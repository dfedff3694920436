//! Where a database is.

use sqlx::postgres::PgConnectOptions;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a database is: a file of SQLite, or a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A file.
    File(PathBuf),
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full`.
    Url(String),
}

/// The address may hold a password, which is nobody's business.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Url(_) => f.write_str("PostgreSQL"),
        }
    }
}

/// A text that is no address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a database is postgres://USER@HOST/NAME or sqlite:FILE")]
pub(crate) struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let file = text.strip_prefix("sqlite:").map(|file| file.trim_start_matches("//"));
        match file {
            Some(file) if !file.is_empty() => Ok(Self::File(file.into())),
            None if url => PgConnectOptions::from_str(text)
                .map(|_| Self::Url(text.into()))
                .map_err(|_| AddressError),
            _ => Err(AddressError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&Address>) {
        assert_eq!(text.parse::<Address>().ok().as_ref(), expected, "{text}");
    }

    #[test]
    fn an_address_says_which_engine() {
        let url = "postgres://refit:secret@db.example/refit?sslmode=verify-full";
        check(url, Some(&Address::Url(url.into())));
        check("sqlite:/var/lib/refit/f.db", Some(&Address::File("/var/lib/refit/f.db".into())));
        check("sqlite:f.db", Some(&Address::File("f.db".into())));
        for bad in ["", "sqlite:", "f.db", "mysql://h/n", "postgres://h:port/n"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let address: Address = "postgres://refit:secret@db.example/refit".parse().unwrap();
        assert!(!format!("{address:?}").contains("secret"));
    }
}
