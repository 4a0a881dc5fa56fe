//! Chromium for tests: what people see and do, in a browser of its own.
//!
//! The program `chromedriver` that is named in `KEEP_CHROMEDRIVER`, or that is on the `PATH`, drives
//! the Chromium that belongs to it, without a window. `./test.sh` installs both where it can.
//!
//! Each [`Browser`] has a driver on a port that the driver chooses, and a profile in a temporary
//! directory. Nothing of it is left when it is dropped, nor when the test's process dies: the driver
//! ends with its standard input, and Chromium with its driver.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

mod browser;
mod driver;
mod look;
mod site;
mod wait;

pub use browser::{Browser, View};
pub use look::{PROBLEMS, problems};
pub use site::serve;
pub use thirtyfour;
