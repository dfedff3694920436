//! The owner's answer to an update, and what follows from it at a given time.

use super::rules::{Haste, Rules, Security};
use types::{Elsewhere, Seconds, Timestamp};

/// What the owner said about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// Nothing yet.
    #[default]
    None,
    /// Yes, at the next good time.
    Yes,
    /// Yes, and quiet hours and use do not count.
    Now,
    /// Yes, but nothing is restarted before then.
    At(Timestamp),
    /// Not before then; for so many times now.
    Postponed {
        /// Until when.
        until: Timestamp,
        /// How often it was postponed, this time included.
        times: u8,
    },
    /// No.
    No,
}

/// Everything that consent depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// What the owner said.
    pub answer: Answer,
    /// Who has to be asked.
    pub mode: Mode,
    /// What kind of release it is; features until it is known.
    pub class: Class,
    /// When the terminal came to know the update.
    pub since: Option<Timestamp>,
    /// How often it was postponed, whatever was said since.
    pub postponed: u8,
    /// How urgently whoever ordered it wants it.
    pub urgency: Urgency,
    /// What its operator decided about the terminal's region.
    pub elsewhere: Elsewhere,
}

/// How urgently whoever ordered an update wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// When the terminal's rules and its owner agree.
    #[default]
    Soft,
    /// When the terminal's rules agree; the owner is not asked.
    Forced,
    /// Written to the slot that does not run, and no further until someone says so.
    DownloadOnly,
}

/// Whether the owner has to be asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Updates are installed by themselves.
    #[default]
    Automatic,
    /// The owner agrees to each one.
    Asked,
}

/// What kind of release it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Class {
    /// It closes holes.
    Security,
    /// It brings something new.
    #[default]
    Feature,
}

/// Whether a step may be taken as far as the owner is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    /// It may.
    #[default]
    Given,
    /// The owner has not answered yet.
    Awaited,
    /// Not before then: the owner chose that time.
    Later(Timestamp),
    /// Not before then: the owner postponed it.
    Postponed(Timestamp),
    /// Not until someone says so: it was ordered to be written only.
    Held,
    /// The owner said no.
    Denied,
}

/// Consent to the two things that an owner may notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consents {
    /// To fetching and writing.
    pub write: Consent,
    /// To restarting into the new release.
    pub restart: Consent,
    /// Whether the owner wants it at once.
    pub haste: Haste,
}

impl Consents {
    /// The same answer to both.
    pub fn both(consent: Consent) -> Self {
        Self { write: consent, restart: consent, haste: Haste::None }
    }
}

/// When an update can no longer be postponed.
pub fn deadline(rules: &Rules, ask: &Ask) -> Option<Timestamp> {
    let since = ask.since.filter(|_| rules.postpone > Seconds(0))?;
    Some(since.after(rules.postpone))
}

/// Whether the owner may postpone once more.
pub fn may_postpone(rules: &Rules, ask: &Ask, now: Timestamp) -> bool {
    let ask = &in_this_region(ask);
    ask.urgency != Urgency::Forced
        && ask.postponed < rules.postponements
        && deadline(rules, ask).is_none_or(|end| now < end)
}

/// Whether the owner may decline: not an update that is forced.
pub fn may_decline(rules: &Rules, ask: &Ask) -> bool {
    !is_forced(rules, &in_this_region(ask))
}

fn is_forced(rules: &Rules, ask: &Ask) -> bool {
    ask.urgency == Urgency::Forced || is_forced_by_class(rules, ask)
}

fn is_forced_by_class(rules: &Rules, ask: &Ask) -> bool {
    ask.class == Class::Security && rules.security == Security::Forced
}

/// The question as it is put in this region: where the operator wants the owner asked
/// because of it, nothing else makes that needless.
fn in_this_region(ask: &Ask) -> Ask {
    if ask.elsewhere != Elsewhere::Ask {
        return *ask;
    }
    let urgency = match ask.urgency {
        Urgency::Forced => Urgency::Soft,
        other => other,
    };
    Ask { mode: Mode::Asked, class: Class::Feature, urgency, ..*ask }
}

/// What the owner's answer comes to at `now`. What is forced needs none, and what is
/// only to be written is not started before someone agrees to that.
pub fn consents(rules: &Rules, ask: &Ask, now: Timestamp) -> Consents {
    let ask = &in_this_region(ask);
    let answered = match ask.urgency {
        Urgency::Forced => {
            let haste = if ask.answer == Answer::Now { Haste::Now } else { Haste::None };
            return Consents { haste, ..Consents::default() };
        }
        Urgency::Soft | Urgency::DownloadOnly => answered(rules, ask, now),
    };
    match (ask.urgency, ask.answer) {
        (Urgency::DownloadOnly, Answer::None) => Consents { restart: Consent::Held, ..answered },
        _ => answered,
    }
}

fn answered(rules: &Rules, ask: &Ask, now: Timestamp) -> Consents {
    let deadline = deadline(rules, ask);
    let over = deadline.is_some_and(|end| now >= end);
    let forced = is_forced_by_class(rules, ask);
    let unanswered = match ask.mode {
        Mode::Automatic => Consent::Given,
        Mode::Asked if forced && over => Consent::Given,
        Mode::Asked => Consent::Awaited,
    };
    match ask.answer {
        Answer::Yes => Consents::default(),
        Answer::Now => Consents { haste: Haste::Now, ..Consents::default() },
        Answer::At(at) if now < at && !(forced && over) => {
            Consents { restart: Consent::Later(at), ..Consents::default() }
        }
        Answer::At(_) => Consents::default(),
        Answer::Postponed { until, .. } => {
            let until = deadline.map_or(until, |end| end.min(until));
            if now >= until {
                return Consents::both(unanswered);
            }
            let write = match ask.mode {
                Mode::Automatic => Consent::Given,
                Mode::Asked => Consent::Postponed(until),
            };
            Consents { write, restart: Consent::Postponed(until), haste: Haste::None }
        }
        Answer::No if forced => match deadline {
            Some(end) if now < end => Consents::both(Consent::Postponed(end)),
            _ => Consents::default(),
        },
        Answer::No => Consents::both(Consent::Denied),
        Answer::None => Consents::both(unanswered),
    }
}
