//! Medians, the table, and whether the goals are reached.

use super::cost::{Cost, Watch};
use super::installers::{INSTALLERS, Installer, WithReadBack};
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use std::collections::BTreeMap;
use std::fmt;

/// The CPU's time without read-back, in SWUpdate's.
const CPU: f64 = 1.0;
/// The same with read-back.
const CPU_READ_BACK: f64 = 1.4;
/// Resident memory of agent and worker together, in MiB.
const MEMORY: f64 = 12.0;

const MIB: f64 = 1_048_576.0;

/// All that was measured.
#[derive(Debug, Default)]
pub(super) struct Results {
    time: BTreeMap<Installer, Vec<Cost>>,
    memory: BTreeMap<Installer, Vec<Cost>>,
}

/// One goal and how far it is.
struct Goal {
    what: &'static str,
    is: f64,
    at_most: f64,
}

impl Results {
    pub(super) fn add(&mut self, installer: Installer, watch: Watch, cost: Cost) {
        let all = match watch {
            Watch::Time => &mut self.time,
            Watch::Memory => &mut self.memory,
        };
        all.entry(installer).or_default().push(cost);
    }

    fn values(&self, watch: Watch, of: Installer, value: impl Fn(&Cost) -> f64) -> Vec<f64> {
        let all = match watch {
            Watch::Time => &self.time,
            Watch::Memory => &self.memory,
        };
        all.get(&of).into_iter().flatten().map(value).collect()
    }

    /// The CPU's time in SWUpdate's of the same round.
    fn ratios(&self, of: Installer) -> Vec<f64> {
        let cpu = |of| self.values(Watch::Time, of, |cost| cost.cpu.total().as_secs_f64());
        cpu(of).iter().zip(cpu(Installer::SwUpdate)).map(|(own, its)| own / its).collect()
    }

    /// Markdown: median (least–most).
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "",
            "CPU s",
            "user s",
            "system s",
            "× SWUpdate",
            "wall s",
            "RSS MiB",
            "anonymous MiB",
            "largest MiB",
            "temporary KiB",
            "records KiB",
        ]);
        for of in INSTALLERS {
            table.add_row(self.row(of));
        }
        table.to_string()
    }

    fn row(&self, of: Installer) -> Vec<String> {
        let time = |value: fn(&Cost) -> f64| spread(self.values(Watch::Time, of, value), 2);
        let memory = |value: fn(&Cost) -> f64| spread(self.values(Watch::Memory, of, value), 1);
        vec![
            of.to_string(),
            time(|cost| cost.cpu.total().as_secs_f64()),
            time(|cost| cost.cpu.user.as_secs_f64()),
            time(|cost| cost.cpu.system.as_secs_f64()),
            spread(self.ratios(of), 2),
            time(|cost| cost.wall.as_secs_f64()),
            memory(|cost| cost.memory.sum as f64 / MIB),
            memory(|cost| cost.memory.anonymous as f64 / MIB),
            memory(|cost| cost.memory.largest as f64 / MIB),
            memory(|cost| cost.memory.temporary as f64 / 1024.0),
            memory(|cost| cost.memory.records as f64 / 1024.0),
        ]
    }

    fn goals(&self) -> [Goal; 4] {
        let [without, with] = [WithReadBack::No, WithReadBack::Yes].map(Installer::Refit);
        let most = |value: fn(&Cost) -> f64| {
            [without, with]
                .into_iter()
                .flat_map(|of| self.values(Watch::Memory, of, value))
                .fold(0.0, f64::max)
        };
        let [cpu, cpu_read_back] = [without, with].map(|of| median(self.ratios(of)));
        [
            Goal { what: "CPU × SWUpdate's", is: cpu, at_most: CPU },
            Goal { what: "with read-back", is: cpu_read_back, at_most: CPU_READ_BACK },
            Goal {
                what: "RSS MiB",
                is: most(|cost| cost.memory.sum as f64 / MIB),
                at_most: MEMORY,
            },
            Goal {
                what: "temporary bytes",
                is: most(|cost| cost.memory.temporary as f64),
                at_most: 0.0,
            },
        ]
    }

    pub(super) fn within_goals(&self) -> bool {
        self.goals().iter().all(Goal::reached)
    }

    /// The last line.
    pub(super) fn verdict(&self) -> String {
        verdict(&self.goals())
    }
}

impl Goal {
    fn reached(&self) -> bool {
        self.is <= self.at_most
    }

    fn distance(&self) -> String {
        format!("{} by {:.2}", self.what, self.is - self.at_most)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, is, at_most } = self;
        write!(f, "{what} {is:.2} of {at_most:.2}")
    }
}

fn verdict(goals: &[Goal]) -> String {
    let all: Vec<String> = goals.iter().map(Goal::to_string).collect();
    let short: Vec<String> =
        goals.iter().filter(|goal| !goal.reached()).map(Goal::distance).collect();
    let end = match short.as_slice() {
        [] => "within goals".to_owned(),
        short => format!("short of: {}", short.join(", ")),
    };
    format!("bench install: {}; {end}", all.join(", "))
}

/// The middle one, or the mean of the two in the middle; not a number of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = values.get(half).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = half.checked_sub(1).and_then(|index| values.get(index));
    lower.map_or(f64::NAN, |lower| f64::midpoint(*lower, upper))
}

/// `median (least–most)`.
fn spread(values: Vec<f64>, digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.digits$} ({least:.digits$}–{most:.digits$})", median(values))
}

#[cfg(test)]
mod tests {
    use super::super::cost::Cpu;
    use super::super::memory::Memory;
    use super::*;
    use std::time::Duration;

    fn cost(cpu_ms: u64, mib: u64) -> Cost {
        let user = Duration::from_millis(cpu_ms);
        let memory = Memory { sum: mib << 20, ..Memory::default() };
        Cost { cpu: Cpu { user, ..Cpu::default() }, wall: user, memory }
    }

    /// The verdict on rounds of (SWUpdate's, Refit's, with read-back) milliseconds.
    fn check(rounds: &[(u64, u64, u64)], mib: u64, end: &str) {
        let mut results = Results::default();
        let [without, with] = [WithReadBack::No, WithReadBack::Yes].map(Installer::Refit);
        for (its, ours, read_back) in rounds {
            let all = [(Installer::SwUpdate, its), (without, ours), (with, read_back)];
            for (of, cpu) in all {
                results.add(of, Watch::Time, cost(*cpu, 0));
                results.add(of, Watch::Memory, cost(0, mib));
            }
        }
        let verdict = results.verdict();
        assert!(verdict.ends_with(end), "{verdict}");
        assert_eq!(results.within_goals(), end == "; within goals");
    }

    #[test]
    fn goals_are_met_by_the_median_of_the_rounds() {
        check(&[(100, 100, 139)], 12, "; within goals");
        check(&[(100, 101, 139)], 12, "; short of: CPU × SWUpdate's by 0.01");
        check(&[(100, 900, 100), (100, 90, 100), (200, 110, 100)], 12, "; within goals");
        check(&[(100, 100, 141)], 13, "; short of: with read-back by 0.01, RSS MiB by 1.00");
    }

    #[test]
    fn nothing_measured_reaches_nothing() {
        assert!(!Results::default().within_goals());
    }

    #[test]
    fn medians() {
        for (values, expected) in
            [(vec![3.0, 1.0, 2.0], "2.0 (1.0–3.0)"), (vec![4.0, 1.0], "2.5 (1.0–4.0)")]
        {
            assert_eq!(spread(values, 1), expected);
        }
    }
}
