//! Which deltas one terminal could use: those of the package, and those that servers
//! made. All lead from what its last heartbeat said it runs, and fit its memory.

use crate::catalogue::Published;
use crate::deltas::Shelf;
use crate::roster::Terminal;
use crate::server::Server;
use package::{Delta, Deltas};
use std::io;
use types::{Digest, Name};

/// The entry of a delta that a server made: its name is its digest.
const FOLDER: &str = "delta/";

/// What a terminal runs and can spend, as far as deltas ask for it.
pub(super) struct Wish {
    /// The components and their images.
    runs: Vec<(Name, Digest)>,
    /// Bytes of memory.
    heap: u64,
}

impl Wish {
    /// What `terminal` said last.
    pub(super) fn of(terminal: &Terminal) -> Self {
        let running = terminal.stored.running.iter();
        let runs = running.map(|(name, state)| (name.clone(), state.image)).collect();
        Self { runs, heap: u64::from(terminal.stored.facts.memory_class_mib) << 20 }
    }

    fn fits(&self, delta: &Delta) -> bool {
        let runs =
            |(name, image): &(Name, Digest)| *name == delta.component && *image == delta.source;
        delta.heap <= self.heap && self.runs.iter().any(runs)
    }
}

/// The deltas of `published` for a terminal.
pub(super) async fn deltas(app: &Server, published: &Published, wish: &Wish) -> io::Result<Deltas> {
    let given = match published.span(Deltas::ENTRY) {
        Some(_) => app.document(published, Deltas::ENTRY).await?,
        None => Deltas::default(),
    };
    let own = made(&app.shelf, published, wish);
    let deltas = given.deltas.into_iter().chain(own).filter(|delta| wish.fits(delta));
    Ok(Deltas { deltas: deltas.collect() })
}

/// The deltas that servers made, from each image that the terminal runs.
fn made(shelf: &Shelf, published: &Published, wish: &Wish) -> Vec<Delta> {
    let mut all = Vec::new();
    for (component, source) in &wish.runs {
        let Some(target) = published.images.get(component) else { continue };
        for (_, made) in shelf.between(*source, *target) {
            let entry = format!("{FOLDER}{}", made.blob);
            // The same bytes for two classes are one entry.
            if all.iter().all(|known: &Delta| known.entry != entry) {
                let (component, source) = (component.clone(), *source);
                let (size, heap) = (made.size, made.heap);
                all.push(Delta { component, source, entry, size, heap });
            }
        }
    }
    all
}

/// The digest of the delta that an entry's name means, if it means one of a server's.
pub(super) fn named(entry: &str) -> Option<Digest> {
    entry.strip_prefix(FOLDER)?.parse().ok()
}
