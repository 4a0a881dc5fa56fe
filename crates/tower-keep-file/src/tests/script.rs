//! A script for the system calls of this thread: it notes them, and lets one of them fail or ends
//! the process in front of it.

use std::cell::RefCell;
use std::io;

/// What happens instead of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The call fails with this error number; later ones do not.
    Fails(i32),
    /// The process is killed.
    Kill,
}

type Event = Box<dyn FnOnce()>;

#[derive(Default)]
struct Script {
    calls: Vec<&'static str>,
    trouble: Option<(usize, Trouble)>,
    meanwhile: Option<(&'static str, Event)>,
}

thread_local! {
    static SCRIPT: RefCell<Script> = RefCell::default();
}

/// Forgets the calls so far, and arms the `nth` from here, from zero.
pub(crate) fn begin(trouble: Option<(usize, Trouble)>) {
    SCRIPT.with_borrow_mut(|script| {
        *script = Script {
            trouble,
            ..Script::default()
        };
    });
}

/// Lets something happen in front of the first call of this name from here.
pub(crate) fn meanwhile(call: &'static str, happens: impl FnOnce() + 'static) {
    SCRIPT.with_borrow_mut(|script| {
        *script = Script {
            meanwhile: Some((call, Box::new(happens))),
            ..Script::default()
        };
    });
}

/// The calls since the beginning, and no trouble from here.
pub(crate) fn end() -> Vec<&'static str> {
    SCRIPT.take().calls
}

/// To be called in front of every system call.
pub(crate) fn before(call: &'static str) -> io::Result<()> {
    let now = |(when, _): &mut (&'static str, _)| *when == call;
    let happens = SCRIPT.with_borrow_mut(|script| script.meanwhile.take_if(now));
    if let Some((_, happens)) = happens {
        happens();
    }
    SCRIPT.with_borrow_mut(|script| {
        let nth = script.calls.len();
        script.calls.push(call);
        match script.trouble {
            Some((at, Trouble::Fails(errno))) if at == nth => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Some((at, Trouble::Kill)) if at == nth => kill(),
            _ => Ok(()),
        }
    })
}

/// As `kill -9` from outside: nothing of this process runs any more.
fn kill() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}
