//! Plans the deltas of one release.

use super::{GENERATOR, Order, job_name};
use crate::catalogue::Published;
use crate::roster::lock;
use crate::server::Server;
use crate::store::{Claim, JobState, Kind, NewJob, Stored, StoredDelta};
use fleet::operator::{
    Census, DeltaPlan, Part, Payloads, Piece, Rollout, State, Tried, Wanted, plan_deltas,
};
use package::{Deltas, Manifest};
use protocols::json::sentence;
use std::{io, slice};
use types::{Digest, Document, Effect, Name, Seconds, Timestamp};

/// How often a release that is rolled out is planned for anew: terminals come and go.
const AGAIN: Seconds = Seconds(600);
/// After how long a release is planned for that could not be read.
const LATER: Seconds = Seconds(60);
/// What is being rolled out goes before what is only published.
const ROLLED_OUT: i64 = 1 << 32;

/// The job that plans the deltas of the release `manifest`.
pub(crate) fn plan_job(manifest: Digest, due: Timestamp) -> NewJob {
    NewJob {
        job: job_name("plan", manifest),
        kind: Kind::Plan,
        about: manifest.to_string(),
        payload: manifest.to_string(),
        priority: ROLLED_OUT,
        due,
    }
}

/// What a package says that matters for deltas.
struct Contents {
    /// Its components.
    pieces: Vec<Piece>,
    /// The deltas that came with it.
    tried: Vec<Tried>,
}

impl Contents {
    /// What deltas can lead to.
    fn parts(&self) -> Vec<Part> {
        let banked = self.pieces.iter().filter(|piece| piece.effect == Effect::Slot);
        banked.map(|p| Part { component: p.component.clone(), image: p.image }).collect()
    }
}

impl Server {
    /// Plans the deltas of a release and puts those that are to be made into the queue.
    pub(crate) async fn plan_deltas(&self, claim: &Claim, now: Timestamp) -> Stored<()> {
        let manifest = claim.payload.parse::<Digest>().ok();
        let published = manifest.and_then(|manifest| self.catalogue.find(manifest));
        let offered =
            |p: &Published| p.rules.withdrawn.is_none() && !self.is_halted(p.release.manifest);
        let Some(published) = published.filter(|p| offered(p)) else {
            let mut tx = self.store.begin().await?;
            tx.drop_job(&claim.job).await?;
            return tx.commit().await;
        };
        let contents = match self.contents(&published).await {
            Ok(contents) => contents,
            Err(error) => {
                let said = ["", &*sentence(&error)];
                let mut tx = self.store.begin().await?;
                tx.end_job(claim, JobState::Waiting, said, now.after(LATER), now).await?;
                return tx.commit().await;
            }
        };
        let rollouts = self.rollouts_of(published.release.manifest);
        let plan = self.delta_plan(&published, &contents, &rollouts);
        let mut tx = self.store.begin().await?;
        let base = if rollouts.is_empty() { 0 } else { ROLLED_OUT };
        for wanted in &plan.wanted {
            tx.add_job(&delta_job(wanted, &published, base, now)?, now).await?;
        }
        let state = if rollouts.is_empty() { JobState::Done } else { JobState::Waiting };
        tx.end_job(claim, state, [&words(&plan), ""], now.after(AGAIN), now).await?;
        tx.commit().await?;
        if !plan.wanted.is_empty() {
            self.delta_wake.notify_waiters();
        }
        Ok(())
    }

    /// The rollouts that offer a release now, or will when they go on.
    fn rollouts_of(&self, manifest: Digest) -> Vec<Rollout> {
        let snapshot = self.snapshot();
        let rollouts = snapshot.courses.values().map(|course| &course.rollout);
        let offers = |rollout: &&Rollout| {
            let open = matches!(rollout.state, State::Running | State::Paused);
            open && rollout.release.manifest == manifest
        };
        rollouts.filter(offers).cloned().collect()
    }

    /// Whether a release was rolled out and every rollout of it was halted.
    pub(crate) fn is_halted(&self, manifest: Digest) -> bool {
        let snapshot = self.snapshot();
        let rollouts = snapshot.courses.values().map(|course| &course.rollout);
        let mut of_release = rollouts.filter(|r| r.release.manifest == manifest).peekable();
        of_release.peek().is_some() && of_release.all(|rollout| rollout.state == State::Halted)
    }

    fn delta_plan(
        &self,
        published: &Published,
        contents: &Contents,
        rollouts: &[Rollout],
    ) -> DeltaPlan {
        let census = self.census(published, rollouts);
        let catalogue = self.catalogue.all();
        let is_known = |component: &Name, image: Digest| {
            catalogue.iter().any(|p| p.images.get(component) == Some(&image))
        };
        let tried = self.tried(contents, |stored| stored.generator == GENERATOR);
        let limits = self.settings.deltas.limits();
        plan_deltas(&census, &contents.parts(), &is_known, &tried, limits)
    }

    /// What came of the deltas that servers made, of those that `counts`, and what came with
    /// the package.
    fn tried(&self, contents: &Contents, counts: impl Fn(&StoredDelta) -> bool) -> Vec<Tried> {
        let shelf = self.shelf.all();
        let own = shelf.iter().filter(|item| counts(&item.stored)).map(|item| Tried {
            source: item.stored.source,
            target: item.stored.target,
            class: item.stored.class,
            made: item.stored.made.map(|made| (made.size, made.heap)),
        });
        own.chain(contents.tried.iter().copied()).collect()
    }

    /// The bytes that terminals would be sent of a release that is rolled out so: what
    /// there is, and what would be planned then.
    pub(crate) async fn payloads(
        &self,
        published: &Published,
        rollout: &Rollout,
    ) -> io::Result<Payloads> {
        let contents = self.contents(published).await?;
        let wanted = match self.settings.deltas.delta_jobs {
            0 => Vec::new(),
            _ => self.delta_plan(published, &contents, slice::from_ref(rollout)).wanted,
        };
        let tried = self.tried(&contents, |_| true);
        Ok(Payloads::new(contents.pieces, &tried, &wanted))
    }

    /// What the terminals run that the release is for: those of its rollouts, and before
    /// there is one, all that it could be for.
    fn census(&self, published: &Published, rollouts: &[Rollout]) -> Census {
        let mut census = Census::default();
        for terminal in self.roster.all() {
            let locked = lock(&terminal);
            let meant = locked.ask(|device| {
                let fit = &published.rules.fit;
                let could =
                    *device.product == published.release.product && fit.mismatch(device).is_none();
                let does = rollouts.iter().any(|rollout| rollout.mismatch(device).is_none());
                if rollouts.is_empty() { could } else { does }
            });
            if meant {
                census.count(&locked.stored.running, locked.stored.facts.memory_class_mib);
            }
        }
        census
    }

    /// Reads the documents of a package.
    async fn contents(&self, published: &Published) -> io::Result<Contents> {
        let manifest: Manifest = self.document(published, Manifest::ENTRY).await?;
        let piece = |component: &package::Component| Piece {
            component: component.name.clone(),
            image: component.image.sha256,
            effect: component.effect,
            full: component.payloads.first().map_or(0, |payload| payload.size),
        };
        let pieces = manifest.components.iter().map(piece).collect();
        let given = match published.span(Deltas::ENTRY) {
            Some(_) => self.document(published, Deltas::ENTRY).await?,
            None => Deltas::default(),
        };
        let tried = given.deltas.iter().filter_map(|delta| {
            let target = *published.images.get(&delta.component)?;
            let made = Some((delta.size, delta.heap));
            Some(Tried { source: delta.source, target, class: u32::MAX, made })
        });
        Ok(Contents { pieces, tried: tried.collect() })
    }

    /// Reads one document of a package. It was examined when it was published.
    pub(crate) async fn document<D: Document>(
        &self,
        published: &Published,
        entry: &str,
    ) -> io::Result<D> {
        let span = published.span(entry).filter(|span| span.size <= D::LIMIT.into());
        let span =
            span.ok_or_else(|| io::Error::other(format!("no {} in the package", D::KIND)))?;
        let bytes = self.blobs.get(published.package)?.read(span.at, span.size).await?;
        D::decode(&bytes).map_err(io::Error::other)
    }
}

fn delta_job(wanted: &Wanted, published: &Published, base: i64, now: Timestamp) -> Stored<NewJob> {
    let Wanted { component, source, target, class, devices } = wanted.clone();
    let release = published.release.manifest;
    let order = Order { component, source, target, class, release };
    let payload = serde_json::to_string(&order);
    Ok(NewJob {
        job: order.job(),
        kind: Kind::Delta,
        about: release.to_string(),
        payload: payload.map_err(|_| crate::store::StoreError::Row { what: "order" })?,
        priority: base + i64::from(devices),
        due: now,
    })
}

/// A plan in words.
fn words(plan: &DeltaPlan) -> String {
    let mut text = format!("{} deltas to make", plan.wanted.len());
    for (why, devices) in &plan.left_out {
        text += &format!("; {devices} terminals without, as {why}");
    }
    text
}
