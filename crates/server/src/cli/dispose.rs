//! `bulla dispose` and `bulla hold`.

use super::{Data, Environment, Failure, operator, say};
use clap::{Args, Subcommand, ValueEnum};
use ledger::{ContentClass, ConversationId, ExchangeId, Hash, Unit};
use service::{DisposalReason, DisposalRequest, DisposeError};
use std::path::PathBuf;
use std::process::ExitCode;

/// A signed decision is a document, not an archive.
const MAX_DECISION_BYTES: u64 = 64 << 20;

/// Destroy the keys of one exchange or conversation, for good; what the log commits to stays
#[derive(Debug, Args)]
pub(super) struct Dispose {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    what: What,
    /// By which right: a case, an order, a request; recorded, so never a patient's name or number
    #[arg(long, value_name = "TEXT")]
    authority: String,
    /// Why
    #[arg(long)]
    reason: Reason,
    /// Of which content
    #[arg(long, value_delimiter = ',', default_values = ["prompts", "answers", "surrogates"])]
    classes: Vec<Class>,
    /// The signed decision that allows it before the retention schedule does; its SHA-256 is recorded
    #[arg(long, value_name = "FILE")]
    decision: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The exchange, as in x-request-id
    #[arg(long, value_name = "ID")]
    exchange: Option<ExchangeId>,
    /// The conversation, as its records name it
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
}

impl What {
    fn unit(&self) -> Option<Unit> {
        self.exchange.map(Unit::Exchange).or(self.conversation.map(Unit::Conversation))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reason {
    /// A person or customer asks for it
    Request,
    /// It should never have come in
    Error,
    /// A court or regulator orders it
    Order,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Class {
    /// What was written, and what left
    Prompts,
    /// What came back
    Answers,
    /// The map of surrogates
    Surrogates,
}

fn failure(error: DisposeError) -> Failure {
    match error {
        DisposeError::House(error) => Failure::of_house(&error),
        // The answer is no.
        DisposeError::Early { .. } | DisposeError::Held { .. } => {
            Failure { code: 1, message: error.to_string() }
        }
        DisposeError::Unknown
        | DisposeError::InConversation(_)
        | DisposeError::Name
        | DisposeError::Hold => Failure::usage(&error),
    }
}

impl Dispose {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let decision = self.decision.as_deref().map(digest).transpose()?;
        let unit = self.what.unit().ok_or_else(|| failure(DisposeError::Unknown))?;
        let class = |class: Class| match class {
            Class::Prompts => ContentClass::Prompts,
            Class::Answers => ContentClass::Answers,
            Class::Surrogates => ContentClass::Surrogates,
        };
        let request = DisposalRequest {
            unit,
            classes: self.classes.into_iter().map(class).collect(),
            authority: self.authority,
            reason: match self.reason {
                Reason::Request => DisposalReason::Request,
                Reason::Error => DisposalReason::Error,
                Reason::Order => DisposalReason::Order,
            },
            decision,
        };
        let disposed = house.dispose(request, operator(environment)).await.map_err(failure)?;
        say(
            "The keys are destroyed: nobody reads that content again, also not in old copies of the database.",
        )?;
        say(format_args!("Recorded at {}", disposed.receipt))?;
        say(format_args!(
            "The certificate is the proof of that record: bulla receipt '{}' --out FILE",
            disposed.receipt
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn digest(path: &std::path::Path) -> Result<Hash, Failure> {
    let failed = |reason: String| Failure {
        code: 2,
        message: format!("cannot read {}: {reason}", path.display()),
    };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_DECISION_BYTES {
        return Err(failed("it is longer than 64 MiB".to_owned()));
    }
    Ok(Hash::of(&std::fs::read(path).map_err(|error| failed(error.to_string()))?))
}

#[derive(Debug, Args)]
pub(super) struct Hold {
    #[command(subcommand)]
    command: HoldCommand,
}

#[derive(Debug, Subcommand)]
enum HoldCommand {
    /// Suspend the disposal of an exchange, a conversation, or everything
    Place(Place),
    /// End a hold
    Release(Release),
    /// List the holds, ended ones too
    List(List),
}

#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    data: Data,
    /// The hold's name: the matter, the incident
    #[arg(long, value_name = "NAME")]
    name: String,
    /// By which right; recorded, so never a patient's name or number
    #[arg(long, value_name = "TEXT")]
    authority: String,
    #[command(flatten)]
    what: Held,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Held {
    /// One exchange
    #[arg(long, value_name = "ID")]
    exchange: Option<ExchangeId>,
    /// One conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Everything
    #[arg(long)]
    everything: bool,
}

#[derive(Debug, Args)]
struct Release {
    #[command(flatten)]
    data: Data,
    /// The hold's name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// By which right
    #[arg(long, value_name = "TEXT")]
    authority: String,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    data: Data,
}

impl Hold {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        match self.command {
            HoldCommand::Place(place) => {
                let house = place.data.open(environment).await?;
                let exchange = place.what.exchange.map(Unit::Exchange);
                let unit = exchange.or(place.what.conversation.map(Unit::Conversation));
                let (name, actor) = (&place.name, operator(environment));
                let placed = house.place_hold(name, unit, &place.authority, actor).await;
                let receipt = placed.map_err(failure)?;
                say(format_args!(
                    "Nothing that \"{name}\" covers is disposed of until it is released."
                ))?;
                say(format_args!("Recorded at {receipt}"))?;
            }
            HoldCommand::Release(release) => {
                let house = release.data.open(environment).await?;
                let (name, actor) = (&release.name, operator(environment));
                let released = house.release_hold(name, &release.authority, actor).await;
                let receipt = released.map_err(failure)?;
                say(format_args!("Released \"{name}\". What is due goes with the next sweep."))?;
                say(format_args!("Recorded at {receipt}"))?;
            }
            HoldCommand::List(list) => {
                let house = list.data.open(environment).await?;
                let holds = house.holds().await.map_err(|error| Failure::of_house(&error))?;
                if holds.is_empty() {
                    say("There are no holds.")?;
                }
                for hold in holds {
                    let state = match hold.released {
                        Some(at) => format!("released {at}"),
                        None => format!("in force since {}", hold.placed),
                    };
                    let covers = match hold.unit {
                        None => "everything".to_owned(),
                        Some(Unit::Exchange(exchange)) => exchange.to_string(),
                        Some(Unit::Conversation(conversation)) => conversation.to_string(),
                    };
                    say(format_args!(
                        "{}  {state}  covers {covers}  {}",
                        hold.name, hold.authority
                    ))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
