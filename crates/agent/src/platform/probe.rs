//! What a health check looks at: a program, a unit of systemd, a port, a page, a
//! counter. One look at a time, bounded; how often and until when is for `health`.
//!
//! Addresses are numbers: a probe that had to resolve a name would wait for as long as
//! the resolver likes. Deliberately absent: TLS. What is probed is this terminal itself,
//! or its nearest neighbour.

use super::clock::Stopwatch;
use super::program;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use types::Seconds;

/// The most bytes of a page that are read: its status is in the first line.
const PAGE_MAX: usize = 4 << 10;
/// The most bytes of a counter.
const COUNTER_MAX: u64 = 64;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A program has to end with status 0.
    Command(Vec<String>),
    /// A unit of systemd has to be active; `systemctl` is asked.
    Unit(String),
    /// A port has to accept a connection.
    Tcp(SocketAddr),
    /// A page has to answer with this status; with any from 200 to 299 where there is none.
    Http(Page, Option<u16>),
    /// The number in a file has to grow, or to stand still, for so long.
    Counter(PathBuf, Moves, Seconds),
}

/// How a counter has to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// It has to grow.
    Grows,
    /// It has to stay as it is.
    Stands,
}

/// A page over HTTP: `http://ADDRESS:PORT/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    address: SocketAddr,
    path: String,
}

impl FromStr for Page {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let wrong = "a page is named as `http://192.168.1.1:80/path`, with a number";
        let rest = url.strip_prefix("http://").ok_or(wrong)?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let printable = path.bytes().all(|c| c.is_ascii_graphic());
        let address = host.parse().map_err(|_| wrong)?;
        let path = if path.is_empty() { "/" } else { path }.to_string();
        printable.then_some(Self { address, path }).ok_or(wrong)
    }
}

impl Probe {
    /// What is wrong now, found out in `limit` milliseconds.
    pub(crate) fn fault(&self, limit: u64) -> Option<String> {
        match self {
            Self::Command(command) => run(command, limit),
            Self::Unit(unit) => {
                let words = ["systemctl", "is-active", "--quiet", "--", unit.as_str()];
                run(&words.map(String::from), limit).map(|why| format!("unit `{unit}`: {why}"))
            }
            Self::Tcp(address) => {
                let tried = connect(*address, limit);
                tried.err().map(|e| format!("nothing accepts at {address}: {e}"))
            }
            Self::Http(page, wanted) => page.fault(*wanted, limit),
            Self::Counter(file, moves, over) => watch(file, *moves, *over),
        }
    }

    /// Whether one look takes no longer than it is given.
    pub(crate) fn is_short(&self) -> bool {
        !matches!(self, Self::Counter(..))
    }
}

fn run(command: &[String], limit: u64) -> Option<String> {
    let name = command.first().map_or("", String::as_str);
    match program::run(command, &[], limit).map(|ended| ended.status) {
        Ok(Some(status)) if status.success() => None,
        Ok(Some(status)) => Some(format!("check `{name}` ended with {status}")),
        Ok(None) => Some(format!("check `{name}` took longer than {} s", limit.div_ceil(1000))),
        Err(e) => Some(format!("check `{name}` could not be run: {e}")),
    }
}

fn connect(address: SocketAddr, limit: u64) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, Duration::from_millis(limit.max(1)))
}

impl Page {
    fn fault(&self, wanted: Option<u16>, limit: u64) -> Option<String> {
        let Self { address, path } = self;
        let status = match self.status(limit) {
            Ok(Some(status)) => status,
            Ok(None) => return Some(format!("http://{address}{path} answers with no HTTP")),
            Err(e) => return Some(format!("http://{address}{path} does not answer: {e}")),
        };
        let good = wanted.map_or((200..300).contains(&status), |wanted| wanted == status);
        (!good).then(|| format!("http://{address}{path} answers with status {status}"))
    }

    /// The status of the page; `None` when what comes is none.
    fn status(&self, limit: u64) -> std::io::Result<Option<u16>> {
        let watch = Stopwatch::start();
        let left = || Duration::from_millis(limit.saturating_sub(watch.millis()).max(1));
        let mut stream = connect(self.address, limit)?;
        stream.set_write_timeout(Some(left()))?;
        let Self { address, path } = self;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let (mut got, mut piece) = (Vec::new(), [0; 512]);
        while !got.contains(&b'\n') && got.len() < PAGE_MAX {
            if watch.millis() >= limit {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left()))?;
            match stream.read(&mut piece)? {
                0 => break,
                len => got.extend(piece.get(..len).unwrap_or_default()),
            }
        }
        Ok(status_of(&got))
    }
}

/// The status of `HTTP/1.1 200 OK` (RFC 9112 4).
fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.trim().parse().ok().filter(|status| (100..600).contains(status))
}

fn watch(file: &Path, moves: Moves, over: Seconds) -> Option<String> {
    let before = match count(file) {
        Ok(before) => before,
        Err(why) => return Some(why),
    };
    std::thread::sleep(Duration::from_secs(over.0.into()));
    let after = match count(file) {
        Ok(after) => after,
        Err(why) => return Some(why),
    };
    let name = file.display();
    match moves {
        Moves::Grows if after <= before => Some(format!("`{name}` does not grow from {before}")),
        Moves::Stands if after != before => Some(format!("`{name}` went from {before} to {after}")),
        _ => None,
    }
}

/// The number that a file begins with.
fn count(file: &Path) -> Result<u64, String> {
    let name = file.display();
    let mut text = String::new();
    let read =
        std::fs::File::open(file).and_then(|f| f.take(COUNTER_MAX).read_to_string(&mut text));
    read.map_err(|e| format!("`{name}` cannot be read: {e}"))?;
    let digits = text.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().map_err(|_| format!("`{name}` does not begin with a number"))
}

/// Whether there is a way to other networks: a default route that is up, as
/// `/proc/net` tells (`folder` for tests).
pub(crate) fn has_network(folder: &Path) -> bool {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    read("route").lines().any(is_default_4) || read("ipv6_route").lines().any(is_default_6)
}

/// `RTF_UP` and `RTF_REJECT` of `linux/route.h` and `linux/ipv6_route.h`.
const UP: u32 = 1;
const REJECT: u32 = 0x200;

fn is_default_4(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let flags = fields.get(3).and_then(|flags| u32::from_str_radix(flags, 16).ok());
    let whole = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
    whole && flags.is_some_and(|flags| flags & (UP | REJECT) == UP)
}

fn is_default_6(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let flags = fields.get(8).and_then(|flags| u32::from_str_radix(flags, 16).ok());
    let whole = fields.get(1) == Some(&"00")
        && fields.first().is_some_and(|to| !to.is_empty() && to.bytes().all(|c| c == b'0'));
    let real = fields.get(9).is_some_and(|device| *device != "lo");
    whole && real && flags.is_some_and(|flags| flags & (UP | REJECT) == UP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    #[track_caller]
    fn check(probe: &Probe, expected: Option<&str>) {
        match (probe.fault(2000), expected) {
            (None, None) => {}
            (Some(fault), Some(part)) => assert!(fault.contains(part), "{fault}"),
            (found, _) => panic!("{probe:?}: {found:?}"),
        }
    }

    /// Answers every connection with `answer`.
    fn serve(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // All of the question: what is left unread resets the connection.
                let asked = BufReader::new(&stream).lines().map_while(Result::ok);
                let asked = asked.take_while(|line| !line.is_empty()).count();
                drop(stream.write_all(answer));
                // An answer that never comes: until the other side gives up.
                while answer.is_empty() && asked > 0 && stream.read(&mut [0]).is_ok_and(|n| n > 0) {
                }
            }
        });
        address
    }

    fn page(address: SocketAddr, wanted: Option<u16>) -> Probe {
        Probe::Http(format!("http://{address}/health").parse().unwrap(), wanted)
    }

    #[test]
    fn pages_and_ports_answer() {
        let good = serve(b"HTTP/1.1 204 No Content\r\n\r\n");
        check(&page(good, None), None);
        check(&page(good, Some(204)), None);
        check(&page(good, Some(200)), Some("status 204"));
        check(&Probe::Tcp(good), None);
        check(&page(serve(b"HTTP/1.0 503\r\n"), None), Some("status 503"));
        check(&page(serve(b"SSH-2.0-x\r\n"), None), Some("no HTTP"));
        check(&page(serve(&[b'x'; 9000]), None), Some("no HTTP"));
        check(&page(serve(b""), None), Some("does not answer"));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        check(&Probe::Tcp(nobody), Some("nothing accepts"));
        check(&page(nobody, None), Some("does not answer"));
    }

    #[test]
    fn pages_are_named_by_numbers() {
        for good in ["http://127.0.0.1:80", "http://[::1]:8080/a?b=c"] {
            assert!(good.parse::<Page>().is_ok(), "{good}");
        }
        for bad in [
            "https://127.0.0.1:443/",
            "http://localhost:80/",
            "http://127.0.0.1/",
            "http://127.0.0.1:80/a b",
        ] {
            assert!(bad.parse::<Page>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counters_grow_or_stand() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("frames");
        std::fs::write(&file, " 41 frames\n").unwrap();
        let counter = |moves| Probe::Counter(file.clone(), moves, Seconds(0));
        check(&counter(Moves::Stands), None);
        check(&counter(Moves::Grows), Some("does not grow from 41"));
        std::fs::write(&file, "x").unwrap();
        check(&counter(Moves::Stands), Some("does not begin with a number"));
        check(&Probe::Counter("/no/such".into(), Moves::Grows, Seconds(0)), Some("cannot be read"));
        // The kernel counts this one on while anything happens.
        let before = count(Path::new("/proc/uptime")).unwrap();
        check(&Probe::Counter("/proc/uptime".into(), Moves::Grows, Seconds(2)), None);
        assert!(count(Path::new("/proc/uptime")).unwrap() > before);
    }

    #[test]
    fn units_are_asked_for_by_systemctl() {
        check(
            &Probe::Unit("no-such-unit.service".into()),
            Some("unit `no-such-unit.service`: check"),
        );
    }

    #[test]
    fn a_network_is_a_default_route() {
        let dir = tempfile::tempdir().unwrap();
        let head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
        let found = |v4: &str, v6: &str| {
            std::fs::write(dir.path().join("route"), format!("{head}{v4}")).unwrap();
            std::fs::write(dir.path().join("ipv6_route"), v6).unwrap();
            has_network(dir.path())
        };
        let zeros = "0".repeat(32);
        let six = |device: &str, flags: &str| {
            format!("{zeros} 00 {zeros} 00 {zeros} 00000400 00000001 00000000 {flags} {device}\n")
        };
        assert!(!found("", ""));
        assert!(found("eth0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n", ""));
        assert!(!found("eth0 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n", ""));
        assert!(!found("eth0 00000000 0101A8C0 0002 0 0 0 00000000 0 0 0\n", ""));
        assert!(found("", &six("eth0", "00000003")));
        assert!(!found("", &six("lo", "00200200")) && !found("", &six("eth0", "00000200")));
        assert!(!has_network(Path::new("/no/such/folder")));
    }
}
