//! What terminals decide by themselves is what a server would say; and what they
//! leave to it.

mod any;

use super::*;
use crate::Standing;
use crate::operator::{
    Allowance, Draft, Halt, Opens, Rollout, Size, State, Tally, Wave, compile, track,
};
use crate::{Attempt, Audience, DownloadLimit, Fit, Labels, Schedule, SiteLimit, Terms};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use any::{any_rollouts, any_terminal};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use trust::{SigningKey, TrustError, seal_statement, verify_statement};
use types::{Abroad, AttemptId, ComponentState, Elsewhere, Latecomers, Outcome, Seconds, Text};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn image(version: &str) -> Digest {
    Digest::of(version.as_bytes())
}

fn recognised(version: &str, rollback_index: u64) -> Recognised {
    let (product, version, manifest) = (name("router"), name(version), image(version));
    let images = [(name("rootfs"), manifest)].into();
    Recognised { release: Release { product, version, rollback_index, manifest }, images }
}

fn rollout(id: &str, version: &str, index: u64) -> Rollout {
    let Recognised { release, images } = recognised(version, index);
    Rollout {
        id: name(id),
        release,
        images,
        audience: Audience::everyone(name("router")),
        fit: Fit::default(),
        terms: Terms::default(),
        waves: vec![Wave { size: Size::Percent(100), opens: Opens::ByHand, allows: None }],
        halt: Halt { allows: Allowance::default(), not_back: Seconds(60) },
        in_flight: u32::MAX,
        state: State::Running,
        why: Text::from("because"),
        wave: 0,
        opened: Timestamp(0),
        started: Some(Timestamp(0)),
        prepared: None,
        tally: Tally::default(),
    }
}

fn draft(aside: Vec<&Name>) -> Draft<'_> {
    Draft {
        product: name("router"),
        channel: Some(name("stable")),
        made: NOW,
        expires: NOW.after(Seconds(3600)),
        generation: 7,
        poll_seconds: 900,
        releases: vec![recognised("3", 3), recognised("2", 2), recognised("1", 1)],
        aside,
    }
}

/// A terminal, as the server knows it.
#[derive(Debug, Clone)]
struct Terminal {
    id: Name,
    region: Option<Name>,
    running: Running,
    enrolled: Timestamp,
    labels: Labels,
    abilities: Vec<Name>,
    attempts: Vec<Attempt>,
}

fn terminal(id: &str, version: &str) -> Terminal {
    let state = ComponentState { version: name(version), image: image(version) };
    Terminal {
        id: name(id),
        region: None,
        running: [(name("rootfs"), state)].into(),
        enrolled: Timestamp(0),
        labels: Labels { channel: Some(name("stable")), ..Labels::default() },
        abilities: vec![],
        attempts: vec![],
    }
}

impl Terminal {
    fn facts<'a>(
        &'a self,
        names: &'a [Name; 2],
        labels: &'a Labels,
        plan: &'a StaticPlan,
    ) -> DeviceFacts<'a> {
        DeviceFacts {
            id: &self.id,
            product: &names[0],
            hardware: &names[1],
            variant: None,
            region: self.region.as_ref(),
            running: &self.running,
            release: plan.release(&self.running),
            enrolled: self.enrolled,
            labels,
            abilities: &self.abilities,
            attempts: &self.attempts,
        }
    }

    /// What it knows of the operator's labels itself.
    fn own_labels(&self) -> Labels {
        let Labels { channel, zone, .. } = self.labels.clone();
        Labels { channel, zone, ..Labels::default() }
    }
}

/// What a server says, and what the terminal finds in the plan: the rule, the rollout
/// and the attempt.
fn both(
    rollouts: &[(Rollout, u32)],
    terminal: &Terminal,
    peer: Peer,
    now: Timestamp,
) -> (String, Result<String, Asks>) {
    let tracks = rollouts.iter().filter_map(|(r, audience)| track(r, *audience, BTreeSet::new()));
    let dynamic = Plan { generation: 7, good_until: now, tracks: tracks.collect() };
    let pinned = terminal.labels.pin.is_some().then_some(&terminal.id);
    let rollouts: Vec<_> =
        rollouts.iter().map(|(rollout, audience)| (rollout, *audience)).collect();
    let plan = compile(&draft(pinned.into_iter().collect()), &rollouts);
    let bytes = serde_json::to_vec(&plan).unwrap();
    let plan: StaticPlan = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(plan.fault(), None);
    let (names, own) = ([name("router"), name("r1")], terminal.own_labels());
    let says = |offer: &Offer<'_>, device: &DeviceFacts<'_>| {
        let attempt = match offer {
            Offer::Continue(_, id) | Offer::Withdrawn(_, id) => id.to_string(),
            Offer::Install(track) => match track.place(device) {
                Elsewhere::Refuse => String::new(),
                place => format!("{place:?}"),
            },
            _ => String::new(),
        };
        let rollout = offer.track().map(|track| track.rollout.to_string());
        format!("{} {} {attempt}", offer.rule(), rollout.unwrap_or_default()).trim().to_string()
    };
    let facts = terminal.facts(&names, &terminal.labels, &plan);
    let server = says(&offer(&dynamic, &facts, now), &facts);
    let enrolled = Timestamp(0);
    let known = DeviceFacts { enrolled, ..terminal.facts(&names, &own, &plan) };
    match plan.answer(&known, now, peer) {
        Verdict::Decided(offer) => (server, Ok(says(&offer, &known))),
        Verdict::Ask(asks) => (server, Err(asks)),
    }
}

fn check(rollouts: &[(Rollout, u32)], terminal: &Terminal, expected: Result<&str, Asks>) {
    let (server, found) = both(rollouts, terminal, Peer::Server, NOW);
    assert_eq!(found.as_deref().map_err(|asks| *asks), expected, "the server says {server}");
    if let Ok(found) = &found {
        assert_eq!(*found, server);
    }
}

#[test]
fn ordinary_rollouts_need_no_server() {
    let two = || rollout("r2", "2", 2);
    check(&[(two(), 50)], &terminal("cpe-1", "1"), Ok("install r2"));
    check(&[(two(), 50)], &terminal("cpe-1", "2"), Ok("up-to-date r2"));
    check(&[(two(), 50)], &terminal("cpe-1", "3"), Ok("runs-newer r2"));
    check(&[], &terminal("cpe-1", "1"), Ok("nothing"));
    let mut german = two();
    german.fit.regions = vec![name("DE")];
    let of = |region: &str| Terminal {
        region: Some(name(region)),
        abilities: vec![name("regions")],
        ..terminal("cpe-1", "1")
    };
    check(&[(german.clone(), 50)], &of("DE"), Ok("install r2"));
    check(&[(german.clone(), 50)], &of("CH"), Ok("not-for r2"));
    check(&[(german.clone(), 50)], &terminal("cpe-1", "1"), Ok("not-for r2"));
    german.audience.outside = Elsewhere::Ask;
    check(&[(german.clone(), 50)], &of("CH"), Ok("install r2 Ask"));
    // An older agent, which would pass over what it does not know, does not read it.
    let formats = [two(), german].map(|r| compile(&draft(vec![]), &[(&r, 50)]).format);
    assert_eq!(formats, [PLAIN_FORMAT, FORMAT]);
    let halted = Rollout { state: State::Halted, ..two() };
    check(&[(halted, 50)], &terminal("cpe-1", "1"), Ok("halted r2"));
    let mut south = two();
    south.audience.regions = vec![name("south")];
    check(&[(south, 50)], &terminal("cpe-1", "1"), Ok("not-for r2"));
    let mut channel = two();
    channel.audience.filter = Some("channel==stable;version.rootfs<2".parse().unwrap());
    check(&[(channel, 50)], &terminal("cpe-1", "1"), Ok("install r2"));
}

#[test]
fn a_large_fleet_is_shared_out_without_counting() {
    let mut tenth = rollout("r2", "2", 2);
    tenth.waves[0].size = Size::Percent(10);
    let answers = (0..2000).map(|n| {
        let terminal = terminal(&format!("cpe-{n}"), "1");
        both(&[(tenth.clone(), 1_000_000)], &terminal, Peer::Server, NOW)
    });
    let installed = answers.filter(|(server, found)| {
        assert_eq!(found.as_ref(), Ok(server));
        server.starts_with("install")
    });
    assert!((150..250).contains(&installed.count()));
}

#[test]
fn what_only_the_server_knows_is_asked() {
    let two = || rollout("r2", "2", 2);
    let ask = |rollout: Rollout, audience, asks| {
        check(&[(rollout, audience)], &terminal("cpe-1", "1"), Err(asks));
    };
    let mut tagged = two();
    tagged.audience.filter = Some("tag==pilot".parse().unwrap());
    ask(tagged.clone(), 50, Asks::Labels);
    let mut abroad = two();
    abroad.audience.abroad = Abroad::Nothing;
    ask(abroad, 50, Asks::Labels);
    let mut abroad = two();
    abroad.audience.abroad = Abroad::Ask;
    ask(abroad, 50, Asks::Labels);
    let mut home = two();
    (home.audience.abroad, home.fit.regions) = (Abroad::Home, vec![name("DE")]);
    ask(home, 50, Asks::Labels);
    let mut frozen = two();
    frozen.terms.latecomers = Latecomers::LeftOut;
    ask(frozen, 50, Asks::Frozen);
    let mut sited = two();
    sited.terms.site =
        Some(SiteLimit { by: name("olt"), in_flight: 3, downloads: DownloadLimit::default() });
    ask(sited, 50, Asks::Site);
    let mut slow = two();
    slow.terms.downloads.megabits = Some(100);
    ask(slow, 50, Asks::Counted);
    let mut few = two();
    few.waves[0].size = Size::Count(10);
    ask(few, 1_000_000, Asks::Counted);
    ask(Rollout { in_flight: 10, ..two() }, 1_000_000, Asks::Counted);
    let mut small = two();
    small.waves[0].size = Size::Percent(10);
    ask(small, 500, Asks::Counted);
    let mut nightly = two();
    nightly.terms.schedule.windows = vec!["mon-sun 01:00-05:00".parse().unwrap()];
    ask(nightly.clone(), 50, Asks::Zone);
    nightly.terms.schedule.zone = Some("Europe/Berlin".parse().unwrap());
    ask(nightly, 50, Asks::Hours);
    let mut pinned = terminal("cpe-1", "1");
    pinned.labels.pin = Some(name("1.5"));
    check(&[(two(), 50)], &pinned, Err(Asks::Aside));
    // Who had the offer belongs to the rollout, whatever its filter says.
    let mut done = terminal("cpe-1", "2");
    done.attempts = vec![attempt("r2", &done.id, 0, Standing::Reported)];
    check(&[(tagged, 50)], &done, Ok("up-to-date r2"));
}

#[test]
fn what_a_terminal_abroad_must_be_able_to_do_is_asked_each_time() {
    let mut abroad = rollout("r2", "2", 2);
    (abroad.audience.abroad, abroad.terms.retries) = (Abroad::Ask, 1);
    abroad.terms.schedule.windows = vec!["mon-sun 01:00-05:00".parse().unwrap()];
    let mut failed = Terminal { region: Some(name("north")), ..terminal("cpe-1", "1") };
    failed.attempts = vec![attempt("r2", &failed.id, 0, Standing::Failed(Outcome::Unreachable))];
    failed.labels.zone = Some("UTC".parse().unwrap());
    for home in ["north", "south"] {
        failed.labels.home = Some(name(home));
        for hour in 0..24 {
            let now = Timestamp(NOW.0 - hour * 3_600_000);
            let (_, found) = both(&[(abroad.clone(), 50)], &failed, Peer::Server, now);
            assert_eq!(found, Err(Asks::Labels), "{home}, {hour} h ago");
        }
    }
}

#[test]
fn older_rollouts_are_left_out_and_the_plan_says_so() {
    let many = |count| -> Vec<_> {
        let one = |n| {
            let mut rollout = rollout(&format!("r{n}"), "2", 2);
            rollout.audience.regions = vec![name("south")];
            (rollout, 50)
        };
        (0..count).map(one).collect()
    };
    check(&many(STATIC_TRACKS_LIMIT), &terminal("cpe-1", "1"), Ok("not-for r0"));
    check(&many(STATIC_TRACKS_LIMIT + 1), &terminal("cpe-1", "1"), Err(Asks::Older));
}

#[test]
fn whom_nobody_counts_is_bounded_by_the_share_of_the_wave() {
    let installed = |size, audience, tally| {
        let mut rollout = Rollout { tally, in_flight: 10, ..rollout("r2", "2", 2) };
        rollout.waves[0].size = size;
        let answer = |n: u32| {
            let terminal = terminal(&format!("cpe-{n}"), "1");
            both(&[(rollout.clone(), audience)], &terminal, Peer::Nobody, NOW).1.unwrap()
        };
        (0..1000).map(answer).filter(|answer| answer.starts_with("install")).count()
    };
    let none = Tally::default();
    assert!((60..140).contains(&installed(Size::Percent(10), 0, none)));
    assert!((60..140).contains(&installed(Size::Percent(10), 1_000_000, none)));
    assert!((60..140).contains(&installed(Size::Count(100_000), 1_000_000, none)));
    assert_eq!(installed(Size::Count(100), 0, none), 0);
    // That those who are counted fill the wave is nothing to those who are not.
    let full = Tally { exposed: 50, confirmed: 50, ..none };
    assert_eq!(installed(Size::Percent(100), 50, full), 1000);
}

#[test]
fn a_plan_is_believed_under_its_key_until_its_end() {
    let key = |seed| SigningKey::from_seed([seed; 32]).unwrap();
    let plan = compile(&draft(vec![]), &[(&rollout("r2", "2", 2), 50)]);
    let sealed = seal_statement(&plan, &key(1)).unwrap();
    let read = |keys: &[u8], now| {
        let keys: Vec<_> = keys.iter().map(|seed| key(*seed).public()).collect();
        verify_statement::<StaticPlan>(&keys, &sealed, now).map(|plan| StaticPlan::clone(&plan))
    };
    assert_eq!(read(&[2, 1], NOW).unwrap(), plan);
    assert!(matches!(read(&[2], NOW), Err(TrustError::UntrustedKey { .. })));
    assert!(matches!(read(&[1], plan.expires), Err(TrustError::Expired { .. })));
    let changed = String::from_utf8(sealed.bytes().to_vec()).unwrap().replace("900", "901");
    let changed = types::Sealed::from(changed.as_bytes());
    let read = verify_statement::<StaticPlan>(&[key(1).public()], &changed, NOW);
    assert!(matches!(read, Err(TrustError::WrongSignature { .. })));
    let newer = StaticPlan { format: FORMAT + 1, ..plan };
    let sealed = seal_statement(&newer, &key(1)).unwrap();
    let read = verify_statement::<StaticPlan>(&[key(1).public()], &sealed, NOW);
    assert!(matches!(read, Err(TrustError::BrokenRule { .. })));
}

#[test]
fn the_largest_plan_is_within_its_limit() {
    let devices: Vec<Name> = (0..ASIDE_LIMIT).map(|n| name(&format!("cpe-{n}"))).collect();
    let largest = |n| {
        let mut rollout = rollout(&format!("r{n}"), "2", 2);
        let filter = format!("version=in=({})", vec!["x".repeat(60); 20].join(","));
        rollout.audience.filter = Some(filter.parse().unwrap());
        rollout.images = (0..32).map(|n| (name(&format!("part-{n}")), image("2"))).collect();
        rollout
    };
    let rollouts: Vec<_> = (0..STATIC_TRACKS_LIMIT).map(largest).collect();
    let rollouts: Vec<_> = rollouts.iter().map(|rollout| (rollout, 50)).collect();
    let mut draft = draft(devices.iter().collect());
    draft.releases = vec![recognised("1", 1); RECOGNISED_LIMIT];
    let key = SigningKey::from_seed([1; 32]).unwrap();
    let sealed = seal_statement(&compile(&draft, &rollouts), &key).unwrap();
    assert!(sealed.bytes().len() > 200 << 10, "{}", sealed.bytes().len());
}

fn attempt(rollout: &str, device: &Name, retry: u32, standing: Standing) -> Attempt {
    let (id, rollout) = (AttemptId::new(rollout, device, retry), name(rollout));
    Attempt { rollout, id, manifest: Digest::default(), retry, standing }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_a_terminal_decides_is_what_the_server_says(
        rollouts in any_rollouts(),
        terminal in any_terminal(),
        hour in 0i64..24 * 14,
    ) {
        let now = Timestamp(NOW.0 - hour * 3_600_000);
        let (server, found) = both(&rollouts, &terminal, Peer::Server, now);
        if let Ok(found) = found {
            prop_assert_eq!(found, server);
        }
    }

    #[test]
    fn strangers_bring_no_panic(
        noise in proptest::collection::vec(0u8.., 0..300),
        text in "[0-9a-f]{0,20}|[*]{0,2}",
    ) {
        let _ = serde_json::from_slice::<StaticPlan>(&noise);
        let _ = Aside::try_from(text);
    }
}

#[test]
fn most_of_what_is_tried_is_decided() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let case = (any_rollouts(), any_terminal());
    let decided = (0..1000).filter(|_| {
        let (rollouts, terminal) = case.new_tree(&mut runner).unwrap().current();
        both(&rollouts, &terminal, Peer::Server, NOW).1.is_ok()
    });
    let decided = decided.count();
    assert!((300..900).contains(&decided), "{decided}");
}
