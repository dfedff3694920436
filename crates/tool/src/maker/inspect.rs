//! `refit inspect`: what a package says about itself.

use super::claims::{expires, signers};
use super::verify::join;
use super::zip::ZipFile;
use anyhow::Context;
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanBytes, ProgressBar};
use package::{Class, Component, Delta, Hook, Manifest, Package};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use types::{Digest, Document, Effect};

/// Shows what a package says about itself
///
/// Reads the documents and the directory, not the payloads, and judges nothing:
/// whether it is true says `refit verify`.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit inspect update.zip
  refit inspect update.zip --json | jq .release.manifest")]
pub(crate) struct Args {
    /// The package
    package: PathBuf,
    /// For scripts
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let file = args.package.display();
    let source = ZipFile::open(&args.package, ProgressBar::hidden())?;
    let package = Package::open(&source).with_context(|| format!("{file} is no package"))?;
    let manifest = Manifest::decode(package.manifest())
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("cannot read the manifest of {file}"))?;
    package.check_layout(&manifest).with_context(|| format!("{file} is no whole package"))?;
    if args.json {
        println!("{:#}", as_json(&package, &manifest));
    } else {
        print!("{}", as_text(&package, &manifest));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(package: &Package, manifest: &Manifest) -> Value {
    let entry = |e: &package::Entry| json!({"name": e.name, "at": e.at, "size": e.size});
    let entries: Vec<_> = package.archive().entries().iter().map(entry).collect();
    let targets = package.targets();
    json!({
        "release": manifest.release(package.manifest()),
        "manifest": manifest,
        "signed_by": targets.map(signers),
        "expires": targets.and_then(expires),
        "deltas": package.deltas().deltas,
        "entries": entries,
    })
}

fn as_text(package: &Package, manifest: &Manifest) -> String {
    let mut text = format!("{} {}\n", manifest.product, manifest.version);
    for (label, value) in facts(package, manifest) {
        text += &format!("  {label:<15}{value}\n");
    }
    text += &format!("{}\n", components(manifest));
    for (language, note) in &manifest.notes {
        text += &format!("\n[{language}] {}\n", note.trim_end());
    }
    text
}

/// What there is to say in one line each.
fn facts(package: &Package, manifest: &Manifest) -> Vec<(&'static str, String)> {
    let class = match manifest.class {
        Class::Security => "security",
        Class::Feature => "feature",
    };
    let mut facts = vec![
        ("release", Digest::of(package.manifest()).to_string()),
        ("rollback index", manifest.rollback_index.to_string()),
        ("class", class.to_owned()),
        ("hardware", join(&manifest.hardware)),
    ];
    if !manifest.variants.is_empty() {
        facts.push(("variants", join(&manifest.variants)));
    }
    if !manifest.regions.is_empty() {
        facts.push(("regions", join(&manifest.regions)));
    }
    if let Some(until) = manifest.support_until {
        facts.push(("support until", until.to_string()));
    }
    for (label, link) in [("SBOM", &manifest.sbom), ("release notes", &manifest.release_notes)] {
        facts.extend(link.as_ref().map(|link| (label, link.url.clone())));
    }
    facts.extend(manifest.configuration.map(|form| ("configuration", format!("form {form}"))));
    facts.extend(manifest.hooks.iter().map(|hook| ("hook", hooked(hook))));
    facts.extend(signatures(package));
    facts.extend(package.deltas().deltas.iter().map(|delta| ("delta", described(delta))));
    facts
}

fn hooked(hook: &Hook) -> String {
    let step = hook.step.map(|step| format!(" from {} to {}", step.from, step.to));
    let brought = if hook.program.is_some() { " (in the package)" } else { "" };
    let (phase, step, command) =
        (hook.phase.as_str(), step.unwrap_or_default(), hook.command.join(" "));
    format!("{phase}{step}: {command}{brought}")
}

fn described(delta: &Delta) -> String {
    let Delta { component, source, size, heap, .. } = delta;
    let (size, heap) = (HumanBytes(*size), HumanBytes(*heap));
    format!("{component} from image {source}: {size}, in {heap} of memory")
}

fn signatures(package: &Package) -> Vec<(&'static str, String)> {
    let Some(targets) = package.targets() else {
        return vec![("signatures", "none".to_owned())];
    };
    let signers = signers(targets).into_iter().map(|id| ("signed by", id));
    let expires = expires(targets).map(|expires| ("expires", expires));
    signers.chain(expires).collect()
}

fn components(manifest: &Manifest) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["component", "kind", "effect", "version", "image", "payload", "chunks"]);
    for component in &manifest.components {
        table.add_row(row(manifest, component));
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(manifest: &Manifest, component: &Component) -> [String; 7] {
    let effect = match component.effect {
        Effect::Slot => "slot",
        Effect::Live => "live",
        Effect::Direct => "direct",
    };
    let image = &component.image;
    let payload = component.payloads.first().map_or(0, |payload| payload.size);
    [
        component.name.to_string(),
        format!("{:?}", component.kind).to_lowercase(),
        effect.to_owned(),
        manifest.version_of(component).to_string(),
        HumanBytes(image.size).to_string(),
        HumanBytes(payload).to_string(),
        format!("{} × {}", image.chunk_count(), HumanBytes(image.chunk_size.into())),
    ]
}
