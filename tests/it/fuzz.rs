//! Every parser of outside bytes over seeded mutations of good inputs, and over any bytes and any truncation. The same
//! entries run under libFuzzer (docs/fuzzing.md).

mod corpus;

#[path = "../../fuzz/targets/app.rs"]
mod app;
#[path = "../../fuzz/targets/pure.rs"]
mod pure;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use pure::Target;

/// For each target; all of them together stay below 20 s.
const TIME: Duration = Duration::from_millis(400);
const INPUT_BYTES_MAX: usize = 16 * 1024;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and any seed is a good one.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn mutated(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    if dice.below(16) == 0 {
        let length = dice.below(200);
        return dice.bytes(length);
    }
    let mut input = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        let until = (at + 1 + dice.below(12)).min(input.len());
        match dice.below(9) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..until)),
            2 => input.splice(at..at, dice.bytes(3)).for_each(drop),
            3 => {
                let again = input[at..until].repeat(1 + dice.below(40));
                input.splice(at..at, again).for_each(drop);
            }
            4 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len());
                let piece = other[from..(from + 30).min(other.len())].to_vec();
                input.splice(at..until, piece).for_each(drop);
            }
            5 => {
                const ODD: [&str; 12] =
                    ["-1", "0", "18446744073709551616", "1e309", "NaN", "\n", "\0", "é", "''", "[[", "\u{1b}[2J", " "];
                input.splice(at..until, ODD[dice.below(ODD.len())].bytes()).for_each(drop);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    let kind = dice.below(4);
                    *byte = [*byte ^ (1 << dice.below(8)), 0, 0xFF, dice.next() as u8][kind];
                }
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// Runs one input; a panic is reported with what is needed to see it again.
fn feed((name, entry): Target, input: &[u8], origin: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| entry(input))) {
        eprintln!("target {name}, {origin}, input b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

fn hammer(targets: &[Target]) {
    let seed = setting("STENTOR_FUZZ_SEED").unwrap_or(20_261_121);
    let time = setting("STENTOR_FUZZ_SECONDS").map_or(TIME, Duration::from_secs);
    let only = std::env::var("STENTOR_FUZZ_TARGET").ok();
    for target in targets.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        let seeds = corpus::seeds(target.0);
        if let Ok(folder) = std::env::var("STENTOR_FUZZ_CORPUS") {
            write_corpus(&PathBuf::from(folder).join(target.0), &seeds);
        }
        seeds.iter().for_each(|input| feed(*target, input, "as it is in the corpus"));
        let begun = Instant::now();
        let mut runs = 0u64;
        while begun.elapsed() < time {
            let input = mutated(&mut Dice(seed ^ runs.wrapping_mul(0xD134_2543_DE82_EF95)), &seeds);
            feed(*target, &input, &format!("STENTOR_FUZZ_SEED={seed}, run {runs}"));
            runs += 1;
        }
        eprintln!("{:>16} {runs:>9} runs in {:.1} s", target.0, begun.elapsed().as_secs_f64());
        assert!(runs > 0);
    }
}

fn write_corpus(folder: &std::path::Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(folder).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed{number}")), seed).unwrap();
    }
}

#[test]
fn no_mutated_input_breaks_a_parser_of_the_pure_crates() {
    hammer(pure::TARGETS);
}

#[test]
fn no_mutated_input_breaks_a_parser_of_the_program() {
    hammer(app::TARGETS);
}

fn all() -> Vec<Target> {
    pure::TARGETS.iter().chain(app::TARGETS).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back_from_every_parser(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        all().into_iter().for_each(|target| feed(target, &bytes, "any bytes"));
    }

    #[test]
    fn any_truncation_comes_back_from_every_parser(cut in any::<prop::sample::Index>()) {
        for target in all() {
            for seed in corpus::seeds(target.0).iter().filter(|seed| seed.len() < 2000) {
                feed(target, &seed[..cut.index(seed.len() + 1)], "a truncation");
            }
        }
    }
}

/// A seed that is refused at once leaves most of its parser untouched.
#[test]
fn the_structured_seeds_are_accepted() {
    use stentor::journal::codec;
    use stentor::web::api::dto;
    let first = |target| corpus::seeds(target).swap_remove(0);
    serde_json::from_slice::<dto::AgentPush>(&first("api_agent")).unwrap();
    assert_eq!(stentor::agent::order::read(&first("agent_orders")).unwrap().stop.len(), 1);
    serde_json::from_slice::<Vec<dto::ResultRequest>>(&first("api_results")).unwrap();
    serde_json::from_slice::<dto::DowntimeRequest>(&first("api_commands")).unwrap();
    assert_eq!(codec::catalogs_of(&first("journal")).unwrap().len(), 1);
    codec::decode_catalog(&corpus::seeds("journal")[1]).unwrap();
    assert!(stentor::probes::tls::not_after(&first("certificate")).is_some());
    assert_eq!(stentor::probes::heartbeat::parse_heartbeat(&String::from_utf8(first("heartbeat")).unwrap()).len(), 1);
}
