//! `keep`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tower_keep_cli::main()
}
