//! Runs commands for runbooks: what the hub orders and the host's own list allows, one at a time, each at most once.
//!
//! Nothing is run before the hub has answered that it begins: an order that was taken back, or that an earlier start of this
//! agent took, is never begun. What was begun is never begun again, whatever is lost on the way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stentor_core::runbook::{capped, order::shown};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::hub::{Hub, OrderState};
use super::order::{Order, Orders};
use super::{AgentConfig, AllowList, Backoff, seed_of};
use crate::runbook::{Ended, command};

/// The hub answers by then, or the order is not begun.
const BEGIN_WITHIN: Duration = Duration::from_secs(8);
/// A result is told by then, or never: the hub has long said that it is not known.
const TELL_WITHIN: Duration = Duration::from_secs(10 * 60);
/// For telling what became of the last order when the agent stops.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Ids that are remembered. An older one that came again would still need the hub's leave.
const SEEN_MAX: usize = 10_000;

struct Commander {
    hub: Hub,
    allow: AllowList,
    start: Arc<str>,
    backoff: Backoff,
    seed: u64,
    /// Orders that were looked at in this start, the oldest first.
    seen: VecDeque<Arc<str>>,
}

/// What the hub says to what it was told.
enum Heard {
    Taken,
    /// And never will be.
    Rejected,
    Nothing,
}

/// Runs until `stop` is cancelled; then what is under way is killed, and told.
pub async fn run(
    config: &AgentConfig,
    hub: &Hub,
    start: Arc<str>,
    mut orders: watch::Receiver<Orders>,
    stop: &CancellationToken,
) {
    if config.allow.is_empty() {
        return;
    }
    let mut commander = Commander {
        hub: hub.clone(),
        allow: config.allow.clone(),
        start,
        backoff: config.backoff,
        seed: seed_of(&config.host),
        seen: VecDeque::new(),
    };
    while !stop.is_cancelled() {
        let next = commander.next(&orders.borrow_and_update());
        match next {
            Some(order) => commander.carry_out(&order, &mut orders, stop).await,
            None => tokio::select! {
                () = stop.cancelled() => return,
                changed = orders.changed() => if changed.is_err() { return },
            },
        }
    }
}

impl Commander {
    /// The first that was not seen before; from now on it was.
    fn next(&mut self, orders: &Orders) -> Option<Order> {
        let order = orders.orders.iter().find(|order| !self.seen.contains(&order.id))?;
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(Arc::clone(&order.id));
        Some(order.clone())
    }

    async fn carry_out(&self, order: &Order, orders: &mut watch::Receiver<Orders>, stop: &CancellationToken) {
        let Order { run, step, attempt, .. } = *order;
        let command = shown(&order.argv);
        let within = match self.may(order) {
            Ok(within) => within,
            Err(why) => {
                warn!(run, step, attempt, command, why, "an order of the hub is refused");
                self.tell(order, OrderState::Refused, &why, (TELL_WITHIN, stop)).await;
                return;
            }
        };
        match self.tell(order, OrderState::Begun, "", (BEGIN_WITHIN, stop)).await {
            Heard::Taken => {}
            Heard::Rejected => {
                info!(run, step, attempt, command, "an order is not wanted any more");
                return;
            }
            Heard::Nothing => {
                // It may count as begun there.
                let why = "it was not begun: the answer of the hub did not reach the agent";
                self.tell(order, OrderState::Failed, why, (TELL_WITHIN, stop)).await;
                return;
            }
        }
        info!(run, step, attempt, command, "a command of a runbook begins");
        let killed = |why: &str| Ended::failed(format!("{why}: it was killed, and whether it was done is not known"));
        let ended = tokio::select! {
            ended = command::here(&order.argv, within) => ended,
            () = unwanted(orders, &order.id) => killed("it was stopped by Stentor"),
            () = stop.cancelled() => killed("the agent was stopped"),
        };
        let how: String = ended.output.lines().take(1).collect();
        info!(run, step, attempt, command, well = ended.well, how, "a command of a runbook ended");
        let state = if ended.well { OrderState::Done } else { OrderState::Failed };
        if !matches!(self.tell(order, state, &capped(&ended.output), (TELL_WITHIN, stop)).await, Heard::Taken) {
            warn!(run, step, attempt, command, "the hub does not take how a command ended");
        }
    }

    /// Its time limit, if it is allowed here.
    fn may(&self, order: &Order) -> Result<Duration, String> {
        let within = order.limits()?;
        if !self.allow.allows(&order.argv) {
            return Err(format!("its `--commands` file does not allow {}", shown(&order.argv)));
        }
        Ok(within)
    }

    /// Tells until the hub has decided, or time is over.
    async fn tell(
        &self,
        order: &Order,
        state: OrderState,
        output: &str,
        (within, stop): (Duration, &CancellationToken),
    ) -> Heard {
        let end = Instant::now() + within;
        let over = async {
            tokio::select! {
                () = sleep_until(end) => {}
                () = async { stop.cancelled().await; sleep(LAST_WORDS).await } => {}
            }
        };
        let told = async {
            let mut failures = 0;
            loop {
                match self.hub.tell(order, &self.start, state, output).await {
                    Ok(()) => return Heard::Taken,
                    Err(error) if error.is_final() => {
                        warn!(run = order.run, step = order.step, error = %error, "the hub does not take what was told of an order");
                        return Heard::Rejected;
                    }
                    Err(_) => {
                        failures += 1;
                        sleep(self.backoff.after(failures, self.seed)).await;
                    }
                }
            }
        };
        tokio::select! {
            heard = told => heard,
            () = over => Heard::Nothing,
        }
    }
}

/// Until the hub says that this one is to end.
async fn unwanted(orders: &mut watch::Receiver<Orders>, id: &Arc<str>) {
    if orders.wait_for(|orders| orders.stop.contains(id)).await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests;
