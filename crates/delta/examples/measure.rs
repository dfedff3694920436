//! Makes and applies the patch between two files, and prints what it costs.
//!
//! `cargo run --release -p delta --features diff --example measure OLD NEW [MAX_HEAP_MIB [fast]]`

use delta::{Applier, DiffOptions, Effort, Limits, PatchHeader, ReadAt, diff};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [old, new, ..] = args.as_slice() else { return Err("OLD NEW [MAX_HEAP_MIB]".into()) };
    let new = std::fs::read(new)?;
    let max_heap = args.get(2).map_or(Ok(16), |mib| mib.parse::<u64>())? << 20;
    let effort = if args.len() > 3 { Effort::Fast } else { Effort::Best };
    let options = DiffOptions { max_heap, effort, ..DiffOptions::default() };
    let start = cpu();
    let delta = diff(std::fs::read(old)?, &new, &options, &())?;
    let made = cpu() - start;
    println!("{} KiB of memory at most", most());
    let old = std::fs::read(old)?;
    let start = own();
    let (out, again) = apply(&delta.bytes, &old, max_heap)?;
    let applied = own() - start;
    if out != new {
        return Err("the patch makes other bytes".into());
    }
    println!(
        "{} bytes, made in {made:.2} s of processor time, applied in {applied:.3} s",
        delta.bytes.len()
    );
    println!("at most {again} bytes of it again after a cut");
    let header = PatchHeader::read(&delta.bytes)?.ok_or("no header")?.0;
    println!("work: {} bytes of old streams, {:?} of new ones", header.decoded, header.work);
    print!("{}", delta.census);
    println!("{:?}", delta.explanation);
    Ok(())
}

/// Seconds of processor time that this program used so far, as Linux counts them.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// The most memory that this program had so far, in KiB, as Linux counts it.
fn most() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = most.and_then(|most| most.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// Seconds of processor time of this thread alone, finer.
fn own() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// The image, and the most bytes of the patch that are taken again after a cut.
fn apply(
    patch: &[u8],
    mut old: &[u8],
    heap: u64,
) -> Result<(Vec<u8>, u64), Box<dyn std::error::Error>> {
    let (header, at) = PatchHeader::read(patch)?.ok_or("no header")?;
    let mut out = vec![0; usize::try_from(header.target.size)?];
    let mut applier = Applier::new(header, &Limits { heap })?;
    let (mut input, mut filled) = (patch.get(at..).unwrap_or_default(), 0);
    let mut again = 0;
    loop {
        let (before, rest) = out.split_at_mut(filled);
        let piece = rest.len().min(64 << 10);
        let new: &mut dyn ReadAt = &mut &*before;
        let step = applier.step(input, rest.get_mut(..piece).unwrap_or_default(), &mut old, new)?;
        input = input.get(step.consumed..).unwrap_or_default();
        filled += step.filled;
        again = again.max((patch.len() - input.len()) as u64 - applier.reset().input);
        if step.end {
            return Ok((out, again));
        }
        if step.consumed == 0 && step.filled == 0 {
            return Err("the patch ends too early".into());
        }
    }
}
