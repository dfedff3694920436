//! The invariants, checked inside effects, after each crash, and at the end.

use crate::edges::runs_new;
use crate::release::{NEW_FORM, OLD_FORM, OLD_INDEX, again, component_name};
use crate::scenario::{Fault, Image, Layout, Loader};
use crate::weather;
use crate::world::{Holds, World, attempt};
use agent::edges::SlotFacts;
use agent::{RECOVERY, SYSTEM};
use package::Archive;
use types::{Effect, Outcome, Slot};

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The slot that runs was written to.
    WroteRunningSlot,
    /// A slot was written to that the bootloader might start.
    WroteBootableSlot,
    /// The bootloader was told before everything was written and flushed.
    ArmedIncomplete,
    /// The bootloader was told before everything was read back.
    ArmedUnread,
    /// The bootloader was told to try more often than three times.
    TooManyTries(u8),
    /// A slot was marked good although the last health check did not pass.
    MarkedGoodUnproven,
    /// A slot that is good and runs was disarmed, or the last good one.
    RevertedGood,
    /// A system that the bootloader might start is not complete.
    StartsIncomplete,
    /// The recovery was written to.
    WroteRecovery,
    /// The bootloader's copy that is started first was written to.
    WroteChosenCopy,
    /// A copy of the bootloader was chosen before it was complete, flushed and read back.
    ChoseIncomplete,
    /// The system was given up although the package that was kept does not give the next one.
    GaveUpUnchecked,
    /// The recovery gave way to a system that is not trusted and complete.
    GaveWay,
    /// No slot holds a complete release that the bootloader would start.
    Bricked,
    /// A release below the rollback floor was started.
    BootedBelowFloor,
    /// The floor was raised before the release was confirmed.
    FloorTooEarly,
    /// The device booted more often than cuts and tries explain.
    TooManyBoots(u32),
    /// A release was started on a configuration of another form.
    WrongConfiguration,
    /// The configuration of a slot was touched that runs or might be started.
    TouchedConfiguration,
    /// More bytes were fetched than payload and crashes explain.
    TooManyBytes(u64),
    /// No report arrived.
    NoReport,
    /// One attempt was reported with different outcomes.
    TwoOutcomes,
    /// The outcome is none that this release can have here.
    WrongOutcome(Outcome),
    /// The report does not fit what runs.
    ReportLies(Outcome),
    /// A component beside the banks does not fit what runs.
    BesideWrong,
    /// A release that failed here is not remembered, or a good one is.
    FailureMemory,
    /// Something was written, or the bootloader told, against the maker's rules.
    AgainstTheRules,
    /// A switch without a boot was neither kept nor undone.
    SwitchOpen,
    /// The update did not come to an end.
    Endless,
    /// The agent's loop gave up.
    Stopped(String),
}

/// Judges a write to a medium.
pub fn may_write(world: &World) -> Option<Broken> {
    (!weather::allows_writing(&world.weather, world.is_cheap)).then_some(Broken::AgainstTheRules)
}

/// Judges `set_unbootable`.
pub fn may_disarm(world: &World, slot: Slot) -> Option<Broken> {
    let only = world.facts(slot.other()) != SlotFacts::Good;
    let good = world.facts(slot) == SlotFacts::Good;
    let is_looked_at = matches!(world.scenario.layout, Layout::Staged | Layout::Spare);
    if is_looked_at && slot == SYSTEM && !is_kept(world) {
        return Some(Broken::GaveUpUnchecked);
    }
    (only || (good && world.boot.running == slot)).then_some(Broken::RevertedGood)
}

/// Whether the new release is kept beside the banks, whole and durable.
fn is_kept(world: &World) -> bool {
    let bytes = world.stage.written();
    let archive = Archive::open(bytes).ok().filter(|_| world.stage.is_flushed());
    let image = world.release.images.get(&component_name(Effect::Slot));
    let (Some(archive), Some(image)) = (archive, image) else { return false };
    let as_served = |(entry, served): (&String, &Vec<u8>)| {
        let kept = archive.read(bytes, entry, served.len() as u64);
        kept.is_ok_and(|kept| kept == *served)
    };
    let payloads = &world.release.payloads;
    payloads.iter().all(as_served) && payloads.values().any(|payload| payload == image)
}

/// Judges the choice of the bootloader's copy `to`.
pub fn may_choose(world: &World, to: Slot) -> Option<Broken> {
    let copy = world.copies.media.get(&to)?;
    let new = world.release.images.get(&component_name(Effect::Direct))?;
    if to == world.copies.running {
        return None;
    }
    let whole = copy.is_flushed() && copy.durable().starts_with(new);
    (!whole || !copy.is_read_back(new.len())).then_some(Broken::ChoseIncomplete)
}

/// Judges `give_way`.
pub fn may_give_way(world: &World) -> Option<Broken> {
    let to = world.boot.running.other();
    let sound = world.facts(to) == SlotFacts::Good && world.holds(to).is_some();
    (!sound).then_some(Broken::GaveWay)
}

/// Whether `slot` is the recovery.
fn is_recovery(world: &World, slot: Slot) -> bool {
    world.scenario.layout.has_recovery() && slot == RECOVERY
}

/// Judges `set_trial`.
pub fn may_arm(world: &World, slot: Slot, tries: u8) -> Option<Broken> {
    if is_recovery(world, slot) {
        return (tries > 3).then_some(Broken::TooManyTries(tries));
    }
    let bank = world.banks.get(&slot)?;
    let new = world.release.images.get(&component_name(Effect::Slot))?;
    // What was decided in an earlier boot is carried out whatever the weather, as is
    // the next try of a slot that failed.
    // Where the recovery wrote, nobody is served and nothing is waited for.
    let waits = !world.scenario.layout.has_recovery();
    let first =
        waits && world.facts(slot) == SlotFacts::Unbootable && world.decided_in == world.boots;
    if first && !weather::allows_restarting(&world.weather) {
        return Some(Broken::AgainstTheRules);
    }
    if tries > 3 {
        return Some(Broken::TooManyTries(tries));
    }
    if !bank.is_flushed() || !bank.durable().starts_with(new) {
        return Some(Broken::ArmedIncomplete);
    }
    (!bank.is_read_back(new.len())).then_some(Broken::ArmedUnread)
}

/// Judges a change of the configuration's copy for `slot`.
pub fn may_touch_configuration(world: &World, slot: Slot) -> Option<Broken> {
    let startable = match world.facts(slot) {
        SlotFacts::Good | SlotFacts::Trial { left: 1.. } => true,
        SlotFacts::Trial { left: 0 } | SlotFacts::Unbootable => false,
    };
    if is_recovery(world, slot) {
        // No program of the recovery depends on its form.
        return None;
    }
    (startable || world.boot.running == slot).then_some(Broken::TouchedConfiguration)
}

/// Judges `mark_running_good`.
pub fn may_mark_good(world: &World) -> Option<Broken> {
    (world.healthy != Some(true)).then_some(Broken::MarkedGoodUnproven)
}

/// Judges the world after a crash, before anything runs again.
pub fn after_crash(world: &World) -> Option<Broken> {
    let sound = |slot: &Slot| world.facts(*slot) == SlotFacts::Good && world.holds(*slot).is_some();
    if !Slot::BOTH.iter().any(sound) {
        return Some(Broken::Bricked);
    }
    if let Some(broken) = recovery_is_safe(world) {
        return Some(broken);
    }
    let copies = world.scenario.layout.has_copies();
    if copies && world.copy_holds(world.copies.chosen).is_none() {
        return Some(Broken::ChoseIncomplete);
    }
    let floor = world.floors.get("rootfs").copied().unwrap_or(0);
    let confirmed = Slot::BOTH.iter().any(|slot| {
        world.facts(*slot) == SlotFacts::Good && world.holds(*slot) == Some(Holds::New)
    });
    if floor > OLD_INDEX && !confirmed {
        return Some(Broken::FloorTooEarly);
    }
    world.broken.first().cloned()
}

/// Where there is a recovery: it is as the factory made it, and a system that is not
/// complete is never started.
fn recovery_is_safe(world: &World) -> Option<Broken> {
    if !world.scenario.layout.has_recovery() {
        return None;
    }
    let startable = world.facts(SYSTEM) != SlotFacts::Unbootable;
    if startable && world.holds(SYSTEM).is_none() {
        return Some(Broken::StartsIncomplete);
    }
    (world.holds(RECOVERY) != Some(Holds::Old)).then_some(Broken::WroteRecovery)
}

/// Judges a boot into `slot`.
pub fn after_boot(world: &World, slot: Slot) -> Option<Broken> {
    if is_recovery(world, slot) {
        return None;
    }
    let index = match world.holds(slot) {
        Some(Holds::New) => OLD_INDEX + 1,
        Some(Holds::Old) => OLD_INDEX,
        None => return Some(Broken::Bricked),
    };
    let floor = world.floors.get("rootfs").copied().unwrap_or(0);
    if index < floor {
        return Some(Broken::BootedBelowFloor);
    }
    let form = if index == OLD_INDEX { OLD_FORM } else { NEW_FORM };
    let fits = world.configuration.get(&slot) == Some(&Some(form));
    (!fits).then_some(Broken::WrongConfiguration)
}

/// Judges the world when the update has ended.
pub fn at_the_end(world: &World) -> Option<Broken> {
    after_crash(world).or_else(|| costs(world)).or_else(|| report(world))
}

/// Boots ≤ 2 + cuts + tries, and at most one checkpoint's bytes again per crash.
fn costs(world: &World) -> Option<Broken> {
    let tries = match world.loader() {
        Loader::Counted => 3,
        // Each single try is a boot into the new slot and one back.
        Loader::Single => 2 * 3 - 1,
    };
    // The recovery has its own.
    let tries = if world.scenario.layout.has_recovery() { 2 * tries + 1 } else { tries };
    // Without its journal a device begins again.
    let attempts = 1 + world.journals_lost;
    // The one that starts a new bootloader.
    let more = u32::from(world.scenario.layout.has_copies());
    if world.boots > attempts * (2 + tries + more) + world.cuts {
        return Some(Broken::TooManyBoots(world.boots));
    }
    let payload: u64 = world.release.payloads.values().map(|p| p.len() as u64).sum();
    let crashes = u64::from(world.cuts + world.kills);
    // A lying flash is written again, at most twice.
    let rounds = if world.scenario.fault == Fault::LyingFlash { 3 } else { u64::from(attempts) };
    // What was kept before the room was used up is fetched again.
    let rounds = rounds + u64::from(world.scenario.layout == Layout::Filling);
    let most = rounds * payload + crashes * again(world.scenario.layout);
    (world.served > most).then_some(Broken::TooManyBytes(world.served))
}

fn report(world: &World) -> Option<Broken> {
    let Some(outcomes) = world.counted.get(&attempt()) else { return Some(Broken::NoReport) };
    let (1, Some(&outcome)) = (outcomes.len(), outcomes.first()) else {
        return Some(Broken::TwoOutcomes);
    };
    if !is_expected(world, outcome) {
        return Some(Broken::WrongOutcome(outcome));
    }
    is_true(world, outcome).or_else(|| beside_fits(world, outcome))
}

fn is_expected(world: &World, outcome: Outcome) -> bool {
    // Three cuts inside the trial use up its tries: the documented limit.
    let failed = if outcome == Outcome::RecoveryFailed {
        world.scenario.layout.has_recovery()
    } else {
        outcome == Outcome::BootFailed
    };
    let used_up = world.cuts >= 3 && failed;
    if matches!(world.scenario.layout, Layout::DeadRecovery | Layout::SickRecovery) {
        return outcome == Outcome::RecoveryFailed;
    }
    let fault = match world.scenario.fault {
        Fault::None => false,
        Fault::LyingFlash => outcome == Outcome::ReadBackMismatch,
        Fault::FullStore => outcome == Outcome::StorageFull,
        Fault::LostJournal if world.journals_lost == 0 => false,
        Fault::LostJournal => {
            matches!(outcome, Outcome::AlreadyRunning | Outcome::FailedBefore | Outcome::Partial)
        }
    };
    if world.scenario.layout == Layout::SlotDeadCopy && outcome == Outcome::Partial {
        return true;
    }
    world.scenario.image.outcomes().contains(&outcome) || used_up || fault
}

/// What runs is what was reported, and the bootloader trusts it.
fn is_true(world: &World, outcome: Outcome) -> Option<Broken> {
    let expected = if runs_after(outcome) { Holds::New } else { Holds::Old };
    let running = world.boot.running;
    let holds = world.holds(running);
    // Without its journal the device may have begun again on what it had confirmed.
    let as_told = holds == Some(expected) || (world.journals_lost > 0 && holds.is_some());
    let fits = as_told && world.facts(running) == SlotFacts::Good;
    let armed = matches!(world.facts(running.other()), SlotFacts::Trial { .. });
    let over = [Outcome::BootFailed, Outcome::RecoveryFailed].contains(&outcome);
    if !fits || (armed && !over) {
        return Some(Broken::ReportLies(outcome));
    }
    let floor = world.floors.get("rootfs").copied().unwrap_or(0);
    let wanted = if runs_after(outcome) { OLD_INDEX + 1 } else { OLD_INDEX };
    if floor != wanted && world.journals_lost == 0 {
        return Some(Broken::ReportLies(outcome));
    }
    failure_is_remembered(world, outcome)
}

/// Whether the new release runs after this outcome.
fn runs_after(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::AlreadyRunning | Outcome::Partial)
}

fn failure_is_remembered(world: &World, outcome: Outcome) -> Option<Broken> {
    let inventory = world.store.get(agent::Inventory::NAME);
    let inventory: agent::Inventory =
        inventory.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let manifest = world.release.documents.get("manifest.json")?;
    let remembered = inventory.failed(types::Digest::of(manifest));
    let failed = [Outcome::BootFailed, Outcome::Unhealthy, Outcome::FailedBefore];
    let should = failed.contains(&outcome);
    (remembered != should && world.scenario.fault != Fault::FullStore)
        .then_some(Broken::FailureMemory)
}

fn beside_fits(world: &World, outcome: Outcome) -> Option<Broken> {
    let ok = runs_after(outcome) && outcome != Outcome::Partial;
    if world.copies.chosen != world.copies.running {
        return Some(Broken::SwitchOpen);
    }
    if world.beside.values().any(|beside| beside.previous.is_some()) {
        return Some(Broken::SwitchOpen);
    }
    // Without its journal the device may have begun again on what it had confirmed.
    if world.journals_lost > 0 {
        return world.beside.values().any(|b| b.current.is_none()).then_some(Broken::BesideWrong);
    }
    let wrong = [Effect::Live, Effect::Direct]
        .into_iter()
        .any(|effect| runs_new(world, effect).is_some_and(|new| new != ok));
    wrong.then_some(Broken::BesideWrong)
}

/// Whether the image of a bank starts up to where the agent runs.
pub fn boots(world: &World, slot: Slot) -> bool {
    match world.holds(slot) {
        None => false,
        Some(Holds::Old) => {
            !is_recovery(world, slot) || world.scenario.layout != Layout::DeadRecovery
        }
        Some(Holds::New) => !matches!(world.scenario.image, Image::NonBooting | Image::Hanging),
    }
}
