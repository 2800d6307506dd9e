//! The file formats compared with each other, and damaged files.

use super::*;
use bookstore_core::{Currency, Isbn};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use std::{io::Write as _, path::Path};

fn fill_in() -> ImportOptions {
    ImportOptions { fill_in: true, ..ImportOptions::default() }
}

fn good(lines: Books<'_>) -> Vec<NewBook> {
    lines.map(|line| line.unwrap().book).collect()
}

fn broken(lines: Books<'_>) -> Vec<String> {
    lines.filter_map(Result::err).map(|broken| broken.to_string()).collect()
}

/// The books of a table that has everything, as `author: title (year), isbn, price, stock`.
#[track_caller]
fn read(table: impl AsRef<[u8]>, options: &ImportOptions) -> Vec<String> {
    let shown = |NewBook { text, price_cents, stock }: NewBook| {
        let (year, isbn) = (text.year.unwrap_or_default(), text.isbn.map(Isbn::digits).unwrap_or_default());
        let price = Currency::USD.plain(price_cents);
        format!("{}: {} ({year}) [{}] {isbn} {price} {stock}", text.author(), text.title, text.topic)
    };
    good(csv(table.as_ref(), options)).into_iter().map(shown).collect()
}

fn refused(table: impl AsRef<[u8]>, options: &ImportOptions) -> String {
    let lines: Vec<_> = csv(table.as_ref(), options).collect();
    let last = lines.last().expect("a line").as_ref().expect_err("refused");
    assert!(lines.len() == 1 && last.last, "{lines:?}");
    last.to_string()
}

const LEDGERS: &str = r#"{"title":"Ledgers","author":"Roe, Ada","topic":"Accounting","isbn13":"978-0-00-000000-2",
"subjects":["Books","Keeping"],"year":1999,"price_cents":100,"stock":2}"#;

#[test]
fn every_format_reads_the_same_book() {
    let json = LEDGERS.replace('\n', " ");
    let table = "\u{feff}Title,author,topic,ISBN,year,subjects,price_cents,stock\n\
                 Ledgers,\"Roe, Ada\",Accounting,9780000000002,1999,Books; Keeping;,100,2\n";
    let mut gz = Vec::new();
    for half in [&json[..40], &json[40..]] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(half.as_bytes()).unwrap();
        gz.extend(encoder.finish().unwrap());
    }
    let none = ImportOptions::default();
    let expected = good(json_lines(json.as_bytes(), &none));
    assert_eq!(expected.len(), 1);
    assert_eq!(
        (&expected[0].text.author()[..], &expected[0].text.subjects[..]),
        ("Ada Roe", &["Books".into(), "Keeping".into()][..])
    );
    assert_eq!(expected[0].text.isbn.map(Isbn::digits).as_deref(), Some("9780000000002"));
    assert_eq!(good(csv(table.as_bytes(), &none)), expected);
    assert_eq!(good(json_lines(MultiGzDecoder::new(&gz[..]), &none)), expected);
    for delimiter in [";", "\t", "|"] {
        let other = table
            .replace("\"Roe, Ada\"", "Ada Roe")
            .replace("Books; Keeping;", "\"Books; Keeping\"")
            .replace(',', delimiter);
        assert_eq!(good(csv(other.as_bytes(), &none)), expected, "{delimiter:?}");
    }
    let utf_16: Vec<u8> = table.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(good(csv(&utf_16[..], &none)), expected);
}

#[test]
fn broken_records_are_named_by_their_line_and_the_rest_is_read() {
    let mut table =
        b"topic,title,year,stock\nt,a,1999,\nt,\"two\nlines\",,1\nt,c\nt,d,MM,1\n,,,\n,e,,\nt,\xff,1,1\nt,g,,5\n"
            .to_vec();
    table.extend(b"t,h,,-1\n");
    assert_eq!(
        broken(csv(&table[..], &fill_in())),
        [
            "line 5: fields: 2, but the header line has 4",
            "line 6: year must be a number such as 2004, not \"MM\"",
            "line 8: topic is missing",
            "line 9: is not UTF-8; save the file as CSV in UTF-8",
            "line 11: stock must be a whole number in its range, not \"-1\"",
        ]
    );
    assert_eq!(csv(&table[..], &fill_in()).filter(Result::is_ok).count(), 3);
}

/// The header lines of exports, with one book each.
#[test]
fn the_columns_of_known_exports_are_understood() {
    let all = ImportOptions { ignore_columns: true, ..ImportOptions::default() };
    let with = |field, column: &str| ImportOptions { columns: vec![(field, column.into())], ..all.clone() };
    let goodreads = "Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Publisher,Number of Pages,Year Published,\
                     Original Publication Year,Date Added,Bookshelves,Owned Copies\n\
                     1,Ledgers,Ada Roe,\"Roe, Ada\",,\"=\"\"0306406152\"\"\",\"=\"\"9780306406157\"\"\",4,Nobody,99,2004,1999,2020/01/02,shelf,2\n";
    let options = ImportOptions { fill_in: true, ..with(Field::Topic, "Bookshelves") };
    assert_eq!(read(goodreads, &options), ["Ada Roe: Ledgers (2004) [shelf] 9780306406157 5.99 2"]);
    let library_thing = "Book Id\tTitle\tPrimary Author\tDate\tTags\tISBN\tISBNs\tSubjects\tCopies\tList Price\tPurchase Price\n\
                         1\tLedgers : a start /\tRoe, Ada\tc2004\ta,b\t[0306406152]\t0306406152, 9780306406157\tBooks\t1\t$19.99\t$5\n";
    let options = ImportOptions { default_topic: Some("used".into()), ..all.clone() };
    assert_eq!(read(library_thing, &options), ["Ada Roe: Ledgers: a start (2004) [used] 9780306406157 19.99 1"]);
    let abe_books = "listingid\ttitle\tauthor\tprice\tquantity\tproducttype\tisbn\tyearpublished\tabecategory\n\
                     7\tLedgers\tRoe, Ada\t12.50\t1\tbook\t\t1999\tAccounting\n";
    assert_eq!(read(abe_books, &all), ["Ada Roe: Ledgers (1999) [Accounting]  12.50 1"]);
    let shopify = "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Variant Inventory Qty,Variant Price,Variant Barcode\n\
                   ledgers,Ledgers,<p>,Nobody,Books,print,,3,19.99,'9780306406157\n";
    assert_eq!(read(shopify, &all), [": Ledgers (0) [Books] 9780306406157 19.99 3"]);
    let woo_commerce = "ID,Type,SKU,\"GTIN, UPC, EAN, or ISBN\",Name,Published,In stock?,Stock,Sale price,Regular price,Categories\n\
                        1,simple,x,978-0-306-40615-7,Ledgers,1,1,4,9,19.99,Accounting\n";
    assert_eq!(read(woo_commerce, &all), [": Ledgers (0) [Accounting] 9780306406157 19.99 4"]);
    let square =
        "Token,Item Name,SKU,Category,Price,Current Quantity Shop,GTIN\nx,Ledgers,1,Books,19.99,5,9780306406157\n";
    assert_eq!(read(square, &all), [": Ledgers (0) [Books] 9780306406157 19.99 5"]);
    let plain = "Title,Author(s),Category,EAN,List Price,Qty\nLedgers,Ada Roe,t,9780306406157,19.99,1\n";
    assert_eq!(read(plain, &ImportOptions::default()), ["Ada Roe: Ledgers (0) [t] 9780306406157 19.99 1"]);
}

#[test]
fn nothing_is_invented_and_no_column_is_left_out() {
    let none = ImportOptions::default();
    let bare = "title,topic\nLedgers,t\n";
    assert!(
        refused(bare, &none).contains("line 1: the header line has no price; name its column with --map price=COLUMN")
    );
    let priced = "title,topic,price\nLedgers,t,1\n";
    assert!(refused(priced, &none).contains("--default-stock"));
    let stocked = ImportOptions { default_stock: Some(3), ..none.clone() };
    assert_eq!(read(priced, &stocked), [": Ledgers (0) [t]  1.00 3"]);
    assert_eq!(read(bare, &fill_in()).len(), 1);
    assert!(refused("title,price,stock\nLedgers,1,1\n", &none).contains("--default-topic"));
    let cells = "title,topic,price,stock\na,t,,1\nb,t,1,\nc,,1,1\n";
    assert_eq!(
        broken(csv(cells.as_bytes(), &none)),
        ["line 2: price is missing", "line 3: stock is missing", "line 4: topic is missing"]
    );
    let shelved = "title,topic,price,stock,shelf,Cost\na,t,1,1,x,9\n";
    assert!(refused(shelved, &none).contains("not used: shelf, Cost; say what they are with --map FIELD=COLUMN"));
    let mapped = ImportOptions { columns: vec![(Field::Price, "Cost".into())], ignore_columns: true, ..none.clone() };
    assert_eq!(read(shelved, &mapped), [": a (0) [t]  9.00 1"]);
    let nowhere = ImportOptions { columns: vec![(Field::Price, "Coast".into())], ..none.clone() };
    assert!(refused(shelved, &nowhere).contains("no column \"Coast\" for the price; it has: title, topic"));
    let nameless = "title,topic,price,stock,\na,t,1,1,\nb,t,1,1,x\n";
    assert_eq!(broken(csv(nameless.as_bytes(), &none)), ["line 3: column 5 has no name, but a value: \"x\""]);
}

#[test]
fn what_is_in_doubt_is_refused_with_its_value() {
    let none = ImportOptions::default();
    let table = "title,topic,isbn,isbn13,price,stock\n\
                 a,t,0306406152,9780306406157,$1.50,1\n\
                 b,t,0306406152,9780131103627,$1.50,1\n\
                 c,t,0306406153,,$1.50,1\n\
                 d,t,0000000000,n/a,£2,1\n\
                 e,t,,,\"1,234\",1\n\
                 f,t,,,$0.10,3.5\n\
                 \"Caf\u{fffd}\",t,,,1,1\n";
    let named = broken(csv(table.as_bytes(), &none));
    for (named, says) in named.iter().zip([
        "line 3: isbn: 978-0-13-110362-7 and 978-0-306-40615-7 are two books",
        "line 4: isbn: \"0306406153\" ends with the check digit 3, which should be 2",
        "line 5: price \"£2\" is in £, the shop in USD",
        "line 6: price must be an amount such as 19.99, not \"1,234\": it can be read in two ways",
        "line 7: stock must be a whole number in its range, not \"3.5\"",
        "line 8: \"Caf\u{fffd}\" has a character that was lost",
    ]) {
        // The library alone shows an ISBN without hyphens.
        assert!(named.replace('-', "").starts_with(&says.replace('-', "")), "{named} does not say {says}");
    }
    assert_eq!(named.len(), 6);
    let comma = ImportOptions { decimal_comma: true, ..none };
    assert_eq!(
        read("title;topic;price;stock\na;t;1.234;1\nb;t;29,99;1\n", &comma),
        [": a (0) [t]  1234.00 1", ": b (0) [t]  29.99 1"]
    );
}

#[test]
fn subjects_are_told_apart() {
    let subjects = |name: &str, cell: &str| {
        let table = format!("title,topic,price,stock,{name}\na,t,1,1,\"{cell}\"\n");
        good(csv(table.as_bytes(), &ImportOptions::default())).remove(0).text.subjects
    };
    assert_eq!(subjects("Subjects", "Science, Medieval; Logs"), ["Science, Medieval", "Logs"]);
    assert_eq!(subjects("Tags", "used, red ,"), ["used", "red"]);
    assert_eq!(subjects("keywords", "Science, Medieval; Logs"), ["Science, Medieval", "Logs"]);
}

#[test]
fn two_prices_are_no_price() {
    let table = "title,topic,price,price_cents,stock\na,t,1.00,200,1\nb,t,,200,1\n";
    let named = broken(csv(table.as_bytes(), &ImportOptions::default()));
    assert_eq!(named, ["line 2: it has two prices, \"200\" in cents and \"1.00\""]);
}

#[test]
fn a_line_may_say_the_delimiter() {
    let tabs = "SEP=\t\ntitle\ttopic\tprice\tstock\na\tt\t1\t1\n";
    assert_eq!(read(tabs, &ImportOptions::default()), [": a (0) [t]  1.00 1"]);
    for end in ["\n", "\r\n", "\r"] {
        let table = ["sep=;", "title;topic;price;stock", "a,b;t;29,99;1", ";t;1;1", ""].join(end);
        let lines: Vec<_> = csv(table.as_bytes(), &ImportOptions::default()).collect();
        let first = lines[0].as_ref().unwrap();
        assert_eq!((&first.book.text.title[..], first.number, lines.len()), ("a,b", 3, 2));
        assert_eq!(lines[1].as_ref().unwrap_err().to_string(), "line 4: title is missing");
    }
}

#[test]
fn a_file_is_read_in_its_encoding_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        open(&path, &ImportOptions::default(), |_| ())
    };
    let latin = good(at("a.csv", b"title;topic;price;stock\nCaf\xe9;t;29,99;1\n").unwrap());
    assert_eq!((&latin[0].text.title[..], latin[0].price_cents.get()), ("Café", 2999));
    let utf_16: Vec<u8> =
        "\u{feff}title\ttopic\tprice\tstock\r\nCafé\tt\t1\t1\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(good(at("a.txt", &utf_16).unwrap())[0].text.title, "Café");
    let both = at("b.csv", b"title,topic,price,stock\nCaf\xc3\xa9,t,1,1\nCaf\xe9,t,1,1\n").unwrap();
    assert_eq!(broken(both), ["line 3: is not UTF-8; save the file as CSV in UTF-8"]);
    assert!(at("c.csv", b"PK\x03\x04...").unwrap_err().to_string().contains("workbook"));
}

#[test]
fn a_file_that_cannot_be_read_on_ends_with_its_last_broken_line() {
    let open_quote = format!("title,topic\nx,y\n\"never closed,{}", "z".repeat(2 * LINE_MAX));
    let lines: Vec<_> = csv(open_quote.as_bytes(), &fill_in()).collect();
    assert_eq!(lines.len(), 2);
    let last = lines[1].as_ref().unwrap_err();
    assert!(last.last && last.line == 3 && last.message.contains("quote"), "{last}");

    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(LEDGERS.replace('\n', " ").repeat(50).as_bytes()).unwrap();
    let cut = encoder.finish().unwrap();
    let lines: Vec<_> = json_lines(MultiGzDecoder::new(&cut[..cut.len() / 2]), &fill_in()).collect();
    assert!(lines.last().unwrap().as_ref().unwrap_err().last);

    for header in ["", "title\nx\n", "title,topic,title\nx,y,z\n"] {
        let lines: Vec<_> = csv(header.as_bytes(), &fill_in()).collect();
        assert!(lines.len() == 1 && lines[0].as_ref().unwrap_err().last, "{header:?}: {lines:?}");
    }
}

#[test]
fn other_endings_and_missing_files_are_refused() {
    let error = |name: &str| open(Path::new(name), &fill_in(), |_| ()).err().unwrap().to_string();
    assert!(error("books.xlsx").contains(".jsonl.gz"));
    assert!(error("/nowhere/books.csv").contains("No such file"));
}
