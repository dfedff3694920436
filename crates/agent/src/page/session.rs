//! Who may do something: the password of this one terminal, and sessions.

use crate::platform::clock::Stopwatch;
use std::io;
use std::path::Path;
use types::Hasher;

/// The most sessions at once; the oldest one ends.
const SESSIONS_MAX: usize = 8;
/// Milliseconds without a request after which a session ends.
const IDLE: u64 = 15 * 60 * 1000;
/// Wrong passwords before the next one has to wait.
const TRIES: u32 = 5;
/// Milliseconds that it has to wait: 120 guesses an hour at most.
const WAIT: u64 = 30_000;
/// The shortest and the longest password, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=128;
/// What people would try first, and what labels must not say.
const KNOWN: [&str; 6] =
    ["password", "12345678", "admin123", "adminadmin", "refitrefit", "changeme"];

/// One signed-in browser.
#[derive(Debug)]
struct Session {
    cookie: String,
    csrf: String,
    used: Stopwatch,
}

/// The password and the sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    password: String,
    sessions: Vec<Session>,
    wrong: u32,
    last_wrong: Option<Stopwatch>,
}

/// Why someone is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The password is wrong.
    Wrong,
    /// There were too many wrong ones just now.
    Wait,
    /// The system gives no random bytes.
    Random,
}

impl Sessions {
    /// Sessions behind the password in the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, or its password is too short, too long or known to all.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        Self::new(text.trim_end_matches(['\r', '\n']))
    }

    fn new(password: &str) -> io::Result<Self> {
        if !LENGTH.contains(&password.len()) {
            return Err(io::Error::other("the password has not 8 to 128 characters"));
        }
        if KNOWN.contains(&password.to_ascii_lowercase().as_str()) {
            return Err(io::Error::other("the password is one that everybody knows"));
        }
        let password = password.into();
        Ok(Self { password, sessions: Vec::new(), wrong: 0, last_wrong: None })
    }

    /// A new session's cookie, for who knows the password.
    pub(super) fn enter(&mut self, password: &str) -> Result<String, Denied> {
        let waits = self.last_wrong.is_some_and(|at| at.millis() < WAIT);
        if self.wrong >= TRIES && waits {
            return Err(Denied::Wait);
        }
        if !same(password, &self.password) {
            self.wrong = self.wrong.saturating_add(1);
            self.last_wrong = Some(Stopwatch::start());
            return Err(Denied::Wrong);
        }
        self.wrong = 0;
        let (cookie, csrf) = (secret()?, secret()?);
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.remove(0);
        }
        let used = Stopwatch::start();
        self.sessions.push(Session { cookie: cookie.clone(), csrf, used });
        Ok(cookie)
    }

    /// The CSRF token of the session that `cookies` name.
    pub(super) fn token(&mut self, cookies: Option<&str>) -> Option<String> {
        let cookie = cookie(cookies?)?;
        self.sessions.retain(|session| session.used.millis() < IDLE);
        let session = self.sessions.iter_mut().find(|session| same(&session.cookie, cookie))?;
        session.used = Stopwatch::start();
        Some(session.csrf.clone())
    }

    /// Ends the session that `cookies` name.
    pub(super) fn leave(&mut self, cookies: Option<&str>) {
        if let Some(cookie) = cookies.and_then(cookie) {
            self.sessions.retain(|session| !same(&session.cookie, cookie));
        }
    }
}

/// The name of the cookie.
pub(super) const COOKIE: &str = "refit";

fn cookie(cookies: &str) -> Option<&str> {
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

fn secret() -> Result<String, Denied> {
    let mut bytes = [0; 32];
    let flags = rustix::rand::GetRandomFlags::empty();
    match rustix::rand::getrandom(&mut bytes, flags) {
        Ok(32) => Ok(types::Digest(bytes).to_string()),
        _ => Err(Denied::Random),
    }
}

/// Whether two secrets are the same; how long it takes tells nothing about where they
/// differ, because their digests are compared.
pub(super) fn same(a: &str, b: &str) -> bool {
    let digest = |text: &str| {
        let mut hasher = Hasher::default();
        hasher.update(text.as_bytes());
        hasher.finish().0
    };
    let pairs = digest(a).into_iter().zip(digest(b));
    pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_everybody_knows_is_none() {
        for bad in ["", "short", "password", "Changeme", &"x".repeat(129)] {
            assert!(Sessions::new(bad).is_err(), "{bad}");
        }
        assert!(Sessions::new("k7-otter-lamp").is_ok());
    }

    #[test]
    fn guesses_have_to_wait() {
        let mut sessions = Sessions::new("k7-otter-lamp").unwrap();
        for _ in 0..TRIES {
            assert_eq!(sessions.enter("guess"), Err(Denied::Wrong));
        }
        assert_eq!(sessions.enter("k7-otter-lamp"), Err(Denied::Wait));
    }

    #[test]
    fn sessions_are_told_apart_and_end() {
        let mut sessions = Sessions::new("k7-otter-lamp").unwrap();
        let one = sessions.enter("k7-otter-lamp").unwrap();
        let two = sessions.enter("k7-otter-lamp").unwrap();
        let token = |sessions: &mut Sessions, cookie: &str| {
            sessions.token(Some(&format!("a=b; {COOKIE}={cookie}")))
        };
        let (first, second) = (token(&mut sessions, &one), token(&mut sessions, &two));
        assert!(first.is_some() && second.is_some() && first != second);
        assert_eq!(token(&mut sessions, "0"), None);
        assert_eq!(sessions.token(None), None);
        sessions.leave(Some(&format!("{COOKIE}={one}")));
        assert_eq!((token(&mut sessions, &one), token(&mut sessions, &two)), (None, second));
        for _ in 0..SESSIONS_MAX {
            sessions.enter("k7-otter-lamp").unwrap();
        }
        assert_eq!(token(&mut sessions, &two), None);
    }
}
