//! Databases for tests: a file, and a real PostgreSQL that lives as long as the test.

use super::{Address, Store};
use std::cell::RefCell;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// Hundredths of a second that a server which is asked to end may take.
const PATIENCE: u32 = 2000;

/// Where a test's tables are. Dropped, they are gone.
pub(crate) struct Place {
    folder: TempDir,
    cluster: Option<Rc<Cluster>>,
    name: String,
}

/// Runs `scenario` on both engines.
pub(crate) async fn on_both(scenario: impl AsyncFn(&Place)) {
    scenario(&Place::file()).await;
    scenario(&Place::postgres()).await;
}

impl Place {
    /// A file of SQLite.
    pub(crate) fn file() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), cluster: None, name: String::new() }
    }

    /// A database of its own in this test's PostgreSQL.
    pub(crate) fn postgres() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let cluster = Cluster::shared();
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut psql = cluster.command("psql");
        psql.args(["-q", "-d", "postgres", "-c", &format!("CREATE DATABASE {name}")]);
        run(psql.arg("-h").arg(cluster.folder.path()));
        Self { folder: tempfile::tempdir().unwrap(), cluster: Some(cluster), name }
    }

    /// An empty database of the same engine.
    pub(crate) fn another(&self) -> Self {
        if self.cluster.is_some() { Self::postgres() } else { Self::file() }
    }

    /// Ends the database's server.
    pub(crate) fn end(&self) {
        self.cluster.as_ref().unwrap().end();
    }

    /// Starts it again.
    pub(crate) fn again(&self) {
        let cluster = self.cluster.as_ref().unwrap();
        *cluster.server.borrow_mut() = serve(cluster.user, cluster.folder.path());
        cluster.wait();
    }

    /// Breaks every connection to the database.
    pub(crate) fn hang_up(&self) {
        let cluster = self.cluster.as_ref().unwrap();
        let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE application_name = 'refit-server'";
        let mut psql = cluster.command("psql");
        run(psql.args(["-q", "-d", &self.name, "-c", text]).arg("-h").arg(cluster.folder.path()));
    }

    pub(crate) fn address(&self) -> Address {
        match &self.cluster {
            None => Address::File(self.folder.path().join("db")),
            Some(cluster) => Address::Url(cluster.url(&self.name)),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.address()).await.unwrap()
    }
}

/// From now on a database of SQLite fails where a report of `device` is to be kept.
pub(crate) async fn refuse_reports_of(store: &Store, device: &str) {
    let text = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON reports WHEN NEW.device = '{device}' \
         BEGIN SELECT RAISE(ABORT, 'refused'); END"
    );
    let mut tx = store.begin().await.unwrap();
    tx.line.run_text(sqlx::AssertSqlSafe(text)).await.unwrap();
    tx.commit().await.unwrap();
}

/// A PostgreSQL server on a socket in a folder of its own.
struct Cluster {
    folder: TempDir,
    user: Option<u32>,
    server: RefCell<Child>,
}

impl Cluster {
    /// The one of this test's thread. It ends with the thread that starts it, so
    /// threads do not share one.
    fn shared() -> Rc<Self> {
        thread_local! { static SHARED: RefCell<Weak<Cluster>> = const { RefCell::new(Weak::new()) } }
        SHARED.with_borrow_mut(|shared| {
            shared.upgrade().unwrap_or_else(|| {
                let cluster = Rc::new(Self::start());
                *shared = Rc::downgrade(&cluster);
                cluster
            })
        })
    }

    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("refit-pg-").tempdir().unwrap();
        // PostgreSQL refuses to run as root.
        let user = is_root().then(|| unprivileged("/etc/passwd"));
        if let Some(user) = user {
            chown(folder.path(), Some(user), None).unwrap();
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let data = folder.path().join("data");
        let mut initdb = command(user, "initdb");
        let options = ["-A", "trust", "-U", "refit", "-E", "UTF8", "--no-sync", "--locale=C", "-D"];
        run(initdb.args(options).arg(&data));
        let server = RefCell::new(serve(user, folder.path()));
        let cluster = Self { folder, user, server };
        cluster.wait();
        cluster
    }

    /// Ends it; what was asked of it is broken off.
    fn end(&self) {
        let mut server = self.server.borrow_mut();
        // Asked to end, it leaves nothing behind in the system.
        Command::new("kill").args(["-INT", &server.id().to_string()]).status().ok();
        // It has its time, and not more.
        for _ in 0..PATIENCE {
            if server.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        server.kill().ok();
        server.wait().ok();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(self.user, program);
        command.args(["-U", "refit"]);
        command
    }

    fn wait(&self) {
        let ready = || {
            let mut ready = self.command("pg_isready");
            ready.arg("-q").arg("-h").arg(self.folder.path()).status().unwrap().success()
        };
        for _ in 0..2000 {
            if ready() {
                return;
            }
        }
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        panic!("PostgreSQL does not start: {}", log.unwrap_or_default());
    }

    fn url(&self, name: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://refit@{folder}/{name}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

/// PostgreSQL itself, with its data in `folder`.
fn serve(user: Option<u32>, folder: &Path) -> Child {
    let mut postgres = command(user, "postgres");
    postgres.arg("-D").arg(folder.join("data")).args(["-c", "listen_addresses="]);
    postgres.args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-k"]).arg(folder);
    let log = std::fs::File::create(folder.join("log")).unwrap();
    postgres.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The number of the user that PostgreSQL's package makes, or of nobody.
fn unprivileged(passwd: &str) -> u32 {
    let users = std::fs::read_to_string(passwd).unwrap();
    let number = |name: &str| {
        let mut fields =
            users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':');
        fields.nth(2)?.parse().ok()
    };
    number("postgres").or_else(|| number("nobody")).unwrap()
}

/// `program` of PostgreSQL, as `user`, ended with the thread that starts it.
fn command(user: Option<u32>, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = user {
        command.args([format!("--reuid={user}"), "--regid=65534".into(), "--clear-groups".into()]);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(find(program)).current_dir("/");
    command
}

/// Debian keeps most programs of PostgreSQL out of the path.
fn find(program: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    places.extend(path.split(':').map(PathBuf::from));
    let found = places.into_iter().map(|place| place.join(program)).find(|file| file.is_file());
    found.expect("PostgreSQL is missing; install it with: apt-get install postgresql")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
