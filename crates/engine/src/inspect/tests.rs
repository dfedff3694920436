//! A manifest held against a terminal: one rule broken at a time.

use super::{DeviceFacts, Fallback, HookRule, Place, choose, fit};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use package::{Class, Codec, Component, ComponentKind, Hook, Manifest, Payload, Phase};
use types::{ComponentState, Digest, Effect, Elsewhere, Image, Name, Outcome, Running};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn component(text: &str, effect: Effect) -> Component {
    let sha256 = Digest::of(text.as_bytes());
    let image = Image { size: 1 << 20, sha256, chunk_size: 1 << 18, chunks: Digest::default() };
    let entry = alloc::format!("payload/{text}.zst");
    let payload = Payload {
        codec: Codec::ZstdFrames,
        entry,
        size: 9,
        sha256: Digest::default(),
        encryption: None,
    };
    Component {
        name: name(text),
        kind: ComponentKind::Rootfs,
        effect,
        version: None,
        image,
        payloads: vec![payload],
        works_with_both: true,
    }
}

fn manifest() -> Manifest {
    Manifest {
        format: Manifest::FORMAT,
        product: name("router"),
        variants: vec![name("carrier-x")],
        regions: vec![name("DE"), name("AT")],
        hardware: vec![name("r1"), name("r2")],
        version: name("2.0"),
        rollback_index: 7,
        class: Class::Feature,
        components: vec![
            component("kernel", Effect::Slot),
            component("rootfs", Effect::Slot),
            component("voip", Effect::Live),
        ],
        notes: BTreeMap::new(),
        hooks: Vec::new(),
        configuration: None,
        support_until: None,
        release_notes: None,
        sbom: None,
    }
}

fn device() -> DeviceFacts {
    let place = |effect| {
        let fallback = if effect == Effect::Slot { Fallback::Copy } else { Fallback::None };
        Place { effect, capacity: 1 << 20, fallback }
    };
    DeviceFacts {
        product: name("router"),
        hardware: vec![name("r2"), name("generic")],
        variant: Some(name("carrier-x")),
        region: Some(name("AT")),
        elsewhere: Elsewhere::Refuse,
        places: BTreeMap::from([
            (name("kernel"), place(Effect::Slot)),
            (name("rootfs"), place(Effect::Slot)),
            (name("voip"), place(Effect::Live)),
        ]),
        floors: BTreeMap::from([(name("rootfs"), 7)]),
        running: Running::new(),
        hooks: HookRule::Run,
        protected: BTreeSet::from([name("calibration")]),
    }
}

#[track_caller]
fn check(manifest: &Manifest, device: &DeviceFacts, expected: Option<Outcome>) {
    assert_eq!(fit(manifest, device).err().map(|refusal| refusal.outcome), expected);
}

/// One change to the package and what comes of it.
type Case = (fn(&mut Manifest, &mut DeviceFacts), Option<Outcome>);

#[test]
fn one_rule_at_a_time() {
    let cases: &[Case] = &[
        (|_, _| (), None),
        (|m, _| m.product = name("switch"), Some(Outcome::WrongProduct)),
        (|m, _| m.hardware = vec![name("r1")], Some(Outcome::WrongHardware)),
        (|m, _| m.variants = vec![name("carrier-y")], Some(Outcome::WrongVariant)),
        (|_, d| d.variant = None, Some(Outcome::WrongVariant)),
        (|m, _| m.variants.clear(), None),
        (|m, _| m.regions = vec![name("CH")], Some(Outcome::WrongRegion)),
        (|_, d| d.region = None, Some(Outcome::WrongRegion)),
        (|m, d| (m.regions, d.region) = (vec![], None), None),
        (|_, d| (d.region, d.elsewhere) = (None, Elsewhere::Allow), None),
        (|_, d| (d.region, d.elsewhere) = (Some(name("CH")), Elsewhere::Ask), None),
        (
            |m, d| (m.variants, d.elsewhere) = (vec![name("y")], Elsewhere::Allow),
            Some(Outcome::WrongVariant),
        ),
        (|m, _| m.rollback_index = 6, Some(Outcome::Downgrade)),
        (|_, d| d.places.retain(|n, _| n.as_str() != "voip"), Some(Outcome::UnknownComponent)),
        (|m, _| m.components[2].effect = Effect::Direct, Some(Outcome::UnknownComponent)),
        (|m, _| m.components[0].image.size += 1, Some(Outcome::SlotTooSmall)),
        (|m, _| m.components[0].payloads[0].codec = Codec::Unknown, Some(Outcome::UnknownFormat)),
        (
            |m, _| m.components[0].payloads[0].encryption = Some("a".to_string()),
            Some(Outcome::UnknownFormat),
        ),
        (|m, _| m.components[0].kind = ComponentKind::Bootloader, None),
        (|m, _| m.components[2].kind = ComponentKind::Bootloader, Some(Outcome::NoFallback)),
        (|m, _| m.hooks = vec![hook()], None),
        (|_, d| d.hooks = HookRule::Refuse("no".into()), None),
        (
            |m, d| (m.hooks, d.hooks) = (vec![hook()], HookRule::Refuse("no".into())),
            Some(Outcome::NoSandbox),
        ),
        (|m, _| m.components[1].name = name("calibration"), Some(Outcome::UnknownComponent)),
        (|m, d| d.running = running(m, &[0, 1, 2]), Some(Outcome::AlreadyRunning)),
    ];
    for (change, expected) in cases {
        let (mut manifest, mut device) = (manifest(), device());
        change(&mut manifest, &mut device);
        check(&manifest, &device, *expected);
    }
}

fn hook() -> Hook {
    let (phase, command) = (Phase::Health, vec!["/bin/true".to_string()]);
    Hook { phase, command, limit_seconds: 1, program: None, step: None }
}

/// What a terminal runs that has these components of the manifest already.
fn running(manifest: &Manifest, which: &[usize]) -> Running {
    let state = |index: &usize| {
        let component = &manifest.components[*index];
        let state = ComponentState { version: name("2.0"), image: component.image.sha256 };
        (component.name.clone(), state)
    };
    which.iter().map(state).collect()
}

/// Components that run already are left out, but banks are written together.
#[test]
fn what_runs_is_not_installed_again() {
    let manifest = manifest();
    for (runs, expected) in [
        (&[][..], &[0, 1, 2][..]),
        (&[2], &[0, 1]),
        (&[0], &[0, 1, 2]),
        (&[0, 1], &[2]),
        (&[0, 1, 2], &[]),
    ] {
        let chosen = choose(&manifest, &running(&manifest, runs));
        let chosen: Vec<u8> = chosen.into_iter().map(|(index, _)| index).collect();
        assert_eq!(chosen, expected, "{runs:?} run");
    }
}
