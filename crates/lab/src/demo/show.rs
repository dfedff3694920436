//! What a person sees: bars on a terminal, lines elsewhere.

use crate::clock::now;
use crate::terminal::COMPONENT;
use agent::platform::stop::Stop;
use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use protocols::native::Phase;
use protocols::operator::{DeltaList, DeviceView, RolloutView};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The most terminals that get a bar of their own.
const BARS_MAX: usize = 24;

/// The screen, and the wish to stop.
pub(super) struct Show {
    stop: Stop,
    began: Instant,
    bars: Option<MultiProgress>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    bars: BTreeMap<String, ProgressBar>,
    line: String,
}

impl Show {
    pub(super) fn new(stop: Stop) -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { stop, began: now(), bars, state: RefCell::default() }
    }

    /// A new chapter.
    pub(super) fn title(&self, text: &str) {
        println!("\n== {text}");
    }

    /// One line of the story.
    pub(super) fn say(&self, text: &str) {
        println!("{:>5.1} s  {text}", (now() - self.began).as_secs_f32());
    }

    /// Ends the demo when someone interrupts it.
    pub(super) fn check(&self) -> Result<()> {
        if self.stop.asked() {
            bail!("interrupted; everything that ran was ended and removed");
        }
        Ok(())
    }

    /// Waits a moment.
    pub(super) fn pause(&self, time: Duration) -> Result<()> {
        self.check()?;
        std::thread::sleep(time);
        Ok(())
    }

    /// Waits for an interrupt.
    pub(super) fn wait_for_interrupt(&self) {
        while !self.stop.asked() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Shows how a rollout goes.
    pub(super) fn progress(&self, rollout: &RolloutView, devices: &[DeviceView]) -> Result<()> {
        self.check()?;
        let line = summary(rollout);
        let Ok(mut state) = self.state.try_borrow_mut() else { return Ok(()) };
        if let Some(all) = &self.bars {
            devices.iter().take(BARS_MAX).for_each(|view| state.show(all, view));
        }
        if state.line != line {
            let text = format!("{:>5.1} s  {line}", (now() - self.began).as_secs_f32());
            match &self.bars {
                Some(all) => all.println(text)?,
                None => println!("{text}"),
            }
            state.line = line;
        }
        Ok(())
    }

    /// Says which deltas the server made by itself, and what they saved.
    pub(super) fn deltas(&self, rollout: &RolloutView, deltas: &DeltaList) {
        for delta in deltas.deltas.iter().filter(|delta| delta.kept) {
            let from = delta.from.as_deref().unwrap_or("what runs");
            let percent = delta.size as f64 * 100.0 / delta.full.max(1) as f64;
            let kib = delta.size >> 10;
            self.say(&format!(
                "the server made a delta from {from} by itself: {kib} KiB, {percent:.1} % of full"
            ));
        }
        let (mib, tally) = (f64::from(1 << 20), rollout.tally);
        self.say(&format!(
            "{:.1} MiB were fetched where full payloads have {:.1} MiB",
            tally.fetched as f64 / mib,
            tally.full as f64 / mib,
        ));
    }

    /// The chapter is over.
    pub(super) fn done(&self) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.bars.values().for_each(ProgressBar::finish_and_clear);
            state.bars.clear();
        }
    }
}

fn summary(rollout: &RolloutView) -> String {
    let tally = rollout.tally;
    let state = format!("{:?}", rollout.state).to_lowercase();
    format!(
        "{state}, wave {} of {}: {} in flight, {} confirmed, {} failed, {} in the audience",
        rollout.wave,
        rollout.waves.len(),
        tally.in_flight,
        tally.confirmed,
        tally.failed,
        tally.audience
    )
}

impl State {
    fn show(&mut self, all: &MultiProgress, view: &DeviceView) {
        let name = view.device.to_string();
        let bar = self.bars.entry(name.clone()).or_insert_with(|| {
            let template = "{prefix} {bar:24} {msg}";
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(100).with_style(style).with_prefix(name))
        });
        let progress = view.attempt.as_ref().and_then(|attempt| attempt.progress);
        let percent = progress.map_or(0, |p| (p.done * 100).checked_div(p.total).unwrap_or(0));
        bar.set_position(if view.phase == Phase::Idle { 0 } else { percent });
        let phase = format!("{:?}", view.phase).to_lowercase();
        bar.set_message(format!("runs {}, {phase}", runs(view)));
    }
}

/// The version that a terminal runs, as it says itself.
pub(super) fn runs(view: &DeviceView) -> String {
    let component = view.running.iter().find(|(name, _)| name.as_str() == COMPONENT);
    component.map(|(_, state)| state.version.to_string()).unwrap_or_default()
}
