//! `stentor bench objects`: how long a large Nagios configuration takes to be read and resolved, from memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Instant;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use serde_json::json;
use stentor_wire::nagios::load::{self, Files};

#[derive(Debug, Args)]
pub struct ObjectsArgs {
    #[arg(long, default_value_t = 10_000)]
    pub hosts: usize,
    #[arg(long, default_value_t = 10)]
    pub services_per_host: usize,
    /// One definition a service over a host group, or one definition for each service of each host.
    #[arg(long, value_enum, default_value_t = Shape::Groups)]
    pub shape: Shape,
    /// Runs; the median counts.
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shape {
    Groups,
    Explicit,
}

const BASE: &str = "define timeperiod {
 timeperiod_name 24x7
 alias always
 sunday 00:00-24:00
 monday 00:00-24:00
 tuesday 00:00-24:00
 wednesday 00:00-24:00
 thursday 00:00-24:00
 friday 00:00-24:00
 saturday 00:00-24:00
}
define command {
 command_name plug
 command_line $USER1$/check_dummy 0
}
define contact {
 contact_name root
 host_notification_period 24x7
 service_notification_period 24x7
 host_notification_options d,u,r
 service_notification_options w,u,c,r
 host_notification_commands plug
 service_notification_commands plug
}
define contactgroup {
 contactgroup_name admins
 alias Administrators
 members root
}
define host {
 name generic-host
 register 0
 check_command plug!alive
 check_period 24x7
 check_interval 5
 retry_interval 1
 max_check_attempts 3
 contact_groups admins
 notification_interval 60
 notification_period 24x7
}
define host {
 name server
 use generic-host
 register 0
 hostgroups all
 notification_options d,u,r
 _SITE lab
}
define service {
 name generic-service
 register 0
 check_period 24x7
 check_interval 5
 retry_interval 1
 max_check_attempts 3
 contact_groups admins
 notification_interval 60
 notification_period 24x7
}
define service {
 name local-service
 use generic-service
 register 0
 check_command plug
 notification_options w,u,c,r
}
define hostgroup {
 hostgroup_name all
 alias All servers
}
";

fn configuration(args: &ObjectsArgs) -> Result<String, std::fmt::Error> {
    let mut text = BASE.to_owned();
    for host in 0..args.hosts {
        let (high, low) = ((host >> 8) & 0xff, host & 0xff);
        writeln!(text, "define host {{\n use server\n host_name h{host:05}\n address 10.0.{high}.{low}\n}}")?;
    }
    for service in 0..args.services_per_host {
        match args.shape {
            Shape::Groups => {
                writeln!(
                    text,
                    "define service {{\n use local-service\n hostgroup_name all\n service_description s{service:02}\n \
                     check_command plug!{service}\n}}"
                )?;
            }
            Shape::Explicit => {
                for host in 0..args.hosts {
                    writeln!(
                        text,
                        "define service {{\n use local-service\n host_name h{host:05}\n service_description \
                         s{service:02}\n}}"
                    )?;
                }
            }
        }
    }
    Ok(text)
}

struct Memory(BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn list(&mut self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

pub(super) fn run(args: &ObjectsArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    ensure!(args.runs > 0, "at least one run is needed");
    let text = configuration(args)?;
    let bytes = text.len();
    let main = b"cfg_file=objects.cfg\n".to_vec();
    let mut files = Memory([("nagios.cfg".to_owned(), main), ("objects.cfg".to_owned(), text.into_bytes())].into());
    let (mut parse, mut resolve, mut total) = (Vec::new(), Vec::new(), Vec::new());
    let mut counts = (0, 0);
    for _ in 0..args.runs {
        let begun = Instant::now();
        let read = load::read("nagios.cfg", &mut files);
        let parsed = begun.elapsed().as_secs_f64();
        let loaded = read.resolve();
        let whole = begun.elapsed().as_secs_f64();
        ensure!(loaded.findings.errors() == 0, "the configuration has errors: {:?}", loaded.findings.iter().next());
        counts = (loaded.objects.hosts.len(), loaded.objects.services.len());
        parse.push(parsed);
        resolve.push(whole - parsed);
        total.push(whole);
    }
    let report = json!({
        "bench": "objects",
        "optimised": !cfg!(debug_assertions),
        "shape": format!("{:?}", args.shape).to_lowercase(),
        "hosts": counts.0,
        "services": counts.1,
        "bytes": bytes,
        "runs": args.runs,
        "parse_seconds": median(parse),
        "resolve_seconds": median(resolve),
        "total_seconds": median(total),
    });
    writeln!(out, "{report}")?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_give_the_services_that_were_asked_for() {
        for shape in [Shape::Groups, Shape::Explicit] {
            let mut out = Vec::new();
            let args = ObjectsArgs { hosts: 20, services_per_host: 3, shape, runs: 1 };
            assert_eq!(run(&args, &mut out).unwrap(), 0);
            let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!((&report["hosts"], &report["services"]), (&json!(20), &json!(60)), "{report}");
        }
    }
}
