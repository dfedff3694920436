//! A web server that is none of ours: nginx, for the packages of the others.

use crate::clock::until;
use crate::process::{Running, system};
use crate::web::Authority;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

const START: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    _running: Running,
}

impl Nginx {
    /// Serves the files in `files`, over TLS with a certificate of `authority`; its
    /// own files are in the new folder `folder`.
    ///
    /// # Errors
    /// There is no nginx, or it does not start.
    pub fn start(folder: &Path, files: &Path, authority: &Authority) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (certificate, key) = authority.server_pem();
        fs::write(folder.join("tls.pem"), certificate)?;
        fs::write(folder.join("tls.key"), key)?;
        // Free at this moment; nginx cannot tell which port it was given.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(folder, files, port))?;
        let program = system("nginx", "nginx-light")?;
        let words = [OsStr::new("-c"), config.as_os_str(), OsStr::new("-p"), folder.as_os_str()];
        let log = folder.join("log");
        let mut running = Running::start(Path::new(program.get_program()), &words, &log)?;
        until(START, "the start of nginx", || {
            if let Some(status) = running.ended()? {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("nginx ended with {status}: {}", said.trim());
            }
            Ok(TcpStream::connect(("127.0.0.1", port)).ok())
        })
        .context("cannot serve the packages")?;
        Ok(Self { port, _running: running })
    }

    /// The address of a file.
    pub fn url(&self, file: &str) -> String {
        format!("https://localhost:{}/{file}", self.port)
    }
}

/// One process, so that it ends when it is killed.
fn configuration(folder: &Path, files: &Path, port: u16) -> String {
    let (folder, files) = (folder.display(), files.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/errors warn;\n\
         events {{ worker_connections 64; }}\nhttp {{\naccess_log {folder}/accesses;\n{temporary}\
         gzip off;\ndefault_type application/octet-stream;\nserver {{\n\
         listen 127.0.0.1:{port} ssl;\nssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_certificate {folder}/tls.pem;\nssl_certificate_key {folder}/tls.key;\n\
         root {files};\n}}\n}}\n"
    )
}
