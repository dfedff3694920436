//! The configuration as folders: `A` and `B` below one folder, each for the release in
//! the slot of that name. Whatever starts a slot lets its release see its own folder.
//!
//! A copy is made aside and takes its place in one step. Deliberately absent: who looks
//! into it. Of a file its bytes, mode and owner are copied; of a symbolic link where it
//! points to; nothing else is, and there is a bound to all of it.

use super::files;
use super::hooks::Runner;
use crate::edges::{Change, Configuration, CopyError, Difference, HookCall, Migration};
use engine::configuration::{Pattern, Step};
use package::Phase;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use types::{Seconds, Slot};

/// The file in a copy that says the version of its form.
const FORM: &str = ".refit-form";
/// Where a copy is made.
const STAGED: &str = ".new";
/// Where one is made to be looked at.
const REHEARSED: &str = ".rehearsal";
/// The most files, folders and links of a configuration, the bytes of all its files, and
/// how deep its folders are.
const ENTRIES_MAX: usize = 4096;
/// See [`ENTRIES_MAX`].
const BYTES_MAX: u64 = 64 << 20;
/// See [`ENTRIES_MAX`].
const DEPTH_MAX: usize = 16;

/// A step for which the running release has a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnStep {
    /// From which version to which.
    pub step: Step,
    /// Program and arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub limit: Seconds,
}

/// The configuration of a terminal.
#[derive(Debug)]
pub struct Folders {
    /// The folder of the copies; none where the terminal keeps no configuration.
    pub folder: Option<PathBuf>,
    /// What is carried over; everything where there is none.
    pub keep: Vec<Pattern>,
    /// The version of the form that a copy has which does not say.
    pub form: u32,
    /// The running release's own steps.
    pub own: Vec<OwnStep>,
    /// Takes the steps.
    pub runner: Runner,
}

/// What is in a folder, by path below it.
type Tree = BTreeMap<String, Metadata>;

impl Folders {
    fn folder(&self) -> io::Result<&Path> {
        self.folder.as_deref().ok_or_else(|| io::Error::other("no configuration is kept here"))
    }

    /// The folder of `slot`'s copy.
    fn of(&self, slot: Slot) -> io::Result<PathBuf> {
        Ok(self.folder()?.join(slot.to_string()))
    }

    /// Fills the copies of both slots with what is in `factory`, or with nothing. They
    /// are of the form that the factory wrote.
    ///
    /// # Errors
    /// A copy could not be replaced; it is as before.
    pub fn reset(&self, factory: Option<&Path>) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for slot in Slot::BOTH {
            let (staged, place) = (folder.join(STAGED), self.of(slot)?);
            remove(&staged)?;
            match factory {
                Some(factory) => copy_all(factory, &staged, &walk(factory)?)?,
                None => copy_folder(if place.is_dir() { &place } else { folder }, &staged)?,
            }
            std::fs::write(staged.join(FORM), self.form.to_string())?;
            flush(&staged, &walk(&staged)?)?;
            put_in_place(&staged, &place)?;
            remove(&staged)?;
        }
        Ok(())
    }

    fn keeps(&self, path: &str) -> bool {
        self.keep.is_empty() || self.keep.iter().any(|pattern| pattern.holds(path))
    }

    /// Makes the copy in `place`, durably.
    fn make(
        &self,
        from: &Path,
        place: &Path,
        form: u32,
        steps: &[Migration<'_>],
    ) -> Result<(), CopyError> {
        remove(place)?;
        let tree = walk(from)?;
        let kept: Tree = tree.into_iter().filter(|(path, _)| self.keeps(path)).collect();
        copy_all(from, place, &kept)?;
        let mut form = form;
        if !steps.is_empty() {
            self.lend(place)?;
            for migration in steps {
                self.take(place, migration)?;
                form = migration.step.to;
            }
            give_back(place, &kept)?;
        }
        // A step may have left anything: a copy is bounded as its original is.
        let made = walk(place)?;
        std::fs::write(place.join(FORM), form.to_string())?;
        flush(place, &made)?;
        Ok(())
    }

    /// The steps run under a user of their own, who works on all of the copy.
    fn lend(&self, place: &Path) -> io::Result<()> {
        self.runner.hand_over(place)?;
        walk(place)?.keys().try_for_each(|path| self.runner.hand_over(&place.join(path)))
    }

    fn take(&self, place: &Path, migration: &Migration<'_>) -> Result<(), CopyError> {
        let step = migration.step;
        let own = self.own.iter().find(|own| own.step == step);
        let call = match (migration.call, own) {
            (Some(call), _) => call,
            (None, Some(own)) => HookCall {
                phase: Phase::Migrate,
                command: &own.command,
                program: None,
                limit: own.limit,
                variables: &[],
            },
            (None, None) => return Err(CopyError::Step { step, fault: "no program".into() }),
        };
        let mut variables = call.variables.to_vec();
        variables.push(("REFIT_FROM", step.from.to_string()));
        variables.push(("REFIT_TO", step.to.to_string()));
        let ended = self.runner.run_in(place, &HookCall { variables: &variables, ..call });
        match ended.fault {
            None => Ok(()),
            Some(fault) => Err(CopyError::Step { step, fault }),
        }
    }
}

impl Configuration for Folders {
    fn version(&self, slot: Slot) -> io::Result<Option<u32>> {
        if self.folder.is_none() || !self.of(slot)?.is_dir() {
            return Ok(None);
        }
        let Some(said) = files::read(&self.of(slot)?.join(FORM), 16)? else {
            return Ok(Some(self.form));
        };
        let said = String::from_utf8(said).ok().and_then(|said| said.trim().parse().ok());
        said.map(Some).ok_or_else(|| io::Error::other("the configuration's form is no number"))
    }

    fn own(&self) -> Vec<Step> {
        self.own.iter().map(|own| own.step).collect()
    }

    fn copy(&mut self, from: Slot, to: Slot, steps: &[Migration<'_>]) -> Result<(), CopyError> {
        let (staged, place) = (self.folder()?.join(STAGED), self.of(to)?);
        let form = self.version(from)?.unwrap_or(self.form);
        let made = self.make(&self.of(from)?, &staged, form, steps);
        let placed = made.and_then(|()| Ok(put_in_place(&staged, &place)?));
        // What is left there is the copy before, or half of a new one.
        remove(&staged)?;
        placed
    }

    fn rehearse(
        &mut self,
        from: Slot,
        steps: &[Migration<'_>],
    ) -> Result<Vec<Difference>, CopyError> {
        let (place, original) = (self.folder()?.join(REHEARSED), self.of(from)?);
        let form = self.version(from)?.unwrap_or(self.form);
        let made = self.make(&original, &place, form, steps);
        let found = made.and_then(|()| Ok(differences(&original, &place)?));
        remove(&place)?;
        found
    }

    fn forget(&mut self, slot: Slot) -> io::Result<()> {
        match self.folder {
            Some(_) => remove(&self.of(slot)?),
            None => Ok(()),
        }
    }
}

/// Everything in `folder` but the form's file; in order, so that a folder comes before
/// what is in it.
fn walk(folder: &Path) -> io::Result<Tree> {
    let (mut tree, mut bytes) = (Tree::new(), 0_u64);
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(folder.join(&at))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| odd(&at, "a name that is no text"))?;
            let path = if at.is_empty() { name.to_string() } else { format!("{at}/{name}") };
            let facts = entry.metadata()?;
            let kind = facts.file_type();
            if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
                return Err(odd(&path, "neither file nor folder nor link"));
            }
            if path == FORM {
                continue;
            }
            bytes = bytes.saturating_add(if kind.is_file() { facts.len() } else { 0 });
            if kind.is_dir() {
                open.push(path.clone());
            }
            let deep = path.split('/').count() > DEPTH_MAX;
            tree.insert(path, facts);
            if deep || tree.len() > ENTRIES_MAX || bytes > BYTES_MAX {
                return Err(odd(&at, "more than a configuration may have"));
            }
        }
    }
    Ok(tree)
}

fn odd(at: &str, what: &str) -> io::Error {
    io::Error::other(format!("`{at}` of the configuration has {what}"))
}

/// Copies what `kept` names, and the folders above it.
fn copy_all(from: &Path, place: &Path, kept: &Tree) -> io::Result<()> {
    copy_folder(from, place)?;
    for path in kept.keys() {
        let names: Vec<&str> = path.split('/').collect();
        for deep in 1..names.len() {
            let above = names.get(..deep).unwrap_or_default().join("/");
            if !place.join(&above).is_dir() {
                copy_folder(&from.join(&above), &place.join(&above))?;
            }
        }
        copy_one(&from.join(path), &place.join(path))?;
    }
    Ok(())
}

fn copy_one(from: &Path, to: &Path) -> io::Result<()> {
    let facts = std::fs::symlink_metadata(from)?;
    if facts.is_dir() {
        return if to.is_dir() { Ok(()) } else { copy_folder(from, to) };
    }
    if facts.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(from)?, to)?;
        return own(to, &facts);
    }
    std::fs::copy(from, to)?;
    own(to, &facts)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let facts = std::fs::metadata(from)?;
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, Permissions::from_mode(facts.mode() & 0o7777))?;
    own(to, &facts)
}

/// Gives `to` the owner that `facts` name; nothing to do where that is who copies.
fn own(to: &Path, facts: &Metadata) -> io::Result<()> {
    let is = std::fs::symlink_metadata(to)?;
    if (is.uid(), is.gid()) == (facts.uid(), facts.gid()) {
        return Ok(());
    }
    lchown(to, Some(facts.uid()), Some(facts.gid()))?;
    if !facts.is_symlink() {
        std::fs::set_permissions(to, Permissions::from_mode(facts.mode() & 0o7777))?;
    }
    Ok(())
}

/// Who owned a file of the original owns it again; what is new belongs to the owner of
/// the folder that all of it is in.
fn give_back(place: &Path, kept: &Tree) -> io::Result<()> {
    let above = place.parent().unwrap_or(place);
    let whole = std::fs::metadata(above)?;
    let give = |path: &Path, facts: &Metadata| lchown(path, Some(facts.uid()), Some(facts.gid()));
    let is = std::fs::metadata(place)?;
    if (is.uid(), is.gid()) == (whole.uid(), whole.gid()) {
        return Ok(());
    }
    for path in walk(place)?.keys() {
        give(&place.join(path), kept.get(path).unwrap_or(&whole))?;
    }
    give(place, &whole)
}

/// Makes a copy durable.
fn flush(place: &Path, made: &Tree) -> io::Result<()> {
    let durable = |path: &Path| File::open(path)?.sync_all();
    let real = made.iter().filter(|(_, facts)| !facts.is_symlink());
    real.map(|(path, _)| path).try_for_each(|path| durable(&place.join(path)))?;
    durable(&place.join(FORM))?;
    durable(place)
}

/// Lets `staged` take the place of `place`; what was there is at `staged` then.
fn put_in_place(staged: &Path, place: &Path) -> io::Result<()> {
    if place.is_dir() {
        match renameat_with(CWD, staged, CWD, place, RenameFlags::EXCHANGE) {
            Ok(()) => return files::sync_directory_of(place),
            // Not every file system exchanges; the slot cannot be started meanwhile.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => remove(place)?,
            Err(e) => return Err(e.into()),
        }
    }
    std::fs::rename(staged, place)?;
    files::sync_directory_of(place)
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// How `copy` differs from `original`.
fn differences(original: &Path, copy: &Path) -> io::Result<Vec<Difference>> {
    let (before, after) = (walk(original)?, walk(copy)?);
    let mut found = Vec::new();
    let mut differs = |path: &String, what| found.push(Difference { path: path.clone(), what });
    for (path, facts) in &before {
        match after.get(path) {
            None => differs(path, Change::Removed),
            Some(now) if same(original, copy, path, facts, now)? => {}
            Some(_) => differs(path, Change::Changed),
        }
    }
    let new = after.keys().filter(|path| !before.contains_key(*path));
    new.for_each(|path| differs(path, Change::Added));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn same(
    original: &Path,
    copy: &Path,
    path: &str,
    before: &Metadata,
    after: &Metadata,
) -> io::Result<bool> {
    let (original, copy) = (original.join(path), copy.join(path));
    if before.file_type() != after.file_type() || before.mode() != after.mode() {
        return Ok(false);
    }
    if before.is_symlink() {
        return Ok(std::fs::read_link(original)? == std::fs::read_link(copy)?);
    }
    if before.is_dir() {
        return Ok(true);
    }
    Ok(before.len() == after.len() && std::fs::read(original)? == std::fs::read(copy)?)
}
