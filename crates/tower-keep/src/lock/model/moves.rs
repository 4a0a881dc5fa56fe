//! What can happen next in a world.

use super::world::{Config, Doing, Reply, Status, Verb, World};
use crate::lock::line::Ending;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Join(u8),
    End(u8, Ending),
    /// The driver of a process goes on by itself.
    Act(usize),
    /// A call takes effect at the store.
    Apply(usize),
    /// Its answer arrives.
    Deliver(usize),
    /// The lease runs out.
    Lapse,
    /// A call whose caller gave up takes effect after all.
    ApplyLate(usize),
    GiveUp(usize),
    // From here on: what must not have to happen for things to go on.
    Leave(u8),
    TimeOut(u8),
    /// A call gets lost.
    Lose(usize),
    /// The caller hears nothing, and the call may take effect later.
    Delay(usize),
    LoseReply(usize),
    /// The store refuses a commit for what is in it.
    Refuse(usize),
    Crash(usize),
    Destroy,
    Expire,
}

impl Move {
    /// Whether it belongs to the undisturbed course of things.
    pub(super) fn is_benign(self) -> bool {
        matches!(
            self,
            Self::Join(_)
                | Self::End(..)
                | Self::Act(_)
                | Self::Apply(_)
                | Self::Deliver(_)
                | Self::Lapse
                | Self::ApplyLate(_)
        )
    }
}

impl World {
    pub(super) fn moves(&self, config: &Config) -> Vec<Move> {
        let mut moves = Vec::new();
        for (request, number) in self.requests.iter().zip(0_u8..) {
            if self.procs[request.proc].crashed {
                continue;
            }
            match request.status {
                Status::Unborn => {
                    let earlier = self.requests[..usize::from(number)]
                        .iter()
                        .any(|r| r.proc == request.proc && r.status == Status::Unborn);
                    if !earlier {
                        moves.push(Move::Join(number));
                    }
                }
                Status::Waiting if self.budget.leavers > 0 => {
                    moves.extend([Move::Leave(number), Move::TimeOut(number)]);
                }
                Status::Holding => {
                    moves.push(Move::End(number, Ending::Release));
                    moves.push(Move::End(number, Ending::Commit));
                    if self.budget.invalidations > 0 {
                        moves.push(Move::End(number, Ending::Invalidate));
                    }
                }
                _ => {}
            }
        }
        for at in 0..self.procs.len() {
            self.moves_of(at, config, &mut moves);
        }
        moves.extend((0..self.late.len()).map(Move::ApplyLate));
        if self.budget.lapses > 0 && self.store.has_live_lease() {
            moves.push(Move::Lapse);
        }
        if self.budget.ends > 0 && !self.store.is_over() {
            moves.extend([Move::Destroy, Move::Expire]);
        }
        moves
    }

    fn moves_of(&self, at: usize, config: &Config, moves: &mut Vec<Move>) {
        let proc = &self.procs[at];
        if proc.crashed {
            return;
        }
        let fails = self.budget.faults > 0;
        match &proc.doing {
            Doing::Nothing | Doing::Serving(_) => {}
            Doing::Starting | Doing::Pausing | Doing::Yielding | Doing::Offering(_) => {
                moves.push(Move::Act(at));
            }
            Doing::Sent(verb) => {
                moves.push(Move::Apply(at));
                if fails {
                    if matches!(
                        verb,
                        Verb::Finish {
                            request: Some(_),
                            ..
                        }
                    ) {
                        moves.push(Move::Refuse(at));
                    }
                    moves.push(Move::Lose(at));
                    if config.late {
                        moves.push(Move::Delay(at));
                    }
                }
            }
            Doing::Answered(..) => {
                moves.push(Move::Deliver(at));
                if fails {
                    moves.push(Move::LoseReply(at));
                }
            }
            Doing::Failed(_) => {
                moves.push(Move::Act(at));
                if config.give_up {
                    moves.push(Move::GiveUp(at));
                }
            }
        }
        if self.budget.crashes > 0 && proc.line.is_some() {
            moves.push(Move::Crash(at));
        }
    }

    pub(super) fn make(&mut self, it: Move, config: &Config) -> Result<(), String> {
        match it {
            Move::Join(request) => self.join(request, config)?,
            Move::End(request, ending) => {
                self.budget.invalidations -= u8::from(ending == Ending::Invalidate);
                self.end(request, ending, config)?;
            }
            Move::Act(at) => self.act(at, config)?,
            Move::Apply(at) => {
                let verb = self.under_way(at)?;
                let reply = self.apply(verb)?;
                self.procs[at].doing = Doing::Answered(verb, reply);
            }
            Move::Deliver(at) => {
                let Doing::Answered(verb, reply) = self.procs[at].doing else {
                    return Err("nothing to deliver".into());
                };
                self.deliver(at, verb, Some(reply), config)?;
            }
            Move::Lapse => {
                if self.budget.lapses < u8::MAX {
                    self.budget.lapses -= 1;
                }
                self.lapse();
            }
            Move::ApplyLate(index) => {
                self.excused = true;
                let verb = self.late.remove(index);
                self.apply(verb)?;
            }
            Move::GiveUp(at) => self.give_up(at, config)?,
            Move::Leave(request) => {
                self.budget.leavers -= 1;
                self.requests[usize::from(request)].status = Status::Left;
            }
            Move::TimeOut(request) => {
                self.budget.leavers -= 1;
                self.time_out(request);
            }
            Move::Lose(at) | Move::LoseReply(at) | Move::Delay(at) => {
                self.budget.faults -= 1;
                let verb = self.under_way(at)?;
                if it == Move::Delay(at) {
                    self.late.push(verb);
                }
                self.deliver(at, verb, None, config)?;
            }
            Move::Refuse(at) => {
                self.budget.faults -= 1;
                let verb = self.under_way(at)?;
                self.deliver(at, verb, Some(Reply::Refused), config)?;
            }
            Move::Crash(at) => {
                self.budget.crashes -= 1;
                self.excused = true;
                if let Doing::Sent(verb) = self.procs[at].doing {
                    self.late.push(verb);
                }
                let proc = &mut self.procs[at];
                proc.crashed = true;
                proc.line = None;
                proc.owner = None;
                proc.doing = Doing::Nothing;
            }
            Move::Destroy => {
                self.budget.ends -= 1;
                self.store.destroy();
            }
            Move::Expire => {
                self.budget.ends -= 1;
                self.store.expire();
            }
        }
        self.rename();
        self.check()
    }

    fn under_way(&self, at: usize) -> Result<Verb, String> {
        match self.procs[at].doing {
            Doing::Sent(verb) | Doing::Answered(verb, _) => Ok(verb),
            _ => Err("no call is under way".into()),
        }
    }
}
