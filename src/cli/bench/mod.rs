//! `stentor bench`: the project's own benchmarks. Each prints one JSON object with what was run and the figures.

mod classify;
mod engine;
mod ipmi;
mod journal;
mod network;
mod objects;
mod passive;
mod reload;
mod spawn;

use std::io::Write;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub what: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// What one change costs the classifier beside starting from nothing, and many failures at once to one cause.
    Classify(classify::ClassifyArgs),
    /// Results that the engine applies per second on one core, and bytes a service costs.
    Engine(engine::EngineArgs),
    /// Sensor readings per CPU-second from simulated BMCs, beside ipmitool and FreeIPMI; what hung ones do to others.
    Ipmi(ipmi::IpmiArgs),
    #[command(hide = true)]
    IpmiSimulators(ipmi::simulators::SimulatorArgs),
    /// Plugin executions per second of the exec probe against a bare spawn loop with pipes.
    Spawn(spawn::SpawnArgs),
    /// Passive results per second from lines of external commands to states.
    Passive(passive::PassiveArgs),
    /// Turns and inputs per second that the journal makes durable, and reads back.
    Journal(journal::JournalArgs),
    /// Seconds to read and resolve a large Nagios configuration.
    Objects(objects::ObjectsArgs),
    /// How late checks are while the configuration is read again and again; none may be lost or doubled.
    Reload(reload::ReloadArgs),
    /// TCP checks by the collector, all well and with a tenth of the peers silent, beside check_tcp.
    Tcp(network::NetworkArgs),
    /// The same for HTTP, beside check_http.
    Http(network::NetworkArgs),
    /// The same for walks of interface tables, beside check_snmp, snmpget and snmpbulkwalk.
    Snmp(network::NetworkArgs),
    /// The peers of these benchmarks, until standard input ends.
    #[command(hide = true)]
    Simulate(network::SimulateArgs),
}

/// Runs one benchmark; the result is the exit status. Blocks, so never call it on a runtime's thread.
///
/// # Errors
/// What is measured cannot be run, or the output cannot be written.
pub fn run(args: &BenchArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match &args.what {
        BenchCommand::Classify(args) => classify::run(args, out),
        BenchCommand::Engine(args) => engine::run(args, out),
        BenchCommand::Ipmi(args) => ipmi::run(args, out),
        BenchCommand::IpmiSimulators(args) => ipmi::simulators::serve(args, &mut std::io::stdin().lock(), out),
        BenchCommand::Spawn(args) => spawn::run(args, out),
        BenchCommand::Passive(args) => passive::run(args, out),
        BenchCommand::Journal(args) => journal::run(args, out),
        BenchCommand::Objects(args) => objects::run(args, out),
        BenchCommand::Reload(args) => reload::run(args, out),
        BenchCommand::Tcp(args) => network::run(network::Kind::Tcp, args, out),
        BenchCommand::Http(args) => network::run(network::Kind::Http, args, out),
        BenchCommand::Snmp(args) => network::run(network::Kind::Snmp, args, out),
        BenchCommand::Simulate(args) => network::simulate(args, out),
    }
}
