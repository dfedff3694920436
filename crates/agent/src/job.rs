//! The job file: what is installed, written once it is verified, read after every
//! restart. It is trusted because the journal holds its digest.

use crate::edges::Encoding;
use package::{Codec, Component, Delta, Deltas, Hook, Manifest, Program};
use std::collections::BTreeMap;
use trust::ChunkList;
use types::{Digest, Document};

/// First bytes of a job file without deltas.
const MAGIC: &[u8] = b"refit job 1\n";

/// First bytes of a job file in which each component's list of chunks is followed by
/// its deltas. It is written only where there are some, so that an agent which knows
/// none reads all other job files.
const MAGIC_DELTAS: &[u8] = b"refit job 2\n";

/// First bytes of a job file in which the programs of hooks stand between the manifest
/// and the components, and each component has deltas. Written only where there are some.
const MAGIC_HOOKS: &[u8] = b"refit job 3\n";

/// What a job file of a version has besides manifest and lists.
#[derive(Clone, Copy)]
struct Has {
    deltas: bool,
    programs: bool,
}

/// One component that is to be installed.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// What the manifest says of it.
    pub(crate) component: Component,
    /// Its chunks' signed digests.
    pub(crate) chunks: ChunkList,
    /// Deltas from what runs, best first.
    pub(crate) deltas: Vec<Delta>,
}

/// One way to get a component's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// The package's entry.
    pub(crate) entry: String,
    /// Bytes of the entry.
    pub(crate) size: u64,
    /// How it is encoded.
    pub(crate) encoding: Encoding,
}

impl Part {
    /// All ways that this agent can go, best first; a cursor counts them.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> + '_ {
        let known = |p: &&package::Payload| p.codec != Codec::Unknown && p.encryption.is_none();
        let full = self.component.payloads.iter().filter(known).map(|payload| Way {
            entry: payload.entry.clone(),
            size: payload.size,
            encoding: Encoding::Frames,
        });
        let deltas = self.deltas.iter().map(|delta| Way {
            entry: delta.entry.clone(),
            size: delta.size,
            encoding: Encoding::Delta { heap: delta.heap },
        });
        deltas.chain(full)
    }
}

/// What is installed, in order.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// What the maker signed.
    pub(crate) manifest: Manifest,
    /// The same, as it was signed.
    pub(crate) exact: Vec<u8>,
    /// SHA-256 of the manifest: the release's identity.
    pub(crate) release: Digest,
    /// The components that are to be installed.
    pub(crate) parts: Vec<Part>,
    /// Programs of hooks by entry; each matches its signed digest.
    programs: BTreeMap<String, Vec<u8>>,
}

impl Job {
    /// The document's name in the store.
    pub(crate) const NAME: &'static str = "job";

    /// The job of a release of which nothing is to be written: to rehearse. `programs`
    /// are those of the manifest, in order, and checked.
    pub(crate) fn without_parts(manifest: &Manifest, exact: &[u8], programs: Vec<Vec<u8>>) -> Self {
        let entries = manifest.programs().map(|program| program.entry.clone());
        let programs = entries.zip(programs).collect();
        let release = Digest::of(exact);
        let (manifest, exact) = (manifest.clone(), exact.to_vec());
        Self { manifest, exact, release, parts: Vec::new(), programs }
    }

    /// The program that the package brought for `hook`.
    pub(crate) fn program(&self, hook: &Hook) -> Option<&[u8]> {
        let program = hook.program.as_ref()?;
        self.programs.get(&program.entry).map(Vec::as_slice)
    }

    /// Bytes of all images together.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.component.image.size).sum()
    }
}

/// A component of the manifest as it goes into a job file.
pub(crate) struct Chosen {
    /// Its index in the manifest.
    pub(crate) index: u8,
    /// Its chunks' digests.
    pub(crate) list: ChunkList,
    /// Its deltas.
    pub(crate) deltas: Vec<Delta>,
}

/// The exact bytes of a job file; `programs` are those of the manifest, in order.
///
/// # Errors
/// The deltas cannot be written down.
pub(crate) fn encode(
    manifest: &[u8],
    programs: &[Vec<u8>],
    chosen: &[Chosen],
) -> serde_json::Result<Vec<u8>> {
    let programmed = !programs.is_empty();
    let with_deltas = programmed || chosen.iter().any(|part| !part.deltas.is_empty());
    let magic = match (programmed, with_deltas) {
        (true, _) => MAGIC_HOOKS,
        (false, true) => MAGIC_DELTAS,
        (false, false) => MAGIC,
    };
    let mut out = magic.to_vec();
    put(&mut out, manifest);
    programs.iter().for_each(|program| put(&mut out, program));
    for Chosen { index, list, deltas } in chosen {
        out.push(*index);
        put(&mut out, list.bytes());
        if with_deltas {
            put(&mut out, &serde_json::to_vec(&Deltas { deltas: deltas.clone() })?);
        }
    }
    Ok(out)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.extend(bytes);
}

/// Takes a length and so many bytes from the front.
fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let cut_short = || "cut short".to_owned();
    let (len, tail) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
    let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| cut_short())?;
    let (bytes, tail) = tail.split_at_checked(len).ok_or_else(cut_short)?;
    *rest = tail;
    Ok(bytes)
}

impl Document for Job {
    const KIND: &'static str = "job file";
    const LIMIT: u32 = 48 << 20;

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (mut rest, has) = version(bytes).ok_or("not a job file of this version")?;
        let exact = take(&mut rest)?;
        let manifest = Manifest::decode(exact)?;
        let mut programs = BTreeMap::new();
        for program in manifest.programs().filter(|_| has.programs) {
            let bytes = check_program(program, take(&mut rest)?)?;
            programs.insert(program.entry.clone(), bytes.to_vec());
        }
        let mut parts = Vec::new();
        while let Some((index, tail)) = rest.split_first() {
            rest = tail;
            let list = take(&mut rest)?;
            let deltas =
                if has.deltas { Deltas::decode(take(&mut rest)?)?.deltas } else { Vec::new() };
            parts.push(part(&manifest, *index, list, deltas)?);
        }
        let (release, exact) = (Digest::of(exact), exact.to_vec());
        Ok(Self { release, exact, manifest, parts, programs })
    }
}

/// What follows the first bytes, and what is in it.
fn version(bytes: &[u8]) -> Option<(&[u8], Has)> {
    let known = [(MAGIC, false, false), (MAGIC_DELTAS, true, false), (MAGIC_HOOKS, true, true)];
    known.into_iter().find_map(|(magic, deltas, programs)| {
        Some((bytes.strip_prefix(magic)?, Has { deltas, programs }))
    })
}

/// The program's bytes, when they are those that were signed.
///
/// # Errors
/// They are others.
pub(crate) fn check_program<'a>(program: &Program, bytes: &'a [u8]) -> Result<&'a [u8], String> {
    if Digest::of(bytes) == program.sha256 {
        return Ok(bytes);
    }
    Err(format!("`{}` is not the program that was signed", program.entry))
}

fn part(manifest: &Manifest, index: u8, list: &[u8], deltas: Vec<Delta>) -> Result<Part, String> {
    let component = manifest.components.get(usize::from(index)).ok_or("no such component")?;
    let chunks = ChunkList::check(&component.image, list.to_vec()).map_err(|e| e.to_string())?;
    Ok(Part { component: component.clone(), chunks, deltas })
}

#[cfg(test)]
mod tests {
    use super::*;
    use package::{Class, Phase};
    use std::collections::BTreeMap;
    use types::Image;

    /// The exact bytes of a manifest of one component, and its list of chunks.
    fn manifest(program: Option<Program>) -> (Vec<u8>, ChunkList) {
        let list = Digest::of(b"image").0.to_vec();
        let image = Image {
            size: 5,
            sha256: Digest::of(b"image"),
            chunk_size: 4096,
            chunks: Digest::of(&list),
        };
        let component = serde_json::json!({
            "name": "rootfs", "kind": "rootfs", "effect": "slot", "image": image,
            "payloads": [{"codec": "zstd-frames", "entry": "payload/rootfs.zst", "size": 9,
                          "sha256": Digest::of(b"payload")}],
        });
        let hook = |program| Hook {
            phase: Phase::Health,
            command: vec!["a".into()],
            limit_seconds: 1,
            program: Some(program),
            step: None,
        };
        let manifest = Manifest {
            format: Manifest::FORMAT,
            product: "router".parse().unwrap(),
            variants: Vec::new(),
            regions: Vec::new(),
            hardware: vec!["r1".parse().unwrap()],
            version: "2.0".parse().unwrap(),
            rollback_index: 1,
            class: Class::Feature,
            components: vec![serde_json::from_value(component).unwrap()],
            notes: BTreeMap::new(),
            hooks: program.map(hook).into_iter().collect(),
            configuration: None,
            support_until: None,
            release_notes: None,
            sbom: None,
        };
        let chunks = ChunkList::check(&image, list).unwrap();
        (serde_json::to_vec(&manifest).unwrap(), chunks)
    }

    /// What an older agent can read is written as it wrote it; each version is read.
    #[test]
    fn a_job_file_has_the_oldest_form_that_holds_it() {
        let bytes = b"#!/bin/sh".to_vec();
        let (entry, size, sha256) = ("hooks/a".to_string(), 9, Digest::of(&bytes));
        let program = Program { entry, size, sha256 };
        let delta = Delta {
            component: "rootfs".parse().unwrap(),
            source: Digest::of(b"old"),
            entry: "delta/0".into(),
            size: 7,
            heap: 1 << 20,
        };
        for (program, deltas, magic) in [
            (None, vec![], MAGIC),
            (None, vec![delta.clone()], MAGIC_DELTAS),
            (Some(program.clone()), vec![], MAGIC_HOOKS),
            (Some(program), vec![delta], MAGIC_HOOKS),
        ] {
            let (exact, list) = manifest(program.clone());
            let programs: Vec<_> = program.iter().map(|_| bytes.clone()).collect();
            let chosen = [Chosen { index: 0, list, deltas: deltas.clone() }];
            let file = encode(&exact, &programs, &chosen).unwrap();
            assert!(file.starts_with(magic));
            let job = Job::decode(&file).unwrap();
            assert_eq!(
                (job.release, job.parts[0].deltas.len()),
                (Digest::of(&exact), deltas.len())
            );
            let found = job.manifest.hooks.first().and_then(|hook| job.program(hook));
            assert_eq!(found, program.as_ref().map(|_| bytes.as_slice()));
            for cut in magic.len()..file.len() {
                let part = Job::decode(&file[..cut]);
                assert!(part.is_err() || part.is_ok_and(|job| job.parts.is_empty()), "{cut}");
            }
        }
    }

    #[test]
    fn a_program_that_is_not_the_signed_one_makes_no_job() {
        let (entry, size, sha256) = ("hooks/a".to_string(), 9, Digest::of(b"#!/bin/sh"));
        let (exact, list) = manifest(Some(Program { entry, size, sha256 }));
        let chosen = [Chosen { index: 0, list, deltas: vec![] }];
        let file = encode(&exact, &[b"#!/bin/sx".to_vec()], &chosen).unwrap();
        assert!(Job::decode(&file).unwrap_err().contains("not the program that was signed"));
    }
}
