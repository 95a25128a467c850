//! `stentor backup` and `stentor restore`: one directory with database, journal, keys, and a manifest that proves it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::journal::sqlite::JOURNAL_FILE;
use crate::sql::{StateLock, file};

/// Layout of the directory; a newer one is refused.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// A manifest names some dozens of files; more than this is not ours.
const MANIFEST_BYTES_MAX: u64 = 4 * 1024 * 1024;
const COPY_BUFFER: usize = 256 * 1024;

#[derive(Args, Debug)]
pub struct BackupArgs {
    /// Directory to make; it must not exist yet
    #[arg(value_name = "TO")]
    pub to: PathBuf,
    /// Configuration of the installation; it may be running
    #[arg(long, value_name = "FILE", default_value = "stentor.toml")]
    pub config: PathBuf,
}

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// Directory made by `stentor backup`
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// Configuration of the installation to restore; it must be stopped
    #[arg(long, value_name = "FILE", default_value = "stentor.toml")]
    pub config: PathBuf,
    /// Replace what is there; the replaced files stay beside as `NAME.before-restore`
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    stentor: String,
    created_at: String,
    /// `sqlite`: in this directory; `postgres`: to be copied with pg_dump.
    store: String,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Name inside the directory.
    name: String,
    role: Role,
    /// Where it was.
    from: PathBuf,
    bytes: u64,
    sha256: String,
}

#[derive(Copy, Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Store,
    Journal,
    Config,
    /// Certificates, passwords and tokens that the configuration names, and the file of drills.
    Key,
}

/// What an installation consists of.
struct Places {
    /// `None` for PostgreSQL.
    store: Option<PathBuf>,
    journal: PathBuf,
    config: PathBuf,
    keys: BTreeSet<PathBuf>,
    /// Among the keys: the file of drills, which is there only once something was drilled.
    drills: PathBuf,
}

fn places(path: &Path) -> anyhow::Result<Places> {
    let Loaded { settings, catalog, .. } = config::load(path).map_err(|found| anyhow::anyhow!("{found}"))?;
    let store = settings.storage.url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    let mut keys = BTreeSet::new();
    let mut key = |path: Option<&Path>| keys.extend(path.map(|path| settings.folder.join(path)));
    if let Some(tls) = &settings.server.tls {
        key(Some(&tls.cert));
        key(Some(&tls.key));
        key(tls.clients.as_ref().map(|clients| clients.ca.as_path()));
    }
    key(settings.email.as_ref().and_then(|email| email.password_file.as_deref()));
    key(settings.email.as_ref().and_then(|email| email.ca_file.as_deref()));
    key(settings.webhook.as_ref().and_then(|hook| hook.token_file.as_deref()));
    key(settings.webhook.as_ref().and_then(|hook| hook.secret_file.as_deref()));
    key(settings.metrics.token_file.as_deref());
    key(settings.ssh.identity_file.as_deref());
    key(settings.ssh.known_hosts.as_deref());
    key(settings.ssh.config_file.as_deref());
    key(Some(&settings.storage.drills));
    for bmc in catalog.hosts.iter().filter_map(|host| host.bmc.as_ref()) {
        key(Some(Path::new(&*bmc.password_file)));
    }
    Ok(Places {
        store: store.map(|path| settings.folder.join(path)),
        journal: settings.storage.journal.join(JOURNAL_FILE),
        config: path.to_owned(),
        keys,
        drills: settings.folder.join(&settings.storage.drills),
    })
}

/// Copies a running or stopped installation.
///
/// # Errors
/// The target exists, or something cannot be read or written; nothing is left behind then.
pub async fn backup(args: &BackupArgs, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let places = places(&args.config)?;
    ensure!(!args.to.exists(), "`{}` exists; a backup needs a directory of its own", args.to.display());
    let mut partial = args.to.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("cannot remove `{}`", partial.display()))?;
    }
    let made = write_backup(&places, &partial, clock).await;
    let moved = made.and_then(|manifest| {
        fs::rename(&partial, &args.to).with_context(|| format!("cannot name it `{}`", args.to.display()))?;
        Ok(manifest)
    });
    let manifest = match moved {
        Ok(manifest) => manifest,
        Err(error) => {
            // The first error says what is wrong; what is left of the copy is of no use.
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
    };
    let bytes: u64 = manifest.files.iter().map(|entry| entry.bytes).sum();
    writeln!(out, "{}: {} files, {bytes} bytes", args.to.display(), manifest.files.len())?;
    if places.store.is_none() {
        writeln!(out, "The database is in PostgreSQL and not in this copy: use `pg_dump --format=custom`.")?;
    }
    Ok(0)
}

async fn write_backup(places: &Places, to: &Path, clock: &Clock) -> anyhow::Result<Manifest> {
    fs::create_dir_all(to).with_context(|| format!("cannot make `{}`", to.display()))?;
    // It holds password hashes, tokens and keys.
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    let mut files = Vec::new();
    let mut add = |name: String, role, from: &Path| -> anyhow::Result<()> {
        let (bytes, sha256) = digest(&to.join(&name))?;
        files.push(Entry { name, role, from: absolute(from), bytes, sha256 });
        Ok(())
    };
    // First the store, then the journal: its turns lead from the store's newest checkpoint to the end, and turns that
    // the store does not know yet are done again at the start.
    if let Some(store) = &places.store {
        copy_database(store, &to.join("store.db")).await?;
        add("store.db".to_owned(), Role::Store, store)?;
    }
    copy_database(&places.journal, &to.join("journal.db")).await?;
    add("journal.db".to_owned(), Role::Journal, &places.journal)?;
    copy(&places.config, &to.join("config.toml"))?;
    add("config.toml".to_owned(), Role::Config, &places.config)?;
    let is_there = |key: &&PathBuf| **key != places.drills || key.exists();
    for (number, key) in places.keys.iter().filter(is_there).enumerate() {
        let name = format!("key-{number}");
        copy(key, &to.join(&name))?;
        add(name, Role::Key, key)?;
    }
    let manifest = Manifest {
        format: FORMAT,
        stentor: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: clock.now().to_rfc3339(),
        store: if places.store.is_some() { "sqlite" } else { "postgres" }.to_owned(),
        files,
    };
    let mut file = create(&to.join(MANIFEST))?;
    serde_json::to_writer_pretty(&mut file, &manifest)?;
    file.sync_all()?;
    File::open(to)?.sync_all()?;
    Ok(manifest)
}

async fn copy_database(from: &Path, to: &Path) -> anyhow::Result<()> {
    ensure!(from.exists(), "there is no `{}`", from.display());
    // SQLite would make the file readable to everybody; the name is taken first, and an empty file is a valid target.
    create(to)?;
    let copied = file::copy(from, to).await.map_err(|cause| anyhow::anyhow!(cause));
    copied.with_context(|| format!("cannot copy the database `{}`", from.display()))?;
    File::open(to)?.sync_all()?;
    Ok(())
}

/// Puts a copy back into a stopped installation.
///
/// # Errors
/// The copy is damaged, the installation runs, or files are in the way and `--force` was not given. Nothing was
/// changed then.
pub fn restore(args: &RestoreArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<u8> {
    let manifest = read_manifest(&args.from)?;
    for entry in &manifest.files {
        verify(&args.from, entry)?;
    }
    let places = places(&args.config)?;
    let state = places.journal.parent().context("the journal has no directory")?;
    fs::create_dir_all(state).with_context(|| format!("cannot make `{}`", state.display()))?;
    let _lock = StateLock::take(state)?;
    let plan = plan(&manifest, &places);
    if !args.force {
        let taken: Vec<String> =
            plan.iter().filter(|(_, to)| to.exists()).map(|(_, to)| to.display().to_string()).collect();
        ensure!(taken.is_empty(), "in the way: {}; `--force` replaces them", taken.join(", "));
    }
    // All bytes first, then the names: a full disk shows before anything is replaced.
    for (entry, to) in &plan {
        let fresh = beside(to, "restoring");
        let parent = to.parent().context("a file has a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
        let _ = fs::remove_file(&fresh);
        copy(&args.from.join(&entry.name), &fresh)?;
    }
    for (entry, to) in &plan {
        // WAL and shared memory belong to the old database and would be played into the new one.
        for suffix in ["-wal", "-shm"] {
            set_aside(&with_suffix(to, suffix))?;
        }
        set_aside(to)?;
        fs::rename(beside(to, "restoring"), to).with_context(|| format!("cannot put back `{}`", to.display()))?;
        writeln!(out, "{:?} {} ({} bytes)", entry.role, to.display(), entry.bytes)?;
    }
    for entry in manifest.files.iter().filter(|entry| plan.iter().all(|(planned, _)| planned.name != entry.name)) {
        writeln!(
            out,
            "left out: {} (was {}): only places that `--config` names are written",
            entry.name,
            entry.from.display()
        )?;
    }
    if manifest.store == "postgres" {
        writeln!(out, "The database was in PostgreSQL: bring it back with `pg_restore` before the start.")?;
    }
    Ok(0)
}

/// Where each file goes. Only places that the present configuration names: a manifest is no reason to write anywhere.
fn plan<'a>(manifest: &'a Manifest, places: &Places) -> Vec<(&'a Entry, PathBuf)> {
    let to = |entry: &Entry| match entry.role {
        Role::Store => places.store.clone(),
        Role::Journal => Some(places.journal.clone()),
        // The configuration at hand is the one that this restore obeys; the copy is for reading.
        Role::Config => None,
        Role::Key => places.keys.iter().find(|key| absolute(key) == entry.from).cloned(),
    };
    manifest.files.iter().filter_map(|entry| Some((entry, to(entry)?))).collect()
}

fn read_manifest(from: &Path) -> anyhow::Result<Manifest> {
    let path = from.join(MANIFEST);
    let reading = || format!("`{}` is no backup of Stentor: cannot read `{}`", from.display(), path.display());
    let mut text = String::new();
    File::open(&path)
        .with_context(reading)?
        .take(MANIFEST_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(reading)?;
    let manifest: Manifest = serde_json::from_str(&text).with_context(reading)?;
    ensure!(manifest.format == FORMAT, "the backup has format {}, this program reads {FORMAT}", manifest.format);
    for entry in &manifest.files {
        let mut parts = Path::new(&entry.name).components();
        let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        ensure!(plain, "the manifest names `{}`, which is not a file of this directory", entry.name);
    }
    Ok(manifest)
}

fn verify(from: &Path, entry: &Entry) -> anyhow::Result<()> {
    let (bytes, sha256) = digest(&from.join(&entry.name))?;
    if (bytes, sha256.as_str()) != (entry.bytes, entry.sha256.as_str()) {
        bail!("`{}` is damaged: its checksum is not the one in the manifest; nothing was restored", entry.name);
    }
    Ok(())
}

fn digest(path: &Path) -> anyhow::Result<(u64, String)> {
    let mut file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let (mut sha, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; COPY_BUFFER]);
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("cannot read `{}`", path.display()))?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { break };
        sha.update(chunk);
        bytes += chunk.len() as u64;
    }
    Ok((bytes, sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Readable by its owner only.
fn create(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot make `{}`", path.display()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut source = File::open(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    let mut target = create(to)?;
    std::io::copy(&mut source, &mut target).with_context(|| format!("cannot copy `{}`", from.display()))?;
    target.sync_all()?;
    Ok(())
}

fn set_aside(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        fs::rename(path, beside(path, "before-restore"))
            .with_context(|| format!("cannot move `{}`", path.display()))?;
    }
    Ok(())
}

fn beside(path: &Path, word: &str) -> PathBuf {
    with_suffix(path, &format!(".{word}"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, SqliteJournal, Turn};
    use crate::store::Store;
    use crate::store::conformance::{at, notification};
    use crate::store::sqlite::SqliteStore;
    use stentor_core::engine::Input;
    use stentor_core::model::Reason;

    /// An installation with one page and three turns; the server is "running": journal and store stay open.
    struct Installation {
        dir: tempfile::TempDir,
        journal: Option<SqliteJournal>,
        store: Option<SqliteStore>,
    }

    const CONFIG: &str = r#"
instance = "t"
[storage]
url = "sqlite:data/stentor.db"
journal = "state"
[notifier.email]
host = "localhost"
user = "stentor"
password_file = "mail.secret"
from = "stentor@example.org"
"#;

    impl Installation {
        async fn new() -> Installation {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("stentor.toml"), CONFIG).unwrap();
            fs::write(dir.path().join("mail.secret"), "first\n").unwrap();
            let journal = SqliteJournal::open(&dir.path().join("state")).await.unwrap();
            for seq in 1..=3 {
                journal.append(&Turn { seq, at: at(1), inputs: vec![Input::Tick] }).await.unwrap();
            }
            let store = SqliteStore::open(&dir.path().join("data/stentor.db")).await.unwrap();
            store.commit_turn(1, &[], &[notification(1, Reason::Problem, "noc", "email", 1)]).await.unwrap();
            Installation { dir, journal: Some(journal), store: Some(store) }
        }

        fn config(&self) -> PathBuf {
            self.dir.path().join("stentor.toml")
        }

        async fn backup(&self, to: &Path) -> anyhow::Result<u8> {
            let args = BackupArgs { to: to.to_owned(), config: self.config() };
            backup(&args, &Clock::manual(at(0)), &mut Vec::new()).await
        }

        fn restore(&self, from: &Path, force: bool) -> Result<u8, String> {
            let args = RestoreArgs { from: from.to_owned(), config: self.config(), force };
            restore(&args, &mut Vec::new()).map_err(|error| format!("{error:#}"))
        }

        async fn stop(&mut self) {
            if let (Some(journal), Some(store)) = (self.journal.take(), self.store.take()) {
                journal.close().await;
                store.close().await;
            }
        }

        async fn contents(&self) -> (u64, usize, String) {
            let journal = SqliteJournal::open(&self.dir.path().join("state")).await.unwrap();
            let store = SqliteStore::open(&self.dir.path().join("data/stentor.db")).await.unwrap();
            let found = (
                journal.newest().await.unwrap(),
                store.outbox_keys(None).await.unwrap().len(),
                fs::read_to_string(self.dir.path().join("mail.secret")).unwrap(),
            );
            journal.close().await;
            store.close().await;
            found
        }
    }

    #[tokio::test]
    async fn a_running_installation_comes_back_as_it_was() {
        let mut site = Installation::new().await;
        let (copy, drills) = (site.dir.path().join("copy"), site.dir.path().join("drills.jsonl"));
        fs::write(&drills, "one\n").unwrap();
        site.backup(&copy).await.unwrap();
        assert!(site.backup(&copy).await.is_err(), "a backup never overwrites");
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
        for file in fs::read_dir(&copy).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
        }

        let running = site.restore(&copy, true).unwrap_err();
        assert!(running.contains("held by another stentor"), "{running}");
        site.journal.as_ref().unwrap().append(&Turn { seq: 4, at: at(1), inputs: vec![Input::Tick] }).await.unwrap();
        let later = notification(2, Reason::Problem, "noc", "email", 2);
        site.store.as_ref().unwrap().commit_turn(2, &[], &[later]).await.unwrap();
        site.stop().await;
        fs::write(site.dir.path().join("mail.secret"), "second\n").unwrap();
        fs::remove_file(&drills).unwrap();

        let refused = site.restore(&copy, false).unwrap_err();
        assert!(refused.contains("--force"), "{refused}");
        assert_eq!(site.contents().await, (4, 2, "second\n".into()), "a refusal changes nothing");
        site.restore(&copy, true).unwrap();
        assert_eq!(site.contents().await, (3, 1, "first\n".into()));
        let aside = fs::read_to_string(site.dir.path().join("mail.secret.before-restore")).unwrap();
        assert_eq!((aside.as_str(), fs::read_to_string(&drills).unwrap().as_str()), ("second\n", "one\n"));
    }

    #[tokio::test]
    async fn a_damaged_copy_restores_nothing() {
        let mut site = Installation::new().await;
        site.stop().await;
        let copy = site.dir.path().join("copy");
        site.backup(&copy).await.unwrap();
        let before = site.contents().await;
        type Spoil = fn(&Path);
        let spoil: &[(&str, Spoil)] = &[
            ("a flipped byte", |dir| {
                let mut bytes = fs::read(dir.join("store.db")).unwrap();
                bytes[5000] ^= 1;
                fs::write(dir.join("store.db"), bytes).unwrap();
            }),
            ("a missing file", |dir| fs::remove_file(dir.join("journal.db")).unwrap()),
            ("a cut file", |dir| fs::write(dir.join("key-0"), "").unwrap()),
            ("no manifest", |dir| fs::remove_file(dir.join(MANIFEST)).unwrap()),
            ("a newer format", |dir| edit(dir, "\"format\": 1", "\"format\": 2")),
            ("a name outside", |dir| edit(dir, "\"name\": \"key-0\"", "\"name\": \"../mail.secret\"")),
        ];
        for (what, spoil) in spoil {
            let damaged = tempfile::tempdir().unwrap();
            for file in fs::read_dir(&copy).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), damaged.path().join(file.file_name())).unwrap();
            }
            spoil(damaged.path());
            site.restore(damaged.path(), true).expect_err(what);
            assert_eq!(site.contents().await, before, "{what}");
        }
    }

    fn edit(dir: &Path, from: &str, to: &str) {
        let path = dir.join(MANIFEST);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    #[tokio::test]
    async fn a_failed_backup_leaves_nothing_behind() {
        let site = Installation::new().await;
        fs::remove_file(site.dir.path().join("mail.secret")).unwrap();
        let copy = site.dir.path().join("copy");
        site.backup(&copy).await.expect_err("a key that cannot be read");
        let left: Vec<_> = fs::read_dir(site.dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("copy")), "{left:?}");
    }
}
