//! Takes deltas from the queue and has them made.
//!
//! The child process can hurt nobody: it has a limit of memory, a limit of time and the
//! lowest priority, and what it says is checked. A job whose server dies is taken up by
//! the next after its lease; one that cannot be done is dropped with its reason, and
//! its terminals take full payloads.

use super::child::{self, Payload, Request, Said};
use super::{GENERATOR, Order, plan_job};
use crate::blobs::{Staged, Upload};
use crate::catalogue::Published;
use crate::clock;
use crate::secret;
use crate::server::Server;
use crate::store::{
    Claim, Far, JobState, Kind, MadeDelta, StoreError, Stored, StoredDelta, settle,
};
use delta::{HEADER_MAX, PatchHeader};
use fleet::operator::unprofitable;
use package::{Codec, Component, Manifest};
use protocols::json::sentence;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout_at};
use types::{Digest, Hasher, Seconds, Timestamp};

/// How often it is looked for work.
const LOOK: Duration = Duration::from_secs(1);
/// How long a job is lost for when its server dies, and how often it says it lives.
pub(crate) const LEASE: Seconds = Seconds(30);
const BEAT: Duration = Duration::from_secs(2);
/// How often a job is begun that does not come to an end by no fault of its own.
const TRIES: u32 = 3;
/// After how long it is tried again, the first time; four times that, the next.
const BACKOFF: Seconds = Seconds(30);
/// The most bytes that a child may say.
const SAID_LIMIT: u64 = 4 << 20;
/// The most bytes of its last words.
const LAST_WORDS: u64 = 4 << 10;

/// What came of a job.
enum Came {
    /// A delta that is kept.
    Made(Upload, MadeDelta),
    /// None that is worth keeping, now or later.
    Dropped(String),
    /// None yet.
    Failed(String),
    /// The job is somebody else's, or was cancelled.
    Lost,
    /// This server is to end.
    Stopped,
    /// Nobody is offered its release any more.
    Unwanted,
}

/// Why there is no delta.
enum Fault {
    Forever(String),
    ForNow(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::ForNow(sentence(&error))
    }
}

/// Makes one delta after the other until `stop` changes.
pub(crate) async fn run(app: Arc<Server>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match one(&app, &mut stop).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => eprintln!("refit-server: {}", sentence(&error)),
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = app.delta_wake.notified() => {}
            _ = stop.changed() => return,
        }
    }
}

/// Does one job, if there is one. Returns whether there was.
async fn one(app: &Server, stop: &mut watch::Receiver<bool>) -> Stored<bool> {
    let owner = secret::id("w").map_err(|_| StoreError::Random)?;
    let mut tx = app.store.begin().await?;
    let claim = tx.claim_job(Kind::Delta, &owner, clock::now(), LEASE).await?;
    tx.commit().await?;
    drop(tx);
    let Some(claim) = claim else { return Ok(false) };
    let Ok(order) = serde_json::from_str::<Order>(&claim.payload) else {
        let mut tx = app.store.begin().await?;
        tx.drop_job(&claim.job).await?;
        tx.commit().await?;
        return Ok(true);
    };
    let came = if app.is_halted(order.release) {
        Came::Unwanted
    } else if claim.tries > TRIES {
        Came::Dropped(format!("it was begun {TRIES} times and never came to an end"))
    } else {
        attempt(app, &claim, &order, stop).await
    };
    settle_job(app, &claim, &order, came).await?;
    Ok(true)
}

/// The two releases of an order, and the part that they share.
struct Pair {
    old: (Arc<Published>, Component),
    new: (Arc<Published>, Component),
}

async fn attempt(
    app: &Server,
    claim: &Claim,
    order: &Order,
    stop: &mut watch::Receiver<bool>,
) -> Came {
    let done = async {
        let staged = async {
            let pair = pair(app, order).await?;
            let (old, new) = (stage(app, claim, &pair.old).await, stage(app, claim, &pair.new));
            Ok::<_, Fault>((old?, new.await?, pair))
        };
        let far = Far { words: "reading the packages".into(), ..Far::default() };
        let Some(staged) = keeping(app, claim, &far, staged).await else { return Ok(Came::Lost) };
        let (old, new, pair) = staged?;
        let output = app.delta_blobs.upload(&claim.owner)?;
        let request = Request {
            old: old.1,
            new: new.1,
            output: std::path::absolute(output.path())?,
            max_heap: u64::from(order.class) << 20,
            effort: app.settings.deltas.delta_effort,
        };
        let came = ask_child(app, (claim, order), &request, stop).await?;
        let full = full_size(&pair.new.1);
        let _until_here = (old.0, new.0);
        match came {
            Answer::Made => judge(output, order, full).await,
            Answer::Refused(why) => Err(Fault::Forever(why)),
            Answer::Lost => Ok(Came::Lost),
            Answer::Stopped => Ok(Came::Stopped),
            Answer::Unwanted => Ok(Came::Unwanted),
        }
    };
    match done.await {
        Ok(came) => came,
        Err(Fault::Forever(why)) => Came::Dropped(why),
        Err(Fault::ForNow(why)) => Came::Failed(why),
    }
}

/// Does `work`, which may take long, and says meanwhile that the job is being done.
/// Nothing, where it is not this server's any more.
async fn keeping<T>(
    app: &Server,
    claim: &Claim,
    far: &Far,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let mut beat = interval(BEAT);
    loop {
        tokio::select! {
            done = work.as_mut() => return Some(done),
            _ = beat.tick() => {
                if !renew(app, claim, far).await {
                    return None;
                }
            }
        }
    }
}

/// Bytes of the best full payload of a component.
fn full_size(component: &Component) -> u64 {
    component.payloads.iter().map(|payload| payload.size).min().unwrap_or(0)
}

/// Finds the published releases that have both images.
async fn pair(app: &Server, order: &Order) -> Result<Pair, Fault> {
    let all = app.catalogue.all();
    let has = |p: &Arc<Published>, image| p.images.get(&order.component) == Some(&image);
    let gone = || Fault::Forever("a release that it needs is gone or withdrawn".into());
    let new = app.catalogue.find(order.release);
    let new = new.filter(|p| has(p, order.target) && p.rules.withdrawn.is_none());
    let new = new.ok_or_else(gone)?;
    let old = all.iter().find(|p| has(p, order.source)).cloned().ok_or_else(gone)?;
    let part = async |published: &Arc<Published>| -> Result<Component, Fault> {
        let manifest: Manifest = app.document(published, Manifest::ENTRY).await?;
        let mut all = manifest.components.into_iter();
        all.find(|component| component.name == order.component).ok_or_else(gone)
    };
    let (old_part, new_part) = (part(&old).await?, part(&new).await?);
    Ok(Pair { old: (old, old_part), new: (new, new_part) })
}

/// Has the full payload of a component in a file.
async fn stage(
    app: &Server,
    claim: &Claim,
    (published, component): &(Arc<Published>, Component),
) -> Result<(Staged, Payload), Fault> {
    let known = |p: &&package::Payload| p.codec == Codec::ZstdFrames && p.encryption.is_none();
    let payload = component.payloads.iter().find(known);
    let span = payload.and_then(|payload| published.span(&payload.entry));
    let none = || Fault::Forever("a release has no payload that this server can decode".into());
    let span = span.ok_or_else(none)?;
    let digits: String = published.package.to_string().chars().take(16).collect();
    let name = format!("{}-{digits}", claim.owner).parse().map_err(|_| none())?;
    let staged = app.blobs.stage(published.package, span.at, span.size, &name).await?;
    let (file, at) = (staged.path().to_owned(), staged.at());
    let payload = Payload { file, at, size: span.size, image: component.image };
    Ok((staged, payload))
}

/// What a child comes back with.
enum Answer {
    Made,
    Refused(String),
    Lost,
    Stopped,
    Unwanted,
}

/// Starts a child, listens to it, and ends it when its time is up or its work not wanted.
async fn ask_child(
    app: &Server,
    (claim, order): (&Claim, &Order),
    request: &Request,
    stop: &mut watch::Receiver<bool>,
) -> Result<Answer, Fault> {
    let options = &app.settings.deltas;
    let deadline = Instant::now() + options.time();
    let mut child = start(options.delta_memory_mib)?;
    let mut input = child.stdin.take().ok_or_else(no_pipe)?;
    let line = serde_json::to_string(request).map_err(io::Error::other)?;
    // One that ended already says why at its end.
    let _unheard = input.write_all(format!("{line}\n").as_bytes()).await;
    let output = child.stdout.take().ok_or_else(no_pipe)?.take(SAID_LIMIT);
    let mut lines = BufReader::new(output).lines();
    let (mut far, mut answer) = (Far::default(), None);
    let mut beat = interval(BEAT);
    loop {
        tokio::select! {
            line = timeout_at(deadline, lines.next_line()) => {
                let Ok(line) = line else {
                    let seconds = options.delta_seconds;
                    return Ok(Answer::Refused(format!("it was not made within {seconds} s")));
                };
                match line?.map(|line| serde_json::from_str(&line)) {
                    None => break,
                    Some(Ok(Said::Far { words, done, total })) => far = Far { words, done, total },
                    Some(Ok(Said::Made { .. })) => answer = Some(Answer::Made),
                    Some(Ok(Said::Refused { why })) => answer = Some(Answer::Refused(why)),
                    Some(Err(_)) => return Err(Fault::ForNow("it said nonsense".into())),
                }
            }
            _ = beat.tick() => {
                if !renew(app, claim, &far).await {
                    return Ok(Answer::Lost);
                }
                if app.is_halted(order.release) {
                    return Ok(Answer::Unwanted);
                }
            }
            _ = stop.changed() => return Ok(Answer::Stopped),
        }
    }
    let ended = ended(&mut child, options.delta_memory_mib).await?;
    // Only now may standard input end: with it the child does.
    drop(input);
    ended.map_or_else(|| answer.ok_or_else(|| Fault::ForNow("it ended without a word".into())), Err)
}

fn no_pipe() -> io::Error {
    io::Error::other("the child has no pipe")
}

/// The child: this program under another command, without what this one was told in
/// secret.
fn start(memory_mib: u32) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(child::COMMAND).args(["--memory-mib", &memory_mib.to_string()]);
    command.env_clear().current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Waits for the end of a child. Returns what went wrong with it, if something did.
async fn ended(child: &mut Child, memory_mib: u32) -> io::Result<Option<Fault>> {
    let mut last = String::new();
    if let Some(errors) = child.stderr.take() {
        // What is no text is not worth showing.
        let _no_text = errors.take(LAST_WORDS).read_to_string(&mut last).await;
    }
    let status = child.wait().await?;
    if status.success() {
        return Ok(None);
    }
    let last = last.trim().lines().next().unwrap_or("it said nothing");
    let orderly = status.code() == Some(1) && !last.contains("memory");
    let why = format!("making it ended with {status}, where it may take {memory_mib} MiB: {last}");
    Ok(Some(if orderly { Fault::ForNow(why) } else { Fault::Forever(why) }))
}

/// Says that the job is being done. Returns whether it still is this server's.
async fn renew(app: &Server, claim: &Claim, far: &Far) -> bool {
    let renewed = async {
        let mut tx = app.store.begin().await?;
        let ours = tx.renew_job(claim, far, clock::now(), LEASE).await?;
        tx.commit().await?;
        Stored::Ok(ours)
    };
    // While the store is away nobody else can take it either; the lease decides.
    renewed.await.unwrap_or(true)
}

/// Looks at what a child made: it is believed nothing.
async fn judge(mut output: Upload, order: &Order, full: u64) -> Result<Came, Fault> {
    let (source, target, heap) = (order.source, order.target, u64::from(order.class) << 20);
    let looked = tokio::task::spawn_blocking(move || {
        let (header, blob, size) = read_delta(&mut output.file)?;
        io::Result::Ok((output, header, blob, size))
    });
    let (output, header, blob, size) = looked.await.map_err(io::Error::other)??;
    let same = header.source.digest == source.0 && header.target.digest == target.0;
    if !same || header.heap > heap {
        return Err(Fault::Forever("it is not the delta that was asked for".into()));
    }
    if let Some(why) = unprofitable(size, full) {
        return Ok(Came::Dropped(why));
    }
    Ok(Came::Made(output, MadeDelta { blob, size, heap: header.heap }))
}

fn read_delta(file: &mut File) -> io::Result<(PatchHeader, Digest, u64)> {
    file.rewind()?;
    let (mut head, mut piece, mut size) = (Vec::new(), vec![0; 256 << 10], 0);
    let mut hasher = Hasher::default();
    loop {
        let read = file.read(&mut piece)?;
        let part = piece.get(..read).unwrap_or_default();
        if read == 0 {
            break;
        }
        let missing = HEADER_MAX.saturating_sub(head.len());
        head.extend(part.iter().take(missing));
        hasher.update(part);
        size += u64::try_from(read).unwrap_or(0);
    }
    let header = PatchHeader::read(&head).map_err(io::Error::other)?;
    let header = header.ok_or_else(|| io::Error::other("it has no header"))?.0;
    Ok((header, hasher.finish(), size))
}

/// Writes what came of a job, and what follows.
async fn settle_job(app: &Server, claim: &Claim, order: &Order, came: Came) -> Stored<()> {
    let came = match came {
        Came::Made(upload, made) => {
            let far = Far { words: "keeping it".into(), ..Far::default() };
            let kept = app.delta_blobs.keep(&upload, made.blob);
            match keeping(app, claim, &far, kept).await {
                Some(Ok(())) => Ok(made),
                Some(Err(error)) => Err(Came::Failed(sentence(&error))),
                None => Err(Came::Lost),
            }
        }
        other => Err(other),
    };
    settle!(write(app, claim, order, &came))?;
    app.wake.notify_one();
    Ok(())
}

async fn write(
    app: &Server,
    claim: &Claim,
    order: &Order,
    came: &Result<MadeDelta, Came>,
) -> Stored<()> {
    let now = clock::now();
    let mut tx = app.store.begin().await?;
    let (made, words, why) = match came {
        Ok(made) => (Some(*made), format!("{} bytes", made.size), String::new()),
        Err(Came::Dropped(why)) => (None, String::new(), why.clone()),
        Err(Came::Failed(why)) if claim.tries >= TRIES => {
            (None, String::new(), format!("{why}, {TRIES} times"))
        }
        Err(Came::Failed(why)) => {
            let wait = Seconds(BACKOFF.0.saturating_mul(4u32.pow(claim.tries.saturating_sub(1))));
            tx.end_job(claim, JobState::Waiting, ["", why], now.after(wait), now).await?;
            return tx.commit().await;
        }
        Err(Came::Stopped) => {
            tx.give_back_job(claim).await?;
            return tx.commit().await;
        }
        Err(Came::Unwanted) => {
            tx.drop_job(&claim.job).await?;
            return tx.commit().await;
        }
        Err(Came::Lost | Came::Made(..)) => return Ok(()),
    };
    let state = if made.is_some() { JobState::Done } else { JobState::Dropped };
    if !tx.end_job(claim, state, [&words, &why], now, now).await? {
        return Ok(());
    }
    tx.put_delta(&came_of(order, made, why, app.full_of(order), now)).await?;
    tx.put_job(&plan_job(order.release, now), now).await?;
    tx.raise_generation().await?;
    tx.commit().await
}

/// What is kept of a delta that was made, or not.
pub(crate) fn came_of(
    order: &Order,
    made: Option<MadeDelta>,
    why: String,
    full: u64,
    now: Timestamp,
) -> StoredDelta {
    StoredDelta {
        key: order.key(),
        component: order.component.clone(),
        source: order.source,
        target: order.target,
        class: order.class,
        generator: GENERATOR.into(),
        made,
        full,
        why,
        at: now,
        used: now,
    }
}

impl Server {
    /// Bytes of the full payload that a delta stands for.
    pub(crate) fn full_of(&self, order: &Order) -> u64 {
        let published = self.catalogue.find(order.release);
        published.map_or(0, |published| published.full_size(&order.component))
    }
}
