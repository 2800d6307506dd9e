//! The message at the top of a page: that something is done, or why it is not.

use bookstore_core::Error;

/// Whether what the page was asked to do is done. Decides how a notice looks, and how screen readers treat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    NotDone,
    Unknown,
}

impl Outcome {
    /// The CSS class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Done => "good",
            Self::NotDone => "bad",
            Self::Unknown => "open",
        }
    }

    /// The ARIA role: screen readers read an alert at once.
    pub(crate) fn role(self) -> &'static str {
        if self == Self::Done { "status" } else { "alert" }
    }
}

/// One message on a page, and where to go from it.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) outcome: Outcome,
    pub(crate) text: String,
    pub(crate) link: Option<(String, &'static str)>,
}

impl Notice {
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Done, text: text.into(), link: None }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotDone, text: text.into(), link: None }
    }

    pub(crate) fn link(mut self, url: impl Into<String>, label: &'static str) -> Self {
        self.link = Some((url.into(), label));
        self
    }

    /// The outcome of an earlier press is unknown, and this press could not find it out.
    pub(crate) fn still_unknown() -> Self {
        const OPEN: &str = "We still do not know whether this went through: the shop cannot say at this moment. \
                            Press the button again in a moment; it happens only once, however often you press.";
        Self { outcome: Outcome::Unknown, text: OPEN.into(), link: None }
    }

    /// Why a form failed that may be sent again as it is. `nothing` says what did not happen, as a sentence.
    pub(crate) fn failure(error: &Error, nothing: &str) -> Self {
        const OPEN: &str = "We do not know yet whether this went through. Press the button again to find out: \
                            it happens only once, however often you press.";
        match error {
            Error::OutcomeUnknown { .. } => Self { outcome: Outcome::Unknown, text: OPEN.into(), link: None },
            Error::Overloaded { .. } => {
                Self::bad(format!("{nothing} The shop is very busy; please press the button again in a moment."))
            }
            Error::Unavailable { .. } | Error::DeadlineExpired { .. } => {
                Self::bad(format!("{nothing} The shop cannot do this now; please press the button again in a moment."))
            }
            other => Self::bad(format!("{nothing} {}", sentence(&other.to_string()))),
        }
    }
}

/// An error's text as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
