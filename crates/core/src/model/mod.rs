//! The nouns of the glossary as plain data; no behaviour beyond reading and printing themselves.

pub mod comment;
pub mod downtime;
pub mod facts;
pub mod incident;
pub mod notice;
pub mod notification;
pub mod observation;
pub mod state;
pub mod value;

pub use comment::{Comment, CommentSource, CommentType};
pub use downtime::{Covers, Downtime, DowntimeKind};
pub use facts::Facts;
pub use incident::{Ack, Incident, Links, ObjectKey, Phase, Stage, Sticky, TimelineEntry, TimelineKind};
pub use notice::{CommandRun, HeldNotice, Notice, NoticeKind};
pub use notification::{COMMAND_CHANNEL, Delivery, DeliveryOutcome, Notification, Reason, Withheld};
pub use observation::{Measurement, Observation, Outcome};
pub use state::{HostState, ServiceState, StateKind, UnknownCause};
pub use value::Value;
