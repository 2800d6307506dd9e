//! Collects the best matches after a place, in an order that is the same for every page.

use std::{cmp::Ordering, collections::BinaryHeap};
use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::Column,
};

use crate::{
    id::BookId,
    page::{Position, SortKey},
};

/// A match: the best one has the lowest rank; then the lowest id is first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// The negated score.
    pub(super) rank: f64,
    pub(super) id: BookId,
}

impl Match {
    pub(super) fn position(self) -> Position {
        Position { key: SortKey::Real(self.rank), id: self.id }
    }
}

impl Eq for Match {}

impl Ord for Match {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Match {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The first `limit` matches after `after`, in order.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) limit: usize,
    pub(super) after: Option<Match>,
}

impl Collector for Ranked {
    type Fruit = Vec<Match>;
    type Child = RankedSegment;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<RankedSegment> {
        let ids = segment.fast_fields().u64("id")?;
        Ok(RankedSegment { ids, limit: self.limit, after: self.after, best: BinaryHeap::new() })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segments: Vec<Vec<Match>>) -> tantivy::Result<Vec<Match>> {
        let mut all = segments.concat();
        all.sort_unstable();
        all.truncate(self.limit);
        Ok(all)
    }
}

#[derive(Debug)]
pub(super) struct RankedSegment {
    ids: Column<u64>,
    limit: usize,
    after: Option<Match>,
    /// The worst one is on top.
    best: BinaryHeap<Match>,
}

impl SegmentCollector for RankedSegment {
    type Fruit = Vec<Match>;

    fn collect(&mut self, doc: DocId, score: Score) {
        let rank = -f64::from(score);
        let full = self.best.len() >= self.limit;
        if full && self.best.peek().is_none_or(|worst| worst.rank < rank) {
            return;
        }
        let Some(id) = self.ids.first(doc) else { return };
        let found = Match { rank, id: BookId(id) };
        if self.after.is_some_and(|after| found <= after) {
            return;
        }
        self.best.push(found);
        if self.best.len() > self.limit {
            self.best.pop();
        }
    }

    fn harvest(self) -> Vec<Match> {
        self.best.into_vec()
    }
}

/// The ids of all matches, in no order.
#[derive(Debug)]
pub(super) struct Ids;

impl Collector for Ids {
    type Fruit = Vec<BookId>;
    type Child = IdsSegment;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<IdsSegment> {
        Ok(IdsSegment { ids: segment.fast_fields().u64("id")?, found: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Vec<BookId>>) -> tantivy::Result<Vec<BookId>> {
        Ok(segments.concat())
    }
}

#[derive(Debug)]
pub(super) struct IdsSegment {
    ids: Column<u64>,
    found: Vec<BookId>,
}

impl SegmentCollector for IdsSegment {
    type Fruit = Vec<BookId>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.found.extend(self.ids.first(doc).map(BookId));
    }

    fn harvest(self) -> Vec<BookId> {
        self.found
    }
}
