//! Conventions with one try only: the slot that is fallen back to arms it again.

use super::{Board, Firmware, Simulated, trials};
use crate::edges::BootControl;
use crate::platform::boot::bootcount::BootCount;
use crate::platform::boot::environment::{Copies, Environment, Variables};
use crate::platform::boot::{
    Control, Counting, Names, Place, custom::Custom, efi::Efi, grub::Grub, raspberry::Raspberry,
};
use std::path::{Path, PathBuf};
use types::{Slot, Tries};

/// UEFI firmware.
struct EfiBoard(Efi);

impl EfiBoard {
    fn variable(&self, name: &str) -> PathBuf {
        self.0.variables.join(format!("{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c"))
    }

    fn set(&self, name: &str, numbers: &[u16]) {
        let value = numbers.iter().flat_map(|number| number.to_le_bytes());
        let bytes: Vec<u8> = [7, 0, 0, 0].into_iter().chain(value).collect();
        std::fs::write(self.variable(name), bytes).unwrap();
    }
}

impl Board for EfiBoard {
    fn make(folder: &Path) -> Self {
        let board = Self(Efi { variables: folder.into(), a: 3, b: 0x000a });
        board.set("BootOrder", &[3, 1]);
        board.set("BootCurrent", &[3]);
        board
    }

    fn edge(&self, running: Slot) -> Box<dyn BootControl> {
        self.set("BootCurrent", &[if running == Slot::A { 3 } else { 0x000a }]);
        Box::new(Control::new(self.0.clone(), None))
    }

    fn start(&self) -> Slot {
        let next = std::fs::read(self.variable("BootNext")).ok();
        let order = std::fs::read(self.variable("BootOrder")).unwrap();
        assert!(order.ends_with(&[1, 0]), "what is not ours stays");
        let entry = next.as_ref().map_or(order[4], |next| next[4]);
        if next.is_some() {
            std::fs::remove_file(self.variable("BootNext")).unwrap();
        }
        self.set("BootCurrent", &[entry.into()]);
        if entry == 3 { Slot::A } else { Slot::B }
    }
}

trials!(simulated_efi_boot_next, EfiBoard);

/// A Raspberry Pi.
struct RaspberryBoard(Raspberry);

impl Board for RaspberryBoard {
    fn make(folder: &Path) -> Self {
        let (autoboot, parameter) = (folder.join("autoboot.txt"), folder.join("reboot-param"));
        std::fs::write(&autoboot, "[all]\nboot_partition=2\n").unwrap();
        let partition = folder.join("partition");
        Self(Raspberry { autoboot, parameter, partition, a: 2, b: 3 })
    }

    fn edge(&self, running: Slot) -> Box<dyn BootControl> {
        let number: u32 = if running == Slot::A { 2 } else { 3 };
        std::fs::write(&self.0.partition, number.to_be_bytes()).unwrap();
        Box::new(Control::new(self.0.clone(), None))
    }

    fn start(&self) -> Slot {
        let flag = std::fs::read_to_string(&self.0.parameter).unwrap_or_default();
        drop(std::fs::remove_file(&self.0.parameter));
        let text = std::fs::read_to_string(&self.0.autoboot).unwrap();
        assert!(text.len() <= 512);
        let wanted = if flag == "0 tryboot" { "[tryboot]" } else { "[all]" };
        let (_, section) = text.split_once(wanted).unwrap();
        let (_, value) = section.split_once("boot_partition=").unwrap();
        if value.starts_with('2') { Slot::A } else { Slot::B }
    }
}

trials!(simulated_raspberry_tryboot, RaspberryBoard);

/// GRUB with RAUC's script: one try, and each boot costs it.
struct GrubBoard;

impl Firmware for GrubBoard {
    type Convention = Grub;

    fn factory(folder: &Path) -> Grub {
        let path = folder.join("grubenv");
        let text = "# GRUB Environment Block\nORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=0\nB_TRY=0\n";
        std::fs::write(&path, format!("{text:#<1024}")).unwrap();
        let block = Place { path, offset: 0 };
        let (tries, counting) = (Tries::Single, Counting::Always);
        Grub { block, names: Names::default(), tries, counting }
    }

    fn start(convention: &Grub) -> Slot {
        let text = std::fs::read_to_string(&convention.block.path).unwrap();
        let order = text.lines().find_map(|line| line.strip_prefix("ORDER=")).unwrap();
        for name in order.split(' ') {
            let (ok, fresh) = (format!("{name}_OK=1\n"), format!("{name}_TRY=0\n"));
            if text.contains(&ok) && text.contains(&fresh) {
                let tried = text.replace(&fresh, &format!("{name}_TRY=1\n"));
                std::fs::write(&convention.block.path, tried).unwrap();
                return name.parse().unwrap();
            }
        }
        // The first menu entry.
        Slot::A
    }
}

type Rauc = Simulated<GrubBoard>;
trials!(simulated_grub_rauc, Rauc, what_rots_is_left);

/// Mender's default: `bootlimit=1`.
struct MenderBoard;

impl Firmware for MenderBoard {
    type Convention = BootCount;

    fn factory(folder: &Path) -> BootCount {
        let path = folder.join("env");
        std::fs::write(&path, [0; 256]).unwrap();
        let place = |offset| Place { path: path.clone(), offset };
        let mut data = b"mender_boot_part=2\0mender_boot_part_hex=2\0".to_vec();
        data.resize(128 - 5, 0);
        let copy = [&crc32fast::hash(&data).to_le_bytes()[..], &[0], &data].concat();
        place(0).write(&copy).unwrap();
        let copies = Copies::Flagged([place(0), place(128)]);
        let environment = Environment { size: 128, copies, range: 0 };
        let values = Names { a: "2".into(), b: "3".into() };
        BootCount::mender(environment, values, Tries::Single)
    }

    fn start(convention: &BootCount) -> Slot {
        let environment = &convention.environment;
        let mut variables = environment.load().unwrap().unwrap();
        let get = |v: &Variables, name| v.get(name).unwrap_or("0").parse::<u32>().unwrap();
        if get(&variables, "upgrade_available") == 1 {
            let count = get(&variables, "bootcount") + 1;
            variables.set("bootcount", &count.to_string());
            if count > get(&variables, "bootlimit") {
                let other = 5 - get(&variables, "mender_boot_part");
                variables.set("mender_boot_part", &other.to_string());
                variables.set("mender_boot_part_hex", &other.to_string());
                variables.set("upgrade_available", "0");
                variables.set("bootcount", "0");
            }
            environment.save(&variables).unwrap();
        }
        if get(&variables, "mender_boot_part_hex") == 2 { Slot::A } else { Slot::B }
    }
}

type Mender = Simulated<MenderBoard>;
trials!(simulated_mender_default, Mender);

/// A maker's program; the bootloader behind it tries once.
struct CustomBoard {
    folder: PathBuf,
    convention: Custom,
}

const PROGRAM: &str = r#"#!/bin/sh
set -eu
cd "$(dirname "$0")"
case "$1" in
get-current) cat current ;;
get-primary) cat primary ;;
set-primary) echo "$2" >primary; echo 1 >"left-$2" ;;
get-state) cat "state-$2" ;;
set-state) echo "$3" >"state-$2" ;;
*) exit 64 ;;
esac
"#;

impl Board for CustomBoard {
    fn make(folder: &Path) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let program = folder.join("boot-control");
        std::fs::write(&program, PROGRAM).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let factory = [("current", "one"), ("primary", "one"), ("state-one", "good")];
        for (file, text) in factory.into_iter().chain([("state-two", "bad"), ("left-two", "0")]) {
            std::fs::write(folder.join(file), format!("{text}\n")).unwrap();
        }
        let convention = Custom {
            // Through the shell, because another test's child may still hold the
            // program open for writing.
            command: vec!["/bin/sh".into(), program.display().to_string()],
            names: Names { a: "one".into(), b: "two".into() },
            tries: Tries::Single,
            counting: Counting::Trial,
            note: folder.join("trial"),
            within: 10_000,
        };
        Self { folder: folder.into(), convention }
    }

    fn edge(&self, running: Slot) -> Box<dyn BootControl> {
        let name = self.convention.names.of(running);
        std::fs::write(self.folder.join("current"), name).unwrap();
        Box::new(Control::new(self.convention.clone(), None))
    }

    fn start(&self) -> Slot {
        let read = |file: &str| {
            let text = std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
            text.trim().to_owned()
        };
        let primary = read("primary");
        // A trusted slot is started as often as wanted, another one once.
        let noted = self.folder.join("trial").exists();
        if primary == "two" && noted {
            if read("left-two") == "0" {
                std::fs::write(self.folder.join("primary"), "one").unwrap();
                return Slot::A;
            }
            std::fs::write(self.folder.join("left-two"), "0").unwrap();
        }
        self.convention.names.slot(&primary).unwrap()
    }
}

trials!(simulated_custom, CustomBoard);
