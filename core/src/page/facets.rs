//! Counts beside a page of books.

use serde::{Deserialize, Serialize};

use crate::json::string_bytes;

/// The values of the facets that a query asked for, with their numbers of books among all that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facets {
    /// The topics; `None` if they were not asked for, as for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Vec<FacetCount>>,
    /// The authors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Vec<FacetCount>>,
    /// The years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<Vec<FacetCount>>,
}

/// One value of a facet. A facet has those with the most books, at most [`FacetCount::MAX`], those with as many in the order of their
/// names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FacetCount {
    /// The value, as the filter of this name takes it; of a year, `year_min` and `year_max`.
    pub value: String,
    /// Books that have it.
    pub books: u64,
}

impl FacetCount {
    /// The most values of a facet.
    pub const MAX: usize = 20;
}

impl Facets {
    /// The most bytes of its JSON.
    pub(crate) fn json_bytes(&self) -> usize {
        /// Names of the fields, punctuation, and the longest number.
        const AROUND: usize = 48;
        let all = [&self.topic, &self.author, &self.year].into_iter().flatten().flatten();
        all.map(|count| string_bytes(&count.value) + AROUND).sum::<usize>() + 3 * AROUND
    }
}
