//! What somebody who never saw the platform would miss in a runbook: where a command runs and with whose credentials, what
//! a name in capitals stands for, what good output looks like, a second look before something is destroyed.

use stentor_core::catalog::{Runbook, Step, StepKind};

/// The packs whose runbooks were read from end to end by somebody new to the platform (docs/runbooks-reading.md): what
/// they found there and a machine can see is held here.
pub const READ: [&str; 2] = ["eucalyptus", "hardware"];

/// Destroys data or cuts off users on the wrong host, or with the wrong name: never in a step that one person may do by
/// himself without a condition on the live state.
const DESTROYS: [&str; 21] = [
    "--fail",
    "--force create",
    "--zero-superblock",
    "clcadmin-initialize-cloud",
    "create-md",
    "deregister-nodes",
    "detach-volume -f",
    "discard-my-data",
    "fall del",
    "invalidate",
    "lvremove",
    "mkfs",
    "overwrite-data-of-peer",
    "pkill -KILL",
    "power cycle",
    "power off",
    "pvcreate",
    "rm -rf",
    "set good",
    "set offline",
    "| sfdisk",
];

/// Takes something away that may be missed: the step says before it what must hold.
const TAKES_AWAY: [&str; 5] =
    ["-delete", "euca-terminate-instances", "sel clear", "systemctl disable", "systemctl reboot"];

/// Words in capitals that tools take or print: no placeholders.
const WORDS_OF_TOOLS: [&str; 17] = [
    "ARBITRATORS",
    "ATTACHMENT",
    "AWS_",
    "AWS_DEFAULT_REGION",
    "CC",
    "CLOUD_OPTS",
    "EC2_",
    "EC2_URL",
    "ERROR",
    "EUCA_",
    "KILL",
    "OPERATOR",
    "QUIT",
    "RAW",
    "TOKEN_",
    "USER",
    "VNET_MODE",
];

/// One of these in its text says where the command of a step is typed.
const PLACES: [&str; 16] = [
    "On ",
    "on HOST",
    "on the ",
    "on each ",
    "on both",
    "From here",
    "from here",
    "From any ",
    "At the ",
    "In the ",
    "Where the ",
    "With a browser",
    "its own host",
    "the victim",
    "# on ",
    "# from here",
];

/// First words of commands that ask a cloud, and therefore need somebody's keys.
const ASKS_A_CLOUD: [&str; 7] = ["euca-", "euserv-", "eulb-", "euscale-", "euare-", "esi-", "euctl"];

/// Everything that somebody new would stumble over.
pub fn missed(runbook: &Runbook) -> Vec<String> {
    let mut missing = Vec::new();
    if runbook.steps.first().is_some_and(|step| step.kind != StepKind::Verify) {
        missing.push("does not begin by making sure".to_owned());
    }
    if runbook.steps.last().is_some_and(|step| step.kind != StepKind::Escalate) {
        missing.push("does not end with whom to call".to_owned());
    }
    // A failure has its time in the cell.
    if runbook.procedure && runbook.steps.first().is_some_and(|step| !step.text.contains("Takes ")) {
        missing.push("its first step does not say how long all of it takes (`Takes …`)".to_owned());
    }
    for (number, step) in runbook.steps.iter().enumerate() {
        let found = of_step(step).into_iter().map(|what| format!("step {} {what}", number + 1));
        missing.extend(found);
    }
    for word in placeholders(runbook) {
        let explained = format!("{word} is ");
        if !runbook.steps.iter().any(|step| step.text.contains(&explained)) {
            missing.push(format!("nothing says what {word} is or where to get it (`{explained}…`)"));
        }
    }
    missing
}

fn of_step(step: &Step) -> Vec<&'static str> {
    let Some(command) = &step.command else { return Vec::new() };
    let mut missing = Vec::new();
    if !PLACES.iter().any(|place| step.text.contains(place) || command.contains(place)) {
        missing.push("does not say where its command is typed");
    }
    let looks = matches!(step.kind, StepKind::Verify | StepKind::Confirm);
    if looks && !step.text.contains("Good: ") && step.gate.is_none() {
        missing.push("does not say what good output looks like (`Good: …`)");
    }
    let typed = lines(command).collect::<Vec<_>>().join("\n");
    let second = step.two_person || !step.needs.is_empty();
    if DESTROYS.iter().any(|word| typed.contains(word)) && !second {
        missing.push("destroys without `two_person` or `needs`");
    }
    let acts = matches!(step.kind, StepKind::Fix | StepKind::Contain);
    if acts && TAKES_AWAY.iter().any(|word| typed.contains(word)) && !second && step.gate.is_none() {
        missing.push("takes something away without a `gate`");
    }
    let asks = typed.split_whitespace().any(|word| ASKS_A_CLOUD.iter().any(|first| word.starts_with(first)));
    if asks && !command.contains("AWS_DEFAULT_REGION") && !command.contains("eucarc") {
        missing.push("asks the cloud and does not say with whose credentials");
    }
    missing
}

/// What is typed, without the remarks.
fn lines(command: &str) -> impl Iterator<Item = &str> {
    command
        .lines()
        .map(|line| line.split_once(" # ").map_or(line, |(typed, _)| typed))
        .filter(|line| !line.starts_with('#'))
}

/// Words in capitals that stand for something else, each once.
fn placeholders(runbook: &Runbook) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in runbook.steps.iter().flat_map(|step| step.command.as_deref()).flat_map(lines) {
        // What is quoted is looked for, not put in.
        let bare = line.split(['\'', '"']).step_by(2).collect::<Vec<_>>().join(" ");
        for word in bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-') {
            let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let is_name =
                word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(capital);
            if is_name && !WORDS_OF_TOOLS.contains(&word) && !found.iter().any(|known| known == word) {
                found.push(word.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use stentor_core::catalog::Action;

    use super::*;

    fn book(steps: Vec<Step>) -> Runbook {
        let mut all = vec![Step::manual(StepKind::Verify, "Look.")];
        all.extend(steps);
        all.push(Step::manual(StepKind::Escalate, "Call."));
        Runbook::of_steps("rb", "Title", all)
    }

    fn step(kind: StepKind, text: &str, command: &str) -> Step {
        Step { command: Some(command.to_owned()), ..Step::manual(kind, text) }
    }

    #[test]
    fn what_a_newcomer_stumbles_over_is_named() {
        let cases = [
            (
                step(StepKind::Fix, "Restart it.", "systemctl restart x"),
                "step 2 does not say where its command is typed",
            ),
            (
                step(StepKind::Verify, "On the CLC: is it up?", "systemctl status x"),
                "step 2 does not say what good output looks like (`Good: …`)",
            ),
            (
                step(StepKind::Fix, "On the new one.", "rm -rf /var/lib/x"),
                "step 2 destroys without `two_person` or `needs`",
            ),
            (
                step(StepKind::Fix, "On the CLC: delete old logs.", "find /var/log -name x -delete"),
                "step 2 takes something away without a `gate`",
            ),
            (
                step(StepKind::Confirm, "On the CLC. Good: enabled.", "timeout 9 euserv-describe-services -a"),
                "step 2 asks the cloud and does not say with whose credentials",
            ),
            (
                step(StepKind::Verify, "From here. Good: it answers.", "ping -c 3 HOST | grep 'LOST' # not BMC"),
                "nothing says what HOST is or where to get it (`HOST is …`)",
            ),
        ];
        for (step, expected) in cases {
            assert_eq!(missed(&book(vec![step])), [expected]);
        }
    }

    #[test]
    fn what_says_all_of_it_is_left_alone() {
        let told =
            step(StepKind::Verify, "From here. Good: `3 received`. HOST is the host of the incident.", "ping HOST");
        let second = Step { two_person: true, ..step(StepKind::Fix, "On HOST.", "mkfs.ext4 /dev/x") };
        let gated = Step {
            gate: Some("Nobody needs them.".to_owned()),
            ..step(StepKind::Fix, "On HOST.", "find / -name x -delete")
        };
        let itself = Step { action: Action::Approve, ..Step::manual(StepKind::Fix, "Agree.") };
        assert_eq!(missed(&book(vec![told, second, gated, itself])), Vec::<String>::new());
    }

    #[test]
    fn a_runbook_makes_sure_first_and_ends_with_whom_to_call() {
        let mut turned = book(Vec::new());
        turned.steps.reverse();
        turned.procedure = true;
        assert_eq!(
            missed(&turned),
            [
                "does not begin by making sure",
                "does not end with whom to call",
                "its first step does not say how long all of it takes (`Takes …`)"
            ]
        );
    }
}
