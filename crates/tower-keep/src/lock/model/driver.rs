//! The driver of a line, as abstract as it can be, and able to make mistakes.

use std::time::Duration;

use super::mutants::Mutant;
use super::world::{Config, DUE, Doing, Guest, REFUSED, Reply, Status, THERE, Verb, World};
use crate::lock::line::{Ending, FinishReply, Line, OpenReply, Step, Verdict};

impl World {
    /// A request joins its process's line, and starts one if there is none.
    pub(super) fn join(&mut self, request: u8, config: &Config) -> Result<(), String> {
        self.requests[usize::from(request)].status = Status::Waiting;
        let proc = &mut self.procs[self.requests[usize::from(request)].proc];
        let cohort = if config.mutant == Some(Mutant::CohortIgnored) {
            u32::MAX
        } else {
            config.cohort
        };
        if proc.line.is_none() {
            proc.doing = Doing::Starting;
            proc.in_a_row = 0;
        }
        let line = proc.line.get_or_insert_with(|| Line::new(cohort));
        line.join(Guest(request), usize::from(u8::MAX))
            .map_err(|_| "the line is full".to_owned())
    }

    /// Lets requests that waited too long be sent away.
    pub(super) fn time_out(&mut self, request: u8) {
        let there = self.there();
        if let Some(line) = &mut self.procs[self.requests[usize::from(request)].proc].line {
            THERE.set(there);
            DUE.set(1 << request);
            line.expire(Duration::ZERO);
            DUE.set(0);
        }
        self.note_refused();
    }

    /// The driver goes on by itself.
    pub(super) fn act(&mut self, at: usize, config: &Config) -> Result<(), String> {
        match self.procs[at].doing.clone() {
            Doing::Starting | Doing::Yielding => self.line(at, config, Line::next),
            Doing::Pausing => self.line(at, config, Line::woken),
            Doing::Offering(request) if self.is_there(request) => {
                let version = self.procs[at].version;
                let waiter = &mut self.requests[usize::from(request)];
                waiter.status = Status::Holding;
                waiter.saw = version;
                self.procs[at].doing = Doing::Serving(request);
                Ok(())
            }
            // Nobody will ever end this one.
            Doing::Offering(_) if config.mutant == Some(Mutant::LeaverServed) => {
                self.procs[at].doing = Doing::Nothing;
                Ok(())
            }
            Doing::Offering(_) => self.line(at, config, |line| line.abandoned(Duration::ZERO)),
            Doing::Failed(verb) => {
                self.procs[at].doing = Doing::Sent(verb);
                Ok(())
            }
            doing => Err(format!("nothing to do while {doing:?}")),
        }
    }

    /// The driver does not ask again.
    pub(super) fn give_up(&mut self, at: usize, config: &Config) -> Result<(), String> {
        // The lease may stay if it was never handed on, or is not given back.
        self.excused |= match self.procs[at].doing {
            Doing::Failed(Verb::Finish {
                owner,
                request: Some(_),
                ..
            }) => self.store.owner() == Some(owner),
            _ => true,
        };
        if let Some((request, _)) = self.procs[at].finishing.take() {
            self.requests[usize::from(request)].status = Status::Unknown;
            self.line(at, config, Line::give_up)
        } else {
            self.line(at, config, Line::released)
        }
    }

    /// The holder ends.
    pub(super) fn end(
        &mut self,
        request: u8,
        ending: Ending,
        config: &Config,
    ) -> Result<(), String> {
        let at = self.requests[usize::from(request)].proc;
        self.requests[usize::from(request)].status = Status::Ending;
        self.procs[at].finishing = Some((request, ending));
        let told = match ending {
            Ending::Invalidate if config.mutant == Some(Mutant::ServesStale) => Ending::Commit,
            ending => ending,
        };
        self.line(at, config, |line| line.ended(told))
    }

    /// The answer to a call arrives, or `None`: an error.
    pub(super) fn deliver(
        &mut self,
        at: usize,
        verb: Verb,
        reply: Option<Reply>,
        config: &Config,
    ) -> Result<(), String> {
        match verb {
            Verb::Open { .. } => {
                let reply = match reply {
                    Some(Reply::Granted(version)) => {
                        self.procs[at].version = version;
                        OpenReply::Granted
                    }
                    Some(Reply::Busy) if config.mutant == Some(Mutant::BusyIsGranted) => {
                        OpenReply::Granted
                    }
                    Some(Reply::Busy) => OpenReply::Busy,
                    Some(Reply::Stale) => OpenReply::Stale,
                    Some(Reply::Absent) => OpenReply::Absent,
                    Some(Reply::Expired) => OpenReply::Expired,
                    None => OpenReply::Failed(()),
                    Some(other) => return Err(format!("an open was answered {other:?}")),
                };
                self.line(at, config, |line| line.opened(reply, Duration::ZERO))
            }
            Verb::Finish { request: None, .. } => {
                if matches!(reply, None | Some(Reply::Refused))
                    && config.mutant != Some(Mutant::ReleasesOnce)
                {
                    self.procs[at].doing = Doing::Failed(verb);
                    return Ok(());
                }
                self.line(at, config, Line::released)
            }
            Verb::Finish {
                request: Some((request, ending)),
                ..
            } => self.delivered_finish(at, (request, ending), reply, config),
        }
    }

    fn delivered_finish(
        &mut self,
        at: usize,
        (request, ending): (u8, Ending),
        reply: Option<Reply>,
        config: &Config,
    ) -> Result<(), String> {
        let reopen = self.store.is_over();
        let kept = self.procs[at].owner == self.store.owner();
        let handed = matches!(reply, Some(Reply::Done { handed: true, .. }));
        let reply = match (reply, config.mutant) {
            (None, Some(Mutant::HandsOverUnheard))
            | (Some(Reply::Lost), Some(Mutant::LostIsDone)) => FinishReply::Done {
                waiting: false,
                reopen: false,
            },
            (
                Some(Reply::Done {
                    version, waiting, ..
                }),
                _,
            ) => {
                let proc = &mut self.procs[at];
                proc.version = version;
                proc.in_a_row = if waiting { proc.in_a_row + 1 } else { 0 };
                FinishReply::Done { waiting, reopen }
            }
            (Some(Reply::Lost), _) | (Some(Reply::Unknown), Some(Mutant::UnknownIsLost)) => {
                FinishReply::Lost
            }
            (Some(Reply::Gone), _) => FinishReply::Gone,
            (Some(Reply::Unknown), _) => FinishReply::Unknown,
            (Some(Reply::Refused), _) => FinishReply::Refused,
            (None, _) => FinishReply::Failed,
            (Some(other), _) => return Err(format!("a finish was answered {other:?}")),
        };
        if self.procs[at].in_a_row > config.cohort {
            return Err(format!("process {at} goes on while another one waits"));
        }
        let mut verdict = Verdict::Undecided;
        self.line(at, config, |line| {
            let step;
            (verdict, step) = line.finished(reply, Duration::ZERO);
            step
        })?;
        if matches!(self.procs[at].doing, Doing::Offering(_)) && !handed {
            return Err(format!("process {at} hands over what it has only heard of"));
        }
        let applied = self.applied.iter().any(|(r, _)| *r == request);
        let status = match verdict {
            Verdict::Undecided => return Ok(()),
            Verdict::Done if applied || ending == Ending::Release => Status::Done,
            Verdict::Done => return Err(format!("request {request} heard a lie: done")),
            Verdict::Lost | Verdict::Gone | Verdict::Refused if applied => {
                return Err(format!("request {request} heard a lie: not applied"));
            }
            Verdict::Lost | Verdict::Gone | Verdict::Refused => Status::Denied,
            Verdict::Unknown => {
                // It may never have been handed on, and the token must not be used again while the
                // call that failed may still be under way.
                self.excused |= reply == FinishReply::Refused && kept;
                Status::Unknown
            }
        };
        self.requests[usize::from(request)].status = status;
        self.procs[at].finishing = None;
        Ok(())
    }

    /// Moves the line on and begins the step that it decides on.
    fn line(
        &mut self,
        at: usize,
        config: &Config,
        decide: impl FnOnce(&mut Line<Guest>) -> Step<Guest>,
    ) -> Result<(), String> {
        THERE.set(self.there());
        let proc = &mut self.procs[at];
        let Some(line) = &mut proc.line else {
            return Err(format!("process {at} has no line"));
        };
        let step = decide(line);
        self.note_refused();
        self.begin(at, &step, config)
    }

    fn begin(&mut self, at: usize, step: &Step<Guest>, config: &Config) -> Result<(), String> {
        let mutant = config.mutant;
        let proc = &mut self.procs[at];
        match *step {
            Step::Exit => {
                let forgotten = self.requests.iter().position(|request| {
                    request.proc == at
                        && matches!(request.status, Status::Waiting | Status::Holding)
                });
                if let Some(request) = forgotten {
                    return Err(format!("request {request} was forgotten"));
                }
                proc.line = None;
                proc.owner = None;
                proc.doing = Doing::Nothing;
            }
            Step::Open { owner, arrived } => {
                let owner = match (mutant, proc.owner) {
                    // A fresh token each time, while the store may hold an older one.
                    (Some(Mutant::ForgetsToken), Some(_)) => tower_keep_core::Owner::unique(),
                    _ => owner,
                };
                proc.owner = Some(owner);
                let age = 60 - u8::try_from(arrived.as_secs()).unwrap_or(0);
                proc.doing = Doing::Sent(Verb::Open { owner, age });
            }
            Step::Wait => proc.doing = Doing::Pausing,
            Step::Yield if mutant == Some(Mutant::NeverYields) => {
                proc.doing = Doing::Starting;
            }
            Step::Yield => {
                proc.in_a_row = 0;
                proc.doing = Doing::Yielding;
            }
            Step::Serve { waiter } => {
                // A hand-over: from here on the next token counts.
                if let Doing::Sent(Verb::Finish { next, .. })
                | Doing::Answered(Verb::Finish { next, .. }, _) = proc.doing
                {
                    proc.owner = next;
                }
                proc.doing = Doing::Offering(waiter.0);
                let earlier = self.requests.iter().zip(0_u8..).find(|(request, number)| {
                    request.proc == at && request.status == Status::Waiting && *number < waiter.0
                });
                if let Some((_, earlier)) = earlier {
                    return Err(format!("{} was served before {earlier}", waiter.0));
                }
            }
            Step::Finish { owner, next } => {
                let next = match mutant {
                    Some(Mutant::InstallsNobody) => None,
                    Some(Mutant::KeepsToken) => next.and(proc.owner),
                    _ => next,
                };
                let owner = match mutant {
                    Some(Mutant::ForgetsToken | Mutant::KeepsToken) => proc.owner.unwrap_or(owner),
                    _ => owner,
                };
                proc.doing = Doing::Sent(Verb::Finish {
                    owner,
                    version: proc.version,
                    request: proc.finishing,
                    next,
                });
            }
            Step::Retry => {
                let (Doing::Sent(verb) | Doing::Answered(verb, _)) = proc.doing else {
                    return Err("a retry of nothing".into());
                };
                proc.doing = Doing::Failed(verb);
            }
            Step::Release { .. } if mutant == Some(Mutant::SkipsRelease) => {
                return self.line(at, config, Line::released);
            }
            Step::Release { owner } => {
                // Either the token in hand, or the one that the last finish may have installed.
                proc.doing = Doing::Sent(Verb::Finish {
                    owner,
                    version: 0,
                    request: None,
                    next: None,
                });
            }
        }
        Ok(())
    }

    fn there(&self) -> u16 {
        let waiting = self.requests.iter().zip(0_u8..);
        waiting
            .filter(|(request, _)| request.status == Status::Waiting)
            .fold(0, |bits, (_, number)| bits | (1 << number))
    }

    fn note_refused(&mut self) {
        let refused = REFUSED.replace(0);
        for (number, request) in self.requests.iter_mut().enumerate() {
            if refused & (1 << number) != 0 && request.status == Status::Waiting {
                request.status = Status::Refused;
            }
        }
    }
}
