//! What the server does without being asked.
//!
//! Jobs stand in the store, so that a server that dies leaves them to the next one.
//! There is one per rollout, named after it, due when the next thing is expected.

use crate::clock;
use crate::listen::Tls;
use crate::pki::{Authority, PkiError, RENEW_AFTER};
use crate::server::Server;
use crate::store::Stored;
use protocols::json::sentence;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use types::{Name, Seconds, Timestamp};

/// How often the plan is checked against the store; well within its lease.
const TICK: Duration = Duration::from_secs(1);
/// How long a job may take before another server may take it over.
const LEASE: Seconds = Seconds(60);
/// The most reports and events that are removed at once.
const FORGOTTEN: u32 = 1000;
/// The most jobs between two ticks.
const AT_ONCE: usize = 100;

/// Ticks until `stop` changes.
pub(crate) async fn run(app: Arc<Server>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = tick(&app, clock::now()).await {
            eprintln!("refit-server: {}", sentence(&error));
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = app.wake.notified() => {}
            _ = stop.changed() => return,
        }
    }
}

/// Checks the plan and does the jobs that are due.
pub(crate) async fn tick(app: &Server, now: Timestamp) -> Stored<()> {
    app.refresh(now).await?;
    for _ in 0..AT_ONCE {
        let Some(rollout) = claim(app, now).await? else { break };
        app.tend(&rollout, now).await?;
    }
    forget(app, now).await
}

/// Removes some of what is kept no longer; the rest at the next ticks.
async fn forget(app: &Server, now: Timestamp) -> Stored<()> {
    let days = i64::from(app.settings.keep_days);
    // Every server does so once a minute: what others removed is not there any more.
    if days == 0 || now.0.div_euclid(1000) % 60 != 0 {
        return Ok(());
    }
    let before = Timestamp(now.0.saturating_sub(days * 24 * 3_600_000));
    let mut tx = app.store.begin().await?;
    tx.forget(before, FORGOTTEN).await?;
    tx.commit().await
}

async fn claim(app: &Server, now: Timestamp) -> Stored<Option<Name>> {
    let mut tx = app.store.begin().await?;
    let job = tx.claim_job(now, LEASE).await?;
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
