//! The history checker: right histories pass, and each wrong one is caught by the rule that it breaks.

mod answers;
mod fixture;
mod generated;
mod holds;
mod ledgers;
mod options;
mod orders;
mod recorded;
mod recording;
mod refusals;
mod restocks;
mod searched;
mod spoils;
mod texts;
