//! `bulla key`.

use super::{Data, Environment, Failure, operator, say};
use clap::{Args, Subcommand};
use ledger::ApiKeyId;
use service::{KeyError, KeyRequest, KeyRole};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make an API key; its secret is shown once
    Create(Create),
    /// List the keys; their secrets are not stored
    List(List),
    /// End a key at once
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    data: Data,
    /// The person or program that answers for its use
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// What it is for: a caller sends prompts, an auditor reads the log, a monitor the metrics
    #[arg(long, value_enum, default_value_t = Role::Caller)]
    role: Role,
    /// The one purpose that it may be used for; else each request names one
    #[arg(long, value_name = "PURPOSE")]
    purpose: Option<String>,
    /// Days until it is refused
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Role {
    /// Sends prompts
    Caller,
    /// Reads the log, and sends no prompts
    Auditor,
    /// Reads the metrics alone
    Monitor,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Revoke {
    #[command(flatten)]
    data: Data,
    /// The key's name: `key_` and 32 digits
    key: ApiKeyId,
}

impl Key {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        match self.command {
            KeyCommand::Create(create) => create.run(environment).await,
            KeyCommand::List(list) => list.run(environment).await,
            KeyCommand::Revoke(revoke) => revoke.run(environment).await,
        }
    }
}

fn failure(error: KeyError) -> Failure {
    match error {
        KeyError::House(error) => Failure::of_house(&error),
        KeyError::Owner | KeyError::Purpose | KeyError::NoPurpose | KeyError::Unknown => {
            Failure::usage(&error)
        }
    }
}

impl Create {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let role = match self.role {
            Role::Caller => KeyRole::Caller,
            Role::Auditor => KeyRole::Auditor,
            Role::Monitor => KeyRole::Monitor,
        };
        let Self { owner, purpose, days, .. } = self;
        let request = KeyRequest { owner, role, purpose, days };
        let (id, secret, receipt) =
            house.create_key(request, operator(environment)).await.map_err(failure)?;
        say(format_args!("Made {id}"))?;
        say(format_args!("Recorded at {receipt}"))?;
        say("The secret is shown once and is not stored:")?;
        say(secret.reveal())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let rows = house.list_keys().await.map_err(|error| Failure::of_house(&error))?;
        if rows.is_empty() {
            say("There are no keys. Make one with: bulla key create")?;
        }
        for row in rows {
            let state = match (row.revoked_at, row.expires) {
                (Some(at), _) => format!("revoked {at}"),
                (None, Some(at)) => format!("expires {at}"),
                (None, None) => "in force".to_owned(),
            };
            let purpose = match row.role {
                KeyRole::Caller => row.purpose.as_deref().unwrap_or("any"),
                KeyRole::Auditor | KeyRole::Monitor => "none",
            };
            let (id, role, owner) = (row.id, row.role.as_str(), row.owner);
            say(format_args!("{id}  {state:36}  {role:7}  purpose {purpose:12}  {owner}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let receipt = house.revoke_key(self.key, operator(environment)).await.map_err(failure)?;
        say(format_args!("Ended {}. A running server refuses it within a second.", self.key))?;
        say(format_args!("Recorded at {receipt}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
