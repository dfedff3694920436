//! What the kernel keeps a worker, or a program of a package, from, whoever runs in it: Landlock for files, ports
//! and signals, seccomp for system calls.
//!
//! Both are for processors and kernels that have them. Where they are missing, the
//! worker's user and limits (`confine`) are what is left, and [`gaps`] says so.
//! Deliberately absent: a list of all that a worker may call. What it never needs and
//! what would reach other processes, the kernel or other sockets is refused; a C
//! library's next version may call what it likes otherwise.

use std::io;
use std::path::PathBuf;

/// Whether this processor has what is used here.
const KNOWN: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// Whom a worker may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This port of any host, and name servers.
    Port(u16),
    /// Nobody.
    Nobody,
}

/// What a worker is not kept from on this terminal, for people.
pub fn gaps() -> Vec<&'static str> {
    if !KNOWN {
        return vec![
            "no seccomp filter for this processor: system calls are not refused",
            "no Landlock for this processor: files are kept from it by its user only",
        ];
    }
    let mut gaps = Vec::new();
    if !means::has_filters() {
        gaps.push("no seccomp in this kernel: system calls are not refused");
    }
    match means::landlock_version() {
        0 => gaps.push("no Landlock in this kernel: files are kept from it by its user only"),
        1..=3 => gaps.push("an old Landlock in this kernel: it may connect to any port"),
        _ => {}
    }
    gaps
}

/// Keeps this process from files, other processes and the kernel from now on.
///
/// # Errors
/// The kernel has the means and refuses them.
pub fn contain() -> io::Result<()> {
    means::contain()
}

/// What a program of a package may see and reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// What it may read and run besides the system's own programs and settings.
    pub readable: Vec<PathBuf>,
    /// Where it may write.
    pub writable: Vec<PathBuf>,
    /// Whether it may use the network.
    pub network: bool,
}

/// Why programs of packages cannot be kept from the rest on this terminal.
pub fn hook_gap() -> Option<&'static str> {
    if !KNOWN {
        return Some("no seccomp filter for this processor");
    }
    if !means::has_filters() {
        return Some("no seccomp in this kernel");
    }
    (means::landlock_version() == 0).then_some("no Landlock in this kernel")
}

/// Keeps this process, which is to become a program of a package, from everything but
/// `places` from now on.
///
/// # Errors
/// The kernel has the means and refuses them.
pub fn contain_hook(places: &Places) -> io::Result<()> {
    means::contain_hook(places)
}

/// Keeps this process from everyone but `reach` from now on.
///
/// # Errors
/// As [`contain`].
pub fn limit_reach(reach: Reach) -> io::Result<()> {
    means::limit_reach(reach)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod means {
    use super::{Places, Reach, io};

    pub(super) fn landlock_version() -> i64 {
        0
    }

    pub(super) fn has_filters() -> bool {
        false
    }

    pub(super) fn contain_hook(_: &Places) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn contain() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn limit_reach(_: Reach) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod means {
    use super::{Places, Reach, io};
    use landlock::{
        ABI, Access, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
        path_beneath_rules,
    };
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    /// The version that is asked for; older kernels do what they can of it.
    const VERSION: ABI = ABI::V6;
    /// What resolving a name needs: its configuration, and the C library's modules.
    const READABLE: [&str; 12] = [
        "/etc/resolv.conf",
        "/run/systemd/resolve",
        "/etc/hosts",
        "/etc/nsswitch.conf",
        "/etc/host.conf",
        "/etc/gai.conf",
        "/etc/services",
        "/etc/ld.so.cache",
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64",
    ];
    /// The port of name servers.
    const NAMES: u16 = 53;
    /// Calls that reach other processes, or the kernel itself.
    const REFUSED: [libc::c_long; 35] = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
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
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_personality,
        libc::SYS_mknodat,
        libc::SYS_settimeofday,
    ];
    /// Calls that a worker never needs besides: other programs, and being called.
    const REFUSED_WORKER: [libc::c_long; 6] = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
    ];
    /// Calls by which a program of a package could outlive its time, or change the clock
    /// or the terminal's name.
    const REFUSED_HOOK: [libc::c_long; 5] = [
        libc::SYS_setsid,
        libc::SYS_setpgid,
        libc::SYS_clock_settime,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
    ];
    /// The system's own programs and settings, which a program of a package may use.
    const SYSTEM: [&str; 9] =
        ["/bin", "/sbin", "/usr", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys"];
    /// Devices that hold nothing.
    const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];

    /// The version of the kernel's Landlock; 0 where there is none.
    #[expect(unsafe_code, reason = "no crate tells the version")]
    pub(super) fn landlock_version() -> i64 {
        const VERSION: libc::c_uint = 1;
        let (call, nothing) = (libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>());
        // SAFETY: without attributes, and with this flag, the call only returns a number.
        let version = unsafe { libc::syscall(call, nothing, 0, VERSION) };
        version.max(0)
    }

    /// Whether the kernel takes filters of system calls.
    #[expect(unsafe_code, reason = "no crate asks without setting one")]
    pub(super) fn has_filters() -> bool {
        let (mode, nothing) = (libc::SECCOMP_MODE_FILTER, std::ptr::null::<libc::c_void>());
        // SAFETY: there is no filter at this address, so that none can be set.
        let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, nothing) };
        // A kernel that takes filters looks for one there; another does not know the mode.
        set == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
    }

    pub(super) fn contain() -> io::Result<()> {
        restrict_files().map_err(io::Error::other)?;
        let calls = REFUSED.into_iter().chain(REFUSED_WORKER);
        let mut rules: Vec<_> = calls.map(|call| (call, Vec::new())).collect();
        rules.push((libc::SYS_socket, vec![other_sockets().map_err(io::Error::other)?]));
        refuse(rules)
    }

    pub(super) fn contain_hook(places: &Places) -> io::Result<()> {
        restrict_to(places).map_err(io::Error::other)?;
        let calls = REFUSED.into_iter().chain(REFUSED_HOOK);
        let mut rules: Vec<_> = calls.map(|call| (call, Vec::new())).collect();
        if !places.network {
            rules.push((libc::SYS_socket, vec![not_local().map_err(io::Error::other)?]));
        }
        refuse(rules)
    }

    fn restrict_to(places: &Places) -> Result<(), landlock::RulesetError> {
        let (all, read) = (AccessFs::from_all(VERSION), AccessFs::from_read(VERSION));
        let used = AccessFs::ReadFile | AccessFs::WriteFile;
        Ruleset::default()
            .handle_access(all)?
            .scope(Scope::from_all(VERSION))?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, read))?
            .add_rules(path_beneath_rules(DEVICES, used))?
            .add_rules(path_beneath_rules(&places.readable, read))?
            .add_rules(path_beneath_rules(&places.writable, all))?
            .restrict_self()?;
        Ok(())
    }

    /// Sockets that are not of this terminal alone.
    fn not_local() -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![is_not(libc::AF_UNIX)?])
    }

    /// Sockets that are neither IPv4 nor IPv6.
    fn other_sockets() -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![is_not(libc::AF_INET)?, is_not(libc::AF_INET6)?])
    }

    fn is_not(family: libc::c_int) -> Result<SeccompCondition, seccompiler::BackendError> {
        let family = u64::from(family.unsigned_abs());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
    }

    /// Refuses these calls, where the kernel can.
    fn refuse(rules: Vec<(libc::c_long, Vec<SeccompRule>)>) -> io::Result<()> {
        if !has_filters() {
            return Ok(());
        }
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
        let filter =
            SeccompFilter::new(rules.into_iter().collect(), SeccompAction::Allow, refused, arch);
        let program: seccompiler::BpfProgram =
            filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
        seccompiler::apply_filter(&program).map_err(io::Error::other)
    }

    fn restrict_files() -> Result<(), landlock::RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(VERSION))?
            .scope(Scope::from_all(VERSION))?
            .create()?
            .add_rules(path_beneath_rules(READABLE, AccessFs::from_read(VERSION)))?
            .restrict_self()?;
        Ok(())
    }

    pub(super) fn limit_reach(reach: Reach) -> io::Result<()> {
        match reach {
            Reach::Nobody => refuse(vec![(libc::SYS_socket, Vec::new())]),
            Reach::Port(port) => restrict_ports([port, NAMES]).map_err(io::Error::other),
        }
    }

    fn restrict_ports(ports: [u16; 2]) -> Result<(), landlock::RulesetError> {
        let allowed = ports
            .into_iter()
            .map(|port| Ok::<_, landlock::RulesetError>(NetPort::new(port, AccessNet::ConnectTcp)));
        Ruleset::default()
            .handle_access(AccessNet::from_all(VERSION))?
            .create()?
            .add_rules(allowed)?
            .restrict_self()?;
        Ok(())
    }
}
