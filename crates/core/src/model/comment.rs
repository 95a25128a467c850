//! Comments on hosts and services: what people and the program itself wrote there (specification 03, section 7).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::incident::ObjectKey;
use crate::Timestamp;

/// One comment. Ids are shared by hosts and services and never used twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comment {
    pub id: u64,
    pub object: ObjectKey,
    pub source: CommentSource,
    /// Kept by those who restart Nagios; an acknowledgement's comment that is not goes with it.
    pub persistent: bool,
    pub entry_type: CommentType,
    pub entered_at: Timestamp,
    /// When it is removed by itself; `None` = never.
    pub expires: Option<Timestamp>,
    pub author: Arc<str>,
    pub text: Arc<str>,
}

/// Who made it; the number is Nagios's.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentSource {
    Internal = 0,
    External = 1,
}

/// What it goes with; the number is Nagios's `entry_type`.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentType {
    User = 1,
    Downtime = 2,
    Flapping = 3,
    Acknowledgement = 4,
}

impl CommentSource {
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl CommentType {
    pub const fn code(self) -> u8 {
        self as u8
    }
}
