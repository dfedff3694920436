//! Programs of packages: started without a shell, under a user of their own, in a
//! folder of their own, seeing the system's programs and settings and little else,
//! ended at their limit with all that they started.
//!
//! It is this same program, started again, with the program's bytes (where the package
//! brought them) sealed in memory as descriptor 0. It gives up its rights
//! (`confine::confine_hook`) and becomes that program.

use super::confine::{self, HookRights, Nobody, confine_hook};
use super::contain::{self, Places};
use super::program::{self, Ended};
use crate::edges::{HookCall, HookEnd, Hooks};
use rustix::fs::{MemfdFlags, SealFlags};
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use types::Text;

/// The hidden subcommand that makes this program a hook.
const SUBCOMMAND: &str = "hook";
/// The most bytes of a hook's words that are kept.
const SAID_MAX: usize = 1024;

/// What the configuration gives hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookSettings {
    /// The user that a hook becomes, when the agent is root.
    pub nobody: Option<Nobody>,
    /// MiB of address space of each process.
    pub memory_mib: u32,
    /// What it may see and reach.
    pub places: Places,
    /// Whether hooks run where the kernel cannot contain them.
    pub uncontained: Uncontained,
    /// Below this folder each hook has its own.
    pub folder: PathBuf,
}

/// Whether hooks run where the kernel cannot contain them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uncontained {
    /// Packages with hooks are refused.
    #[default]
    Refuse,
    /// They run, kept by their user and limits only.
    Run,
}

/// Runs hooks.
#[derive(Debug, Clone)]
pub struct Runner {
    program: PathBuf,
    settings: HookSettings,
}

impl Runner {
    /// Hooks start as `program`, which is this program.
    pub fn new(program: PathBuf, settings: HookSettings) -> Self {
        Self { program, settings }
    }

    /// Runs a hook in `folder`, in which it may write.
    pub fn run_in(&self, folder: &Path, call: &HookCall<'_>) -> HookEnd {
        if let Some(obstacle) = self.obstacle() {
            return HookEnd { fault: Some(obstacle), said: String::new() };
        }
        let name = call.command.first().map_or("", String::as_str);
        let (fault, said) = match self.start(folder, call) {
            Ok(Ended { status: Some(status), said }) if status.success() => (None, said),
            Ok(Ended { status: Some(status), said }) => {
                let last = said.lines().last().unwrap_or_default();
                (Some(format!("hook `{name}` ended with {status}: {last}")), said)
            }
            Ok(Ended { status: None, said }) => {
                (Some(format!("hook `{name}` took longer than {} s", call.limit.0)), said)
            }
            Err(e) => (Some(format!("hook `{name}` could not be run: {e}")), String::new()),
        };
        let cut = said.floor_char_boundary(SAID_MAX);
        let said = said.get(..cut).unwrap_or_default().to_string();
        HookEnd { fault: fault.map(Text::from), said }
    }

    fn start(&self, folder: &Path, call: &HookCall<'_>) -> io::Result<Ended> {
        let stdin = match call.program {
            Some(bytes) => Stdio::from(sealed(bytes)?),
            None => Stdio::null(),
        };
        let mut command = program::bare(&self.program);
        command.arg(SUBCOMMAND).args(self.words(folder, call)).stdin(stdin);
        command.envs(call.variables.iter().map(|(name, value)| (*name, value)));
        // Its folder may be below others that its user cannot enter by their names.
        command.env("HOME", ".").env("TMPDIR", ".");
        program::run_prepared(&mut command, u64::from(call.limit.0) * 1000)
    }

    fn words(&self, folder: &Path, call: &HookCall<'_>) -> Vec<OsString> {
        let HookSettings { nobody, memory_mib, places, .. } = &self.settings;
        let word = |name: &str, value: &Path| {
            let mut word = OsString::from(name);
            word.push(value);
            word
        };
        let mut words: Vec<OsString> = vec![
            format!("--memory={memory_mib}").into(),
            format!("--seconds={}", call.limit.0).into(),
            word("--folder=", folder),
        ];
        words.extend(nobody.map(|n| format!("--user={}:{}", n.uid, n.gid).into()));
        words.extend(places.readable.iter().map(|path| word("--read=", path)));
        words.extend(places.writable.iter().map(|path| word("--write=", path)));
        words.extend(places.network.then(|| "--network".into()));
        words.push(if call.program.is_some() { "--brought" } else { "--" }.into());
        words.extend(call.command.iter().map(OsString::from));
        words
    }

    /// Gives `path`, and what is in it, to the user that hooks become.
    ///
    /// # Errors
    /// It cannot be given.
    pub fn hand_over(&self, path: &Path) -> io::Result<()> {
        let Some(nobody) = self.settings.nobody else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(nobody.uid), Some(nobody.gid))
    }
}

impl Hooks for Runner {
    fn obstacle(&self) -> Option<Text> {
        let gap = contain::hook_gap().filter(|_| self.settings.uncontained == Uncontained::Refuse);
        gap.map(|gap| format!("{gap}, so hooks of packages are not run here").into())
    }

    fn run(&mut self, call: &HookCall<'_>) -> HookEnd {
        let folder = self.settings.folder.join("hook");
        let made = empty(&folder).and_then(|()| self.hand_over(&folder));
        let ended = match made {
            Ok(()) => self.run_in(&folder, call),
            Err(e) => HookEnd {
                fault: Some(format!("a hook has no folder to work in: {e}").into()),
                said: String::new(),
            },
        };
        // What is left is emptied before the next one.
        drop(std::fs::remove_dir_all(&folder));
        ended
    }
}

/// An empty folder that only its owner can enter.
fn empty(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A program in memory that nobody can change.
fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create(c"refit-hook", flags)?);
    file.write_all(bytes)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// What the hidden subcommand was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    rights: HookRights,
    /// Whether descriptor 0 is the program.
    brought: bool,
    command: Vec<OsString>,
}

/// Becomes a hook, if the arguments (without the program's name) say so; `None` if they
/// do not. What comes back is why it did not become one.
pub fn run_if_asked(mut words: impl Iterator<Item = OsString>) -> Option<io::Error> {
    if words.next()? != SUBCOMMAND {
        return None;
    }
    Some(read(words).map_or_else(|| io::ErrorKind::InvalidInput.into(), become_hook))
}

fn read(mut words: impl Iterator<Item = OsString>) -> Option<Told> {
    let mut told = Told::default();
    loop {
        let word = words.next()?;
        let text = word.to_str()?;
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let HookRights { nobody, memory, seconds, folder, places } = &mut told.rights;
        match name {
            "--user" => *nobody = Some(user(value)?),
            "--memory" => *memory = value.parse::<u64>().ok()?.checked_mul(1 << 20)?,
            "--seconds" => *seconds = value.parse().ok()?,
            "--folder" => *folder = value.into(),
            "--read" => places.readable.push(value.into()),
            "--write" => places.writable.push(value.into()),
            "--network" => places.network = true,
            "--" | "--brought" => {
                told.brought = name == "--brought";
                told.command = words.collect();
                return (!told.command.is_empty()).then_some(told);
            }
            _ => return None,
        }
    }
}

fn user(ids: &str) -> Option<Nobody> {
    let (uid, gid) = ids.split_once(':')?;
    let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
    (uid != 0 && gid != 0).then_some(Nobody { uid, gid })
}

/// Returns only when it failed.
fn become_hook(told: Told) -> io::Error {
    let Told { mut rights, brought, command } = told;
    let [program, arguments @ ..] = command.as_slice() else {
        return io::ErrorKind::InvalidInput.into();
    };
    rights.places.writable.push(".".into());
    let mut next = match ready(&rights, brought) {
        Ok(Some(file)) => {
            let mut next = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
            next.arg0(program);
            // It stays open in the program: a script is read through it.
            std::mem::forget(file);
            next
        }
        Ok(None) => Command::new(program),
        Err(error) => return error,
    };
    next.args(arguments).exec()
}

/// Closes what is not the hook's, and gives up the rights; returns the program's file.
fn ready(rights: &HookRights, brought: bool) -> io::Result<Option<OwnedFd>> {
    confine::close_other_descriptors()?;
    // What it says on standard error is heard too.
    rustix::stdio::dup2_stderr(io::stdout())?;
    let file = match brought {
        true => {
            let file = rustix::io::dup(io::stdin().as_fd())?;
            rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
            Some(file)
        }
        false => None,
    };
    confine_hook(rights)?;
    Ok(file)
}
