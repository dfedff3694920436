//! What was measured, beside its goal.

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde_json::{Map, Value, json};

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// At least so much.
    Least(f64),
    /// At most so much.
    Most(f64),
    /// It is for information.
    Open,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    goal: Goal,
}

/// All figures of a run, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Figure>);

impl Figure {
    fn reached(&self) -> bool {
        match self.goal {
            Goal::Least(least) => self.value >= least,
            Goal::Most(most) => self.value <= most,
            Goal::Open => true,
        }
    }

    fn goal(&self) -> String {
        match self.goal {
            Goal::Least(least) => format!("≥ {}", shown(least)),
            Goal::Most(most) => format!("≤ {}", shown(most)),
            Goal::Open => "-".into(),
        }
    }

    fn sentence(&self) -> String {
        format!("{} {} {} (goal {})", self.name, shown(self.value), self.unit, self.goal())
    }
}

fn shown(value: f64) -> String {
    if value.abs() >= 100.0 || value == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

impl Figures {
    /// Adds a figure and says it.
    pub(super) fn add(&mut self, name: &'static str, value: f64, unit: &'static str, goal: Goal) {
        println!("  {name}: {} {unit}", shown(value));
        self.0.push(Figure { name, value, unit, goal });
    }

    /// The table for people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header(["what", "measured", "goal", "reached"]);
        for figure in &self.0 {
            let measured = format!("{} {}", shown(figure.value), figure.unit);
            let reached = match (figure.goal, figure.reached()) {
                (Goal::Open, _) => "-",
                (_, true) => "yes",
                (_, false) => "no",
            };
            table.add_row([figure.name, &measured, &figure.goal(), reached]);
        }
        table.to_string()
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let figure = |figure: &Figure| {
            let value = json!({"value": figure.value, "unit": figure.unit,
                "goal": figure.goal(), "reached": figure.reached()});
            (figure.name.to_owned(), value)
        };
        Value::Object(self.0.iter().map(figure).collect::<Map<_, _>>())
    }

    /// Whether every goal is reached.
    pub(super) fn within_goals(&self) -> bool {
        self.0.iter().all(Figure::reached)
    }

    /// The last line.
    pub(super) fn verdict(&self) -> String {
        let all: Vec<&Figure> = self.0.iter().filter(|figure| figure.goal != Goal::Open).collect();
        let say = |figures: Vec<&Figure>| {
            figures.into_iter().map(Figure::sentence).collect::<Vec<_>>().join("; ")
        };
        if self.within_goals() {
            return format!("bench fleet: {}; within goals", say(all));
        }
        format!(
            "bench fleet: short of: {}",
            say(all.into_iter().filter(|f| !f.reached()).collect())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(all: &[(&'static str, f64, Goal)]) -> (bool, String) {
        let mut figures = Figures::default();
        for (name, value, goal) in all {
            figures.add(name, *value, "/s", *goal);
        }
        (figures.within_goals(), figures.verdict())
    }

    #[test]
    fn one_goal_that_is_missed_is_named() {
        let good = ("polls", 15_000.0, Goal::Least(15_000.0));
        let bad = ("start", 10.1, Goal::Most(10.0));
        let open = ("offers", 1.0, Goal::Open);
        let (well, text) = verdict(&[good, open]);
        assert!(
            well && text == "bench fleet: polls 15000 /s (goal ≥ 15000); within goals",
            "{text}"
        );
        let (well, text) = verdict(&[good, bad]);
        assert!(!well && text == "bench fleet: short of: start 10.10 /s (goal ≤ 10.00)", "{text}");
    }
}
