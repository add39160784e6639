//! What the usual way costs: a hash chain in a table of PostgreSQL, on this machine's disk.
//!
//! One row holds the end of the chain and is locked by each append, which is the whole of what an
//! application with a table does. `pgbench` calls it; both come with PostgreSQL.

use crate::process::{Stop, Trouble, output};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

/// Seconds of each measurement.
const SECONDS: &str = "5";

const SCHEMA: &str = "
CREATE TABLE head (one int PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO head VALUES (1, 0, '');
CREATE TABLE records (seq bigint PRIMARY KEY, hash bytea NOT NULL, record bytea NOT NULL, sealed bytea NOT NULL);
CREATE FUNCTION append(record bytea, sealed bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE last head%ROWTYPE;
BEGIN
    SELECT * INTO last FROM head WHERE one = 1 FOR UPDATE;
    last.hash := sha256(last.hash || record);
    INSERT INTO records VALUES (last.seq, last.hash, record, sealed);
    UPDATE head SET seq = last.seq + 1, hash = last.hash WHERE one = 1;
    RETURN last.seq;
END $$;
";

/// As many bytes as a record and a sealed prompt of the measurement of our own log.
const APPEND: &str =
    "SELECT append(decode(repeat('ab', 900), 'hex'), decode(repeat('cd', 1052), 'hex'));\n";

/// The programs of PostgreSQL, when it is there.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|bin| bin.join("initdb").is_file() && bin.join("pgbench").is_file());
    found.sort();
    found.pop()
}

struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    as_root: bool,
}

impl Cluster {
    /// One of its programs. PostgreSQL does not run as root, so root calls it as its own user.
    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = if self.as_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn start(&self) -> Result<(), Trouble> {
        fs::create_dir(&self.folder)?;
        if self.as_root {
            output(Command::new("chown").arg("postgres").arg(&self.folder))?;
        }
        let mut initdb = self.program("initdb");
        output(initdb.arg("-D").arg(self.data()).args(["-A", "trust", "-U", "bulla"]))?;
        let folder = self.folder.display();
        let options = format!("-c listen_addresses= -c unix_socket_directories={folder}");
        let mut start = self.program("pg_ctl");
        start.arg("-D").arg(self.data()).args(["-w", "-o", &options, "-l"]);
        output(start.arg(self.folder.join("log")).arg("start"))?;
        let mut schema = self.client("psql");
        output(schema.args(["-v", "ON_ERROR_STOP=1", "-q", "-c", SCHEMA]))?;
        Ok(())
    }

    fn client(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.arg("-h").arg(&self.folder).args(["-U", "bulla", "-d", "postgres"]);
        command
    }

    /// Durable appends a second.
    fn measure(&self, clients: &str) -> Result<String, Trouble> {
        let script = self.folder.join("append.sql");
        fs::write(&script, APPEND)?;
        let mut pgbench = self.client("pgbench");
        pgbench.args(["-n", "-c", clients, "-j", "2", "-T", SECONDS, "-f"]).arg(&script);
        let said = output(&mut pgbench)?;
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let tps = tps.and_then(|rest| rest.split(['.', ' ']).next());
        tps.map(str::to_owned).ok_or_else(|| Trouble::new("pgbench says no figure"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut end = self.program("pg_ctl");
        let ended = output(end.arg("-D").arg(self.data()).args(["-m", "immediate", "stop"]));
        if ended.is_ok() && fs::remove_dir_all(&self.folder).is_err() {
            println!("{} could not be removed", self.folder.display());
        }
    }
}

/// Prints the appends a second of a hash chain in PostgreSQL with 1 and 64 clients; says so when
/// PostgreSQL is not there.
///
/// # Errors
/// When PostgreSQL is there and does not do it.
pub(super) fn measure(stop: &Stop) -> Result<(), Trouble> {
    let Some(bin) = programs() else {
        println!("PostgreSQL is not here (Debian: postgresql); its hash chain is not measured");
        return Ok(());
    };
    let as_root = fs::metadata("/proc/self")?.uid() == 0;
    let name = format!("bulla-bench-postgres-{}", std::process::id());
    let cluster = Cluster { bin, folder: std::env::temp_dir().join(name), as_root };
    cluster.start()?;
    println!("\n| hash chain in PostgreSQL, clients | appends/s |\n|---:|---:|");
    for clients in ["1", "64"] {
        if stop.asked() {
            break;
        }
        println!("| {clients} | {} |", cluster.measure(clients)?);
    }
    println!("{}", output(cluster.program("postgres").arg("--version"))?.trim());
    Ok(())
}
