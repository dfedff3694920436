//! A store of packages that does not answer, then fails, then breaks off, while a rollout
//! runs: downloads go on where they were, no attempt is lost, and the server does
//! everything else meanwhile as if nothing were wrong.

use super::bad_store::{BadStore, Health};
use super::book::{Book, Rules};
use super::terminal::{Servers, Software, agent, send};
use super::world::{World, compare, live, tokens, wait_confirmed};
use crate::bucket::Bucket;
use crate::chance::Chance;
use crate::clock::{now, until};
use crate::operator::Operator;
use crate::terminal::{COMPONENT, HARDWARE, PRODUCT};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use types::{Digest, Hasher};
use ureq::Agent;

/// Who downloads.
const TERMINALS: usize = 12;
/// Who takes part and reports without fetching anything.
const OTHERS: usize = 60;
const RULES: Rules = Rules { waves: &[TERMINALS + OTHERS], in_flight: TERMINALS + OTHERS };
/// Bytes of the image, which does not compress: some pieces of a bucket.
const IMAGE: usize = 5 << 20;
/// How long the store says nothing: longer than the server waits for a piece.
const SILENT: Duration = Duration::from_secs(10);
/// How long it fails: what it is asked meanwhile is repeated and comes in the end.
const FAILING: Duration = Duration::from_secs(2);
/// How long an answer may take that needs nothing of the store, on a busy machine.
const PROMPT: Duration = Duration::from_secs(4);
/// How long everything may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a terminal waits that was told to come again: less than it was told.
const PAUSE: Duration = Duration::from_millis(250);

/// What terminals see.
#[derive(Debug, Default)]
struct Seen {
    told_to_wait: AtomicUsize,
    broke_off: AtomicUsize,
    done: AtomicUsize,
}

/// Downloads through all of it.
pub(super) fn run(chance: &mut Chance, long: bool) -> Result<String> {
    let rounds = if long { 4 } else { 1 };
    let world = World::new()?;
    let bucket = Bucket::start(&world.programs)?;
    let way = BadStore::to(bucket.port())?;
    let options = bucket.options(way.port());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let place = world.path("server");
    let operator = Operator::start_with(&world.programs, &place, &world.root(), &options)?;
    let numbers = std::iter::repeat_with(|| chance.number().to_le_bytes());
    let bytes: Vec<u8> = numbers.take(IMAGE / 8).flatten().collect();
    let (package, target) = world.release_of("2.0", 2, &bytes)?;
    operator.publish(&package)?;
    let (payload, size) = payload_of(&package)?;
    let mut others = world.terminals(&operator, OTHERS)?;
    let agent = agent(&operator.ca())?;
    let terminals: Vec<Downloader> = tokens(&operator, TERMINALS)?
        .iter()
        .enumerate()
        .map(|(number, token)| Downloader::enrol(&agent, operator.address(), number, token))
        .collect::<Result<_>>()?;
    // Before anything is offered: planning deltas waits for the store, too.
    way.becomes(Health::Silent);
    let flight = RULES.in_flight.to_string();
    let options = ["--wave", &flight, "--in-flight", &flight, "--failures-count", "0"];
    let rollout = operator.roll_out("through a bad store", "2.0", &options)?;
    let (seen, servers, ca) = (Seen::default(), Servers::default(), operator.ca());
    servers.set(vec![operator.address().into()]);
    let (book, seed) = (Book::new(RULES), chance.number());
    let slowest = std::thread::scope(|scope| {
        let threads: Vec<_> = terminals
            .iter()
            .map(|terminal| {
                let (seen, server, ca, target) = (&seen, operator.address(), &ca, &target);
                scope.spawn(move || terminal.play(server, ca, target, payload, seen))
            })
            .collect();
        let slowest = live(&mut others, &ca, &servers, &target, &book, seed, || {
            let slowest = silence(&operator, &agent, &book)?;
            for round in 0..rounds {
                if round > 0 {
                    way.becomes(Health::Silent);
                    std::thread::sleep(SILENT);
                }
                way.becomes(Health::Failing);
                std::thread::sleep(FAILING);
                way.becomes(Health::Breaking);
                std::thread::sleep(FAILING);
            }
            until(LIMIT, "the end of the downloads", || {
                // One that failed ended, too, and is asked below.
                Ok(threads.iter().all(|thread| thread.is_finished()).then_some(()))
            })?;
            Ok(slowest)
        });
        // Whatever happened, the terminals come to an end.
        way.becomes(Health::Well);
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let slowest = slowest?;
        for end in ended {
            end.map_err(|_| anyhow!("a terminal panicked"))??;
        }
        Ok::<_, anyhow::Error>(slowest)
    })?;
    ensure!(seen.done.load(Ordering::SeqCst) == TERMINALS, "not all downloads ended");
    wait_confirmed(&operator, &rollout, u32::try_from(TERMINALS + OTHERS)?)?;
    compare(&operator, &book)?;
    judge(&seen, &way, size, slowest)
}

/// The payload's digest and its size, from the package itself.
fn payload_of(package: &Path) -> Result<(Digest, u64)> {
    let bytes = std::fs::read(package)?;
    let archive = package::Archive::open(bytes.as_slice()).context("the package is none")?;
    let entry = archive.entry(&format!("payload/{COMPONENT}.zst")).context("no payload")?;
    let (at, size) = (usize::try_from(entry.at)?, usize::try_from(entry.size)?);
    let payload = bytes.get(at..at + size).context("the payload is cut short")?;
    Ok((Digest::of(payload), entry.size))
}

/// While the store says nothing the server answers everything else: heartbeats, those
/// with news, reports, and whether it is well. Returns how long the slowest took.
fn silence(operator: &Operator, agent: &Agent, book: &Book) -> Result<Duration> {
    let (began, mut slowest) = (now(), Duration::ZERO);
    while now() - began < SILENT || book.done() < OTHERS {
        ensure!(now() - began < LIMIT, "{} of {OTHERS} report", book.done());
        let asked = now();
        let (status, answer) = send(agent, &format!("{}/health", operator.address()), None, None);
        ensure!(status == 200, "while the store is silent, the server says {status} {answer}");
        slowest = slowest.max(now() - asked);
        std::thread::sleep(PAUSE);
    }
    ensure!(slowest < PROMPT, "it took {} ms to say that it is well", slowest.as_millis());
    Ok(slowest)
}

fn judge(seen: &Seen, way: &BadStore, size: u64, slowest: Duration) -> Result<String> {
    let of = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let (waited, broke) = (of(&seen.told_to_wait), of(&seen.broke_off));
    let [silent, failing, halves] = way.made();
    ensure!(silent > 0 && failing > 0 && halves > 0, "{silent} {failing} {halves}: too few");
    ensure!(waited > 0, "nobody was told that the store is away");
    Ok(format!(
        "a store that left {silent} requests without an answer, failed {failing} and broke off \
         {halves}; {TERMINALS} terminals downloaded {size} bytes each and none of them twice, \
         {waited} times told to come again, {broke} times cut off; {OTHERS} others updated while \
         it was silent, and the server said that it is well within {} ms; 0 attempts lost",
        slowest.as_millis()
    ))
}

/// A terminal that fetches its payload.
struct Downloader {
    name: String,
    credential: String,
}

impl Downloader {
    fn enrol(agent: &Agent, server: &str, number: usize, token: &str) -> Result<Self> {
        let name = format!("d{number}");
        let facts = json!({"product": PRODUCT, "hardware": HARDWARE});
        let body = json!({"token": token, "device": name, "facts": facts});
        let (_, answer) = send(agent, &format!("{server}/v1/enrol"), None, Some(&body));
        let credential = answer.get("credential").and_then(Value::as_str);
        Ok(Self { name, credential: credential.context("not enrolled")?.to_owned() })
    }

    fn beat(&self, agent: &Agent, server: &str, version: &str, image: Digest) -> Value {
        let beat = json!({
            "protocol": 1, "device": self.name, "product": PRODUCT, "hardware": HARDWARE,
            "slot": "A", "running": {COMPONENT: {"version": version, "image": image}}
        });
        send(agent, &format!("{server}/v1/heartbeat"), Some(&self.credential), Some(&beat)).1
    }

    /// Asks until it has the whole payload, goes on where it was, and reports.
    fn play(
        &self,
        server: &str,
        ca: &Path,
        target: &Software,
        payload: Digest,
        seen: &Seen,
    ) -> Result<()> {
        let (agent, began) = (agent(ca)?, now());
        let (mut got, mut size, mut hasher) = (0, u64::MAX, Hasher::default());
        let mut attempt = Value::Null;
        while got < size {
            ensure!(now() - began < LIMIT, "{} has {got} of {size} bytes", self.name);
            let answer = self.beat(&agent, server, "factory", Digest::of(b"factory"));
            if let Some(base) = answer.pointer("/offer/base").and_then(Value::as_str) {
                let told = answer.pointer("/offer/attempt").cloned().unwrap_or_default();
                ensure!(attempt.is_null() || attempt == told, "{} lost its attempt", self.name);
                attempt = told;
                let url = format!("{base}payload/{COMPONENT}.zst");
                fetch(&agent, &url, (&mut got, &mut size), &mut hasher, seen)?;
            }
            std::thread::sleep(PAUSE);
        }
        ensure!(hasher.finish() == payload, "{} got other bytes than were signed", self.name);
        self.report(&agent, server, &attempt)?;
        self.beat(&agent, server, &target.version, target.image);
        seen.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn report(&self, agent: &Agent, server: &str, attempt: &Value) -> Result<()> {
        let report = json!({
            "attempt": attempt, "source": "native", "outcome": 0, "detail": "",
            "version": null, "spent": {"bytes": 1, "seconds": 1}, "failed_boots": 0
        });
        let body = json!({"reports": [report]});
        let (status, answer) =
            send(agent, &format!("{server}/v1/reports"), Some(&self.credential), Some(&body));
        ensure!(status == 200, "a report: {status} {answer}");
        Ok(())
    }
}

/// Fetches what is missing, as far as it goes.
fn fetch(
    agent: &Agent,
    url: &str,
    (got, size): (&mut u64, &mut u64),
    hasher: &mut Hasher,
    seen: &Seen,
) -> Result<()> {
    let request = agent.get(url).header("range", format!("bytes={got}-"));
    let Ok(mut answer) = request.call() else { return Ok(()) };
    match answer.status().as_u16() {
        206 => {}
        503 => {
            ensure!(answer.headers().contains_key("retry-after"), "when to come again is not said");
            let text = answer.body_mut().read_to_string()?;
            ensure!(text.contains("store of packages does not answer"), "it says {text}");
            seen.told_to_wait.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        status => bail!("status {status} for a payload"),
    }
    let announced = answer.body().content_length().context("an answer without a length")?;
    *size = *got + announced;
    let (mut body, mut piece) = (answer.body_mut().as_reader(), vec![0; 16 << 10]);
    while let Ok(len @ 1..) = body.read(&mut piece) {
        hasher.update(piece.get(..len).unwrap_or_default());
        *got += u64::try_from(len)?;
    }
    seen.broke_off.fetch_add(usize::from(got < size), Ordering::SeqCst);
    Ok(())
}
