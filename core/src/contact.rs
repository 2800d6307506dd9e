//! Who an order is for, and where it goes: personal data, beside the ledger and never in it.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

use crate::{book::normal, clock::Timestamp, error::Error, history::LedgerIdentity, id::OrderId};

/// The texts of a [`Contact`], each of which may be missing. [`Contact::new`] checks them.
///
/// Its `Debug` says which texts there are, and never shows them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Contact))]
#[serde(deny_unknown_fields)]
pub struct ContactFields {
    /// The buyer's name, at most [`Contact::NAME_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: Option<String>,
    /// Where to write to, at most [`Contact::EMAIL_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 3, max_length = 254))]
    pub email: Option<String>,
    /// Where the books go, at most [`Contact::ADDRESS_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 1000))]
    pub address: Option<String>,
    /// Anything else, at most [`Contact::NOTE_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 1000))]
    pub note: Option<String>,
}

/// Who an order is for: a name, an e-mail address, an address and a note, of which one is given at least.
///
/// It is stored in the same transaction as the order but outside the ledger, so that it can be corrected and erased. It is never in an
/// entry, an order or a receipt, and MUST NOT be logged: its `Debug` does not show it.
///
/// ```
/// use bookstore_core::{Contact, ContactFields};
///
/// # fn main() -> bookstore_core::Result<()> {
/// let fields = ContactFields { name: Some("Ada  Lovelace ".into()), ..ContactFields::default() };
/// let contact = Contact::new(fields)?;
/// assert_eq!(contact.name(), Some("Ada Lovelace"));
/// assert!(!format!("{contact:?}").contains("Ada"));
/// assert!(Contact::new(ContactFields::default()).is_err(), "one text at least");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ContactFields", into = "ContactFields")]
pub struct Contact(ContactFields);

impl Contact {
    /// The most characters of a name.
    pub const NAME_MAX: usize = 200;
    /// The most characters of an e-mail address.
    pub const EMAIL_MAX: usize = 254;
    /// The most characters of an address.
    pub const ADDRESS_MAX: usize = 1000;
    /// The most characters of a note.
    pub const NOTE_MAX: usize = 1000;

    /// Checks the texts and brings them into their normal form, as those of books: composed characters, and one space where there is
    /// white space of any kind.
    ///
    /// # Errors
    /// - [`Error::Invalid`] in `contact` without any text.
    /// - [`Error::Invalid`] in `name`, `email`, `address` or `note` for a text that is empty, too long, or has control characters.
    /// - [`Error::Invalid`] in `email` unless it has one `@` with something on both sides, and no white space.
    pub fn new(fields: ContactFields) -> Result<Self, Error> {
        if fields == ContactFields::default() {
            return Err(Error::invalid("contact", "needs a name, an email, an address or a note"));
        }
        let ContactFields { name, email, address, note } = fields;
        Ok(Self(ContactFields {
            name: checked("name", name, Self::NAME_MAX)?,
            email: checked("email", email, Self::EMAIL_MAX)?.map(checked_email).transpose()?,
            address: checked("address", address, Self::ADDRESS_MAX)?,
            note: checked("note", note, Self::NOTE_MAX)?,
        }))
    }

    /// The buyer's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Where to write to.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// Where the books go.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// Anything else.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }
}

/// The messages say nothing of what was given: they may be logged.
fn checked(field: &'static str, text: Option<String>, max: usize) -> Result<Option<String>, Error> {
    let Some(text) = text else { return Ok(None) };
    let text = normal(&text);
    let length = text.chars().count();
    if length == 0 || length > max {
        return Err(Error::invalid(field, format!("must have 1 to {max} characters, not {length}")));
    }
    if text.contains(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(Some(text))
}

fn checked_email(email: String) -> Result<String, Error> {
    let is_address = !email.contains(char::is_whitespace)
        && email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if is_address { Ok(email) } else { Err(Error::invalid("email", "must be one address, such as name@example.org")) }
}

impl TryFrom<ContactFields> for Contact {
    type Error = Error;

    fn try_from(fields: ContactFields) -> Result<Self, Error> {
        Self::new(fields)
    }
}

impl From<Contact> for ContactFields {
    fn from(contact: Contact) -> Self {
        contact.0
    }
}

impl fmt::Debug for ContactFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, email, address, note } = self;
        let texts = [("name", name), ("email", email), ("address", address), ("note", note)];
        let given = texts.into_iter().filter(|(_, text)| text.is_some()).map(|(field, _)| field);
        f.write_str("Contact")?;
        f.debug_set().entries(given).finish()
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use super::{Contact, ContactFields};
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{RefOr, Schema},
    };

    impl PartialSchema for Contact {
        fn schema() -> RefOr<Schema> {
            ContactFields::schema()
        }
    }

    impl ToSchema for Contact {
        fn name() -> std::borrow::Cow<'static, str> {
            ContactFields::name()
        }
    }
}

/// Whether the orders of a shop carry contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContactRule {
    /// A contact is refused.
    Off,
    /// A contact is kept if one is given.
    #[default]
    Optional,
    /// A purchase or a hold that does not come from the shop itself is refused without one.
    Required,
}

impl ContactRule {
    /// Checks what a new order gives.
    ///
    /// # Errors
    /// [`Error::Invalid`] in `contact`.
    pub(crate) fn check(self, contact: Option<&Contact>, by_shop: bool) -> Result<(), Error> {
        match (self, contact) {
            (Self::Off, Some(_)) => Err(Error::invalid("contact", "this shop keeps no contacts")),
            (Self::Required, None) if !by_shop => {
                Err(Error::invalid("contact", "this shop needs a name, an email, an address or a note with each order"))
            }
            _ => Ok(()),
        }
    }
}

/// What happens to the contact of an order, beside the ledger: it is given, corrected or erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactChange {
    /// The order.
    pub order: OrderId,
    /// When its first entry was committed.
    pub placed_at: Timestamp,
    /// The number of this change: above that of every earlier one in the ledger's store.
    pub version: u64,
    /// The contact from now on; `None` if it was erased, which is for good.
    pub contact: Option<Box<Contact>>,
}

/// Contacts as copies get them, see [`ContactFeed`](crate::service::ContactFeed).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactPage {
    /// Which ledger they belong to, under which timeline.
    pub identity: LedgerIdentity,
    /// Drawn each time the ledger is opened for writing, as [`Entries::incarnation`](crate::Entries::incarnation); nil of a copy. What was not
    /// durable before may have been numbered otherwise then, so whoever follows MUST begin anew.
    pub incarnation: Uuid,
    /// The contacts, by the number of their last change. Those that were erased are not here: an entry says that.
    pub changes: Vec<ContactChange>,
}

impl ContactPage {
    /// What the numbers of its changes are from: the timeline, and the opening of the ledger.
    #[must_use]
    pub fn source(&self) -> (Option<Uuid>, Uuid) {
        (self.identity.timelines.last().map(|timeline| timeline.id), self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Result<Contact, Error> {
        Contact::new(ContactFields { email: Some(text.into()), ..ContactFields::default() })
    }

    #[test]
    fn texts_have_limits() {
        for (max, field) in [(200, "name"), (254, "email"), (1000, "address"), (1000, "note")] {
            let of = |length: usize| {
                let text =
                    if field == "email" { format!("{}@b", "é".repeat(length - 2)) } else { "é".repeat(length) };
                serde_json::from_value::<Contact>(serde_json::json!({ field: text }))
            };
            assert!(of(max).is_ok(), "{field}");
            assert!(of(max + 1).unwrap_err().to_string().contains(field), "{field}");
        }
        assert!(serde_json::from_str::<Contact>(r#"{"name":""}"#).is_err());
        assert!(serde_json::from_str::<Contact>(r#"{"name":"a\u0007b"}"#).is_err());
        assert!(serde_json::from_str::<Contact>(r#"{"phone":"1"}"#).is_err());
        assert!(serde_json::from_str::<Contact>("{}").is_err());
    }

    #[test]
    fn an_address_has_one_at_with_something_on_both_sides() {
        for good in ["a@b", "ada@example.org", " ada@example.org\n", "ü@ü.example"] {
            assert!(email(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c"] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_shows_what_was_given() {
        let secret = "geheim";
        let fields = ContactFields {
            name: Some(secret.into()),
            email: Some(format!("{secret}@b")),
            address: Some(secret.into()),
            note: Some(secret.into()),
        };
        let contact = Contact::new(fields.clone()).unwrap();
        let change = ContactChange {
            order: OrderId(uuid::Uuid::nil()),
            placed_at: Timestamp(0),
            version: 1,
            contact: Some(Box::new(contact.clone())),
        };
        let mut shown = format!("{fields:?} {contact:?} {change:#?}");
        for bad in [format!("{secret}@"), format!("{secret} @b"), secret.repeat(100), format!("{secret}\u{7}")] {
            shown += &email(&bad).unwrap_err().to_string();
            let json = serde_json::json!({ "email": bad }).to_string();
            shown += &serde_json::from_str::<Contact>(&json).unwrap_err().to_string();
        }
        assert!(!shown.contains(secret), "{shown}");
        assert_eq!(format!("{contact:?}"), r#"Contact{"name", "email", "address", "note"}"#);
    }
}
