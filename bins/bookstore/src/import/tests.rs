//! The file formats compared with each other, and damaged files.

use super::*;
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use std::{io::Write as _, path::Path};

fn good(books: Books<'_>) -> Vec<NewBook> {
    books.map(|book| book.unwrap()).collect()
}

fn broken(books: Books<'_>) -> Vec<String> {
    books.filter_map(Result::err).map(|broken| broken.to_string()).collect()
}

const LEDGERS: &str = r#"{"title":"Ledgers","author":"Roe, Ada","topic":"Accounting","isbn13":"978-0-00-000000-2",
"subjects":["Books","Keeping"],"year":1999,"publisher":"Nobody","price_cents":100,"stock":2}"#;

#[test]
fn every_format_reads_the_same_book() {
    let json = LEDGERS.replace('\n', " ");
    let table = "\u{feff}Title,author,topic,ISBN,year,subjects,price_cents,stock,shelf\n\
                 Ledgers,\"Roe, Ada\",Accounting,9780000000002,1999,Books; Keeping;,100,2,7\n";
    let mut gz = Vec::new();
    for half in [&json[..40], &json[40..]] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(half.as_bytes()).unwrap();
        gz.extend(encoder.finish().unwrap());
    }
    let expected = good(json_lines(json.as_bytes()));
    assert_eq!(expected.len(), 1);
    assert_eq!(expected[0].text.subjects, ["Books", "Keeping"]);
    assert_eq!(expected[0].text.isbn.map(bookstore_core::Isbn::digits).as_deref(), Some("9780000000002"));
    assert_eq!(good(csv(table.as_bytes())), expected);
    assert_eq!(good(json_lines(MultiGzDecoder::new(&gz[..]))), expected);
}

#[test]
fn broken_records_are_named_by_their_line_and_the_rest_is_read() {
    let mut table =
        b"topic,title,year,stock\nt,a,1999,\nt,\"two\nlines\",,1\nt,c\nt,d,MM,1\n,e,,\nt,\xff,1,1\nt,g,,5\n".to_vec();
    table.extend(b"t,h,,-1\n");
    assert_eq!(
        broken(csv(&table[..])),
        [
            "line 5: fields: 2, but the header line has 4",
            "line 6: year must be a whole number in its range, not \"MM\"",
            "line 7: topic is missing",
            "line 8: is not UTF-8",
            "line 10: stock must be a whole number in its range, not \"-1\"",
        ]
    );
    assert_eq!(csv(&table[..]).filter(Result::is_ok).count(), 3);
}

#[test]
fn a_file_that_cannot_be_read_on_ends_with_its_last_broken_line() {
    let open_quote = format!("title,topic\nx,y\n\"never closed,{}", "z".repeat(2 * LINE_MAX));
    let lines: Vec<_> = csv(open_quote.as_bytes()).collect();
    assert_eq!(lines.len(), 2);
    let last = lines[1].as_ref().unwrap_err();
    assert!(last.last && last.line == 3 && last.message.contains("quote"), "{last}");

    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(LEDGERS.replace('\n', " ").repeat(50).as_bytes()).unwrap();
    let cut = encoder.finish().unwrap();
    let lines: Vec<_> = json_lines(MultiGzDecoder::new(&cut[..cut.len() / 2])).collect();
    assert!(lines.last().unwrap().as_ref().unwrap_err().last);

    for header in ["", "title\nx\n", "title,topic,title\nx,y,z\n"] {
        let lines: Vec<_> = csv(header.as_bytes()).collect();
        assert!(lines.len() == 1 && lines[0].as_ref().unwrap_err().last, "{header:?}: {lines:?}");
    }
}

#[test]
fn other_endings_and_missing_files_are_refused() {
    let error = |name: &str| open(Path::new(name), |_| ()).err().unwrap().to_string();
    assert!(error("books.xlsx").contains(".jsonl.gz"));
    assert!(error("/nowhere/books.csv").contains("No such file"));
}
