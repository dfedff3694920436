//! The others, in the same run: nginx with a static 304, and gooseBit.
//!
//! nginx answers a file that did not change: what an edge cache would do, and the most
//! that any server of these protocols can hope for. gooseBit is a fleet server as Refit
//! is, asked as its own terminals ask.

use super::line::{Line, Sessions, Target};
use super::talk::Same;
use crate::bench::nginx::Nginx;
use crate::clock::until;
use crate::process::{Running, bound_to_us, said, system};
use crate::web::Authority;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// gooseBit, of this release: figures of others are other figures.
const GOOSEBIT: &str = "goosebit==0.2.12";
/// It says nothing of each poll, as in the field.
const LOGGING: &str = r#"{"version": 1, "root": {"level": "WARNING"}}"#;
const START: Duration = Duration::from_secs(90);
/// Processes of nginx: one for each processor, as of the server beside it.
const WORKERS: usize = 2;

/// A server to compare with.
pub(super) struct Peer {
    pub(super) target: Target,
    request: Vec<u8>,
    status: u16,
    _nginx: Vec<Nginx>,
    _running: Option<Running>,
}

impl Peer {
    /// What it is asked, and must answer, on `lines` lines.
    pub(super) fn talks(&self, lines: usize) -> Vec<Same> {
        let same = || Same { request: self.request.clone(), status: self.status };
        std::iter::repeat_with(same).take(lines).collect()
    }
}

/// nginx, with a file that did not change.
pub(super) fn nginx(folder: &Path, authority: &Authority, ca: &Path) -> Result<Peer> {
    fs::create_dir_all(folder.join("files"))?;
    fs::write(folder.join("files/plan.json"), "{}")?;
    let (certificate, key) = authority.server_pem();
    let port = free_port()?;
    let mut servers = Vec::new();
    for number in 0..WORKERS {
        let own = folder.join(format!("nginx-{number}"));
        fs::create_dir_all(&own)?;
        fs::write(own.join("tls.pem"), certificate)?;
        fs::write(own.join("tls.key"), &key)?;
        servers.push(Nginx::start_at(&own, port, &configuration(&own, folder, port))?);
    }
    let target = Target::new(local(port), ca, Sessions::Resumed)?;
    let get = "GET /plan.json HTTP/1.1\r\nhost: localhost\r\n";
    let heard = Line::connect(&target)?.ask(format!("{get}\r\n").as_bytes())?;
    let etag = heard.head.lines().find_map(|line| line.strip_prefix("ETag: "));
    let etag = etag.with_context(|| format!("nginx gave no etag: {}", heard.status))?;
    let request = format!("{get}if-none-match: {etag}\r\n\r\n").into_bytes();
    Ok(Peer { target, request, status: 304, _nginx: servers, _running: None })
}

/// One process, so that it ends when it is killed; several share the port.
fn configuration(own: &Path, folder: &Path, port: u16) -> String {
    let (own, folder) = (own.display(), folder.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {own}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log {own}/errors warn;\n\
         events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n{temporary}\
         keepalive_requests 1000000000;\nopen_file_cache max=16;\nserver {{\n\
         listen 127.0.0.1:{port} ssl reuseport;\nssl_protocols TLSv1.3;\n\
         ssl_certificate {own}/tls.pem;\nssl_certificate_key {own}/tls.key;\n\
         root {folder}/files;\n}}\n}}\n"
    )
}

/// gooseBit with its own database of SQLite, over TLS, and one terminal in it.
pub(super) fn goosebit(folder: &Path, authority: &Authority, ca: &Path) -> Result<Peer> {
    fs::create_dir_all(folder)?;
    let python = environment(&folder.join("venv"))?;
    let (certificate, key) = authority.server_pem();
    fs::write(folder.join("tls.pem"), certificate)?;
    fs::write(folder.join("tls.key"), key)?;
    let url = format!("sqlite://{}", folder.join("goosebit.db").display());
    let tables = "import asyncio\nfrom tortoise import Tortoise\n\
                  from goosebit.db.config import TORTOISE_CONF\n\
                  async def make():\n    await Tortoise.init(config=TORTOISE_CONF)\n    \
                  await Tortoise.generate_schemas()\n    await Tortoise.close_connections()\n\
                  asyncio.run(make())\n";
    let mut make = Command::new(&python);
    said(make.args(["-c", tables]).env("GOOSEBIT_DB_URI", &url).current_dir(folder))
        .context("cannot make gooseBit's database")?;
    let port = free_port()?;
    let mut command = bound_to_us(&python);
    command.args(["-m", "uvicorn", "goosebit:app", "--host", "127.0.0.1", "--port"]);
    command.arg(port.to_string()).args(["--log-level", "warning", "--no-access-log"]);
    command.args(["--ssl-certfile", "tls.pem", "--ssl-keyfile", "tls.key"]);
    command.env("GOOSEBIT_DB_URI", &url).env("GOOSEBIT_LOGGING", LOGGING);
    let log = folder.join("log");
    let mut running = Running::of(command.current_dir(folder), &log)?;
    until(START, "the start of gooseBit", || {
        if let Some(status) = running.ended()? {
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("gooseBit ended with {status}: {}", said.trim());
        }
        Ok(TcpStream::connect(local(port)).ok())
    })?;
    let target = Target::new(local(port), ca, Sessions::Resumed)?;
    let request =
        b"GET /DEFAULT/controller/v1/virtual-1 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
    let heard = Line::connect(&target)?.ask(&request)?;
    let said = String::from_utf8_lossy(&heard.body);
    ensure!(heard.status == 200, "gooseBit said {}: {said}", heard.status);
    Ok(Peer { target, request, status: 200, _nginx: Vec::new(), _running: Some(running) })
}

/// An interpreter that has gooseBit; made once.
fn environment(folder: &Path) -> Result<PathBuf> {
    let (stamp, python) = (folder.join("packages"), folder.join("bin/python"));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == GOOSEBIT) {
        return Ok(python);
    }
    println!("installing {GOOSEBIT}");
    let made = said(system("python3", "python3")?.args(["-m", "venv", "--clear"]).arg(folder));
    made.context("cannot make an environment; Debian has it in python3-venv")?;
    said(Command::new(&python).args(["-m", "pip", "install", "--quiet", GOOSEBIT]))
        .with_context(|| format!("cannot install {GOOSEBIT}"))?;
    fs::write(&stamp, GOOSEBIT)?;
    Ok(python)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
