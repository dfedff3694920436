//! The real program and the programs of packages: when they run, what they may do, and
//! what comes of those that do not pass.

use crate::bench::{Bench, Brought, Ended, image};
use package::Phase;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use types::Effect;

const IMAGE: usize = 3 * (64 << 10) + 777;

#[track_caller]
fn check(ended: &Ended, code: i32, part: &str) {
    let all = format!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(code), "{all}");
    assert!(all.contains(part), "{all}");
}

/// Installs a package with these hooks; the bench and what `install` came to.
fn install(brought: &Brought) -> (Bench, Ended) {
    let bench = Bench::new();
    let package = bench.package_with("2.0", Effect::Slot, &image(IMAGE, 1), brought);
    let ended = bench.agent(&["install", package.to_str().unwrap()]);
    (bench, ended)
}

/// What each hook of the last attempt was and said.
fn log(bench: &Bench) -> Vec<(String, String)> {
    let status = bench.status();
    let entries = status["log"]["entries"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().trim().to_string();
    let hooks = entries.filter(|entry| entry["name"] != "");
    hooks.map(|entry| (text(&entry["phase"]), text(&entry["said"]))).collect()
}

fn armed(bench: &Bench) -> bool {
    let boot = agent::platform::boot::file::BootFile::new(&bench.path("boot"));
    !matches!(boot.slot(types::Slot::B).unwrap(), agent::edges::SlotFacts::Unbootable)
}

#[test]
fn hooks_run_phase_by_phase() {
    let say = "echo $REFIT_PHASE $REFIT_SLOT $REFIT_TARGET $REFIT_VERSION $1";
    let brought = Brought::default()
        .script(Phase::BeforeInstall, say)
        .script(Phase::BeforeActivate, say)
        .script(Phase::AfterBoot, say)
        .hook(Phase::Health, &["/bin/echo", "healthy"], 5)
        .script(Phase::AfterCommit, &format!("{say}; exit 3"))
        .script(Phase::AfterRollback, say);
    let (bench, ended) = install(&brought);
    check(&ended, 100, "");
    bench.boot("B", 2);
    check(&bench.agent(&["run", "--once"]), 0, "");
    let expected = [
        ("before-install", "before-install A B 2.0 argument"),
        ("before-activate", "before-activate A B 2.0 argument"),
        ("after-boot", "after-boot B B 2.0 argument"),
        ("health", "healthy"),
        ("after-commit", "after-commit B B 2.0 argument"),
    ];
    assert_eq!(log(&bench), expected.map(|(phase, said)| (phase.into(), said.into())));
    let status = bench.status();
    assert_eq!(status["last"]["outcome"], 0, "what is committed stays");
    assert!(status["last"]["detail"].as_str().unwrap().contains("ended with exit status: 3"));
    check(&bench.agent(&["status", "--why"]), 0, "health: hook `/bin/echo`: passed");
    told_in_order(&bench);
}

/// What the agent did stands between what hooks said, across the restart.
fn told_in_order(bench: &Bench) {
    let told = bench.agent(&["status", "--why"]).out;
    let mut rest = told.as_str();
    for line in [
        "ordered by ",
        "2.0 is accepted for slot B",
        "before-install: hook `hooks/0`: passed",
        "everything is written",
        "the medium holds what was signed",
        "the bootloader is told; restarts",
        "started in slot B",
        "health: hook `/bin/echo`: passed",
        "confirming: the release is healthy",
        "ended with exit status: 3",
        "the release stays: the release was booted and confirmed",
    ] {
        let found = rest.split_once(line);
        rest = found.unwrap_or_else(|| panic!("no `{line}` in its place in {told}")).1;
    }
}

#[test]
fn a_hook_decides_before_anything_is_written() {
    let script = "echo the flash is worn; exit 1";
    let (bench, ended) = install(&Brought::default().script(Phase::BeforeInstall, script));
    check(&ended, 10, "(116)");
    check(&ended, 10, "the flash is worn");
    assert!(!bench.path("slot-b").exists());
}

#[test]
fn a_hook_decides_before_the_bootloader_is_told() {
    let brought = Brought::default()
        .hook(Phase::BeforeActivate, &["/bin/false"], 5)
        .script(Phase::AfterRollback, "echo back again");
    let (bench, ended) = install(&brought);
    check(&ended, 11, "(214)");
    assert!(!armed(&bench));
    assert_eq!(log(&bench)[1], ("after-rollback".into(), "back again".into()));
    check(&bench.agent(&["run", "--once"]), 0, "");
    assert_eq!(bench.status()["slot"], "A");
}

#[test]
fn a_release_whose_hook_fails_on_trial_is_left() {
    for phase in [Phase::AfterBoot, Phase::Health] {
        let (bench, ended) = install(&Brought::default().script(phase, "echo no tone; exit 7"));
        check(&ended, 100, "");
        bench.boot("B", 2);
        check(&bench.agent(&["run", "--once"]), 100, "");
        bench.boot("A", 3);
        check(&bench.agent(&["run", "--once"]), 0, "");
        let last = bench.status()["last"].clone();
        assert_eq!(last["outcome"], 210);
        assert!(last["detail"].as_str().unwrap().ends_with("no tone"), "{last}");
    }
}

#[test]
fn a_hook_that_hangs_is_ended_with_all_that_it_started() {
    // The limit of a script is the bench's; a program of the terminal has its own.
    let bench = Bench::new();
    let mark = bench.path("moment");
    std::fs::create_dir(&mark).unwrap();
    std::fs::set_permissions(&mark, PermissionsExt::from_mode(0o777)).unwrap();
    open(bench.path("").as_path());
    bench.configure(&format!("[hooks]\nwrite = [\"{}\"]\n", mark.display()));
    let script = format!("setsid sleep 600; sleep 600 & echo $! > {}/pid; wait", mark.display());
    let brought = Brought::default().hook(Phase::BeforeInstall, &["/bin/sh", "-c", &script], 1);
    let package = bench.package_with("2.0", Effect::Slot, &image(IMAGE, 1), &brought);
    let ended = bench.agent(&["install", package.to_str().unwrap()]);
    check(&ended, 10, "took longer than 1 s");
    let pid = std::fs::read_to_string(mark.join("pid")).unwrap();
    let pid: u32 = pid.trim().parse().expect("the script came to its last line");
    let stat = format!("/proc/{pid}/stat");
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while lives() {}
}

/// Everyone may enter `folder`.
fn open(folder: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).unwrap();
}

#[test]
fn a_hook_gets_nowhere() {
    let bench = Bench::new();
    open(bench.path("").as_path());
    let secret = bench.path("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o666)).unwrap();
    let at = secret.display();
    let refused =
        |what: &str| format!("if ({what}) 2>/dev/null; then echo it can: {what}; exit 1; fi");
    let tries = [
        format!("cat {at}"),
        format!("echo x >> {at}"),
        format!("rm {at}"),
        format!("ls {}", bench.path("").display()),
        format!("touch {}/new", bench.path("").display()),
        "touch /etc/new".into(),
        "setsid true".into(),
        "mount -t tmpfs none /mnt".into(),
        "chroot / true".into(),
        "unshare true".into(),
        "kill -0 $PPID".into(),
        "perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or exit 1'".into(),
        "test \"$LD_PRELOAD$REFIT_AGENT_CONFIG\"".into(),
        "test -e /proc/self/fd/4".into(),
    ];
    let mut script = tries.iter().map(|tried| refused(tried)).collect::<Vec<_>>().join("\n");
    script.push_str("\ntouch mine && echo x > /dev/null && cat /etc/passwd > mine || exit 2\n");
    script.push_str("test \"$(id -u)\" != 0 || exit 3\necho contained");
    let brought = Brought::default().script(Phase::BeforeInstall, &script);
    let package = bench.package_with("2.0", Effect::Slot, &image(IMAGE, 1), &brought);
    let ended = bench.agent(&["install", package.to_str().unwrap()]);
    check(&ended, 100, "");
    assert_eq!(log(&bench)[0].1, "contained");
    assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    assert!(!bench.path("state/hook").exists(), "its folder is gone");
}

#[test]
fn a_program_that_is_not_the_signed_one_never_runs() {
    let script = "echo ran";
    let (bench, ended) =
        install(&Brought::default().script(Phase::BeforeInstall, script).damaged());
    check(&ended, 10, "(107)");
    assert_eq!(log(&bench), []);
    assert!(!bench.path("slot-b").exists());
}
