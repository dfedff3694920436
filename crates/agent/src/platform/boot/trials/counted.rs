//! Conventions that count tries.

use super::{Firmware, Simulated, edge, trials};
use crate::platform::boot::environment::{Copies, Environment, Variables};
use crate::platform::boot::{
    Convention, Counting, Names, Place, android::Android, bootcount::BootCount, chromeos::ChromeOs,
    grub::Grub, rauc::Rauc, systemd::Systemd,
};
use std::path::Path;
use types::{Slot, Tries};

const SIZE: usize = 0x2000;

/// One, two flagged, or two state files.
fn environment(folder: &Path, kind: u8) -> Environment {
    let place = |n: u64| Place { path: folder.join("env"), offset: n * SIZE as u64 };
    let state = |n: u64| Place { path: folder.join(format!("state{n}")), offset: 0 };
    let copies = match kind {
        1 => Copies::Single(place(0)),
        2 => Copies::Flagged([place(0), place(1)]),
        _ => Copies::States([state(0), state(1)]),
    };
    Environment { size: SIZE, copies, range: 0 }
}

/// The factory's environment: both copies hold `pairs`.
fn write_environment(folder: &Path, environment: &Environment, pairs: &[(&str, &str)]) {
    for file in ["env", "state0", "state1"] {
        std::fs::write(folder.join(file), vec![0xff; 2 * SIZE]).unwrap();
    }
    let text: Vec<u8> = pairs.iter().flat_map(|(n, v)| format!("{n}={v}\0").into_bytes()).collect();
    for (index, file) in ["env", "env", "state0"].into_iter().enumerate() {
        let head = 4 + usize::from(matches!(environment.copies, Copies::Flagged(_)));
        let mut data = text.clone();
        data.resize(SIZE - head, 0);
        let crc = crc32fast::hash(&data).to_le_bytes();
        let copy = [&crc[..], &vec![0; head - 4], &data].concat();
        let offset = if index == 1 { SIZE as u64 } else { 0 };
        Place { path: folder.join(file), offset }.write(&copy).unwrap();
    }
}

fn get(variables: &Variables, name: &str) -> String {
    variables.get(name).unwrap_or_default().to_owned()
}

/// U-Boot with a script like RAUC's.
struct RaucBoard<const KIND: u8, const ALWAYS: bool>;

fn counting(always: bool) -> Counting {
    if always { Counting::Always } else { Counting::Trial }
}

impl<const KIND: u8, const ALWAYS: bool> Firmware for RaucBoard<KIND, ALWAYS> {
    type Convention = Rauc;

    fn factory(folder: &Path) -> Rauc {
        let environment = environment(folder, KIND);
        let factory = [
            ("BOOT_ORDER", "system0 rescue"),
            ("BOOT_system0_LEFT", "3"),
            ("BOOT_system1_LEFT", "0"),
            ("bootargs", "quiet"),
        ];
        write_environment(folder, &environment, &factory);
        let names = Names { a: "system0".into(), b: "system1".into() };
        let counting = counting(ALWAYS);
        Rauc { environment, names, tries: 3, counting }
    }

    fn start(convention: &Rauc) -> Slot {
        let environment = &convention.environment;
        let mut variables = environment.load().unwrap().unwrap();
        assert_eq!(get(&variables, "bootargs"), "quiet", "what is not ours stays");
        for name in get(&variables, "BOOT_ORDER").split(' ') {
            let Some(slot) = convention.names.slot(name) else { continue };
            let left = format!("BOOT_{name}_LEFT");
            let number = u32::from_str_radix(&get(&variables, &left), 16).unwrap();
            if !ALWAYS && get(&variables, &format!("BOOT_{name}_GOOD")) == "1" {
                return slot;
            }
            if number > 0 {
                variables.set(&left, &format!("{:x}", number - 1));
                environment.save(&variables).unwrap();
                return slot;
            }
        }
        // All tries are used up: both slots get them back.
        for slot in Slot::BOTH {
            let name = convention.names.of(slot);
            variables.set(&format!("BOOT_{name}_LEFT"), "3");
        }
        environment.save(&variables).unwrap();
        Self::start(convention)
    }
}

type RaucSingleCopy = Simulated<RaucBoard<1, false>>;
type RaucRedundant = Simulated<RaucBoard<2, false>>;
type RaucStates = Simulated<RaucBoard<3, false>>;
type RaucCountsAll = Simulated<RaucBoard<2, true>>;
trials!(simulated_uboot_rauc, RaucSingleCopy);
trials!(simulated_uboot_rauc_redundant, RaucRedundant);
trials!(simulated_uboot_rauc_state_files, RaucStates);
trials!(simulated_uboot_rauc_counting_all, RaucCountsAll, what_rots_is_left);

/// U-Boot's counter.
struct CountBoard<const MENDER: bool, const ALWAYS: bool>;

impl<const MENDER: bool, const ALWAYS: bool> Firmware for CountBoard<MENDER, ALWAYS> {
    type Convention = BootCount;

    fn factory(folder: &Path) -> BootCount {
        let environment = environment(folder, 2);
        let factory = [("mender_boot_part", "2"), ("boot_slot", "2"), ("bootcount", "0")];
        write_environment(folder, &environment, &factory);
        let values = Names { a: "2".into(), b: "11".into() };
        let tries = Tries::Counted(3);
        if MENDER {
            BootCount::mender(environment, values, tries)
        } else {
            let (variable, counting) = ("boot_slot".into(), counting(ALWAYS));
            BootCount { environment, variable, hexadecimal: None, values, tries, counting }
        }
    }

    fn start(convention: &BootCount) -> Slot {
        let environment = &convention.environment;
        let mut variables = environment.load().unwrap().unwrap();
        let name = convention.variable.as_str();
        let number = |variables: &Variables, name| get(variables, name).parse().unwrap_or(0_u32);
        if number(&variables, "upgrade_available") == 1 {
            let count = number(&variables, "bootcount") + 1;
            variables.set("bootcount", &count.to_string());
            if count > number(&variables, "bootlimit") {
                let other = if get(&variables, name) == "2" { "11" } else { "2" };
                variables.set(name, other);
                variables.set("bootcount", if ALWAYS { "1" } else { "0" });
                variables.set("upgrade_available", if ALWAYS { "1" } else { "0" });
                variables.set("refit_trial", "0");
            }
            environment.save(&variables).unwrap();
        }
        if MENDER && variables.get("mender_boot_part_hex").is_some() {
            let hex = u32::from_str_radix(&get(&variables, "mender_boot_part_hex"), 16);
            assert!([2, 11].contains(&hex.unwrap()));
        }
        convention.values.slot(&get(&variables, name)).unwrap()
    }
}

type Mender = Simulated<CountBoard<true, false>>;
type Native = Simulated<CountBoard<false, false>>;
type NativeCountsAll = Simulated<CountBoard<false, true>>;
trials!(simulated_mender_uboot, Mender);
trials!(simulated_uboot_bootcount, Native);
trials!(simulated_uboot_bootcount_counting_all, NativeCountsAll, what_rots_is_left);

/// GRUB with our script.
struct GrubBoard<const ALWAYS: bool>;

impl<const ALWAYS: bool> Firmware for GrubBoard<ALWAYS> {
    type Convention = Grub;

    fn factory(folder: &Path) -> Grub {
        let path = folder.join("grubenv");
        let mut text = "# GRUB Environment Block\nsaved_entry=x\n".to_owned();
        text.push_str("ORDER=A\nA_OK=1\nA_LEFT=3\nB_OK=0\nB_LEFT=0\nA_GOOD=1\n");
        std::fs::write(&path, format!("{text:#<1024}")).unwrap();
        let block = Place { path, offset: 0 };
        let (names, tries, counting) = (Names::default(), Tries::Counted(3), counting(ALWAYS));
        Grub { block, names, tries, counting }
    }

    fn start(convention: &Grub) -> Slot {
        let text = std::fs::read_to_string(&convention.block.path).unwrap();
        assert!(text.len() == 1024 && text.contains("\nsaved_entry=x\n"));
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            line.unwrap_or_default().to_owned()
        };
        for name in value("ORDER").split(' ') {
            let slot = name.parse().unwrap();
            let left: u8 = value(&format!("{name}_LEFT")).parse().unwrap();
            if value(&format!("{name}_OK")) != "1" {
                continue;
            }
            if !ALWAYS && value(&format!("{name}_GOOD")) == "1" {
                return slot;
            }
            if left > 0 {
                let (old, new) =
                    (format!("{name}_LEFT={left}"), format!("{name}_LEFT={}", left - 1));
                std::fs::write(&convention.block.path, text.replace(&old, &new)).unwrap();
                return slot;
            }
        }
        let again = text.replace("A_LEFT=0", "A_LEFT=3").replace("B_LEFT=0", "B_LEFT=3");
        std::fs::write(&convention.block.path, again).unwrap();
        Self::start(convention)
    }
}

type Counts = Simulated<GrubBoard<false>>;
type CountsAll = Simulated<GrubBoard<true>>;
trials!(simulated_grub, Counts);
trials!(simulated_grub_counting_all, CountsAll, what_rots_is_left);

/// systemd-boot.
struct SystemdBoard;

impl Firmware for SystemdBoard {
    type Convention = Systemd;

    fn factory(folder: &Path) -> Systemd {
        let entries = folder.join("entries");
        std::fs::create_dir(&entries).unwrap();
        for (file, version) in [("refit-a.conf", 1), ("refit-b.refit-off", 0)] {
            let text = format!("title x\nsort-key refit\nversion {version}\nlinux /x\n");
            std::fs::write(entries.join(file), text).unwrap();
        }
        std::fs::write(entries.join("other.conf"), "title other\n").unwrap();
        let names = Names { a: "refit-a".into(), b: "refit-b".into() };
        Systemd { entries, names, tries: 3 }
    }

    fn start(convention: &Systemd) -> Slot {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&convention.entries).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(id) = file.strip_suffix(".conf") else { continue };
            let (id, counters) = id.split_once('+').map_or((id, None), |(id, c)| (id, Some(c)));
            let counters = counters.map(|c| {
                let (left, done) = c.split_once('-').unwrap_or((c, "0"));
                (left.parse::<u8>().unwrap(), done.parse::<u8>().unwrap())
            });
            let text = std::fs::read_to_string(&path).unwrap();
            let version = text.lines().find_map(|line| line.strip_prefix("version "));
            let version: u64 = version.unwrap_or("0").parse().unwrap();
            let tired = counters.is_some_and(|(left, _)| left == 0);
            let sorted = text.contains("sort-key");
            entries.push((tired, !sorted, u64::MAX - version, id.to_owned(), counters, path));
        }
        entries.sort();
        let (.., id, counters, path) = entries.remove(0);
        if let Some((left, done)) = counters {
            let name = format!("{id}+{}-{}.conf", left.saturating_sub(1), done + 1);
            std::fs::rename(&path, path.with_file_name(name)).unwrap();
        }
        convention.names.slot(&id).unwrap()
    }
}

type SystemdBoot = Simulated<SystemdBoard>;
trials!(simulated_systemd_boot, SystemdBoot);

/// A bootloader with priorities: Android's and ChromeOS's do the same.
fn prioritised(convention: &dyn Convention) -> Slot {
    let memory = convention.load().unwrap().unwrap();
    let slot = memory.order().find(|slot| {
        let standing = memory.of(*slot);
        standing.good || standing.left > 0
    });
    let slot = slot.unwrap();
    let mut standing = memory.of(slot);
    if !standing.good {
        standing.left -= 1;
        convention.save(&memory.with(slot, standing)).unwrap();
    }
    slot
}

struct AndroidBoard;

impl Firmware for AndroidBoard {
    type Convention = Android;

    fn factory(folder: &Path) -> Android {
        let path = folder.join("misc");
        std::fs::write(&path, vec![0; 4096]).unwrap();
        let place = Place { path, offset: crate::platform::boot::android::OFFSET };
        let android = Android { place, tries: 7 };
        edge(&android, folder, Slot::A).mark_running_good().unwrap();
        android
    }

    fn start(convention: &Android) -> Slot {
        prioritised(convention)
    }
}

type AndroidLoader = Simulated<AndroidBoard>;
trials!(simulated_android, AndroidLoader);

struct ChromeOsBoard;

impl Firmware for ChromeOsBoard {
    type Convention = ChromeOs;

    fn factory(folder: &Path) -> ChromeOs {
        let disk = folder.join("disk");
        std::fs::write(&disk, crate::platform::boot::chromeos::two_partitions()).unwrap();
        let chromeos = ChromeOs { disk, sector: 512, a: 1, b: 2, tries: 6 };
        let mut edge = edge(&chromeos, folder, Slot::A);
        edge.set_unbootable(Slot::B).unwrap();
        edge.mark_running_good().unwrap();
        chromeos
    }

    fn start(convention: &ChromeOs) -> Slot {
        prioritised(convention)
    }
}

type ChromeOsFirmware = Simulated<ChromeOsBoard>;
trials!(simulated_chromeos, ChromeOsFirmware);
