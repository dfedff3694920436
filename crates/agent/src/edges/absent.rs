//! The edges of a terminal whose agent was built without what would be behind them: no
//! program of a package runs, and there is no configuration that is carried over.

use super::{Configuration, CopyError, Difference, HookCall, HookEnd, Hooks, Migration};
use crate::features::left_out;
use engine::configuration::Step;
use std::io;
use types::{Slot, Text};

/// What is not there.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

impl Absent {
    fn why() -> Text {
        Text::from(left_out("programs of packages", "upkeep"))
    }
}

impl Hooks for Absent {
    fn obstacle(&self) -> Option<Text> {
        Some(Self::why())
    }

    fn run(&mut self, _: &HookCall<'_>) -> HookEnd {
        HookEnd { fault: Some(Self::why()), said: String::new() }
    }
}

impl Configuration for Absent {
    fn version(&self, _: Slot) -> io::Result<Option<u32>> {
        Ok(None)
    }

    fn own(&self) -> Vec<Step> {
        Vec::new()
    }

    fn copy(&mut self, _: Slot, _: Slot, _: &[Migration<'_>]) -> Result<(), CopyError> {
        Ok(())
    }

    fn rehearse(&mut self, _: Slot, _: &[Migration<'_>]) -> Result<Vec<Difference>, CopyError> {
        Ok(Vec::new())
    }

    fn forget(&mut self, _: Slot) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_programs_is_refused_with_the_feature_by_name() {
        let why = Absent.obstacle().unwrap();
        assert!(why.as_str().contains("the feature `upkeep`"), "{}", why.as_str());
        assert_eq!(Absent.version(Slot::A).unwrap(), None);
    }
}
