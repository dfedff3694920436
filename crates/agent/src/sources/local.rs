//! Orders from this terminal itself: `install FILE.zip`.
//!
//! The command line leaves an order as a document; the agent takes it when it asks
//! its sources. It stays until the agent is at it, so that nothing is lost when the
//! agent is busy or ends in between.

use crate::edges::{Delivered, Heard, Heartbeat, Now, Source, SourceError, Store};
use crate::outbox::Outbox;
use engine::{Again, Locator, Order};
use serde::{Deserialize, Serialize};
use types::{AttemptId, Name, Report, tree};

/// The document's name in the store.
pub const NAME: &str = "local-order";

/// An order that waits for the agent. JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalOrder {
    /// Names this try.
    pub attempt: AttemptId,
    /// Absolute path of the package.
    pub path: String,
}

impl LocalOrder {
    /// The order, for the state machine. Whoever types the command knows what
    /// happened before, so a release that failed here may be tried again.
    pub fn order(&self, source: &Name) -> Option<Order> {
        let locator = Locator::new(&self.path).ok()?;
        Some(Order { attempt: self.attempt, source: source.clone(), locator, again: Again::Yes })
    }
}

/// The source of such orders.
pub struct LocalSource<S> {
    name: Name,
    store: S,
}

impl<S: Store> LocalSource<S> {
    /// Orders come through `store`; reports name `name` as their source.
    pub fn new(name: Name, store: S) -> Self {
        Self { name, store }
    }

    fn waiting(&self) -> Option<LocalOrder> {
        let bytes = self.store.read(NAME).ok()??;
        tree::from_json(&bytes).ok()
    }

    /// Whether the report of `attempt` is where whoever ordered looks for it.
    fn is_filed(&self, attempt: AttemptId) -> bool {
        let bytes = self.store.read(Outbox::NAME).ok().flatten();
        let outbox = bytes.and_then(|bytes| tree::from_json::<Outbox>(&bytes).ok());
        outbox.is_some_and(|outbox| outbox.holds(attempt))
    }

    fn forget(&mut self) {
        // What cannot be removed is given again, and known to be over.
        drop(self.store.remove(NAME));
    }
}

impl<S: Store> Source for LocalSource<S> {
    fn name(&self) -> &Name {
        &self.name
    }

    fn listen(&mut self, _now: Now, me: &Heartbeat) -> Result<Heard, SourceError> {
        let Some(waiting) = self.waiting() else { return Ok(Heard::default()) };
        if me.attempt == Some(waiting.attempt) {
            self.forget();
            return Ok(Heard::default());
        }
        Ok(Heard { order: waiting.order(&self.name), ..Heard::default() })
    }

    /// Whoever ordered reads the report from the outbox, so one that is not in it yet
    /// waits for room there. Another source's report waits for that source.
    fn deliver(&mut self, report: &Report) -> Result<Delivered, SourceError> {
        if report.source != self.name || !self.is_filed(report.attempt) {
            return Ok(Delivered::Later);
        }
        if self.waiting().is_some_and(|waiting| waiting.attempt == report.attempt) {
            self.forget();
        }
        Ok(Delivered::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::store::Directory;
    use types::{Outcome, Slot, Spent, Text, Timestamp};

    fn me(attempt: Option<AttemptId>) -> Heartbeat {
        let name: Name = "x".parse().unwrap();
        Heartbeat {
            device: name.clone(),
            product: name.clone(),
            hardware: name,
            variant: None,
            region: None,
            slot: Slot::A,
            running: types::Running::new(),
            memory_class_mib: 8,
            phase: engine::Phase::Idle,
            attempt,
            progress: (0, 0),
            waiting: None,
        }
    }

    fn report(attempt: AttemptId) -> Report {
        Report {
            attempt,
            source: "local".parse().unwrap(),
            outcome: Outcome::Ok,
            detail: Text::default(),
            version: None,
            spent: Spent::default(),
            failed_boots: 0,
        }
    }

    #[test]
    fn an_order_stays_until_the_agent_is_at_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Directory::open(dir.path()).unwrap();
        let mut source = LocalSource::new("local".parse().unwrap(), store.clone());
        let now = Now { wall: Timestamp(0), monotonic: 0 };
        let order =
            |source: &mut LocalSource<_>, me: &Heartbeat| source.listen(now, me).unwrap().order;
        assert_eq!(order(&mut source, &me(None)), None);
        let waiting = LocalOrder { attempt: AttemptId([7; 16]), path: "/update.zip".into() };
        let bytes = serde_json::to_vec(&waiting).unwrap();
        store.replace(NAME, &bytes).unwrap();
        let other = me(Some(AttemptId([1; 16])));
        for me in [&me(None), &other, &me(None)] {
            assert_eq!(order(&mut source, me).unwrap().attempt, waiting.attempt);
        }
        assert_eq!(order(&mut source, &me(Some(waiting.attempt))), None);
        assert_eq!(order(&mut source, &me(None)), None);
        store.replace(NAME, &bytes).unwrap();
        source.deliver(&report(AttemptId([1; 16]))).unwrap();
        assert!(order(&mut source, &me(None)).is_some());
        let foreign = Report { source: "native".parse().unwrap(), ..report(waiting.attempt) };
        assert_eq!(source.deliver(&foreign).unwrap(), Delivered::Later);
        assert!(order(&mut source, &me(None)).is_some());
        assert_eq!(source.deliver(&report(waiting.attempt)).unwrap(), Delivered::Later);
        assert!(order(&mut source, &me(None)).is_some(), "its report is not filed");
        let mut outbox = Outbox::default();
        outbox.put(report(waiting.attempt));
        store.replace(Outbox::NAME, &serde_json::to_vec(&outbox).unwrap()).unwrap();
        assert_eq!(source.deliver(&report(waiting.attempt)).unwrap(), Delivered::Yes);
        assert_eq!(order(&mut source, &me(None)), None);
    }
}
