//! What the process that makes a delta gives up before it looks at a maker's bytes.
//!
//! It reads images of strangers' formats (file systems, archives, compressed streams), so
//! it keeps nothing but its memory and the files that it has open: no other file, no
//! socket, no program, no other process. It differs from the worker of an agent, which
//! needs the network, and so has a list of its own.
//! Deliberately absent: a list of all that it may call; a C library's next version may
//! call what it likes otherwise.

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{Gid, Uid};
use std::io;

/// Open files: standard ones, two packages, the delta, and what the kernel hands out.
const DESCRIPTORS: u64 = 16;
/// The user and group that own nothing, by the kernel's own custom.
const NOBODY: u32 = 65534;

/// Gives up everything but memory and open files. No file that it writes gets larger
/// than `largest` bytes. The process must have one thread.
///
/// # Errors
/// Something could not be given up that the kernel has the means for.
pub(super) fn contain(largest: u64) -> io::Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, DESCRIPTORS)?;
    limit(Resource::Fsize, largest)?;
    become_nobody()?;
    means::contain()
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let limit = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(resource, limit).map_err(io::Error::from)
}

/// Root's rights are given up; whoever has none has none to give up.
fn become_nobody() -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    Ok(rustix::thread::set_thread_res_uid(user, user, user)?)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod means {
    pub(super) fn contain() -> std::io::Result<()> {
        rustix::thread::set_no_new_privs(true).map_err(std::io::Error::from)
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod means {
    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, Scope};
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    use std::io;

    /// The version that is asked for; older kernels do what they can of it.
    const VERSION: ABI = ABI::V6;
    /// Calls that reach the network, other programs and processes, or the kernel itself.
    const REFUSED: [libc::c_long; 40] = [
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_kcmp,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_reboot,
        libc::SYS_personality,
        libc::SYS_mknodat,
        libc::SYS_settimeofday,
    ];

    pub(super) fn contain() -> io::Result<()> {
        forbid_files().map_err(io::Error::other)?;
        refuse()
    }

    /// No file can be opened, made or removed any more, no port reached, and no signal
    /// sent out. It also rules out new rights (`no_new_privs`).
    fn forbid_files() -> Result<(), landlock::RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(VERSION))?
            .handle_access(AccessNet::from_all(VERSION))?
            .scope(Scope::from_all(VERSION))?
            .create()?
            .restrict_self()?;
        Ok(())
    }

    fn refuse() -> io::Result<()> {
        let rules = REFUSED.into_iter().map(|call| (call, Vec::new())).collect();
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch);
        let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
        seccompiler::apply_filter(&program).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    /// Names the folder to the process that is taken over.
    const FOLDER: &str = "REFIT_TEST_DELTA_CHILD";

    /// The test starts itself again, gives up what a child gives up, and tries what a
    /// thief would.
    #[test]
    fn a_child_that_is_taken_over_gets_nowhere() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return inside(&PathBuf::from(folder));
        }
        let folder = tempfile::tempdir().unwrap();
        // Open for everyone: it is not the file's mode that protects it.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        for file in ["package", "delta", "secret"] {
            let path = folder.path().join(file);
            std::fs::write(&path, "bytes").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        }
        let name = "deltas::contain::tests::a_child_that_is_taken_over_gets_nowhere";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("all refused"), "{said}");
        assert_eq!(std::fs::read(folder.path().join("delta")).unwrap(), b"made!");
        assert_eq!(std::fs::read(folder.path().join("secret")).unwrap(), b"bytes");
    }

    fn inside(folder: &Path) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut package = std::fs::File::open(folder.join("package")).unwrap();
        let mut delta = std::fs::File::create(folder.join("delta")).unwrap();
        contain(8).unwrap();
        let refused = |what: &str, done: bool| assert!(!done, "it can {what}");
        refused("read another file", std::fs::read(folder.join("secret")).is_ok());
        refused("read its package by name", std::fs::read(folder.join("package")).is_ok());
        refused("read the system's files", std::fs::read("/etc/passwd").is_ok());
        refused("read its own memory's map", std::fs::read("/proc/self/maps").is_ok());
        refused("list a folder", std::fs::read_dir(folder).is_ok());
        refused("make a file", std::fs::File::create(folder.join("new")).is_ok());
        refused("remove a file", std::fs::remove_file(folder.join("secret")).is_ok());
        refused("start a program", Command::new("/bin/true").status().is_ok());
        refused("connect", TcpStream::connect(address).is_ok());
        refused("listen", TcpListener::bind("127.0.0.1:0").is_ok());
        refused("talk to a neighbour", UnixStream::pair().is_ok());
        refused("be root", rustix::process::geteuid().is_root());
        // What it is for goes on.
        let mut text = String::new();
        package.read_to_string(&mut text).unwrap();
        delta.write_all(b"made!").unwrap();
        assert_eq!(std::thread::spawn(|| 2 + 2).join().unwrap(), 4);
        println!("{text}: all refused");
    }
}
