//! A start of the server: folder, secrets, store, listener, jobs, and the end.

use crate::blobs::{Access, Blobs, Place};
use crate::clock;
use crate::common;
use crate::deltas::DeltaOptions;
use crate::folder::{Folder, Made};
use crate::ledger::Logs;
use crate::listen::{self, Tls};
use crate::pki::{self, Authority};
use crate::plans::Press;
use crate::quota::Quota;
use crate::server::{Parts, Server, Settings};
use crate::store::{self, Address, Store};
use crate::ticket::{self, Tickets};
use crate::{jobs, routes};
use anyhow::{Context as _, bail, ensure};
use protocols::native::BASE_LIMIT;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use types::Seconds;

/// How to serve.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Serve {
    /// TOML file of options, named as here without the dashes
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder for everything the server keeps; made if it is not there
    #[arg(long)]
    data: PathBuf,
    /// Where the fleet is kept: postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full,
    /// or sqlite:FILE; without it a file in the data folder
    #[arg(long, env = "REFIT_DATABASE", hide_env_values = true)]
    database: Option<Address>,
    /// Where packages are kept: a folder that all servers see, or s3://BUCKET/PREFIX;
    /// without it in the data folder
    #[arg(long, env = "REFIT_ARTIFACTS")]
    artifacts: Option<Place>,
    #[command(flatten)]
    access: Access,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// https address under which terminals reach the server, where it is not the one
    /// it listens on
    #[arg(long)]
    public_url: Option<String>,
    /// Certificate chain (PEM); without it the server makes its own authority
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// The maker's root.json; kept, and replaces what was kept
    #[arg(long)]
    root: Option<PathBuf>,
    /// Write the server's address here when it is ready
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// Seconds between two heartbeats of a terminal
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    poll_seconds: u32,
    /// Seconds that payload addresses are good for, at most; half of it at least
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(2..))]
    address_seconds: u32,
    /// The most bytes of a package
    #[arg(long, default_value_t = 16 << 30)]
    package_limit: u64,
    #[command(flatten)]
    deltas: DeltaOptions,
    /// Days that reports and events of terminals are kept; 0 keeps them for ever
    #[arg(long, default_value_t = 0)]
    keep_days: u32,
    /// Days that logs of terminals are kept; 0 keeps them as long as reports
    #[arg(long, default_value_t = 90)]
    keep_log_days: u32,
    /// Which logs terminals are asked for
    #[arg(long, value_enum, default_value_t = Logs::All)]
    logs: Logs,
    /// Seconds that a static plan is good for, which terminals read from a CDN and
    /// follow by themselves; 0 makes none
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=604_800))]
    plan_seconds: u32,
    /// Requests per minute and address without a valid credential, and at once
    #[arg(long, default_value_t = 120)]
    stranger_quota: u32,
}

/// Serves until a signal ends it.
pub(crate) async fn serve(args: Serve) -> anyhow::Result<()> {
    listen::allow_connections();
    let folder = Folder::open(&args.data)?;
    let database = args.database.clone();
    let database = database.map_or_else(|| folder.database().map(Address::File), Ok)?;
    let store = Store::open(&database).await.context("cannot use the database")?;
    jobs::ask_time(&store).await.context("the database does not tell the time")?.take_over();
    // Made before the servers agree, so that the first one's becomes all servers'.
    let authority = match args.cert {
        None => Authority::open(&folder, clock::now())?.1,
        Some(_) => Made::Before,
    };
    folder.payload_secret()?;
    if args.plan_seconds > 0 {
        folder.plan_key()?;
    }
    let common = common::agree(&folder, &store, args.root.as_deref()).await?;
    let authority = if common.token == Made::Elsewhere { common.token } else { authority };
    let place = args.artifacts.clone().unwrap_or_default().with(&args.access);
    let blobs = Blobs::open(folder.path("blobs"), &place);
    let blobs = blobs.with_context(|| format!("cannot keep packages in {place:?}"))?;
    let delta_blobs = Blobs::open_deltas(folder.path("deltas"), &place);
    let delta_blobs = delta_blobs.with_context(|| format!("cannot keep deltas in {place:?}"))?;
    let listener = listen::bind(args.listen).context("cannot listen")?;
    let address = listener.local_addr().context("cannot listen")?;
    let url = public_url(args.public_url.as_deref(), address)?;
    let (stop, stopped) = watch::channel(false);
    let tls = tls(&folder, &args, &url, address, &stopped)?;
    let parts = Parts {
        settings: Settings {
            public_url: url.clone(),
            poll_seconds: args.poll_seconds,
            package_limit: args.package_limit,
            keep_days: args.keep_days,
            keep_log_days: args.keep_log_days,
            logs: args.logs,
            deltas: args.deltas.clone(),
            started: clock::now(),
        },
        store,
        blobs,
        delta_blobs,
        tickets: Tickets::new(&folder.payload_secret()?, Seconds(args.address_seconds)),
        quota: Quota::new(args.stranger_quota),
        operator: common.operator,
        root: common.root,
        folder,
    };
    let app = Server::new(parts);
    if args.plan_seconds > 0 {
        let key = app.folder.plan_key()?;
        app.plans.get_or_init(|| Press::new(key, Seconds(args.plan_seconds)));
    }
    let app = Arc::new(app);
    app.load(clock::now()).await?;
    jobs::inherit(&app).await?;
    let jobs = jobs::start(&app, &stopped);
    announce(&app, &args, &format!("https://{address}"), [authority, common.token])?;
    let router = routes::router(Arc::clone(&app));
    let served = tokio::spawn(serve_all(listener, tls, router, stopped));
    wait_for_signal().await?;
    stop.send(true).context("cannot stop")?;
    served.await.context("the listener failed")?;
    for job in jobs {
        job.await.context("the jobs failed")?;
    }
    finish(app).await
}

async fn serve_all(
    listener: TcpListener,
    tls: Tls,
    router: axum::Router,
    stopped: watch::Receiver<bool>,
) {
    listen::serve(listener, tls, router, stopped).await;
}

/// Writes what is only in memory and closes the store.
async fn finish(app: Arc<Server>) -> anyhow::Result<()> {
    app.refresh(clock::now()).await?;
    if let Ok(app) = Arc::try_unwrap(app) {
        store::close(app.store).await?;
    }
    Ok(())
}

/// The address for terminals, without a slash at its end.
fn public_url(given: Option<&str>, address: SocketAddr) -> anyhow::Result<String> {
    let url = match given {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if address.ip().is_unspecified() => {
            bail!(
                "listening on every address: say with --public-url how terminals reach the server"
            )
        }
        None => format!("https://{address}"),
    };
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(url.starts_with("https://") && plain, "the public address is no https address");
    let longest = BASE_LIMIT - "/v1/a//".len() - ticket::LENGTH;
    ensure!(url.len() <= longest, "the public address has more than {longest} characters");
    Ok(url)
}

/// The TLS configuration: given, or made and renewed.
fn tls(
    folder: &Folder,
    args: &Serve,
    url: &str,
    address: SocketAddr,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<Tls> {
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        return Ok(Arc::new(RwLock::new(pki::given(cert, key)?)));
    }
    let (authority, _) = Authority::open(folder, clock::now())?;
    let names = names(url, address);
    let tls: Tls = Arc::new(RwLock::new(authority.config(names.clone(), clock::now())?));
    tokio::spawn(jobs::renew(authority, names, Arc::clone(&tls), stopped.clone()));
    Ok(tls)
}

/// The names that the server's certificate is for.
fn names(url: &str, address: SocketAddr) -> Vec<String> {
    let host = url.trim_start_matches("https://").split('/').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), host];
    if !address.ip().is_unspecified() {
        names.push(address.ip().to_string());
    }
    names.sort();
    names.dedup();
    names
}

/// Says that the server is ready, and how to use it.
fn announce(app: &Server, args: &Serve, address: &str, made: [Made; 2]) -> anyhow::Result<()> {
    let data = args.data.display();
    let [authority, token] = made;
    if authority == Made::Now {
        println!("refit-server: made an authority of its own; terminals need {data}/ca.pem");
    }
    if token == Made::Elsewhere {
        println!("refit-server: joins a fleet, whose ca.pem and operator's token are good here");
    }
    if token == Made::Now {
        println!("refit-server: made an operator's token; to use it:");
        let login = format!("--server {} --ca {data}/ca.pem", app.settings.public_url);
        println!("  refit login {login} --token-file {data}/operator.token");
    }
    if app.root().is_none() {
        println!("refit-server: knows no maker's keys yet; to publish: refit trust root.json");
    }
    if let Some(path) = &args.ready_file {
        let new = path.with_extension("new");
        std::fs::write(&new, address).and_then(|()| std::fs::rename(&new, path))?;
    }
    println!("refit-server: listening on {address}");
    std::io::stdout().flush().context("cannot say that the server is ready")
}

async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: Option<&str>, listen: &str, expected: Option<&str>) {
        let url = public_url(given, listen.parse().unwrap());
        assert_eq!(url.ok().as_deref(), expected, "{given:?} {listen}");
    }

    #[test]
    fn the_public_address_is_https_and_short_enough_for_an_offer() {
        check(None, "127.0.0.1:8443", Some("https://127.0.0.1:8443"));
        check(None, "0.0.0.0:8443", None);
        check(Some("https://up.example/"), "0.0.0.0:1", Some("https://up.example"));
        check(Some("http://up.example"), "127.0.0.1:1", None);
        let long = format!("https://{}", "x".repeat(193 - 8));
        check(Some(&long), "127.0.0.1:1", Some(&long));
        check(Some(&format!("{long}x")), "127.0.0.1:1", None);
    }

    #[test]
    fn the_certificate_names_every_way_to_the_server() {
        let of = |url, listen: &str| names(url, listen.parse().unwrap());
        let local = ["127.0.0.1", "::1", "localhost"];
        assert_eq!(of("https://127.0.0.1:1", "127.0.0.1:1"), local);
        let public = of("https://up.example:8443/refit", "10.0.0.1:1");
        assert_eq!(public, ["10.0.0.1", "127.0.0.1", "::1", "localhost", "up.example"]);
        assert!(of("https://[fd00::1]:1", "0.0.0.0:1").contains(&"fd00::1".to_owned()));
    }
}
