//! What a page tells first: that something went well, or why it did not.

use bookstore_core::Error;

/// How a notice looks and sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It is done.
    Good,
    /// It is not done.
    Bad,
    /// Nobody knows yet.
    Open,
}

impl Mood {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Open => "open",
        }
    }

    /// Screen readers read an alert at once.
    pub(crate) fn role(self) -> &'static str {
        if self == Self::Good { "status" } else { "alert" }
    }
}

/// One message on a page, and where to go from it.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) mood: Mood,
    pub(crate) text: String,
    pub(crate) link: Option<(String, &'static str)>,
}

impl Notice {
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { mood: Mood::Good, text: text.into(), link: None }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { mood: Mood::Bad, text: text.into(), link: None }
    }

    pub(crate) fn link(mut self, url: impl Into<String>, label: &'static str) -> Self {
        self.link = Some((url.into(), label));
        self
    }

    /// An earlier press is unknown, and this one found out nothing.
    pub(crate) fn still_open() -> Self {
        const OPEN: &str = "We still do not know whether this went through: the shop cannot say at this moment. \
                            Press the button again in a moment; it happens only once, however often you press.";
        Self { mood: Mood::Open, text: OPEN.into(), link: None }
    }

    /// What went wrong with a form that may be sent again as it is. `nothing` says what did not happen, as a sentence.
    pub(crate) fn trouble(error: &Error, nothing: &str) -> Self {
        const OPEN: &str = "We do not know yet whether this went through. Press the button again to find out: \
                            it happens only once, however often you press.";
        match error {
            Error::OutcomeUnknown { .. } => Self { mood: Mood::Open, text: OPEN.into(), link: None },
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
