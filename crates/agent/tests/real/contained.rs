//! A worker that is taken over completely: what its process can still do.
//!
//! The test starts itself again, gives up its rights as a worker does, and then tries
//! everything that a thief would.

use agent::platform::confine::{self, Rights, confine};
use agent::platform::contain::{self, Reach, limit_reach};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the folder to the process that is taken over.
const FOLDER: &str = "REFIT_TEST_CONTAINED";

#[test]
fn a_worker_that_is_taken_over_gets_nowhere() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return inside(&PathBuf::from(folder));
    }
    assert_eq!(contain::gaps(), [""; 0], "this kernel cannot contain a worker");
    let folder = tempfile::tempdir().unwrap();
    // Open for everyone: it is not the file's mode that protects them.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    for file in ["credential", "slot"] {
        let path = folder.path().join(file);
        std::fs::write(&path, "secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    let (allowed, other) = (listener(), listener());
    let ports = format!("{} {}", port(&allowed), port(&other));
    std::fs::write(folder.path().join("ports"), ports).unwrap();
    let name = "contained::a_worker_that_is_taken_over_gets_nowhere";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("all refused"), "{said}");
    assert_eq!(std::fs::read(folder.path().join("slot")).unwrap(), b"secret");
    assert!(!folder.path().join("new").exists());
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

fn inside(folder: &Path) {
    let ports = std::fs::read_to_string(folder.join("ports")).unwrap();
    let mut ports = ports.split(' ').map(|port| port.parse::<u16>().unwrap());
    let (allowed, other) = (ports.next().unwrap(), ports.next().unwrap());
    let nobody = confine::is_root().then(|| confine::user("nobody").unwrap());
    confine(Rights { nobody, heap: 0 }).unwrap();
    limit_reach(Reach::Port(allowed)).unwrap();
    let refused = |what: &str, done: bool| assert!(!done, "it can {what}");
    refused("read the key", std::fs::read(folder.join("credential")).is_ok());
    refused("read the agent's memory", std::fs::read("/proc/self/mem").is_ok());
    refused("read any file", std::fs::read("/etc/passwd").is_ok());
    refused("list a folder", std::fs::read_dir(folder).is_ok());
    refused(
        "write the slot",
        std::fs::OpenOptions::new().write(true).open(folder.join("slot")).is_ok(),
    );
    refused("make a file", std::fs::File::create(folder.join("new")).is_ok());
    refused("remove a file", std::fs::remove_file(folder.join("slot")).is_ok());
    refused("start a program", Command::new("/bin/true").status().is_ok());
    refused("listen", TcpListener::bind("127.0.0.1:0").is_ok());
    refused("talk to a service", std::os::unix::net::UnixDatagram::unbound().is_ok());
    refused("connect elsewhere", TcpStream::connect(("127.0.0.1", other)).is_ok());
    assert!(TcpStream::connect(("127.0.0.1", allowed)).is_ok(), "the server is reached");
    limit_reach(Reach::Nobody).unwrap();
    refused("connect at all", TcpStream::connect(("127.0.0.1", allowed)).is_ok());
    println!("all refused");
}
