//! Collects every match.

use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::Column,
};

use crate::{id::BookId, search::Match};

/// Every match with its rank, the negated score, in no order.
#[derive(Debug)]
pub(super) struct All;

impl Collector for All {
    type Fruit = Vec<Match>;
    type Child = AllOfSegment;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<AllOfSegment> {
        Ok(AllOfSegment { ids: segment.fast_fields().u64("id")?, found: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, mut segments: Vec<Vec<Match>>) -> tantivy::Result<Vec<Match>> {
        if segments.len() == 1 {
            return Ok(segments.pop().unwrap_or_default());
        }
        Ok(segments.concat())
    }
}

#[derive(Debug)]
pub(super) struct AllOfSegment {
    ids: Column<u64>,
    found: Vec<Match>,
}

impl SegmentCollector for AllOfSegment {
    type Fruit = Vec<Match>;

    fn collect(&mut self, doc: DocId, score: Score) {
        self.found.extend(self.ids.first(doc).map(|id| Match { book: BookId(id), rank: -score }));
    }

    fn harvest(self) -> Vec<Match> {
        self.found
    }
}
