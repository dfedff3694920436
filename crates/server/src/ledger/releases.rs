//! What operators say of releases: what they need, and that they are withdrawn.

use super::{ActError, Entry};
use crate::catalogue::Rules;
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{Stored, settle};
use fleet::filter::Filter;
use fleet::operator::State;
use types::{Digest, Name, Text, Timestamp};

impl Server {
    /// Says what a terminal must run so that a release works there.
    pub(crate) async fn set_needs(
        &self,
        manifest: Digest,
        needs: Option<&Filter>,
        now: Timestamp,
    ) -> Stored<()> {
        settle!(async {
            let Some(published) = self.catalogue.find(manifest) else {
                return Stored::Ok(());
            };
            let mut rules = published.rules.clone();
            rules.fit.needs = needs.cloned();
            let mut entry = self.begin(now).await?;
            entry.put_rules(manifest, &rules).await?;
            entry.commit().await?;
            self.catalogue.set_rules(manifest, &rules);
            Ok(())
        })
    }

    /// Takes a release back everywhere: its rollouts halt, and none of it starts again.
    /// Returns how many rollouts were halted.
    pub(crate) async fn withdraw(
        &self,
        manifest: Digest,
        who: &str,
        why: &Text,
        now: Timestamp,
    ) -> Stored<u32> {
        settle!(async {
            let Some(published) = self.catalogue.find(manifest) else { return Stored::Ok(0) };
            let rules = Rules { withdrawn: Some(why.clone()), ..published.rules.clone() };
            let mut entry = self.begin(now).await?;
            entry.put_rules(manifest, &rules).await?;
            let of_release = |course: &Course| course.rollout.release.manifest == manifest;
            let why = Text::from(format!("the release was withdrawn: {why}"));
            let halted = entry.halt_all(of_release, who, &why).await?;
            entry.commit().await?;
            self.catalogue.set_rules(manifest, &rules);
            Ok(halted)
        })
    }

    /// Halts every rollout, of `product` where one is named. Returns how many.
    pub(crate) async fn stop(
        &self,
        product: Option<&Name>,
        who: &str,
        why: &Text,
        now: Timestamp,
    ) -> Stored<u32> {
        settle!(async {
            let mut entry = self.begin(now).await?;
            let meant = |course: &Course| {
                product.is_none_or(|product| course.rollout.release.product == *product)
            };
            let halted = entry.halt_all(meant, who, why).await?;
            entry.commit().await?;
            Stored::Ok(halted)
        })
    }

    /// Whether a rollout's release was withdrawn.
    pub(super) fn refuses(&self, course: &Course) -> Result<(), ActError> {
        let published = self.catalogue.find(course.rollout.release.manifest);
        match published.and_then(|published| published.rules.withdrawn.clone()) {
            Some(why) => Err(ActError::Withdrawn(why)),
            None => Ok(()),
        }
    }
}

impl Entry<'_> {
    /// Writes the rules of a release, and brings them into its rollouts.
    async fn put_rules(&mut self, manifest: Digest, rules: &Rules) -> Stored<()> {
        self.tx.put_rules(manifest, rules).await?;
        self.raise().await?;
        let ids: Vec<Name> = self.server.snapshot().courses.keys().cloned().collect();
        for id in ids {
            let Some(mut course) = self.course(&id).await? else { continue };
            if course.rollout.release.manifest == manifest {
                course.rollout.fit = rules.fit.clone();
                self.courses.insert(course.rollout.id.clone(), course);
            }
        }
        Ok(())
    }

    /// Halts every rollout that offers something and that is `meant`.
    async fn halt_all(
        &mut self,
        meant: impl Fn(&Course) -> bool,
        who: &str,
        why: &Text,
    ) -> Stored<u32> {
        let ids: Vec<Name> = self.server.snapshot().courses.keys().cloned().collect();
        let mut halted = 0;
        for id in ids {
            let Some(mut course) = self.course(&id).await?.filter(&meant) else { continue };
            let state = course.rollout.state;
            if matches!(state, State::Running | State::Paused | State::Finished) {
                (course.rollout.state, course.rollout.why) = (State::Halted, why.clone());
                self.move_course(course, who, "halted".into()).await?;
                halted += 1;
            }
        }
        Ok(halted)
    }
}
