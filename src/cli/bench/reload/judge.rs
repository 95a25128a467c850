//! What ran against what was due, computed from names and intervals alone.

use stentor_core::{Span, Timestamp};

use super::config::{Plan, Visitor};

/// Two readers of one clock differ by less than this; so much before its time is on time.
pub const TOLERANCE: Span = Span::from_millis(50);
/// A new service is looked at within this.
const FIRST_WITHIN: Span = Span::from_secs(15);
/// A check that began when its service went may be noted this much later.
const GOING: Span = Span::from_secs(1);
/// Later than this is late.
const LATE_AFTER: Span = Span::from_secs(1);

/// A check that ran.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Run {
    pub id: u32,
    pub at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Turns of steady services in the time that was judged.
    pub due: usize,
    pub late_max: Span,
    pub late_p99: Span,
    pub late: usize,
    pub lost: usize,
    pub doubled: usize,
    /// Runs of services that were not configured.
    pub unasked: usize,
}

/// Judges every turn of `[from, until)`.
pub fn judge(plan: &Plan, runs: &[Run], from: Timestamp, until: Timestamp) -> Verdict {
    let mut verdict = Verdict::default();
    let mut late: Vec<Span> = Vec::new();
    let by_id = by_id(runs, plan.steady_count() + plan.visitors.len());
    for (id, ran) in by_id.iter().enumerate().take(plan.steady_count()) {
        let phase = plan.phase(id as u32);
        let first = turn_at(from - Span::from_millis(1), plan.every, phase) + 1;
        let mut times = ran.iter().map(|at| (turn_at(*at + TOLERANCE, plan.every, phase), *at)).peekable();
        for turn in first.. {
            let due = Timestamp::ZERO + phase + plan.every * turn;
            if due >= until {
                break;
            }
            verdict.due += 1;
            while times.next_if(|(of, _)| *of < turn).is_some() {}
            match times.next_if(|(of, _)| *of == turn) {
                Some((_, at)) => late.push((at - due).max(Span::ZERO)),
                None => verdict.lost += 1,
            }
            while times.next_if(|(of, _)| *of == turn).is_some() {
                verdict.doubled += 1;
            }
        }
    }
    for visitor in &plan.visitors {
        let ran = by_id.get(visitor.id as usize).map_or(&[][..], Vec::as_slice);
        judge_visitor(visitor, ran, until, &mut verdict);
    }
    late.sort_unstable();
    verdict.late = late.iter().filter(|span| **span > LATE_AFTER).count();
    verdict.late_max = late.last().copied().unwrap_or_default();
    verdict.late_p99 = late.get(late.len() * 99 / 100).copied().unwrap_or_default();
    verdict
}

/// A service that came must be looked at soon, and not any more once it went.
fn judge_visitor(visitor: &Visitor, ran: &[Timestamp], until: Timestamp, verdict: &mut Verdict) {
    let Some(from) = visitor.from else { return };
    let end = visitor.until.unwrap_or(until);
    if end - from > FIRST_WITHIN && ran.is_empty() {
        verdict.lost += 1;
    }
    if let Some(gone) = visitor.until {
        verdict.unasked += ran.iter().filter(|at| **at > gone + GOING).count();
    }
}

/// The turn that an instant belongs to: turn `n` is due at `phase + n * every`.
fn turn_at(at: Timestamp, every: Span, phase: Span) -> i64 {
    (at - (Timestamp::ZERO + phase)).as_millis().div_euclid(every.as_millis())
}

fn by_id(runs: &[Run], count: usize) -> Vec<Vec<Timestamp>> {
    let mut by_id = vec![Vec::new(); count];
    for run in runs {
        if let Some(ran) = by_id.get_mut(run.id as usize) {
            ran.push(run.at);
        }
    }
    by_id.iter_mut().for_each(|ran| ran.sort_unstable());
    by_id
}

/// When each of the first `count` services last ran.
pub fn newest(runs: &[Run], count: usize) -> Vec<Option<Timestamp>> {
    by_id(runs, count).iter().map(|ran| ran.last().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::config::Change;
    use super::*;

    const EVERY: Span = Span::from_secs(10);
    const FROM: Timestamp = Timestamp::from_secs(1_795_000_000);
    const UNTIL: Timestamp = Timestamp::from_secs(1_795_000_100);

    fn punctual(plan: &Plan) -> Vec<Run> {
        let turns = FROM.as_secs() / 10 - 2..UNTIL.as_secs() / 10 + 2;
        (0..plan.steady_count() as u32)
            .flat_map(|id| {
                let phase = plan.phase(id);
                turns.clone().map(move |n| Run { id, at: Timestamp::ZERO + phase + EVERY * n })
            })
            .collect()
    }

    #[test]
    fn what_runs_at_its_time_is_good() {
        let plan = Plan::new(7, EVERY);
        let verdict = judge(&plan, &punctual(&plan), FROM, UNTIL);
        assert_eq!(verdict, Verdict { due: 70, ..Verdict::default() });
    }

    #[test]
    fn late_lost_and_doubled_runs_are_found() {
        let plan = Plan::new(7, EVERY);
        let good = punctual(&plan);
        let some = good.iter().position(|run| run.at > FROM + Span::from_secs(30)).expect("many");
        let mut late = good.clone();
        late[some].at += Span::from_millis(1500);
        let verdict = judge(&plan, &late, FROM, UNTIL);
        assert_eq!((verdict.late_max, verdict.late, verdict.lost), (Span::from_millis(1500), 1, 0));
        let mut lost = good.clone();
        lost.remove(some);
        assert_eq!(judge(&plan, &lost, FROM, UNTIL).lost, 1);
        let mut doubled = good.clone();
        doubled.push(Run { at: good[some].at + Span::from_secs(3), ..good[some] });
        assert_eq!(judge(&plan, &doubled, FROM, UNTIL).doubled, 1);
    }

    #[test]
    fn who_came_must_run_and_who_went_must_not() {
        let mut plan = Plan::new(1, EVERY);
        plan.change(Change::Add);
        plan.in_force(FROM);
        assert_eq!(judge(&plan, &punctual(&plan), FROM, UNTIL).lost, plan.visitors.len());
        plan.change(Change::Remove);
        plan.in_force(FROM + Span::from_secs(5));
        let mut runs = punctual(&plan);
        runs.push(Run { id: plan.visitors[0].id, at: FROM + Span::from_secs(9) });
        let verdict = judge(&plan, &runs, FROM, UNTIL);
        assert_eq!((verdict.lost, verdict.unasked), (0, 1));
    }
}
