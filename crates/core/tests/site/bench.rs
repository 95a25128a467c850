//! How long `stentor what-if --all` thinks about a site of 1,000 hosts in 20 racks.

use std::io::Write;
use std::time::Instant;

use stentor_core::whatif::World;

#[path = "mod.rs"]
mod site;

const RACKS: usize = 20;
const HOSTS: usize = 50;

fn main() -> std::io::Result<()> {
    let catalog = site::racks(RACKS, HOSTS);
    let began = Instant::now();
    let world = World::healthy(&catalog, site::NOW);
    let built = began.elapsed();
    let answers = world.ask_all();
    let all = began.elapsed();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} hosts in {RACKS} racks, {} elements: world {built:.2?}, all {all:.2?}, {:.2?} an element",
        RACKS * HOSTS,
        answers.len(),
        (all - built) / answers.len().max(1) as u32
    )
}
