//! What the walks of the model do not judge: when exactly, who exactly, and under which token.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;

const LEASE: Duration = Duration::from_secs(9);
const HOLD: Duration = Duration::from_secs(60);
const NANO: Duration = Duration::from_nanos(1);
const START: Duration = Duration::from_secs(100);

/// The last instant in front of it.
fn just_before(span: Duration) -> Duration {
    span.saturating_sub(NANO)
}

/// Those who were sent away, by when they had arrived.
type Told = Rc<RefCell<Vec<(u64, Refusal<()>)>>>;

struct Guest {
    arrived: u64,
    deadline: Duration,
    there: Rc<Cell<bool>>,
    told: Told,
}

impl super::Waiter for Guest {
    type Error = ();
    fn arrived(&self) -> Duration {
        Duration::from_secs(self.arrived)
    }
    fn deadline(&self) -> Duration {
        self.deadline
    }
    fn is_there(&self) -> bool {
        self.there.get()
    }
    fn refuse(self, why: Refusal<()>) {
        self.told.borrow_mut().push((self.arrived, why));
    }
}

fn guest(arrived: u64, told: &Told) -> Guest {
    Guest {
        arrived,
        deadline: START,
        there: Rc::new(Cell::new(true)),
        told: told.clone(),
    }
}

/// A line with these who arrived then, in this order.
fn line(cohort: u32, arrived: impl IntoIterator<Item = u64>) -> (Line<Guest>, Told) {
    let (mut line, told) = (Line::new(cohort), Told::default());
    for arrived in arrived {
        assert!(line.join(guest(arrived, &told), 64).is_ok());
    }
    (line, told)
}

fn opens(step: &Step<Guest>) -> (Owner, u64) {
    match step {
        Step::Open { owner, arrived } => (*owner, arrived.as_secs()),
        _ => panic!("it does not open"),
    }
}

fn serves(step: &Step<Guest>) -> u64 {
    match step {
        Step::Serve { waiter } => waiter.arrived,
        _ => panic!("it does not serve"),
    }
}

/// The first is served; under which token.
fn hold(line: &mut Line<Guest>) -> Owner {
    let (owner, _) = opens(&line.next());
    serves(&line.opened(OpenReply::Granted, START));
    owner
}

/// The holder ends so; which token is to be installed.
fn end(line: &mut Line<Guest>, ending: Ending) -> Option<Owner> {
    match line.ended(ending) {
        Step::Finish { next, .. } => next,
        _ => panic!("it does not finish"),
    }
}

#[test]
fn a_lease_is_due_when_a_third_has_passed_until_the_hold_limit() {
    let (mut line, _) = line(16, [1]);
    assert_eq!(line.renew(START, LEASE, HOLD), None, "nobody holds it");
    let owner = hold(&mut line);
    let third = LEASE / 3;
    assert_eq!(line.renew(just_before(START + third), LEASE, HOLD), None);
    assert_eq!(line.renew(START + third, LEASE, HOLD), Some(owner));
    assert_eq!(
        line.renew(just_before(START + 2 * third), LEASE, HOLD),
        None
    );
    assert_eq!(line.renew(START + 2 * third, LEASE, HOLD), Some(owner));
    let last = just_before(START + HOLD);
    assert_eq!(line.renew(last, LEASE, HOLD), Some(owner));
    assert_eq!(line.renew(last + 2 * LEASE, LEASE, HOLD), None);
    let (mut line, _) = self::line(16, [1]);
    hold(&mut line);
    assert_eq!(line.renew(START + HOLD, LEASE, HOLD), None);
}

#[test]
fn only_those_who_are_there_take_up_room() {
    let (mut line, told) = line(16, []);
    let leaver = guest(1, &told);
    let there = leaver.there.clone();
    assert!(line.join(leaver, 1).is_ok());
    let refused = line.join(guest(2, &told), 1).map_err(|guest| guest.arrived);
    assert_eq!(refused, Err(2));
    there.set(false);
    assert!(line.join(guest(3, &told), 1).is_ok());
    assert_eq!(opens(&line.next()).1, 3);
}

#[test]
fn waiting_ends_at_the_deadline() {
    let (mut line, told) = line(16, [1]);
    let mut patient = guest(2, &told);
    patient.deadline = START + NANO;
    assert!(line.join(patient, 64).is_ok());
    line.expire(just_before(START));
    assert!(told.borrow().is_empty());
    line.expire(START);
    assert_eq!(*told.borrow(), [(1, Refusal::Timeout)]);
    assert_eq!(opens(&line.next()).1, 2);
}

#[test]
fn an_answer_counts_for_those_for_whom_it_must_be_the_same() {
    let answered = |reply| {
        let (mut line, told) = line(16, [5, 4, 5, 6]);
        let (owner, arrived) = opens(&line.next());
        assert_eq!(arrived, 5);
        let step = line.opened(reply, START);
        let told = told.borrow().clone();
        (owner, told, step)
    };
    let (owner, told, step) = answered(OpenReply::Stale);
    assert_eq!(told, [5, 4, 5].map(|arrived| (arrived, Refusal::Stale)));
    assert!(opens(&step).1 == 6 && opens(&step).0 != owner);
    let (_, told, step) = answered(OpenReply::Absent);
    assert_eq!(told, [5, 5, 6].map(|arrived| (arrived, Refusal::Absent)));
    assert_eq!(opens(&step).1, 4);
    let (_, told, step) = answered(OpenReply::Expired);
    assert_eq!(
        told,
        [5, 4, 5, 6].map(|arrived| (arrived, Refusal::Expired))
    );
    assert!(matches!(step, Step::Exit));
    // A reply that was lost may have been a grant, so the next one asks under the same token.
    let (owner, told, step) = answered(OpenReply::Failed(()));
    assert_eq!(told, [(5, Refusal::Failed(()))]);
    assert_eq!(opens(&step), (owner, 4));
}

#[test]
fn what_a_finish_may_have_installed_is_asked_for_or_given_back() {
    let done = |reopen| FinishReply::Done {
        waiting: false,
        reopen,
    };
    // Handed over at once.
    let (mut line, _) = line(16, [1, 2]);
    hold(&mut line);
    assert!(end(&mut line, Ending::Commit).is_some());
    let (verdict, step) = line.finished(done(false), START);
    assert_eq!((verdict, serves(&step)), (Verdict::Done, 2));
    // Only asked for, under the installed token.
    for lost_first in [false, true] {
        let (mut line, _) = self::line(16, [1, 2]);
        hold(&mut line);
        let next = end(&mut line, Ending::Commit);
        if lost_first {
            let (verdict, step) = line.finished(FinishReply::Failed, START);
            assert_eq!(verdict, Verdict::Undecided);
            assert!(matches!(step, Step::Retry));
        }
        let (verdict, step) = line.finished(done(!lost_first), START);
        assert_eq!(verdict, Verdict::Done);
        assert_eq!((Some(opens(&step).0), opens(&step).1), (next, 2));
    }
    // Given up, and asked for.
    let (mut line, _) = self::line(16, [1, 2]);
    hold(&mut line);
    let next = end(&mut line, Ending::Commit);
    line.finished(FinishReply::Failed, START);
    assert_eq!(Some(opens(&line.give_up()).0), next);
    // Refused: nothing was installed, and the holder's token is good.
    let (mut line, _) = self::line(16, [1, 2]);
    let owner = hold(&mut line);
    end(&mut line, Ending::Commit);
    let (verdict, step) = line.finished(FinishReply::Refused, START);
    assert_eq!((verdict, opens(&step)), (Verdict::Refused, (owner, 2)));
    // Lost at the first try: neither token is.
    let (mut line, _) = self::line(16, [1, 2]);
    let owner = hold(&mut line);
    let next = end(&mut line, Ending::Commit);
    let (verdict, step) = line.finished(FinishReply::Lost, START);
    assert_eq!(verdict, Verdict::Lost);
    let (asked, _) = opens(&step);
    assert!(asked != owner && Some(asked) != next);
}

#[test]
fn a_commit_is_judged_by_what_can_be_known() {
    use FinishReply::{Gone, Lost, Refused, Unknown};
    let verdict = |ending, again, reply| {
        let (mut line, _) = line(16, [1]);
        hold(&mut line);
        end(&mut line, ending);
        if again {
            line.finished(FinishReply::Failed, START);
        }
        line.finished(reply, START).0
    };
    for ending in [Ending::Commit, Ending::Invalidate, Ending::Release] {
        let first = [Lost, Gone, Unknown, Refused].map(|reply| verdict(ending, false, reply));
        let expected = [
            Verdict::Lost,
            Verdict::Gone,
            Verdict::Lost,
            Verdict::Refused,
        ];
        assert_eq!(first, expected, "{ending:?}");
        let again = [Lost, Gone, Unknown, Refused].map(|reply| verdict(ending, true, reply));
        let [lost, gone] = match ending {
            // It was carried out, or there is nothing left to give back.
            Ending::Release => [Verdict::Done; 2],
            _ => [Verdict::Lost, Verdict::Unknown],
        };
        let expected = [lost, gone, Verdict::Unknown, Verdict::Unknown];
        assert_eq!(again, expected, "{ending:?} again");
    }
}

#[test]
fn a_cohort_ends_only_where_somebody_waits_elsewhere() {
    let serve = |waiting, cohort: u32| {
        let (mut line, _) = line(cohort, 1..=6);
        hold(&mut line);
        let mut served = 1;
        loop {
            let next = end(&mut line, Ending::Commit);
            let reply = FinishReply::Done {
                waiting,
                reopen: false,
            };
            let (_, step) = line.finished(reply, START);
            match step {
                Step::Serve { .. } => served += 1,
                Step::Yield => return (served, next, true),
                _ => return (served, next, false),
            }
        }
    };
    for cohort in [1, 2, 3] {
        assert_eq!(serve(true, cohort), (cohort, None, true));
    }
    let (served, _, yields) = serve(false, 3);
    assert!(served >= 3 && !yields, "{served}");
}

#[test]
fn who_is_stale_after_an_invalidation_hears_it_and_nobody_is_handed_anything() {
    let (mut line, told) = line(16, [1, 2, 3]);
    hold(&mut line);
    assert_eq!(end(&mut line, Ending::Invalidate), None);
    let reply = FinishReply::Done {
        waiting: true,
        reopen: false,
    };
    let (verdict, step) = line.finished(reply, START);
    assert_eq!(verdict, Verdict::Done);
    assert!(matches!(step, Step::Exit));
    assert_eq!(
        *told.borrow(),
        [2, 3].map(|arrived| (arrived, Refusal::Stale))
    );
}

#[test]
fn a_line_without_waiters_ends_though_somebody_waits_elsewhere() {
    let (mut line, _) = line(16, [1]);
    hold(&mut line);
    assert_eq!(end(&mut line, Ending::Commit), None);
    let reply = FinishReply::Done {
        waiting: true,
        reopen: false,
    };
    let (verdict, step) = line.finished(reply, START);
    assert_eq!(verdict, Verdict::Done);
    assert!(matches!(step, Step::Exit));
}

#[test]
fn who_went_away_before_it_heard_makes_room_for_the_next() {
    let (mut line, _) = line(16, [1, 2]);
    hold(&mut line);
    assert_eq!(serves(&line.abandoned(START)), 2);
    assert!(matches!(line.abandoned(START), Step::Release { .. }));
    assert!(matches!(line.released(), Step::Exit));
}
