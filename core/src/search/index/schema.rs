//! The fields of the index.

use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};

/// The fields, in the order in which the schema has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// The book's number.
    pub(super) id: Field,
    /// Words as they are written, with their places; of title and subtitle.
    pub(super) title: Field,
    pub(super) author: Field,
    pub(super) subjects: Field,
    /// Of publisher and description.
    pub(super) rest: Field,
    /// The stems of the words.
    pub(super) title_stems: Field,
    pub(super) subject_stems: Field,
    pub(super) rest_stems: Field,
    /// The words of all fields: the dictionary for typos.
    pub(super) words: Field,
    /// The title, its part before a colon, and title and subtitle, each as a whole.
    pub(super) whole_title: Field,
    /// The names of each author in alphabetical order, as a whole, and those of all.
    pub(super) whole_author: Field,
    /// The words of the topic.
    pub(super) topic_words: Field,
    /// The ISBN of 13 digits.
    pub(super) isbn: Field,
}

/// The schema, with its fields.
pub(super) fn schema() -> (Schema, Fields) {
    let words = |record, norms| {
        let indexing = TextFieldIndexing::default().set_tokenizer("raw").set_index_option(record).set_fieldnorms(norms);
        TextOptions::default().set_indexing_options(indexing)
    };
    let mut schema = Schema::builder();
    let fields = Fields {
        id: schema.add_u64_field("id", FAST | INDEXED),
        title: schema.add_text_field("title", words(IndexRecordOption::WithFreqsAndPositions, true)),
        author: schema.add_text_field("author", words(IndexRecordOption::WithFreqsAndPositions, true)),
        subjects: schema.add_text_field("subjects", words(IndexRecordOption::WithFreqsAndPositions, true)),
        rest: schema.add_text_field("rest", words(IndexRecordOption::WithFreqsAndPositions, true)),
        title_stems: schema.add_text_field("title_stems", words(IndexRecordOption::WithFreqs, true)),
        subject_stems: schema.add_text_field("subject_stems", words(IndexRecordOption::WithFreqs, true)),
        rest_stems: schema.add_text_field("rest_stems", words(IndexRecordOption::WithFreqs, true)),
        words: schema.add_text_field("words", words(IndexRecordOption::Basic, false)),
        whole_title: schema.add_text_field("whole_title", words(IndexRecordOption::Basic, false)),
        whole_author: schema.add_text_field("whole_author", words(IndexRecordOption::Basic, false)),
        topic_words: schema.add_text_field("topic_words", words(IndexRecordOption::WithFreqsAndPositions, false)),
        isbn: schema.add_text_field("isbn", words(IndexRecordOption::Basic, false)),
    };
    (schema.build(), fields)
}
