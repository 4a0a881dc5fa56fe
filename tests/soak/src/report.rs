//! What a run saw, in a few lines.

use std::fmt;

use crate::growth::Growth;
use crate::levels::Levels;
use crate::neighbour::Crowd;
use crate::plan::Plan;
use crate::visitor::Tally;

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) plan: Plan,
    pub(crate) door: Crowd,
    pub(crate) before: Levels,
    pub(crate) after: Levels,
    pub(crate) alone: Phase,
    pub(crate) beside: Phase,
    /// In the sessions that were there at the end.
    pub(crate) counted: u64,
}

/// Of one part of a run.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) tally: Tally,
    pub(crate) crowd: Crowd,
    pub(crate) faults: u32,
    pub(crate) growth: Option<Growth>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plan,
            door,
            before,
            after,
            alone,
            beside,
            counted,
        } = self;
        writeln!(
            f,
            "{} visitors, {} requests a second, {counted} counted in the end, none lost",
            plan.visitors, plan.rate
        )?;
        writeln!(f, "  alone: {alone}")?;
        writeln!(
            f,
            "  beside {} requests for one session: {beside}",
            plan.crowd
        )?;
        let mib = |levels: &Levels| levels.vitals.resident as f64 / f64::from(1 << 20);
        writeln!(
            f,
            "  at rest, before: {:.1} MiB, {before}\n  at rest, after:  {:.1} MiB, {after}",
            mib(before),
            mib(after)
        )?;
        let Crowd {
            served, refused, ..
        } = door;
        write!(
            f,
            "  {} at once: {served} served, {refused} refused",
            plan.crowd
        )
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tally,
            crowd,
            faults,
            growth,
        } = self;
        write!(
            f,
            "{} answered in {}, {} told 503, {} told 409, {} left, {} sessions ended, {faults} faults",
            tally.latencies.len(),
            tally.latencies.clone().percentiles(),
            tally.busy,
            tally.refused,
            tally.left,
            tally.ended,
        )?;
        if let Some(growth) = growth {
            let (slope, requests) = (growth.slope, growth.requests);
            write!(f, ", memory {slope:+.0} bytes a request over {requests}")?;
        }
        if *crowd != Crowd::default() {
            let Crowd {
                served,
                refused,
                perhaps,
                conflicts,
            } = crowd;
            write!(
                f,
                "; the neighbour: {served} served, {refused} refused, {perhaps} told 503 by the \
                 store, {conflicts} told 409"
            )?;
        }
        Ok(())
    }
}
