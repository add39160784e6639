//! `bulla receipt`.

use super::{Data, Environment, Failure, say};
use clap::Args;
use ledger::Receipt;
use std::fs::OpenOptions;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the proof that one record is in the log, for whoever holds its receipt; it shows no other
#[derive(Debug, Args)]
pub(super) struct WriteReceipt {
    #[command(flatten)]
    data: Data,
    /// The receipt, as in the header x-bulla-receipt
    receipt: String,
    /// The file to write, which does not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl WriteReceipt {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let wrong = |words: &str| Failure { code: 2, message: words.to_owned() };
        let seq = self.receipt.split_once('#').and_then(|(_, rest)| rest.split_once('@'));
        let seq: u64 = seq
            .and_then(|(seq, _)| seq.parse().ok())
            .ok_or_else(|| wrong("a receipt is written bulla/...#12@..."))?;
        let house = self.data.open(environment).await?;
        let proved = house.prove(seq).await.map_err(|error| Failure::of_house(&error))?;
        // The receipt names its record's hash, so one of another log or another record is told apart
        // here, and whoever asks has seen it.
        let proved = proved
            .filter(|proved| {
                let leaf = ledger::tree::leaf_hash(&proved.record);
                Receipt { log: house.log(), seq, leaf }.to_string() == self.receipt
            })
            .ok_or_else(|| wrong("this log has no record with that receipt"))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.out);
        let file = file.map_err(|error| Failure {
            code: 2,
            message: format!("cannot write {}: {error}", self.out.display()),
        })?;
        proved.write(&mut BufWriter::new(file))?;
        let path = self.out.display();
        say(format_args!("Wrote the proof of record {seq} to {path}"))?;
        if proved.anchors.is_empty() {
            say(
                "Nobody outside vouches for it yet; write it again later, or name an [[authority]].",
            )?;
        }
        say(format_args!("Check it anywhere, offline: bulla-verify {path} --trust KEYS"))?;
        Ok(ExitCode::SUCCESS)
    }
}
