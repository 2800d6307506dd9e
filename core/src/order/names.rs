//! Short texts that an order and its entries carry. How they are read is in `parse.rs`.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// What an order is called elsewhere: 1 to [`Reference::MAX`] characters, kept as they are. It is part of the ledger and never changes,
/// so it MUST NOT be anything personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct Reference(pub(crate) Arc<str>);

impl Reference {
    /// The most characters.
    pub const MAX: usize = 200;
}

/// Who of the shop did something: the name of an access token, or a part of the embedding program. It is part of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct Actor(pub(crate) Arc<str>);

impl Actor {
    /// The most characters.
    pub const MAX: usize = 64;
}

macro_rules! short_text {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.as_ref().to_owned()
            }
        }

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

short_text!(Reference);
short_text!(Actor);
