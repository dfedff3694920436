//! Payload addresses: short, bound to an attempt, by range, counted.

use crate::maker::image;
use crate::support::{Rig, Terminal};
use serde_json::json;
use types::Digest;

const MIB: u64 = 1 << 20;

fn offered() -> (Rig, Terminal, String, String) {
    offered_of("2.0")
}

fn offered_of(version: &str) -> (Rig, Terminal, String, String) {
    let rig = Rig::start();
    rig.publish(version);
    rig.rollout(&json!({"name": "spring", "release": version, "halt": {"failures_count": 9}}));
    let terminal = rig.terminals(1).remove(0);
    let (_, answer) = terminal.beat();
    let text = |name: &str| answer["offer"][name].as_str().unwrap().to_owned();
    let (base, attempt) = (text("base"), text("attempt"));
    (rig, terminal, base, attempt)
}

fn served(rig: &Rig) -> u64 {
    rig.get("/api/v1/devices/d0").1["attempt"]["bytes_served"].as_u64().unwrap()
}

#[test]
fn an_offer_leads_to_every_entry_of_its_package() {
    let (rig, terminal, base, _) = offered();
    assert!(base.len() <= 256 && base.starts_with(rig.url()) && base.ends_with('/'), "{base}");
    let get = |entry: &str| terminal.client.fetch(&format!("{base}{entry}"), &[]);
    let manifest = get("manifest.json");
    assert_eq!(manifest.status, 200);
    let manifest: package::Manifest = serde_json::from_slice(&manifest.body).unwrap();
    let rootfs = &manifest.components[0];
    assert_eq!(Digest::of(&get("payload/rootfs.zst").body), rootfs.payloads[0].sha256);
    assert_eq!(Digest::of(&get("chunks/rootfs").body), rootfs.image.chunks);
    assert_eq!(rootfs.image.sha256, Digest::of(&image("2.0")));
    assert_eq!(get("targets.json").status, 200);
    for wrong in ["", "nothing", "payload/../manifest.json", "%2e%2e/root.json"] {
        assert_eq!(get(wrong).status, 404, "{wrong}");
    }
}

#[test]
fn ranges_and_conditions_are_honoured() {
    let (_rig, terminal, base, _) = offered();
    let url = format!("{base}payload/rootfs.zst");
    let get = |headers: &[(&str, &str)]| terminal.client.fetch(&url, headers);
    let whole = get(&[]);
    let size = whole.body.len();
    let part = get(&[("range", "bytes=1000-1999")]);
    assert_eq!((part.status, part.range), (206, format!("bytes 1000-1999/{size}")));
    assert_eq!(part.body, whole.body[1000..2000]);
    let rest = get(&[("range", &format!("bytes={}-", size - 5)), ("if-match", &whole.tag)]);
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[size - 5..]));
    let past = get(&[("range", &format!("bytes={size}-"))]);
    assert_eq!((past.status, past.range), (416, format!("bytes */{size}")));
    assert_eq!(get(&[("if-match", "\"other\"")]).status, 412);
    let changed = get(&[("range", "bytes=0-0"), ("if-range", "\"other\"")]);
    assert_eq!((changed.status, changed.body.len()), (200, size));
}

#[test]
fn an_address_serves_its_attempt_only() {
    let (rig, terminal, base, attempt) = offered();
    let status = |base: &str| terminal.client.fetch(&format!("{base}manifest.json"), &[]).status;
    assert_eq!(status(&base), 200);
    let mut forged = base.clone();
    let at = base.len() - 3;
    forged.replace_range(at..=at, if &base[at..=at] == "A" { "B" } else { "A" });
    assert_eq!((status(&forged), status(&format!("{}/v1/a/x/", rig.url()))), (403, 403));
    terminal.report(&attempt, 209);
    assert_eq!(status(&base), 410, "the attempt has ended");
}

#[test]
fn a_halt_closes_the_address() {
    let (rig, terminal, base, _) = offered();
    let (_, list) = rig.get("/api/v1/rollouts");
    let id = list["rollouts"][0]["id"].as_str().unwrap();
    assert_eq!(rig.post(&format!("/api/v1/rollouts/{id}/halt"), &json!({})).0, 200);
    assert_eq!(terminal.client.fetch(&format!("{base}manifest.json"), &[]).status, 410);
}

#[test]
fn bytes_are_counted_once_per_byte_sent() {
    let (rig, terminal, base, _) = offered();
    let url = format!("{base}payload/rootfs.zst");
    let whole = terminal.client.fetch(&url, &[]).body.len() as u64;
    assert_eq!(served(&rig), whole);
    assert_eq!(terminal.client.fetch(&url, &[("range", "bytes=0-99")]).body.len(), 100);
    assert_eq!(served(&rig), whole + 100);
    terminal.client.fetch(&url, &[("range", &format!("bytes={whole}-"))]);
    assert_eq!(served(&rig), whole + 100, "what is not sent is not counted");
}

#[test]
fn cuts_cost_little_more_than_what_was_read() {
    const CUTS: u64 = 6;
    let (rig, terminal, base, _) = offered_of("2.0-big");
    let url = format!("{base}payload/rootfs.zst");
    let whole = image("2.0-big").len() as u64;
    let mut got = Vec::new();
    for _ in 0..CUTS {
        let at = got.len() as u64;
        got.extend(terminal.client.fetch_and_hang_up(&url, at, whole / (CUTS + 1)));
    }
    let rest = terminal.client.fetch(&url, &[("range", &format!("bytes={}-", got.len()))]);
    got.extend(&rest.body);
    let payload = got.len() as u64;
    // What lies in the buffers of both ends when a connection breaks was sent.
    let bound = payload + CUTS * 4 * MIB;
    assert!((payload..=bound).contains(&served(&rig)), "{} of {payload}", served(&rig));
    println!("{CUTS} cuts: {} bytes beyond the payload", served(&rig) - payload);
}
