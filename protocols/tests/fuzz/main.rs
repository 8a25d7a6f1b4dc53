//! T10: any bytes give a report or a reason: no panic, no hang, no allocation above 4 x input +
//! 64 KiB (a target may say more), never 16 MiB at once. In process, on stable Rust.
//!
//! `targets` is the table of decoders; add yours there. Rounds per decoder: `HEADEND_FUZZ_INPUTS`
//! (`tests/run` sets 200,000, `tests/nightly` 5,000,000); one decoder alone: `HEADEND_FUZZ_ONLY`.
//! A case that fails is written to `tests/fuzz/found/TARGET/`, and every file there is tried first
//! from then on: commit it with the repair.
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod allocation;
mod files;
mod meters;
mod modbus;
mod mutate;
mod payloads;
mod seeds;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use targets::{TARGETS, Target};

#[global_allocator]
static WATCHED: allocation::Watched = allocation::Watched;

/// What one input may hold at once, in bytes.
const HELD_MAX: usize = 16 << 20;
/// Looks of the watchdog, a second apart, at an input that does not end. More than the second that
/// T10 grants: other programs share this machine.
const STILL_LOOKS: u32 = 30;
const IDLE: u64 = u64::MAX;
/// Variants that a kept case is tried with.
const VARIANTS: u64 = 16;

fn rounds() -> u64 {
    let set = std::env::var_os("HEADEND_FUZZ_INPUTS").and_then(|text| text.into_string().ok());
    set.and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

fn chosen() -> Vec<&'static Target> {
    let only = std::env::var_os("HEADEND_FUZZ_ONLY");
    TARGETS.iter().filter(|t| only.as_ref().is_none_or(|name| name == t.name)).collect()
}

fn found(target: &Target) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/found")).join(target.name)
}

/// Runs one input. `Err` says what is wrong with the decoder.
fn attempt(target: &Target, input: &[u8], variant: u64) -> Result<bool, String> {
    let (outcome, used) =
        allocation::of(|| catch_unwind(AssertUnwindSafe(|| (target.run)(input, variant))));
    let accepted = outcome.map_err(|_| "it panicked".to_owned())?;
    let max = (input.len() * target.times + (64 << 10)).min(HELD_MAX);
    if used.largest > max {
        return Err(format!("one allocation of {} bytes, at most {max} for this", used.largest));
    }
    if used.peak > HELD_MAX {
        return Err(format!("{} bytes held at once", used.peak));
    }
    Ok(accepted)
}

/// Writes the case down, so that it is tried for ever after.
fn keep(target: &Target, input: &[u8], what: &str) -> String {
    let hash = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let path = found(target).join(format!("{hash:016x}"));
    std::fs::create_dir_all(found(target)).unwrap();
    std::fs::write(&path, input).unwrap();
    format!("{}: {what}: {} bytes kept as {}", target.name, input.len(), path.display())
}

/// What one worker is at, for the watchdog.
#[derive(Debug)]
struct At {
    target: AtomicUsize,
    round: AtomicU64,
}

/// (accepted, refused), or the first case that fails.
fn fuzz(target: &Target, rounds: u64, at: &At) -> Result<(u64, u64), String> {
    for file in std::fs::read_dir(found(target)).into_iter().flatten() {
        let input = std::fs::read(file.unwrap().path()).unwrap();
        for variant in 0..VARIANTS {
            attempt(target, &input, variant).map_err(|what| keep(target, &input, &what))?;
        }
    }
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..rounds {
        at.round.store(round, Ordering::Relaxed);
        let input = mutate::input(target.name, target.seeds, round);
        match attempt(target, &input, round) {
            Ok(true) => accepted += 1,
            Ok(false) => refused += 1,
            Err(what) => return Err(keep(target, &input, &what)),
        }
    }
    Ok((accepted, refused))
}

/// Ends the process when a worker stays at one input.
fn watch(workers: &[At], targets: &[&Target]) {
    let mut seen: Vec<(u64, u32)> = workers.iter().map(|_| (IDLE, 0)).collect();
    while workers.iter().any(|at| at.target.load(Ordering::Relaxed) != usize::MAX) {
        thread::sleep(Duration::from_secs(1));
        for (at, (round, looks)) in workers.iter().zip(&mut seen) {
            let now = at.round.load(Ordering::Relaxed);
            *looks = if now == *round && now != IDLE { *looks + 1 } else { 0 };
            *round = now;
            let Some(target) = targets.get(at.target.load(Ordering::Relaxed)) else { continue };
            if *looks >= STILL_LOOKS {
                let input = mutate::input(target.name, target.seeds, now);
                eprintln!("{}", keep(target, &input, "it does not end"));
                std::process::exit(101);
            }
        }
    }
}

#[test]
fn any_bytes_give_a_report_or_a_reason() {
    let (targets, rounds) = (chosen(), rounds());
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let workers: Vec<At> = (0..cores)
        .map(|_| At { target: AtomicUsize::new(0), round: AtomicU64::new(IDLE) })
        .collect();
    let faults: Vec<String> = thread::scope(|scope| {
        let work = |at: &At| {
            let mut faults = Vec::new();
            while let Some((index, target)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                targets.get(index).map(|target| (index, *target))
            } {
                at.target.store(index, Ordering::Relaxed);
                match fuzz(target, rounds, at) {
                    Ok((accepted, refused)) => {
                        println!("{}: {accepted} accepted, {refused} refused", target.name);
                        if accepted < rounds / 200 || refused < rounds / 200 {
                            faults.push(format!("{}: the seeds prove little", target.name));
                        }
                    }
                    Err(fault) => faults.push(fault),
                }
                at.round.store(IDLE, Ordering::Relaxed);
            }
            at.target.store(usize::MAX, Ordering::Relaxed);
            faults
        };
        scope.spawn(|| watch(&workers, &targets));
        let running: Vec<_> = workers.iter().map(|at| scope.spawn(move || work(at))).collect();
        running.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The seeds themselves are good, or bending them would prove little.
#[test]
fn seeds_are_accepted() {
    for target in TARGETS {
        for seed in target.seeds {
            let text = String::from_utf8_lossy(seed);
            // A target that is run in several ways takes it in one of them.
            assert!((0..4).any(|way| (target.run)(seed, way)), "{}: {text}", target.name);
        }
    }
}
