//! A terminal whose clock says 1970.
//!
//! Its programs are the real ones; the system's call that tells the time is replaced
//! for them by a library that `/etc/ld.so.preload` names, in mounts of the test's own
//! (see `storage`).

use crate::storage::{mount, own_mounts};
use crate::world::{SIZE, World, check, check_still_updates, wait_for_version};
use lab::boot::BootLoop;
use lab::maker::Details;
use lab::operator::Operator;
use lab::process::{said, system};
use lab::terminal::{Server, Settings};
use std::fs;
use std::process::Command;
use types::Outcome;

/// Sets the clock of this thread's children back.
pub(crate) fn lose_the_time(world: &World) {
    let library = world.file("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad_input/clock_1970.c");
    let mut cc = system("cc", "gcc").unwrap();
    said(cc.args(["-shared", "-fPIC", "-O1", source, "-o"]).arg(&library)).unwrap();
    let etc = world.file("etc");
    said(Command::new("cp").args(["-a", "/etc"]).arg(&etc)).unwrap();
    fs::write(etc.join("ld.so.preload"), format!("{}\n", library.display())).unwrap();
    fs::set_permissions(library.parent().unwrap(), open_to_all()).unwrap();
    mount(&["--bind", etc.to_str().unwrap(), "/etc"]);
    // Nothing below is worth anything if this does not work.
    assert_eq!(said(Command::new("date").args(["-u", "+%Y"])).unwrap(), "1970\n");
}

/// The agent's worker is nobody, and loads the library, too.
fn open_to_all() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o755)
}

/// What expired before this agent was made, or before the time that the terminal is
/// certain of, stays expired.
#[test]
fn expired_stays_expired_in_1970() {
    own_mounts();
    let world = World::new();
    let package = |version: &str, expires| {
        let details = Details { expires: Some(expires), ..Details::default() };
        world.package_by(&world.maker, version, 2, SIZE, &details)
    };
    let before_the_agent = package("2.0.0", "2025-12-31");
    let after_the_agent = package("2.1.0", "2026-02-01");
    let terminal = world.terminal("terminal");
    lose_the_time(&world);
    check("before the agent was made", &terminal, &before_the_agent, Outcome::Expired);
    // 2026-03-01, as a server's certificate proved it.
    fs::write(terminal.state().join("time"), "2026-03-01T00:00:00Z").unwrap();
    check("before the time that is certain", &terminal, &after_the_agent, Outcome::Expired);
    check_still_updates(&terminal, &package("2.2.0", "2026-04-01"), "2.2.0");
}

/// The server's certificate is years from being valid in 1970; the terminal reaches it.
#[test]
fn a_server_is_reached_in_1970() {
    own_mounts();
    let world = World::new();
    let root = world.maker.root();
    let operator = Operator::start(&world.programs, &world.file("server"), &root).unwrap();
    let release = operator.publish(&world.package("2.0.0", 2)).unwrap();
    assert_eq!(release.release.version.as_str(), "2.0.0");
    let tokens = operator.tokens(1).unwrap();
    let ca = operator.ca();
    let server = Server { url: operator.address(), ca: &ca, token: &tokens[0] };
    let settings = Settings::default();
    let terminal = world.terminal_with("terminal", &root, Some(server), &settings, SIZE);
    operator.roll_out("all", "2.0.0", &[]).unwrap();
    lose_the_time(&world);
    let power = BootLoop::start(terminal);
    wait_for_version(power.terminal(), "2.0.0");
}
