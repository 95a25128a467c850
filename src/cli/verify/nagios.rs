//! The half of `stentor verify` that reads a Nagios configuration.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use serde_json::json;
use stentor_wire::nagios::finding::{Finding, Severity};
use stentor_wire::nagios::load::Loaded;
use stentor_wire::nagios::objects::dump;

use super::VerifyArgs;
use crate::config::nagios_files;

#[derive(Serialize)]
struct Line<'a> {
    level: Severity,
    code: &'a str,
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
    help: &'a str,
}

/// As [`super::run`]. With `--dump-objects` the standard output holds the objects and nothing else; with errors, none.
pub(super) fn run(args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let loaded = nagios_files::load(&args.config);
    let answer = u8::from(loaded.findings.errors() > 0);
    if args.dump_objects {
        print_findings(&loaded, &mut std::io::stderr().lock())?;
        if answer == 0 {
            out.write_all(dump(&loaded.objects).as_bytes())?;
        }
    } else if args.json {
        for finding in &loaded.findings {
            writeln!(out, "{}", serde_json::to_string(&line(&loaded, finding))?)?;
        }
        let (errors, warnings) = (loaded.findings.errors(), loaded.findings.warnings());
        writeln!(out, "{}", json!({ "counts": counts(&loaded), "errors": errors, "warnings": warnings }))?;
    } else {
        print_findings(&loaded, &mut std::io::stderr().lock())?;
        for (kind, count) in counts(&loaded).iter().filter(|(_, count)| **count > 0) {
            writeln!(out, "{count:>7} {kind}")?;
        }
        writeln!(out, "Total Warnings: {}", loaded.findings.warnings())?;
        writeln!(out, "Total Errors: {}", loaded.findings.errors())?;
        let verdict = if answer == 0 { "is good" } else { "would not start" };
        writeln!(out, "{} {verdict}", args.config.display())?;
    }
    out.flush()?;
    Ok(answer)
}

fn line<'a>(loaded: &'a Loaded, finding: &'a Finding) -> Line<'a> {
    Line {
        level: finding.severity,
        code: finding.code,
        file: loaded.files.get(finding.place.file as usize).map_or("", |file| &file.path),
        // What belongs to no line (no host at all) is said of the first.
        line: finding.place.line.max(1),
        column: finding.place.column.max(1),
        message: &finding.message,
        help: &finding.help,
    }
}

fn print_findings(loaded: &Loaded, out: &mut impl Write) -> anyhow::Result<()> {
    for finding in &loaded.findings {
        let Line { code, file, line, column, message, help, .. } = line(loaded, finding);
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "{file}:{line}:{column}: {level}[{code}]: {message}")?;
        if !help.is_empty() {
            writeln!(out, "  help: {help}")?;
        }
    }
    Ok(())
}

fn counts(loaded: &Loaded) -> BTreeMap<&'static str, usize> {
    let objects = &loaded.objects;
    BTreeMap::from([
        ("timeperiods", objects.timeperiods.len()),
        ("commands", objects.commands.len()),
        ("contacts", objects.contacts.len()),
        ("contactgroups", objects.contactgroups.len()),
        ("hosts", objects.hosts.len()),
        ("hostgroups", objects.hostgroups.len()),
        ("services", objects.services.len()),
        ("servicegroups", objects.servicegroups.len()),
        ("hostdependencies", objects.host_dependencies.len()),
        ("servicedependencies", objects.service_dependencies.len()),
        ("hostescalations", objects.host_escalations.len()),
        ("serviceescalations", objects.service_escalations.len()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(main: &str, objects: &str, json: bool, dump_objects: bool) -> (u8, String) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("nagios.cfg");
        std::fs::write(&config, format!("cfg_file=objects.cfg\n{main}")).unwrap();
        std::fs::write(folder.path().join("objects.cfg"), objects).unwrap();
        let mut out = Vec::new();
        let code = super::super::run(&VerifyArgs { config, json, dump_objects }, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    const GOOD: &str = "define host {\n host_name h\n max_check_attempts 3\n}\ndefine command {\n command_name c\n \
                        command_line /bin/true\n}\ndefine service {\n host_name h\n service_description s\n \
                        check_command c\n max_check_attempts 3\n}\n";

    #[test]
    fn a_nagios_file_is_recognised_and_counted() {
        let (code, text) = verify("", GOOD, false, false);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("      1 hosts\n") && text.contains("Total Warnings: 4\nTotal Errors: 0\n"), "{text}");
    }

    #[test]
    fn json_has_one_line_for_each_finding_then_the_counts() {
        let (code, text) = verify("log_fiel=x\n", &GOOD.replace("command c\n", "command cc\n"), true, false);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.last().unwrap();
        assert_eq!(
            (code, last["errors"].as_u64(), last["counts"]["services"].as_u64()),
            (1, Some(2), Some(1)),
            "{text}"
        );
        let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "error").collect();
        assert_eq!(
            (&errors[0]["code"], &errors[0]["line"], &errors[0]["column"]),
            (&json!("unknown-key"), &json!(2), &json!(1))
        );
        assert_eq!(errors[0]["help"], "did you mean `log_file`?");
        assert!(errors[0]["file"].as_str().unwrap().ends_with("/nagios.cfg"));
        assert_eq!(
            (&errors[1]["code"], &errors[1]["line"], &errors[1]["column"]),
            (&json!("unknown-command"), &json!(12), &json!(16))
        );
    }

    #[test]
    fn a_dump_is_alone_on_the_output_and_only_of_good_objects() {
        let (code, text) = verify("", GOOD, false, true);
        assert_eq!(code, 0);
        assert!(text.starts_with("define command {\n\tcommand_name\tc \n"), "{text}");
        assert!(text.ends_with("\t}\n\n") && !text.contains("Total"), "{text}");
        assert_eq!(verify("", "define host {\n", false, true), (1, String::new()));
    }
}
