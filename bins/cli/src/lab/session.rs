//! What all questions share: opening deployments, running loads, and collecting the checks of the promises.

use std::time::Duration;

use super::{
    Audit, Lab, LabError, Plan, Progress, Promises, Shape,
    deployment::{Deployment, Site, Snapshot},
    plan::{CLOSING, OPENING},
    steps::Steps,
};
use crate::load::{Load, LoadError, LoadResult, Mix, Operation, Pace, Stop};

/// A load in which some operation was never answered is repeated for twice as long, at most so often.
const LONGER_MAX: u32 = 6;

/// Whether every operation of the mix was answered.
fn is_enough(result: &LoadResult) -> bool {
    let wanted: &[Operation] = match result.mix {
        Mix::Even => &[Operation::SearchTopic, Operation::Book, Operation::Purchase],
        Mix::Chance(chance) if chance > 0.0 => &[Operation::Book, Operation::Purchase],
        _ => &[Operation::Book],
    };
    let answered = |operation: &Operation| {
        result.operations.iter().any(|of| of.operation == *operation && of.numbers.latency.is_some())
    };
    wanted.iter().all(answered)
}

fn too_slow(doing: &str) -> LabError {
    LabError::Failed(format!("{doing}: this machine is too busy, some operations were never answered"))
}

/// A running lab.
pub(super) struct Session<'a> {
    lab: &'a Lab,
    site: &'a Site,
    pub(super) steps: Steps<'a>,
    promises: Promises,
    deployments: usize,
}

impl<'a> Session<'a> {
    pub(super) fn new(lab: &'a Lab, site: &'a Site, progress: &'a (dyn Fn(&Progress) + Sync)) -> Self {
        let steps = Steps::new(&lab.plan, progress);
        Self { lab, site, steps, promises: Promises::default(), deployments: 0 }
    }

    pub(super) fn plan(&self) -> &'a Plan {
        &self.lab.plan
    }

    /// Starts and stocks a deployment whose frontends cache this many books.
    pub(super) async fn open(&mut self, shape: Shape, cache_books: usize) -> Result<Deployment<'a>, LabError> {
        self.steps.begin(format!("starting {}", shape.name()), OPENING);
        self.deployments += 1;
        Deployment::start(self.site, shape, self.deployments, cache_books).await
    }

    /// Audits a deployment and stops it.
    pub(super) async fn close(&mut self, shop: Deployment<'a>) -> Result<Audit, LabError> {
        self.steps.begin(format!("auditing {}", shop.shape.name()), CLOSING);
        let audit = shop.audit().await?;
        self.promises.audited(&audit);
        shop.stop().await?;
        Ok(audit)
    }

    /// The load of one measurement.
    pub(super) fn cell(&self, shop: &Deployment<'_>, mix: Mix, clients: usize) -> Load {
        Load {
            mix,
            pace: Pace::Closed { clients },
            duration: self.plan().cell,
            warmup: self.plan().warmup,
            seed: self.lab.seed,
            ..Load::on(shop.target())
        }
    }

    /// Runs a load as one step, and collects its check.
    pub(super) async fn load(
        &mut self,
        shop: &Deployment<'_>,
        load: &Load,
        doing: String,
        takes: Duration,
    ) -> Result<LoadResult, LabError> {
        self.steps.begin(doing.clone(), takes);
        let mut load = load.clone();
        for _ in 0..LONGER_MAX {
            let result = load.run(&|_| self.steps.report(), &Stop::new()).await;
            let result = self.loaded(shop, &doing, result)?;
            if is_enough(&result) {
                return Ok(result);
            }
            load.duration *= 2;
        }
        Err(too_slow(&doing))
    }

    /// Runs a load, and returns with it what the servers counted during it, without preparation and check. The warm-up is a load
    /// of its own before it.
    pub(super) async fn load_counted(
        &mut self,
        shop: &Deployment<'_>,
        load: &Load,
        doing: String,
        takes: Duration,
    ) -> Result<(LoadResult, Snapshot), LabError> {
        self.steps.begin(doing.clone(), takes);
        let warm = Load { duration: load.warmup, warmup: Duration::ZERO, ..load.clone() };
        let warmed = warm.run(&|_| self.steps.report(), &Stop::new()).await;
        self.loaded(shop, &doing, warmed)?;
        let mut load = Load { warmup: Duration::ZERO, ..load.clone() };
        for _ in 0..LONGER_MAX {
            let (mut before, mut after) = (None, None);
            let first = async { before = Some(shop.snapshot().await) };
            let last = async { after = Some(shop.snapshot().await) };
            let result = load.run_between(first, last, &|_| self.steps.report(), &Stop::new()).await;
            let result = self.loaded(shop, &doing, result)?;
            if let (Some(before), Some(after), true) = (before, after, is_enough(&result)) {
                return Ok((result, after?.since(&before?)));
            }
            load.duration *= 2;
        }
        Err(too_slow(&doing))
    }

    /// Collects a load's check.
    pub(super) fn loaded(
        &mut self,
        shop: &Deployment<'_>,
        doing: &str,
        result: Result<LoadResult, LoadError>,
    ) -> Result<LoadResult, LabError> {
        let failed = |error| LabError::Load { doing: doing.to_owned(), error: Box::new(error), log: shop.logs() };
        let result = result.map_err(failed)?;
        self.promises.loaded(&result.check);
        Ok(result)
    }

    /// All checks and audits.
    pub(super) fn finish(self) -> Promises {
        self.promises
    }
}
