//! How long `stentor what-if --all` thinks about a site of 1,000 hosts in 20 racks.
#![allow(clippy::unwrap_used, reason = "a panic is how a bench fails")]

use std::io::Write;
use std::time::Instant;

use stentor_core::whatif::World;

#[path = "mod.rs"]
mod site;

const RACKS: usize = 20;
const HOSTS: usize = 50;

fn main() {
    let catalog = site::racks(RACKS, HOSTS);
    let began = Instant::now();
    let world = World::healthy(&catalog, site::NOW);
    let built = began.elapsed();
    let answers = world.ask_all();
    let all = began.elapsed();
    writeln!(
        std::io::stdout(),
        "{} hosts in {RACKS} racks, {} elements: world {built:.2?}, all {all:.2?}, {:.2?} an element",
        RACKS * HOSTS,
        answers.len(),
        (all - built) / u32::try_from(answers.len()).unwrap()
    )
    .unwrap();
}
