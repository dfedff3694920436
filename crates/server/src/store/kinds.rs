//! What many terminals have in common, kept in memory once.
//!
//! A fleet has a million terminals of a few dozen kinds that run a few dozen releases.
//! The text in the database is the key, so what was read before is not parsed again.

use super::rows::to_json;
use super::{StoreError, Stored, StoredDevice};
use protocols::native::Facts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use types::Running;

/// How many values are kept before those are looked for that nobody has any more.
const KEPT: usize = 1024;

/// What terminals are, and what they run.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    facts: Pool<Facts>,
    running: Pool<Running>,
}

impl Kinds {
    /// The facts that `text` holds.
    pub(super) fn facts(&self, text: &str) -> Stored<Arc<Facts>> {
        self.facts.of_text(text, "facts")
    }

    /// What runs, as `text` says.
    pub(super) fn running(&self, text: &str) -> Stored<Arc<Running>> {
        self.running.of_text(text, "running")
    }

    /// The same terminal; what it has in common with others is shared with them.
    pub(crate) fn share(&self, device: StoredDevice) -> StoredDevice {
        let facts = self.facts.of_value(device.facts, "facts");
        let running = self.running.of_value(device.running, "running");
        StoredDevice { facts, running, ..device }
    }
}

/// Values of one type.
#[derive(Debug)]
struct Pool<T>(Mutex<Values<T>>);

#[derive(Debug)]
struct Values<T> {
    by_text: HashMap<Box<str>, Arc<T>>,
    /// At so many they are looked through.
    full: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Values { by_text: HashMap::new(), full: KEPT }))
    }
}

impl<T: Serialize + DeserializeOwned> Pool<T> {
    fn of_text(&self, text: &str, what: &'static str) -> Stored<Arc<T>> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = values.by_text.get(text) {
            return Ok(Arc::clone(known));
        }
        let value = serde_json::from_str(text).map_err(|_| StoreError::Row { what })?;
        Ok(values.keep(text, Arc::new(value)))
    }

    /// A value that has no text stays by itself.
    fn of_value(&self, value: Arc<T>, what: &'static str) -> Arc<T> {
        let Ok(text) = to_json(value.as_ref(), what) else { return value };
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match values.by_text.get(text.as_str()) {
            Some(known) => Arc::clone(known),
            None => values.keep(&text, value),
        }
    }
}

impl<T> Values<T> {
    fn keep(&mut self, text: &str, value: Arc<T>) -> Arc<T> {
        if self.by_text.len() >= self.full {
            self.by_text.retain(|_, value| Arc::strong_count(value) > 1);
            self.full = KEPT.max(self.by_text.len() * 2);
        }
        self.by_text.insert(text.into(), Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_kept_once_and_what_nobody_has_is_not_kept() {
        let pool: Pool<Vec<u32>> = Pool::default();
        let one = pool.of_text("[1]", "list").unwrap();
        assert!(Arc::ptr_eq(&one, &pool.of_text("[1]", "list").unwrap()));
        assert!(Arc::ptr_eq(&one, &pool.of_value(Arc::new(vec![1]), "list")));
        assert!(pool.of_text("[", "list").is_err());
        for number in 0..10 * KEPT {
            pool.of_text(&format!("[{number}, 2]"), "list").unwrap();
        }
        let values = pool.0.lock().unwrap();
        assert!(values.by_text.len() <= KEPT, "{}", values.by_text.len());
        assert!(Arc::ptr_eq(&one, &values.by_text["[1]"]));
    }
}
