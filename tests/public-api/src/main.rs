//! Prints the public items of a crate, one a line, from rustdoc's JSON.
//!
//! Impls for all types (`Into`, `Any`, …) are left out, and of the automatic traits those that nobody
//! names in a bound.

use std::error::Error;

use public_api::Builder;

/// What is not listed of the automatic traits; `Send`, `Sync` and `Unpin` are.
const UNNAMED: [&str; 4] = [
    "core::marker::Freeze for",
    "core::marker::UnsafeUnpin for",
    "core::panic::unwind_safe::RefUnwindSafe for",
    "core::panic::unwind_safe::UnwindSafe for",
];

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args_os()
        .nth(1)
        .ok_or("usage: tower-keep-public-api FILE.json")?;
    let listed = Builder::from_rustdoc_json(std::path::PathBuf::from(json))
        .omit_blanket_impls(true)
        .build()?;
    for item in listed.items() {
        let item = item.to_string();
        if !UNNAMED.iter().any(|name| item.contains(name)) {
            println!("{item}");
        }
    }
    Ok(())
}
