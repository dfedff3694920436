//! What a server has to send when the agent is killed, or connections are cut, in the
//! middle: the payload once, and at most 1 MiB more for each time.

use crate::archive::{Entries, PAYLOAD};
use crate::world::{FACTORY, SOON, World, said_last, wait_for_version};
use lab::boot::{Blow, BootLoop};
use lab::clock::until;
use lab::maker::Details;
use lab::operator::Operator;
use lab::terminal::{Server, Settings, Terminal};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Bytes of the image, which does not compress.
const IMAGE: u64 = 20 << 20;
/// Kills, or cuts.
const CUTS: u64 = 4;
/// Bytes that one of them may cost.
const COST: u64 = 1 << 20;
/// Bytes that the proxy holds at most, twice.
const HELD: usize = 32 << 10;
/// Bytes per second: time enough to hit the middle, four times.
const RATE: u32 = 4 << 20;

/// One download with interruptions by `interrupt`; what the server counts is bounded.
fn check(case: &str, public: Option<&str>, upstream: impl Fn(&str), interrupt: impl Fn(&BootLoop)) {
    let world = World::new();
    let root = world.maker.root();
    let options: Vec<&str> = public.iter().flat_map(|url| ["--public-url", *url]).collect();
    let folder = world.file("server");
    let operator = Operator::start_with(&world.programs, &folder, &root, &options).unwrap();
    upstream(operator.address());
    let details = Details { chunk_size: 1 << 20, ..Details::default() };
    let package = pack(&world, details);
    operator.publish(&package).unwrap();
    let ca = operator.ca();
    let tokens = operator.tokens(1).unwrap();
    let server = Server { url: operator.address(), ca: &ca, token: &tokens[0] };
    let settings = Settings { bandwidth: RATE, ..Settings::default() };
    let terminal = world.terminal_with("terminal", &root, Some(server), &settings, IMAGE);
    operator.roll_out(case, "2.0.0", &[]).unwrap();
    let power = BootLoop::start(terminal);
    let mut hit = Vec::new();
    for number in 1..=CUTS {
        let at = IMAGE * number / (CUTS + 1);
        hit.push(wait_for_bytes(power.terminal(), at));
        interrupt(&power);
    }
    assert!(hit.iter().all(|done| *done < IMAGE), "{case}: {hit:?} of {IMAGE}");
    wait_for_version(power.terminal(), "2.0.0");
    let payload = Entries::of(&package).get(PAYLOAD).len() as u64;
    assert!(payload >= 16 << 20, "{payload}");
    let detail = operator.device("terminal").unwrap();
    let served = detail.attempts.first().unwrap().bytes_served;
    // The documents before the payload are part of the package, and of the count.
    let whole = fs::metadata(&package).unwrap().len();
    println!("{case}: {CUTS} × at {hit:?}: {served} bytes served of {payload}");
    assert!(served >= payload, "{case}: {served} < {payload}");
    assert!(served <= whole + CUTS * COST, "{case}: {served} bytes of {whole}");
}

fn pack(world: &World, details: Details) -> std::path::PathBuf {
    let package = world.file("2.0.0.zip");
    let image = world.image("2.0.0", IMAGE);
    let release = lab::maker::Release { version: "2.0.0", index: 2, image: &image, details };
    world.maker.pack(&release, &package).unwrap();
    assert!(world.image(FACTORY, IMAGE).exists());
    package
}

/// Waits until `bytes` of the image are durable; says how many are.
fn wait_for_bytes(terminal: &Terminal, bytes: u64) -> u64 {
    until(SOON, "some bytes", || {
        Ok(said_last(terminal)["done"].as_u64().filter(|done| *done >= bytes))
    })
    .unwrap()
}

#[test]
fn kills_of_the_agent_cost_at_most_one_mib_each() {
    check(
        "kill -9",
        None,
        |_| {},
        |power| {
            power.strike(Blow::Kill);
            until(SOON, "the blow", || Ok(power.is_struck().then_some(()))).unwrap();
        },
    );
}

#[test]
fn cuts_of_the_power_cost_at_most_one_mib_each() {
    check(
        "power",
        None,
        |_| {},
        |power| {
            power.strike(Blow::Cut);
            until(SOON, "the blow", || Ok(power.is_struck().then_some(()))).unwrap();
        },
    );
}

#[test]
fn cut_connections_cost_at_most_one_mib_each() {
    let proxy = Proxy::start();
    let url = format!("https://localhost:{}", proxy.address.port());
    let upstream = |address: &str| {
        let address = address.trim_start_matches("https://").parse().unwrap();
        *proxy.shared.upstream.lock().unwrap() = Some(address);
    };
    check("cut", Some(&url), upstream, |_| assert!(proxy.shared.cut() > 0));
}

/// Passes bytes on until the connection is cut.
struct Proxy {
    address: SocketAddr,
    shared: Arc<Line>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Line {
    upstream: Mutex<Option<SocketAddr>>,
    open: Mutex<Vec<TcpStream>>,
    off: AtomicBool,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Line::default());
        let inside = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if inside.off.load(Ordering::SeqCst) {
                    return;
                }
                inside.join(stream);
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.off.store(true, Ordering::SeqCst);
        self.shared.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        self.accepting.take().unwrap().join().unwrap();
    }
}

impl Line {
    fn join(&self, terminal: TcpStream) {
        let upstream = self.upstream.lock().unwrap().unwrap();
        let server = TcpStream::connect(upstream).unwrap();
        // What waits here would still arrive after a cut.
        set_socket_send_buffer_size(&terminal, HELD).unwrap();
        set_socket_recv_buffer_size(&server, HELD).unwrap();
        for (from, to) in [(&terminal, &server), (&server, &terminal)] {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            std::thread::spawn(move || {
                // An end is an end, whoever made it.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        self.open.lock().unwrap().extend([terminal, server]);
    }

    /// Cuts all connections; says how many were there.
    fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        let ended = |stream: &&TcpStream| stream.shutdown(Shutdown::Both).is_ok();
        open.iter().filter(ended).count()
    }
}
