//! Two servers on one PostgreSQL, whose clocks are hours apart, and terminals that all want
//! to download at once, where the rollout bounds how many may, in all and at a site, and
//! how fast. One server is killed in the middle. Terminals count for themselves what they
//! see.

use super::settable::{Clocks, HOUR};
use super::terminal::{agent, send};
use super::world::{World, tokens};
use crate::chance::Chance;
use crate::clock::now;
use crate::operator::Operator;
use crate::postgres::Postgres;
use crate::terminal::{COMPONENT, HARDWARE, PRODUCT};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use types::Digest;
use ureq::Agent;

const TERMINALS: usize = 10;
/// May download at once, in all and at the site that has every second one.
const ALL: usize = 4;
const SITE: usize = 2;
const MEGABITS: u64 = 8;
/// By how many hours the second server's clock is ahead.
const APART: i64 = 5;
/// Bytes of the image, which does not compress.
const IMAGE: usize = 1 << 20;
/// Over so many milliseconds the rate is measured, again and again.
const WINDOW: u64 = 2000;
/// The most bytes of a window: half more than the rate, because a server learns of another
/// one's downloads within a second, and what goes at once when a download begins. Without
/// a bound, as many images go in a window as there are places.
const MOST: u64 = MEGABITS * 125 * WINDOW * 3 / 2 + (512 << 10);
/// How long everything may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a terminal waits that was told to come again: less than it was told.
const PAUSE: Duration = Duration::from_millis(200);

/// What terminals see of each other.
#[derive(Debug)]
struct Seen {
    began: Instant,
    active: [AtomicUsize; 2],
    most: [AtomicUsize; 2],
    held: AtomicUsize,
    /// Which bytes came when, in milliseconds since the start.
    came: Mutex<Vec<(u64, u64)>>,
    done: AtomicUsize,
}

impl Seen {
    fn new() -> Self {
        let (active, most, held) = (Default::default(), Default::default(), AtomicUsize::new(0));
        let (came, done) = (Mutex::default(), AtomicUsize::new(0));
        Self { began: now(), active, most, held, came, done }
    }

    fn begins(&self, at_site: bool) {
        for (index, counts) in [true, at_site].into_iter().enumerate() {
            let (Some(active), Some(most)) = (self.active.get(index), self.most.get(index)) else {
                continue;
            };
            if counts {
                most.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            }
        }
    }

    fn ends(&self, at_site: bool) {
        for (active, counts) in self.active.iter().zip([true, at_site]) {
            active.fetch_sub(usize::from(counts), Ordering::SeqCst);
        }
    }
}

/// Nobody downloads beside more than may, nor faster; a killed server's places come free.
pub(super) fn run(chance: &mut Chance, _long: bool) -> Result<String> {
    let world = World::new()?;
    let postgres = Postgres::start()?;
    let url = postgres.url(postgres.port());
    let shared = world.path("packages");
    std::fs::create_dir_all(&shared)?;
    let shared = shared.to_str().context("a folder whose name is no text")?;
    let options = ["--database", url.as_str(), "--artifacts", shared];
    let one = Operator::start_with(&world.programs, &world.path("one"), &world.root(), &options)?;
    let clocks = Clocks::new()?;
    let apart = world.programs.under(clocks.clock("other", APART * HOUR)?.environment());
    let mut other = one.another_of(&apart, &world.path("other"), &options)?;
    let bytes: Vec<u8> = std::iter::repeat_with(|| chance.number().to_le_bytes())
        .take(IMAGE / 8)
        .flatten()
        .collect();
    one.publish(&world.release_of("2.0", 2, &bytes)?.0)?;
    let agent = agent(&one.ca())?;
    let terminals: Vec<(String, String)> = tokens(&one, TERMINALS)?
        .iter()
        .enumerate()
        .map(|(number, token)| enrol(&agent, one.address(), number, token))
        .collect::<Result<_>>()?;
    start(&agent, &one)?;
    let (seen, servers) = (Seen::new(), [one.address().to_owned(), other.address().to_owned()]);
    let began = seen.began;
    let ca = one.ca();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(&terminals)
            .map(|(number, terminal)| {
                let (seen, servers, ca) = (&seen, &servers, &ca);
                scope.spawn(move || play(number, terminal, servers, ca, seen))
            })
            .collect();
        while seen.done.load(Ordering::SeqCst) < TERMINALS / 3 {
            ensure!(now() - began < LIMIT, "too few downloads end");
            std::thread::sleep(PAUSE);
        }
        other.kill()?;
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a terminal panicked"))??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    judge(&seen, now() - began)
}

fn judge(seen: &Seen, took: Duration) -> Result<String> {
    let [all, site] = [0, 1].map(|index| {
        seen.most.get(index).map_or(0, |most: &AtomicUsize| most.load(Ordering::SeqCst))
    });
    let held = seen.held.load(Ordering::SeqCst);
    ensure!(all <= ALL && site <= SITE, "{all} at once, {site} of them at one site");
    ensure!(all > 1 && held > 0, "nobody was held, or all were");
    let came = seen.came.lock().unwrap_or_else(PoisonError::into_inner);
    let window = |from: u64| {
        let within = |(at, _): &&(u64, u64)| (from..from + WINDOW).contains(at);
        came.iter().filter(within).map(|(_, len)| len).sum::<u64>()
    };
    let most = came.iter().step_by(16).map(|(at, _)| window(*at)).max().unwrap_or(0);
    ensure!(most <= MOST, "{most} bytes in {WINDOW} ms; {MOST} may go");
    let bytes: u64 = came.iter().map(|(_, len)| len).sum();
    Ok(format!(
        "2 servers with clocks {APART} h apart, 1 killed, {TERMINALS} terminals downloaded {bytes} bytes in {} s, {} Mbit/s \
         at most over {WINDOW} ms of {MEGABITS}, {all} at once of {ALL}, {site} at a site of \
         {SITE}; {held} times one was told to come again",
        took.as_secs(),
        most * 8 / 1000 / WINDOW,
    ))
}

fn enrol(agent: &Agent, server: &str, number: usize, token: &str) -> Result<(String, String)> {
    let name = format!("t{number}");
    let facts = json!({"product": PRODUCT, "hardware": HARDWARE});
    let body = json!({"token": token, "device": name, "facts": facts});
    let (_, answer) = send(agent, &format!("{server}/v1/enrol"), None, Some(&body));
    let credential = answer.get("credential").and_then(Value::as_str);
    Ok((name, credential.context("not enrolled")?.to_owned()))
}

/// Every second terminal is at one site; the rollout bounds downloads.
fn start(agent: &Agent, operator: &Operator) -> Result<()> {
    let token = std::fs::read_to_string(operator.token())?;
    let post = |path: &str, body: &Value| -> Result<Value> {
        let url = format!("{}/api/v1/{path}", operator.address());
        let (status, answer) = send(agent, &url, Some(&token), Some(body));
        ensure!(matches!(status, 200 | 201), "{path}: {status} {answer}");
        Ok(answer)
    };
    let sited: Vec<String> = (0..TERMINALS).step_by(2).map(|n| format!("t{n}")).collect();
    post("labels", &json!({"devices": sited, "set": {"attributes": {"olt": "olt-7"}}}))?;
    let made = post(
        "rollouts",
        &json!({
            "name": "narrow", "release": "2.0",
            "downloads": {"at_once": ALL, "megabits": MEGABITS},
            "site": {"by": "olt", "downloads": {"at_once": SITE}},
        }),
    )?;
    let id = made.get("id").and_then(Value::as_str).context("no id")?;
    post(&format!("rollouts/{id}/start"), &json!({}))?;
    Ok(())
}

/// One terminal: asks either server until it has the whole payload, and goes on where
/// it was when a server dies.
fn play(
    number: usize,
    (name, credential): &(String, String),
    servers: &[String; 2],
    ca: &Path,
    seen: &Seen,
) -> Result<()> {
    let agent = agent(ca)?;
    let running = json!({COMPONENT: {"version": "factory", "image": Digest::of(b"factory")}});
    let beat = json!({
        "protocol": 1, "device": name, "product": PRODUCT, "hardware": HARDWARE, "slot": "A",
        "running": running
    });
    let (began, mut got, mut size) = (now(), 0, u64::MAX);
    for server in servers.iter().cycle().skip(number) {
        if now() - began > LIMIT {
            bail!("{name} has {got} of {size} bytes");
        }
        let (_, answer) =
            send(&agent, &format!("{server}/v1/heartbeat"), Some(credential), Some(&beat));
        if let Some(base) = answer.pointer("/offer/base").and_then(Value::as_str) {
            // Every server answers at an address of its own.
            let path = base.split("/v1/a/").nth(1).context("an address of another form")?;
            let url = format!("{server}/v1/a/{path}payload/{COMPONENT}.zst");
            fetch(&agent, &url, number.is_multiple_of(2), &mut got, &mut size, seen)?;
        }
        if got >= size {
            seen.done.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn fetch(
    agent: &Agent,
    url: &str,
    at_site: bool,
    got: &mut u64,
    size: &mut u64,
    seen: &Seen,
) -> Result<()> {
    let request = agent.get(url).header("range", format!("bytes={got}-"));
    let Ok(mut answer) = request.call() else { return Ok(()) };
    match answer.status().as_u16() {
        206 => {}
        503 => {
            ensure!(answer.headers().contains_key("retry-after"), "when to come again is not said");
            seen.held.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        status => bail!("status {status} for a payload"),
    }
    seen.begins(at_site);
    let announced = answer.body().content_length().context("an answer without a length")?;
    *size = *got + announced;
    let (mut body, mut piece) = (answer.body_mut().as_reader(), vec![0; 16 << 10]);
    while let Ok(len @ 1..) = body.read(&mut piece) {
        *got += u64::try_from(len)?;
        let at = u64::try_from((now() - seen.began).as_millis())?;
        let mut came = seen.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.push((at, u64::try_from(len)?));
    }
    seen.ends(at_site);
    Ok(())
}
