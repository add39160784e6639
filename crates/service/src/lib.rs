//! What the product does: one method per use case.
//!
//! The surfaces (programmatic API, and later Assistant and Studio) and the command line call the
//! same methods, so that no surface has controls of its own. Nothing here knows HTTP.

mod agreements;
mod anchoring;
mod batches;
mod cache;
mod compare;
mod configuration;
mod converse;
mod copying;
mod doctor;
mod explain;
mod export;
mod feed;
mod house;
mod identity;
mod keys;
mod limits;
mod mcp;
mod offboarding;
mod paths;
mod pruning;
mod reduction;
mod responses;
mod retention;
mod review;
mod rotation;
mod routing;
mod search;
mod selftest;
mod status;
mod tasks;
mod telemetry;
mod tiles;
mod upkeep;

pub use agreements::{
    AgreementError, Checked, Document, Filed, FiledDocument, Filing, Found as FoundDocument,
    MAX_DOCUMENT_BYTES, Which,
};
pub use batches::{
    BatchView, FileView, MAX_FILE_BYTES, NewBatch, NewFile, Output, Problem, Unserved,
};
pub use compare::{Likeness, Side};
pub use configuration::{Applied, ApplyError};
pub use converse::{Begun, Converse, Ended, Started, Step, Streamed};
pub use doctor::{Check, Examination, Group, Mode, Network, Plan, State, examine};
pub use explain::{CoveredHop, ExplainError, Explanation, Pointed, Stopped, TargetView, Try};
pub use export::{ExchangeContent, NotKept, ReadError, ReplyWindow};
pub use feed::{PositionView, Until, write_line};
pub use house::{Environment, Error, House, Readiness, Setup, Unready};
pub use identity::{ApiKeySecret, Denied, KeyError, KeyRequest, Principal, Right, Unauthenticated};
pub use keys::{KEYS_TTL, KeysError};
pub use limits::{LimitReached, Limited, Numbers, Overloaded, Place, Standing};
pub use mcp::{ToolMessage, ToolReply};
pub use offboarding::{OffboardError, Offboarded};
pub use paths::{HopView, PathView};
pub use responses::{Earlier, NoResponse, Order, Page, Retrieved, UnknownItem};
pub use retention::{DisposalReason, DisposalRequest, DisposeError, Disposed};
pub use review::{ActivityReport, Review, ReviewError, ReviewState, Since};
pub use rotation::Rotated;
pub use search::{Found, MAX_FOUND, Search, SearchError};
pub use selftest::Failure as GuardFailure;
pub use status::{FeedState, Stamp, Status};
pub use store::KeyRole;
pub use tasks::Tasks;
pub use telemetry::{METRICS, Metric, MetricKind, TraceParent};
pub use tiles::{Level, Tile};
