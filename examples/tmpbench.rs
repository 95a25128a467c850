use clap::Parser;
#[derive(Parser)]
struct C {
    #[command(flatten)]
    a: stentor::cli::bench::BenchArgs,
}
fn main() {
    let c = C::parse();
    let mut o = std::io::stdout();
    stentor::cli::bench::run(&c.a, &mut o).unwrap();
}
