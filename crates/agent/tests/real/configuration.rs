//! The real program and the terminal's own configuration: a copy for each slot.

use crate::bench::{Bench, Brought, Ended, image};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use types::Effect;

const IMAGE: usize = 3 * (64 << 10) + 777;

#[track_caller]
fn check(ended: &Ended, code: i32, part: &str) {
    let all = format!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(code), "{all}");
    assert!(all.contains(part), "{all}");
}

/// A terminal with a configuration of form 1 in slot A.
fn bench(more: &str) -> Bench {
    let bench = Bench::new();
    let dir = bench.path("config");
    bench.configure(&format!(
        "[configuration]\nfolder = \"{}\"\nkeep = [\"net\", \"*.conf\", \"link\"]\n{more}",
        dir.display()
    ));
    std::fs::create_dir_all(dir.join("A/net/deep")).unwrap();
    for (path, text) in [("net/deep/a", "1"), ("net/b", "2"), ("x.conf", "old"), ("cache", "3")] {
        std::fs::write(dir.join("A").join(path), text).unwrap();
    }
    std::os::unix::fs::symlink("net/deep/a", dir.join("A/link")).unwrap();
    bench
}

/// All files of a copy but the form's, with what is in them.
fn files(bench: &Bench, slot: &str) -> BTreeMap<String, String> {
    let root = bench.path("config").join(slot);
    let (mut open, mut found) = (vec![root.clone()], BTreeMap::new());
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_string();
            if name != ".refit-form" {
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn package(bench: &Bench, brought: &Brought) -> PathBuf {
    bench.package_with("2.0", Effect::Slot, &image(IMAGE, 1), brought)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect()
}

const STEPS: [&str; 2] = [
    "test $REFIT_FROM-$REFIT_TO = 1-2 || exit 1; echo new > x.conf; rm net/b",
    "test -w x.conf || exit 1; mkdir more; echo $REFIT_PHASE > more/c",
];

fn migrating() -> Brought {
    let brought = Brought::default().migration(1, 2, STEPS[0]).migration(2, 3, STEPS[1]);
    Brought { configuration: Some(3), ..brought }
}

#[test]
fn it_is_migrated_on_a_copy_that_flips_with_the_slot() {
    let bench = bench("");
    let (before, zip) = (files(&bench, "A"), package(&bench, &migrating()));
    let rehearsed = bench.agent(&["config", "migrate", "--dry-run", text(&zip)]);
    check(&rehearsed, 0, "- cache\n+ more\n+ more/c\n- net/b\n~ x.conf\n");
    assert!(files(&bench, "B").is_empty() && files(&bench, ".rehearsal").is_empty());
    check(&bench.agent(&["install", text(&zip)]), 100, "");
    assert_eq!(files(&bench, "A"), before, "what runs is not touched");
    let after = [("net/deep/a", "1"), ("link", "1"), ("x.conf", "new\n"), ("more/c", "migrate\n")];
    assert_eq!(files(&bench, "B"), map(&after));
    assert!(std::fs::symlink_metadata(bench.path("config/B/link")).unwrap().is_symlink());
    if rustix::process::geteuid().is_root() {
        use std::os::unix::fs::MetadataExt;
        let owner =
            |path: &str| std::fs::metadata(bench.path("config/B").join(path)).unwrap().uid();
        assert_eq!(["x.conf", "more/c", "net", ""].map(owner), [0; 4]);
    }
    bench.boot("B", 2);
    check(&bench.agent(&["run", "--once"]), 0, "");
    check(&bench.agent(&["config", "status"]), 0, "A: form 1 in");
    check(&bench.agent(&["config", "status"]), 0, "B: form 3 in");
}

#[test]
fn a_release_that_is_left_takes_its_copy_with_it() {
    let bench = bench("[health]\nby_hand_within = 600\n");
    let (before, zip) = (files(&bench, "A"), package(&bench, &migrating()));
    check(&bench.agent(&["install", text(&zip)]), 100, "");
    bench.boot("B", 2);
    check(&bench.agent(&["rollback"]), 0, "");
    check(&bench.agent(&["run", "--once"]), 100, "");
    bench.boot("A", 3);
    check(&bench.agent(&["run", "--once"]), 0, "");
    assert_eq!(files(&bench, "A"), before);
    assert!(!bench.path("config/B").exists());
}

#[test]
fn a_step_that_fails_ends_the_update_before_the_bootloader_is_told() {
    let bench = bench("");
    let brought = Brought::default().migration(1, 2, "rm -rf net; echo cannot; exit 1");
    let zip = package(&bench, &Brought { configuration: Some(2), ..brought });
    let before = files(&bench, "A");
    check(&bench.agent(&["config", "migrate", "--dry-run", text(&zip)]), 11, "(215)");
    check(&bench.agent(&["install", text(&zip)]), 11, "(215)");
    assert_eq!(files(&bench, "A"), before);
    assert!(!bench.path("config/B").exists() && !bench.path("config/.new").exists());
    let boot = agent::platform::boot::file::BootFile::new(&bench.path("boot"));
    assert_eq!(boot.slot(types::Slot::B).unwrap(), agent::edges::SlotFacts::Unbootable);
}

#[test]
fn the_release_that_runs_knows_the_way_back() {
    let older = Brought { configuration: Some(1), ..Brought::default() };
    let bench_without = bench("form = 2\n");
    let zip = package(&bench_without, &older);
    check(&bench_without.agent(&["install", text(&zip)]), 10, "(118)");
    assert!(!bench_without.path("slot-b").exists());
    let bench = bench(
        "form = 2\n[[configuration.migrations]]\nfrom = 2\nto = 1\n\
         command = [\"/bin/sh\", \"-c\", \"echo older > x.conf\"]\n",
    );
    let zip = package(&bench, &older);
    check(&bench.agent(&["install", text(&zip)]), 100, "");
    assert_eq!(files(&bench, "B")["x.conf"], "older\n");
}

#[test]
fn without_a_form_it_is_copied_as_it_is() {
    let bench = bench("");
    let zip = package(&bench, &Brought::default());
    check(&bench.agent(&["install", text(&zip)]), 100, "");
    let mut kept = files(&bench, "A");
    kept.remove("cache");
    assert_eq!(files(&bench, "B"), kept);
}

#[test]
fn areas_of_the_factory_are_no_components() {
    let bench = Bench::new();
    let slot = bench.path("slot-b");
    std::fs::write(&slot, "x").unwrap();
    std::os::unix::fs::symlink(&slot, bench.path("factory")).unwrap();
    let protected = |path: &Path| {
        let path = path.display();
        bench
            .configure(&format!("[partitions.calibration]\npath = \"{path}\"\nprotected = true\n"));
        bench.agent(&["config", "check"])
    };
    check(&protected(&slot), 1, "`calibration`, which is protected");
    check(&protected(&bench.path("factory")), 1, "`components.rootfs`");
    check(&protected(&bench.path("calibration")), 0, "can be used");
}

#[test]
fn a_reset_is_marked_first_and_performed_at_the_next_start() {
    let bench = Bench::new();
    let dir = bench.path("");
    let dir = dir.to_str().unwrap().trim_end_matches('/');
    let table = format!(
        "[configuration]\nfolder = \"{dir}/config\"\nfactory = \"{dir}/factory\"\n\
         [factory_reset]\nempty = [\"{dir}/cache\"]\n"
    );
    bench.configure(&table);
    for (path, text) in [
        ("config/A/wifi", "mine"),
        ("config/B/wifi", "older"),
        ("factory/wifi", "default"),
        ("cache/a/b", "1"),
    ] {
        let path = bench.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    check(&bench.agent(&["automatic", "check", "off"]), 0, "");
    check(&bench.agent(&["factory-reset"]), 2, "--yes");
    check(&bench.agent(&["factory-reset", "--yes"]), 0, "starts the next time");
    assert_eq!(files(&bench, "A")["wifi"], "mine", "nothing is reset yet");
    let floors = bench.path("state/floors");
    std::fs::write(&floors, "kept").unwrap();
    check(&bench.agent(&["run", "--once"]), 100, "as from the factory");
    assert_eq!(
        [files(&bench, "A"), files(&bench, "B")],
        [map(&[("wifi", "default")]), map(&[("wifi", "default")])]
    );
    assert_eq!(std::fs::read_dir(bench.path("cache")).unwrap().count(), 0);
    assert_eq!(std::fs::read(&floors).unwrap(), b"kept");
    assert_eq!(bench.status()["switches"]["automatic_check"], true);
    check(&bench.agent(&["run", "--once"]), 0, "");
    bench.configure(&format!("{table}[partitions.x]\npath = \"{dir}/x\"\n"));
    bench.configure(&table.replace("/cache", ""));
    check(&bench.agent(&["config", "check"]), 1, "the agent's own records");
}

/// Cut off anywhere, it begins again: whatever a first try left, the second gives the
/// same.
#[test]
fn a_reset_that_was_cut_off_is_performed_again() {
    use agent::edges::Store;
    use agent::platform::{reset, store::Directory};
    struct Cut(Directory, std::cell::Cell<u32>);
    impl Store for Cut {
        fn read(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
            self.0.read(name)
        }
        fn replace(&mut self, name: &str, exact: &[u8]) -> std::io::Result<()> {
            self.0.replace(name, exact)
        }
        fn remove(&mut self, name: &str) -> std::io::Result<()> {
            let left = self.1.get();
            self.1.set(left.saturating_sub(1));
            if left == 0 {
                Err(std::io::ErrorKind::Interrupted.into())
            } else {
                self.0.remove(name)
            }
        }
    }
    for cut in 0..8 {
        let bench = bench("");
        let folder = bench.path("cache");
        std::fs::create_dir_all(folder.join("deep/er")).unwrap();
        let configuration = agent::platform::configuration::Folders {
            folder: Some(bench.path("config")),
            keep: Vec::new(),
            form: 1,
            own: Vec::new(),
            runner: agent::platform::hooks::Runner::new("/bin/false".into(), Default::default()),
        };
        let reset = reset::Reset { configuration, factory: None, empty: vec![folder.clone()] };
        let documents = Directory::open(&bench.path("documents")).unwrap();
        let mut store = Cut(documents, std::cell::Cell::new(cut));
        store.replace("switches", b"{}").unwrap();
        store.replace("credential", b"secret").unwrap();
        reset::mark(&mut store).unwrap();
        let done = reset.perform(&mut store);
        assert_eq!(done.is_ok(), !reset::is_marked(&store).unwrap(), "the mark goes last");
        store.1.set(100);
        reset.perform(&mut store).unwrap();
        assert!(!reset::is_marked(&store).unwrap());
        assert_eq!(store.read("switches").unwrap(), None);
        assert_eq!(store.read("credential").unwrap().unwrap(), b"secret");
        assert!(files(&bench, "A").is_empty() && bench.path("config/A").is_dir());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}

#[test]
fn a_partition_is_backed_up_and_restored() {
    let bench = Bench::new();
    let part = bench.path("calibration");
    std::fs::write(&part, [7; 9000]).unwrap();
    let (at, slot) = (part.display(), bench.path("slot-a"));
    let slot = slot.display();
    bench.configure(&format!("[partitions.factory]\npath = \"{at}\"\nprotected = true\n[partitions.running]\npath = \"{slot}\"\n"));
    let file = bench.path("factory.backup");
    let file = text(&file);
    check(&bench.agent(&["backup", "factory", file]), 0, "factory: 9000 bytes");
    check(&bench.agent(&["backup", "nothing", file]), 1, "there are: factory, running");
    std::fs::write(&part, [0; 9000]).unwrap();
    check(&bench.agent(&["restore", "factory", file]), 2, "--yes");
    check(&bench.agent(&["restore", "factory", file, "--yes"]), 0, "read back");
    assert_eq!(std::fs::read(&part).unwrap(), [7; 9000]);
    check(&bench.agent(&["restore", "running", file, "--yes"]), 1, "written by updates");
}
