//! What libraries and booksellers write, as a shop shows it.

/// A title without what a catalogue card has behind it, and with a colon as other people write it.
pub(super) fn title(title: &str) -> String {
    let mut shown = title.trim();
    while let Some(shorter) = shown.strip_suffix(['/', ':', ';', '=']).filter(|shorter| shorter.ends_with(' ')) {
        shown = shorter.trim_end();
    }
    shown.replace(" : ", ": ")
}

/// Authors, separated by semicolons in the file, with their given names first.
pub(super) fn authors(authors: &str) -> Vec<String> {
    let names = authors.split(';').map(str::trim).filter(|name| !name.is_empty());
    names.map(given_name_first).collect()
}

/// `Krasno, Jonathan S.` is `Jonathan S. Krasno`. What may be several names, or no person's, stays as it is.
fn given_name_first(name: &str) -> String {
    let parts: Vec<&str> = name.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    match parts[..] {
        [family, given] if is_given(family, given) => format!("{given} {family}"),
        [family, given, dates] if is_given(family, given) && dates.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{given} {family}")
        }
        [family, given, title] if is_given(family, given) && is_title(title) => format!("{given} {family}, {title}"),
        _ => name.to_owned(),
    }
}

/// Whether this is a family name and what stands before it. Two full names with a comma between look alike, so a family name of
/// several words needs a sign: a particle, or a single word or an initial on the other side.
fn is_given(family: &str, given: &str) -> bool {
    const PARTICLES: [&str; 28] = [
        "van", "von", "vande", "de", "da", "di", "do", "dos", "del", "della", "der", "den", "des", "du", "la", "le",
        "el", "al", "ten", "ter", "st.", "san", "santa", "mac", "y", "e", "zu", "af",
    ];
    if is_title(given) || given.contains(|c: char| c.is_ascii_digit() || matches!(c, '&' | '(')) {
        return false;
    }
    let words: Vec<String> = family.split_whitespace().map(str::to_lowercase).collect();
    if words.iter().any(|word| matches!(&word[..], "&" | "and" | "of" | "the" | "for")) {
        return false;
    }
    let initial = given.split_whitespace().any(|word| word.trim_end_matches('.').chars().count() == 1);
    let single = !given.contains(char::is_whitespace);
    words.len() == 1 || single || initial || words.iter().any(|word| PARTICLES.contains(&&word[..]))
}

fn is_title(text: &str) -> bool {
    const TITLES: [&str; 20] = [
        "jr",
        "sr",
        "ii",
        "iii",
        "iv",
        "md",
        "phd",
        "esq",
        "inc",
        "ltd",
        "llc",
        "co",
        "gmbh",
        "ed",
        "eds",
        "editor",
        "editors",
        "translator",
        "illustrator",
        "publishers",
    ];
    TITLES.contains(&&text.to_lowercase().replace('.', "")[..])
}

/// The year in `2004`, `c2004`, `[2004?]` or `2004-05-01`; `None` if there is none.
pub(super) fn year(text: &str) -> Result<Option<i32>, String> {
    if let Ok(year) = text.parse::<i32>() {
        return Ok(Some(year).filter(|year| *year != 0));
    }
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).collect();
    let mut years = numbers.iter().filter(|digits| digits.len() == 4);
    match (years.next(), years.next()) {
        (Some(year), None) if numbers.iter().all(|digits| digits.len() == 4 || digits.len() <= 2) => {
            Ok(year.parse().ok().filter(|year| *year != 0))
        }
        _ => Err(format!("year must be a number such as 2004, not {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_loses_what_a_card_has_behind_it() {
        assert_eq!(title("Buying time : television advertising /"), "Buying time: television advertising");
        assert_eq!(title("Input/Output / "), "Input/Output");
        assert_eq!(title("Half title :"), "Half title");
        assert_eq!(title("What is this/"), "What is this/");
        assert_eq!(title("2:1"), "2:1");
    }

    #[test]
    fn a_name_is_shown_the_other_way_round() {
        for (name, shown) in [
            ("Krasno, Jonathan S.", "Jonathan S. Krasno"),
            ("Roe, Ada; Doe, John", "Ada Roe; John Doe"),
            ("García Márquez, Gabriel", "Gabriel García Márquez"),
            ("Van Osnabrugge, Mark", "Mark Van Osnabrugge"),
            ("De la Cruz, Juana Inés", "Juana Inés De la Cruz"),
            ("King, Martin Luther, Jr.", "Martin Luther King, Jr."),
            ("French, Cecil, 1871-1951", "Cecil French"),
            ("Ada Roe", "Ada Roe"),
            ("Ada Roe, Bob Doe", "Ada Roe, Bob Doe"),
            ("Martin Luther King, Jr.", "Martin Luther King, Jr."),
            ("Harper & Row, Publishers", "Harper & Row, Publishers"),
            ("Oxford University Press, Inc.", "Oxford University Press, Inc."),
            ("Plato", "Plato"),
            ("", ""),
        ] {
            assert_eq!(authors(name).join("; "), shown);
        }
    }

    #[test]
    fn a_year_is_found_where_there_is_one() {
        for text in ["2004", "c2004", "[2004]", "[c2004?]", "©2004.", "2004-05-01", "01.05.2004", "May 2004"] {
            assert_eq!(year(text), Ok(Some(2004)), "{text}");
        }
        assert_eq!((year("-400"), year("0"), year("0000")), (Ok(Some(-400)), Ok(None), Ok(None)));
        for text in ["MM", "[198-?]", "1998-2004", "c2004, p2003", "20045", "x20045"] {
            assert!(
                year(text).unwrap_or(Some(20045)) == Some(20045) || year(text).unwrap_err().contains(text),
                "{text}"
            );
        }
    }
}
