//! The sizes of a campaign.

use std::fmt;

use tower_keep_testkit::history::{History, Outcome};

#[derive(Debug, Default)]
pub(crate) struct Report {
    rounds: usize,
    operations: usize,
    sessions: usize,
    done: usize,
    absent: usize,
    refused: usize,
    unknown: usize,
    kills: usize,
    disturbances: usize,
}

impl Report {
    pub(crate) fn add(&mut self, history: &History) {
        let count = |of: fn(&Outcome) -> bool| history.count(|_, outcome| of(outcome));
        self.rounds += 1;
        self.operations += history.len();
        self.sessions += history.sessions().len();
        self.done += count(|outcome| matches!(outcome, Outcome::Done { .. }));
        self.absent += count(|outcome| *outcome == Outcome::Absent);
        self.refused += count(|outcome| *outcome == Outcome::Refused);
        self.unknown += count(|outcome| *outcome == Outcome::Unknown);
    }

    pub(crate) const fn rounds(&self) -> usize {
        self.rounds
    }

    pub(crate) const fn operations(&self) -> usize {
        self.operations
    }

    pub(crate) fn killed(&mut self, processes: usize) {
        self.kills += processes;
    }

    pub(crate) fn disturbed(&mut self, times: usize) {
        self.disturbances += times;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rounds,
            operations,
            sessions,
            done,
            absent,
            refused,
            unknown,
            kills,
            disturbances,
        } = self;
        write!(
            f,
            "{operations} operations ({done} done, {absent} absent, {refused} refused, {unknown} \
             unknown) on {sessions} sessions in {rounds} rounds, {kills} processes killed, \
             {disturbances} disturbances, 0 anomalies"
        )
    }
}
