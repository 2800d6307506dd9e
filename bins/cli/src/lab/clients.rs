//! Question 1: how long do search, info and purchase take as the number of clients grows?

use super::{Cell, LabError, deployment::Deployment, session::Session};
use crate::load::Mix;

/// A load for each number of clients.
pub(super) async fn measure(
    session: &mut Session<'_>,
    shop: &Deployment<'_>,
    cells: &mut Vec<Cell>,
) -> Result<(), LabError> {
    let plan = session.plan();
    for clients in &plan.clients {
        let load = session.cell(shop, Mix::Even, *clients);
        let doing = format!("{}: latency with {clients} clients", shop.shape.name());
        let result = session.load(shop, &load, doing, plan.cell_takes()).await?;
        cells.push(Cell::new(shop.shape, result));
    }
    Ok(())
}
