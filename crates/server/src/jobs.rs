//! What the server does without being asked.
//!
//! Jobs stand in the store, so that a server that dies leaves them to the next one.
//! There is one per rollout, named after it, due when the next thing is expected; one
//! per release, which plans its deltas; and one per delta, which `deltas::work` does.

use crate::clock::{self, Told};
use crate::deltas;
use crate::listen::Tls;
use crate::pki::{Authority, PkiError, RENEW_AFTER};
use crate::secret;
use crate::server::Server;
use crate::store::{Claim, Kind, Store, StoreError, Stored, UNASKED};
use protocols::json::sentence;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::{Seconds, Timestamp};

/// How often the plan is checked against the store; well within its lease.
const TICK: Duration = Duration::from_secs(1);
/// How long a job may take before another server may take it over.
const LEASE: Seconds = Seconds(60);
/// The most reports and events that are removed at once.
const FORGOTTEN: u32 = 1000;
/// The most jobs between two ticks.
const AT_ONCE: usize = 100;

/// For how long nothing is removed by its age after the clock was set, or the store was
/// out of reach: that clock may be wrong.
const RESTS: Seconds = Seconds(3600);

/// Fewer attempts are read quickly in any order.
const SURVEYED: u64 = 1000;

/// How long people can see what became of a job.
const SHOWN: Seconds = Seconds(7 * 24 * 3600);

/// Takes over what the last start of a server with a database of its own left.
pub(crate) async fn inherit(app: &Server) -> Stored<()> {
    if app.store.is_shared() {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.void_leases().await?;
    tx.void_downloads().await?;
    tx.commit().await
}

/// Starts everything that nobody asks for, until `stop` changes.
pub(crate) fn start(app: &Arc<Server>, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    let deltas = (0..app.settings.deltas.delta_jobs)
        .map(|_| deltas::work::run(Arc::clone(app), stop.clone()))
        .map(|work| tokio::spawn(UNASKED.scope((), work)));
    let ticks = tokio::spawn(run(Arc::clone(app), stop.clone()));
    let plans = tokio::spawn(UNASKED.scope((), plan(Arc::clone(app), stop.clone())));
    [ticks, plans].into_iter().chain(deltas).collect()
}

/// Plans deltas until `stop` changes. Apart from the ticks, which nothing may hold up:
/// packages are read for it, and their store may take its time.
async fn plan(app: Arc<Server>, mut stop: watch::Receiver<bool>) {
    loop {
        let planned = async {
            for done in [plan_all(&app).await, survey(&app).await] {
                if let Err(error) = done {
                    eprintln!("refit-server: {}", sentence(&error));
                }
            }
            tokio::time::sleep(TICK).await;
        };
        tokio::select! {
            () = planned => {}
            _ = stop.changed() => return,
        }
    }
}

/// Whenever attempts have doubled, the database looks at its table of them: by itself it
/// does within some minutes, in which a large rollout begins.
async fn survey(app: &Server) -> Stored<()> {
    let (there, before) = (app.roster.attempts(), app.surveyed.load(Ordering::Relaxed));
    if !app.store.is_shared() || there < SURVEYED.max(before.saturating_mul(2)) {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.survey_attempts().await?;
    tx.commit().await?;
    app.surveyed.store(there, Ordering::Relaxed);
    Ok(())
}

/// Plans the deltas of the releases that are due.
async fn plan_all(app: &Server) -> Stored<()> {
    while let Some(claim) = claim(app, Kind::Plan, clock::now()).await? {
        app.plan_deltas(&claim, clock::now()).await?;
    }
    Ok(())
}

/// Ticks until `stop` changes.
async fn run(app: Arc<Server>, mut stop: watch::Receiver<bool>) {
    loop {
        let turn = async {
            follow_clock(&app).await?;
            tick(&app, clock::now()).await
        };
        if let Err(error) = UNASKED.scope((), turn).await {
            eprintln!("refit-server: {}", sentence(&error));
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = app.wake.notified() => {}
            _ = stop.changed() => return,
        }
    }
}

/// The clock that the server goes by: where others share its database, the database's.
pub(crate) async fn ask_time(store: &Store) -> Stored<Told> {
    if store.is_shared() { clock::told(store.time()).await } else { Ok(clock::own()) }
}

/// Goes by its clock; where that was set, once the plans are brought to it.
async fn follow_clock(app: &Server) -> Stored<()> {
    let told = ask_time(&app.store).await?;
    let Some(step) = told.step() else {
        told.correct();
        return Ok(());
    };
    eprintln!("refit-server: the clock was set by {} s", step.by / 1000);
    app.clock_was_set(step).await?;
    told.take_over();
    clock::SET.notify_waiters();
    Ok(())
}

/// Checks the plan and does the jobs that are due.
pub(crate) async fn tick(app: &Server, now: Timestamp) -> Stored<()> {
    app.refresh(now).await?;
    if let Err(error) = app.renew_plans(now) {
        eprintln!("refit-server: {}", sentence(&error));
    }
    for _ in 0..AT_ONCE {
        let Some(claim) = claim(app, Kind::Tend, now).await? else { break };
        app.tend(&claim.job, now).await?;
    }
    forget(app, now).await
}

/// Removes some of what is kept no longer; the rest at the next ticks.
async fn forget(app: &Server, now: Timestamp) -> Stored<()> {
    // Every server does so once a minute: what others removed is not there any more.
    if now.0.div_euclid(1000) % 60 != 0 {
        return Ok(());
    }
    app.tidy_deltas(now).await?;
    if now.seconds_since(app.knows_since()) < RESTS {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.forget_jobs(Timestamp(now.0.saturating_sub(i64::from(SHOWN.0) * 1000))).await?;
    if let Some(before) = days_ago(app.settings.keep_days, now) {
        tx.forget(before, FORGOTTEN).await?;
        tx.forget_logs(before, FORGOTTEN).await?;
    }
    if let Some(before) = days_ago(app.settings.keep_log_days, now) {
        tx.forget_logs(before, FORGOTTEN).await?;
    }
    tx.commit().await
}

/// The time before which nothing is kept; none, where `days` is 0.
fn days_ago(days: u32, now: Timestamp) -> Option<Timestamp> {
    (days > 0).then(|| Timestamp(now.0.saturating_sub(i64::from(days) * 24 * 3_600_000)))
}

async fn claim(app: &Server, kind: Kind, now: Timestamp) -> Stored<Option<Claim>> {
    let owner = secret::id("s").map_err(|_| StoreError::Random)?;
    let mut tx = app.store.begin().await?;
    let job = tx.claim_job(kind, &owner, now, LEASE).await?;
    tx.commit().await?;
    Ok(job)
}

/// Renews the server's own certificate long before it ends, until `stop` changes.
pub(crate) async fn renew(
    authority: Authority,
    names: Vec<String>,
    tls: Tls,
    mut stop: watch::Receiver<bool>,
) {
    let every = Duration::from_secs(RENEW_AFTER.0.into());
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            // Its certificate was good until a time that never comes, or has come.
            () = clock::SET.notified() => {}
            _ = stop.changed() => return,
        }
        match authority.config(names.clone(), clock::now()) {
            Ok(config) => *tls.write().unwrap_or_else(PoisonError::into_inner) = config,
            Err(error) => complain(&error),
        }
    }
}

fn complain(error: &PkiError) {
    eprintln!("refit-server: {}", sentence(error));
}
