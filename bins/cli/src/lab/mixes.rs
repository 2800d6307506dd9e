//! Question 3: what does a larger share of purchases cost?

use super::{Cell, LabError, deployment::Deployment, session::Session};
use crate::load::Mix;

/// A load for each chance that a look is followed by a purchase.
pub(super) async fn measure(
    session: &mut Session<'_>,
    shop: &Deployment<'_>,
    cells: &mut Vec<Cell>,
) -> Result<(), LabError> {
    let plan = session.plan();
    for chance in &plan.chances {
        let load = session.cell(shop, Mix::Chance(*chance), plan.clients_otherwise);
        let doing = format!("{}: {:.0} % of the looks lead to a purchase", shop.shape.name(), chance * 100.0);
        let result = session.load(shop, &load, doing, plan.cell_takes()).await?;
        cells.push(Cell::new(shop.shape, result));
    }
    Ok(())
}
