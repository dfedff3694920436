//! From the configuration to the edges of this terminal.

#[cfg(feature = "upkeep")]
use agent::config::OnUncontained;
use agent::config::{Component, Config, LayoutWord, Server};
#[cfg(feature = "components")]
use agent::edges::OwnProgram;
use agent::edges::{Power, Source, Stage, Store};
use agent::https::{self, Least, Trust};
use agent::platform::clock::{self, Asked, Call, LinuxClock, TimeFloor};
#[cfg(feature = "upkeep")]
use agent::platform::configuration::Folders;
use agent::platform::confine::{self, Nobody};
#[cfg(feature = "upkeep")]
use agent::platform::contain::Places;
#[cfg(feature = "components")]
use agent::platform::copies::TwoCopies;
use agent::platform::flash::{SlotMedium, Trim};
use agent::platform::floors::FloorFile;
use agent::platform::health::{ByHand, Checks};
#[cfg(feature = "upkeep")]
use agent::platform::hooks::{HookSettings, Runner, Uncontained};
use agent::platform::journal::JournalFile;
#[cfg(feature = "components")]
use agent::platform::live::{DirectPlace, LiveDirectory, Program};
use agent::platform::lock::{self, Lock};
#[cfg(feature = "components")]
use agent::platform::own::OwnFile;
use agent::platform::partition::{self, Found};
use agent::platform::power::{LinuxPower, Restart};
#[cfg(feature = "upkeep")]
use agent::platform::reset::Reset;
use agent::platform::senses::LinuxSenses;
use agent::platform::stage::StageFile;
use agent::platform::stop::Stop;
use agent::platform::store::Directory;
use agent::platform::watchdog::{Keeper, LinuxWatchdog, Pulse, Vigil};
#[cfg(feature = "cards")]
use agent::sources::MediaSource;
use agent::sources::{LocalSource, NativeSource, native};
use agent::worker::{Banks, Network, Workers};
use agent::{Bank, Device, Edges, Inventory, ROOT};
use anyhow::Context;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::{Name, Seconds};

/// Bytes that the server's small answers may have under way.
const ANSWER_WINDOW: usize = 32 << 10;

/// Which sources an agent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sources {
    /// The server, where there is one, and the command line.
    All,
    /// The command line only.
    Local,
}

/// A file of the state directory.
pub(super) fn state_file(config: &Config, name: &str) -> PathBuf {
    config.state_dir.join(name)
}

/// The documents.
pub(super) fn store(config: &Config) -> anyhow::Result<Directory> {
    let path = config.state_dir.join("documents");
    Directory::open(&path).with_context(|| format!("cannot open `{}`", path.display()))
}

/// Where the agent listens to calls.
pub(super) fn wake_path(config: &Config) -> PathBuf {
    config.runtime_dir().join("wake")
}

/// Where the agent says what goes on.
pub(super) fn status_path(config: &Config) -> PathBuf {
    config.runtime_dir().join("status.json")
}

/// Makes the directories that the agent lives in.
pub(super) fn make_directories(config: &Config) -> anyhow::Result<()> {
    for path in [&config.state_dir, &config.runtime_dir().to_path_buf()] {
        Directory::open(path).with_context(|| format!("cannot make `{}`", path.display()))?;
    }
    Ok(())
}

/// Takes the lock that makes this the only agent; `None` when there is another one.
pub(super) fn lock(config: &Config) -> anyhow::Result<Option<Lock>> {
    lock::take(&state_file(config, "lock")).context("cannot lock the state directory")
}

/// What front ends for owners read and leave.
#[cfg(any(feature = "page", feature = "dbus"))]
pub(super) fn desk(config: &Config) -> anyhow::Result<agent::desk::Desk> {
    Ok(agent::desk::Desk {
        device: config.device.clone(),
        rules: config.rules(),
        store: store(config)?,
        status: status_path(config),
        wake: wake_path(config),
        floor: now(config),
    })
}

/// The source of orders from the command line.
pub(super) fn local_name() -> anyhow::Result<Name> {
    Ok("local".parse()?)
}

/// A terminal, ready to step, and the calls that it hears.
pub(super) struct Terminal {
    pub(super) device: Device,
    pub(super) asked: Asked,
}

/// Puts a terminal together.
pub(super) fn assemble(
    config: &Config,
    sources: Sources,
    stop: &Stop,
    calls: Option<UnixDatagram>,
) -> anyhow::Result<Terminal> {
    make_directories(config)?;
    let mut store = store(config)?;
    provision(config, &mut store)?;
    let floor = TimeFloor::load(&state_file(config, "time"));
    let clock = LinuxClock::new(floor.at(), calls, stop.try_clone()?);
    let asked = clock.asked();
    let power = power(config);
    let boot_id = power.boot_id().context("cannot name this boot")?;
    let within = Seconds(config.health.by_hand_within);
    let by_hand = ByHand { store: store.clone(), boot: boot_id, within };
    let senses = LinuxSenses::new(config.senses.sensors(&config.state_dir), floor.at());
    let checks = config.health.checks();
    let edges = Edges {
        banks: config.components.iter().map(|(name, c)| (name.clone(), bank(config, c))).collect(),
        boot: config.boot_control(),
        journal: Box::new(JournalFile::new(&state_file(config, "journal"))),
        floors: Box::new(FloorFile::new(&state_file(config, "floors"))),
        sources: make_sources(config, sources, &store, &floor)?,
        feeds: Box::new(workers(config, &floor, stop)?),
        store: Box::new(store),
        power: Box::new(power),
        clock: Box::new(clock),
        health: Box::new(Checks::new(checks, by_hand)),
        senses: Box::new(senses),
        #[cfg(feature = "upkeep")]
        hooks: Box::new(runner(config)?),
        #[cfg(feature = "upkeep")]
        configuration: Box::new(folders(config)?),
        #[cfg(not(feature = "upkeep"))]
        hooks: Box::new(agent::edges::Absent),
        #[cfg(not(feature = "upkeep"))]
        configuration: Box::new(agent::edges::Absent),
        stage: stage(config),
        #[cfg(feature = "components")]
        own: own(config),
        #[cfg(not(feature = "components"))]
        own: None,
    };
    let device = Device::start(edges, config.identity(), config.options())
        .context("cannot take up the update in progress")?;
    Ok(Terminal { device, asked })
}

/// What the factory gave the terminal is taken over once.
fn provision(config: &Config, store: &mut Directory) -> anyhow::Result<()> {
    if store.read(Inventory::NAME)?.is_none() {
        let inventory = serde_json::to_vec(&config.inventory())?;
        store.replace(Inventory::NAME, &inventory).context("cannot write the inventory")?;
    }
    if store.read(ROOT)?.is_none() {
        let root = std::fs::read(&config.root);
        let root = root.with_context(|| format!("cannot read `{}`", config.root.display()))?;
        store.replace(ROOT, &root).context("cannot store the root of trust")?;
    }
    Ok(())
}

/// Locks what an agent unlocked that was killed in the midst of writing: only who holds the
/// terminal may.
pub(super) fn lock_media(config: &Config) {
    for place in config.written() {
        match partition::lock(place) {
            Ok(Found::Closed) => {}
            Ok(Found::Open) => {
                eprintln!("refit-agent: `{}` was left unlocked; it is locked", place.display());
            }
            Err(e) => eprintln!("refit-agent: cannot lock `{}`: {e}", place.display()),
        }
    }
}

/// Feeds the hardware's watchdog from now on, where the configuration names one.
pub(super) fn keep_watchdog(config: &Config, pulse: &Pulse) -> Option<Keeper> {
    let watchdog = config.watchdog.as_ref()?;
    let time = Seconds(watchdog.timeout_seconds);
    let device = LinuxWatchdog::at(&watchdog.device, time);
    let vigil = Vigil::new(config.health.checks(), pulse.clone());
    let wake = wake_path(config);
    // The agent is called to say so; where it cannot be, it says so with what comes next.
    let tell = move || drop(clock::call(&wake, Call::Look));
    Some(Keeper::start(Box::new(device), vigil, time, tell))
}

/// The terminal's power.
pub(super) fn power(config: &Config) -> LinuxPower {
    let restart = match config.power.restart.as_slice() {
        [] => Restart::Exit,
        words => Restart::Command(words.to_vec()),
    };
    LinuxPower::new(config.power.boot_id_file.as_deref(), restart)
}

fn bank(config: &Config, component: &Component) -> Bank {
    let trim = if config.install.trim { Trim::Before } else { Trim::Never };
    let slot = |path: &Path, size: u64| SlotMedium::new(path, size).with_trim(trim);
    match component {
        Component::Slot { a, b: Some(b), size } => {
            Bank::Slots(Box::new(slot(a, *size)), Box::new(slot(b, *size)))
        }
        Component::Slot { a, b: None, size } => Bank::System(Box::new(slot(a, *size))),
        #[cfg(feature = "components")]
        Component::Copies { a, b, size, running, switch } => {
            let [a, b] = [a, b].map(|place| SlotMedium::new(place, *size));
            Bank::Copies(Box::new(TwoCopies::new(a, b, running.into(), switch.into())))
        }
        #[cfg(feature = "components")]
        Component::Live { directory, size, reload, program, agent } => {
            let program = if *program || *agent { Program::Yes } else { Program::No };
            let live = LiveDirectory::new(directory, *size, reload.clone());
            Bank::Live(Box::new(live.with_program(program)))
        }
        #[cfg(feature = "components")]
        Component::Direct { place, staging, size } => {
            Bank::Direct(Box::new(DirectPlace::new(place, staging, *size)))
        }
    }
}

/// Where packages are kept before the only system is given up for them.
fn stage(config: &Config) -> Option<Box<dyn Stage>> {
    let is_kept = config.layout == LayoutWord::Recovery;
    is_kept.then(|| Box::new(StageFile::new(&config.stage())) as Box<dyn Stage>)
}

/// The agent's own program, where it is a component.
#[cfg(feature = "components")]
fn own(config: &Config) -> Option<Box<dyn OwnProgram>> {
    config.components.iter().find_map(|(name, component)| match component {
        Component::Live { directory, agent: true, .. } => {
            Some(Box::new(OwnFile::new(name.clone(), directory)) as Box<dyn OwnProgram>)
        }
        _ => None,
    })
}

fn make_sources(
    config: &Config,
    which: Sources,
    store: &Directory,
    floor: &TimeFloor,
) -> anyhow::Result<Vec<Box<dyn Source>>> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if which == Sources::All {
        sources.extend(far_source(config, store, floor)?);
    }
    #[cfg(feature = "cards")]
    if which == Sources::All && !config.media.mounts.is_empty() {
        let mounts = config.media.mounts.clone();
        sources.push(Box::new(MediaSource::new("media".parse()?, mounts, store.clone())));
    }
    sources.push(Box::new(LocalSource::new(local_name()?, store.clone())));
    Ok(sources)
}

/// The plan, the server, or the server behind the plan.
fn far_source(
    config: &Config,
    store: &Directory,
    floor: &TimeFloor,
) -> anyhow::Result<Option<Box<dyn Source>>> {
    let server = config.server.as_ref();
    let server = server.map(|server| native_source(config, server, store, floor)).transpose()?;
    let server = server.map(|server| Box::new(server) as Box<dyn Source>);
    #[cfg(feature = "plan")]
    if let Some(plan) = &config.plan {
        return plan_source(config, plan, store, server).map(Some);
    }
    Ok(server)
}

#[cfg(feature = "plan")]
fn plan_source(
    config: &Config,
    plan: &agent::config::Plan,
    store: &Directory,
    server: Option<Box<dyn Source>>,
) -> anyhow::Result<Box<dyn Source>> {
    let agent = far_agent(config, &plan.ca).context("cannot trust who serves the plan")?;
    let place = agent::sources::plan::Place {
        url: plan.url.trim_end_matches('/').to_string(),
        channel: plan.channel.clone(),
        keys: plan.public_keys(),
        zone: config.policy.zone_rule().and_then(|rule| rule.parse().ok()),
    };
    let plan =
        agent::sources::PlanSource::new("plan".parse()?, place, agent, store.clone(), server);
    Ok(Box::new(plan))
}

fn native_source(
    config: &Config,
    server: &Server,
    store: &Directory,
    floor: &TimeFloor,
) -> anyhow::Result<NativeSource<Directory>> {
    let agent = server_agent(config, server)?;
    let url = server.url.trim_end_matches('/').to_string();
    let logs = if server.tell_logs { native::Logs::Told } else { native::Logs::Kept };
    let address = native::Address { url, token_file: server.token_file.clone(), logs };
    Ok(NativeSource::new("native".parse()?, address, agent, store.clone(), floor.clone()))
}

/// What talks to the server.
pub(super) fn server_agent(config: &Config, server: &Server) -> anyhow::Result<https::Agent> {
    far_agent(config, &server.ca).context("cannot trust the server")
}

/// What talks to whoever has a certificate of the authorities in `ca`.
fn far_agent(config: &Config, ca: &Path) -> anyhow::Result<https::Agent> {
    let network = &config.network;
    let limits = https::Limits {
        connect: seconds(network.connect_seconds),
        read: seconds(network.read_seconds),
        window: ANSWER_WINDOW,
        least: Least { rate: network.least_rate, over: millis(network.least_rate_seconds) },
    };
    let floor = TimeFloor::load(&state_file(config, "time")).at();
    let (agent, _) = https::agent(&Trust { roots: roots(ca)?, floor }, &limits)?;
    Ok(agent)
}

pub(super) fn roots(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    https::roots(&pem).with_context(|| format!("cannot use `{}`", path.display()))
}

fn workers(config: &Config, floor: &TimeFloor, stop: &Stop) -> anyhow::Result<Workers> {
    let from = &config.network;
    let authorities = config.authorities().into_iter();
    let roots: Vec<_> = authorities.map(roots).collect::<Result<_, _>>()?;
    let network = Network {
        roots: roots.concat(),
        floor: floor.at().0,
        connect_ms: millis(from.connect_seconds),
        read_ms: millis(from.read_seconds),
        window: from.window_kib << 10,
        least_rate: from.least_rate,
        least_over_ms: millis(from.least_rate_seconds),
        bandwidth: from.bandwidth,
    };
    // The program that runs, even if its file is being replaced.
    let program = PathBuf::from("/proc/self/exe");
    let heap = u64::from(config.memory_class_mib) << 20;
    let workers = Workers::new(program, nobody(config)?, network, stop.try_clone()?);
    Ok(workers.with_deltas(banks(config), heap))
}

/// Where the banks are, for deltas: a worker gets them open, for reading.
fn banks(config: &Config) -> Banks {
    let bank = |(name, component): (&Name, &Component)| match component {
        Component::Slot { a, b: Some(b), .. } => Some((name.clone(), [a.clone(), b.clone()])),
        _ => None,
    };
    config.components.iter().filter_map(bank).collect()
}

/// Who a worker becomes: nobody else, unless this is root.
fn nobody(config: &Config) -> anyhow::Result<Option<Nobody>> {
    someone("worker", &config.worker.user)
}

/// Who `what` becomes where this is root.
fn someone(what: &str, user: &str) -> anyhow::Result<Option<Nobody>> {
    if !confine::is_root() {
        return Ok(None);
    }
    Ok(Some(confine::user(user).with_context(|| format!("cannot use `{what}.user = {user}`"))?))
}

/// What runs the programs of packages.
#[cfg(feature = "upkeep")]
pub(super) fn runner(config: &Config) -> anyhow::Result<Runner> {
    let hooks = &config.hooks;
    let settings = HookSettings {
        nobody: someone("hooks", &hooks.user)?,
        memory_mib: hooks.memory_mib,
        places: Places {
            readable: hooks.read.clone(),
            writable: hooks.write.clone(),
            network: hooks.network,
        },
        uncontained: match hooks.uncontained {
            OnUncontained::Refuse => Uncontained::Refuse,
            OnUncontained::Run => Uncontained::Run,
        },
        folder: config.runtime_dir().into(),
    };
    Ok(Runner::new(PathBuf::from("/proc/self/exe"), settings))
}

/// What a factory reset does.
#[cfg(feature = "upkeep")]
pub(super) fn reset(config: &Config) -> anyhow::Result<Reset> {
    let factory = config.configuration.as_ref().and_then(|kept| kept.factory.clone());
    let empty = config.factory_reset.empty.clone();
    Ok(Reset { configuration: folders(config)?, factory, empty })
}

/// The terminal's configuration.
#[cfg(feature = "upkeep")]
pub(super) fn folders(config: &Config) -> anyhow::Result<Folders> {
    let kept = config.configuration.as_ref();
    Ok(Folders {
        folder: kept.map(|kept| kept.folder.clone()),
        keep: kept.map(|kept| kept.patterns()).unwrap_or_default(),
        form: kept.map_or(1, |kept| kept.form),
        own: kept.map(|kept| kept.own()).unwrap_or_default(),
        runner: runner(config)?,
    })
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn millis(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}

/// The time now, never below what is certain.
pub(super) fn now(config: &Config) -> types::Timestamp {
    clock::wall(TimeFloor::load(&state_file(config, "time")).at())
}
