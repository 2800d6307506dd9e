//! What a whole run finds.

use bookstore_cli::{
    lab::{LabResult, Shape, Tier},
    load::{Numbers, Operation, Verdict},
};
use std::fs;

use crate::support::{Dir, alone, is_empty_dir};

#[test]
fn a_quick_run_answers_every_question_and_leaves_nothing_behind() {
    let _alone = alone();
    let dir = Dir::new();
    let ended = dir.lab(&["--quick", "--json", "--report", "report.html"]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&ended.stdout));
    // Where there is no terminal, a step of less than two seconds may pass without a line: only longer ones are asked for.
    for part in ["one process: ", "five servers: ", "killed", " left)", "The report is in report.html"] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    dir.no_process_is_left();
    assert!(is_empty_dir(&dir.stores()), "{:?}", dir.stores_left());

    let result: LabResult = serde_json::from_slice(&ended.stdout).unwrap();
    every_load_has_data(&result);
    every_tier_has_a_part(&result);
    the_cache_saves_and_is_not_stale(&result);
    a_kill_loses_nothing(&result);
    the_report_shows_it_all(&result, &fs::read_to_string(dir.path("report.html")).unwrap());
}

#[track_caller]
fn has_data(numbers: Option<&Numbers>, what: &str) {
    let numbers = numbers.unwrap_or_else(|| panic!("{what}: nothing"));
    let latency = numbers.latency.as_ref().unwrap_or_else(|| panic!("{what}: {numbers:?}"));
    assert!(numbers.succeeded > 0 && numbers.answered_per_second > 0.0, "{what}: {numbers:?}");
    assert!(latency.p50_us > 0 && latency.p99_us >= latency.p50_us && latency.mean_us > 0.0, "{what}: {numbers:?}");
}

fn every_load_has_data(result: &LabResult) {
    let (plan, shapes) = (&result.plan, Shape::ALL.len());
    assert_eq!(result.clients.len(), plan.clients.len() * shapes);
    for cell in &result.clients {
        for operation in [Operation::SearchTopic, Operation::Book, Operation::Purchase] {
            has_data(cell.operation(operation), &format!("{:?} {} {operation:?}", cell.shape, cell.clients));
        }
    }
    assert_eq!(result.mixes.len(), plan.chances.len() * shapes);
    for cell in &result.mixes {
        has_data(cell.operation(Operation::Book), &format!("{:?} {}", cell.shape, cell.mix));
        if cell.mix != bookstore_cli::load::Mix::Chance(0.0) {
            has_data(cell.operation(Operation::Purchase), &format!("{:?} {}", cell.shape, cell.mix));
        }
    }
    let promises = &result.promises;
    assert_eq!((promises.verdict, promises.findings_total), (Verdict::Kept, 0), "{promises:?}");
    assert!(promises.acknowledged > 0 && promises.confirmed == promises.acknowledged, "{promises:?}");
    // Three deployments, two for the cache, one for the kill.
    assert_eq!(promises.audits.len(), 6);
    assert!(promises.audits.iter().all(|audit| audit.orders > 0), "{promises:?}");
}

fn every_tier_has_a_part(result: &LabResult) {
    assert_eq!(result.tiers.len(), Shape::ALL.len() * result.plan.tier_clients.len() * 3);
    for cell in &result.tiers {
        let tiers: Vec<Tier> = cell.hops.iter().map(|hop| hop.tier).collect();
        let expected: &[Tier] = match (cell.shape, cell.operation) {
            (Shape::Monolith, _) => &[Tier::Client, Tier::Whole],
            (_, Operation::Purchase) => &[Tier::Client, Tier::Frontend, Tier::Order, Tier::Catalog],
            _ => &[Tier::Client, Tier::Frontend, Tier::Catalog],
        };
        assert_eq!(tiers, expected);
        assert!(cell.hops.iter().all(|hop| hop.requests > 0 && hop.mean_us > 0.0), "{cell:?}");
        if cell.clients == 1 {
            // Nobody shares a call, so the parts are exact: they add up to what the client waited.
            let (all, parts) = (cell.hops[0].mean_us, cell.hops.iter().map(|hop| hop.own_us).sum::<f64>());
            assert!((all - parts).abs() < 1.0, "{cell:?}");
            assert!(cell.hops.iter().all(|hop| hop.own_us > 0.0), "{cell:?}");
        }
    }
}

fn the_cache_saves_and_is_not_stale(result: &LabResult) {
    let caching = &result.caching;
    assert_eq!(caching.cells.len(), result.plan.cache_chances.len() * 2);
    for cell in &caching.cells {
        has_data(cell.cell.operation(Operation::Book), &format!("{cell:?}"));
        assert!(cell.looks > 0);
        if cell.cached {
            assert!(cell.hit_share() > 0.5 && cell.hits > 0, "{cell:?}");
            assert!(cell.catalog_looks_per_look() < 0.5, "{cell:?}");
        } else {
            assert_eq!((cell.hits, cell.misses, cell.entries_followed), (0, 0, 0), "{cell:?}");
            assert!(cell.catalog_looks_per_look() > 0.9, "{cell:?}");
        }
        if cell.purchases > 0 {
            // A ledger that stands still may be polled less often than such a short load lasts.
            assert!(cell.catalog_calls > 0 && cell.polls_per_second() > 0.0, "{cell:?}");
        }
    }
    assert!(caching.cells.iter().any(|cell| cell.cached && cell.purchases > 0 && cell.entries_followed > 0));
    assert_eq!(caching.staleness.len(), 2);
    for staleness in &caching.staleness {
        assert!(staleness.purchases > 0 && staleness.p50_us > 0, "{staleness:?}");
        assert!(staleness.max_us < caching.bound_ms * 1000, "{staleness:?}");
    }
}

fn a_kill_loses_nothing(result: &LabResult) {
    let killing = &result.killing;
    has_data(killing.operation(Operation::Book), "info during the kill");
    has_data(killing.operation(Operation::Purchase), "purchases during the kill");
    assert!(0.0 < killing.killed_at && killing.killed_at < killing.restarted_at, "{killing:?}");
    assert!(killing.restarted_at < killing.ready_at && killing.timeline.len() > 10, "{killing:?}");
    let trouble = killing.total.failed_total() + killing.total.retries + killing.frontend_retries;
    assert!(trouble > 0, "nobody noticed that a server was gone: {killing:?}");
    let check = killing.check.as_ref().unwrap();
    assert_eq!((check.verdict, check.confirmed, check.findings_total), (Verdict::Kept, check.acknowledged, 0));
    let audit = killing.audit.as_ref().unwrap();
    assert_eq!(audit.copies.len(), 2);
    assert!(audit.orders >= check.acknowledged && audit.orders > 0, "{audit:?}");
    assert!(audit.copies.iter().all(|copy| copy.behind == 0 && copy.orders == audit.orders), "{audit:?}");
}

fn the_report_shows_it_all(result: &LabResult, html: &str) {
    for number in 1..=5 {
        let (_, section) = html.split_once(&format!("id=\"q{number}\"")).unwrap();
        let (section, _) = section.split_once("</section>").unwrap();
        assert!(section.contains("<svg") && section.contains("<td"), "question {number}: {section}");
        assert!(!section.contains("NaN") && !section.contains("inf "), "question {number}: {section}");
    }
    assert!(html.contains("Every promise is kept") && html.ends_with("</html>\n"));
    assert!(html.contains(&result.machine.cpu) && html.contains(&result.version));
    for far in ["http://", "https://", "<script", "@import", "url("] {
        assert!(!html.contains(far), "the report needs {far}");
    }
}
