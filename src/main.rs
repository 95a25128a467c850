//! The one binary. Parses the command line and hands over to `stentor::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stentor::cli::main()
}
