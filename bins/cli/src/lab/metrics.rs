//! Reads a server's `/metrics`.

use std::collections::BTreeMap;

/// The values of all series, by how they are written: `name{label="value",…}`.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads Prometheus' text format; what is not a number is left out.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// Adds another server's values.
    pub(super) fn add(&mut self, other: &Self) {
        for (series, value) in &other.0 {
            *self.0.entry(series.clone()).or_default() += value;
        }
    }

    /// The increase of counters since `before`; zero for one that was reset by a restart.
    pub(super) fn since(&self, before: &Self) -> Self {
        let grown = self.0.iter().map(|(series, value)| {
            let before = before.0.get(series).copied().unwrap_or(0.0);
            (series.clone(), (value - before).max(0.0))
        });
        Self(grown.collect())
    }

    /// The sum of the series of this name whose labels have these values.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let all = self.0.range(name.to_owned()..).take_while(|(series, _)| series.starts_with(name));
        let named = all.filter(|(series, _)| matches!(series[name.len()..].chars().next(), None | Some('{')));
        named.filter(|(series, _)| wanted.iter().all(|label| series.contains(label))).map(|(_, value)| value).sum()
    }

    /// How many requests of this method and route have ended, and their total time in seconds.
    pub(super) fn requests(&self, method: &str, route: &str) -> (f64, f64) {
        let labels = [("method", method), ("route", route)];
        let of = |what: &str| self.sum(&format!("bookstore_http_request_duration_seconds_{what}"), &labels);
        (of("count"), of("sum"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE hits counter
hits 5
hits_of_others 100

bookstore_http_request_duration_seconds_sum{method=\"GET\",route=\"/info/{id}\"} 1.5
bookstore_http_request_duration_seconds_count{method=\"GET\",route=\"/info/{id}\"} 3
bookstore_http_request_duration_seconds_count{method=\"POST\",route=\"/info/{id}\"} 7
";

    #[test]
    fn series_are_found_by_name_and_labels() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.requests("GET", "/info/{id}"), (3.0, 1.5));
        assert_eq!(metrics.requests("GET", "/search/{topic}"), (0.0, 0.0));
        assert_eq!(metrics.sum("hits", &[]), 5.0);
    }

    #[test]
    fn only_what_was_added_counts() {
        let (before, mut after) = (Metrics::parse(TEXT), Metrics::parse(TEXT));
        after.add(&Metrics::parse("hits 2\nnew 4"));
        let since = after.since(&before);
        assert_eq!((since.sum("hits", &[]), since.sum("new", &[]), since.sum("hits_of_others", &[])), (2.0, 4.0, 0.0));
        assert_eq!(Metrics::parse("hits 1").since(&before).sum("hits", &[]), 0.0);
    }
}
