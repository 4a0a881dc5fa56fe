//! The state of a small world: processes, requests, calls under way, and the store's record.

use std::cell::Cell;
use std::time::Duration;

use tower_keep_core::Owner;

use super::mutants::Mutant;
use super::store::Store;
use crate::lock::line::{self, Ending, Line, Refusal};

/// What may happen in a world.
#[derive(Debug, Clone)]
pub(super) struct Config {
    /// How many requests each process gets.
    pub(super) requests: Vec<u8>,
    pub(super) cohort: u32,
    /// How many calls are not applied, or lose their reply.
    pub(super) faults: u8,
    /// Whether a failed call may still be applied later.
    pub(super) late: bool,
    /// Whether a driver may stop asking again.
    pub(super) give_up: bool,
    /// How many leases run out while somebody holds them; `MAX` is as many as there are.
    pub(super) lapses: u8,
    pub(super) crashes: u8,
    /// How often the session is destroyed, or expires, from outside.
    pub(super) ends: u8,
    /// How many requests replace the secret.
    pub(super) invalidations: u8,
    /// How many requests go away while they wait, or wait too long.
    pub(super) leavers: u8,
    pub(super) mutant: Option<Mutant>,
}

/// Of each kind of event, how many may still happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) faults: u8,
    pub(super) lapses: u8,
    pub(super) crashes: u8,
    pub(super) ends: u8,
    pub(super) invalidations: u8,
    pub(super) leavers: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) procs: Vec<Proc>,
    pub(super) requests: Vec<Request>,
    /// Calls whose callers gave up on them, not applied yet.
    pub(super) late: Vec<Verb>,
    pub(super) budget: Budget,
    /// Commits that were applied, in their order: by whom, and upon which version.
    pub(super) applied: Vec<(u8, u64)>,
    /// Tokens whose lease ran out: they may have been replaced.
    pub(super) overrun: Vec<Owner>,
    /// Something happened after which a lease may stay until it ends by itself.
    pub(super) excused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Proc {
    pub(super) line: Option<Line<Guest>>,
    pub(super) doing: Doing,
    pub(super) crashed: bool,
    /// With which token it holds, or asks for, the lease.
    pub(super) owner: Option<Owner>,
    /// The version that it shows to the requests it serves.
    pub(super) version: u64,
    /// Who is being finished, and how.
    pub(super) finishing: Option<(u8, Ending)>,
    /// How many it has served in a row while somebody was waiting elsewhere.
    pub(super) in_a_row: u32,
}

/// What a driver is doing: nothing of it takes effect until the next event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Doing {
    Nothing,
    Starting,
    Pausing,
    Yielding,
    /// It is about to tell this request that it has the session.
    Offering(u8),
    Serving(u8),
    Sent(Verb),
    Answered(Verb, Reply),
    /// It will ask again, or not.
    Failed(Verb),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Open {
        owner: Owner,
        age: u8,
    },
    /// Without a request it is a release by the driver itself.
    Finish {
        owner: Owner,
        version: u64,
        request: Option<(u8, Ending)>,
        next: Option<Owner>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reply {
    Granted(u64),
    Busy,
    Stale,
    Absent,
    Expired,
    Done {
        version: u64,
        waiting: bool,
        /// The lease is the successor's now.
        handed: bool,
    },
    Lost,
    Gone,
    Unknown,
    /// An error that tells that nothing was done.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) proc: usize,
    pub(super) status: Status,
    /// The version that it was shown.
    pub(super) saw: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Unborn,
    Waiting,
    Holding,
    /// Its end is on its way to the store.
    Ending,
    /// It heard that its commit was applied, or needed none.
    Done,
    /// It heard that nothing was applied.
    Denied,
    /// It heard that nobody knows, or nothing.
    Unknown,
    Refused,
    Left,
}

impl World {
    pub(super) fn new(config: &Config) -> Self {
        let requests = config.requests.iter().enumerate().flat_map(|(proc, n)| {
            (0..*n).map(move |_| Request {
                proc,
                status: Status::Unborn,
                saw: 0,
            })
        });
        let proc = Proc {
            line: None,
            doing: Doing::Nothing,
            crashed: false,
            owner: None,
            version: 0,
            finishing: None,
            in_a_row: 0,
        };
        Self {
            store: Store::new(),
            procs: vec![proc; config.requests.len()],
            requests: requests.collect(),
            late: Vec::new(),
            budget: Budget {
                faults: config.faults,
                lapses: config.lapses,
                crashes: config.crashes,
                ends: config.ends,
                invalidations: config.invalidations,
                leavers: config.leavers,
            },
            applied: Vec::new(),
            overrun: Vec::new(),
            excused: false,
        }
    }

    /// Carries a call out at the store. Nothing may be committed that must not be.
    pub(super) fn apply(&mut self, verb: Verb) -> Result<Reply, String> {
        let (owner, version) = (self.store.owner(), self.store.version());
        let reply = self.store.apply(verb);
        if self.store.version() != version {
            let Verb::Finish {
                owner: by,
                request: Some((request, _)),
                ..
            } = verb
            else {
                return Err(format!("{verb:?} changed the version"));
            };
            let saw = self.requests[usize::from(request)].saw;
            if owner != Some(by) {
                return Err(format!("request {request} committed without the lease"));
            }
            if self.applied.iter().any(|(r, _)| *r == request) {
                return Err(format!("the commit of request {request} was applied twice"));
            }
            if saw != version {
                return Err(format!(
                    "request {request} saw {saw} and wrote over {version}"
                ));
            }
            let status = self.requests[usize::from(request)].status;
            if status == Status::Denied {
                return Err(format!("request {request} was applied after it was denied"));
            }
            self.applied.push((request, version));
        }
        Ok(reply)
    }

    /// The lease runs out.
    pub(super) fn lapse(&mut self) {
        self.overrun.extend(self.store.lapse());
    }

    pub(super) fn is_there(&self, request: u8) -> bool {
        self.requests[usize::from(request)].status == Status::Waiting
    }

    /// Everybody has got an answer, and nobody has anything left to do.
    pub(super) fn is_quiet(&self) -> bool {
        let over = |r: &Request| {
            self.procs[r.proc].crashed
                || !matches!(
                    r.status,
                    Status::Unborn | Status::Waiting | Status::Holding | Status::Ending
                )
        };
        self.late.is_empty()
            && self.requests.iter().all(over)
            && self.procs.iter().all(|p| p.crashed || p.line.is_none())
    }

    /// What must hold in every state.
    pub(super) fn check(&self) -> Result<(), String> {
        for (at, proc) in self.procs.iter().enumerate().filter(|(_, p)| !p.crashed) {
            let Doing::Serving(request) = proc.doing else {
                continue;
            };
            let Some(owner) = proc.owner else {
                return Err(format!("process {at} serves without a token"));
            };
            if self.overrun.contains(&owner) || self.store.is_over() {
                continue;
            }
            if self.store.owner() != Some(owner) {
                return Err(format!(
                    "request {request} holds a session whose lease is not its own"
                ));
            }
            if proc.version != self.store.version() {
                return Err(format!("request {request} sees an old state"));
            }
            if self.store.is_rotated() {
                return Err(format!("request {request} was served after its secret"));
            }
        }
        let excused = self.excused || self.store.is_over();
        if self.is_quiet() && !excused && self.store.owner().is_some() {
            return Err("a lease is left when all is over".into());
        }
        Ok(())
    }

    /// Tokens are random: what matters is only which ones are the same.
    pub(super) fn rename(&mut self) {
        let mut names: Vec<Owner> = Vec::new();
        let mut rename = |owner: &mut Owner| {
            let found = names.iter().position(|name| name == owner);
            let index = found.unwrap_or(names.len());
            if found.is_none() {
                names.push(*owner);
            }
            *owner = Owner::from_u128(index as u128 + 1);
        };
        self.store.token().map(&mut rename);
        for proc in &mut self.procs {
            if let Some(line) = &mut proc.line {
                line.tokens().for_each(&mut rename);
            }
            proc.owner.iter_mut().for_each(&mut rename);
            match &mut proc.doing {
                Doing::Sent(verb) | Doing::Answered(verb, _) | Doing::Failed(verb) => {
                    verb.tokens().for_each(&mut rename);
                }
                _ => {}
            }
        }
        for verb in &mut self.late {
            verb.tokens().for_each(&mut rename);
        }
        // What is not known anywhere else any more does not matter any more.
        self.overrun.retain(|owner| names.contains(owner));
        for owner in &mut self.overrun {
            let index = names.iter().position(|name| name == owner);
            *owner = Owner::from_u128(index.map_or(0, |index| index as u128 + 1));
        }
        self.overrun.sort_by_key(|owner| owner.to_u128());
        self.overrun.dedup();
    }
}

impl Verb {
    fn tokens(&mut self) -> impl Iterator<Item = &mut Owner> {
        let (owner, next) = match self {
            Self::Open { owner, .. } => (owner, None),
            Self::Finish { owner, next, .. } => (owner, next.as_mut()),
        };
        std::iter::once(owner).chain(next)
    }
}

thread_local! {
    /// Which requests are there, which have waited too long, and who was refused, as bits: a line
    /// asks its waiters, and they know nothing but their number.
    pub(super) static THERE: Cell<u16> = const { Cell::new(0) };
    pub(super) static DUE: Cell<u16> = const { Cell::new(0) };
    pub(super) static REFUSED: Cell<u16> = const { Cell::new(0) };
}

/// A request in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Guest(pub(super) u8);

impl line::Waiter for Guest {
    type Error = ();

    fn arrived(&self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(u64::from(DUE.get() & (1 << self.0) == 0))
    }

    fn is_there(&self) -> bool {
        THERE.get() & (1 << self.0) != 0
    }

    fn refuse(self, _: Refusal<()>) {
        REFUSED.set(REFUSED.get() | (1 << self.0));
    }
}
