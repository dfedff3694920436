//! The board's cases: each a release, how it comes to the board, and what has to come of it.

use super::chain::Chain;
use super::given::Given;
use super::layout::Layout;
use super::loaders::Loader;
use super::slot::Mode;
use types::Outcome;

/// The version in the factory.
pub(super) const OLD: &str = "1.0.0";
/// The version of the good release.
pub(super) const GOOD: &str = "2.0.0";

/// One release and what has to come of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// How it reaches the board.
    pub(super) given: Given,
    /// Its version.
    pub(super) version: &'static str,
    /// What it does.
    pub(super) content: Content,
    /// The bootloader that it brings, where there are two copies.
    pub(super) loader: Option<Loader>,
    /// What the board's slots are for.
    pub(super) layout: Layout,
    /// The slots that the bootloader has to start, in order.
    pub(super) starts: &'static str,
    /// How the update has to end.
    pub(super) outcome: Outcome,
    /// What has to be in the reason that the server is told.
    pub(super) why: &'static str,
}

/// What is in a release.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// An image that behaves like this.
    Image(Mode),
    /// Noise, signed.
    Noise,
}

/// All of them.
pub(super) const CASES: [Case; 15] = [
    good("good, from a card", Given::Card),
    good("good, from the server", Given::Server),
    good("good, by the page", Given::Page),
    fails("kernel panics", "2.1.0", Content::Image(Mode::Panic)),
    fails("init exits", "2.2.0", Content::Image(Mode::Exit)),
    fails("user space hangs", "2.3.0", Content::Image(Mode::Hang)),
    Case {
        starts: "ABA",
        outcome: Outcome::Unhealthy,
        why: "/bin/check",
        ..fails("unhealthy", "2.4.0", Content::Image(Mode::Unhealthy))
    },
    fails("garbage image", "2.5.0", Content::Noise),
    fails("hangs before user space", "2.6.0", Content::Image(Mode::HangEarly)),
    Case { layout: Layout::Recovery, starts: "ABA", ..good("recovery, from a card", Given::Card) },
    Case {
        layout: Layout::Staged,
        starts: "ABA",
        version: "2.9.0",
        ..good("recovery, fetched ahead", Given::Server)
    },
    Case {
        layout: Layout::Recovery,
        starts: "ABAAAB",
        why: "slot B runs after 3 failed boots",
        ..fails("recovery, by itself", "2.7.0", Content::Image(Mode::Panic))
    },
    loads("a bootloader that comes up", "3.0.0", Loader::Good),
    Case { why: PARTLY, ..loads("a bootloader of noise", "3.1.0", Loader::Garbage) },
    Case { why: PARTLY, ..loads("a bootloader that resets", "3.2.0", Loader::Resets) },
];

/// What the server is told of a bootloader that did not start.
const PARTLY: &str = "bootloader";

/// A good release with a bootloader, which the last start shows.
const fn loads(name: &'static str, version: &'static str, loader: Loader) -> Case {
    let outcome = match loader {
        Loader::Good => Outcome::Ok,
        Loader::Garbage | Loader::Resets => Outcome::Partial,
    };
    let (layout, loader, starts) = (Layout::Loaders, Some(loader), "ABB");
    Case { version, outcome, layout, loader, starts, ..good(name, Given::Server) }
}

/// A good release.
pub(super) const fn good(name: &'static str, given: Given) -> Case {
    let content = Content::Image(Mode::Good);
    let (starts, outcome, why) = ("AB", Outcome::Ok, "");
    let layout = Layout::Banks;
    let loader = None;
    Case { name, given, version: GOOD, content, loader, layout, starts, outcome, why }
}

/// A release that does not start, from the server.
const fn fails(name: &'static str, version: &'static str, content: Content) -> Case {
    let (given, starts, outcome) = (Given::Server, "ABBBA", Outcome::BootFailed);
    let why = "slot A runs after 3 failed boots";
    let layout = Layout::Banks;
    let loader = None;
    Case { name, given, version, content, loader, layout, starts, outcome, why }
}

impl Case {
    /// Its folder's name.
    pub(super) fn folder(&self) -> String {
        format!("board-{}", self.name.replace([' ', ','], "-"))
    }

    /// The terminal's name in the fleet. One terminal is given the good release in each
    /// way.
    pub(super) fn device(&self) -> String {
        if self.is_usual() { "board-good".into() } else { self.folder() }
    }

    /// Whether it brings the good release to a terminal with two slots.
    pub(super) fn is_usual(&self) -> bool {
        self.outcome == Outcome::Ok && self.layout == Layout::Banks
    }

    /// Whether it is tried on boards that start so. Before user space, only GRUB arms a
    /// watchdog here; and what does not depend on the bootloader is tried once.
    pub(super) fn is_for(&self, chain: Chain) -> bool {
        let early = self.content == Content::Image(Mode::HangEarly);
        match chain {
            Chain::Uboot => !early,
            Chain::GrubBios | Chain::GrubOvmf | Chain::Malta => {
                let ends = [Content::Image(Mode::Good), Content::Noise];
                let banks = self.layout == Layout::Banks;
                let early = early && chain != Chain::Malta;
                early || banks && self.given == Given::Server && ends.contains(&self.content)
            }
        }
    }

    /// The version that has to run in the end; none where only the recovery is left.
    pub(super) fn runs(&self) -> Option<&'static str> {
        match (self.outcome, self.layout) {
            (Outcome::Ok | Outcome::Partial, _) => Some(self.version),
            (_, Layout::Banks | Layout::Loaders) => Some(OLD),
            (_, Layout::Recovery | Layout::Staged) => None,
        }
    }
}
