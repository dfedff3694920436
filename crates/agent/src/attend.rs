//! What goes on beside the update: asking the sources, delivering reports, and the
//! facts that the gate is told.

use crate::asked::Urged;
use crate::device::{Device, DeviceError};
use crate::edges::{Delivered, Heard, Heartbeat, SourceError};
use crate::log::Log;
use crate::outbox::Outbox;
use crate::perform::chain;
use engine::{Backoff, Locator, Order, Poll, Reason, Standing, State};
use types::{AttemptId, Name, Outcome, Report, Seconds, Text};

/// When the sources were asked and what they said. Lost with the process, and
/// nothing depends on it.
pub(crate) struct Attendance {
    poll: Poll,
    /// Monotonic milliseconds at which the sources are asked next.
    ask_at: u64,
    /// Monotonic milliseconds at which near sources are asked next.
    near_at: u64,
    /// Monotonic milliseconds before which nothing is tried.
    rest_until: u64,
    /// Monotonic milliseconds at which it is looked whether a rule still stands in the way.
    look_at: Option<u64>,
    backoff: Backoff,
    asking: Backoff,
    heard: Option<Order>,
    /// The newest address of the package in progress: addresses expire.
    newest: Option<(AttemptId, Locator)>,
    withdrawn: Option<AttemptId>,
    awaiting_source: bool,
    /// Why the last question was not answered.
    trouble: Option<String>,
    /// Which rule the last answer named.
    why: Option<Text>,
    /// Why the update came no further the last time.
    setback: Option<String>,
    /// Why whoever has the bytes had the terminal wait, the last time.
    held: Option<Text>,
}

/// The word for a terminal that waits because whoever has the bytes asked it to.
const HELD: &str = "server-busy";

/// Milliseconds between two looks at near sources: two wake-ups a minute.
const NEAR: u64 = 30_000;

impl Attendance {
    pub(crate) fn new(poll: Seconds) -> Self {
        Self {
            poll: Poll::new(poll),
            ask_at: 0,
            near_at: 0,
            rest_until: 0,
            look_at: None,
            backoff: Backoff::default(),
            asking: Backoff::default(),
            heard: None,
            newest: None,
            withdrawn: None,
            awaiting_source: false,
            trouble: None,
            why: None,
            setback: None,
            held: None,
        }
    }
}

impl Device {
    /// Asks the sources when that is due, and delivers what waits.
    pub(crate) fn attend(&mut self) -> Result<(), DeviceError> {
        let now = self.edges.clock.now().monotonic;
        if now < self.attendance.ask_at {
            return self.ask_near(now);
        }
        if self.switches()?.automatic_check {
            return self.ask_all();
        }
        self.attendance.ask_at = now + u64::from(self.attendance.poll.every.0) * 1000;
        Ok(())
    }

    /// Asks the sources that are near, when that is due and nothing else goes on.
    fn ask_near(&mut self, now: u64) -> Result<(), DeviceError> {
        let near: Vec<usize> = self.near().collect();
        if now < self.attendance.near_at || near.is_empty() || !self.is_idle() {
            return Ok(());
        }
        self.attendance.near_at = now + NEAR;
        let heartbeat = self.heartbeat()?;
        for index in near {
            self.ask(index, &heartbeat)?;
        }
        Ok(())
    }

    fn near(&self) -> impl Iterator<Item = usize> + '_ {
        let sources = self.edges.sources.iter().enumerate();
        sources.filter(|(_, source)| source.is_near()).map(|(index, _)| index)
    }

    /// Asks every source now, whatever the switches say.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn ask_all(&mut self) -> Result<(), DeviceError> {
        self.attendance.trouble = None;
        self.deliver_reports()?;
        let heartbeat = self.heartbeat()?;
        let mut wait = None;
        for index in 0..self.edges.sources.len() {
            wait = wait.max(self.ask(index, &heartbeat)?);
        }
        if wait.is_none() {
            self.attendance.asking.worked();
        }
        let now = self.edges.clock.now().monotonic;
        let chance = self.edges.clock.chance();
        let wait = wait.unwrap_or_else(|| self.attendance.poll.next(chance));
        self.attendance.ask_at = now + u64::from(wait.0) * 1000;
        Ok(())
    }

    /// Asks one source; returns how long to wait when it did not answer.
    fn ask(&mut self, index: usize, me: &Heartbeat) -> Result<Option<Seconds>, DeviceError> {
        let now = self.edges.clock.now();
        let Some(source) = self.edges.sources.get_mut(index) else { return Ok(None) };
        match source.listen(now, me) {
            Ok(heard) => {
                self.take(heard, me.attempt)?;
                Ok(None)
            }
            Err(SourceError::Busy(_, seconds)) => Ok(Some(seconds)),
            Err(trouble) => {
                self.attendance.trouble = Some(trouble.to_string());
                let chance = self.edges.clock.chance();
                let rest = self.attendance.asking.failed(chance);
                Ok(Some(rest.min(self.attendance.poll.every)))
            }
        }
    }

    fn take(&mut self, heard: Heard, asked: Option<AttemptId>) -> Result<(), DeviceError> {
        if !heard.why.as_str().is_empty() {
            self.attendance.why = Some(heard.why);
        }
        if let Some(every) = heard.poll {
            self.attendance.poll = Poll::new(every);
        }
        if heard.standing == Standing::Withdrawn {
            self.attendance.withdrawn = asked;
        }
        if let Some(order) = heard.order {
            self.note_urgency(&Urged::new(order.attempt, heard.urgency, heard.elsewhere))?;
            self.take_order(order)?;
        }
        Ok(())
    }

    /// An order is taken only when it is noted how urgent it is: forgetting that could
    /// make a terminal do more than it was told.
    fn note_urgency(&mut self, urged: &Urged) -> Result<(), DeviceError> {
        let known: Urged = self.read(Urged::NAME)?;
        let other = !self.is_idle() && self.state.attempt() != urged.attempt();
        if known == *urged || other || (urged.is_usual() && known.attempt() != urged.attempt()) {
            return Ok(());
        }
        self.write(Urged::NAME, urged)
    }

    /// An order for an attempt that is over is not begun again: whoever gave it did
    /// not hear of the report, which is sent again.
    fn take_order(&mut self, order: Order) -> Result<(), DeviceError> {
        let State::Idle { over } = self.state else {
            self.attendance.newest = Some((order.attempt, order.locator));
            return Ok(());
        };
        let sent_again = self.send_again(order.attempt)?;
        if sent_again || over == Some(order.attempt) {
            return Ok(());
        }
        self.attendance.heard = Some(order);
        Ok(())
    }

    /// Delivers the report of `attempt` once more; says whether there is one. Where the
    /// store has no room to note it, whoever ordered asks again.
    fn send_again(&mut self, attempt: AttemptId) -> Result<bool, DeviceError> {
        let mut outbox = self.outbox()?;
        let over = outbox.send_again(attempt);
        if over {
            self.note(&outbox);
        }
        Ok(over)
    }

    /// Writes what the outbox knows of deliveries. Where that cannot be, they are made
    /// once more later, which does no harm: nothing else depends on it.
    fn note(&mut self, outbox: &Outbox) {
        if let Err(error) = self.write(Outbox::NAME, outbox) {
            self.attendance.trouble = Some(chain("a delivery is not noted", &error).to_string());
        }
    }

    /// Gives an order from this terminal itself, as `install FILE` does.
    ///
    /// # Errors
    /// Another update is in progress.
    pub fn order(&mut self, order: Order) -> Result<(), Order> {
        if !self.is_idle() || self.attendance.heard.is_some() {
            return Err(order);
        }
        self.attendance.heard = Some(order);
        Ok(())
    }

    /// The newest address of the package of `attempt`, known or as it was `ordered`.
    pub(crate) fn newest(&self, attempt: AttemptId, ordered: &Locator) -> Locator {
        match &self.attendance.newest {
            // What is kept here is not fetched once more.
            _ if self.is_stage(ordered.as_str()) => ordered.clone(),
            Some((of, newest)) if *of == attempt => newest.clone(),
            _ => ordered.clone(),
        }
    }

    /// The order that was heard, once.
    pub(crate) fn heard(&mut self) -> Option<Order> {
        self.attendance.heard.take()
    }

    /// Delivers what the outbox holds, each report to the source that ordered it, or
    /// to the first source where the terminal does not have that one (any more).
    pub(crate) fn deliver_reports(&mut self) -> Result<(), DeviceError> {
        let mut outbox = self.outbox()?;
        let pending: Vec<Report> = outbox.pending().cloned().collect();
        let mut changed = false;
        for report in pending {
            match self.deliver(&report) {
                Delivered::Later => continue,
                Delivered::Yes => {}
                Delivered::AndTell => outbox.want_log(report.attempt),
            }
            outbox.delivered(report.attempt);
            changed = true;
        }
        if self.tell_logs(&mut outbox)? || changed {
            self.note(&outbox);
        }
        Ok(())
    }

    /// Delivers one report.
    pub(crate) fn deliver(&mut self, report: &Report) -> Delivered {
        let own = self.source_of(&report.source).unwrap_or(0);
        let Some(source) = self.edges.sources.get_mut(own) else { return Delivered::Later };
        source.deliver(report).unwrap_or(Delivered::Later)
    }

    /// Tells sources the logs that they asked for; says whether one has it now.
    fn tell_logs(&mut self, outbox: &mut Outbox) -> Result<bool, DeviceError> {
        let wanted: Vec<Report> = outbox.log_wanted().cloned().collect();
        if wanted.is_empty() {
            return Ok(false);
        }
        let log: Log = self.read(Log::NAME)?;
        let mut changed = false;
        for report in wanted {
            if self.tell(&report, &log) {
                outbox.told(report.attempt);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Tells the log of a report's attempt; says whether nothing is left to tell.
    fn tell(&mut self, report: &Report, log: &Log) -> bool {
        let Some(said) = log.of(report.attempt) else { return true };
        let own = self.source_of(&report.source).unwrap_or(0);
        let Some(source) = self.edges.sources.get_mut(own) else { return true };
        source.tell(report.attempt, said).is_ok_and(|told| told != Delivered::Later)
    }

    fn source_of(&self, name: &Name) -> Option<usize> {
        self.edges.sources.iter().position(|source| source.name() == name)
    }

    /// Asks the source of `attempt` whether the order still stands. `None` when it
    /// does not answer; an order from nowhere that can be asked stands.
    pub(crate) fn ask_standing(&mut self, source: &Name) -> Result<Option<Standing>, DeviceError> {
        let Some(index) = self.source_of(source) else { return Ok(Some(Standing::Stands)) };
        let heartbeat = self.heartbeat()?;
        let silent = self.ask(index, &heartbeat)?.is_some();
        self.attendance.awaiting_source = silent;
        if silent {
            return Ok(None);
        }
        let withdrawn = self.attendance.withdrawn.is_some()
            && self.attendance.withdrawn == self.state.attempt();
        Ok(Some(if withdrawn { Standing::Withdrawn } else { Standing::Stands }))
    }

    /// What the terminal says of itself.
    pub(crate) fn heartbeat(&mut self) -> Result<Heartbeat, DeviceError> {
        let slot = self.edges.boot.running()?;
        let running = self.inventory()?.running(slot);
        let progress = self.progress();
        let waiting = self.reason()?;
        let waiting = waiting.map(|why| self.told(why));
        let me = &self.identity;
        Ok(Heartbeat {
            device: me.device.clone(),
            product: me.product.clone(),
            hardware: me.hardware.first().cloned().unwrap_or_else(|| me.product.clone()),
            variant: me.variant.clone(),
            region: me.region.clone(),
            slot,
            running,
            memory_class_mib: me.memory_class_mib,
            phase: self.state.phase(),
            attempt: self.state.attempt(),
            progress,
            waiting,
        })
    }

    /// How long to rest after failures.
    pub(crate) fn rest_left(&self) -> Seconds {
        let now = self.edges.clock.now().monotonic;
        let rest = self.attendance.rest_until.saturating_sub(now).div_ceil(1000);
        Seconds(u32::try_from(rest).unwrap_or(u32::MAX))
    }

    /// Whether the order in progress was withdrawn.
    pub(crate) fn standing(&self) -> Standing {
        let attempt = self.state.attempt();
        let withdrawn = attempt.is_some() && self.attendance.withdrawn == attempt;
        if withdrawn { Standing::Withdrawn } else { Standing::Stands }
    }

    /// When to look whether `reason` still stands in the way.
    pub(crate) fn look_again(&mut self, reason: Reason) {
        let now = self.edges.clock.now().monotonic;
        self.attendance.look_at = reason.again().map(|Seconds(s)| now + u64::from(s) * 1000);
    }

    /// The update came no further and may do so later.
    pub(crate) fn set_back(&mut self, outcome: Outcome, detail: &Text) {
        self.attendance.held = None;
        self.attendance.setback = Some(format!("{detail} ({})", outcome.code()));
        self.note_setback(outcome, detail.as_str());
        self.rest_after_failure();
    }

    /// Whoever has the bytes asked to be asked again in so many seconds. Terminals that
    /// were told so together come back spread.
    pub(crate) fn held(&mut self, seconds: Seconds, detail: &Text) {
        let chance = self.edges.clock.chance();
        let rest = seconds.0.saturating_add(chance % seconds.0.div_ceil(2).max(1));
        let now = self.edges.clock.now().monotonic;
        self.attendance.rest_until = now + u64::from(rest) * 1000;
        self.attendance.setback = Some(detail.as_str().into());
        self.attendance.held = Some(detail.clone());
    }

    /// What is told of why this terminal waits.
    fn told(&self, reason: Reason) -> (&'static str, Text) {
        match &self.attendance.held {
            Some(why) if matches!(reason, Reason::Resting(_)) => (HELD, why.clone()),
            _ => (reason.word(), Text::from(reason.sentence(&self.options.rules.zone))),
        }
    }

    /// Whoever says so wants no rest after failures now.
    pub fn rest_no_longer(&mut self) {
        self.attendance.rest_until = 0;
    }

    /// Something failed that may work later.
    pub(crate) fn rest_after_failure(&mut self) {
        let chance = self.edges.clock.chance();
        let rest = self.attendance.backoff.failed(chance);
        let now = self.edges.clock.now().monotonic;
        self.attendance.rest_until = now + u64::from(rest.0) * 1000;
    }

    /// Something is worth telling: the sources are asked at the next step.
    pub(crate) fn ask_soon(&mut self) {
        self.attendance.ask_at = 0;
    }

    /// Something worked.
    pub(crate) fn worked(&mut self) {
        self.attendance.backoff.worked();
        self.attendance.held = None;
        self.attendance.setback = None;
    }

    /// Why a command came to nothing.
    pub(crate) fn why_not_yet(&self) -> Reason {
        if self.attendance.awaiting_source {
            return Reason::AwaitingSource;
        }
        Reason::Resting(self.rest_left())
    }

    /// How long until something is due.
    pub(crate) fn next_due(&self) -> Seconds {
        let now = self.edges.clock.now().monotonic;
        let ask = self.attendance.ask_at.saturating_sub(now);
        let rest = self.attendance.rest_until.saturating_sub(now);
        let look = self.attendance.look_at.map(|at| at.saturating_sub(now));
        let due = if rest > 0 { ask.min(rest) } else { ask };
        let near = self.near().next().filter(|_| self.is_idle());
        let near = near.map(|_| self.attendance.near_at.saturating_sub(now));
        let due = due.min(near.unwrap_or(u64::MAX));
        let due = due.min(look.filter(|_| !self.is_idle()).unwrap_or(u64::MAX));
        Seconds(u32::try_from(due.div_ceil(1000)).unwrap_or(u32::MAX).max(1))
    }

    /// Which rule a source named when it last answered, as a sentence.
    pub fn rule(&self) -> Option<&str> {
        self.attendance.why.as_ref().map(Text::as_str)
    }

    /// Why the last question to a source was not answered, or the update came no
    /// further.
    pub fn trouble(&self) -> Option<&str> {
        self.attendance.trouble.as_deref().or(self.attendance.setback.as_deref())
    }
}
