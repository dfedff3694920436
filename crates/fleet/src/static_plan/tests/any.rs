//! Rollouts and terminals of all kinds.

use super::*;

fn one_of<T: Clone + core::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(all.to_vec())
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let zone = one_of(&[None, Some("UTC"), Some("CET-1CEST,M3.5.0,M10.5.0/3"), Some("Asia/Tokyo")]);
    let windows = one_of(&[vec![], vec!["mon-fri 01:00-05:00"], vec!["sat-sun 20:00-04:00"]]);
    let site =
        Some(SiteLimit { by: name("olt"), in_flight: 2, downloads: DownloadLimit::default() });
    let latecomers = one_of(&[Latecomers::Included, Latecomers::Included, Latecomers::LeftOut]);
    (zone, windows, one_of(&[None, None, site]), latecomers, 0u8..3).prop_map(
        |(zone, windows, site, latecomers, retries)| {
            let schedule = Schedule {
                starts: None,
                windows: windows.iter().map(|window| window.parse().unwrap()).collect(),
                quiet: vec![],
                zone: zone.map(|zone| zone.parse().unwrap()),
            };
            Terms { schedule, site, latecomers, retries, ..Terms::default() }
        },
    )
}

fn any_audience() -> impl Strategy<Value = Audience> {
    let filter = one_of(&[None, Some("version<2"), Some("tag==a"), Some("channel==stable")]);
    let abroad = one_of(&[Abroad::Used, Abroad::Home, Abroad::Ask, Abroad::Nothing]);
    let outside = one_of(&[Elsewhere::Refuse, Elsewhere::Ask, Elsewhere::Allow]);
    let regions = one_of(&[vec![], vec![name("north")], vec![name("south")]]);
    let running = one_of(&[vec![], vec![], vec![name("1")]]);
    (filter, abroad, outside, regions, running).prop_map(
        |(filter, abroad, outside, regions, running)| Audience {
            filter: filter.map(|filter| filter.parse().unwrap()),
            abroad,
            outside,
            regions,
            running,
            ..Audience::everyone(name("router"))
        },
    )
}

fn any_rollout() -> impl Strategy<Value = (Rollout, u32)> {
    let states = [State::Draft, State::Running, State::Running, State::Paused, State::Halted];
    let sizes = [Size::Percent(5), Size::Percent(60), Size::Percent(100), Size::Count(20)];
    let goes = (one_of(&states), one_of(&sizes), one_of(&[0, 1, 20, 600, 20_000]), 0u32..60);
    let flights = one_of(&[1, 30, u32::MAX]);
    let meant = one_of(&[vec![], vec![], vec![name("north")], vec![name("south"), name("east")]]);
    (1u64..4, any_audience(), any_terms(), goes, flights, meant).prop_map(
        |(index, audience, terms, (state, size, count, exposed), in_flight, regions)| {
            let mut base = rollout("r", &index.to_string(), index);
            base.fit.regions = regions;
            let wave = Wave { size, opens: Opens::ByHand, allows: None };
            let exposed = exposed.min(count);
            let tally = Tally { exposed, in_flight: exposed / 2, ..Tally::default() };
            let changed = Rollout { audience, terms, state, in_flight, tally, ..base };
            (Rollout { waves: vec![wave], ..changed }, count)
        },
    )
}

pub(super) fn any_rollouts() -> impl Strategy<Value = Vec<(Rollout, u32)>> {
    proptest::collection::vec(any_rollout(), 0..5).prop_map(|mut all| {
        all.iter_mut().zip(1..).for_each(|((rollout, _), n)| rollout.id = name(&format!("r{n}")));
        all
    })
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let zones = [None, Some("UTC"), Some("CET-1CEST,M3.5.0,M10.5.0/3")];
    let tags = one_of(&[BTreeSet::new(), [name("a")].into()]);
    let homes = one_of(&[None, Some(name("north")), Some(name("south"))]);
    let pins = one_of(&[None, None, None, Some(name("2"))]);
    (one_of(&zones), tags, homes, pins).prop_map(|(zone, tags, home, pin)| Labels {
        channel: Some(name("stable")),
        zone: zone.map(|zone| zone.parse().unwrap()),
        tags,
        home,
        pin,
        ..Labels::default()
    })
}

pub(super) fn any_terminal() -> impl Strategy<Value = Terminal> {
    let standings = [
        Standing::Offered,
        Standing::Reported,
        Standing::Confirmed,
        Standing::Reverted,
        Standing::Failed(Outcome::Unreachable),
        Standing::Failed(Outcome::BootFailed),
        Standing::Neutral(Outcome::Declined),
    ];
    let attempts = proptest::collection::vec((1u8..5, 0u32..3, one_of(&standings)), 0..3);
    let regions = one_of(&[None, Some(name("north")), Some(name("south"))]);
    let enrolled = one_of(&[Timestamp(0), NOW]);
    let version = one_of(&["1", "2", "3", "9"]);
    let abilities = one_of(&[vec![], vec![name("regions")]]);
    (0u32..100_000, version, regions, enrolled, any_labels(), abilities, attempts).prop_map(
        |(n, version, region, enrolled, labels, abilities, attempts)| {
            let terminal = terminal(&format!("cpe-{n}"), version);
            let mut known = BTreeSet::new();
            let attempts = attempts.into_iter().filter(|(of, ..)| known.insert(*of));
            let attempts = attempts.map(|(of, retry, standing)| {
                attempt(&format!("r{of}"), &terminal.id, retry, standing)
            });
            let attempts = attempts.collect();
            Terminal { region, enrolled, labels, abilities, attempts, ..terminal }
        },
    )
}
