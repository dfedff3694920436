//! Everything that survives the agent: media, bootloader, store, server, time. And
//! the injector that ends the agent or the power at a given point.

use crate::chance::Chance;
use crate::medium::Medium;
use crate::oracle::Broken;
use crate::release::{CHUNK, CHUNKS, OLD_FORM, OLD_INDEX, Release, component_name};
use crate::scenario::{Fault, Loader, Scenario};
use crate::weather;
use agent::edges::SlotFacts;
use engine::policy::rules::Conditions;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use types::{AttemptId, Effect, Name, Outcome, Slot};

/// How the agent is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Crash {
    /// The agent's process ends; the device runs on.
    Kill,
    /// The power fails.
    Cut,
    /// The agent restarts the device.
    Restart,
}

/// One crash at one point. Points are counted over the whole run: three for each
/// effect, before, inside and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Injection {
    /// Which point, from 0.
    pub at: u32,
    /// What happens there.
    pub crash: Crash,
}

/// The part of a component that lives beside the banks.
pub struct Beside {
    /// Where the new one is staged.
    pub staging: Medium,
    /// What runs; `None` while it is torn.
    pub current: Option<Vec<u8>>,
    /// What ran before a switch that was not kept.
    pub previous: Option<Option<Vec<u8>>>,
}

/// A bootloader in two copies.
pub struct Copies {
    /// Both.
    pub media: BTreeMap<Slot, Medium>,
    /// The copy that is started first.
    pub chosen: Slot,
    /// The copy that started this boot.
    pub running: Slot,
}

impl Copies {
    fn new(old: &[u8]) -> Self {
        let media = Slot::BOTH.map(|copy| (copy, Medium::new(old.len() + CHUNK as usize, old)));
        Self { media: media.into(), chosen: Slot::A, running: Slot::A }
    }
}

/// The bootloader's memory.
pub struct Boot {
    /// What it holds of A and B.
    pub slots: BTreeMap<Slot, SlotFacts>,
    /// The slot that runs.
    pub running: Slot,
    /// The slot that what runs gave way to, until the next boot.
    pub first: Option<Slot>,
}

/// The whole world.
pub struct World {
    /// What is tried.
    pub scenario: Scenario,
    /// The release that is ordered.
    pub release: Rc<Release>,
    /// The banks.
    pub banks: BTreeMap<Slot, Medium>,
    /// Where a package is kept before the only system is left.
    pub stage: Medium,
    /// Components without banks.
    pub beside: BTreeMap<Name, Beside>,
    /// The bootloader's memory.
    pub boot: Boot,
    /// The bootloader itself, where it is a component.
    pub copies: Copies,
    /// Journal copies: generation and record; `None` is torn.
    pub journal: [Option<(u64, Vec<u8>)>; 2],
    /// Whether the journal was ever written.
    pub journal_used: bool,
    /// How often both copies of it were lost.
    pub journals_lost: u32,
    /// Documents.
    pub store: BTreeMap<String, Vec<u8>>,
    /// The form of the configuration's copy for each slot; `None` where there is none.
    pub configuration: BTreeMap<Slot, Option<u32>>,
    /// Rollback floors.
    pub floors: BTreeMap<String, u64>,
    /// Reports that the server counted, by attempt.
    pub counted: BTreeMap<AttemptId, BTreeSet<Outcome>>,
    /// Reports that arrived, repeated ones included.
    pub arrived: u32,
    /// Battery, line, people.
    pub weather: Conditions,
    /// What the last health check said.
    pub healthy: Option<bool>,
    /// Which address of the package is valid; older ones have expired.
    pub address: u32,
    /// Whether what a feed gives is a delta, or was kept on the terminal.
    pub is_cheap: bool,
    /// Payload bytes served.
    pub served: u64,
    /// Milliseconds since the beginning.
    pub clock: u64,
    /// In which boot a bank was read back last: in which the restart was decided.
    pub decided_in: u32,
    /// Boots so far.
    pub boots: u32,
    /// Cuts and kills so far.
    pub cuts: u32,
    /// Agent processes ended so far without a cut.
    pub kills: u32,
    /// Chance for tears and lost replies.
    pub chance: Chance,
    /// Rules that were broken inside an effect.
    pub broken: Vec<Broken>,
    /// Points passed.
    pub points: u32,
    injections: Vec<Injection>,
}

/// The world as the edges hold it.
pub type Shared = Rc<RefCell<World>>;

/// The attempt that the server orders.
pub fn attempt() -> AttemptId {
    AttemptId([0xa5; 16])
}

impl World {
    /// A device that runs the old release in slot A, has it in slot B too, and a server
    /// that offers the new one.
    pub fn new(
        scenario: Scenario,
        release: Rc<Release>,
        seed: u64,
        injections: &[Injection],
    ) -> Self {
        let len = (CHUNK * CHUNKS) as usize;
        let old = |effect| release.old.get(&component_name(effect)).map_or(&[][..], Vec::as_slice);
        let banks = [
            (Slot::A, Medium::new(len, old(Effect::Slot))),
            (Slot::B, Medium::new(len, old(Effect::Slot))),
        ];
        let beside = scenario.layout.effects().iter().filter(|e| **e != Effect::Slot);
        let mut injections = injections.to_vec();
        injections.sort_by(|a, b| b.cmp(a));
        Self {
            scenario,
            banks: banks.into(),
            stage: Medium::new(release.payloads.len() * len + (8 << 10), b""),
            beside: beside.map(|e| (component_name(*e), new_beside(old(*e)))).collect(),
            boot: Boot {
                slots: [(Slot::A, SlotFacts::Good), (Slot::B, SlotFacts::Good)].into(),
                running: Slot::A,
                first: None,
            },
            copies: Copies::new(old(Effect::Direct)),
            journal: [None, None],
            journal_used: false,
            journals_lost: 0,
            store: [
                (agent::ROOT.into(), release.root.clone()),
                (agent::Inventory::NAME.into(), release.installed()),
            ]
            .into(),
            configuration: Slot::BOTH.map(|slot| (slot, Some(OLD_FORM))).into(),
            floors: [("rootfs".into(), OLD_INDEX)].into(),
            counted: BTreeMap::new(),
            arrived: 0,
            weather: weather::fine(),
            healthy: None,
            address: 0,
            is_cheap: false,
            served: 0,
            clock: 0,
            decided_in: 0,
            boots: 0,
            cuts: 0,
            kills: 0,
            chance: Chance::new(seed),
            broken: Vec::new(),
            points: 0,
            injections,
            release,
        }
    }

    /// Passes a point; what is to happen there.
    fn pass(&mut self) -> Option<Crash> {
        let at = self.points;
        self.points += 1;
        match self.injections.last() {
            Some(next) if next.at == at => self.injections.pop().map(|next| next.crash),
            _ => None,
        }
    }

    /// What the bootloader holds of `slot`.
    pub fn facts(&self, slot: Slot) -> SlotFacts {
        self.boot.slots.get(&slot).copied().unwrap_or(SlotFacts::Unbootable)
    }

    /// The power is gone: what was not flushed is lost or torn.
    pub fn lose_power(&mut self) {
        let chance = &mut self.chance;
        self.banks.values_mut().for_each(|bank| bank.lose_power(chance));
        self.beside.values_mut().for_each(|beside| beside.staging.lose_power(chance));
        self.stage.lose_power(chance);
        self.copies.media.values_mut().for_each(|copy| copy.lose_power(chance));
        // The device was off for long.
        self.address += u32::from(chance.one_in(2));
        if self.scenario.fault == Fault::LostJournal && chance.one_in(3) {
            self.journal = [None, None];
            self.journals_lost += u32::from(self.journal_used);
        }
    }

    /// Which release the bank holds completely, by its durable bytes.
    pub fn holds(&self, slot: Slot) -> Option<Holds> {
        let durable = self.banks.get(&slot)?.durable();
        let name = component_name(Effect::Slot);
        let new = self.release.images.get(&name)?;
        if durable.starts_with(new) {
            return Some(Holds::New);
        }
        durable.starts_with(self.release.old.get(&name)?).then_some(Holds::Old)
    }

    /// Which release's bootloader a copy holds completely, by its durable bytes.
    pub fn copy_holds(&self, copy: Slot) -> Option<Holds> {
        let durable = self.copies.media.get(&copy)?.durable();
        let name = component_name(Effect::Direct);
        let held = |images: &BTreeMap<Name, Vec<u8>>| {
            images.get(&name).is_some_and(|image| durable.starts_with(image))
        };
        match () {
            () if held(&self.release.images) => Some(Holds::New),
            () => held(&self.release.old).then_some(Holds::Old),
        }
    }

    /// How the bootloader tries.
    pub fn loader(&self) -> Loader {
        self.scenario.loader
    }
}

/// A complete release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The old one.
    Old,
    /// The new one.
    New,
}

fn new_beside(old: &[u8]) -> Beside {
    let staging = Medium::new(old.len() + CHUNK as usize, b"");
    Beside { staging, current: Some(old.to_vec()), previous: None }
}

/// Carries out an effect with a point before, inside and after it. `whole` is the
/// effect; `torn` is what is left of it when it is ended inside.
pub fn effect<R>(
    world: &Shared,
    torn: impl FnOnce(&mut World),
    whole: impl FnOnce(&mut World) -> R,
) -> R {
    let mut inside = world.borrow_mut();
    if let Some(crash) = inside.pass() {
        drop(inside);
        end(crash);
    }
    if let Some(crash) = inside.pass() {
        torn(&mut inside);
        drop(inside);
        end(crash);
    }
    let result = whole(&mut inside);
    if let Some(crash) = inside.pass() {
        drop(inside);
        end(crash);
    }
    result
}

/// Ends the agent here, without a panic message.
pub fn end(crash: Crash) -> ! {
    std::panic::resume_unwind(Box::new(crash))
}

/// An effect that is not there when it is ended inside.
pub fn nothing(_: &mut World) {}
