//! The program that drives a browser.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Runs a command until its own standard input is closed, which happens when this process ends,
/// however it does. The command alone has the standard output, so that its end is seen there.
const KEEPER: &str = r#"
    trap '' INT TERM HUP
    exec 3<&0
    "$0" "$@" </dev/null 3<&- &
    exec >&-
    read -r line <&3
    kill -KILL $!
    wait
"#;

/// A running `chromedriver`; it is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Driver {
    keeper: Child,
    /// Not to be closed while it might write there.
    _output: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Driver {
    pub(crate) fn start() -> Self {
        let named = std::env::var("KEEP_CHROMEDRIVER").ok();
        let program = named.filter(|path| !path.is_empty());
        let program = program.unwrap_or_else(|| "chromedriver".to_owned());
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, &program, "--port=0"]);
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.stderr(Stdio::inherit()).spawn().unwrap();
        let mut output = BufReader::new(keeper.stdout.take().unwrap());
        let mut told = String::new();
        let port = loop {
            let start = told.len();
            if output.read_line(&mut told).unwrap() == 0 {
                drop(keeper.stdin.take());
                let _ = output.read_to_string(&mut told);
                panic!(
                    "{program} does not start: install it (package chromium-driver on Debian and \
                     Ubuntu), run ./test.sh, which does so where it can, or name it in \
                     KEEP_CHROMEDRIVER\n{told}"
                );
            }
            if let Some((_, port)) = told[start..].split_once("started successfully on port ") {
                break port.trim().trim_end_matches('.').to_owned();
            }
        };
        Self {
            keeper,
            _output: output,
            url: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
