//! Injects faults: one task into servers, another one into the network between them, at the same time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    faults::{Deck, Fault, Kind, Tallies},
    hosts::{CARD, Host},
    proxy::Proxy,
    shop::{Link, Shop},
};

/// How many answers are lost at a time.
const LOST: u64 = 4;

/// Injects faults until the end, one after the other; each is over before this returns.
pub(crate) async fn inject(shop: &Shop<'_>, mut deck: Deck, until: Instant, done: &AtomicBool) -> Tallies {
    let mut tallies = Tallies::default();
    while Instant::now() < until && !done.load(Ordering::Relaxed) {
        let fault = deck.draw();
        let effects = if Kind::PROCESS.contains(&fault.kind) {
            into_server(shop, fault).await
        } else {
            into_link(shop, fault).await
        };
        tallies.count(fault.kind, effects);
        sleep(fault.pause).await;
    }
    tallies
}

fn one_of<T>(from: &[T], chance: u64) -> &T {
    &from[usize::try_from(chance % from.len() as u64).expect("smaller than the slice")]
}

async fn into_server(shop: &Shop<'_>, fault: Fault) -> u64 {
    let hosts: &[Host] = match fault.kind {
        Kind::KillCatalog | Kind::FullDisk => &[Host::Catalog],
        Kind::KillOrder => &[Host::Order1, Host::Order2],
        Kind::KillFrontend => &[Host::Frontend1, Host::Frontend2],
        _ => &[Host::Catalog, Host::Order1, Host::Order2, Host::Frontend1, Host::Frontend2],
    };
    let mut server = shop.servers[*one_of(hosts, fault.chance) as usize].lock().await;
    match fault.kind {
        Kind::FullDisk => {
            let before = server.store_failures();
            shop.disk.fill();
            sleep(fault.lasts).await;
            shop.disk.empty();
            server.store_failures() - before
        }
        Kind::Stop => {
            server.signal("STOP").await;
            sleep(fault.lasts).await;
            server.signal("CONT").await;
            1
        }
        _ => {
            server.kill().await;
            sleep(fault.lasts).await;
            server.restart().await;
            1
        }
    }
}

async fn into_link(shop: &Shop<'_>, fault: Fault) -> u64 {
    match fault.kind {
        Kind::Delay | Kind::Cut | Kind::LostAnswers => {
            let proxies: Vec<&Proxy> = shop.links.iter().filter_map(|link| link.proxy.as_ref()).collect();
            through(one_of::<&Proxy>(&proxies, fault.chance), fault).await
        }
        _ => filtered(shop, one_of(&shop.links, fault.chance), fault).await,
    }
}

async fn through(proxy: &Proxy, fault: Fault) -> u64 {
    let before = proxy.effects();
    let until = Instant::now() + fault.lasts;
    match fault.kind {
        Kind::Delay => proxy.delay(Duration::from_millis(20 + fault.chance / 7 % 280)),
        Kind::LostAnswers => proxy.lose_answers(LOST),
        _ => {
            sleep_until(until).await;
            proxy.cut();
            // The connections' tasks notice one by one.
            sleep(Duration::from_millis(50)).await;
        }
    }
    sleep_until(until).await;
    proxy.delay(Duration::ZERO);
    proxy.lose_answers(0);
    let after = proxy.effects();
    before.iter().zip(after).map(|(before, after)| after - before).sum()
}

/// Filters packets on the machine that a link leads to.
async fn filtered(shop: &Shop<'_>, link: &Link, fault: Fault) -> u64 {
    let [from, to] = [link.from, link.to].map(|host| shop.network.address(host));
    let (input, output) = match fault.kind {
        Kind::Reset => (format!("ip saddr {from} meta l4proto tcp counter reject with tcp reset"), String::new()),
        // Either requests do not arrive, or answers.
        Kind::OneWay if fault.chance.is_multiple_of(3) => (format!("ip saddr {from} counter drop"), String::new()),
        Kind::OneWay => (String::new(), format!("ip daddr {from} counter drop")),
        // One link, or the whole machine; its own loopback goes on.
        _ if fault.chance.is_multiple_of(3) => {
            (format!("iifname {CARD} counter drop"), format!("oifname {CARD} counter drop"))
        }
        _ => (format!("ip saddr {from} counter drop"), format!("ip daddr {from} counter drop")),
    };
    debug_assert_ne!(from, to, "only used with namespaces");
    shop.network.filter(link.to, &input, &output);
    sleep(fault.lasts).await;
    shop.network.unfilter(link.to)
}
