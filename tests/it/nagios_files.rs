//! Files of a Nagios tree that other tools read or leave: performance data, results, what Nagios itself would read when
//! it comes back. Written and read by the real service.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::nagios_tree::{MAIN, lines, tell, tree, until_line};
use crate::running::{Running, until};

const TOML: &str = "[nagios]\nconfig = \"nagios.cfg\"\n";

/// A tree whose `nagios.cfg` and objects say more.
fn tree_with(main: &str, objects: &str) -> tempfile::TempDir {
    let folder = tree();
    let root = folder.path().display().to_string();
    fs::write(folder.path().join("nagios.cfg"), format!("{MAIN}{}", main.replace("FOLDER", &root))).unwrap();
    fs::write(folder.path().join("objects/more.cfg"), objects.replace("FOLDER", &root)).unwrap();
    folder
}

/// What a command took away so far, and what still lies there.
fn rotated(spool: &Path, live: &Path) -> (usize, Vec<String>) {
    let mut names: Vec<_> = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path()).collect();
    // `x.~2~` is the second of that second; the one without a number is the newest.
    names.sort_by_key(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (stem, number) = name
            .split_once(".~")
            .map_or((name.as_str(), u32::MAX), |(stem, number)| (stem, number.trim_end_matches('~').parse().unwrap()));
        (stem.to_owned(), number)
    });
    let text: String = names.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let live = fs::read_to_string(live).unwrap_or_default();
    (names.len(), text.lines().chain(live.lines()).map(str::to_owned).collect())
}

#[tokio::test]
async fn performance_data_are_rotated_by_their_command_and_none_is_lost() {
    let folder = tree_with(
        "process_performance_data=1\nservice_perfdata_file=var/service-perfdata\n\
         service_perfdata_file_template=$SERVICEDESC$\\t$SERVICEOUTPUT$\\t$SERVICEPERFDATA$\n\
         service_perfdata_file_processing_interval=1\nservice_perfdata_file_processing_command=take-away\n\
         service_perfdata_process_empty_results=0\nhost_perfdata_file=var/host-perfdata\nhost_perfdata_file_mode=p\n\
         host_perfdata_file_template=$HOSTNAME$ $HOSTPERFDATA$\n",
        "define command {\n command_name take-away\n command_line /bin/mv --backup=numbered \
         FOLDER/var/service-perfdata FOLDER/var/spool/perf.$TIMET$\n}\n",
    );
    let root = folder.path().to_owned();
    fs::create_dir(root.join("var/spool")).unwrap();
    // A pipe that nobody reads.
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, root.join("var/host-perfdata"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let stentor = Running::serve(TOML, folder).await;
    let (spool, live) = (root.join("var/spool"), root.join("var/service-perfdata"));
    let of_passive = || {
        let (files, all) = rotated(&spool, &live);
        (files, all.into_iter().filter(|line| line.starts_with("passive\t")).collect::<Vec<_>>())
    };
    let mut wanted = Vec::new();
    for round in 0..3 {
        let (before, _) = of_passive();
        for i in 0..100 {
            let number = round * 100 + i;
            // More than a pipe holds, so that its writer would stand still.
            tell(&root, &format!("PROCESS_HOST_CHECK_RESULT;web1;0;up|{}=1", "x".repeat(400)));
            tell(&root, &format!("PROCESS_SERVICE_CHECK_RESULT;web1;passive;0;costs 3$ `a`|n={number};5"));
            wanted.push(format!("passive\tcosts 3$ `a`\tn={number};5"));
        }
        tell(&root, "PROCESS_SERVICE_CHECK_RESULT;web1;passive;0;nothing measured");
        until("all is written, and taken away once more", async || {
            let (files, seen) = of_passive();
            if seen == wanted && files > before { Ok(()) } else { Err((files, seen.len(), seen.last().cloned())) }
        })
        .await;
    }
    // What the pipe holds are whole lines.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let pipe = fs::OpenOptions::new().read(true).custom_flags(flags).open(root.join("var/host-perfdata")).unwrap();
    let mut held = vec![0; 1 << 20];
    let count = std::io::Read::read(&mut &pipe, &mut held).unwrap();
    let held = String::from_utf8_lossy(&held[..count]).into_owned();
    assert!(held.lines().count() > 100 && held.lines().all(|line| line == format!("web1 {}=1", "x".repeat(400))));
    drop(stentor);
}
