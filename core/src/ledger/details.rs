//! What few entries have, and the form of an entry in JSON.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};

#[cfg(feature = "openapi")]
use crate::book::BookText;
use crate::{
    book::Text,
    clock::Timestamp,
    id::{OrderId, Seq},
    inline_list::InlineList,
    order::{Actor, Reference},
};

use super::{Change, Entry, Kind};

/// What few entries have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The order, if the key is not its id: of an extension, an erasure, and of the return of some copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// Of a hold or an extension: when the copies are not held any longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Of a sale or a hold: what the order is called elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Who of the shop did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Of a relisting: the entry that the book's text is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_version: Option<Seq>,
    /// Of a revision: whether the book is off sale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

impl Details {
    /// `None` for the details of nearly all entries.
    pub(crate) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    /// The most bytes of its JSON.
    pub(super) fn json_bytes(&self) -> usize {
        /// Of the fields but the texts.
        const BYTES: usize = 224;
        let reference = self.reference.as_ref().map_or(0, |reference| crate::json::string_bytes(reference.as_str()));
        BYTES + reference + self.actor.as_ref().map_or(0, |actor| crate::json::string_bytes(actor.as_str()))
    }
}

/// An entry as JSON has it.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Entry))]
pub(super) struct EntryFields {
    /// Its number.
    seq: Seq,
    /// When it was decided.
    at: Timestamp,
    /// What it records.
    kind: Kind,
    /// The order; for a change of a book or the return of some copies, the caller's key if there was one; the id of a timeline.
    #[serde(default)]
    key: Option<OrderId>,
    /// The books that it touches, sorted by id, each once.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Change>))]
    changes: InlineList<Change>,
    /// Of a listing or a revision: the text of the book.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BookText>))]
    text: Option<Text>,
    /// The order, if the key is not its id: of an extension, an erasure, and of the return of some copies.
    #[serde(default)]
    order: Option<OrderId>,
    /// Of a hold or an extension: when the copies are not held any longer.
    #[serde(default)]
    expires_at: Option<Timestamp>,
    /// Of a sale or a hold: what the order is called elsewhere.
    #[serde(default)]
    reference: Option<Reference>,
    /// Who of the shop did it.
    #[serde(default)]
    actor: Option<Actor>,
    /// Of a relisting: the entry that the book's text is from.
    #[serde(default)]
    text_version: Option<Seq>,
    /// Of a revision: whether the book is off sale.
    #[serde(default)]
    withdrawn: bool,
}

impl From<EntryFields> for Entry {
    fn from(fields: EntryFields) -> Self {
        let EntryFields { seq, at, kind, key, changes, text, .. } = fields;
        let EntryFields { order, expires_at, reference, actor, text_version, withdrawn, .. } = fields;
        let details = Details { order, expires_at, reference, actor, text_version, withdrawn }.boxed();
        Self { seq, at, kind, key, changes, text, details }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { seq, at, kind, key, changes, text, details } = self;
        let mut entry = serializer.serialize_struct("Entry", 12)?;
        entry.serialize_field("seq", seq)?;
        entry.serialize_field("at", at)?;
        entry.serialize_field("kind", kind)?;
        if let Some(key) = key {
            entry.serialize_field("key", key)?;
        }
        entry.serialize_field("changes", changes)?;
        if let Some(text) = text {
            entry.serialize_field("text", text)?;
        }
        let Some(details) = details else { return entry.end() };
        if let Some(order) = &details.order {
            entry.serialize_field("order", order)?;
        }
        if let Some(expires_at) = &details.expires_at {
            entry.serialize_field("expires_at", expires_at)?;
        }
        if let Some(reference) = &details.reference {
            entry.serialize_field("reference", reference)?;
        }
        if let Some(actor) = &details.actor {
            entry.serialize_field("actor", actor)?;
        }
        if let Some(text_version) = &details.text_version {
            entry.serialize_field("text_version", text_version)?;
        }
        if details.withdrawn {
            entry.serialize_field("withdrawn", &true)?;
        }
        entry.end()
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use super::{Entry, EntryFields};
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{RefOr, Schema},
    };

    impl PartialSchema for Entry {
        fn schema() -> RefOr<Schema> {
            EntryFields::schema()
        }
    }

    impl ToSchema for Entry {
        fn name() -> std::borrow::Cow<'static, str> {
            EntryFields::name()
        }

        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            EntryFields::schemas(schemas);
        }
    }
}
