//! How a package reaches the board: from an operator's server, on a memory card, or by
//! the terminal's own page.

use super::chain::Chain;
use super::disk;
use super::layout::{Layout, SLOT_MIB};
use super::loaders;
use super::machine::{Devices, Machine, Network, PAGE};
use crate::operator::Operator;
use crate::process::{Programs, free_port};
use crate::terminal::{HARDWARE, PRODUCT};
use anyhow::{Context, Result, ensure};
use protocols::operator::{AttemptState, AttemptView};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use types::Outcome;

/// The way of a package to the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// The operator's server offers it.
    Server,
    /// It is on a memory card, and a person says so.
    Card,
    /// A person gives it to the terminal's page.
    Page,
}

/// The host that the terminal's page is reached by.
const HOST: &str = "board.test";
/// The page's password.
const PASSWORD: &str = "amber-kite-42";

/// The operator's server, on the other side of the emulator's network.
pub(super) struct Operations {
    operator: Operator,
    url: String,
}

impl Given {
    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Card => "card",
            Self::Page => "page",
        }
    }

    /// What a board is given besides its disk.
    pub(super) fn devices(self, folder: &Path, package: &Path) -> Result<Devices> {
        let mut devices = Devices::default();
        if self == Self::Card {
            let card = folder.join("card.img");
            disk::card(&card, package)?;
            devices.card = Some(card);
        } else {
            devices.network = Some(Network { page: free_port()? });
        }
        Ok(devices)
    }
}

impl Operations {
    /// Starts a server that publishes what `root` vouches for.
    pub(super) fn start(programs: &Programs, folder: &Path, root: &Path) -> Result<Self> {
        let port = free_port()?;
        let url = format!("https://10.0.2.2:{port}");
        let listen = format!("127.0.0.1:{port}");
        let options = ["--listen", &listen, "--public-url", &url];
        let operator = Operator::start_with(programs, folder, root, &options)?;
        Ok(Self { operator, url })
    }

    /// Publishes `package` and offers it to `device`.
    pub(super) fn offer(&self, device: &str, version: &str, package: &Path) -> Result<()> {
        self.operator.publish(package)?;
        let filter = format!("device=={device}");
        self.operator.roll_out(device, version, &["--filter", &filter])?;
        Ok(())
    }

    /// What the server knows of the only update of `device` so far, which has to have
    /// ended as `outcome`, with `why` in its reason.
    pub(super) fn told(&self, device: &str, outcome: Outcome, why: &str) -> Result<AttemptView> {
        self.told_of(device, 1, outcome, why)
    }

    /// The same of one of `count` updates.
    pub(super) fn told_of(
        &self,
        device: &str,
        count: usize,
        outcome: Outcome,
        why: &str,
    ) -> Result<AttemptView> {
        let attempts = self.operator.device(device)?.attempts;
        ensure!(attempts.len() == count, "the server knows {} attempts", attempts.len());
        let so = |attempt: &AttemptView| attempt.outcome == Some(outcome);
        let place = attempts.iter().position(so).unwrap_or(0);
        let attempt = attempts.into_iter().nth(place).context("no attempt")?;
        let told = format!("{:?}, {:?}: {}", attempt.state, attempt.outcome, attempt.detail);
        let state =
            if outcome == Outcome::Ok { AttemptState::Confirmed } else { AttemptState::Failed };
        let as_it_was = attempt.outcome == Some(outcome) && attempt.state == state;
        ensure!(as_it_was, "the server was told {told}");
        ensure!(attempt.detail.as_str().contains(why), "the server was not told why: {told}");
        Ok(attempt)
    }

    /// What the factory writes for one terminal with a server.
    fn factory(&self, folder: &Path) -> Result<String> {
        fs::copy(self.operator.ca(), folder.join("ca.pem"))?;
        let token = self.operator.tokens(1)?.pop().context("the server gave no token")?;
        fs::write(folder.join("token"), token)?;
        Ok(format!(
            "[server]\nurl = {:?}\nca = \"/data/factory/ca.pem\"\n\
             token_file = \"/data/factory/token\"\npoll_seconds = 5\n",
            self.url
        ))
    }
}

/// Writes what differs between terminals into the new folder `place`, as the factory
/// does: who it is and how it is given its updates.
pub(super) fn factory(
    place: &Path,
    device: &str,
    version: &str,
    given: Given,
    board: (Chain, Layout),
    operations: &Operations,
) -> Result<()> {
    let folder = place.join("factory");
    fs::create_dir_all(&folder)?;
    let more = match given {
        Given::Server => operations.factory(&folder)?,
        Given::Card => String::new(),
        Given::Page => {
            fs::write(folder.join("password"), PASSWORD)?;
            format!(
                "[page]\nlisten = \"0.0.0.0:{PAGE}\"\nhosts = [{HOST:?}]\n\
                 password_file = \"/data/factory/password\"\nupload = \"/run/upload.zip\"\n"
            )
        }
    };
    fs::write(folder.join("agent.toml"), config(device, version, board) + &more)?;
    // The recovery needs no network for what was fetched before.
    let offline = if board.1 == Layout::Staged { "offline=B\n" } else { "" };
    fs::write(folder.join("given"), format!("given={}\n{offline}", given.word()))?;
    Ok(())
}

/// The agent's configuration on the board, for all ways.
fn config(device: &str, version: &str, (chain, layout): (Chain, Layout)) -> String {
    let size = SLOT_MIB << 20;
    let (word, b) = match layout {
        Layout::Banks | Layout::Loaders => {
            ("banks", format!("b = \"PARTLABEL={}\"\n", disk::SLOT_B))
        }
        Layout::Recovery | Layout::Staged => ("recovery", String::new()),
    };
    let staging = if layout == Layout::Staged {
        "[staging]\nuse = \"always\"\n[install]\ntrim = true\n"
    } else {
        ""
    };
    let copies = if layout == Layout::Loaders { loaders::component() } else { String::new() };
    format!(
        "device = {device:?}\nproduct = {PRODUCT:?}\nhardware = {HARDWARE:?}\n\
         state_dir = \"/data/refit\"\nruntime_dir = \"/run/refit\"\nroot = \"/etc/refit/root.json\"\n\
         layout = {word:?}\n{staging}{}\
         [components.rootfs]\neffect = \"slot\"\na = \"PARTLABEL={}\"\n{b}\
         size = {size}\n{copies}\
         [installed.rootfs]\nversion = {version:?}\nslot = \"A\"\nsha256 = \"{}\"\n\
         [[health.checks]]\ncommand = [\"/bin/check\"]\n\
         within_seconds = 5\n{}",
        chain.boot_control(),
        disk::SLOT_A,
        "0".repeat(64),
        chain.watchdog(),
    )
}

/// Gives `package` to the terminal's page, as a browser does.
pub(super) fn upload(machine: &mut Machine, network: Network, package: &Path) -> Result<()> {
    // The first agent ends by itself; the page of the second one takes nothing before that
    // one has said that it is idle, and opens in a time of its own.
    machine.wait_for(&["guest: status", "the local page is at"])?;
    machine.wait_for(&["guest: status", "refit-agent: idle"])?;
    let login = format!("password={PASSWORD}");
    let kind = "application/x-www-form-urlencoded";
    let answer = ask(network, "POST /login", "", kind, login.as_bytes())?;
    let cookie = between(&answer, "set-cookie: ", ";").context("the page lets nobody in")?;
    let cookie = format!("Cookie: {cookie}\r\n");
    let home = ask(network, "GET /", &cookie, kind, b"")?;
    let token = between(&home, "name=\"token\" value=\"", "\"").context("the page has no form")?;
    let mut body =
        b"--x\r\nContent-Disposition: form-data; name=\"package\"; filename=\"u\"\r\n\r\n".to_vec();
    body.extend(fs::read(package)?);
    body.extend(b"\r\n--x--\r\n");
    let upload = format!("POST /upload?token={token}");
    let answer = ask(network, &upload, &cookie, "multipart/form-data; boundary=x", &body)?;
    ensure!(answer.starts_with("HTTP/1.1 303"), "the page did not take it: {answer}");
    Ok(())
}

/// One request to the page, and its answer.
fn ask(network: Network, what: &str, more: &str, kind: &str, body: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", network.page))?;
    let len = body.len();
    let head = format!(
        "{what} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         {more}\r\n"
    );
    // A page that refuses does not listen to the end, and says why before it hangs up.
    let sent = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let heard = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        sent.and(heard.map(drop)).with_context(|| format!("the page does not answer {what}"))?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}
