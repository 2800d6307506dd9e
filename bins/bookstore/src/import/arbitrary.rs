//! Files of anything at all: every line is a book or is named as broken, none is lost, and it always comes to an end.

use super::*;
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::io::Write as _;

fn fill_in() -> ImportOptions {
    ImportOptions { fill_in: true, ..ImportOptions::default() }
}

/// A line of a file.
#[derive(Clone, Debug)]
enum Written {
    /// A book with this number.
    Good(u16),
    /// No book.
    Broken(Vec<u8>),
}

fn lines(no_book: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Written>> {
    vec(prop_oneof![any::<u16>().prop_map(Written::Good), no_book.prop_map(Written::Broken)], 0..30)
}

fn file(lines: &[Written], head: &str, good: fn(u16) -> String, end: &[u8]) -> Vec<u8> {
    let mut file = head.as_bytes().to_vec();
    for line in lines {
        match line {
            Written::Good(n) => file.extend(good(*n).into_bytes()),
            Written::Broken(bytes) => file.extend(bytes),
        }
        file.extend(end);
    }
    file
}

/// Every good line is its book, every other one is named by its number, in order; `first` is the number of the first.
fn assert_told_apart(lines: &[Written], read: Vec<Result<Line, BrokenLine>>, first: u64) -> Result<(), TestCaseError> {
    prop_assert_eq!(read.len(), lines.len(), "{:?}", read);
    for (number, (line, read)) in (first..).zip(lines.iter().zip(read)) {
        match (line, read) {
            (Written::Good(n), Ok(line)) => prop_assert_eq!(line.book.text.title, format!("Book {n}")),
            (Written::Broken(_), Err(broken)) => {
                prop_assert_eq!(broken.line, number, "{}", broken);
                prop_assert!(!broken.last && !broken.message.is_empty(), "{broken}");
            }
            (line, read) => prop_assert!(false, "line {number}, {line:?}, was read as {read:?}"),
        }
    }
    Ok(())
}

/// No more books or broken lines than lines, all named in order, and nothing after the last.
fn assert_ends(file: &[u8], books: Books<'_>) -> Result<(), TestCaseError> {
    // A line ends with either, or both.
    let most = file.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    let (mut read, mut last) = (0, 0);
    for book in books {
        read += 1;
        prop_assert!(read <= most, "more than the file has lines");
        if let Err(broken) = book {
            prop_assert!(broken.line >= last && broken.line <= most as u64, "{broken} after line {last}");
            prop_assert!(!broken.message.is_empty());
            last = broken.line;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn json_lines_are_told_apart(
        lines in lines(vec(any::<u8>(), 1..60).prop_filter("one line, not blank", |bytes| {
            !bytes.contains(&b'\n') && !bytes.trim_ascii().is_empty()
        })),
        windows in any::<bool>(),
    ) {
        let good = |n| format!(r#"{{"title":"Book {n}","topic":"t"}}"#);
        let file = file(&lines, "", good, if windows { b"\r\n" } else { b"\n" });
        let (plain, mut packed) = (json_lines(&file[..], &fill_in()).collect(), GzEncoder::new(Vec::new(), Compression::fast()));
        assert_told_apart(&lines, plain, 1)?;
        packed.write_all(&file).unwrap();
        assert_told_apart(&lines, json_lines(MultiGzDecoder::new(&packed.finish().unwrap()[..]), &fill_in()).collect(), 1)?;
    }

    #[test]
    fn records_are_told_apart(
        // Without a comma it has too few fields, whatever it is.
        lines in lines(vec(any::<u8>(), 1..60).prop_filter("one record", |bytes| {
            let blank = String::from_utf8_lossy(bytes).trim().is_empty();
            !blank && !bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r' | b'"' | b','))
        })),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let head = format!("title,topic,stock{end}");
        let file = file(&lines, &head, |n| format!("Book {n},\"t, u\",{n}"), end.as_bytes());
        assert_told_apart(&lines, csv(&file[..], &fill_in()).collect(), 2)?;
    }

    #[test]
    fn any_bytes_come_to_an_end(
        head in prop::sample::select(vec!["", "title,topic\n", "title,topic,stock\na,b,1\n"]),
        bytes in vec(prop_oneof![6 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b'"'), 1 => Just(b',')], 0..400),
    ) {
        let file = [head.as_bytes(), &bytes].concat();
        assert_ends(&file, csv(&file[..], &fill_in()))?;
        assert_ends(&file, json_lines(&file[..], &fill_in()))?;
    }

    #[test]
    fn a_spoiled_archive_is_never_taken_for_a_good_one(
        lines in vec(any::<u16>(), 1..60),
        spoil in any::<Index>(),
        byte in any::<u8>(),
    ) {
        let text: String = lines.iter().map(|n| format!("{{\"title\":\"Book {n}\",\"topic\":\"t\"}}\n")).collect();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        let mut packed = packed.finish().unwrap();
        let at = spoil.index(packed.len());
        packed[at] = byte;
        let read: Vec<_> = json_lines(MultiGzDecoder::new(&packed[..]), &fill_in()).collect();
        // What is wrong is said at the end at the latest, where the checksum stands.
        let titles = read.iter().map(|line| line.as_ref().ok().map(|line| line.book.text.title.clone()));
        let same = titles.eq(lines.iter().map(|n| Some(format!("Book {n}"))));
        prop_assert!(same || read.iter().any(Result::is_err), "{read:?}");
    }
}
