//! The parent's side: starts a worker, asks it, and believes nothing.

use super::message::{Ask, Coding, Fault, Place, Seek, Setup, TELL_MAX, Tell, receive, send};
use super::network::{Network, OWN_WORK};
use crate::edges::{Encoding, Feed, FeedError, Feeds, PayloadSpec, Reset};
use crate::platform::clock::Stopwatch;
use crate::platform::confine::Nobody;
use crate::platform::descriptors;
use crate::platform::partition;
use crate::platform::resident;
use crate::platform::shared::Shared;
use crate::platform::stop::Stop;
use crate::platform::wait::poll;
use engine::Cursor;
use rustix::event::{PollFd, PollFlags};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;
use types::{Image, Name, Outcome, Slot};

/// Signs of life, a second apart, that a worker may give before one chunk of a delta:
/// a slow processor that encodes much again has four minutes.
const DELTA_SIGNS: u32 = 240;

/// Partitions or files of the banks A and B, by component.
pub type Banks = BTreeMap<Name, [PathBuf; 2]>;

/// Starts a worker for each feed.
pub struct Workers {
    program: PathBuf,
    arguments: Vec<OsString>,
    network: Network,
    banks: Rc<Banks>,
    stop: Stop,
}

impl Workers {
    /// Workers are `program` with [`super::SUBCOMMAND`] and, where they can become
    /// someone else, that one's ids. A feed that waits is interrupted by `stop`.
    pub fn new(program: PathBuf, nobody: Option<Nobody>, network: Network, stop: Stop) -> Self {
        let mut arguments = vec![OsString::from(super::SUBCOMMAND)];
        arguments.extend(nobody.map(|n| format!("{}{}:{}", super::USER, n.uid, n.gid).into()));
        Self { program, arguments, network, banks: Rc::default(), stop }
    }

    /// Deltas are decoded with what `banks` hold, and may take `heap` bytes of memory.
    #[must_use]
    pub fn with_deltas(mut self, banks: Banks, heap: u64) -> Self {
        self.banks = Rc::new(banks);
        self.arguments.push(format!("{}{heap}", super::HEAP).into());
        self
    }

    fn start(&self, package: Option<File>) -> io::Result<WorkerFeed> {
        resident::give_program_back();
        let shared = Shared::create(usize::try_from(Image::CHUNK_MAX).map_err(io::Error::other)?)?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(Duration::from_millis(OWN_WORK)))?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(shared.as_fd().try_clone_to_owned()?)
            .stderr(package.map_or_else(Stdio::null, Stdio::from))
            .spawn()?;
        Ok(WorkerFeed {
            child,
            socket: ours,
            shared,
            stop: self.stop.try_clone()?,
            network: self.network.clone(),
            banks: Rc::clone(&self.banks),
            payload: None,
            owed: false,
            fetched: 0,
        })
    }
}

impl Feeds for Workers {
    fn open(&mut self, locator: &str) -> Result<Box<dyn Feed>, FeedError> {
        let (place, package) = place(locator)?;
        let roots = match place {
            Place::Https(_) => self.network.roots.clone(),
            Place::Archive => Vec::new(),
        };
        let floor = self.network.floor;
        let setup = Setup { place, roots, floor, limits: self.network.limits() };
        let mut feed = self.start(package).map_err(|e| {
            Fault::later(Outcome::Unreachable, format!("cannot start a worker: {e}"))
        })?;
        feed.ask(&Ask::Setup(setup))?;
        feed.ready(0)?;
        Ok(Box::new(feed))
    }

    fn is_there(&self, locator: &str) -> bool {
        !locator.starts_with('/') || std::path::Path::new(locator).exists()
    }
}

/// What a locator names: an https address, or a file that is opened here, because a
/// worker may not open any.
fn place(locator: &str) -> Result<(Place, Option<File>), Fault> {
    if locator.starts_with("https://") {
        return Ok((Place::Https(locator.into()), None));
    }
    if !locator.starts_with('/') {
        return Err(Fault::never(Outcome::BadRedirect, "a package's address starts with https://"));
    }
    // Not blocking: a path that names a pipe must not hang the agent.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = File::options().read(true).custom_flags(flags).open(locator);
    let file = opened
        .map_err(|e| Fault::later(Outcome::Unreachable, format!("cannot open the package: {e}")))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok((Place::Archive, Some(file)));
    }
    Err(Fault::never(Outcome::Malformed, "the package is not a regular file"))
}

/// A payload in progress, as the parent sees it.
struct Progress {
    spec: PayloadSpec,
    /// The chunk that comes next.
    chunk: u32,
    /// The reset point before it.
    reset: Reset,
    /// How often the worker may still say that it is alive, instead of a chunk.
    patience: u32,
    /// Who is to go on.
    turn: Turn,
}

/// Who is to go on with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The worker was asked for the next chunk, or has no more.
    Workers,
    /// It is asked when the caller wants the next chunk: it has written the last one then.
    Ours,
}

/// One worker and what it delivers.
struct WorkerFeed {
    child: Child,
    socket: UnixStream,
    shared: Shared,
    stop: Stop,
    network: Network,
    banks: Rc<Banks>,
    payload: Option<Progress>,
    /// The worker owes an answer to `Next`.
    owed: bool,
    fetched: u64,
}

impl Drop for WorkerFeed {
    fn drop(&mut self) {
        // It holds nothing that would have to be finished; failing means it is gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Feed for WorkerFeed {
    fn document(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FeedError> {
        check_name(name)?;
        self.settle()?;
        self.ask(&Ask::Document { name: name.into(), limit })?;
        let patience = self.network.patience(limit);
        match self.tell(patience)? {
            Tell::Document { len } if len <= limit => self.raw(len, patience),
            Tell::Failed { fault, .. } => Err(as_document(fault)),
            _ => Err(nonsense()),
        }
    }

    fn seek(&mut self, payload: &PayloadSpec, at: Cursor) -> Result<(), FeedError> {
        check_name(&payload.entry)?;
        check_place(payload, at)?;
        let (coding, files) = match payload.encoding {
            Encoding::Frames => (Coding::Frames, None),
            Encoding::Plain => (Coding::Plain, None),
            Encoding::Delta { heap } => (Coding::Delta { heap }, Some(self.open_banks(payload)?)),
        };
        self.settle()?;
        self.payload = None;
        resident::give_program_back();
        self.ask(&Ask::Seek(Seek {
            entry: payload.entry.clone(),
            coding,
            size: payload.size,
            image_size: payload.image_size,
            chunk_size: payload.chunk_size,
            chunk: at.chunk,
            out: at.out,
            input: at.input,
        }))?;
        if let Some([old, new]) = &files {
            descriptors::send(&self.socket, [old, new]).map_err(|e| broken(&e))?;
        }
        self.ready(at.input)?;
        let reset = Reset { out: at.out, input: at.input };
        let patience = at.chunk.saturating_add(signs_of_life(payload.encoding));
        let (spec, turn) = (payload.clone(), Turn::Workers);
        self.payload = Some(Progress { spec, chunk: at.chunk, reset, patience, turn });
        self.next()
    }

    fn chunk(&mut self, into: &mut [u8]) -> Result<usize, FeedError> {
        let Some(progress) = &self.payload else { return Err(nonsense()) };
        let want = progress.length();
        if progress.turn == Turn::Ours {
            self.next()?;
        }
        if !self.owed {
            // The last question was answered by a failure, or by the end.
            return if want == 0 { Ok(0) } else { Err(nonsense()) };
        }
        let told = self.owed_answer()?;
        self.owed = false;
        match told {
            Tell::Chunk { len, out, input, fetched } => {
                self.count(fetched);
                self.take(into, len, Reset { out, input })
            }
            Tell::End { fetched } if want == 0 => {
                self.count(fetched);
                Ok(0)
            }
            Tell::Failed { fault, fetched } => {
                self.count(fetched);
                Err(fault.into())
            }
            _ => Err(nonsense()),
        }
    }

    fn reset(&self) -> Reset {
        self.payload.as_ref().map_or(Reset { out: 0, input: 0 }, |progress| progress.reset)
    }

    fn fetched(&self) -> u64 {
        self.fetched
    }
}

impl Progress {
    /// Bytes of the chunk that comes next; 0 after the last one.
    fn length(&self) -> u32 {
        let at = u64::from(self.chunk) * u64::from(self.spec.chunk_size);
        let left = self.spec.image_size.saturating_sub(at);
        u32::try_from(left).unwrap_or(u32::MAX).min(self.spec.chunk_size)
    }

    /// The worker says that decoding can start again at `reset` once the chunk that
    /// comes next is written. Such points do not go back, and a frame is one by itself.
    fn advance(&mut self, reset: Reset) -> Result<(), FeedError> {
        let at = u64::from(self.chunk) * u64::from(self.spec.chunk_size);
        let end = at + u64::from(self.length());
        let onward = reset.out >= self.reset.out && reset.input >= self.reset.input;
        let inside = reset.out <= end && reset.input <= self.spec.size;
        let framed = reset.out == end && reset.input > self.reset.input;
        if !onward || !inside || (self.spec.encoding == Encoding::Frames && !framed) {
            return Err(nonsense());
        }
        self.reset = reset;
        self.chunk = self.chunk.saturating_add(1);
        Ok(())
    }
}

impl WorkerFeed {
    /// Copies a chunk out of the shared memory, and frees that for the next one.
    fn take(&mut self, into: &mut [u8], len: u32, reset: Reset) -> Result<usize, FeedError> {
        let Some(progress) = &mut self.payload else { return Err(nonsense()) };
        if len == 0 || len != progress.length() {
            return Err(nonsense());
        }
        progress.advance(reset)?;
        let len = usize::try_from(len).map_err(|_| nonsense())?;
        let into = into.get_mut(..len).ok_or_else(nonsense)?;
        self.shared.copy(into).map_err(|e| broken(&e))?;
        match self.payload.as_mut() {
            // The worker reads back what the caller is about to write.
            Some(progress) if matches!(progress.spec.encoding, Encoding::Delta { .. }) => {
                progress.turn = Turn::Ours;
            }
            _ => self.next()?,
        }
        Ok(len)
    }

    /// Asks for the next chunk.
    fn next(&mut self) -> Result<(), FeedError> {
        self.ask(&Ask::Next)?;
        self.owed = true;
        if let Some(progress) = &mut self.payload {
            progress.turn = Turn::Workers;
        }
        Ok(())
    }

    /// The answer to `Next`.
    fn owed_answer(&mut self) -> Result<Tell, FeedError> {
        loop {
            let Some(progress) = &mut self.payload else { return Err(nonsense()) };
            let patience = self.network.patience(progress.spec.chunk_size.into());
            match progress.patience.checked_sub(1) {
                Some(left) => progress.patience = left,
                None => return Err(nonsense()),
            }
            match self.tell(patience)? {
                Tell::Alive => {}
                told => {
                    if let Some(progress) = &mut self.payload {
                        progress.patience = signs_of_life(progress.spec.encoding);
                    }
                    return Ok(told);
                }
            }
        }
    }

    /// What a delta starts from, and where its image goes.
    fn open_banks(&self, payload: &PayloadSpec) -> Result<[File; 2], Fault> {
        let named = payload.bank.as_ref().and_then(|(name, to)| Some((self.banks.get(name)?, to)));
        let Some(([a, b], to)) = named else {
            return Err(no_source("this terminal has no bank for it"));
        };
        let (old, new) = if *to == Slot::B { (a, b) } else { (b, a) };
        let open = |path: &PathBuf| {
            partition::locate(path).and_then(File::open).map_err(|e| no_source(&e.to_string()))
        };
        Ok([open(old)?, open(new)?])
    }

    /// Takes an answer that nobody wants any more.
    fn settle(&mut self) -> Result<(), FeedError> {
        if self.owed {
            self.owed_answer()?;
            self.owed = false;
        }
        Ok(())
    }

    fn ready(&mut self, place: u64) -> Result<(), FeedError> {
        // A server without ranges sends everything before the place, too.
        match self.tell(self.network.patience(place))? {
            Tell::Ready => Ok(()),
            Tell::Failed { fault, .. } => Err(fault.into()),
            _ => Err(nonsense()),
        }
    }

    fn ask(&mut self, ask: &Ask) -> Result<(), FeedError> {
        send(&mut self.socket, ask).map_err(|e| broken(&e))
    }

    fn tell(&mut self, patience: u64) -> Result<Tell, FeedError> {
        let mut from = Patient::new(&self.socket, &self.stop, patience);
        receive(&mut from, TELL_MAX).map_err(|e| broken(&e))
    }

    fn raw(&mut self, len: u64, patience: u64) -> Result<Vec<u8>, FeedError> {
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| nonsense())?];
        let mut from = Patient::new(&self.socket, &self.stop, patience);
        from.read_exact(&mut bytes).map_err(|e| broken(&e))?;
        Ok(bytes)
    }

    fn count(&mut self, fetched: u64) {
        self.fetched = self.fetched.max(fetched);
    }
}

/// Reads from a worker, but not for ever.
struct Patient<'a> {
    socket: &'a UnixStream,
    stop: &'a Stop,
    watch: Stopwatch,
    patience: u64,
}

impl<'a> Patient<'a> {
    fn new(socket: &'a UnixStream, stop: &'a Stop, patience: u64) -> Self {
        Self { socket, stop, watch: Stopwatch::start(), patience }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.patience.saturating_sub(self.watch.millis());
        let left = Duration::from_millis(left);
        let mut fds =
            [PollFd::new(self.socket, PollFlags::IN), PollFd::new(self.stop, PollFlags::IN)];
        if poll(&mut fds, left)? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it is silent"));
        }
        let [_, stop] = &fds;
        if !stop.revents().is_empty() {
            return Err(io::Error::other("this agent is stopping"));
        }
        (&mut &*self.socket).read(into)
    }
}

/// Names of entries end in a URL: nothing in them may lead elsewhere.
fn check_name(name: &str) -> Result<(), FeedError> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._+:-/".contains(&c);
    let part = |part: &str| part.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if name.len() <= 256 && name.bytes().all(allowed) && name.split('/').all(part) {
        return Ok(());
    }
    Err(Fault::never(Outcome::Malformed, "an entry has a name that no entry may have").into())
}

fn no_source(why: &str) -> Fault {
    Fault::payload(Outcome::CorruptPayload, format!("a delta has nothing to start from: {why}"))
}

/// How often a worker may say that it is alive instead of a chunk.
fn signs_of_life(encoding: Encoding) -> u32 {
    match encoding {
        Encoding::Frames | Encoding::Plain => 1,
        Encoding::Delta { .. } => DELTA_SIGNS,
    }
}

/// The place must be one that a payload can be decoded from.
fn check_place(payload: &PayloadSpec, at: Cursor) -> Result<(), FeedError> {
    let chunk_size = u64::from(payload.chunk_size);
    let sized = (1..=Image::CHUNK_MAX).contains(&payload.chunk_size);
    let before = at.out <= u64::from(at.chunk).saturating_mul(chunk_size).min(payload.image_size);
    if sized && before && at.input <= payload.size {
        return Ok(());
    }
    Err(Fault::payload(Outcome::CorruptPayload, "the payload cannot be decoded from there").into())
}

/// No other payload can help a document.
fn as_document(fault: Fault) -> FeedError {
    use crate::edges::Retry;
    let error = fault.believed();
    let retry = if error.retry == Retry::OtherPayload { Retry::Never } else { error.retry };
    FeedError { retry, ..error }
}

fn nonsense() -> FeedError {
    Fault::later(Outcome::Unreachable, "the worker answered with something that is no answer")
        .into()
}

fn broken(e: &io::Error) -> FeedError {
    let what = match e.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => "the worker ended".into(),
        io::ErrorKind::TimedOut => "the worker is silent".to_string(),
        _ => format!("cannot talk to the worker: {e}"),
    };
    Fault::later(Outcome::Unreachable, what).into()
}
