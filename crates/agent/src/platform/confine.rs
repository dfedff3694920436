//! What a process gives up before it looks at bytes of strangers.
//!
//! It keeps the descriptors 0, 1 and 2 and whatever it is handed later, memory and
//! sockets. It loses its user and groups where it has root's, every way to more
//! rights, other descriptors, files to write, processes to start, and its life when
//! its parent ends. What the kernel can keep it from besides is in `contain`.

use super::contain::Places;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use rustix::thread::{Gid, Uid};
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// Bytes of address space: the program, its libraries, decoder and buffers, twice.
/// What a delta may take comes on top.
const ADDRESS_SPACE: u64 = 128 << 20;
/// Descriptors: the socket to the parent, the shared memory, a package, a
/// connection, and what a name look-up opens.
const DESCRIPTORS: u64 = 16;

/// Bytes of the largest file that a program of a package may write.
const HOOK_FILE: u64 = 64 << 20;
/// Descriptors of each of its processes.
const HOOK_DESCRIPTORS: u64 = 64;
/// Processes of its user, where that is one of its own.
const HOOK_PROCESSES: u64 = 64;

/// The user and group that a process without rights has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nobody {
    /// User id; not 0.
    pub uid: u32,
    /// Group id; not 0.
    pub gid: u32,
}

/// What a process keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// Who it becomes, where it is someone else.
    pub nobody: Option<Nobody>,
    /// Bytes of memory besides what it always needs.
    pub heap: u64,
}

/// Finds a user by name.
///
/// # Errors
/// There is none of that name, or it has root's user or group.
pub fn user(name: &str) -> io::Result<Nobody> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    user_in(&users, name).ok_or_else(|| io::Error::other(format!("no unprivileged user `{name}`")))
}

fn user_in(users: &str, name: &str) -> Option<Nobody> {
    let mut fields = users.lines().map(|line| line.split(':'));
    let mut fields = fields.find_map(|mut line| (line.next() == Some(name)).then_some(line))?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    (uid != 0 && gid != 0).then_some(Nobody { uid, gid })
}

/// Whether this process may change its user.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives everything up but `rights`. The process must have one thread.
///
/// # Errors
/// Something could not be given up. The process must end then.
pub fn confine(rights: Rights) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    close_other_descriptors()?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, DESCRIPTORS)?;
    limit(Resource::As, ADDRESS_SPACE.saturating_add(rights.heap))?;
    std::env::set_current_dir("/")?;
    if let Some(nobody) = rights.nobody {
        become_nobody(nobody)?;
    }
    limit(Resource::Nproc, 0)?;
    rustix::thread::set_no_new_privs(true)?;
    // Changing the user cleared it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    super::contain::contain()
}

/// What a program of a package gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookRights {
    /// Who it becomes, where it is someone else.
    pub nobody: Option<Nobody>,
    /// Bytes of address space of each of its processes.
    pub memory: u64,
    /// Seconds of processor time of each of its processes.
    pub seconds: u64,
    /// Its working folder.
    pub folder: PathBuf,
    /// What else it may see and reach.
    pub places: Places,
}

/// Gives up everything that a program of a package does not get. The process must have
/// one thread.
///
/// # Errors
/// Something could not be given up. The process must end then.
pub fn confine_hook(rights: &HookRights) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, HOOK_FILE)?;
    limit(Resource::Nofile, HOOK_DESCRIPTORS)?;
    limit(Resource::As, rights.memory)?;
    limit(Resource::Cpu, rights.seconds)?;
    std::env::set_current_dir(&rights.folder)?;
    if let Some(nobody) = rights.nobody {
        become_nobody(nobody)?;
        limit(Resource::Nproc, HOOK_PROCESSES)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    super::contain::contain_hook(&rights.places)
}

fn limit(resource: Resource, to: u64) -> io::Result<()> {
    let limit = Rlimit { current: Some(to), maximum: Some(to) };
    setrlimit(resource, limit).map_err(io::Error::from)
}

fn become_nobody(nobody: Nobody) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(nobody.uid), Gid::from_raw(nobody.gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// What was open when the program started and is not one of the first three came
/// from someone who forgot to close it.
#[expect(unsafe_code, reason = "descriptors that nobody in this process owns are closed")]
pub(super) fn close_other_descriptors() -> io::Result<()> {
    let names = std::fs::read_dir("/proc/self/fd")?;
    let open: Vec<RawFd> = names
        .filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // SAFETY: nothing in this process has opened anything yet; the directory just
        // read is closed already, and closing it again only fails.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, ids: Option<(u32, u32)>) {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n\
                     wheel:x:12:0::/:/bin/false\ntorn:x:1\n";
        let found = user_in(users, name).map(|nobody| (nobody.uid, nobody.gid));
        assert_eq!(found, ids, "{name}");
    }

    #[test]
    fn users_are_found_and_never_root() {
        check("nobody", Some((65534, 65533)));
        for bad in ["root", "wheel", "torn", "nobod", ""] {
            check(bad, None);
        }
    }
}
