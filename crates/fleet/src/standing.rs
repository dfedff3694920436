//! Where an attempt stands, seen from the fleet, and what moves it.
//!
//! A device counts as updated only when it *reported* success **and** a heartbeat
//! *showed* the release running. Either order is possible; what a heartbeat shows
//! later always corrects what was believed.

use serde::{Deserialize, Serialize};
use types::Outcome;

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The device has the offer.
    Offered,
    /// It reported success and was not yet seen running the release.
    Reported,
    /// It reported success and was seen running the release.
    Confirmed,
    /// It reported success, and a later heartbeat showed the old release.
    Reverted,
    /// It had the offer and did not come back in time.
    Lost,
    /// It reported success and was never seen running the release.
    LostReported,
    /// It reported this failure.
    Failed(Outcome),
    /// It reported this end, which is nobody's failure.
    Neutral(Outcome),
}

/// What an attempt counts as. Every attempt is of exactly one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Has not ended.
    InFlight,
    /// Runs the release.
    Confirmed,
    /// Does not, though it should.
    Failed,
    /// Does not, and need not.
    Neutral,
}

/// What a heartbeat shows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shows {
    /// Every image of the release runs.
    New,
    /// What runs is what ran when the release was offered.
    Old,
    /// Something else runs.
    Other,
}

/// What can happen to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Its report arrived.
    Report(Outcome),
    /// A heartbeat arrived.
    Heartbeat(Shows),
    /// The device gave no sign of life for longer than the rollout allows.
    Silent,
    /// It was withdrawn, and the device knows of no attempt.
    GivenUp,
}

impl Standing {
    /// What this standing counts as.
    pub fn class(self) -> Class {
        match self {
            Self::Offered | Self::Reported => Class::InFlight,
            Self::Confirmed => Class::Confirmed,
            Self::Reverted | Self::Lost | Self::LostReported | Self::Failed(_) => Class::Failed,
            Self::Neutral(_) => Class::Neutral,
        }
    }

    /// Where the attempt stands after `event`. Total: what does not concern a
    /// standing leaves it as it is, so a repeated event changes nothing.
    #[must_use]
    pub fn next(self, event: Event) -> Self {
        match (self, event) {
            (Self::Offered | Self::Lost | Self::Neutral(_), Event::Report(outcome)) => {
                reported(outcome)
            }
            (
                Self::Reported | Self::LostReported | Self::Reverted,
                Event::Heartbeat(Shows::New),
            ) => Self::Confirmed,
            (Self::Reported | Self::Confirmed, Event::Heartbeat(Shows::Old)) => Self::Reverted,
            (Self::Offered, Event::Silent) => Self::Lost,
            (Self::Reported, Event::Silent) => Self::LostReported,
            (Self::Offered, Event::GivenUp) => Self::Neutral(Outcome::Cancelled),
            (Self::Lost, Event::GivenUp) => Self::Failed(Outcome::NotBack),
            (standing, _) => standing,
        }
    }

    /// The device has not said that it is done: it may go on, or give it up.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Offered | Self::Lost)
    }

    /// The outcome that people should read, where there is one.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Offered => None,
            Self::Reported | Self::Confirmed => Some(Outcome::Ok),
            Self::Reverted => Some(Outcome::Unhealthy),
            Self::Lost | Self::LostReported => Some(Outcome::NotBack),
            Self::Failed(outcome) | Self::Neutral(outcome) => Some(outcome),
        }
    }
}

/// Where a report alone brings an attempt.
fn reported(outcome: Outcome) -> Standing {
    match outcome {
        Outcome::Ok => Standing::Reported,
        Outcome::Declined
        | Outcome::Cancelled
        | Outcome::AlreadyRunning
        | Outcome::NotConfirmed => Standing::Neutral(outcome),
        _ => Standing::Failed(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Event::{GivenUp, Heartbeat, Report, Silent};
    use Standing::*;

    fn check(events: &[Event], expected: Standing, class: Class) {
        let end = events.iter().fold(Offered, |standing, event| standing.next(*event));
        assert_eq!((end, end.class()), (expected, class), "{events:?}");
        let again = events.iter().fold(Offered, |s, event| s.next(*event).next(*event));
        assert_eq!(again, expected, "repeated: {events:?}");
    }

    #[test]
    fn success_needs_a_report_and_a_heartbeat() {
        let ok = Report(Outcome::Ok);
        check(&[], Offered, Class::InFlight);
        check(&[Heartbeat(Shows::New)], Offered, Class::InFlight);
        check(&[ok], Reported, Class::InFlight);
        check(&[ok, Heartbeat(Shows::Other)], Reported, Class::InFlight);
        check(&[ok, Heartbeat(Shows::New)], Confirmed, Class::Confirmed);
    }

    #[test]
    fn a_heartbeat_corrects_the_view() {
        let ok = Report(Outcome::Ok);
        let (new, old) = (Heartbeat(Shows::New), Heartbeat(Shows::Old));
        check(&[ok, old], Reverted, Class::Failed);
        check(&[ok, new, old], Reverted, Class::Failed);
        check(&[ok, new, old, new], Confirmed, Class::Confirmed);
        check(&[ok, new, Heartbeat(Shows::Other)], Confirmed, Class::Confirmed);
    }

    #[test]
    fn silence_is_a_failure_until_the_device_proves_otherwise() {
        let ok = Report(Outcome::Ok);
        check(&[Silent], Lost, Class::Failed);
        check(&[Silent, ok], Reported, Class::InFlight);
        check(&[ok, Silent], LostReported, Class::Failed);
        check(&[ok, Silent, Heartbeat(Shows::New)], Confirmed, Class::Confirmed);
        let failed = Report(Outcome::BootFailed);
        check(&[Silent, failed], Failed(Outcome::BootFailed), Class::Failed);
    }

    #[test]
    fn only_what_is_nobodys_fault_is_neutral() {
        for outcome in Outcome::ALL {
            let neutral = [108 + 1, 110, 111, 115].contains(&outcome.code());
            let expected = match outcome {
                Outcome::Ok => Reported,
                other if neutral => Neutral(*other),
                other => Failed(*other),
            };
            assert_eq!(Offered.next(Report(*outcome)), expected);
        }
        check(&[GivenUp], Neutral(Outcome::Cancelled), Class::Neutral);
        check(&[GivenUp, Report(Outcome::Unhealthy)], Failed(Outcome::Unhealthy), Class::Failed);
        check(&[Silent, GivenUp], Failed(Outcome::NotBack), Class::Failed);
    }
}
