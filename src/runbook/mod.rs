//! The executor of runbook steps: what the engine ordered is done on the target host, within its deadline, and told back.
//!
//! Decides nothing: what may be done, by whom and when, is the engine's. Programs get their arguments one by one, never
//! through a shell of ours.

pub mod agents;
pub mod command;
pub mod power;

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::engine::Command;
use stentor_core::runbook::{Asker, Order, OrderKind, Right, RunAction, RunOrder, RunRequest, STENTOR, StepState};
use stentor_core::snapshot::Snapshot;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::agents::Agents;
use crate::engine::Handle;
use crate::probes::ProbeEnv;
use crate::probes::ssh_link::Ssh;

/// Orders that may wait for the executor.
pub const ORDERS_MAX: usize = 256;

/// What the executor works with.
#[derive(Clone)]
pub struct Parts {
    pub engine: Handle,
    pub env: ProbeEnv,
    pub ssh: Arc<Ssh>,
    pub agents: Arc<Agents>,
}

/// How a step ended: well or not, and what is to be shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub well: bool,
    pub output: String,
}

impl Ended {
    pub fn failed(output: impl Into<String>) -> Ended {
        Ended { well: false, output: output.into() }
    }
}

/// Serves until the writer is gone, or `stop`.
pub fn start(parts: Parts, orders: mpsc::Receiver<RunOrder>, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(serve(parts, orders, stop))
}

async fn serve(parts: Parts, mut orders: mpsc::Receiver<RunOrder>, stop: CancellationToken) {
    let mut under_way: BTreeMap<u64, CancellationToken> = BTreeMap::new();
    let mut steps = JoinSet::new();
    for report in left_over(&parts.engine.snapshot()) {
        tell(&parts.engine, report).await;
    }
    loop {
        let order = tokio::select! {
            () = stop.cancelled() => break,
            order = orders.recv() => order,
        };
        match order {
            None => break,
            Some(RunOrder::Stop { run }) => {
                if let Some(token) = under_way.remove(&run) {
                    token.cancel();
                }
            }
            Some(RunOrder::Do(order)) => {
                let token = stop.child_token();
                under_way.insert(order.run, token.clone());
                let parts = parts.clone();
                steps.spawn(async move {
                    tokio::select! {
                        // Dropping the work kills its process; the engine knows already why it ended.
                        () = token.cancelled() => {}
                        report = carry_out(&parts, order) => tell(&parts.engine, report).await,
                    }
                });
            }
        }
        while steps.try_join_next().is_some() {}
    }
    steps.shutdown().await;
}

/// Steps that were under way when the process ended: nobody can say what became of them.
fn left_over(snapshot: &Snapshot) -> Vec<RunAction> {
    let live = snapshot.runs.values().filter(|run| run.phase.is_live());
    live.flat_map(|run| {
        run.steps.iter().zip(&run.runbook.steps).enumerate().filter_map(|(index, (state, step))| {
            let ordered = Right::of(&step.action) == Right::Power
                || matches!(step.action, stentor_core::catalog::Action::Command { .. });
            (ordered && state.state == StepState::Running).then(|| RunAction::Report {
                run: run.number,
                step: u16::try_from(index + 1).unwrap_or(u16::MAX),
                attempt: state.attempt,
                well: false,
                output: "Stentor was restarted meanwhile: whether it was done is not known".into(),
            })
        })
    })
    .collect()
}

async fn carry_out(parts: &Parts, order: Order) -> RunAction {
    let snapshot = parts.engine.snapshot();
    let ended = match &order.what {
        OrderKind::Command(words) => command::run(parts, &snapshot, &order, words).await,
        OrderKind::Power(action) => power::switch(parts, &snapshot, &order, *action).await,
    };
    RunAction::Report {
        run: order.run,
        step: order.step,
        attempt: order.attempt,
        well: ended.well,
        output: ended.output.into(),
    }
}

async fn tell(engine: &Handle, action: RunAction) {
    let by = Asker { name: STENTOR.into(), right: Right::Power };
    if let Err(error) = engine.command(Command::Run(RunRequest { by, action }), None).await {
        tracing::warn!(%error, "how a runbook step ended was not taken: {error}");
    }
}
