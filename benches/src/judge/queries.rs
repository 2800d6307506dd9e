//! The judged queries of `benches/judged/queries.tsv`.

use bookstore_benches::Result;
use clap::ValueEnum;

/// A query with what is right for it.
#[derive(Debug)]
pub(crate) struct Judged {
    /// What it tries: a typo, a phrase, a subject, …
    pub(crate) kind: String,
    /// What a person types.
    pub(crate) query: String,
    /// ISBNs: any of them is right.
    pub(crate) right: Vec<String>,
}

/// Which of the queries to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// Those by which the search was tuned: two thirds.
    Tune,
    /// Those that were not run until tuning had ended.
    HeldOut,
    /// Both.
    All,
}

const FILE: &str = include_str!("../../judged/queries.tsv");

/// The queries of a set.
///
/// # Errors
/// A line of the file is broken.
pub(crate) fn of(set: Set) -> Result<Vec<Judged>> {
    let lines = FILE.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(line)
        .filter(|line| line.as_ref().map_or(true, |(of, _)| set == Set::All || set == *of))
        .map(judged)
        .collect()
}

fn judged(line: Result<(Set, Judged)>) -> Result<Judged> {
    line.map(|(_, judged)| judged)
}

fn line(line: &str) -> Result<(Set, Judged)> {
    let [kind, set, query, right] = line.split('\t').collect::<Vec<_>>()[..] else {
        return Err(format!("not four columns: {line:?}").into());
    };
    let set = match set {
        "tune" => Set::Tune,
        "held-out" => Set::HeldOut,
        _ => return Err(format!("not a set of queries: {set:?}").into()),
    };
    let right = right.split(',').map(str::to_owned).collect();
    Ok((set, Judged { kind: kind.into(), query: query.into(), right }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_queries_is_held_out() {
        let [tune, held_out, all] = [Set::Tune, Set::HeldOut, Set::All].map(|set| of(set).expect("good lines").len());
        assert_eq!(tune + held_out, all);
        assert!(all >= 120 && held_out * 4 >= all, "{held_out} of {all}");
    }
}
