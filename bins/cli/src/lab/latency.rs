//! Questions 1 and 3: how long do search, info and purchase take as the number of clients grows, and what does a larger share of
//! purchases cost?

use super::{Cell, LabError, deployment::Deployment, session::Session};
use crate::load::Mix;

/// A load for each number of clients.
pub(super) async fn by_clients(
    session: &mut Session<'_>,
    shop: &Deployment<'_>,
    cells: &mut Vec<Cell>,
) -> Result<(), LabError> {
    for clients in &session.plan().clients {
        cells.push(measure(session, shop, Mix::Even, *clients, &format!("latency with {clients} clients")).await?);
    }
    Ok(())
}

/// A load for each chance that a look is followed by a purchase.
pub(super) async fn by_purchases(
    session: &mut Session<'_>,
    shop: &Deployment<'_>,
    cells: &mut Vec<Cell>,
) -> Result<(), LabError> {
    let plan = session.plan();
    for chance in &plan.chances {
        let doing = format!("{:.0} % of the looks lead to a purchase", chance * 100.0);
        cells.push(measure(session, shop, Mix::Chance(*chance), plan.clients_otherwise, &doing).await?);
    }
    Ok(())
}

async fn measure(
    session: &mut Session<'_>,
    shop: &Deployment<'_>,
    mix: Mix,
    clients: usize,
    doing: &str,
) -> Result<Cell, LabError> {
    let load = session.cell(shop, mix, clients);
    let doing = format!("{}: {doing}", shop.shape.name());
    let result = session.load(shop, &load, doing, session.plan().cell_takes()).await?;
    Ok(Cell::new(shop.shape, result))
}
