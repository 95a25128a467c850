//! Comments on objects: written by people, and by the engine for what it keeps quiet about.

use std::sync::Arc;

use super::Engine;
use super::effect::{Effects, Event, EventKind};
use super::input::{CommandError, CommentRequest, Reply};
use crate::id::ObjectId;
use crate::model::{Comment, CommentSource, CommentType, ObjectKey};

/// Author of what the engine writes itself.
pub(super) const ENGINE: &str = "Stentor";

impl Engine {
    pub(super) fn comment(&mut self, request: &CommentRequest, effects: &mut Effects) -> Result<Reply, CommandError> {
        self.find(&request.object)?;
        if request.expires.is_some_and(|expires| expires <= self.at) {
            return Err(CommandError::Invalid("the comment would expire in the past".to_owned()));
        }
        let id = self.add_comment(CommentType::User, request);
        let text = format!("{}: {}", request.author, request.text);
        effects.events.push(Event::of_object(self.at, EventKind::Note, request.object.clone(), text));
        Ok(Reply::CommentAdded(id))
    }

    /// Writes a comment and gives its id. What goes with a downtime or with flapping is the engine's own.
    pub(super) fn add_comment(&mut self, entry_type: CommentType, request: &CommentRequest) -> u64 {
        self.ids.comment += 1;
        let id = self.ids.comment;
        let comment = Comment {
            id,
            object: request.object.clone(),
            source: match entry_type {
                CommentType::User | CommentType::Acknowledgement => CommentSource::External,
                CommentType::Downtime | CommentType::Flapping => CommentSource::Internal,
            },
            persistent: request.persistent,
            entry_type,
            entered_at: self.at,
            expires: request.expires,
            author: Arc::clone(&request.author),
            text: Arc::clone(&request.text),
        };
        Arc::make_mut(&mut self.comments).insert(id, comment);
        self.touch(&request.object);
        id
    }

    pub(super) fn delete_comment(&mut self, id: u64) -> Result<Reply, CommandError> {
        if self.remove_comment(id) { Ok(Reply::Done) } else { Err(CommandError::NoComment(id)) }
    }

    /// False if there is none, which is no mistake of the engine's: people delete its comments too.
    pub(super) fn remove_comment(&mut self, id: u64) -> bool {
        let removed = self.comments.contains_key(&id).then(|| Arc::make_mut(&mut self.comments).remove(&id)).flatten();
        if let Some(comment) = &removed {
            self.touch(&comment.object);
        }
        removed.is_some()
    }

    pub(super) fn delete_all_comments(&mut self, object: &ObjectKey) -> Result<Reply, CommandError> {
        self.find(object)?;
        self.remove_comments(|comment| comment.object == *object);
        Ok(Reply::Done)
    }

    /// An acknowledgement has ended: what was written for it goes, unless it was meant to stay.
    pub(super) fn remove_ack_comments(&mut self, object: ObjectId) {
        if self.comments.is_empty() {
            return;
        }
        let key = self.catalog.object_key(object);
        self.remove_comments(|comment| {
            comment.entry_type == CommentType::Acknowledgement && !comment.persistent && comment.object == key
        });
    }

    pub(super) fn expire_comments(&mut self) {
        let at = self.at;
        self.remove_comments(|comment| comment.expires.is_some_and(|expires| expires <= at));
    }

    fn remove_comments(&mut self, which: impl Fn(&Comment) -> bool) {
        let ids: Vec<u64> = self.comments.values().filter(|comment| which(comment)).map(|comment| comment.id).collect();
        for id in ids {
            self.remove_comment(id);
        }
    }

    /// Pages that show the object are to be drawn anew.
    fn touch(&mut self, key: &ObjectKey) {
        let at = self.at;
        if let Some(object) = self.catalog.object_id(key) {
            self.row_mut(object).changed = at;
        }
    }
}
