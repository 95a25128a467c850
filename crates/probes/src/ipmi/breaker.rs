//! When a controller that does not answer is asked again: a circuit breaker with half-open trials, so that a dead
//! controller costs two datagrams now and then instead of all tries of each check.

use std::time::Duration;

use tokio::time::Instant;

use super::IpmiError;

/// Polls in a row without any answer after which only trials are made. One may be a burst of loss.
const SILENT_MAX: u32 = 2;
/// Time to the first trial: below the retry interval of the checks, so that each retry is one.
const TRIAL_FIRST: Duration = Duration::from_secs(15);
/// Longest time between two trials: a controller that is back is seen within a minute.
const TRIAL_MAX: Duration = Duration::from_secs(60);

/// How hard to try now.
#[derive(Debug)]
pub(super) enum Effort {
    Full,
    /// Few tries: whoever is back answers them.
    Trial,
    /// None: this is what the last try came to.
    Known(IpmiError),
}

/// What is known of one controller's silence.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Polls in a row that ended in silence.
    silent: u32,
    last: Option<(IpmiError, Instant)>,
}

impl Breaker {
    pub(super) fn effort(&self, now: Instant) -> Effort {
        match &self.last {
            Some((error, trial_at)) if self.silent >= SILENT_MAX && now < *trial_at => Effort::Known(error.clone()),
            Some(_) if self.silent >= SILENT_MAX => Effort::Trial,
            Some(_) | None => Effort::Full,
        }
    }

    /// Takes the end of a poll that was not spared.
    pub(super) fn note<T>(&mut self, result: &Result<T, IpmiError>, now: Instant, seed: u32) {
        match result {
            Err(error @ (IpmiError::Unreachable | IpmiError::NoAnswer { .. })) => {
                let beyond = self.silent.saturating_sub(SILENT_MAX - 1).min(u32::BITS - 1);
                self.silent = self.silent.saturating_add(1);
                let wait = TRIAL_FIRST.saturating_mul(1 << beyond.min(16)).min(TRIAL_MAX);
                // A quarter up and down: a switch that comes back finds its controllers' trials spread out.
                let wait = wait.mul_f64(0.75 + 0.5 * f64::from(seed) / f64::from(u32::MAX));
                self.last = Some((error.clone(), now + wait));
            }
            // No time to try or our own socket: says nothing about the controller.
            Err(IpmiError::Busy | IpmiError::Stopped | IpmiError::Network(_)) => {}
            // A refusal is an answer.
            Ok(_) | Err(_) => *self = Breaker::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u32 = u32::MAX / 2;

    fn silent(breaker: &mut Breaker, now: Instant) {
        breaker.note::<()>(&Err(IpmiError::Unreachable), now, MIDDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_twice_opens_it_and_any_answer_closes_it() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        silent(&mut breaker, now);
        assert!(matches!(breaker.effort(now), Effort::Full), "one silent poll may be loss");
        silent(&mut breaker, now);
        assert!(matches!(breaker.effort(now), Effort::Known(IpmiError::Unreachable)));
        assert!(matches!(breaker.effort(now + TRIAL_FIRST), Effort::Trial));
        breaker.note::<()>(&Err(IpmiError::NoSuite), now, MIDDLE);
        assert!(matches!(breaker.effort(now), Effort::Full), "a refusal is an answer");
    }

    #[tokio::test(start_paused = true)]
    async fn trials_become_rarer_but_never_rarer_than_a_minute_or_so() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..40 {
            silent(&mut breaker, now);
            waits.push(breaker.last.as_ref().expect("noted").1 - now);
        }
        let seconds: Vec<u64> = waits.iter().map(|wait| wait.as_secs_f64().round() as u64).collect();
        assert_eq!(seconds[..5], [15, 15, 30, 60, 60]);
        assert!(seconds.iter().all(|wait| *wait <= 60));
        for (seed, expected) in [(0, 45), (u32::MAX, 75)] {
            breaker.note::<()>(&Err(IpmiError::Unreachable), now, seed);
            let wait = breaker.last.as_ref().expect("noted").1 - now;
            assert_eq!(wait.as_secs_f64().round() as u64, expected, "spread by chance");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_trouble_says_nothing_about_the_controller() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        silent(&mut breaker, now);
        silent(&mut breaker, now);
        breaker.note::<()>(&Err(IpmiError::Busy), now, MIDDLE);
        assert!(matches!(breaker.effort(now), Effort::Known(_)));
    }
}
