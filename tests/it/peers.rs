//! What `scripts/bench-peers` compares Stentor with must be the same load: its trees are read by Nagios and by Stentor, to
//! the same objects, without a finding. The comparison itself is not run here.

use std::path::Path;
use std::process::Command;

/// Writes a tree of 20 services on 2 hosts as the script does, for the user who runs the test.
const WRITE: &str = "\
import getpass, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import configs, subjects
load = subjects.Load(services=20, interval=2)
configs.nagios(sys.argv[2], load, '/bin/true', getpass.getuser())
configs.stentor(sys.argv[2], subjects.free_port())
";

/// What a program printed; it must end well.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

#[test]
fn nagios_and_stentor_read_the_load_of_the_comparison_alike() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/peers");
    said(Command::new("python3").args(["-c", WRITE]).arg(&scripts).arg(folder.path()));

    let nagios = said(Command::new("nagios4").arg("-v").arg(folder.path().join("nagios.cfg")));
    for line in ["Checked 20 services.", "Checked 2 hosts.", "Total Warnings: 0", "Total Errors:   0"] {
        assert!(nagios.contains(line), "no `{line}` in {nagios}");
    }
    let config = folder.path().join("stentor.toml");
    let ours = said(Command::new(env!("CARGO_BIN_EXE_stentor")).args(["verify", "--config"]).arg(config));
    // The warning is about `query_socket`, which Nagios needs to leave another Nagios of this machine alone.
    for line in [" 20 services\n", " 2 hosts\n", "0 errors, 1 warning", "`query_socket` has no effect here"] {
        assert!(ours.contains(line), "no `{line}` in {ours}");
    }
}
