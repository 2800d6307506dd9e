//! Suggestions while somebody types.

use serde::{Deserialize, Serialize};

use super::Query;
use crate::{
    error::{Error, Result},
    id::BookId,
};

/// What somebody has typed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestQuery {
    /// The beginning of a title, of an author's name or of a topic; an author's first name may stand first. At most
    /// [`Query::TEXT_MAX`] characters.
    #[serde(rename = "q")]
    pub text: String,
    /// Suggestions of each kind, 1 to [`SuggestQuery::LIMIT_MAX`]; [`SuggestQuery::LIMIT_DEFAULT`] if it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl SuggestQuery {
    /// Suggestions of each kind, if the query does not say.
    pub const LIMIT_DEFAULT: u32 = 5;
    /// The most suggestions of each kind. Their JSON is at most 128 KiB long.
    pub const LIMIT_MAX: u32 = 10;

    /// Checks the fields, and gives the limit.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the field that is outside its limits.
    pub fn check(&self) -> Result<usize> {
        if self.text.chars().count() > Query::TEXT_MAX {
            return Err(Error::invalid("q", format!("must be at most {} characters", Query::TEXT_MAX)));
        }
        let limit = self.limit.unwrap_or(Self::LIMIT_DEFAULT);
        if !(1..=Self::LIMIT_MAX).contains(&limit) {
            return Err(Error::invalid("limit", format!("must be from 1 to {}", Self::LIMIT_MAX)));
        }
        Ok(limit as usize)
    }
}

/// What somebody may be about to type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Suggestions {
    /// Books whose titles begin so, by title; a leading article may be missing.
    pub titles: Vec<TitleSuggestion>,
    /// Authors whose names begin so, those with the most books first.
    pub authors: Vec<String>,
    /// Topics that begin so, those with the most books first.
    pub topics: Vec<String>,
}

/// A book that is suggested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TitleSuggestion {
    /// Its number.
    pub id: BookId,
    /// Its title.
    pub title: String,
}
